"""What goes out next, and what goes with it: one delivery, the whole of an old story, or a digest of many.

Urgent ones come first, then what was tried least, then the oldest. Of one story nothing overtakes what came before it (I4).
Where more wait for a receiver than its pace allows they become one message; of a story that has waited long only the newest is
told, for the rest is no longer true.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import MINUTE, Duration, Instant
from alertd.facts import Kind
from alertd.notices.delivery import UNREADABLE, Delivery, from_row, readable
from alertd.store.tables import deliveries, notices

# How long a claim holds: longer than any channel's own deadlines together. A daemon that starts does not wait for it.
LEASE: Duration = 5 * MINUTE

# A story that has waited this long is told by its newest message alone.
OLD: Duration = 15 * MINUTE

# No receiver may ask us to wait for longer. A date further ahead was written before somebody set the clock back (I10).
LONGEST_PAUSE: Duration = 15 * MINUTE

# Stories that one digest tells of at most, and deliveries of them: no transaction and no message grows without end.
MOST, MOST_ROWS = 1_000, 5_000

# What has a message of its own, however many wait.
_ALONE = (Kind.REPORT.value, Kind.REFRESHED.value, Kind.TEST.value)

Row: TypeAlias = sa.Row[Any]

# Statements are put together once: that takes SQLAlchemy longer than running them. `now` is needed by all that ask who waits.
_NOW = sa.bindparam("now", type_=sa.BigInteger)
_VIA = sa.bindparam("of_via", type_=sa.String)
_IDS = sa.bindparam("of_ids", type_=sa.Integer, expanding=True)
_TO_TELL = deliveries.c.told_at.is_(None)

# To be sent, and not being sent by anybody: no lease holds that has run out, or is from before a clock was set back.
_LEASE_OVER = (deliveries.c.lease_until <= _NOW) | (deliveries.c.lease_until > _NOW + 2 * LEASE)
_WAITING = (deliveries.c.state == "queued") | ((deliveries.c.state == "sending") & _LEASE_OVER)
_DUE = (deliveries.c.due_at <= _NOW) | (deliveries.c.due_at > _NOW + LONGEST_PAUSE) | (deliveries.c.state == "sending")

# Not kept waiting by what came before it in its story.
_OLDER = deliveries.alias("older")
_SAME = (_OLDER.c.via == deliveries.c.via) | (_OLDER.c.receiver == deliveries.c.receiver)
_STORY = (_OLDER.c.incident == deliveries.c.incident) & _SAME & _OLDER.c.told_at.is_(None)
# Looked up by incident, row by row. A server whose statistics know of no queue would otherwise go through all that waits,
# once for each that waits: a count is not turned into a join, and within a function the state's index is of no use.
_UNSENT = sa.func.coalesce(_OLDER.c.state, "").in_(("queued", "sending"))
_BEFORE = sa.select(sa.func.count()).select_from(_OLDER).where(_STORY, _OLDER.c.id < deliveries.c.id, _UNSENT)
_FIRST_OF_STORY = _BEFORE.correlate(deliveries).scalar_subquery() == 0

_SELECT = sa.select(deliveries, notices.c.body).join(notices, notices.c.id == deliveries.c.notice)

# What could be sent, in its order: due, not kept waiting by its story, and its receiver not at rest. Retries come after first
# attempts: a receiver with many of them must not starve the others.
_AWAKE = deliveries.c.via.not_in(sa.bindparam("resting", type_=sa.String, expanding=True))
_READY = _SELECT.where(_WAITING, _DUE, _FIRST_OF_STORY, _AWAKE).order_by(
    sa.case((_TO_TELL, 0), else_=1), deliveries.c.urgent.desc(), deliveries.c.attempts, deliveries.c.id
)
_FIRST = _READY.limit(1)
_FIRST_WHILE_GATHERING = _FIRST.where(deliveries.c.urgent | deliveries.c.kind.in_(_ALONE))

# What may have arrived, with some at least, is repeated alone with its own key, by which it is found there.
_UNTRIED = (deliveries.c.state == "queued") & ~deliveries.c.ambiguous & deliveries.c.receipt.is_(None)
_ALIKE = (deliveries.c.via == _VIA) & (deliveries.c.urgent == sa.bindparam("is_urgent", type_=sa.Boolean)) & _UNTRIED
_CROWD = _READY.where(_ALIKE, deliveries.c.kind.not_in(_ALONE), _TO_TELL, deliveries.c.digest.is_(None)).limit(MOST)

_OF_DIGEST = deliveries.c.digest == sa.bindparam("of_digest", type_=sa.String)
_TRIED_TOGETHER = _SELECT.where(_OF_DIGEST, _TO_TELL, _WAITING).order_by(deliveries.c.id)
_OF_STORIES = (deliveries.c.via == _VIA) & deliveries.c.incident.in_(
    sa.bindparam("of_incidents", type_=sa.Integer, expanding=True)
)
_STORIES = _SELECT.where(_OF_STORIES, _WAITING).order_by(deliveries.c.id).limit(MOST_ROWS)

_TAKE = (
    sa.update(deliveries)
    .where(deliveries.c.id.in_(_IDS))
    .values(
        state="sending",
        attempts=deliveries.c.attempts + 1,
        # A lease that has run out belonged to somebody who may have sent it.
        ambiguous=deliveries.c.ambiguous | (deliveries.c.state == "sending"),
        digest=sa.case((_TO_TELL, sa.bindparam("its_digest", type_=sa.String)), else_=deliveries.c.digest),
    )
)
_GIVE_UP = sa.update(deliveries).where(deliveries.c.id.in_(_IDS)).values(state="dead", error=UNREADABLE)


@dataclass(frozen=True)
class Gathering:
    """A time in which only what is urgent is sent, up to `until` (uptime); then the rest becomes one message that says why.

    `upto` is the number of the last delivery that was there when it ended; None before.
    """

    until: Duration
    reason: str = ""
    upto: int | None = None


@dataclass(frozen=True)
class Claim:
    """Who claims at which moment, and under which conditions.

    `resting` are receivers that are left in peace. `burst` says how many may wait for a receiver before they become one
    message; None: any number. While it is `gathering` only what is urgent is sent; deliveries up to the number `gathered`
    become one message however few there are.
    """

    now: Instant
    lease: str
    resting: Collection[str]
    burst: Callable[[str], int | None]
    gathering: bool = False
    gathered: int = 0


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
    begins = next((kind for kind in (Kind.OPENED, Kind.ESCALATED) if any(each.kind is kind for each in spoken)), None)
    return last, begins if begins and last.kind in (Kind.CHANGED, Kind.REMINDER) else last.kind


def claim(transaction: sa.Connection, terms: Claim) -> Batch | None:
    """Claim what is to be sent next; None if nothing is due.

    A notice that cannot be read any more (another version wrote it, or somebody by hand) is given up, visibly: it must not hold
    up all that comes after it.
    """
    while (head := transaction.execute(_ready(terms), _bound(terms)).first()) is not None:
        rows, digest = _together(transaction, head, terms)
        lost = [row.id for row in rows if not readable(row)]
        if not lost:
            return _take(transaction, rows, digest, terms)
        transaction.execute(_GIVE_UP, {"of_ids": lost})
    return None


def _together(transaction: sa.Connection, head: Row, terms: Claim) -> tuple[Sequence[Row], str | None]:
    """What is sent in one message with the first in line, and the key of the digest that it makes, if it makes one."""
    # What was tried together is tried together again: it may have arrived. Unless its receiver now wants each by itself.
    if head.digest and head.told_at is None and terms.burst(head.via) is not None:
        same = {"of_digest": head.digest, "now": terms.now}
        return transaction.execute(_TRIED_TOGETHER, same).all(), head.digest
    if crowd := _crowd(transaction, head, terms):
        return _stories(transaction, crowd, terms), str(uuid.uuid4())
    if head.incident is None or head.told_at is not None:
        return [head], None
    story = _stories(transaction, [head], terms)
    old = head.queued_at <= terms.now - OLD
    # Whom a receiver's server puts off holds up the news for the others no longer than that.
    if (unsure := _unsure(story, head)) and not (old and not _may_have_arrived(head)):
        return unsure, None
    if old:
        return story, None
    return _up_to_news(story, head), None


def _crowd(transaction: sa.Connection, head: Row, terms: Claim) -> Sequence[Row]:
    """Those that become one message with the first in line; none if it goes alone."""
    burst = terms.burst(head.via)
    if burst is None or head.kind in _ALONE or head.told_at is not None or _tried(head):
        return ()
    alike = {"of_via": head.via, "is_urgent": head.urgent}
    crowd = transaction.execute(_CROWD, _bound(terms) | alike).all()
    return crowd if len(crowd) > (1 if head.id <= terms.gathered else burst) else ()


def _tried(row: Row) -> bool:
    """Whether an attempt may have reached somebody, or has reached some."""
    return _may_have_arrived(row) or bool(row.receipt)


def _may_have_arrived(row: Row) -> bool:
    return bool(row.ambiguous or row.state == "sending")


def _unsure(story: Sequence[Row], head: Row) -> Sequence[Row]:
    """What was tried with the first in line and may have arrived: the same once more, so that it has the same key."""
    first = next(place for place, row in enumerate(story) if row.id == head.id)
    tried = list(takewhile(_tried, story[first:]))
    return [*story[:first], *tried] if tried else ()


def _up_to_news(story: Sequence[Row], head: Row) -> Sequence[Row]:
    """The first in line with what its message makes true as well: edits before it, and after an edit the next news."""
    first = next(place for place, row in enumerate(story) if row.id == head.id)
    if head.kind != Kind.REFRESHED.value:
        return story[: first + 1]
    news = (place for place, row in enumerate(story) if place > first and row.kind != Kind.REFRESHED.value)
    return story[: next(news, len(story) - 1) + 1]


def _stories(transaction: sa.Connection, heads: Sequence[Row], terms: Claim) -> Sequence[Row]:
    """All that waits of the stories of these, which have one receiver, in order."""
    incidents = [row.incident for row in heads]
    there = {"of_via": heads[0].via, "of_incidents": incidents, "now": terms.now}
    return transaction.execute(_STORIES, there).all()


def _take(transaction: sa.Connection, rows: Sequence[Row], digest: str | None, terms: Claim) -> Batch:
    held = {"lease": terms.lease, "lease_until": terms.now + LEASE, "its_digest": digest}
    transaction.execute(_TAKE, {"of_ids": [row.id for row in rows]} | held)
    return Batch(tuple(from_row(row, terms.lease) for row in rows), digest)


def _ready(terms: Claim) -> sa.Select[Any]:
    """The first in line. While it is gathering only what is urgent, or has a message of its own."""
    return _FIRST_WHILE_GATHERING if terms.gathering else _FIRST


def _bound(terms: Claim) -> dict[str, object]:
    return {"now": terms.now, "resting": list(terms.resting)}
