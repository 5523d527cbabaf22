"""What earlier answers taught, and that it outlives the process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, Duration
from alertd.facts import Window
from alertd.planning.knowledge import UNKNOWN_RATE, Knowledge, Lesson
from alertd.planning.memory import forget_lessons, load_lessons, save_lessons
from alertd.planning.needs import Selection
from alertd.reporting.query import Filter, Operation
from alertd.store.database import Database, open_database
from alertd.store.tables import lessons
from alertd.testing import START

OPEN = Filter("status", Operation.EQ, ("open",))
LEAD = Filter("cqlScore", Operation.GTE, (2,))
AGENTS = Filter("lastAgentId", Operation.IN, (7, 8))
ALL: frozenset[Filter] = frozenset()


def a_window(length: Duration = HOUR) -> Window:
    return Window(START - length, START)


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def test_a_query_that_was_never_asked_brings_what_a_busy_team_brings() -> None:
    assert Knowledge().rows(frozenset({OPEN}), a_window()) == 60 * UNKNOWN_RATE


def test_the_first_answer_is_believed_and_later_ones_move_it_slowly() -> None:
    knowledge = Knowledge()
    knowledge.answered(ALL, a_window(), 600)
    assert knowledge.rows(ALL, a_window(DAY)) == pytest.approx(14_400)
    knowledge.observed(ALL, a_window(), 0)
    assert knowledge.rows(ALL, a_window()) == pytest.approx(480)
    for _ in range(40):
        knowledge.answered(ALL, a_window(), 60)
    assert knowledge.rows(ALL, a_window()) == pytest.approx(60, rel=0.01)


def test_one_more_filter_brings_no_more_rows() -> None:
    knowledge = Knowledge({ALL: Lesson(rate=50), frozenset({OPEN}): Lesson(rate=3), frozenset({LEAD}): Lesson(bears=HOUR)})
    assert knowledge.rows(frozenset({LEAD}), a_window()) == 50 * 60
    assert knowledge.rows(frozenset({OPEN, LEAD, AGENTS}), a_window()) == 3 * 60


def test_a_window_that_was_too_long_is_halved_once_an_answer() -> None:
    """A hundred failures without any answer in between are the API's, and teach nothing about windows."""
    knowledge = Knowledge()
    for _ in range(100):
        knowledge.failed(ALL, a_window(DAY))
    assert knowledge.calls(ALL, a_window(DAY)) == 2
    knowledge.failed(ALL, a_window(DAY // 2))
    assert knowledge.calls(ALL, a_window(DAY)) == 2
    knowledge.answered(frozenset({OPEN}), a_window(), 1)
    knowledge.failed(ALL, a_window(DAY // 2))
    assert knowledge.calls(ALL, a_window(DAY)) == 4
    assert knowledge.calls(frozenset({OPEN}), a_window(DAY)) == 1


def test_a_failure_of_a_shorter_window_never_lengthens_what_is_asked() -> None:
    knowledge = Knowledge({ALL: Lesson(bears=HOUR)})
    knowledge.failed(ALL, a_window(DAY))
    assert knowledge.lessons[ALL].bears == HOUR


@pytest.mark.parametrize(("length", "grows"), [(HOUR, True), (50 * MINUTE, True), (40 * MINUTE, False)])
def test_only_good_answers_at_that_length_make_it_longer_again(length: Duration, grows: bool) -> None:
    knowledge = Knowledge({ALL: Lesson(bears=HOUR)})
    for _ in range(19):
        knowledge.answered(ALL, a_window(length), 1)
    assert knowledge.lessons[ALL].bears == HOUR
    knowledge.answered(ALL, a_window(length), 1)
    assert knowledge.lessons[ALL].bears == (75 * MINUTE if grows else HOUR)


def test_a_failure_in_between_starts_the_count_again() -> None:
    knowledge = Knowledge({ALL: Lesson(bears=DAY)})
    for _ in range(19):
        knowledge.answered(ALL, a_window(DAY), 1)
    knowledge.failed(ALL, a_window(2 * DAY))
    knowledge.answered(ALL, a_window(DAY), 1)
    assert knowledge.lessons[ALL].bears == DAY


@given(st.integers(1, 10**9), st.integers(1, 10**9))
@settings(deadline=None)
def test_slices_cover_the_window_and_none_is_longer_than_is_borne(length: Duration, bears: Duration) -> None:
    knowledge = Knowledge({ALL: Lesson(bears=max(bears, length // 1000))})
    window = a_window(length)
    slices = knowledge.slices(ALL, window)
    assert (slices[0].start, slices[-1].end) == (window.start, window.end)
    assert all(one.end == other.start for one, other in pairwise(slices))
    assert all(0 < each.length <= max(bears, length // 1000) for each in slices)


def test_what_is_kept_apart_stays_so_until_the_rulebook_changes() -> None:
    knowledge, one = Knowledge(), Selection(ALL, frozenset({LEAD}), "createdAt", frozenset())
    knowledge.keep_apart(one)
    assert knowledge.apart == {one}
    knowledge.new_rulebook()
    assert knowledge.apart == frozenset()


def test_what_was_learned_outlives_the_process(database: Database) -> None:
    knowledge = Knowledge()
    knowledge.answered(ALL, a_window(), 60)
    knowledge.failed(frozenset({OPEN, LEAD, AGENTS}), a_window(DAY))
    save_lessons(database, knowledge, START)
    assert load_lessons(database) == knowledge.lessons


def test_only_what_is_new_is_written_and_the_newest_counts(database: Database) -> None:
    knowledge = Knowledge()
    knowledge.answered(ALL, a_window(), 60)
    knowledge.answered(frozenset({OPEN}), a_window(), 60)
    save_lessons(database, knowledge, START)
    save_lessons(database, knowledge, START + HOUR)  # nothing is new
    knowledge.answered(ALL, a_window(), 120)
    save_lessons(database, knowledge, START + DAY)
    assert load_lessons(database) == knowledge.lessons
    with database.read() as transaction:
        assert sorted(transaction.scalars(sa.select(lessons.c.used_at))) == [START, START + DAY]


def test_what_nobody_asks_any_more_is_forgotten(database: Database) -> None:
    knowledge = Knowledge()
    knowledge.answered(ALL, a_window(), 60)
    save_lessons(database, knowledge, START)
    knowledge.answered(frozenset({OPEN}), a_window(), 60)
    save_lessons(database, knowledge, START + DAY)
    forget_lessons(database, START + DAY)
    assert set(load_lessons(database)) == {frozenset({OPEN})}


def test_lessons_about_very_many_queries_are_kept_at_once(database: Database) -> None:
    knowledge = Knowledge()
    for number in range(40_000):  # more than a statement may have parameters
        knowledge.observed(frozenset({replace(LEAD, values=(number,))}), a_window(), number)
    save_lessons(database, knowledge, START)
    assert len(load_lessons(database)) == 40_000


@given(
    st.dictionaries(
        st.frozensets(st.sampled_from((OPEN, LEAD, AGENTS, Filter("tags", Operation.CONTAINS, ("ä\"'",))))),
        st.builds(Lesson, st.none() | st.floats(0, 1e6), st.none() | st.integers(1, DAY), st.integers(0, 20)),
        max_size=6,
    )
)
@settings(max_examples=30, deadline=None)
def test_any_lesson_comes_back_as_it_was(known: dict[frozenset[Filter], Lesson]) -> None:
    database = open_database("sqlite://")
    knowledge = Knowledge(dict(known), _changed=set(known))
    save_lessons(database, knowledge, START)
    assert load_lessons(database) == known
    database.close()
