"""What goes out next, and what goes with it: one delivery, the whole of an old story, or a digest of many.

Urgent ones come first, then what was tried least, then the oldest. Of one story nothing overtakes what came before it (I4).
Where more wait for a receiver than its pace allows they become one message; of a story that has waited long only the newest is
told, for the rest is no longer true.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import MINUTE, Duration, Instant
from alertd.facts import Kind
from alertd.notices.delivery import Delivery, from_row
from alertd.store.tables import deliveries, notices

# A story that has waited this long is told by its newest message alone.
OLD: Duration = 15 * MINUTE

# No receiver may ask us to wait for longer. A date further ahead was written before somebody set the clock back (I10).
LONGEST_PAUSE: Duration = 15 * MINUTE

# Deliveries that one digest tells of at most, so that no transaction and no message grows without end.
MOST = 1_000

# What has a message of its own, however many wait.
_ALONE = (Kind.REPORT.value, Kind.REFRESHED.value, Kind.TEST.value)

Row: TypeAlias = sa.Row[Any]
_TO_TELL = deliveries.c.told_at.is_(None)


@dataclass(frozen=True)
class Claim:
    """Who claims at which moment, and under which conditions.

    `resting` are receivers that are left in peace. `burst` says how many may wait for a receiver before they become one
    message; None: any number. What was queued before `gathered` becomes one message however few there are; until that
    moment only what is urgent is sent at all.
    """

    now: Instant
    lease: str
    until: Instant
    resting: Collection[str]
    burst: Callable[[str], int | None]
    gathered: Instant | None = None


@dataclass(frozen=True)
class Batch:
    """What one message tells: deliveries in the order in which they came. `digest` is its key where it tells many stories."""

    deliveries: tuple[Delivery, ...]
    digest: str | None = None

    @property
    def via(self) -> str:
        """Whom it is sent to."""
        return self.deliveries[0].via

    @property
    def lease(self) -> str:
        """The lease of all of them."""
        return self.deliveries[0].lease

    @property
    def ambiguous(self) -> bool:
        """Whether an earlier attempt may have arrived."""
        return any(each.ambiguous for each in self.deliveries)

    def stories(self) -> tuple[tuple[Delivery, ...], ...]:
        """Its deliveries, story by story: what one incident is to whoever gets this message."""
        found: dict[tuple[int | None, int], list[Delivery]] = {}
        for each in self.deliveries:
            found.setdefault((each.notice.incident, 0 if each.notice.incident is not None else each.id), []).append(each)
        return tuple(tuple(rows) for rows in found.values())


def newest(story: Sequence[Delivery]) -> tuple[Delivery, Kind]:
    """Which of a story's deliveries is told in place of all, and as what.

    Whoever has heard of none of it hears of an opening or of the end, never only of a change.
    """
    spoken = [each for each in story if each.kind is not Kind.REFRESHED and each.told_at is None]
    if not spoken:
        return story[-1], Kind.REFRESHED
    last = spoken[-1]
    begins = any(each.kind is Kind.OPENED for each in spoken)
    return last, Kind.OPENED if begins and last.kind in (Kind.CHANGED, Kind.REMINDER) else last.kind


def claim(transaction: sa.Connection, terms: Claim) -> Batch | None:
    """Claim what is to be sent next; None if nothing is due."""
    head = transaction.execute(_ready(terms).limit(1)).first()
    if head is None:
        return None
    rows, digest = _together(transaction, head, terms)
    return _take(transaction, rows, digest, terms)


def _together(transaction: sa.Connection, head: Row, terms: Claim) -> tuple[Sequence[Row], str | None]:
    """What is sent in one message with the first in line, and the key of the digest that it makes, if it makes one."""
    if head.digest and head.told_at is None:  # what was tried together is tried together again: it may have arrived
        same = (deliveries.c.digest == head.digest) & _TO_TELL & _waiting(terms)
        return transaction.execute(_select().where(same).order_by(deliveries.c.id)).all(), head.digest
    if crowd := _crowd(transaction, head, terms):
        return _stories(transaction, crowd, terms), str(uuid.uuid4())
    if head.incident is None or head.told_at is not None:
        return [head], None
    story = _stories(transaction, [head], terms)
    if head.queued_at <= terms.now - OLD:
        return story, None
    return _up_to_news(story, head), None


def _crowd(transaction: sa.Connection, head: Row, terms: Claim) -> Sequence[Row]:
    """Those that become one message with the first in line; none if it goes alone."""
    burst = terms.burst(head.via)
    unsure = head.ambiguous or head.state == "sending"
    if burst is None or head.kind in _ALONE or head.told_at is not None or unsure:
        return ()
    alike = (deliveries.c.via == head.via) & (deliveries.c.urgent == head.urgent) & deliveries.c.kind.not_in(_ALONE)
    # What may have arrived alone is repeated alone, with its own key, by which it is found there.
    alike &= (deliveries.c.state == "queued") & ~deliveries.c.ambiguous
    crowd = transaction.execute(_ready(terms).where(alike, _TO_TELL, deliveries.c.digest.is_(None)).limit(MOST)).all()
    gathered = terms.gathered is not None and head.queued_at < terms.gathered
    return crowd if len(crowd) > (1 if gathered else burst) else ()


def _up_to_news(story: Sequence[Row], head: Row) -> Sequence[Row]:
    """The first in line with what its message makes true as well: edits before it, and after an edit the next news."""
    first = next(place for place, row in enumerate(story) if row.id == head.id)
    if head.kind != Kind.REFRESHED.value:
        return story[: first + 1]
    news = (place for place, row in enumerate(story) if place > first and row.kind != Kind.REFRESHED.value)
    return story[: next(news, len(story) - 1) + 1]


def _stories(transaction: sa.Connection, heads: Sequence[Row], terms: Claim) -> Sequence[Row]:
    """All that waits of the stories of these, which have one receiver, in order."""
    there = (deliveries.c.via == heads[0].via) & deliveries.c.incident.in_([row.incident for row in heads])
    return transaction.execute(_select().where(there, _waiting(terms)).order_by(deliveries.c.id)).all()


def _take(transaction: sa.Connection, rows: Sequence[Row], digest: str | None, terms: Claim) -> Batch:
    mine = deliveries.c.id.in_([row.id for row in rows])
    back = {"state": "sending", "lease": terms.lease, "lease_until": terms.until, "attempts": deliveries.c.attempts + 1}
    # A lease that has run out belonged to somebody who may have sent it.
    unsure = deliveries.c.ambiguous | (deliveries.c.state == "sending")
    values = back | {"ambiguous": unsure} | ({"digest": digest} if digest else {})
    transaction.execute(sa.update(deliveries).where(mine).values(values))
    return Batch(tuple(from_row(row, terms.lease) for row in rows), digest)


def _waiting(terms: Claim) -> sa.ColumnElement[bool]:
    """To be sent, and not being sent by anybody: a lease that has run out holds nothing."""
    abandoned = (deliveries.c.state == "sending") & (deliveries.c.lease_until <= terms.now)
    return (deliveries.c.state == "queued") | abandoned


def _select() -> sa.Select[Any]:
    return sa.select(deliveries, notices.c.body).join(notices, notices.c.id == deliveries.c.notice)


def _ready(terms: Claim) -> sa.Select[Any]:
    """What could be sent, in its order: due, not kept waiting by its story, and its receiver not at rest.

    Retries come after first attempts: a receiver with many of them must not starve the others.
    """
    due = (deliveries.c.due_at <= terms.now) | (deliveries.c.due_at > terms.now + LONGEST_PAUSE)
    older = deliveries.alias("older")
    same = (older.c.via == deliveries.c.via) | (older.c.receiver == deliveries.c.receiver)
    story = (older.c.incident == deliveries.c.incident) & same & older.c.told_at.is_(None)
    # Looked up by incident, row by row. A server whose statistics know of no queue would otherwise go through all that waits,
    # once for each that waits: a count is not turned into a join, and within a function the state's index is of no use.
    unsent = sa.func.coalesce(older.c.state, "").in_(("queued", "sending"))
    before = sa.select(sa.func.count()).select_from(older).where(story, older.c.id < deliveries.c.id, unsent)
    first = before.correlate(deliveries).scalar_subquery() == 0
    found = _select().where(
        _waiting(terms), due | (deliveries.c.state == "sending"), first, deliveries.c.via.not_in(list(terms.resting))
    )
    if terms.gathered is not None and terms.now < terms.gathered:
        found = found.where(deliveries.c.urgent | deliveries.c.kind.in_(_ALONE))
    edits_last = sa.case((_TO_TELL, 0), else_=1)
    return found.order_by(edits_last, deliveries.c.urgent.desc(), deliveries.c.attempts, deliveries.c.id)
