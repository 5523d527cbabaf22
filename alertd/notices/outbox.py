"""The outbox: deliveries are claimed, rendered, sent and settled, one at a time, until each is sent or visibly dead (I5).

A delivery is claimed with a lease, so that a killed process's deliveries are taken up again; of one story only the oldest is
ever claimed, so that what a receiver is told comes in order (I4). Sending happens outside of any transaction.
"""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog

from alertd.channels.base import Access, Message, Receipt
from alertd.clock import DAY, MINUTE, SECOND, Clock, Duration, Instant
from alertd.errors import AlertdError, DeliveryError, StoreError
from alertd.facts import Kind
from alertd.notice import Notice, from_json
from alertd.notices.delivery import Delivery, bury, facts, redirect
from alertd.rulebook.rule import Receiver, Rulebook
from alertd.store.database import Database
from alertd.store.tables import deliveries, incidents, notices

_log = structlog.get_logger()

# How long a claim holds: longer than any channel's own deadlines together. A daemon that starts does not wait for it.
LEASE: Duration = 5 * MINUTE

# Back-off between attempts: doubled each time up to the longest.
FIRST_RETRY: Duration = 5 * SECOND
LONGEST_RETRY: Duration = 5 * MINUTE

# No receiver may ask us to wait for longer. A date further ahead was written before somebody set the clock back (I10).
LONGEST_PAUSE: Duration = 15 * MINUTE

# When a receiver counts as dead although each failure alone may pass: soon where somebody else can be told instead.
PATIENCE_WITH_FALLBACK: Duration = 30 * MINUTE
PATIENCE: Duration = DAY
LEAST_ATTEMPTS = 5  # so many at least: time in which nobody tried proves nothing

# What the deployment lacks may come back soon, such as a secret that is being rotated; longer than that, people must act.
PATIENCE_WHILE_LACKING: Duration = 2 * MINUTE
LEAST_ATTEMPTS_WHILE_LACKING = 3


class Lacking(DeliveryError):
    """The deployment does not have what the receiver needs, at this moment."""


Render = Callable[[str, Notice], Mapping[str, str]]


@dataclass(frozen=True)
class _Outcome:
    """How an attempt ended: the receipt, or why there is none. `until` (uptime): whoever claimed it holds it no longer."""

    delivery: Delivery
    channel: str
    result: Receipt | DeliveryError
    until: Duration


@dataclass
class Outbox:
    """Delivers what stands in the store. `step` does one unit of work; several threads may call it."""

    database: Database
    clock: Clock
    book: Callable[[], Rulebook]
    access: Access
    render: Render
    told: Callable[[str, str], None] = lambda _channel, _outcome: None  # each outcome, for metrics
    worker: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    random: random.Random = field(default_factory=random.Random)
    # Receivers, and until when (uptime) they are left in peace: while they are sent something, and while they rest.
    _paced: dict[str, Duration] = field(default_factory=dict)
    _unsettled: list[_Outcome] = field(default_factory=list)  # attempts that are over and could not be written yet
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> bool:
        """Deliver one message if one is due. True if there was one: call again at once."""
        self._settle_kept()
        delivery = self._claim()
        if delivery is None:
            return False
        receiver = self.book().receivers.get(delivery.via)
        kind = receiver.kind if receiver else "unknown"
        pause = receiver.channel.pace if receiver else 0
        try:
            result = self._attempt(delivery, receiver)
            if isinstance(result, DeliveryError):
                pause = max(pause, min(result.retry_after or 0, LONGEST_PAUSE))
            self._settle(_Outcome(delivery, kind, result, self.clock.uptime() + LEASE))
        finally:
            self._rest(delivery.via, pause)
        return True

    def recover(self) -> int:
        """Take up what a killed daemon was sending; call it once, while holding the store. Returns how many there were."""
        back: dict[str, object] = {"state": "queued", "lease": None, "lease_until": None, "ambiguous": True}
        with self.database.write() as transaction:
            sending = deliveries.c.state == "sending"
            return transaction.execute(sa.update(deliveries).where(sending).values(back)).rowcount

    def revive(self) -> int:
        """Queue again what reached nobody although its incident still goes on: receivers are mended between two starts.

        Of each story only the newest message is of interest. Returns how many there were.
        """
        now = self.clock.now()
        told = deliveries.c.kind != Kind.REFRESHED.value
        newest = sa.select(sa.func.max(deliveries.c.id)).where(told).group_by(deliveries.c.incident, deliveries.c.receiver)
        going_on = sa.select(incidents.c.id).where(incidents.c.closed_at.is_(None))
        lost = (deliveries.c.state == "dead") & deliveries.c.id.in_(newest) & deliveries.c.incident.in_(going_on)
        values = {"state": "queued", "via": deliveries.c.receiver, "attempts": 0, "queued_at": now, "due_at": now}
        values |= {"error": None}
        with self.database.write() as transaction:
            return transaction.execute(sa.update(deliveries).where(lost).values(values)).rowcount

    def next_due(self) -> Instant | None:
        """When the next delivery can be tried; None if the outbox is empty."""
        with self.database.read() as transaction:
            queued = sa.select(sa.func.min(deliveries.c.due_at)).where(deliveries.c.state == "queued")
            leased = sa.select(sa.func.min(deliveries.c.lease_until)).where(deliveries.c.state == "sending")
            moments = [transaction.scalar(queued), transaction.scalar(leased)]
        return min((each for each in moments if each is not None), default=None)

    def _claim(self) -> Delivery | None:
        with self._guard:
            delivery = self._take()
            if delivery:  # one at a time: a receiver that hangs takes one thread, not all
                self._paced[delivery.via] = self.clock.uptime() + LEASE
            return delivery

    def _take(self) -> Delivery | None:
        now, lease = self.clock.now(), f"{self.worker}-{uuid.uuid4().hex[:8]}"
        with self.database.write() as transaction:
            row = transaction.execute(self._next(now)).first()
            if row is None:
                return None
            # A lease that has run out belonged to somebody who may have sent it: whoever repeats it says so.
            ambiguous = row.ambiguous or row.state == "sending"
            claim = {"state": "sending", "lease": lease, "lease_until": now + LEASE, "attempts": row.attempts + 1}
            mine = deliveries.c.id == row.id
            transaction.execute(sa.update(deliveries).where(mine).values(claim | {"ambiguous": ambiguous}))
            body = transaction.scalars(sa.select(notices.c.body).where(notices.c.id == row.notice)).one()
        return Delivery(
            id=row.id,
            notice=from_json(body),
            receiver=row.receiver,
            via=row.via,
            kind=Kind(row.kind),
            key=row.key,
            attempts=row.attempts + 1,
            queued_at=row.queued_at,
            ambiguous=ambiguous,
            lease=lease,
        )

    def _next(self, now: Instant) -> sa.Select[tuple[object, ...]]:
        """The delivery that is due, tried least and oldest, and not kept waiting by its story, or by its receiver's pace.

        Retries come after first attempts: a receiver with many of them must not starve the others.
        """
        due = (deliveries.c.due_at <= now) | (deliveries.c.due_at > now + LONGEST_PAUSE)
        ready = (deliveries.c.state == "queued") & due
        abandoned = (deliveries.c.state == "sending") & (deliveries.c.lease_until <= now)
        older = deliveries.alias("older")
        same = (older.c.via == deliveries.c.via) | (older.c.receiver == deliveries.c.receiver)
        story = (older.c.incident == deliveries.c.incident) & same
        ahead = sa.exists().where(story, older.c.id < deliveries.c.id, older.c.state.in_(("queued", "sending")))
        paced = deliveries.c.via.in_(self._resting())
        turn = (deliveries.c.attempts, deliveries.c.id)
        return sa.select(deliveries).where(ready | abandoned, ~ahead, ~paced).order_by(*turn).limit(1)

    def _resting(self) -> list[str]:
        uptime = self.clock.uptime()
        return [via for via, until in self._paced.items() if until > uptime]

    def _rest(self, via: str, pause: Duration) -> None:
        with self._guard:
            self._paced.pop(via, None)
            if pause:
                self._paced[via] = self.clock.uptime() + pause

    def _attempt(self, delivery: Delivery, receiver: Receiver | None) -> Receipt | DeliveryError:
        try:
            return self._send(delivery, receiver)
        except Exception as raised:  # noqa: BLE001 - one message must not stop the others
            return _as_delivery_error(raised, delivery)

    def _settle(self, outcome: _Outcome) -> None:
        """Write how an attempt ended. If the store cannot be written now, it is kept in memory; raises StoreError."""
        try:
            if isinstance(outcome.result, DeliveryError):
                told = "dead" if self._failed(outcome.delivery, outcome.result) else "retried"
            else:
                self._sent(outcome.delivery, outcome.result)
                told = "sent"
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
                _log.error("outcome not written, the message may be repeated", **facts(outcome.delivery))
                continue
            try:
                self._settle(outcome)
            except StoreError:
                with self._guard:
                    self._unsettled += kept
                raise

    def _send(self, delivery: Delivery, receiver: Receiver | None) -> Receipt:
        if receiver is None:
            raise DeliveryError(f"there is no receiver {delivery.via} any more", permanent=True)
        if lack := receiver.channel.missing(self.access):
            raise Lacking(lack)
        thread = self._thread(delivery)
        message = Message(
            delivery.key, delivery.kind, delivery.notice, self._parts(delivery, receiver), repeat=delivery.ambiguous
        )
        return receiver.channel.send(message, thread, self.access)

    def _parts(self, delivery: Delivery, receiver: Receiver) -> Mapping[str, str]:
        # What was worth telling to others as a change may be the opening for this receiver.
        # Where an end is not told, what is edited silently reads as resolved all the same.
        silent_end = delivery.kind is Kind.REFRESHED and delivery.notice.resolved_at is not None
        kind = Kind.RESOLVED if silent_end else delivery.kind
        parts = self.render(receiver.kind, replace(delivery.notice, kind=kind))
        if failure := parts.get("failure"):
            _log.error("template failed, the built-in text goes out", **facts(delivery), error=failure)
        return parts

    def _thread(self, delivery: Delivery) -> Receipt | None:
        """The newest receipt of a message about this incident there: what follows goes into its thread. A report begins one."""
        if delivery.notice.incident is None:
            return None
        sent = (
            sa.select(deliveries.c.receipt)
            .where(
                deliveries.c.incident == delivery.notice.incident,
                deliveries.c.via == delivery.via,
                deliveries.c.state == "sent",
                deliveries.c.kind != Kind.TEST.value,
            )
            .order_by(deliveries.c.id.desc())
        )
        with self.database.read() as transaction:
            return next((receipt for receipt in transaction.scalars(sent) if receipt), None)

    def _sent(self, delivery: Delivery, receipt: Receipt) -> None:
        now = self.clock.now()
        values = {"state": "sent", "sent_at": now, "receipt": dict(receipt), "lease": None, "lease_until": None, "error": None}
        with self.database.write() as transaction:
            transaction.execute(sa.update(deliveries).where(_mine(delivery)).values(values))
        _log.info("sent", **facts(delivery), attempts=delivery.attempts)

    def _failed(self, delivery: Delivery, problem: DeliveryError) -> bool:
        """Put a delivery back with a later date, or declare it dead. True if it is dead."""
        now, fallback = self.clock.now(), self._fallback(delivery)
        patience, least = PATIENCE_WITH_FALLBACK if fallback else PATIENCE, LEAST_ATTEMPTS
        if isinstance(problem, Lacking):
            patience, least = PATIENCE_WHILE_LACKING, LEAST_ATTEMPTS_WHILE_LACKING
        tried = delivery.attempts >= least and now - delivery.queued_at >= patience
        dead = problem.permanent or tried
        pause = min(max(self._back_off(delivery.attempts), problem.retry_after or 0), LONGEST_PAUSE)
        values: dict[str, object] = {
            "state": "dead" if dead else "queued",
            "due_at": now + pause,
            "error": _error(delivery, problem, dead=dead),
            "lease": None,
            "lease_until": None,
            "ambiguous": delivery.ambiguous or problem.ambiguous,
        }
        with self.database.write() as transaction:
            changed = transaction.execute(sa.update(deliveries).where(_mine(delivery)).values(values)).rowcount
            dead = dead and changed > 0
            if dead and not (fallback and redirect(transaction, delivery, fallback, now)):
                bury(transaction, delivery)
        event = "dead" if dead else "not sent, will be tried again" if changed else "not sent, another has taken it up"
        log = _log.error if dead else _log.warning
        log(event, **facts(delivery), error=str(problem), attempts=delivery.attempts)
        return dead

    def _fallback(self, delivery: Delivery) -> str | None:
        fallback = self.book().fallback
        return fallback if fallback and delivery.via != fallback and delivery.kind is not Kind.TEST else None

    def _back_off(self, attempts: int) -> Duration:
        longest = min(FIRST_RETRY << min(attempts - 1, 20), LONGEST_RETRY)
        return round(longest * self.random.uniform(0.75, 1))


def _mine(delivery: Delivery) -> sa.ColumnElement[bool]:
    """Only whoever holds the lease may settle: another thread or process may have taken the delivery up since."""
    return (deliveries.c.id == delivery.id) & (deliveries.c.lease == delivery.lease) & (deliveries.c.state == "sending")


def _error(delivery: Delivery, problem: DeliveryError, *, dead: bool) -> str | sa.ColumnElement[str]:
    """What is shown of a failure. Beside the fallback's own the receiver's stays: that is the one to be mended."""
    if delivery.via == delivery.receiver:
        return str(problem)
    first = sa.func.coalesce(deliveries.c.error, "")
    return first + f"; then {delivery.via}: {problem}" if dead else first


def _as_delivery_error(problem: Exception, delivery: Delivery) -> DeliveryError:
    """What went wrong with a delivery. After a mistake of ours nobody knows whether the message was taken."""
    if isinstance(problem, DeliveryError):
        return problem
    if isinstance(problem, AlertdError):
        return DeliveryError(str(problem))
    _log.error("not sent", **facts(delivery), exc_info=problem)
    return DeliveryError("alertd made a mistake with this message; its log has the details", ambiguous=True)
