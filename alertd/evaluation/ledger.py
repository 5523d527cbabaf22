"""What the store knows of rules and alerts, and the decision record of every evaluation."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Change, Evidence, Group, Kind, Level, State, Transition, Verdict, Window
from alertd.store.tables import alerts, decisions, rules

# Statements are put together once: that takes SQLAlchemy longer than running them.
_OF = sa.bindparam("of_rule", type_=sa.String)
_CHECKED = sa.select(rules).where(rules.c.rule == _OF)
_CHECK_AGAIN = sa.update(rules).where(rules.c.rule == _OF)
_ALERTS = sa.select(alerts).where(alerts.c.rule == _OF)
_GONE = sa.delete(alerts).where((alerts.c.rule == _OF) & (alerts.c.group == sa.bindparam("of_group")))
_LONGER = sa.update(decisions).where(decisions.c.id == sa.bindparam("of_id"))
_NEWEST = (
    sa.select(sa.func.max(decisions.c.id))
    .where((decisions.c.rule == _OF) & decisions.c.group.in_(sa.bindparam("of_groups", expanding=True)))
    .group_by(decisions.c.group)
    .scalar_subquery()
)
_LAST = sa.select(decisions).where(decisions.c.id.in_(_NEWEST))
_LAST_OF_ONE = (
    sa.select(decisions)
    .where((decisions.c.rule == _OF) & (decisions.c.group == sa.bindparam("of_group")))
    .order_by(decisions.c.id.desc())
    .limit(1)
)


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
    rows = transaction.execute(sa.select(rules)) if rule is None else transaction.execute(_CHECKED, {"of_rule": rule})
    return {row.rule: Checked(**(dict(row._mapping) | {"evidence": Evidence(row.evidence)})) for row in rows}  # noqa: SLF001 - SQLAlchemy's public name


def save_checked(transaction: sa.Connection, checked: Checked) -> None:
    """Remember a rule's check."""
    values = {**vars(checked), "evidence": checked.evidence.value}
    if transaction.execute(_CHECK_AGAIN, values | {"of_rule": checked.rule}).rowcount == 0:
        transaction.execute(sa.insert(rules).values(values))


def load_alerts(transaction: sa.Connection, rule: str | None = None) -> list[Alert]:
    """The alerts of a rule, or of all rules, that are not inactive."""
    rows = transaction.execute(sa.select(alerts)) if rule is None else transaction.execute(_ALERTS, {"of_rule": rule})
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
            measured=row.measured,
            reference=row.reference,
            limit=row.limit,
        )
        for row in rows
    ]


def alive(transaction: sa.Connection, rules: Sequence[str]) -> dict[str, frozenset[int]]:
    """The ids of the groups that have an alert, by rule; of rules whose groups are single conversations."""
    found: dict[str, set[int]] = {}
    query = sa.select(alerts.c.rule, alerts.c.group)
    for row in transaction.execute(query) if rules else ():
        group = Group.from_key(row.group)
        if row.rule in rules and group.id is not None:
            found.setdefault(row.rule, set()).add(group.id)
    return {rule: frozenset(ids) for rule, ids in found.items()}


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
    untold: str | None = None  # why there is no notice although there would be one


def record(transaction: sa.Connection, records: Iterable[Record]) -> None:
    """Write decision records; one that decides the same as the last of its group only lengthens its span."""
    for batch in _batches(records):
        before, longer, new = _last_decisions(transaction, batch), list[dict[str, object]](), list[dict[str, object]]()
        for key, each in batch.items():
            values, last, end = _figures(each), before.get(key[1]), each.verdict.as_of
            if last is not None and not each.told and all(getattr(last, name) == values[name] for name in _SAME):
                longer.append(values | {"of_id": last.id, "last_at": end, "evaluations": last.evaluations + 1})
            else:
                new.append(values | {"first_at": end, "last_at": end, "evaluations": 1})
        if longer:
            transaction.execute(_LONGER, longer if len(longer) > 1 else longer[0])
        if new:
            transaction.execute(sa.insert(decisions), new)


# Two decisions are the same if they agree in these; figures move all the time.
_SAME = ("evidence", "level", "state", "change", "told", "untold", "revision")


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
    if len(found) == 1:
        rows = transaction.execute(_LAST_OF_ONE, {"of_rule": found[0][0], "of_group": found[0][1]})
    else:
        rows = transaction.execute(_LAST, {"of_rule": found[0][0], "of_groups": [group for _, group in found]})
    return {row.group: row for row in rows}


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
        "untold": each.untold,
        "value": verdict.value,
        "measured": verdict.measured,
        "reference": verdict.reference,
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
        "measured": alert.measured,
        "reference": alert.reference,
        "limit": alert.limit,
    }


@dataclass(frozen=True)
class Decided:
    """One decision record: what so many equal checks in a row made of a group. The figures are those of the last of them."""

    id: int
    rule: str
    group: Group
    first_at: Instant
    last_at: Instant
    evaluations: int
    evidence: Evidence
    level: Level | None
    state: State
    change: str  # a Change, in the words of the version that wrote it
    told: str | None
    untold: str | None
    value: float | None
    measured: float | None
    reference: float | None
    conversations: int
    entered: int
    window: Window
    reason: str
    revision: str | None


def load_decided(
    transaction: sa.Connection, rule: str, groups: Collection[str], until: Instant | None, count: int
) -> list[Decided]:
    """The last records of these groups of a rule, those that had begun by then; the oldest first."""
    mine = (decisions.c.rule == rule) & decisions.c.group.in_(groups)
    query = sa.select(decisions).where(mine, _begun(until)).order_by(decisions.c.id.desc()).limit(count)
    return [_decided(row) for row in reversed(transaction.execute(query).all())]


def newest_decided(transaction: sa.Connection, rule: str, until: Instant | None) -> list[Decided]:
    """The newest record of each group of a rule, of those that had begun by then."""
    newest = sa.select(sa.func.max(decisions.c.id)).where(decisions.c.rule == rule, _begun(until)).group_by(decisions.c.group)
    query = sa.select(decisions).where(decisions.c.id.in_(newest.scalar_subquery())).order_by(decisions.c.group)
    return [_decided(row) for row in transaction.execute(query)]


def decided_between(transaction: sa.Connection, rule: str, after: Instant, until: Instant, count: int) -> list[Decided]:
    """Records of any group of a rule that have a part between the two instants, both excluded; the newest so many."""
    within = (decisions.c.rule == rule) & (decisions.c.last_at > after) & (decisions.c.first_at < until)
    query = sa.select(decisions).where(within).order_by(decisions.c.id.desc()).limit(count)
    return [_decided(row) for row in transaction.execute(query)]


def decided_rules(transaction: sa.Connection) -> set[str]:
    """Rules of which there are records, those that are no more included."""
    return set(transaction.scalars(sa.select(decisions.c.rule).distinct()))


def _begun(until: Instant | None) -> sa.ColumnElement[bool]:
    return sa.true() if until is None else decisions.c.first_at <= until


def _decided(row: sa.Row[Any]) -> Decided:
    return Decided(
        id=row.id,
        rule=row.rule,
        group=Group.from_key(row.group),
        first_at=row.first_at,
        last_at=row.last_at,
        evaluations=row.evaluations,
        evidence=Evidence(row.evidence),
        level=Level(row.level) if row.level else None,
        state=State(row.state),
        change=row.change,
        told=row.told,
        untold=row.untold,
        value=row.value,
        measured=row.measured,
        reference=row.reference,
        conversations=row.conversations,
        entered=row.entered,
        window=Window(row.window_start, row.window_end),
        reason=row.reason,
        revision=row.revision,
    )
