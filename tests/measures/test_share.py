"""Shares: the numerator judged here or chosen by the API, and those whose wait decides nothing yet."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd import measures
from alertd.clock import HOUR, MINUTE
from alertd.errors import QueryError
from alertd.measures.base import ANSWER_TIME, Measured
from alertd.units import Unit
from tests.measures.brute import EVERYTHING, Case, Row, cases, conversations, known, wait_of

TEXT = {"property": "botStatus", "operation": "EQ", "values": ["NO_RESPONSE"]}
GOOD_LEAD = {"property": "cqlScore", "operation": "GTE", "values": [2]}

JUDGES: dict[str, Any] = {
    "EQ": lambda value, values: value == values[0],
    "IN": lambda value, values: value in values,
    "GT": lambda value, values: value > values[0],
    "GTE": lambda value, values: value >= values[0],
    "LT": lambda value, values: value < values[0],
    "LTE": lambda value, values: value <= values[0],
    "HAS_PROPERTY": lambda _value, _values: True,
}

Raw = dict[str, Any]


def matches(each: Raw, row: Row) -> bool:
    value = row.get(each["property"])
    return value is not None and JUDGES[each["operation"]](value, each.get("values", []))


def completions(row: Row, limits: Iterable[float]) -> list[Row]:
    """Every answer time that may still come, as far as limits can tell them apart."""
    wait, row = wait_of(row), known(row)
    if wait is None or ANSWER_TIME in row:
        return [row]
    times = {wait, *(limit + step for limit in limits for step in (-0.5, 0, 0.5)), 1e15}
    return [row | {ANSWER_TIME: time} for time in times if time >= wait]


def expected(case: Case, filters: list[Raw], chosen: Sequence[int] | None, *, as_waited: bool) -> list[tuple[float, int]]:
    """Share and number of decided rows of each group, over all completions."""
    limits = [value for each in filters if each["property"] == ANSWER_TIME for value in each["values"]]
    found = []
    for group in range(case.count):
        decided = []
        for number, row in case.members(group):
            rows = completions(row, limits) if as_waited else [row]
            picked = chosen is None or number in chosen
            outcomes = {picked and all(matches(each, one) for each in filters) for one in rows}
            if len(outcomes) == 1:
                decided.append(outcomes.pop())
        found.append((sum(decided) / len(decided) if decided else math.nan, len(decided)))
    return found


def check(measured: Measured, wanted: list[tuple[float, int]]) -> None:
    assert measured.entered.tolist() == [count for _, count in wanted]
    assert measured.values.tolist() == pytest.approx([share for share, _ in wanted], nan_ok=True, abs=0)


def filters_on(name: str, values: st.SearchStrategy[float]) -> st.SearchStrategy[Raw]:
    def built(operation: str) -> st.SearchStrategy[Raw]:
        found = st.lists(values, min_size=1, max_size=3 if operation == "IN" else 1)
        return found.map(lambda some: {"property": name, "operation": operation, "values": some})

    return st.sampled_from([each for each in JUDGES if each != "HAS_PROPERTY"]).flatmap(built)


QUARTERS = st.integers(0, 8).map(lambda quarters: quarters * HOUR / 4)
SCORES = st.integers(-1, 3).map(float)
FILTERS = st.lists(filters_on(ANSWER_TIME, QUARTERS) | filters_on("cqlScore", SCORES), min_size=1, max_size=3)


@given(cases(conversations()), FILTERS, st.booleans())
def test_a_share_of_numbers_is_judged_here_over_every_answer_that_may_still_come(
    case: Case, filters: list[Raw], as_waited: bool
) -> None:
    measure = measures.build({"share": filters})
    assert measure.numerator == ()
    found = measure.compute(case.sample(as_waited=as_waited, extra=EVERYTHING))
    check(found, expected(case, filters, None, as_waited=as_waited))


@given(cases(conversations()), FILTERS, st.booleans(), st.sets(st.integers(1, 14)))
def test_what_the_api_has_chosen_must_match_too(case: Case, filters: list[Raw], as_waited: bool, chosen: set[int]) -> None:
    measure = measures.build({"share": [TEXT, *filters]})
    assert [each.to_json() for each in measure.numerator] == [TEXT]
    found = measure.compute(case.sample(as_waited=as_waited, extra=EVERYTHING, chosen=sorted(chosen)))
    check(found, expected(case, filters, sorted(chosen), as_waited=as_waited))


@given(cases(conversations()), st.sets(st.integers(1, 14)))
def test_a_share_of_texts_is_those_in_both_answers(case: Case, chosen: set[int]) -> None:
    measure = measures.build({"share": TEXT})
    assert measure.metrics == ()
    check(measure.compute(case.sample(chosen=sorted(chosen))), expected(case, [], sorted(chosen), as_waited=False))


def test_a_promise_of_two_minutes() -> None:
    """As in the rule language's example: who has waited longer counts against it, who has not counts on neither side."""
    promise = {"property": ANSWER_TIME, "operation": "LTE", "values": [2 * MINUTE]}
    kept, broken = ({ANSWER_TIME: float(time), "numEndUserMessages": 1.0} for time in (MINUTE, 3 * MINUTE))
    short, long = (
        {"numEndUserMessages": 1.0, "firstEndUserMessageAt": float(1_793_610_000_000 - wait)} for wait in (MINUTE, 3 * MINUTE)
    )
    case = Case((kept, kept, broken, short, long), (0,) * 5, 1)
    measure = measures.build({"share": promise})
    waited = measure.compute(case.sample(as_waited=True, extra=EVERYTHING))
    assert (waited.values.tolist(), waited.entered.tolist()) == ([2 / 4], [4])
    ignored = measure.compute(case.sample(extra=EVERYTHING))
    assert (ignored.values.tolist(), ignored.entered.tolist()) == ([2 / 5], [5])


def test_a_share_of_the_answered_counts_those_who_wait_as_unanswered_however_long() -> None:
    answered = {"property": ANSWER_TIME, "operation": "HAS_PROPERTY"}
    rows: tuple[Row, ...] = (
        {ANSWER_TIME: 1.0, "numEndUserMessages": 1.0},
        {"numEndUserMessages": 1.0, "firstEndUserMessageAt": 1_793_610_000_000.0},
    )
    found = measures.build({"share": answered}).compute(Case(rows, (0, 0), 1).sample(as_waited=True, extra=EVERYTHING))
    assert (found.values.tolist(), found.entered.tolist()) == ([1 / 2], [2])


def test_an_empty_group_has_no_share() -> None:
    found = measures.build({"share": GOOD_LEAD}).compute(Case(({"cqlScore": 3.0},), (1,), 3).sample())
    assert found.values.tolist() == pytest.approx([math.nan, 1, math.nan], nan_ok=True)
    assert found.entered.tolist() == [0, 1, 0]


def test_whoever_matches_scores_one_and_whoever_does_not_zero() -> None:
    found = measures.build({"share": GOOD_LEAD}).compute(
        Case(({"cqlScore": 3.0}, {"cqlScore": 0.0}, {}), (0, 0, 0), 1).sample()
    )
    assert found.scores is not None
    assert found.scores.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("filters", "waits"),
    [
        ([TEXT], False),
        ([GOOD_LEAD], False),
        ([TEXT, {"property": ANSWER_TIME, "operation": "LTE", "values": [5]}], True),
        ([{"property": ANSWER_TIME, "operation": "NOT_HAS_PROPERTY"}], False),
        ([{"property": ANSWER_TIME, "operation": "BETWEEN", "values": [1, 5]}], False),
    ],
)
def test_those_who_wait_can_count_where_the_answer_time_is_judged_here(filters: list[Raw], waits: bool) -> None:
    assert measures.build({"share": filters}).waits is waits


@pytest.mark.parametrize(
    ("operation", "values", "words"),
    [
        ("EQ", [120_000], "share of conversations with time to close 2 min"),
        ("NOT_EQ", [1_000], "share of conversations with time to close not 1 s"),
        ("LTE", [150_000], "share of conversations with time to close at most 2 min 30 s"),
        ("GT", [3_600_000], "share of conversations with time to close above 1 h"),
        ("IN", [1_000, 2_000], "share of conversations with time to close 1 s or 2 s"),
        ("BETWEEN", [0, 60_000], "share of conversations with time to close from 0 s to 1 min"),
        ("HAS_PROPERTY", [], "share of conversations with any time to close"),
        ("NOT_HAS_PROPERTY", [], "share of conversations with no time to close"),
    ],
)
def test_a_share_is_described_without_milliseconds(operation: str, values: list[int], words: str) -> None:
    raw = {"property": "timeToCloseMillis", "operation": operation, "values": values}
    assert measures.build({"share": raw}).describe() == words


def test_a_share_of_several_filters_is_described_with_all_of_them() -> None:
    filters = [
        TEXT,
        {"property": "offline", "operation": "EQ", "values": [True]},
        {"property": "pageUrl", "operation": "CONTAINS", "values": ["{label}"]},
        {"property": "createdAt", "operation": "GTE", "values": [1_793_610_000_000]},
        {"property": "createdAt", "operation": "LT", "values": [10**400]},
    ]
    assert measures.build({"share": filters}).describe() == (
        "share of conversations with bot status NO_RESPONSE and offline yes and page containing {label} "
        f"and creation at least 2026-11-02T09:00:00Z and creation below {10**400}"
    )


@pytest.mark.parametrize(
    ("argument", "path", "suggestion"),
    [
        (None, ("share",), None),
        ([], ("share",), None),
        ({"property": "botStats", "operation": "EQ"}, ("share", "property"), "botStatus"),
        ([TEXT, {"property": "status", "operation": "EQ", "values": ["opn"]}], ("share", 1, "values", 0), "open"),
    ],
)
def test_a_wrong_filter_is_told_with_its_place(argument: object, path: tuple[str | int, ...], suggestion: str | None) -> None:
    with pytest.raises(QueryError) as caught:
        measures.build({"share": argument})
    assert (caught.value.path, caught.value.suggestion) == (path, suggestion)


def test_a_share_is_a_fraction() -> None:
    assert measures.build({"share": TEXT}).unit is Unit.FRACTION
