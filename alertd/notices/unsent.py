"""What the outbox says of sending as a whole: how much waits for how long, what reached nobody, whom nothing reaches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import DAY, HOUR, Duration, Instant
from alertd.facts import Kind
from alertd.notices.letters import given_up
from alertd.store.tables import deliveries

# Messages that reached nobody are a trouble for this long; they stay in `alertd status`.
RECENT: Duration = HOUR

# A receiver whose last message did not arrive, and which was sent nothing since, counts as broken for this long.
REMEMBERED: Duration = DAY

_SINCE = sa.bindparam("since", type_=sa.BigInteger)
_DEAD = (deliveries.c.state == "dead") & ~given_up()

_SENT = sa.alias(deliveries)


def _last_sent(troubled: sa.ColumnElement[bool], *taken: sa.ColumnElement[bool]) -> sa.Subquery:
    """The receivers of these, each with the number of the last that it was sent; 0: none.

    Looked up once for each receiver. Row by row it took minutes, during which SQLite's readers let nobody write.
    """
    last = sa.select(sa.func.max(_SENT.c.id)).where(_SENT.c.receiver == deliveries.c.receiver, _SENT.c.state == "sent", *taken)
    found = sa.func.coalesce(last.correlate(deliveries).scalar_subquery(), 0).label("last")
    return sa.select(deliveries.c.receiver, found).where(troubled).group_by(deliveries.c.receiver).subquery()


# Messages that reached nobody, by receiver; not those after which that receiver was sent a later one.
_OF_LATE = _DEAD & (deliveries.c.due_at > _SINCE)
_BEFORE = _last_sent(_OF_LATE)
_LOST = (
    sa.select(deliveries.c.receiver, sa.func.count(), sa.func.max(deliveries.c.due_at))
    .join(_BEFORE, _BEFORE.c.receiver == deliveries.c.receiver)
    .where(_OF_LATE, deliveries.c.id > _BEFORE.c.last)
    .group_by(deliveries.c.receiver)
    .order_by(deliveries.c.receiver)
)
# What a digest has told and only its own message is to be edited for is no trouble.
_QUEUED = sa.select(sa.func.min(deliveries.c.queued_at), sa.func.count()).where(
    deliveries.c.state.in_(("queued", "sending")) & deliveries.c.told_at.is_(None)
)
# The last that each receiver did not take itself; not those after which it took one. An edit that fails is no such thing.
_REFUSED = (_DEAD & (deliveries.c.attempts > 0)) | (deliveries.c.via != deliveries.c.receiver)
_REFUSED &= (deliveries.c.kind != Kind.REFRESHED.value) & (deliveries.c.queued_at > _SINCE)
_TAKEN = _last_sent(_REFUSED, _SENT.c.via == _SENT.c.receiver)
_LAST = (
    sa.select(sa.func.max(deliveries.c.id))
    .join(_TAKEN, _TAKEN.c.receiver == deliveries.c.receiver)
    .where(_REFUSED, deliveries.c.id > _TAKEN.c.last)
)
_ROW = sa.alias(deliveries)
_BROKEN = sa.select(_ROW.c.receiver, sa.case((_ROW.c.state != "sent", _ROW.c.error)).label("error")).where(
    _ROW.c.id.in_(_LAST.group_by(deliveries.c.receiver))
)


@dataclass(frozen=True)
class Unsent:
    """How many are to be sent, the oldest since when, and what of late reached nobody."""

    count: int
    since: Instant | None
    lost: Mapping[str, int]  # by receiver
    until: Instant  # by then it is no longer of late


def look_at(transaction: sa.Connection, now: Instant) -> Unsent:
    """How the outbox stands."""
    since, count = transaction.execute(_QUEUED).one()
    rows = transaction.execute(_LOST, {"since": now - RECENT}).all()
    until = max((row[2] for row in rows), default=0) + RECENT
    return Unsent(count, since, {row.receiver: row[1] for row in rows}, until)


def broken(transaction: sa.Connection, now: Instant) -> dict[str, str]:
    """The receivers that did not take what they were sent last, each with the reason.

    No reason where another has been told in its place: with that the outbox forgets it.
    """
    found = transaction.execute(_BROKEN, {"since": now - REMEMBERED})
    return {row.receiver: row.error or "" for row in found.all()}


def taken(transaction: sa.Connection, now: Instant) -> frozenset[str]:
    """The receivers that have taken a message themselves of late."""
    own = (
        (deliveries.c.state == "sent")
        & (deliveries.c.via == deliveries.c.receiver)
        & (deliveries.c.queued_at > now - REMEMBERED)
    )
    return frozenset(transaction.scalars(sa.select(deliveries.c.receiver).where(own).distinct()))
