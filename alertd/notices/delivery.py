"""One delivery: a row of the outbox that somebody has claimed, and where it goes when its receiver is dead."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Kind
from alertd.notices.notice import Notice
from alertd.store.tables import deliveries


@dataclass(frozen=True)
class Delivery:
    """One claimed row of the outbox."""

    id: int
    notice: Notice
    receiver: str
    via: str
    kind: Kind
    key: str
    attempts: int
    queued_at: Instant
    ambiguous: bool
    lease: str


def redirect(transaction: sa.Connection, delivery: Delivery, fallback: str, now: Instant) -> None:
    """Send a dead delivery, and what is queued of its story, to the fallback receiver, unless that is told anyway."""
    story = (deliveries.c.incident == delivery.notice.incident) & (deliveries.c.receiver == delivery.receiver)
    rest = (deliveries.c.id == delivery.id) | (deliveries.c.state == "queued")
    there = (deliveries.c.incident == delivery.notice.incident) & (deliveries.c.via == fallback)
    told = sa.select(deliveries.c.notice).where(there).scalar_subquery()
    silent = deliveries.c.kind == Kind.REFRESHED.value
    values = {"via": fallback, "state": "queued", "due_at": now, "queued_at": now, "attempts": 0, "ambiguous": False}
    moved = sa.update(deliveries).where(story, rest, ~silent, deliveries.c.notice.not_in(told))
    transaction.execute(moved.values(values))


def facts(delivery: Delivery) -> dict[str, object]:
    """What a log line says of a delivery."""
    return {
        "delivery": delivery.id,
        "rule": delivery.notice.rule,
        "incident": delivery.notice.incident,
        "kind": delivery.kind.value,
        "receiver": delivery.receiver,
        "via": delivery.via,
    }
