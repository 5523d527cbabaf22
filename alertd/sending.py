"""The threads that send: several, so that one that hangs holds up nobody else; the sign of life comes from them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from alertd.clock import SECOND, Duration, iso
from alertd.durations import spell_duration
from alertd.heartbeat import Heartbeat
from alertd.notices.claiming import LEASE
from alertd.notices.outbox import Outbox
from alertd.watching import Watch
from alertd.web.health import Check

SENDERS = 4

# Seconds that the outbox sleeps when nothing is due and nobody wakes it.
IDLE = 1.0


class Sending:
    """Sends what stands in the outbox, from `start` on until `stop`. `wake` says that there may be something new."""

    def __init__(self, outbox: Outbox, heartbeat: Heartbeat, watch: Watch, stopping: threading.Event) -> None:
        self._outbox, self._heartbeat, self._watch, self._stopping = outbox, heartbeat, watch, stopping
        self._mail = threading.Event()  # set when there may be something to send
        self._busy: dict[str, Duration] = {}  # by thread, the uptime at which it began with what it does
        self._threads = [threading.Thread(target=self._run, name=f"send-{number}") for number in range(SENDERS)]

    def start(self) -> None:
        """Begin to send."""
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

    def checks(self) -> dict[str, Check]:
        """Whether all threads send, and whether the sign of life is taken; no part of it where nobody waits for one."""
        return {"sending": self._sending()} | self._beating()

    def _sending(self) -> Check:
        """No message takes longer than a lease holds: whoever is at one for longer hangs, and sends nothing else."""
        if any(thread.ident is not None and not thread.is_alive() for thread in self._threads):
            return Check(ok=False, text="a thread that sends has ended; restart alertd, and report its log")
        begun, now = list(self._busy.values()), self._outbox.clock.uptime()
        stuck = [now - since for since in begun if now - since > LEASE]
        if not stuck:
            return Check(ok=True, text=f"{len(self._threads)} threads send")
        text = f"{len(stuck)} of {len(self._threads)} threads that send hang, for up to {spell_duration(max(stuck))}"
        return Check(ok=False, text=f"{text}; restart alertd, and report its log")

    def _beating(self) -> dict[str, Check]:
        beat = self._heartbeat
        if beat.error is not None:
            return {"heartbeat": Check(ok=False, text=beat.error)}
        return {"heartbeat": Check(ok=True, text=f"last sent {iso(beat.last_at)}")} if beat.last_at is not None else {}

    def last_beat(self) -> float:
        """When the last sign of life was taken, in seconds since 1970; NaN where none was."""
        return self._heartbeat.last_at / SECOND if self._heartbeat.last_at is not None else math.nan

    def _run(self) -> None:
        while not self._stopping.is_set():
            with self._working():
                busy = self._sent_one()
                self._heartbeat.beat()
            if not busy:
                self._mail.wait(IDLE)
                self._mail.clear()

    @contextmanager
    def _working(self) -> Iterator[None]:
        name = threading.current_thread().name
        self._busy[name] = self._outbox.clock.uptime()
        try:
            yield
        finally:
            self._busy.pop(name, None)

    def _sent_one(self) -> bool:
        try:
            busy = self._outbox.step()
        except Exception as problem:  # noqa: BLE001 - a thread that ends here would send nothing any more
            self._watch.sending_failed(problem)
            return False
        self._watch.sending_works()
        return busy
