"""The queue of calls: whoever is most urgent gets the next free slot.

Ordered by class, then by deadline. Nothing here knows rules or answers; a call is a function. Worker threads take `work`; the
one thread of a test, a simulation or a command takes `step` after `step`.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from alertd.clock import SECOND, Clock, Duration
from alertd.errors import StoreDown
from alertd.planning.demand import Urgency
from alertd.reporting.budget import Budget, Slot

_log = structlog.get_logger()

# How long a worker sleeps when there is nothing to do and nobody wakes it.
_IDLE: Duration = SECOND


@dataclass(order=True, frozen=True)
class Call:
    """One call that waits. `send` uses the slot and gives it back; `expire` is told instead if none came free in time."""

    urgency: Urgency
    deadline: Duration  # uptime
    number: int
    send: Callable[[Slot], None] = field(compare=False)
    expire: Callable[[], None] = field(compare=False)


class Calls:
    """The queue. Thread-safe."""

    def __init__(self, budget: Budget, clock: Clock, patience: Duration) -> None:
        self._budget, self._clock, self._patience = budget, clock, patience
        self._waiting: list[Call] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._turn = threading.Lock()  # one worker at a time looks for a slot, and the others sleep
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, urgency: Urgency, deadline: Duration, send: Callable[[Slot], None], expire: Callable[[], None]) -> None:
        """Let a call wait for its turn; after `close` it is told at once that it is too late."""
        with self._changed:
            closed = self._closed
            if not closed:
                heapq.heappush(self._waiting, Call(urgency, deadline, next(self._numbers), send, expire))
                self._changed.notify_all()
        if closed:
            expire()

    def step(self) -> Duration:
        """Send one call if a slot is free. Returns how long to wait before the next step."""
        with self._turn:
            found = self._take()
        if not isinstance(found, tuple):
            return found
        call, slot = found
        call.send(slot)
        return 0

    def work(self) -> None:
        """Take steps until the queue is closed: the body of a worker thread."""
        while not self._closed:
            try:
                with self._turn:
                    found = self._take()
                    if not isinstance(found, tuple):
                        self._sleep(found)
                        continue
                call, slot = found
                call.send(slot)
            except StoreDown:  # without a slot there is no call; the daemon says that the store is down
                self._sleep(_IDLE)
            except Exception as problem:  # noqa: BLE001 - the thread must live on: what waits is sent once the store is back
                _log.error("no call sent", error=str(problem) or type(problem).__name__)
                self._sleep(_IDLE)

    def close(self) -> None:
        """Let the workers end; calls that still wait are told that it is too late."""
        with self._changed:
            self._closed = True
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
        for call in left:
            call.expire()

    def _take(self) -> tuple[Call, Slot] | Duration:
        """The most urgent call with a slot for it, or how long to wait until there may be one."""
        self._expire()
        first = self._first()
        if first is None:
            return _IDLE
        slot = self._budget.borrow(self._patience, background=first.urgency is Urgency.BACKGROUND)
        if not isinstance(slot, Slot):
            return slot
        # Somebody more urgent may have come meanwhile; whoever is first now gets it.
        call = self._pop()
        if call is not None:
            return call, slot
        self._budget.give_back(slot, used=False)
        return 0

    def _sleep(self, pause: Duration) -> None:
        with self._changed:
            if pause and not self._closed:
                self._changed.wait(pause / SECOND)

    def _first(self) -> Call | None:
        with self._changed:
            return self._waiting[0] if self._waiting else None

    def _pop(self) -> Call | None:
        with self._changed:
            return heapq.heappop(self._waiting) if self._waiting else None

    def _expire(self) -> None:
        now = self._clock.uptime()
        with self._changed:
            late = [call for call in self._waiting if call.deadline < now]
            if late:
                self._waiting = [call for call in self._waiting if call.deadline >= now]
                heapq.heapify(self._waiting)
        for call in late:
            call.expire()
