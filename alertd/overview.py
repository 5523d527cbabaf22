"""How things stand, in one value: for `alertd status`, and for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alertd.clock import DAY, Duration, Instant, iso
from alertd.evaluation.ledger import Checked, load_alerts, load_checked
from alertd.facts import Alert, Evidence, State
from alertd.notices.incidents import Incident, as_incident
from alertd.notices.letters import given_up
from alertd.notices.silences import Silence, active
from alertd.reporting.budget import BudgetState
from alertd.store.database import Database
from alertd.store.tables import deliveries, incidents, rulebooks

_SHOWN = 20

# What people should know of a message that was sent, such as an address that was refused, is shown for so long.
_WARNED: Duration = DAY

_LATER = deliveries.alias()


def _alike(which: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """The newest of those that have the same error, with how many there are of each.

    What follows a dead message dies with it: one line for all of them, or they would hide what it died of.
    """
    found = sa.select(sa.func.max(deliveries.c.id).label("newest"), sa.func.count().label("alike")).where(which)
    newest = found.group_by(deliveries.c.receiver, deliveries.c.via, deliveries.c.error).subquery()
    joined = sa.select(deliveries, newest.c.alike).join(newest, deliveries.c.id == newest.c.newest)
    return joined.order_by(deliveries.c.id.desc()).limit(_SHOWN)


# Statements are put together once: that takes SQLAlchemy longer than running them.
_STATE = sa.case((given_up(), "given up"), else_=deliveries.c.state).label("state")
_COUNTS = sa.select(_STATE, sa.func.count()).group_by(_STATE)
_LETTERS = _alike((deliveries.c.state == "dead") & ~given_up())
# Not where a later message went through without one: then it was mended.
_WARNINGS = _alike(
    (deliveries.c.state == "sent")
    & deliveries.c.error.is_not(None)
    & (deliveries.c.due_at > sa.bindparam("since", type_=sa.BigInteger))
    & ~sa.exists().where(
        _LATER.c.state == "sent",
        _LATER.c.due_at > sa.bindparam("since", type_=sa.BigInteger),
        _LATER.c.via == deliveries.c.via,
        _LATER.c.id > deliveries.c.id,
        _LATER.c.error.is_(None),
    )
)


@dataclass(frozen=True)
class Taken:
    """Which rulebook runs, and since when."""

    revision: str | None
    at: Instant


@dataclass(frozen=True)
class Overview:
    """What the store tells at one moment."""

    daemon: str | None  # the process that runs, if one does
    rulebook: Taken | None  # the last good one; None if none ever was
    rules: tuple[Checked, ...]
    alerts: tuple[Alert, ...]
    incidents: tuple[Incident, ...]  # those that are open, the worst first
    silences: tuple[Silence, ...]  # those that hold, the one that holds longest first
    queued: int
    dead: int  # without those that somebody has given up
    dead_letters: tuple[dict[str, Any], ...]  # the newest of those that died of the same, with how many there are
    warnings: tuple[dict[str, Any], ...]  # the same of those that were sent lately, not quite as they should
    budget: BudgetState

    @property
    def firing(self) -> tuple[Alert, ...]:
        """Alerts that people count as going on."""
        return tuple(alert for alert in self.alerts if alert.fires)

    @property
    def pending(self) -> tuple[Alert, ...]:
        """Alerts that are over their limit, not yet for long enough."""
        return tuple(alert for alert in self.alerts if alert.state is State.PENDING)

    @property
    def failing(self) -> tuple[Checked, ...]:
        """Rules that could not be judged when they were last checked."""
        return tuple(each for each in self.rules if each.evidence in (Evidence.ERROR, Evidence.STALE))


def look(database: Database, budget: BudgetState, daemon: str | None, at: Instant) -> Overview:
    """Read it all in one transaction; `at` is now."""
    with database.read() as transaction:
        counts = {str(row.state): int(row[1]) for row in transaction.execute(_COUNTS)}
        rules = sorted(load_checked(transaction).values(), key=lambda each: each.rule)
        alerts = sorted(load_alerts(transaction), key=lambda each: (-each.level.rank, each.rule, each.group.key))
        opened, silenced = open_incidents(transaction), active(transaction, at)
        dead = tuple(_letter(row) for row in transaction.execute(_LETTERS))
        warned = tuple(_letter(row) for row in transaction.execute(_WARNINGS, {"since": at - _WARNED}))
        book = transaction.execute(sa.select(rulebooks.c.revision, rulebooks.c.taken_at)).one_or_none()
    queued = counts.get("queued", 0) + counts.get("sending", 0)
    taken = Taken(book.revision, book.taken_at) if book else None
    lost = counts.get("dead", 0)
    return Overview(daemon, taken, tuple(rules), tuple(alerts), opened, silenced, queued, lost, dead, warned, budget)


def open_incidents(transaction: sa.Connection) -> tuple[Incident, ...]:
    """The incidents that go on, the worst first, of those that are alike the oldest."""
    found = map(as_incident, transaction.execute(sa.select(incidents).where(incidents.c.closed_at.is_(None))))
    return tuple(sorted(found, key=lambda each: (-each.level.rank, each.id)))


def about(silence: Silence) -> str:
    """What is silenced, in short: `slow-agent lastAgentId=7`, `team=support`, `everything`."""
    labels = (f"{name}={value}" for name, value in silence.labels.items())
    return " ".join([*filter(None, (silence.rule, silence.group)), *labels]) or "everything"


def to_json(found: Overview) -> dict[str, Any]:
    """Write it as plain data."""
    budget = found.budget
    return {
        "daemon": found.daemon,
        "rulebook": {"revision": found.rulebook.revision, "taken_at": iso(found.rulebook.at)} if found.rulebook else None,
        "rules": [_rule(each) for each in found.rules],
        "alerts": [_alert(each) for each in found.alerts],
        "incidents": [incident_to_json(each) for each in found.incidents],
        "silences": [silence_to_json(each) for each in found.silences],
        "outbox": {
            "queued": found.queued,
            "dead": found.dead,
            "dead_letters": list(found.dead_letters),
            "warnings": list(found.warnings),
        },
        "budget": {
            "calls_per_minute": budget.calls_per_minute,
            "reserve": budget.reserve,
            "in_use": budget.in_use,
            "withheld": budget.withheld,
            "blocked_for": budget.blocked_for,
            "free": budget.free,
        },
    }


def incident_to_json(incident: Incident) -> dict[str, Any]:
    """Write an incident as plain data."""
    return {
        "incident": incident.id,
        "rule": incident.rule,
        "level": incident.level.value,
        "worst": incident.worst.value,
        "opened_at": iso(incident.opened_at),
        "acknowledged_by": incident.acknowledged_by,
        "acknowledged_at": _moment(incident.acknowledged_at),
        "escalated_at": _moment(incident.escalated_at),
        "muted": incident.muted,
    }


def silence_to_json(silence: Silence) -> dict[str, Any]:
    """Write a silence as plain data."""
    return {
        "silence": silence.id,
        "rule": silence.rule,
        "group": silence.group,
        "labels": dict(silence.labels),
        "from": iso(silence.start),
        "until": iso(silence.until),
        "by": silence.author,
        "comment": silence.comment,
    }


def _moment(at: Instant | None) -> str | None:
    return iso(at) if at is not None else None


def _rule(checked: Checked) -> dict[str, Any]:
    return {
        "rule": checked.rule,
        "as_of": iso(checked.as_of),
        "evidence": checked.evidence.value,
        "reason": checked.reason,
        "missed": checked.missed,
        "failing_since": _moment(checked.failing_since),
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "group": alert.group.to_json(),
        "state": alert.state.value,
        "level": alert.level.value,
        "since": _moment(alert.since),
        "value": alert.value,
        "conversations": alert.conversations,
    }


def _letter(row: sa.Row[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "incident": row.incident,
        "receiver": row.receiver,
        "via": row.via,
        "kind": row.kind,
        "attempts": row.attempts,
        "error": row.error,
        "alike": row.alike,
    }
