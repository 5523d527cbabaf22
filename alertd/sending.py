"""The threads that send: several, so that one receiver that hangs holds up nobody else, and the sign of life comes from them.

After a downtime what has happened meanwhile is gathered into one message, instead of one message for each thing.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable

import structlog

from alertd.clock import MINUTE, SECOND, Duration, Instant, iso
from alertd.evaluation.schedule import Due
from alertd.heartbeat import Heartbeat
from alertd.notices.markup import utc
from alertd.notices.outbox import Outbox
from alertd.watching import Watch
from alertd.web.health import Check

_log = structlog.get_logger()

SENDERS = 4

# Seconds that the outbox sleeps when nothing is due and nobody wakes it.
IDLE = 1.0

# So long at least alertd was not running for what follows to be a summary.
DOWN: Duration = 10 * MINUTE

# What is gathered after a downtime waits for the first checks, and no longer than this.
GATHERING: Duration = 2 * MINUTE


class Sending:
    """Sends what stands in the outbox, from `start` on until `stop`. `wake` says that there may be something new."""

    def __init__(self, outbox: Outbox, heartbeat: Heartbeat, watch: Watch, stopping: threading.Event) -> None:
        self._outbox, self._heartbeat, self._watch, self._stopping = outbox, heartbeat, watch, stopping
        self._mail = threading.Event()  # set when there may be something to send
        self._threads = [threading.Thread(target=self._run, name=f"send-{number}") for number in range(SENDERS)]

    def start(self) -> None:
        """Take up what was left, then send. Raises StoreError."""
        if again := self._outbox.revive():
            _log.info("telling again what reached nobody and still goes on", deliveries=again)
        if taken_up := self._outbox.recover():
            _log.warning("sending again what a killed daemon was sending", deliveries=taken_up)
        for thread in self._threads:
            thread.start()

    def stop(self, until: float) -> None:
        """Let what is being sent be finished, up to that moment of time.monotonic(); the event `stopping` has been set."""
        self._mail.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))

    def wake(self) -> None:
        """There may be something to send."""
        self._mail.set()

    def gather(self, last: Instant | None, dues: Iterable[Due], now: Instant) -> None:
        """Gather what comes of the first checks, if rules should have been checked since the last check, and were not."""
        if last is None or now - last < DOWN or not any(each.missed for each in dues):
            return
        self._outbox.gather(GATHERING, f"alertd was not running from {utc(last, now)} to {utc(now, now)}")

    def release(self) -> None:
        """The first checks are done."""
        self._outbox.release()

    def checks(self) -> dict[str, Check]:
        """Whether all threads send, and whether the sign of life is taken; no part of it where nobody waits for one."""
        beat = self._heartbeat
        if any(thread.ident is not None and not thread.is_alive() for thread in self._threads):
            return {"sending": Check(ok=False, text="a thread that sends has ended; restart alertd, and report its log")}
        if beat.error is not None:
            return {"heartbeat": Check(ok=False, text=beat.error)}
        return {"heartbeat": Check(ok=True, text=f"last sent {iso(beat.last_at)}")} if beat.last_at is not None else {}

    def last_beat(self) -> float:
        """When the last sign of life was taken, in seconds since 1970; NaN where none was."""
        return self._heartbeat.last_at / SECOND if self._heartbeat.last_at is not None else math.nan

    def _run(self) -> None:
        while not self._stopping.is_set():
            busy = self._sent_one()
            self._heartbeat.beat()
            if not busy:
                self._mail.wait(IDLE)
                self._mail.clear()

    def _sent_one(self) -> bool:
        try:
            busy = self._outbox.step()
        except Exception as problem:  # noqa: BLE001 - a thread that ends here would send nothing any more
            self._watch.sending_failed(problem)
            return False
        self._watch.sending_works()
        return busy
