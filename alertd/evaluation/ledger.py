"""What the store knows of rules and alerts, and the decision record of every evaluation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    for move in moves:
        if move.after == move.before:
            continue
        here = (alerts.c.rule == move.after.rule) & (alerts.c.group == move.after.group.key)
        if move.before.state is not State.INACTIVE:
            transaction.execute(sa.delete(alerts).where(here))
        if move.after.state is not State.INACTIVE:
            transaction.execute(sa.insert(alerts).values(_row(move.after)))


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
    for each in records:
        values = _figures(each)
        last = _last_decision(transaction, each.verdict)
        if last is not None and not each.told and all(getattr(last, name) == values[name] for name in _SAME):
            span = {"last_at": each.verdict.window.end, "evaluations": last.evaluations + 1}
            transaction.execute(sa.update(decisions).where(decisions.c.id == last.id).values(values | span))
        else:
            first = {"first_at": each.verdict.window.end, "last_at": each.verdict.window.end, "evaluations": 1}
            transaction.execute(sa.insert(decisions).values(values | first))


# Two decisions are the same if they agree in these; figures move all the time.
_SAME = ("evidence", "level", "state", "change", "told", "revision")


def _last_decision(transaction: sa.Connection, verdict: Verdict) -> sa.Row[tuple[object, ...]] | None:
    mine = (decisions.c.rule == verdict.rule) & (decisions.c.group == verdict.group.key)
    return transaction.execute(sa.select(decisions).where(mine).order_by(decisions.c.id.desc()).limit(1)).one_or_none()


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
