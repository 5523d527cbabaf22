"""What was told: an incident with its notices, and what became of each of their deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Level
from alertd.notice import Notice, from_json
from alertd.store.tables import deliveries, incidents, notices

# Notices of one incident that are read; the newest of them.
_MOST = 200


@dataclass(frozen=True)
class Delivered:
    """One delivery as it stands."""

    receiver: str
    via: str  # where it is sent: the receiver itself, or the fallback in its place
    kind: str
    state: str
    attempts: int
    due_at: Instant
    error: str | None
    sent_at: Instant | None


@dataclass(frozen=True)
class Told:
    """One notice: whom it was for, and what became of that. Without deliveries nobody was told."""

    notice: Notice
    deliveries: tuple[Delivered, ...]

    def names(self, group: str) -> bool:
        """Whether it lists that group, given as its key."""
        return any(group == (f"{each.by}={each.id}" if each.by else "") for each in self.notice.groups)


@dataclass(frozen=True)
class Episode:
    """An incident, or the reports of a rule, which belong to none."""

    told: tuple[Told, ...]  # the oldest first
    number: int | None = None
    opened_at: Instant | None = None
    closed_at: Instant | None = None
    level: Level | None = None  # now, or when it was closed
    muted: str | None = None
    told_at: Instant | None = None
    escalated_at: Instant | None = None
    acknowledged_at: Instant | None = None
    acknowledged_by: str | None = None

    def goes_on(self, at: Instant) -> bool:
        """Whether it was open at that moment."""
        return self.closed_at is None or self.closed_at > at


def load_episode(transaction: sa.Connection, rule: str, at: Instant) -> Episode | None:
    """The newest incident of a rule that had begun by then, with all that was told of it."""
    # One that was opened again has the date of that; its first notice knows when it began.
    told = sa.exists().where(notices.c.incident == incidents.c.id, notices.c.at <= at)
    query = sa.select(incidents).where(incidents.c.rule == rule, (incidents.c.opened_at <= at) | told)
    row = transaction.execute(query.order_by(incidents.c.id.desc()).limit(1)).one_or_none()
    if row is None:
        return None
    return Episode(
        told=_told(transaction, notices.c.incident == row.id, _MOST),
        number=row.id,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        level=Level(row.level),
        muted=row.muted,
        told_at=row.told_at,
        escalated_at=row.escalated_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
    )


def load_reports(transaction: sa.Connection, rule: str, at: Instant, count: int) -> Episode | None:
    """The newest reports of a rule up to then."""
    mine = notices.c.incident.is_(None) & (notices.c.at <= at)
    mine &= notices.c.body.contains(f'"rule":"{rule}"', autoescape=True)
    found = [each for each in _told(transaction, mine, count) if each.notice.rule == rule]
    return Episode(tuple(found)) if found else None


def _told(transaction: sa.Connection, which: sa.ColumnElement[bool], count: int) -> tuple[Told, ...]:
    rows = transaction.execute(sa.select(notices).where(which).order_by(notices.c.id.desc()).limit(count)).all()[::-1]
    by_notice = _deliveries(transaction, [row.id for row in rows])
    return tuple(Told(from_json(row.body), tuple(by_notice.get(row.id, ()))) for row in rows)


def _deliveries(transaction: sa.Connection, numbers: Sequence[int]) -> dict[int, list[Delivered]]:
    found = dict[int, list[Delivered]]()
    query = sa.select(deliveries).where(deliveries.c.notice.in_(numbers)).order_by(deliveries.c.id)
    for row in transaction.execute(query) if numbers else ():
        delivered = Delivered(row.receiver, row.via, row.kind, row.state, row.attempts, row.due_at, row.error, row.sent_at)
        found.setdefault(row.notice, []).append(delivered)
    return found
