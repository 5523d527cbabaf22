"""What the store knows of rules and alerts, and the decision record of every evaluation."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Change, Evidence, Group, Kind, Level, State, Transition, Verdict, Window
from alertd.store.tables import alerts, decisions, rules


class Written(sa.types.UserDefinedType[str]):
    """JSON that is a text already."""

    cache_ok = True


# Statements are put together once: that takes SQLAlchemy longer than running them.
_OF = sa.bindparam("of_rule", type_=sa.String)
_OF_RULES = sa.bindparam("of_rules", type_=sa.String, expanding=True)
_OF_GROUP = sa.bindparam("of_group", type_=sa.String)
_TRAIL = sa.bindparam("its_trail", type_=Written)
_ALL_CHECKED = sa.select(*(column for column in rules.c if column is not rules.c.trail))
_CHECKED = _ALL_CHECKED.add_columns(sa.cast(rules.c.trail, sa.Text).label("trail")).where(rules.c.rule.in_(_OF_RULES))
_FAILING = _ALL_CHECKED.where(rules.c.failing_since.is_not(None))
_CHECK_AGAIN = sa.update(rules).where(rules.c.rule == _OF).values(trail=_TRAIL)
_CHECK_FIRST = sa.insert(rules).values(trail=_TRAIL)
_ALL_ALERTS = sa.select(alerts)
_ALERTS = _ALL_ALERTS.where(alerts.c.rule.in_(_OF_RULES))
_ALIVE = sa.select(alerts.c.rule, alerts.c.group)
_ITS_ALERT = (alerts.c.rule == _OF) & (alerts.c.group == _OF_GROUP)
_STAYS = sa.update(alerts).where(_ITS_ALERT)
_ENDS = sa.delete(alerts).where(_ITS_ALERT)
_NO_ALERTS = sa.delete(alerts).where(alerts.c.rule == _OF)
_NOT_CHECKED = sa.delete(rules).where(rules.c.rule == _OF)
_FIRES = sa.insert(alerts)
_DECIDED = sa.insert(decisions)
_KNOWN = (sa.select(rules.c.rule), sa.select(alerts.c.rule).distinct())
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
    .where((decisions.c.rule == _OF) & (decisions.c.group == _OF_GROUP))
    .order_by(decisions.c.id.desc())
    .limit(1)
)
# Of each rule the end of the index: to group by rule would read all of it.
_OLDER = sa.alias(decisions)
_NEWEST_OF_WHOLE = sa.select(
    sa.select(sa.func.max(_OLDER.c.id)).where((_OLDER.c.rule == rules.c.rule) & (_OLDER.c.group == "")).scalar_subquery()
).where(rules.c.rule.in_(_OF_RULES))
_LAST_OF_WHOLE = sa.select(decisions).where(decisions.c.id.in_(_NEWEST_OF_WHOLE))


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
    trail: str | None = None  # of a rule without groups: its newest values, see `notices.trails`


def load_checked(transaction: sa.Connection, *names: str) -> dict[str, Checked]:
    """The last check of these rules; or of every rule that was ever checked, then without their trails."""
    if not names:
        return {row.rule: _as_checked(row) for row in transaction.execute(_ALL_CHECKED)}
    return {row.rule: _as_checked(row, row.trail) for row in transaction.execute(_CHECKED, {"of_rules": names})}


def load_failing(transaction: sa.Connection) -> dict[str, Checked]:
    """The last check of every rule that had no evidence then, without its trail."""
    return {row.rule: _as_checked(row) for row in transaction.execute(_FAILING)}


def _as_checked(row: sa.Row[Any], trail: str | None = None) -> Checked:
    return Checked(
        row.rule, row.due_at, row.as_of, row.question, Evidence(row.evidence), row.reason, row.missed, row.failing_since, trail
    )


def save_checked(transaction: sa.Connection, checks: Iterable[Checked], known: Container[str]) -> None:
    """Remember checks of different rules; `known` are rules that have been checked before."""
    again, first = list[dict[str, object]](), list[dict[str, object]]()
    for each in checks:
        values = {**vars(each), "evidence": each.evidence.value}
        values["its_trail"] = values.pop("trail")
        if each.rule in known:
            again.append({"of_rule": values.pop("rule")} | values)
        else:
            first.append(values)
    if again:
        transaction.execute(_CHECK_AGAIN, again)
    if first:
        transaction.execute(_CHECK_FIRST, first)


def load_alerts(transaction: sa.Connection, *names: str) -> list[Alert]:
    """The alerts of these rules, or of all rules, that are not inactive."""
    rows = transaction.execute(_ALERTS, {"of_rules": names}) if names else transaction.execute(_ALL_ALERTS)
    return [_alert(row) for row in rows]


def alive(transaction: sa.Connection, rules: Sequence[str]) -> dict[str, frozenset[int]]:
    """The ids of the groups that have an alert, by rule; of rules whose groups are single conversations."""
    found: dict[str, set[int]] = {}
    for row in transaction.execute(_ALIVE) if rules else ():
        group = Group.from_key(row.group)
        if row.rule in rules and group.id is not None:
            found.setdefault(row.rule, set()).add(group.id)
    return {rule: frozenset(ids) for rule, ids in found.items()}


def save_alerts(transaction: sa.Connection, moves: Iterable[Transition]) -> None:
    """Write the alerts that moved; an inactive one leaves no row."""
    stays, ends, starts = list[dict[str, object]](), list[dict[str, object]](), list[dict[str, object]]()
    for move in moves:
        rule, group, there = move.after.rule, move.after.group.key, move.after.state is not State.INACTIVE
        if move.before.state is State.INACTIVE and there:
            starts.append({"rule": rule, "group": group} | _figures_of(move.after))
        elif there and move.after != move.before:
            stays.append({"of_rule": rule, "of_group": group} | _figures_of(move.after))
        elif move.before.state is not State.INACTIVE and not there:
            ends.append({"of_rule": rule, "of_group": group})
    for statement, rows in ((_ENDS, ends), (_STAYS, stays), (_FIRES, starts)):
        if rows:
            transaction.execute(statement, rows)


def forget_alerts(transaction: sa.Connection, rule: str) -> None:
    """Drop all alerts of a rule that is no more."""
    transaction.execute(_NO_ALERTS, {"of_rule": rule})
    transaction.execute(_NOT_CHECKED, {"of_rule": rule})


def known_rules(transaction: sa.Connection) -> set[str]:
    """Rules that left something behind: a check or an alert."""
    return {rule for each in _KNOWN for rule in transaction.scalars(each)}


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
    """Write decision records; one that decides the same as the last of its group only lengthens its span.

    Where they are of several rules, each of those has been checked.
    """
    for batch in _batches(records):
        before, longer, new = _last_decisions(transaction, list(batch)), list[dict[str, object]](), list[dict[str, object]]()
        for key, each in batch.items():
            same, last, end = _same(each), before.get(key), each.verdict.as_of
            if last is not None and not each.told and all(getattr(last, name) == value for name, value in same.items()):
                longer.append(_figures(each) | {"of_id": last.id, "last_at": end, "evaluations": last.evaluations + 1})
            else:
                its = {"rule": key[0], "group": key[1], "first_at": end, "last_at": end, "evaluations": 1}
                new.append(its | same | _figures(each))
        if longer:
            transaction.execute(_LONGER, longer if len(longer) > 1 else longer[0])
        if new:
            transaction.execute(_DECIDED, new)


# Groups whose last decisions are looked up at once: the store's lock is held meanwhile, and 20,000 may be waiting.
_BATCH = 500

_Key: TypeAlias = tuple[str, str]  # rule, group


def _batches(records: Iterable[Record]) -> Iterator[dict[_Key, Record]]:
    """The records in turn, at most _BATCH at once, no group twice, and of one rule each; or of rules that have one group."""
    whole = dict[_Key, Record]()
    for rule, each in groupby(records, key=lambda each: each.verdict.rule):
        mine = list(each)
        if len(mine) == 1 and not mine[0].verdict.group.key and len(whole) < _BATCH and (rule, "") not in whole:
            whole[rule, ""] = mine[0]
            continue
        batch: dict[_Key, Record] = {}
        for one in mine:
            key = (rule, one.verdict.group.key)
            if len(batch) == _BATCH or key in batch:
                yield batch
                batch = {}
            batch[key] = one
        yield batch
    if whole:
        yield whole


def _last_decisions(transaction: sa.Connection, keys: Sequence[_Key]) -> Mapping[_Key, sa.Row[Any]]:
    """The newest decision of each of these groups of one rule, or of several rules that have one."""
    if len(keys) == 1:
        rows = transaction.execute(_LAST_OF_ONE, {"of_rule": keys[0][0], "of_group": keys[0][1]})
    elif keys[0][0] == keys[1][0]:
        rows = transaction.execute(_LAST, {"of_rule": keys[0][0], "of_groups": [group for _, group in keys]})
    else:
        rows = transaction.execute(_LAST_OF_WHOLE, {"of_rules": [rule for rule, _ in keys]})
    return {(row.rule, row.group): row for row in rows}


def _same(each: Record) -> dict[str, object]:
    """Two decisions are the same if they agree in these."""
    verdict = each.verdict
    return {
        "evidence": verdict.evidence.value,
        "level": verdict.level.value if verdict.level else None,
        "state": each.state.value,
        "change": each.change.value,
        "told": each.told.value if each.told else None,
        "untold": each.untold,
        "revision": each.revision,
    }


def _figures(each: Record) -> dict[str, object]:
    """What moves all the time."""
    verdict = each.verdict
    return {
        "value": verdict.value,
        "measured": verdict.measured,
        "reference": verdict.reference,
        "conversations": verdict.conversations,
        "entered": verdict.entered,
        "window_start": verdict.window.start,
        "window_end": verdict.window.end,
        "reason": verdict.reason,
    }


def _alert(row: sa.Row[Any]) -> Alert:
    return Alert(
        rule=row.rule, group=Group.from_key(row.group), state=State(row.state), level=Level(row.level), since=row.since,
        held=row.held, cleared=row.cleared, unseen=row.unseen, judged_at=row.judged_at, value=row.value, peak=row.peak,
        conversations=row.conversations, examples=tuple(row.examples), measured=row.measured, reference=row.reference,
        limit=row.limit,
    )  # fmt: skip


def _figures_of(alert: Alert) -> dict[str, object]:
    return {
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
        id=row.id, rule=row.rule, group=Group.from_key(row.group), first_at=row.first_at, last_at=row.last_at,
        evaluations=row.evaluations, evidence=Evidence(row.evidence), level=Level(row.level) if row.level else None,
        state=State(row.state), change=row.change, told=row.told, untold=row.untold, value=row.value, measured=row.measured,
        reference=row.reference, conversations=row.conversations, entered=row.entered,
        window=Window(row.window_start, row.window_end), reason=row.reason, revision=row.revision,
    )  # fmt: skip
