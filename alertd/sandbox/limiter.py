"""The API's limit of calls, as its strictest reader would have it: a log of arrivals, looked at over any 60 s."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from alertd.clock import MINUTE, Duration

WINDOW: Duration = MINUTE


@dataclass(frozen=True, slots=True)
class Stats:
    """What arrived so far."""

    calls: int
    refused: int  # of those, by this limit
    most_in_a_minute: int  # arrivals, refused ones too


class Limiter:
    """Lets at most `limit` calls through in any 60 s. `uptime` is a clock that nobody sets, in ms."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._passed: deque[Duration] = deque()
        self._arrived: deque[Duration] = deque()
        self._stats = Stats(0, 0, 0)

    def arrive(self, uptime: Duration) -> Duration | None:
        """Count a call; None lets it through, otherwise it says how long to wait, in ms."""
        with self._lock:
            self._arrived.append(uptime)
            for log in (self._arrived, self._passed):
                while log and log[0] <= uptime - WINDOW:
                    log.popleft()
            refused = len(self._passed) >= self._limit  # refused calls do not prolong the wait
            if not refused:
                self._passed.append(uptime)
            self._count(refused=refused)
            return self._wait(uptime) if refused else None

    @property
    def stats(self) -> Stats:
        """What arrived so far."""
        with self._lock:
            return self._stats

    def _wait(self, uptime: Duration) -> Duration:
        return self._passed[0] + WINDOW - uptime if self._passed else WINDOW

    def _count(self, *, refused: bool) -> None:
        most = max(self._stats.most_in_a_minute, len(self._arrived))
        self._stats = Stats(self._stats.calls + 1, self._stats.refused + refused, most)
