"""The reporting API of a test: it answers as of the test's clock, in the process, and fails when the test says so."""

from __future__ import annotations

from alertd.clock import SECOND, Duration, Instant
from alertd.errors import ReportingError, TimedOut, TooManyRequests, Unreachable
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.ruletests.case import OUTAGES, Case, Happening
from alertd.ruletests.conversations import make_world
from alertd.sandbox.answer import answer_table
from alertd.sandbox.columns import Snapshot

# How long the API lets a query run before it gives up.
_GIVES_UP: Duration = 10 * SECOND


class VirtualClock:
    """A clock that the test moves, only ever forwards."""

    def __init__(self, now: Instant) -> None:
        self._start = self._now = now

    def now(self) -> Instant:
        return self._now

    def uptime(self) -> Duration:
        return self._now - self._start

    def boot(self) -> str:
        return "test"

    def advance(self, by: Duration) -> None:
        """Let time pass: at least a millisecond, so that whoever waits gets on."""
        self._now += max(1, by)

    def reach(self, moment: Instant) -> None:
        """Let time pass until then, if it has not."""
        self._now = max(self._now, moment)


class Api:
    """Answers queries and counts them."""

    def __init__(self, case: Case, clock: VirtualClock) -> None:
        self.calls = 0
        self._clock, self._world = clock, make_world(case)
        self._outages = [each for each in case.during if each.what in OUTAGES]
        self._start = case.start
        self._seen: tuple[Instant, Snapshot] | None = None

    def ask(self, query: Query) -> Table:
        """One call; ReportingError during an outage."""
        self.calls += 1
        since = self._clock.now() - self._start
        for each in self._outages:
            if each.at <= since < each.over:
                raise self._failure(each.what)
        return answer_table(self._snapshot(), query)

    def _failure(self, what: Happening) -> ReportingError:
        if what is Happening.TIMEOUT:
            self._clock.advance(_GIVES_UP)
            return TimedOut("the API did not answer within 10 s (the test says so)", answered=False)
        if what is Happening.TOO_MANY_REQUESTS:
            return TooManyRequests("the API answers that there are too many requests (the test says so)")
        return Unreachable("the API cannot be reached (the test says so)", answered=False)

    def _snapshot(self) -> Snapshot:
        now = self._clock.now()
        if self._seen is None or self._seen[0] != now:
            self._seen = now, self._world.at(now)
        return self._seen[1]
