"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

import threading

from alertd.clock import MINUTE, SECOND, Duration, Instant, parse_instant

START = parse_instant("2026-11-02T09:00:00Z")  # a Monday


class FakeClock:
    """Wall clock, uptime and boot, each of which a test may move by itself."""

    def __init__(self, now: Instant = START, uptime: Duration = 10 * MINUTE, boot: str = "first-boot") -> None:
        self._now, self._uptime, self._boot = now, uptime, boot
        self._lock = threading.Lock()

    def now(self) -> Instant:
        return self._now

    def uptime(self) -> Duration:
        return self._uptime

    def boot(self) -> str:
        return self._boot

    def advance(self, by: Duration) -> None:
        """Let time pass: both clocks move. Several threads may call it."""
        with self._lock:
            self._now += by
            self._uptime += by

    def set_wall(self, now: Instant) -> None:
        """Somebody sets the wall clock: only it moves."""
        self._now = now

    def reboot(self, boot: str, uptime: Duration = 0) -> None:
        """The machine starts again."""
        self._boot, self._uptime = boot, uptime


class FakeEvent(threading.Event):
    """An event on which nobody waits in real time: the fake clock moves instead."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        if timeout is not None and not self.is_set():
            self._clock.advance(max(1, round(timeout * SECOND)))
        return super().wait(None if timeout is None else 0)
