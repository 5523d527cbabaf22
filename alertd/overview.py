"""How things stand, in one value: for `alertd status`, and for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alertd.clock import Instant, iso
from alertd.evaluation.ledger import Checked, load_alerts, load_checked
from alertd.facts import Alert, Evidence, State
from alertd.reporting.budget import BudgetState
from alertd.store.database import Database
from alertd.store.tables import deliveries, rulebooks

_DEAD_SHOWN = 20


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
    queued: int
    dead: int
    dead_letters: tuple[dict[str, Any], ...]  # the newest
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


def look(database: Database, budget: BudgetState, daemon: str | None) -> Overview:
    """Read it all in one transaction."""
    letters = sa.select(deliveries).where(deliveries.c.state == "dead").order_by(deliveries.c.id.desc()).limit(_DEAD_SHOWN)
    with database.read() as transaction:
        states = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
        counts = {str(row.state): int(row[1]) for row in transaction.execute(states)}
        rules = sorted(load_checked(transaction).values(), key=lambda each: each.rule)
        alerts = sorted(load_alerts(transaction), key=lambda each: (-each.level.rank, each.rule, each.group.key))
        dead = tuple(_letter(row) for row in transaction.execute(letters))
        book = transaction.execute(sa.select(rulebooks.c.revision, rulebooks.c.taken_at)).one_or_none()
    queued = counts.get("queued", 0) + counts.get("sending", 0)
    taken = Taken(book.revision, book.taken_at) if book else None
    return Overview(daemon, taken, tuple(rules), tuple(alerts), queued, counts.get("dead", 0), dead, budget)


def to_json(found: Overview) -> dict[str, Any]:
    """Write it as plain data."""
    budget = found.budget
    return {
        "daemon": found.daemon,
        "rulebook": {"revision": found.rulebook.revision, "taken_at": iso(found.rulebook.at)} if found.rulebook else None,
        "rules": [_rule(each) for each in found.rules],
        "alerts": [_alert(each) for each in found.alerts],
        "outbox": {"queued": found.queued, "dead": found.dead, "dead_letters": list(found.dead_letters)},
        "budget": {
            "calls_per_minute": budget.calls_per_minute,
            "reserve": budget.reserve,
            "in_use": budget.in_use,
            "withheld": budget.withheld,
            "blocked_for": budget.blocked_for,
            "free": budget.free,
        },
    }


def _rule(checked: Checked) -> dict[str, Any]:
    return {
        "rule": checked.rule,
        "as_of": iso(checked.as_of),
        "evidence": checked.evidence.value,
        "reason": checked.reason,
        "missed": checked.missed,
        "failing_since": iso(checked.failing_since) if checked.failing_since is not None else None,
    }


def _alert(alert: Alert) -> dict[str, Any]:
    return {
        "rule": alert.rule,
        "group": alert.group.to_json(),
        "state": alert.state.value,
        "level": alert.level.value,
        "since": iso(alert.since) if alert.since is not None else None,
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
    }
