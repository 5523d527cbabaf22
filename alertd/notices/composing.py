"""Putting a notice together: the facts of an incident at one moment, complete, so that it can be rendered at any time later."""

from __future__ import annotations

from collections.abc import Sequence

from alertd.clock import Instant
from alertd.facts import Alert, Change, Group, Kind, Level, Transition
from alertd.notices.notice import LISTED, Notice, NoticeGroup
from alertd.rulebook.rule import Limit, Rule


def compose(rule: Rule, kind: Kind, moves: Sequence[Transition], *, at: Instant, incident: int) -> Notice:
    """The notice of a rule's alerts as they have just moved. Dates and levels of the incident are the caller's to add."""
    firing = sorted((move.after for move in moves if move.after.fires), key=lambda alert: _badness(rule, alert), reverse=True)
    new = {move.after.group.key for move in moves if move.change is Change.HELD}
    worst = firing[0] if firing else _last_known(rule, moves)
    limit = limit_of(rule, worst.level)
    return Notice(
        kind=kind,
        rule=rule.id,
        title=rule.title,
        measure=rule.measure.describe(),
        unit=rule.measure.unit,
        direction=limit.direction,
        level=worst.level,
        previous=None,
        incident=incident,
        at=at,
        opened_at=at,
        resolved_at=None,
        window=rule.window,
        value=worst.value if firing or rule.by is None else None,
        limit=limit.value,
        recover=limit.recover,
        peak=worst.peak,
        conversations=sum(alert.conversations for alert in firing) if firing else worst.conversations,
        reason=_reason(moves),
        groups=tuple(_group(rule, alert, new) for alert in firing[:LISTED]),
        groups_total=len(firing),
        by=rule.by,
        description=rule.description,
        runbook=rule.runbook,
        owner=rule.owner,
        labels=dict(rule.labels),
    )


def limit_of(rule: Rule, level: Level) -> Limit:
    """The limit of that level; the lowest if the rule has lost the level while an alert fired at it."""
    return next((each for each in rule.limits if each.level is level), rule.limits[-1])


def _group(rule: Rule, alert: Alert, new: set[str]) -> NoticeGroup:
    return NoticeGroup(
        by=alert.group.by,
        id=alert.group.id,
        level=alert.level,
        value=alert.value,
        limit=limit_of(rule, alert.level).value,
        since=alert.since if alert.since is not None else 0,
        conversations=alert.conversations,
        examples=alert.examples,
        new=alert.group.key in new,
    )


def _badness(rule: Rule, alert: Alert) -> tuple[int, float]:
    value = alert.value if alert.value is not None else 0.0
    return alert.level.rank, value if rule.limits[0].direction == "above" else -value


def _last_known(rule: Rule, moves: Sequence[Transition]) -> Alert:
    return next((move.after for move in moves if move.before.fires), Alert(rule.id, Group()))


# What a notice is about, the most telling first; beside one of these nobody asks about the others.
_TELLING = (Change.WORSENED, Change.HELD, Change.EASED, Change.RECOVERED, Change.LEFT, Change.UNOBSERVED)


def _reason(moves: Sequence[Transition]) -> str:
    changes = {move.change for move in moves if move.before.fires or move.after.fires}
    return next((each for each in _TELLING if each in changes), Change.CONTINUES).value
