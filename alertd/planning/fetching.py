"""Asking the API what a plan wants to know: through the budget, several calls at a time, in slices where it must be."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TypeAlias

import structlog

from alertd.clock import MINUTE, SECOND, Clock, Duration
from alertd.errors import (
    AlertdError,
    BudgetSpent,
    Incomplete,
    ReportingError,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorised,
)
from alertd.facts import Window
from alertd.planning.planner import Request
from alertd.reporting.budget import Budget, Slot
from alertd.reporting.gate import Gate
from alertd.reporting.query import Query
from alertd.reporting.table import Table, join

_log = structlog.get_logger()

Ask: TypeAlias = Callable[[Query], Table]
Answer: TypeAlias = Table | AlertdError

# 60 calls a minute of 10 s each are ten at a time; more threads could never be busy.
CONCURRENT_CALLS = 10

# A window is not cut any finer than this: whoever has more rows a minute than the API returns needs narrower filters.
_FINEST: Duration = MINUTE


@dataclass(frozen=True)
class Source:
    """The reporting API behind its budget. `ask` is one call; `patience` is how long it may take."""

    ask: Ask
    budget: Budget
    gate: Gate
    clock: Clock
    patience: Duration
    stopping: threading.Event
    count: Callable[[str], None] = lambda _outcome: None  # told the outcome of each call, for metrics

    def fetch(self, requests: Sequence[Request], deadlines: Sequence[Duration]) -> Iterator[tuple[Request, Answer]]:
        """Ask all requests and yield each answer as it comes. Deadlines (uptime) are for getting a slot.

        An error is an answer too: it costs only the rules that need this request.
        """
        if not requests:
            return
        pool = ThreadPoolExecutor(min(CONCURRENT_CALLS, len(requests)), thread_name_prefix="fetch")
        with pool:
            order = sorted(zip(requests, deadlines, strict=True), key=lambda each: each[1])
            asked: dict[Future[Answer], Request] = {pool.submit(self._answer, *each): each[0] for each in order}
            for future in as_completed(asked):
                yield asked[future], future.result()

    def _answer(self, request: Request, deadline: Duration) -> Answer:
        try:
            return self._whole(request, request.window, deadline)
        except AlertdError as problem:
            return problem
        except Exception:  # noqa: BLE001 - a mistake of ours in one answer must not cost the rules of all others
            _log.exception("request failed", exc_info=True)
            return AlertdError("alertd made a mistake with this answer; its log has the details")

    def _whole(self, request: Request, window: Window, deadline: Duration) -> Table:
        """Ask for a window; in halves if the API cannot answer it at once. All of it or an error, never a part."""
        try:
            return self._call(request.query(window), deadline)
        except (TimedOut, Incomplete, TooLarge):
            if window.length < 2 * _FINEST or self.clock.uptime() > deadline:
                raise
        middle = window.start + window.length // 2
        halves = (replace(window, end=middle), replace(window, start=middle))
        return join([self._whole(request, half, deadline) for half in halves])

    def _call(self, query: Query, deadline: Duration) -> Table:
        self.gate.check()
        slot = self._slot(deadline)
        answered = False
        try:
            table = self.ask(query)
            answered = True
        except ReportingError as problem:
            answered = problem.answered
            self._learn(problem)
            raise
        finally:
            self.budget.give_back(slot, answered=answered)
        self.gate.open()
        self.count("ok")
        return table

    def _learn(self, problem: ReportingError) -> None:
        self.count(problem.name)
        if isinstance(problem, TooManyRequests):
            self.budget.refused(problem.retry_after)
        elif isinstance(problem, Unauthorised):
            self.gate.close(problem)

    def _slot(self, deadline: Duration) -> Slot:
        while not self.stopping.is_set():
            slot = self.budget.borrow(self.patience)
            if isinstance(slot, Slot):
                # A holder that was stopped in between must not send: its slot may be somebody else's by now.
                if self.clock.uptime() < slot.send_before:
                    return slot
                self.budget.give_back(slot, answered=False)
            elif self.clock.uptime() + slot > deadline:
                break
            else:
                self.stopping.wait(slot / SECOND)
        raise BudgetSpent("no call was free in time: the budget of calls a minute is spent")
