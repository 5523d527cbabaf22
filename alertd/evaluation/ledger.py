"""What the store knows of rules and alerts, and the decision record of every evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Change, Evidence, Group, Kind, Level, State, Transition, Verdict
from alertd.store.tables import alerts, decisions, rules


@dataclass(frozen=True)
class Checked:
    """When a rule was last checked, and what came of it."""

    rule: str
    due_at: Instant
    as_of: Instant
    question: str
    evidence: Evidence
    reason: str
    missed: int
    failing_since: Instant | None


def load_checked(transaction: sa.Connection, rule: str | None = None) -> dict[str, Checked]:
    """The last check of a rule, or of every rule that was ever checked."""
    rows = transaction.execute(sa.select(rules) if rule is None else sa.select(rules).where(rules.c.rule == rule))
    return {row.rule: Checked(**(dict(row._mapping) | {"evidence": Evidence(row.evidence)})) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name


def save_checked(transaction: sa.Connection, checked: Checked) -> None:
    """Remember a rule's check."""
    values = {**vars(checked), "evidence": checked.evidence.value}
    if transaction.execute(sa.update(rules).where(rules.c.rule == checked.rule).values(values)).rowcount == 0:
        transaction.execute(sa.insert(rules).values(values))


def load_alerts(transaction: sa.Connection, rule: str | None = None) -> list[Alert]:
    """The alerts of a rule, or of all rules, that are not inactive."""
    query = sa.select(alerts) if rule is None else sa.select(alerts).where(alerts.c.rule == rule)
    return [
        Alert(
            rule=row.rule,
            group=Group.from_key(row.group),
            state=State(row.state),
            level=Level(row.level),
            since=row.since,
            held=row.held,
            cleared=row.cleared,
            unseen=row.unseen,
            judged_at=row.judged_at,
            value=row.value,
            peak=row.peak,
            conversations=row.conversations,
            examples=tuple(row.examples),
        )
        for row in transaction.execute(query)
    ]


def save_alerts(transaction: sa.Connection, moves: Sequence[Transition]) -> None:
    """Write the alerts that moved; an inactive one leaves no row."""
    moved = [move for move in moves if move.after != move.before]
    gone = [
        {"of_rule": move.before.rule, "of_group": move.before.group.key}
        for move in moved
        if move.before.state is not State.INACTIVE
    ]
    there = [_row(move.after) for move in moved if move.after.state is not State.INACTIVE]
    here = (alerts.c.rule == sa.bindparam("of_rule")) & (alerts.c.group == sa.bindparam("of_group"))
    if gone:
        transaction.execute(sa.delete(alerts).where(here), gone)
    if there:
        transaction.execute(sa.insert(alerts), there)


def forget_alerts(transaction: sa.Connection, rule: str) -> None:
    """Drop all alerts of a rule that is no more."""
    transaction.execute(sa.delete(alerts).where(alerts.c.rule == rule))
    transaction.execute(sa.delete(rules).where(rules.c.rule == rule))


def known_rules(transaction: sa.Connection) -> set[str]:
    """Rules that left something behind: a check or an alert."""
    return {*transaction.scalars(sa.select(rules.c.rule)), *transaction.scalars(sa.select(alerts.c.rule).distinct())}


@dataclass(frozen=True)
class Record:
    """One decision: a verdict, the move it made, and the kind of notice that came of it."""

    verdict: Verdict
    state: State
    change: Change
    told: Kind | None
    revision: str | None


def record(transaction: sa.Connection, records: Iterable[Record]) -> None:
    """Write decision records; one that decides the same as the last of its group only lengthens its span."""
    for batch in _batches(records):
        before, longer, new = _last_decisions(transaction, batch), list[dict[str, object]](), list[dict[str, object]]()
        for key, each in batch.items():
            values, last, end = _figures(each), before.get(key[1]), each.verdict.window.end
            if last is not None and not each.told and all(getattr(last, name) == values[name] for name in _SAME):
                longer.append(values | {"of_id": last.id, "last_at": end, "evaluations": last.evaluations + 1})
            else:
                new.append(values | {"first_at": end, "last_at": end, "evaluations": 1})
        if longer:
            transaction.execute(sa.update(decisions).where(decisions.c.id == sa.bindparam("of_id")), longer)
        if new:
            transaction.execute(sa.insert(decisions), new)


# Two decisions are the same if they agree in these; figures move all the time.
_SAME = ("evidence", "level", "state", "change", "told", "revision")


# Groups whose last decisions are looked up at once: the store's lock is held meanwhile, and 20,000 may be waiting.
_BATCH = 500

_Key: TypeAlias = tuple[str, str]  # rule, group


def _batches(records: Iterable[Record]) -> Iterator[dict[_Key, Record]]:
    """The records in turn, at most _BATCH at once, of one rule each, and no group twice."""
    batch: dict[_Key, Record] = {}
    for each in records:
        key = (each.verdict.rule, each.verdict.group.key)
        if batch and (len(batch) == _BATCH or key in batch or next(iter(batch))[0] != key[0]):
            yield batch
            batch = {}
        batch[key] = each
    if batch:
        yield batch


def _last_decisions(transaction: sa.Connection, keys: Iterable[_Key]) -> dict[str, sa.Row[Any]]:
    """The newest decision of each of these groups of one rule, by group."""
    found = list(keys)
    mine = (decisions.c.rule == found[0][0]) & decisions.c.group.in_([group for _, group in found])
    newest = sa.select(sa.func.max(decisions.c.id)).where(mine).group_by(decisions.c.group).scalar_subquery()
    return {row.group: row for row in transaction.execute(sa.select(decisions).where(decisions.c.id.in_(newest)))}


def _figures(each: Record) -> dict[str, object]:
    verdict = each.verdict
    return {
        "rule": verdict.rule,
        "group": verdict.group.key,
        "evidence": verdict.evidence.value,
        "level": verdict.level.value if verdict.level else None,
        "state": each.state.value,
        "change": each.change.value,
        "told": each.told.value if each.told else None,
        "value": verdict.value,
        "conversations": verdict.conversations,
        "entered": verdict.entered,
        "window_start": verdict.window.start,
        "window_end": verdict.window.end,
        "reason": verdict.reason,
        "revision": each.revision,
    }


def _row(alert: Alert) -> dict[str, object]:
    return {
        "rule": alert.rule,
        "group": alert.group.key,
        "state": alert.state.value,
        "level": alert.level.value,
        "since": alert.since,
        "held": alert.held,
        "cleared": alert.cleared,
        "unseen": alert.unseen,
        "judged_at": alert.judged_at,
        "value": alert.value,
        "peak": alert.peak,
        "conversations": alert.conversations,
        "examples": list(alert.examples),
    }
