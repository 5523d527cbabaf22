"""Asking what a plan wants to know: through the budget, in time, and all of it or an error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.errors import (
    AlertdError,
    BadQuery,
    BudgetSpent,
    ReportingError,
    StoreError,
    TimedOut,
    TooManyRequests,
    Unauthorised,
    Unreachable,
)
from alertd.planning.demand import Urgency
from alertd.planning.fetching import CONCURRENT_CALLS, Ask, Order, Source
from alertd.reporting.budget import MINUTE as SLOT
from alertd.reporting.budget import TRAVEL, Budget, Slot
from alertd.reporting.gate import Gate
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.store.database import Database, open_database
from alertd.testing import FakeApi, FakeClock, a_source
from tests.planning.asked import LATER, a_request, an_api, fetch, window


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def counting(ask: Ask, database: Database, clock: FakeClock, outcomes: list[str]) -> Source:
    """A source that writes down how its calls went."""
    budget, gate = Budget(database, clock), Gate(lambda: "token", clock)
    return Source(ask, budget, gate, clock, patience=10 * SECOND, pause=clock.advance, count=outcomes.append)


def test_nothing_to_ask_costs_nothing(database: Database) -> None:
    clock = FakeClock()
    source = a_source(FakeApi(clock).ask, database, clock)
    assert list(source.fetch([])) == []
    assert source.budget.state().in_use == 0


def test_a_429_is_asked_again_when_the_block_is_over(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    api.failures = [TooManyRequests("429", retry_after=20 * SECOND)]
    start = clock.uptime()
    (answer,) = fetch(a_source(api.ask, database, clock, calls_per_minute=60), a_request(), deadline=start + 30 * SECOND)
    assert isinstance(answer, Table)
    assert (len(api.asked), clock.uptime() - start) == (2, 20 * SECOND)


def test_a_429_that_does_not_end_in_time_is_told_as_what_it_is(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.refuses = lambda _query: TooManyRequests("429")
    source, start = a_source(api.ask, database, clock, calls_per_minute=60), clock.uptime()
    (answer,) = fetch(source, a_request(), deadline=start + 30 * SECOND)
    assert isinstance(answer, BudgetSpent)
    assert "too many requests" in str(answer)
    assert (len(api.asked), source.waiting) == (1, 0)


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
    assert clock.uptime() - start <= 71 * SECOND


def test_whoever_has_to_be_answered_first_is_asked_first(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    requests = [a_request(minutes) for minutes in range(1, 31)]
    orders = [Order(request, LATER - minutes) for minutes, request in enumerate(requests, 1)]  # the last one has to be first
    list(a_source(api.ask, database, clock).fetch(orders))
    assert [(end - start) // MINUTE for start, end in map(window, api.asked)] == list(range(30, 0, -1))


def test_whoever_is_more_urgent_is_asked_first_whatever_the_deadlines(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    places = (Urgency.BACKGROUND, Urgency.NORMAL, Urgency.CRITICAL)
    orders = [Order(a_request(number), LATER - 3 + number, place) for number, place in enumerate(places, 1)]
    list(a_source(api.ask, database, clock).fetch(orders))
    assert [(end - start) // MINUTE for start, end in map(window, api.asked)] == [3, 2, 1]


def test_a_429_is_learnt_from(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    source = a_source(api.ask, database, clock, calls_per_minute=60, reserve=6)

    def refuse(_query: Query) -> ReportingError:
        clock.advance(1)
        return TooManyRequests("429", retry_after=40 * SECOND)

    api.refuses = refuse
    (answer,) = fetch(source, a_request(), deadline=clock.uptime())
    assert isinstance(answer, TooManyRequests)
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


def test_a_refused_query_shows_that_the_token_is_taken_again(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    api.refuses = lambda _query: Unauthorised("the API refuses the token (401)")
    source = a_source(api.ask, database, clock)
    fetch(source, a_request())
    clock.advance(5 * MINUTE)
    api.refuses = lambda _query: BadQuery("the API refused the query")
    fetch(source, a_request())
    api.refuses = lambda _query: None
    (answer,) = fetch(source, a_request())  # it need not wait for another try
    assert isinstance(answer, Table)


def test_a_refused_token_stops_also_what_waits_already_and_one_call_finds_out_when_it_is_taken_again(
    database: Database,
) -> None:
    clock = FakeClock()
    api = an_api(clock)
    api.refuses = lambda _query: Unauthorised("the API refuses the token (401)")
    source = a_source(api.ask, database, clock)
    requests = [a_request(minutes) for minutes in range(1, 21)]
    assert all(isinstance(answer, Unauthorised) for answer in fetch(source, *requests))
    assert len(api.asked) == 1
    clock.advance(5 * MINUTE)
    api.refuses = lambda _query: None
    assert all(isinstance(answer, Table) for answer in fetch(source, *requests))


def test_outcomes_are_counted(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.failures = [None, TimedOut("slow"), BadQuery("bad")]
    outcomes: list[str] = []
    source = counting(api.ask, database, clock, outcomes)
    for _ in range(3):
        fetch(source, a_request(1))
    assert outcomes == ["ok", "timed_out", "bad_query"]


def test_a_stop_ends_the_waiting(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    source = a_source(api.ask, database, clock, calls_per_minute=1)
    fetch(source, a_request())
    source.close()
    (answer,) = fetch(source, a_request())
    assert isinstance(answer, BudgetSpent)
    assert len(api.asked) == 1


def test_a_slot_that_was_held_for_too_long_before_sending_is_not_used(database: Database) -> None:
    """The process was stopped between borrowing and sending: the slot may be somebody else's by now."""
    clock = FakeClock()
    api = an_api(clock)
    lent: list[Slot] = []

    class Stopped(Budget):
        def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
            slot = super().borrow(patience, background=background)
            if isinstance(slot, Slot):
                lent.append(slot)
                clock.advance(HOUR if len(lent) == 1 else 0)
            return slot

    budget = Stopped(database, clock, calls_per_minute=5, reserve=0)
    source = Source(api.ask, budget, Gate(lambda: "token", clock), clock, patience=10 * SECOND, pause=clock.advance)
    (answer,) = fetch(source, a_request())
    assert isinstance(answer, Table)
    assert (len(lent), len(api.asked)) == (2, 1)
    assert source.budget.state().in_use == 1


def test_several_calls_are_under_way_at_a_time(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    together = threading.Barrier(CONCURRENT_CALLS)

    def ask(query: Query) -> Table:
        together.wait(timeout=60)
        return api.ask(query)

    source = a_source(ask, database, clock)
    with source.working():
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
    source = a_source(ask, database, clock)
    with source.working():
        for request, _ in source.fetch([Order(each, LATER) for each in requests]):
            seen.append(request)
            slow.set()
    assert seen == [requests[1], requests[0]]


def test_whoever_no_longer_wants_to_know_leaves_no_call_behind(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    source = a_source(api.ask, database, clock)
    answers = source.fetch([Order(a_request(minutes), LATER) for minutes in range(1, 6)])
    next(answers)
    answers.close()  # type: ignore[attr-defined]  # it is a generator
    fetch(source, a_request(30))
    assert len(api.asked) == 2


def test_a_store_that_fails_for_a_moment_ends_no_worker(database: Database) -> None:
    """A slot that cannot be borrowed or given back costs at most the call; the threads live on."""
    clock = FakeClock()
    api = an_api(clock)
    left = [2 * CONCURRENT_CALLS]

    class Failing(Budget):
        def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
            if left[0]:
                left[0] -= 1
                raise StoreError("the database is locked")
            return super().borrow(patience, background=background)

    source = Source(
        api.ask, Failing(database, clock), Gate(lambda: "token", clock), clock, patience=10 * SECOND, pause=clock.advance
    )
    with source.working():
        (answer,) = fetch(source, a_request())
    assert isinstance(answer, Table)
    assert left == [0]
