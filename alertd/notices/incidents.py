"""Incidents: what the alerts of a rule add up to.

An incident opens with a rule's first firing alert and closes when none fires. If the rule fires again soon enough, the same
incident goes on. Deciding is pure; who is told what of it is decided in `hearing`, and written in `recording`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Change, Kind, Level, Transition
from alertd.rulebook.rule import Rule
from alertd.store.tables import incidents, rules

# Statements are put together once: that takes SQLAlchemy longer than running them.
_NEWEST = (
    sa.select(incidents)
    .where(incidents.c.rule == sa.bindparam("of_rule", type_=sa.String))
    .order_by(incidents.c.id.desc())
    .limit(1)
)
# Of each rule the end of the index: to group by rule would read all of it.
_OLDER = sa.alias(incidents)
_NUMBERS = sa.select(sa.select(sa.func.max(_OLDER.c.id)).where(_OLDER.c.rule == rules.c.rule).scalar_subquery()).where(
    rules.c.rule.in_(sa.bindparam("of_rules", type_=sa.String, expanding=True))
)
_NEWEST_OF_EACH = sa.select(incidents).where(incidents.c.id.in_(_NUMBERS))
_NEW = sa.insert(incidents)
_CHANGE = sa.update(incidents).where(incidents.c.id == sa.bindparam("of_id"))
_CHANGE_OPEN = _CHANGE.where(incidents.c.closed_at.is_(None))


@dataclass(frozen=True)
class Incident:
    """An episode of a rule. `level` is that of its worst firing alert now; `worst` that of its worst moment.

    `told_at` is when anybody was told last. An acknowledgement ends with the episode, and when it gets worse than it ever was
    in it: then whoever has it may not know how bad it is. What else is new is told all the same.
    """

    rule: str
    opened_at: Instant
    level: Level
    worst: Level
    id: int | None = None  # None: not written yet
    closed_at: Instant | None = None
    peak: float | None = None
    muted: str | None = None  # why nobody is told at present
    told_at: Instant | None = None
    escalated_at: Instant | None = None
    acknowledged_at: Instant | None = None
    acknowledged_by: str | None = None


_FIELDS = tuple(field.name for field in fields(Incident))


@dataclass(frozen=True)
class Decision:
    """What becomes of a rule's incident, and the kind of notice that tells it; no kind where there is nothing to tell."""

    incident: Incident | None
    kind: Kind | None = None
    reopened: bool = False
    previous: Level | None = None


def decide(rule: Rule, last: Incident | None, moves: Sequence[Transition], at: Instant) -> Decision:
    """Decide what the alerts of a rule, all of them as they have just moved, make of its last incident."""
    firing = [move.after for move in moves if move.after.fires]
    is_open = last is not None and last.closed_at is None
    if not firing:
        return Decision(replace(last, closed_at=at, muted=None), Kind.RESOLVED) if last and is_open else Decision(last)
    level, peak = worst_level(firing), _peak(rule, firing)
    if last and is_open:
        return _go_on(rule, last, firing, moves)
    fresh = Incident(rule.id, at, level, level, peak=peak)
    if last and last.closed_at is not None and at - last.closed_at <= rule.reopen_within:
        # The number and the thread go on; all else is that of the new episode.
        return Decision(replace(fresh, id=last.id), Kind.OPENED, reopened=True)
    return Decision(fresh, Kind.OPENED)


def worst_level(alerts: Sequence[Alert]) -> Level:
    """The highest level that any of them has."""
    return max((alert.level for alert in alerts), key=lambda each: each.rank)


def untrue(move: Transition) -> bool:
    """Whether what was told of this alert is no longer true, although nobody needs to be told."""
    ended = move.before.fires and not move.after.fires
    return ended or move.change in (Change.WORSENED, Change.EASED)


def last_incident(transaction: sa.Connection, rule: str) -> Incident | None:
    """The newest incident of a rule, open or closed."""
    row = transaction.execute(_NEWEST, {"of_rule": rule}).one_or_none()
    return None if row is None else as_incident(row)


def last_incidents(transaction: sa.Connection, checked: Collection[str]) -> dict[str, Incident]:
    """The newest incident, open or closed, of each of these rules that has one; of rules that have been checked."""
    return {row.rule: as_incident(row) for row in transaction.execute(_NEWEST_OF_EACH, {"of_rules": list(checked)})}


def save_incident(transaction: sa.Connection, incident: Incident) -> int:
    """Write an incident; its number."""
    values = {name: each for name, each in vars(incident).items() if name != "id"}
    values |= {"level": incident.level.value, "worst": incident.worst.value}
    if incident.id is None:
        key = transaction.execute(_NEW, values).inserted_primary_key
        return int(key[0]) if key else 0
    transaction.execute(_CHANGE, values | {"of_id": incident.id})
    return incident.id


def acknowledge(transaction: sa.Connection, number: int, by: str, at: Instant) -> bool:
    """Somebody says "I have it": no reminder and no escalation until it gets worse. False if it is not open any more."""
    return _acknowledged(transaction, number, at, by)


def unacknowledge(transaction: sa.Connection, number: int) -> bool:
    """Nobody has it any more. False if it is not open any more."""
    return _acknowledged(transaction, number, None, None)


def _acknowledged(transaction: sa.Connection, number: int, at: Instant | None, by: str | None) -> bool:
    values = {"of_id": number, "acknowledged_at": at, "acknowledged_by": by}
    return transaction.execute(_CHANGE_OPEN, values).rowcount > 0


def as_incident(row: sa.Row[Any]) -> Incident:
    """The incident of a row that has all of its columns."""
    values = {name: getattr(row, name) for name in _FIELDS}
    return Incident(**(values | {"level": Level(row.level), "worst": Level(row.worst)}))


def _go_on(rule: Rule, last: Incident, firing: Sequence[Alert], moves: Sequence[Transition]) -> Decision:
    level = worst_level(firing)
    after = replace(last, level=level, peak=_peak(rule, firing, last.peak))
    if level.rank > last.worst.rank:
        after = replace(after, worst=level, acknowledged_at=None, acknowledged_by=None)
    if level is not last.level:
        return Decision(after, Kind.CHANGED, previous=last.level)
    if any(move.change is Change.HELD for move in moves):
        return Decision(after, Kind.CHANGED)
    return Decision(after, Kind.REFRESHED if any(untrue(move) for move in moves) else None)


def _peak(rule: Rule, firing: Sequence[Alert], before: float | None = None) -> float | None:
    peaks = [peak for peak in (before, *(alert.peak for alert in firing)) if peak is not None]
    return max(peaks, key=rule.badness, default=None)
