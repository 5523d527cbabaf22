"""Asking the API what a plan wants to know: through the queue and the budget, in slices where needed, whole or not at all."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import structlog

from alertd.clock import MINUTE, Clock, Duration
from alertd.errors import (
    AlertdError,
    BadQuery,
    BudgetSpent,
    Incomplete,
    ReportingError,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorised,
)
from alertd.facts import Window
from alertd.planning.calls import Calls
from alertd.planning.demand import Urgency
from alertd.planning.knowledge import Knowledge
from alertd.planning.planner import Request
from alertd.reporting.budget import Budget, Slot
from alertd.reporting.gate import Gate
from alertd.reporting.query import Query
from alertd.reporting.table import Table, join

_log = structlog.get_logger()

Ask: TypeAlias = Callable[[Query], Table]
Answer: TypeAlias = Table | AlertdError
Answers: TypeAlias = "queue.SimpleQueue[tuple[Request, Answer]]"

# 60 calls a minute of 10 s each are ten at a time; more threads could never be busy.
CONCURRENT_CALLS = 10

# Calls of one order that may time out while none is answered: an API that is down would be asked for every slice otherwise.
_TIMEOUTS = 6

# A window is not cut any finer than this: whoever has more rows a minute than the API returns needs narrower filters.
_FINEST: Duration = MINUTE


@dataclass(frozen=True)
class Order:
    """A request with its place in the queue: `deadline` (uptime) is for getting a slot."""

    request: Request
    deadline: Duration
    urgency: Urgency = Urgency.NORMAL


class Source:
    """The reporting API behind its budget.

    `ask` is one call and `patience` how long it may take. Within `working` threads do the calls; without it, whoever fetches
    does them one by one and waits with `pause`.
    """

    def __init__(
        self,
        ask: Ask,
        budget: Budget,
        gate: Gate,
        clock: Clock,
        *,
        patience: Duration,
        pause: Callable[[Duration], None],
        count: Callable[[str], None] = lambda _outcome: None,
    ) -> None:
        self.budget, self.gate, self.clock, self.knowledge = budget, gate, clock, Knowledge()
        self._ask, self._pause, self._count = ask, pause, count
        self._calls = Calls(budget, clock, patience)
        self._workers = 0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Worker threads for the length of the block; what still waits at its end is too late."""
        threads = [threading.Thread(target=self._calls.work, name=f"call-{n}", daemon=True) for n in range(CONCURRENT_CALLS)]
        for thread in threads:
            thread.start()
        self._workers = len(threads)
        try:
            yield
        finally:
            self._calls.close()

    @property
    def waiting(self) -> int:
        """How many calls wait for a slot."""
        return len(self._calls)

    def close(self) -> None:
        """Send no more calls; whoever waits for one is told that it is too late."""
        self._calls.close()

    def fetch(self, orders: Sequence[Order]) -> Iterator[tuple[Request, Answer]]:
        """Ask all requests and yield each answer as it comes. An error is an answer too: it costs only who needs it."""
        done: Answers = queue.SimpleQueue()
        tickets = [_Ticket(self, self._calls, order, done) for order in orders]
        try:
            for ticket in tickets:
                ticket.start()
            for _ in orders:
                while not self._workers and done.empty():
                    pause = self._calls.step()
                    if done.empty():
                        self._pause(pause)
                yield done.get()
        finally:
            for ticket in tickets:
                ticket.leave()

    def call(self, query: Query, slot: Slot) -> Table:
        """One call on one slot, which is given back whatever happens; ReportingError."""
        answered = False
        try:
            table = self._ask(query)
            answered = True
        except ReportingError as problem:
            answered = problem.answered
            self._learn(problem)
            raise
        finally:
            self.budget.give_back(slot, answered=answered)
        self.gate.open()
        self._count("ok")
        return table

    def _learn(self, problem: ReportingError) -> None:
        self._count(problem.name)
        if isinstance(problem, TooManyRequests):
            self.budget.refused(problem.retry_after)
        elif isinstance(problem, Unauthorised):
            self.gate.close(problem)
        elif isinstance(problem, BadQuery):  # the token was taken: a bad rule that tries it must not keep the gate shut
            self.gate.open()


class _Ticket:
    """One order on its way: its window in slices, answered as a whole or with the error that stopped it."""

    def __init__(self, source: Source, calls: Calls, order: Order, done: Answers) -> None:
        self._source, self._calls, self._order, self._done = source, calls, order, done
        self._lock = threading.Lock()
        self._open = 0  # calls that are queued or under way
        self._later: deque[Window] = deque()  # slices that wait for one of them: the first to fail for good ends it all
        self._over = False
        self._tables: list[Table] = []
        self._timeouts = 0  # since anything was answered
        self._late = "no call was free in time: the budget of calls a minute is spent"

    def start(self) -> None:
        """Queue its calls: as many as earlier answers say that it takes."""
        request = self._order.request
        windows = self._source.knowledge.slices(request.filters, request.window)
        self._open = len(windows)
        for window in windows:
            self._queue(window)

    def leave(self) -> None:
        """Nobody waits for the answer any more: send nothing."""
        self._over = True

    def _queue(self, window: Window) -> None:
        self._calls.put(self._order.urgency, self._order.deadline, partial(self._send, window), self._expire)

    def _send(self, window: Window, slot: Slot) -> None:
        try:
            if self._may_send(window, slot):
                self._arrived(window, self._source.call(self._order.request.query(window), slot))
            else:
                self._source.budget.give_back(slot, used=False)
        except AlertdError as problem:
            self._failed(window, problem)
        except Exception:  # noqa: BLE001 - a mistake of ours in one answer must not cost the rules of all others
            _log.exception("call failed")
            self._finish(AlertdError("alertd made a mistake with this answer; its log has the details"))

    def _may_send(self, window: Window, slot: Slot) -> bool:
        if self._over:
            return False
        # A holder that was stopped in between must not send: its slot may be somebody else's by now.
        if self._source.clock.uptime() >= slot.send_before:
            self._queue(window)
            return False
        try:
            self._source.gate.check()  # here and only here: whoever passes is the one that tries a refused token again
        except Unauthorised as problem:
            self._finish(problem)
            return False
        return True

    def _arrived(self, window: Window, table: Table) -> None:
        self._source.knowledge.answered(self._order.request.filters, window, len(table))
        self._tables.append(table)
        self._timeouts = 0
        self._go_on()

    def _failed(self, window: Window, problem: AlertdError) -> None:
        """Cut a window that the API could not answer at once in halves; wait again after a 429; else give up."""
        now = self._source.clock.uptime()
        if isinstance(problem, TooManyRequests) and now <= self._order.deadline:
            self._late = "the API answers that there are too many requests; somebody else may hold the token too"
            self._queue(window)
        elif isinstance(problem, TimedOut | Incomplete | TooLarge) and self._divisible(window, now, problem):
            self._source.knowledge.failed(self._order.request.filters, window)
            middle = window.start + window.length // 2
            with self._lock:
                self._later.extendleft((replace(window, start=middle), replace(window, end=middle)))
            self._go_on()
        else:
            self._finish(problem)

    def _divisible(self, window: Window, now: Duration, problem: AlertdError) -> bool:
        self._timeouts += isinstance(problem, TimedOut)
        return window.length >= 2 * _FINEST and now <= self._order.deadline and self._timeouts < _TIMEOUTS

    def _go_on(self) -> None:
        """After a call: the next slice, or the end when there is none and nothing is under way."""
        with self._lock:
            following = self._later.popleft() if self._later else None
            self._open -= following is None
            whole = not self._open
        if following is not None:
            self._queue(following)
        elif whole:
            self._finish(join(self._tables))

    def _expire(self) -> None:
        self._finish(BudgetSpent(self._late))

    def _finish(self, answer: Answer) -> None:
        with self._lock:
            first, self._over = not self._over, True
        if first:
            self._done.put((self._order.request, answer))
