"""Windows that the API cannot answer at once: in parts, whole or not at all, and learned from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.errors import (
    BadQuery,
    BudgetSpent,
    Incomplete,
    ReportingError,
    TimedOut,
    TooLarge,
    Unauthorised,
    Unreachable,
)
from alertd.planning.knowledge import Lesson
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.store.database import Database, open_database
from alertd.testing import START, FakeApi, FakeClock, a_source, a_table
from tests.planning.asked import a_request, an_api, fetch, window


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


class Slow:
    """An API that bears only so much time at once; it remembers the windows it was asked."""

    def __init__(self, api: FakeApi, bears: Duration, problem: ReportingError | None = None) -> None:
        self.api, self.bears, self.problem = api, bears, problem or TimedOut("too slow")
        api.refuses = self._refuse

    def _refuse(self, query: Query) -> ReportingError | None:
        start, end = window(query)
        return self.problem if end - start > self.bears else None


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


@pytest.mark.parametrize("problem", [BadQuery("bad"), Unauthorised("no"), Unreachable("down")])
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


def test_what_failed_as_a_whole_is_asked_in_parts_next_time(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    Slow(api, bears=20 * MINUTE)
    source = a_source(api.ask, database, clock)
    fetch(source, a_request())
    api.asked.clear()
    (answer,) = fetch(source, a_request())
    assert isinstance(answer, Table)
    assert len(answer) == 60
    assert [(end - start) // MINUTE for start, end in map(window, api.asked)] == [15, 15, 15, 15]


def test_an_api_that_is_slow_with_everything_for_half_an_hour_is_not_asked_in_crumbs_afterwards(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)

    def slow(_query: Query) -> ReportingError:
        clock.advance(10 * SECOND)
        return TimedOut("slow")

    source, requests = (
        a_source(api.ask, database, clock),
        [a_request(24 * 60, metric=each) for each in ("cqlScore", "updatedAt")],
    )
    api.refuses = slow
    for _ in range(30):
        assert all(
            isinstance(answer, TimedOut | BudgetSpent)
            for answer in fetch(source, *requests, deadline=clock.uptime() + 30 * SECOND)
        )
    api.refuses = lambda _query: None
    api.asked.clear()
    assert all(isinstance(answer, Table) for answer in fetch(source, *requests))
    assert len(api.asked) <= 4


def test_a_slice_too_many_is_not_sent_when_another_one_has_failed_for_good(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    source = a_source(api.ask, database, clock)
    source.knowledge.lessons[frozenset()] = Lesson(bears=10 * MINUTE)
    api.failures = [None, BadQuery("bad")]
    (answer,) = fetch(source, a_request(60))
    assert isinstance(answer, BadQuery)
    fetch(source, a_request(10))  # the four that waited come before it
    assert len(api.asked) == 3
    assert source.budget.state().in_use == 3


def test_an_api_that_is_down_is_not_asked_for_every_slice(database: Database) -> None:
    clock = FakeClock()
    api = FakeApi(clock)
    api.refuses = lambda _query: TimedOut("down")
    (answer,) = fetch(a_source(api.ask, database, clock), a_request(24 * 60))
    assert isinstance(answer, TimedOut)
    assert len(api.asked) == 6
