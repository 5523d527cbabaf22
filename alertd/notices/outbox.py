"""The outbox: what was written is claimed, rendered, sent and settled, message after message, until it is sent or dead (I5).

A message is claimed with a lease, so that a killed process's messages are taken up again; what goes out next, and together, is
decided in `claiming`. Sending happens outside of any transaction.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog

from alertd.channels.base import Access, Message, Receipt
from alertd.charts import Chart
from alertd.clock import MINUTE, SECOND, Clock, Duration, Instant
from alertd.errors import AlertdError, DeliveryError, StoreError
from alertd.facts import Kind
from alertd.notice import Notice
from alertd.notices import mending, settlement
from alertd.notices.claiming import LEASE, LONGEST_PAUSE, Batch, Claim, Gathering, claim, newest
from alertd.notices.delivery import Delivery, facts
from alertd.notices.settlement import Lacking
from alertd.rulebook.rule import Receiver, Rulebook
from alertd.store.database import Database
from alertd.store.tables import deliveries

_log = structlog.get_logger()

# Back-off between attempts: doubled each time up to the longest.
FIRST_RETRY: Duration = 5 * SECOND
LONGEST_RETRY: Duration = 5 * MINUTE

# A message that is sent this long after it was due says so.
LATE: Duration = 10 * MINUTE

# Statements are put together once: that takes SQLAlchemy longer than running them.
_NEXT = sa.select(
    sa.select(sa.func.min(deliveries.c.due_at)).where(deliveries.c.state == "queued").scalar_subquery(),
    sa.select(sa.func.min(deliveries.c.lease_until)).where(deliveries.c.state == "sending").scalar_subquery(),
)
_NUMBER = sa.select(sa.func.max(deliveries.c.id))
_BACK = (
    sa.update(deliveries)
    .where(deliveries.c.state == "sending")
    .values(state="queued", lease=None, lease_until=None, ambiguous=True)
)
_VIA = deliveries.c.via == sa.bindparam("of_via", type_=sa.String)
_SEEN = sa.select(deliveries.c.receipt).where(_VIA, deliveries.c.state == "sent").order_by(deliveries.c.id.desc())
_THREAD = _SEEN.where(deliveries.c.incident == sa.bindparam("of_incident", type_=sa.Integer))

Render = Callable[[str, Notice], Mapping[str, str]]
RenderMany = Callable[[str, Sequence[Notice], str], Mapping[str, str]]


@dataclass(frozen=True)
class _Outcome:
    """How an attempt ended: the receipt, or why there is none. `until` (uptime): whoever claimed it holds it no longer."""

    batch: Batch
    channel: str
    result: Receipt | DeliveryError
    until: Duration


def _without_template(_kind: str, told: Sequence[Notice], reason: str) -> Mapping[str, str]:
    lines = [f"{each.kind}: {each.title}" for each in told]
    return {"plain": "\n".join(filter(None, (f"{len(told)} notices", reason, *lines)))}


@dataclass
class Outbox:
    """Delivers what stands in the store. `step` does one unit of work; several threads may call it."""

    database: Database
    clock: Clock
    book: Callable[[], Rulebook]
    access: Access
    render: Render
    render_many: RenderMany = _without_template
    draw: Callable[[Notice], Chart | None] = lambda _notice: None
    told: Callable[[str, str], None] = lambda _channel, _outcome: None  # each outcome, for metrics
    worker: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    random: random.Random = field(default_factory=random.Random)
    gathering: Gathering | None = None
    # Receivers, and until when (uptime) they are left in peace: while they are sent something, and while they rest.
    _paced: dict[str, Duration] = field(default_factory=dict)
    _unsettled: list[_Outcome] = field(default_factory=list)  # attempts that are over and could not be written yet
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> bool:
        """Deliver one message if one is due. True if there was one: call again at once."""
        self._settle_kept()
        batch = self._claim()
        if batch is None:
            return False
        receiver = self.book().receivers.get(batch.via)
        kind = receiver.kind if receiver else "unknown"
        pause = receiver.channel.pace if receiver else 0
        try:
            result = self._attempt(batch, receiver)
            if isinstance(result, DeliveryError):
                pause = max(pause, min(result.retry_after or 0, LONGEST_PAUSE))
            self._settle(_Outcome(batch, kind, result, self.clock.uptime() + LEASE))
        finally:
            self._rest(batch.via, pause)
        return True

    def gather(self, length: Duration, reason: str) -> None:
        """Send only what is urgent for so long, at the most; then the rest as one message that says why."""
        self.gathering = Gathering(self.clock.uptime() + length, reason)

    def release(self) -> None:
        """What was to be gathered is there."""
        with self._guard:
            if self.gathering is not None and self.gathering.upto is None:
                self.gathering = replace(self.gathering, until=min(self.gathering.until, self.clock.uptime()))

    def recover(self) -> int:
        """Take up what a killed daemon was sending; call it once, while holding the store. Returns how many there were."""
        with self.database.write() as transaction:
            return transaction.execute(_BACK).rowcount

    def revive(self) -> int:
        """Queue again what reached nobody although its incident still goes on: receivers are mended between two starts.

        Of each story what is still of use, from its beginning. Returns how many there were.
        """
        with self.database.write() as transaction:
            return mending.revive(transaction, self.clock.now())

    def next_due(self) -> Instant | None:
        """When the next delivery can be tried; None if the outbox is empty."""
        with self.database.read() as transaction:
            moments = transaction.execute(_NEXT).one()
        return min((each for each in moments if each is not None), default=None)

    def _claim(self) -> Batch | None:
        with self._guard:
            with self.database.write() as transaction:
                batch = claim(transaction, self._terms(transaction))
            if batch:  # one at a time: a receiver that hangs takes one thread, not all
                self._paced[batch.via] = self.clock.uptime() + LEASE
            return batch

    def _terms(self, transaction: sa.Connection) -> Claim:
        now, uptime = self.clock.now(), self.clock.uptime()
        return Claim(
            now=now,
            lease=f"{self.worker}-{uuid.uuid4().hex[:8]}",
            resting=[via for via, end in self._paced.items() if end > uptime],
            burst=self._burst,
            gathering=self.gathering is not None and uptime < self.gathering.until,
            gathered=self._gathered(transaction, uptime),
        )

    def _gathered(self, transaction: sa.Connection, uptime: Duration) -> int:
        """Up to which number deliveries were gathered."""
        found = self.gathering
        if found is None or uptime < found.until:
            return 0
        if found.upto is None:  # it has just ended
            newest_number = transaction.scalar(_NUMBER) or 0
            self.gathering = found = replace(found, upto=newest_number)
        return found.upto or 0

    def _burst(self, via: str) -> int | None:
        receiver = self.book().receivers.get(via)
        return receiver.channel.burst if receiver else None

    def _rest(self, via: str, pause: Duration) -> None:
        with self._guard:
            self._paced.pop(via, None)
            if pause:
                self._paced[via] = self.clock.uptime() + pause

    def _attempt(self, batch: Batch, receiver: Receiver | None) -> Receipt | DeliveryError:
        try:
            return self._send(batch, receiver)
        except Exception as raised:  # noqa: BLE001 - one message must not stop the others
            return _as_delivery_error(raised, batch)

    def _send(self, batch: Batch, receiver: Receiver | None) -> Receipt:
        if receiver is None:
            raise DeliveryError(f"there is no receiver {batch.via} any more", permanent=True)
        if lack := receiver.channel.missing(self.access):
            raise Lacking(lack)
        if batch.digest:
            return receiver.channel.send(self._digest(batch, batch.digest, receiver), None, self.access)
        delivery, kind = newest(batch.deliveries)
        thread = self._thread(delivery)
        return receiver.channel.send(self._message(batch, delivery, kind, receiver), thread, self.access)

    def _message(self, batch: Batch, delivery: Delivery, kind: Kind, receiver: Receiver) -> Message:
        """One notice as this receiver is told it: what is a change to others may be the opening for this one."""
        notice = self._as_told(batch, delivery, kind)
        # Where an end is not told, what is edited silently reads as resolved all the same.
        silent_end = kind is Kind.REFRESHED and notice.resolved_at is not None
        shown = replace(notice, kind=Kind.RESOLVED if silent_end else kind)
        parts = self.render(receiver.kind, shown)
        if failure := parts.get("failure"):
            _log.error("template failed, the built-in text goes out", **facts(delivery), error=failure)
        return Message(
            delivery.key,
            kind,
            notice,
            parts,
            receiver=batch.via,
            chart=self._drawn(delivery, shown),
            repeat=batch.ambiguous,
            before=_own(delivery.receipt, delivery.key),
            seen=self._seen(batch) if batch.ambiguous else None,
        )

    def _drawn(self, delivery: Delivery, notice: Notice) -> Chart | None:
        try:
            return self.draw(notice)
        except Exception as problem:  # noqa: BLE001 - the news matters more than its picture (I11)
            _log.error("no picture", **facts(delivery), exc_info=problem)
            return None

    def _digest(self, batch: Batch, key: str, receiver: Receiver) -> Message:
        """Many stories in one message, each by its newest notice."""
        told = [self._as_told(batch, *newest(story)) for story in batch.stories()]
        gathered = self.gathering if self.gathering and batch.deliveries[0].id <= (self.gathering.upto or 0) else None
        reason = gathered.reason if gathered else ""
        parts = self.render_many(receiver.kind, told, reason)
        if failure := parts.get("failure"):
            _log.error("template failed, the built-in text goes out", via=batch.via, digest=len(told), error=failure)
        worst = max(told, key=lambda each: each.level.rank)
        seen = self._seen(batch) if batch.ambiguous else None
        before = _own(batch.deliveries[0].receipt, key)
        return Message(key, Kind.DIGEST, worst, parts, batch.via, repeat=batch.ambiguous, before=before, seen=seen)

    def _as_told(self, batch: Batch, delivery: Delivery, kind: Kind) -> Notice:
        incident = delivery.notice.incident
        waited = self.clock.now() - min(each.queued_at for each in batch.deliveries if each.notice.incident == incident)
        late = waited if waited > LATE and kind is not Kind.REFRESHED else 0
        return replace(delivery.notice, kind=kind, late=late)

    def _thread(self, delivery: Delivery) -> Receipt | None:
        """The newest receipt of a message about this incident there: what follows goes into its thread. A report begins one."""
        if delivery.notice.incident is None:
            return None
        return self._receipt(_THREAD, {"of_incident": delivery.notice.incident, "of_via": delivery.via})

    def _seen(self, batch: Batch) -> Receipt | None:
        """The newest receipt of any message there: it says where to look for one that may have arrived."""
        return self._receipt(_SEEN, {"of_via": batch.via})

    def _receipt(self, taken: sa.Select[Receipt], of: Mapping[str, object]) -> Receipt | None:
        # Closed at once: while a result is not read to its end SQLite keeps its lock, and nobody else can write.
        with self.database.read() as transaction, transaction.scalars(taken, of) as found:
            return next((receipt for receipt in found if receipt), None)

    def _settle(self, outcome: _Outcome) -> None:
        """Write how an attempt ended. If the store cannot be written now, it is kept in memory; raises StoreError."""
        try:
            if isinstance(outcome.result, DeliveryError):
                told = self._failed(outcome.batch, outcome.result)
            else:
                told = self._sent(outcome.batch, outcome.result)
        except StoreError:
            with self._guard:
                self._unsettled.append(outcome)
            raise
        self.told(outcome.channel, told)

    def _settle_kept(self) -> None:
        """Try again to write what could not be written: a message that was sent must not be repeated for that.

        Once its lease has ended its outcome counts as unknown.
        """
        with self._guard:
            kept, self._unsettled = self._unsettled, []
        while kept:
            outcome = kept.pop(0)
            if outcome.until <= self.clock.uptime():
                _log.error("outcome not written, the message may be repeated", **_about(outcome.batch))
                continue
            try:
                self._settle(outcome)
            except StoreError:
                with self._guard:
                    self._unsettled += kept
                raise

    def _sent(self, batch: Batch, receipt: Receipt) -> str:
        receiver = self.book().receivers.get(batch.via)
        edits = receiver is not None and receiver.channel.edits
        with self.database.write() as transaction:
            settlement.sent(transaction, batch, receipt, self.clock.now(), edits=edits)
        _log.info("sent", **_about(batch), attempts=batch.deliveries[-1].attempts)
        return "sent"

    def _failed(self, batch: Batch, problem: DeliveryError) -> str:
        """Put a message back with a later date, or declare it dead: then the fallback is told instead."""
        fallback = self.book().fallback
        with self.database.write() as transaction:
            states = settlement.failed(
                transaction,
                batch,
                problem,
                self.clock.now(),
                fallback=fallback if fallback != batch.via else None,
                back_off=self._back_off,
            )
        dead = "dead" in states.values()
        event = "dead" if dead else "not sent, will be tried again" if states else "not sent, another has taken it up"
        log = _log.error if dead else _log.warning
        log(event, **_about(batch), error=str(problem), attempts=batch.deliveries[-1].attempts)
        return "dead" if dead else "retried"

    def _back_off(self, attempts: int) -> Duration:
        longest = min(FIRST_RETRY << min(attempts - 1, 20), LONGEST_RETRY)
        return round(longest * self.random.uniform(0.75, 1))


def _own(receipt: Receipt | None, key: str) -> Receipt | None:
    """What an earlier attempt had done, if it was one with this key."""
    return receipt if receipt and receipt.get("key") == key else None


def _about(batch: Batch) -> dict[str, object]:
    """What a log line says of a message."""
    if batch.digest:
        return {"digest": len(batch.stories()), "deliveries": len(batch.deliveries), "via": batch.via}
    return facts(batch.deliveries[-1])


def _as_delivery_error(problem: Exception, batch: Batch) -> DeliveryError:
    """What went wrong with a message. After a mistake of ours nobody knows whether it was taken."""
    if isinstance(problem, DeliveryError):
        return problem
    if isinstance(problem, AlertdError):
        return DeliveryError(str(problem))
    _log.error("not sent", **_about(batch), exc_info=problem)
    return DeliveryError("alertd made a mistake with this message; its log has the details", ambiguous=True)
