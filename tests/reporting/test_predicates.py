"""Filters judged on our side: exactly what the API would have answered, and only where that is certain (I2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import MINUTE
from alertd.measures.base import ANSWER_TIME
from alertd.reporting.predicates import certain, decided_by_wait, holds
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.reporting.query import Filter, Operation, Query
from alertd.testing import FakeApi, FakeClock

CERTAIN = (Operation.EQ, Operation.IN, Operation.GT, Operation.GTE, Operation.LT, Operation.LTE, Operation.HAS_PROPERTY)
NUMERIC = [name for name, each in PROPERTIES.items() if each.numeric]

EXAMPLES: dict[Kind, Any] = {Kind.TEXT: "x", Kind.TAGS: "x", Kind.BOOLEAN: True}


def a_filter(name: str, operation: Operation, *values: Any) -> Filter:
    count = {Operation.BETWEEN: 2, Operation.HAS_PROPERTY: 0, Operation.NOT_HAS_PROPERTY: 0}.get(operation, 1)
    example = next(iter(PROPERTIES[name].values), EXAMPLES.get(PROPERTIES[name].kind, 5))
    return Filter(name, operation, values or (example,) * count)


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("name", PROPERTIES)
def test_certain_are_seven_operations_on_numbers_and_nothing_else(name: str, operation: Operation) -> None:
    assert certain(a_filter(name, operation)) == (name in NUMERIC and operation in CERTAIN)


@pytest.mark.parametrize("value", ["2026-11-02", 2**53, -(2**53), 2**53 + 1, 10**400, 1e300])
def test_a_date_or_a_number_that_a_float_may_confuse_is_not_certain(value: Any) -> None:
    assert not certain(Filter("createdAt", Operation.EQ, (value,)))
    assert not certain(Filter("createdAt", Operation.IN, (5, value)))


@pytest.mark.parametrize("value", [0, -1, 0.5, 2**53 - 1, 1_793_610_000_000])
def test_any_other_number_is(value: Any) -> None:
    assert certain(Filter("createdAt", Operation.EQ, (value,)))


@pytest.mark.parametrize("operation", [each for each in Operation if each not in CERTAIN])
def test_an_operation_that_is_not_certain_is_not_judged(operation: Operation) -> None:
    with pytest.raises(ValueError, match=f"{operation} is not certain"):
        holds(a_filter("cqlScore", operation), np.array([1.0]))


NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 2, 3, 1_000, 2**53 - 1])


@given(
    cells=st.lists(st.none() | st.integers(-1, 3) | st.sampled_from([1_000, 2**53 - 1]), max_size=12),
    name=st.sampled_from(["cqlScore", "numAgentMessages", "lastAgentId", "timeToCloseMillis", ANSWER_TIME]),
    operation=st.sampled_from(CERTAIN),
    data=st.data(),
)
def test_what_is_judged_here_is_what_the_api_answers(
    cells: list[int | None], name: str, operation: Operation, data: Any
) -> None:
    counts = {Operation.IN: (1, 3), Operation.HAS_PROPERTY: (0, 0)}
    least, most = counts.get(operation, (1, 1))
    wanted = Filter(name, operation, tuple(data.draw(st.lists(NUMBERS, min_size=least, max_size=most))))
    clock = FakeClock()
    rows = [{"id": number, "createdAt": clock.now(), name: cell} for number, cell in enumerate(cells, 1)]
    api = FakeApi(clock, [{key: value for key, value in row.items() if value is not None} for row in rows])
    everything = api.ask(Query((), (name,)))
    local = everything.take(holds(wanted, everything.columns[name]))
    assert sorted(local.ids.tolist()) == sorted(api.ask(Query((wanted,), (name,))).ids.tolist())


ORDERING = [Operation.EQ, Operation.IN, Operation.GT, Operation.GTE, Operation.LT, Operation.LTE]
LIMITS = st.integers(0, 6)


@st.composite
def timed_filters(draw: st.DrawFn) -> list[Filter]:
    found = []
    for operation in draw(st.lists(st.sampled_from(ORDERING), min_size=1, max_size=3)):
        values = draw(st.lists(LIMITS, min_size=1, max_size=3 if operation is Operation.IN else 1))
        found.append(Filter(ANSWER_TIME, operation, tuple(values)))
    return found


def passes(filters: list[Filter], value: float) -> bool:
    return all(bool(holds(each, np.array([value]))[0]) for each in filters)


@given(timed_filters(), st.lists(st.none() | st.sampled_from([quarter / 4 for quarter in range(30)]), max_size=8))
def test_a_wait_decides_if_and_only_if_every_answer_still_possible_gives_the_same(
    filters: list[Filter], waits: list[float | None]
) -> None:
    sure, undecided = decided_by_wait(filters, np.array([math.nan if wait is None else wait for wait in waits], float))
    eighths = [number / 8 for number in range(80)]
    for wait, is_sure, is_open in zip(waits, sure.tolist(), undecided.tolist(), strict=True):
        possible = set() if wait is None else {passes(filters, time) for time in eighths if time >= wait}
        assert is_sure == (possible == {True})
        assert is_open == (possible == {True, False})


@pytest.mark.parametrize(
    ("operation", "wait", "sure", "undecided"),
    [
        (Operation.LTE, 4 * MINUTE, False, True),
        (Operation.LTE, 5 * MINUTE, False, True),
        (Operation.LTE, 5 * MINUTE + 1, False, False),
        (Operation.LT, 5 * MINUTE, False, False),
        (Operation.GT, 5 * MINUTE, False, True),
        (Operation.GT, 5 * MINUTE + 1, True, False),
        (Operation.GTE, 5 * MINUTE, True, False),
        (Operation.EQ, 5 * MINUTE, False, True),
    ],
)
def test_a_wait_at_the_limit_decides_only_where_equal_does(
    operation: Operation, wait: int, sure: bool, undecided: bool
) -> None:
    found = decided_by_wait([Filter(ANSWER_TIME, operation, (5 * MINUTE,))], np.array([float(wait)]))
    assert (found[0].tolist(), found[1].tolist()) == ([sure], [undecided])


def test_whoever_waits_has_no_answer_now_however_long() -> None:
    filters = [Filter(ANSWER_TIME, Operation.HAS_PROPERTY), Filter(ANSWER_TIME, Operation.GT, (1,))]
    for some in (filters[:1], filters):
        sure, undecided = decided_by_wait(some, np.array([0.0, 5.0, math.nan]))
        assert not sure.any()
        assert not undecided.any()


def test_nobody_at_all_is_no_special_case() -> None:
    sure, undecided = decided_by_wait([Filter(ANSWER_TIME, Operation.LTE, (5,))], np.array([]))
    assert len(sure) == len(undecided) == 0
