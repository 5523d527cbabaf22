"""Asking what a plan wants to know: through the budget, in time, and all of it or an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from alertd.clock import HOUR, MINUTE, SECOND, Duration
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
    Unreachable,
)
from alertd.facts import Window
from alertd.planning.fetching import CONCURRENT_CALLS, Answer, Source
from alertd.planning.planner import Request
from alertd.reporting.budget import MINUTE as SLOT
from alertd.reporting.budget import TRAVEL
from alertd.reporting.query import Operation, Query
from alertd.reporting.table import Table
from alertd.store.database import Database, open_database
from alertd.testing import START, FakeApi, FakeClock, a_source, a_table

LATER = 1000 * HOUR  # a deadline that nobody meets


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def a_request(minutes: int = 60, *, start: int = START - HOUR, metric: str = "cqlScore") -> Request:
    return Request(frozenset(), Window(start, start + minutes * MINUTE), frozenset({metric}))


def fetch(source: Source, *requests: Request, deadline: Duration = LATER) -> list[Answer]:
    found = dict(source.fetch(requests, [deadline] * len(requests)))
    return [found[request] for request in requests]


def window(query: Query) -> tuple[int, int]:
    start, end = (
        next(int(each.values[0]) for each in query.filters if each.operation is name) for name in (Operation.GTE, Operation.LT)
    )
    return start, end


class Slow:
    """An API that bears only so much time at once; it remembers the windows it was asked."""

    def __init__(self, api: FakeApi, bears: Duration, problem: ReportingError | None = None) -> None:
        self.api, self.bears, self.problem = api, bears, problem or TimedOut("too slow")
        api.refuses = self._refuse

    def _refuse(self, query: Query) -> ReportingError | None:
        start, end = window(query)
        return self.problem if end - start > self.bears else None


def an_api(clock: FakeClock, *, conversations: int = 60) -> FakeApi:
    api = FakeApi(clock)
    for number in range(conversations):
        api.add(START - HOUR + number * MINUTE, cqlScore=number)
    return api


def test_nothing_to_ask_costs_nothing(database: Database) -> None:
    clock = FakeClock()
    source = a_source(FakeApi(clock).ask, database, clock)
    assert list(source.fetch([], [])) == []
    assert source.budget.state().in_use == 0


def test_a_window_that_times_out_is_asked_in_halves_and_put_together(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    (whole,) = fetch(a_source(api.ask, database, clock), a_request())
    Slow(api, bears=10 * MINUTE)
    (sliced,) = fetch(a_source(api.ask, database, clock), a_request())
    assert isinstance(whole, Table)
    assert isinstance(sliced, Table)
    assert len(whole) == 60
    assert np.array_equal(sliced.ids, whole.ids)
    assert np.array_equal(sliced.columns["cqlScore"], whole.columns["cqlScore"])


@pytest.mark.parametrize("minutes", [61, 59, 7, 3])
def test_slices_cover_the_window_exactly_without_gap_or_overlap(database: Database, minutes: int) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    Slow(api, bears=2 * MINUTE)
    (answer,) = fetch(a_source(api.ask, database, clock), a_request(minutes))
    assert isinstance(answer, Table)
    good = [window(query) for query in api.asked if api.refuses(query) is None]
    assert [start for start, _ in good] == [START - HOUR, *(end for _, end in good[:-1])]
    assert good[-1][1] == START - HOUR + minutes * MINUTE


def test_a_conversation_that_moves_from_one_slice_to_the_next_counts_once(database: Database) -> None:
    clock = FakeClock()
    tables: Iterator[Table | ReportingError] = iter(
        [TimedOut("slow"), a_table(ids=[1, 2], cqlScore=[1, 2]), a_table(ids=[2, 3], cqlScore=[9, 3])]
    )

    def ask(_query: Query) -> Table:
        found = next(tables)
        if isinstance(found, ReportingError):
            raise found
        return found

    (answer,) = fetch(a_source(ask, database, clock), a_request())
    assert isinstance(answer, Table)
    assert answer.ids.tolist() == [1, 2, 3]
    assert answer.columns["cqlScore"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("problem", [TimedOut("slow"), Incomplete("cut"), TooLarge("big")])
def test_what_cannot_be_made_whole_is_an_error(database: Database, problem: ReportingError) -> None:
    clock = FakeClock()
    api = an_api(clock)
    Slow(api, bears=0, problem=problem)
    (answer,) = fetch(a_source(api.ask, database, clock), a_request())
    assert answer is problem
    assert min(end - start for start, end in map(window, api.asked)) >= MINUTE


@pytest.mark.parametrize("problem", [BadQuery("bad"), Unauthorised("no"), TooManyRequests("429"), Unreachable("down")])
def test_what_slicing_does_not_help_is_asked_once(database: Database, problem: ReportingError) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.refuses = lambda _query: problem
    (answer,) = fetch(a_source(api.ask, database, clock), a_request())
    assert answer is problem
    assert len(api.asked) == 1


def test_after_the_deadline_nothing_is_sliced_any_more(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)

    def slow(_query: Query) -> ReportingError:
        clock.advance(10 * SECOND)
        return TimedOut("slow")

    api.refuses = slow
    (answer,) = fetch(a_source(api.ask, database, clock), a_request(), deadline=clock.uptime() + 15 * SECOND)
    assert isinstance(answer, TimedOut)
    assert len(api.asked) == 2


def test_errors_are_answers_of_their_own_requests_only(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    api.refuses = lambda query: BadQuery("bad") if "timeToCloseMillis" in query.metrics else None
    good, bad = fetch(a_source(api.ask, database, clock), a_request(), a_request(metric="timeToCloseMillis"))
    assert isinstance(good, Table)
    assert isinstance(bad, BadQuery)


def test_a_mistake_of_ours_in_one_answer_costs_only_its_request(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)

    def ask(query: Query) -> Table:
        if "timeToCloseMillis" in query.metrics:
            raise ZeroDivisionError
        return api.ask(query)

    source = a_source(ask, database, clock)
    good, bad = fetch(source, a_request(), a_request(metric="timeToCloseMillis"))
    assert isinstance(good, Table)
    assert isinstance(bad, AlertdError)
    assert "its log has the details" in str(bad)


@pytest.mark.parametrize(
    ("problem", "after"),
    [
        (None, SLOT),
        (BadQuery("bad"), SLOT),
        (TimedOut("slow", answered=False), SLOT + TRAVEL),
        (Unreachable("cut", answered=False), SLOT + TRAVEL),
    ],
)
def test_a_slot_comes_back_on_time_after_an_answer_and_later_without_one(
    database: Database, problem: ReportingError | None, after: Duration
) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.failures = [problem]
    source = a_source(api.ask, database, clock, calls_per_minute=1)
    fetch(source, a_request(1))
    clock.advance(after - 1)
    assert source.budget.state().free == 0
    clock.advance(1)
    assert source.budget.state().free == 1


def test_a_mistake_of_ours_keeps_the_slot_as_if_the_call_had_got_no_answer(database: Database) -> None:
    def ask(_query: Query) -> Table:
        raise ZeroDivisionError

    clock = FakeClock()
    source = a_source(ask, database, clock, calls_per_minute=1)
    fetch(source, a_request())
    clock.advance(SLOT + TRAVEL - 1)
    assert source.budget.state().free == 0
    clock.advance(1)
    assert source.budget.state().free == 1


def test_calls_wait_for_a_free_slot_until_their_deadline(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    source = a_source(api.ask, database, clock, calls_per_minute=2)
    requests = [a_request(minutes) for minutes in range(1, 7)]
    start = clock.uptime()
    answers = fetch(source, *requests, deadline=start + 70 * SECOND)
    spent = [answer for answer in answers if isinstance(answer, BudgetSpent)]
    assert (len(spent), len(api.asked)) == (2, 4)
    assert clock.uptime() - start <= 70 * SECOND + CONCURRENT_CALLS * SECOND


def test_whoever_has_to_be_answered_first_is_asked_first(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    source = a_source(api.ask, database, clock)
    requests = [a_request(minutes) for minutes in range(1, 31)]
    deadlines = [LATER - minutes for minutes in range(1, 31)]  # the last one has to be answered first
    calls: list[int] = []

    def ask(query: Query) -> Table:
        start, end = window(query)
        calls.append((end - start) // MINUTE)
        return api.ask(query)

    list(replace(source, ask=ask).fetch(requests, deadlines))
    # While nine threads stand still for whatever reason, the tenth may get ahead of them; nobody gets further ahead.
    assert all(30 - minutes < place + CONCURRENT_CALLS for place, minutes in enumerate(calls))


def test_a_429_is_learnt_from(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.failures = [TooManyRequests("429", retry_after=40 * SECOND)]
    source = a_source(api.ask, database, clock, calls_per_minute=60, reserve=6)
    fetch(source, a_request())
    state = source.budget.state()
    assert (state.blocked_for, state.withheld) == (40 * SECOND, 27)


def test_a_refused_token_is_not_tried_with_the_next_query(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.refuses = lambda _query: Unauthorised("the API refuses the token (401)")
    source = a_source(api.ask, database, clock)
    for _ in range(5):
        (answer,) = fetch(source, a_request())
        assert isinstance(answer, Unauthorised)
    assert len(api.asked) == 1
    assert source.budget.state().in_use == 1  # and no slot is spent on it


def test_outcomes_are_counted(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.failures = [None, TimedOut("slow"), BadQuery("bad")]
    outcomes: list[str] = []
    source = replace(a_source(api.ask, database, clock), count=outcomes.append)
    for _ in range(3):
        fetch(source, a_request(1))
    assert outcomes == ["ok", "timed_out", "bad_query"]


def test_a_stop_ends_the_waiting(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    source = a_source(api.ask, database, clock, calls_per_minute=1)
    fetch(source, a_request())
    source.stopping.set()
    (answer,) = fetch(source, a_request())
    assert isinstance(answer, BudgetSpent)
    assert len(api.asked) == 1


def test_a_slot_that_was_held_for_too_long_before_sending_is_not_used(database: Database) -> None:
    """The process was stopped between borrowing and sending: the slot may be somebody else's by now."""

    class Stopped(FakeClock):
        reads = 0

        def uptime(self) -> Duration:
            self.reads += 1
            if self.reads == 3:  # 1: the deadline's, 2: borrowing, 3: just before sending
                self.advance(HOUR)
            return super().uptime()

    clock = Stopped()
    api = an_api(clock)
    source = a_source(api.ask, database, clock, calls_per_minute=5)
    deadline = clock.uptime() + 2 * HOUR
    (answer,) = fetch(source, a_request(), deadline=deadline)
    assert isinstance(answer, Table)
    with database.read() as transaction:
        from sqlalchemy import func, select

        from alertd.store.tables import slots

        assert transaction.scalar(select(func.count()).where(slots.c.free_at > clock.uptime())) == 2
    assert len(api.asked) == 1


def test_several_calls_are_under_way_at_a_time(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    together = threading.Barrier(CONCURRENT_CALLS)

    def ask(query: Query) -> Table:
        together.wait(timeout=60)
        return api.ask(query)

    source = a_source(ask, database, clock)
    answers = fetch(source, *[a_request(minutes) for minutes in range(1, CONCURRENT_CALLS + 1)])
    assert all(isinstance(answer, Table) for answer in answers)


def test_each_answer_is_there_as_soon_as_it_came(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    slow, seen = threading.Event(), []

    def ask(query: Query) -> Table:
        if "timeToCloseMillis" in query.metrics:
            slow.wait(timeout=60)
        return api.ask(query)

    requests = [a_request(metric="timeToCloseMillis"), a_request()]
    for request, _ in a_source(ask, database, clock).fetch(requests, [LATER, LATER]):
        seen.append(request)
        slow.set()
    assert seen == [requests[1], requests[0]]
