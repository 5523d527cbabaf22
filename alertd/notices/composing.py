"""Putting a notice together: the facts of an incident at one moment, complete, so that it can be rendered at any time later."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace

from alertd.clock import Instant
from alertd.facts import Alert, Change, Group, Kind, Level, Transition
from alertd.notice import LISTED, Notice, NoticeGroup
from alertd.rulebook.rule import Limit, Rule


def compose(
    rule: Rule,
    kind: Kind,
    moves: Sequence[Transition],
    *,
    at: Instant,
    incident: int | None,
    new: Collection[str] = (),
    trail: tuple[tuple[Instant, float], ...] = (),
) -> Notice:
    """The notice of a rule's alerts as they have just moved. Dates and levels of the incident are the caller's to add.

    `new` are keys of groups that people do not know, beside those that fire since now; `trail` is what was measured lately.
    """
    firing = sorted((move.after for move in moves if move.after.fires), key=lambda alert: _badness(rule, alert), reverse=True)
    unknown = {move.after.group.key for move in moves if move.change is Change.HELD} | set(new)
    worst = firing[0] if firing else _last_known(rule, moves)
    whole = bool(firing) or rule.by is None
    limit, outlined = _limit(rule, worst), outline(rule, kind, at)
    return replace(
        outlined,
        measure=outlined.measure + (rule.compare.spans(limit) if limit is not None else ""),
        direction=rule.direction,
        level=worst.level,
        incident=incident,
        value=worst.value if whole else None,
        limit=limit,
        recover=_recover(rule, worst),
        peak=worst.peak,
        worst=spell_worst(rule, worst.peak),
        conversations=sum(alert.conversations for alert in firing) if firing else worst.conversations,
        reason=_reason(moves),
        groups=tuple(_group(rule, alert, unknown) for alert in firing[:LISTED]),
        groups_total=len(firing),
        measured=worst.measured if whole else None,
        reference=worst.reference if whole else None,
        comparison=spell_compared(rule, worst.value, worst.measured, worst.reference) if whole else "",
        trail=trail if rule.by is None else (),
    )


def outline(rule: Rule, kind: Kind, at: Instant) -> Notice:
    """What every notice of a rule says of the rule, without any number."""
    return Notice(
        kind=kind,
        rule=rule.id,
        title=rule.title,
        measure=words_of(rule),
        unit=rule.unit,
        direction=rule.direction,
        level=Level.OK,
        previous=None,
        incident=None,
        at=at,
        opened_at=at,
        resolved_at=None,
        window=0 if rule.compare.own_window else rule.window,
        value=None,
        limit=None,
        recover=None,
        peak=None,
        conversations=0,
        reason="",
        by=rule.by,
        description=rule.description,
        runbook=rule.runbook,
        owner=rule.owner,
        labels=dict(rule.labels),
        measured_unit=rule.measure.unit,
        template=rule.template,
        timezone=rule.timezone,
    )


def words_of(rule: Rule) -> str:
    """What is measured and with what it is compared, in words: "number of conversations against the same time a week ago"."""
    return rule.compare.describe(rule.measure.describe())


def spell_compared(rule: Rule, value: float | None, measured: float | None, reference: float | None) -> str:
    """A compared value in words: "-62 % (38 now, 100 a week ago)"; nothing for a number that stands for itself."""
    if value is None or measured is None:
        return ""
    return rule.compare.spell(value, measured, math.nan if reference is None else reference, rule.measure.unit)


def spell_worst(rule: Rule, peak: float | None) -> str:
    """The worst value in words, where a number alone says nothing."""
    return "" if peak is None else rule.compare.spell_alone(peak)


def limit_of(rule: Rule, level: Level) -> Limit:
    """The limit of that level; the lowest if the rule has lost the level while an alert fired at it."""
    return next((each for each in rule.limits if each.level is level), rule.limits[-1])


def _limit(rule: Rule, alert: Alert) -> float | None:
    """The limit that an alert is held against; a comparison may bring its own."""
    if alert.limit is not None or not rule.limits:
        return alert.limit
    return limit_of(rule, alert.level).value


def _recover(rule: Rule, alert: Alert) -> float | None:
    """Where all is clear: the way back of the lowest level, whatever the alert's own is."""
    return rule.limits[-1].recover if alert.limit is None and rule.limits else None


def _group(rule: Rule, alert: Alert, new: set[str]) -> NoticeGroup:
    return NoticeGroup(
        by=alert.group.by,
        id=alert.group.id,
        level=alert.level,
        value=alert.value,
        limit=_limit(rule, alert),
        since=alert.since if alert.since is not None else 0,
        conversations=alert.conversations,
        examples=alert.examples,
        new=alert.group.key in new,
        comparison=spell_compared(rule, alert.value, alert.measured, alert.reference),
    )


def _badness(rule: Rule, alert: Alert) -> tuple[int, float]:
    return alert.level.rank, rule.badness(alert.value) if alert.value is not None else -math.inf


def _last_known(rule: Rule, moves: Sequence[Transition]) -> Alert:
    return next((move.after for move in moves if move.before.fires), Alert(rule.id, Group()))


# What a notice is about, the most telling first; beside one of these nobody asks about the others.
_TELLING = (Change.WORSENED, Change.HELD, Change.EASED, Change.RECOVERED, Change.LEFT, Change.UNOBSERVED)


def _reason(moves: Sequence[Transition]) -> str:
    changes = {move.change for move in moves if move.before.fires or move.after.fires}
    return next((each for each in _TELLING if each in changes), Change.CONTINUES).value
