"""Writing how an attempt to send ended: sent, to be tried again later, or dead and handed to the fallback receiver."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.channels.base import Receipt
from alertd.clock import DAY, MINUTE, Duration, Instant
from alertd.errors import DeliveryError
from alertd.notices.claiming import LONGEST_PAUSE, Batch, newest
from alertd.notices.delivery import Delivery, bury, redirect
from alertd.store.tables import deliveries

# When a receiver counts as dead although each failure alone may pass: soon where somebody else can be told instead.
PATIENCE_WITH_FALLBACK: Duration = 30 * MINUTE
PATIENCE: Duration = DAY
LEAST_ATTEMPTS = 5  # so many at least: time in which nobody tried proves nothing

# What the deployment lacks may come back soon, such as a secret that is being rotated; longer than that, people must act.
PATIENCE_WHILE_LACKING: Duration = 2 * MINUTE
LEAST_ATTEMPTS_WHILE_LACKING = 3

# Statements are put together once: that takes SQLAlchemy longer than running them.
_FREE: dict[str, object] = {"lease": None, "lease_until": None}
_IDS = sa.bindparam("of_ids", type_=sa.Integer, expanding=True)
_VIA = deliveries.c.via == sa.bindparam("of_via", type_=sa.String)

# Only whoever holds the lease may settle: another thread or process may have taken the message up since.
_HELD = (deliveries.c.lease == sa.bindparam("of_lease", type_=sa.String)) & (deliveries.c.state == "sending")
_MINE = sa.update(deliveries).where(_HELD)
_OWN = _MINE.where(deliveries.c.id.in_(_IDS))
_COVERED = _MINE.where(deliveries.c.id.not_in(_IDS), deliveries.c.digest.is_(None))
_ONE = _MINE.where(deliveries.c.id == sa.bindparam("of_id", type_=sa.Integer))
_NOW_DUE = sa.update(deliveries).where(_VIA, deliveries.c.state == "queued", deliveries.c.attempts > 0)
_RECEIPTS = (
    sa.select(deliveries.c.incident, deliveries.c.receipt)
    .where(_VIA, deliveries.c.state == "sent", deliveries.c.incident.in_(_IDS), deliveries.c.receipt.is_not(None))
    .order_by(deliveries.c.id)
)


class Lacking(DeliveryError):
    """The deployment does not have what the receiver needs, at this moment."""


def sent(transaction: sa.Connection, batch: Batch, receipt: Receipt, now: Instant, *, edits: bool) -> None:
    """Write that a message was taken. Where an incident that a digest tells has a message of its own, that is edited next."""
    kept = {name: text for name, text in receipt.items() if name != "warning"}
    own = _threads(transaction, batch) if batch.digest and edits else frozenset()
    stories = batch.stories()
    shown = [newest(story)[0].id for story in stories if story[0].notice.incident not in own]
    stale = [story[-1].id for story in stories if story[0].notice.incident in own]
    mine: dict[str, object] = {"of_lease": batch.lease}
    transaction.execute(_OWN, mine | {"of_ids": shown, "receipt": kept})
    if not batch.digest and len(batch.deliveries) > 1:  # the newest told what the others would have
        transaction.execute(_COVERED, mine | {"of_ids": shown, "digest": newest(batch.deliveries)[0].key})
    if stale:
        edit = {"state": "queued", "told_at": now, "due_at": now, "attempts": 0}
        transaction.execute(_OWN, mine | {"of_ids": stale} | edit | _FREE)
    transaction.execute(_MINE, mine | {"state": "sent", "sent_at": now, "error": receipt.get("warning")} | _FREE)
    if any(each.attempts > 1 for each in batch.deliveries):  # it works again: nobody waits out a back-off
        transaction.execute(_NOW_DUE, {"of_via": batch.via, "due_at": now})


def failed(
    transaction: sa.Connection,
    batch: Batch,
    problem: DeliveryError,
    now: Instant,
    *,
    fallback: str | None,
    back_off: Callable[[int], Duration],
) -> dict[int, str]:
    """Put each story back with a later date, or declare it dead: the states of those that nobody has taken up since."""
    found = dict[int, str]()
    for rows in _shares(batch):
        lead = next(
            (each for each in rows if each.told_at is None), rows[0]
        )  # a story stays whole: its patience is that of all
        state = _after(lead, problem, now, patient=fallback is None)
        pause = min(max(back_off(lead.attempts), problem.retry_after or 0), LONGEST_PAUSE)
        ends = _Ending(problem, state, now if state == "sent" else now + pause, newest(batch.deliveries)[0].key)
        held = [each for each in rows if _put_back(transaction, each, batch.digest, ends)]
        found |= {each.id: state for each in held}
        if state == "dead":
            _lose(transaction, [each for each in held if each.told_at is None], fallback, now)
    return found


def _shares(batch: Batch) -> Iterator[list[Delivery]]:
    """What each receiver is told of each story: several may have one fallback."""
    for story in batch.stories():
        for receiver in dict.fromkeys(each.receiver for each in story):
            yield [each for each in story if each.receiver == receiver]


@dataclass(frozen=True)
class _Ending:
    """How an attempt to tell a story failed, and what its deliveries are from now on. `key`: under which it was tried alone."""

    problem: DeliveryError
    state: str
    due_at: Instant
    key: str


def _put_back(transaction: sa.Connection, delivery: Delivery, digest: str | None, ends: _Ending) -> bool:
    """Write a delivery's state after a failure. False where another has taken it up since."""
    dead = ends.state == "dead"
    told = delivery.told_at is not None and ends.state != "queued"  # only its own message stays as it was
    state = "sent" if told else "queued" if dead else ends.state
    values: dict[str, object] = {
        "state": state,
        "due_at": ends.due_at,
        "error": _error(delivery, ends.problem, dead=dead),
        "ambiguous": delivery.ambiguous or ends.problem.ambiguous,
    }
    if state == "sent":
        values["sent_at"] = ends.due_at
    if ends.problem.receipt is not None:
        values["receipt"] = dict(ends.problem.receipt) | {"key": digest or ends.key}
    mine = {"of_lease": delivery.lease, "of_id": delivery.id}
    return transaction.execute(_ONE.values(values | _FREE), mine).rowcount > 0


def _lose(transaction: sa.Connection, rows: Sequence[Delivery], fallback: str | None, now: Instant) -> None:
    """One receiver's deliveries of a story are dead: the fallback is told instead, with all that follows, or nobody."""
    if not rows:
        return
    die = sa.update(deliveries).values(state="dead")
    transaction.execute(die.where(deliveries.c.id == rows[0].id))
    moved = fallback is not None and redirect(transaction, rows[0], fallback, now)
    left = deliveries.c.id.in_([each.id for each in rows]) & (deliveries.c.via == rows[0].via)
    transaction.execute(die.where(left, deliveries.c.state == "queued"))
    if not moved:
        bury(transaction, rows[0])


def _after(delivery: Delivery, problem: DeliveryError, now: Instant, *, patient: bool) -> str:
    partly = _partly(delivery, problem)
    patience, least = PATIENCE if patient and not partly else PATIENCE_WITH_FALLBACK, LEAST_ATTEMPTS
    if isinstance(problem, Lacking):
        patience, least = PATIENCE_WHILE_LACKING, LEAST_ATTEMPTS_WHILE_LACKING
    begun = delivery.queued_at if delivery.told_at is None else delivery.told_at
    tried = delivery.attempts >= least and now - begun >= patience
    if not (problem.permanent or tried):
        return "queued"
    # What was told stays so: in a digest, where only its own message stays as it was; or to some of a receiver's people, and
    # then the fallback is not told as if nobody had heard of it, and its story goes on here.
    return "dead" if delivery.told_at is None and not partly else "sent"


def _partly(delivery: Delivery, problem: DeliveryError) -> bool:
    """Whether some of the receiver's people have the message already."""
    done = problem.receipt if problem.receipt is not None else delivery.receipt
    return bool(done and done.get("taken"))


def _threads(transaction: sa.Connection, batch: Batch) -> Collection[int | None]:
    """Those of its incidents that have a message of their own there."""
    found = transaction.execute(_RECEIPTS, {"of_via": batch.via, "of_ids": [each.notice.incident for each in batch.deliveries]})
    # In order, so that the newest decides: that is the thread in which the story goes on.
    newest_receipts = {row.incident: row.receipt for row in found if row.receipt}
    return frozenset(incident for incident, receipt in newest_receipts.items() if not receipt.get("digest"))


def _error(delivery: Delivery, problem: DeliveryError, *, dead: bool) -> str | sa.ColumnElement[str]:
    """What is shown of a failure. Beside the fallback's own the receiver's stays: that is the one to be mended."""
    if delivery.via == delivery.receiver:
        return str(problem)
    first = sa.func.coalesce(deliveries.c.error, "")
    return first + f"; then {delivery.via}: {problem}" if dead else first
