"""One delivery: a row of the outbox that somebody has claimed, and where it goes when its receiver is dead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Kind
from alertd.notice import Notice, from_json
from alertd.store.tables import deliveries

UNREADABLE = "its notice cannot be read; it was written by another version of alertd, or changed by hand"


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
    receipt: Mapping[str, str] | None = None  # what an attempt that failed had done already
    told_at: Instant | None = None  # told in a digest: only its incident's own message is still to be edited


def from_row(row: sa.Row[Any], lease: str) -> Delivery:
    """The delivery of a row that has just been claimed with that lease, with the body of its notice."""
    # A lease that has run out belonged to somebody who may have sent it: whoever repeats it says so.
    ambiguous = bool(row.ambiguous) or row.state == "sending"
    return Delivery(
        id=row.id,
        notice=from_json(row.body),
        receiver=row.receiver,
        via=row.via,
        kind=Kind(row.kind),
        key=row.key,
        attempts=row.attempts + 1,
        queued_at=row.queued_at,
        ambiguous=ambiguous,
        lease=lease,
        receipt=row.receipt,
        told_at=row.told_at,
    )


def readable(row: sa.Row[Any]) -> bool:
    """Whether the notice of a row, which has its body, can be understood."""
    try:
        from_json(row.body)
        Kind(row.kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


def redirect(transaction: sa.Connection, delivery: Delivery, fallback: str, now: Instant) -> bool:
    """Send a dead delivery, and what is queued of its story, to the fallback receiver, unless that is told anyway.

    A report is a story of its own. False if the delivery itself stays dead.
    """
    report = delivery.notice.incident is None
    same = deliveries.c.notice == _notice_of(delivery) if report else deliveries.c.incident == delivery.notice.incident
    story = same & (deliveries.c.receiver == delivery.receiver)
    rest = ((deliveries.c.id == delivery.id) | (deliveries.c.state == "queued")) & deliveries.c.told_at.is_(None)
    there = same & (deliveries.c.via == fallback)
    told = sa.select(deliveries.c.notice).where(there).scalar_subquery()
    silent = deliveries.c.kind == Kind.REFRESHED.value
    values = {"via": fallback, "state": "queued", "due_at": now, "queued_at": now, "attempts": 0, "ambiguous": False}
    values |= {"digest": None, "receipt": None}
    moved = sa.update(deliveries).where(story, rest, ~silent, deliveries.c.notice.not_in(told))
    transaction.execute(moved.values(values))
    return transaction.scalar(sa.select(deliveries.c.state).where(deliveries.c.id == delivery.id)) == "queued"


def bury(transaction: sa.Connection, delivery: Delivery) -> None:
    """With an opening that reaches nobody dies what is queued of its story: nobody hears the end of what never began (I4)."""
    if delivery.kind not in (Kind.OPENED, Kind.ESCALATED) or delivery.notice.incident is None:
        return
    story = (deliveries.c.incident == delivery.notice.incident) & (deliveries.c.receiver == delivery.receiver)
    heard = sa.exists(sa.select(deliveries.c.id).where(story, deliveries.c.state == "sent", deliveries.c.id < delivery.id))
    if delivery.kind is Kind.ESCALATED and transaction.scalar(sa.select(heard)):
        return  # it was told of the opening before
    later = story & (deliveries.c.id > delivery.id)
    again = transaction.scalar(sa.select(sa.func.min(deliveries.c.id)).where(later, deliveries.c.kind == Kind.OPENED.value))
    rest = later & (deliveries.c.state == "queued") & (sa.true() if again is None else deliveries.c.id < again)
    values = {"state": "dead", "error": "the message that it follows reached nobody"}
    transaction.execute(sa.update(deliveries).where(rest).values(values))


def _notice_of(delivery: Delivery) -> sa.ScalarSelect[int]:
    mine = deliveries.alias("mine")
    return sa.select(mine.c.notice).where(mine.c.id == delivery.id).scalar_subquery()


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
