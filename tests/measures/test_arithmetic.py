"""Every measure against plain Python and NumPy, group by group."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd import measures
from alertd.measures.base import ANSWER_TIME, Measured
from tests.measures.brute import AS_OF, EVERYTHING, Case, cases, conversations, value_of, with_property

CLOSE = "timeToCloseMillis"

EXACT: dict[str, Callable[[list[float]], float]] = {
    "min": min,
    "max": max,
    "median": lambda values: float(np.quantile(values, 0.5, method="linear")),
    "p50": lambda values: float(np.quantile(values, 0.50, method="linear")),
    "p90": lambda values: float(np.quantile(values, 0.90, method="linear")),
    "p95": lambda values: float(np.quantile(values, 0.95, method="linear")),
    "p99": lambda values: float(np.quantile(values, 0.99, method="linear")),
}
NEARLY: dict[str, Callable[[list[float]], float]] = {
    "mean": statistics.fmean,
    "sum": math.fsum,
    "stddev": statistics.pstdev,
}


def by_group(case: Case, name: str, *, as_waited: bool = False) -> list[list[float]]:
    found = []
    for group in range(case.count):
        values = (value_of(row, name, as_waited=as_waited) for _, row in case.members(group))
        found.append([value for value in values if value is not None])
    return found


def check(measured: Measured, groups: list[list[float]], expected: Callable[[list[float]], float], *, exactly: bool) -> None:
    assert measured.entered.tolist() == [len(values) for values in groups]
    for value, values in zip(measured.values.tolist(), groups, strict=True):
        if not values:
            assert math.isnan(value)
        elif exactly:
            assert value == expected(values)
        else:
            assert value == pytest.approx(expected(values), rel=1e-9, abs=1e-9 * max(map(abs, values)))


@pytest.mark.parametrize("name", EXACT)
@given(with_property(CLOSE))
def test_order_statistics_are_exactly_numpys(name: str, case: Case) -> None:
    found = measures.build({name: CLOSE}).compute(case.sample(extra=[CLOSE]))
    check(found, by_group(case, CLOSE), EXACT[name], exactly=True)


@pytest.mark.parametrize("name", NEARLY)
@given(with_property(CLOSE))
def test_sums_are_plain_pythons(name: str, case: Case) -> None:
    found = measures.build({name: CLOSE}).compute(case.sample(extra=[CLOSE]))
    check(found, by_group(case, CLOSE), NEARLY[name], exactly=False)


@given(percent=st.integers(50, 99), values=st.lists(st.floats(0, 1e9), min_size=1, max_size=150))
def test_every_percentile_is_exactly_numpys(percent: int, values: list[float]) -> None:
    case = Case(tuple({CLOSE: value} for value in values), (0,) * len(values), 1)
    found = measures.build({f"p{percent}": CLOSE}).compute(case.sample())
    assert found.values.tolist() == [float(np.percentile(values, percent, method="linear"))]


def test_a_spread_keeps_its_digits_far_from_zero() -> None:
    case = Case(tuple({CLOSE: 1e15 + value} for value in (0.0, 2.0, 4.0)), (0, 0, 0), 1)
    found = measures.build({"stddev": CLOSE}).compute(case.sample())
    assert found.values.tolist() == [pytest.approx(math.sqrt(8 / 3))]


@given(with_property("lastAgentId"))
@example(Case(({"lastAgentId": -0.0}, {"lastAgentId": 0.0}), (0, 0), 1))
def test_distinct_counts_each_value_of_a_group_once(case: Case) -> None:
    found = measures.build({"distinct": "lastAgentId"}).compute(case.sample(extra=["lastAgentId"]))
    groups = by_group(case, "lastAgentId")
    assert found.values.tolist() == [len(set(values)) for values in groups]
    assert found.entered.tolist() == [len(values) for values in groups]


@given(with_property("cqlScore"))
def test_count_counts_conversations_whatever_they_have(case: Case) -> None:
    found = measures.build("count").compute(case.sample())
    assert found.values.tolist() == found.entered.tolist() == [len(case.members(group)) for group in range(case.count)]


@pytest.mark.parametrize("name", [*EXACT, *NEARLY])
@given(cases(conversations()))
def test_those_who_wait_enter_with_their_wait_so_far_if_the_rule_says_so(name: str, case: Case) -> None:
    exactly = name in EXACT
    for as_waited in (True, False):
        found = measures.build({name: ANSWER_TIME}).compute(case.sample(as_waited=as_waited, extra=EVERYTHING))
        check(found, by_group(case, ANSWER_TIME, as_waited=as_waited), (EXACT | NEARLY)[name], exactly=exactly)


@pytest.mark.parametrize("name", ["median", "min", "max", "sum", "mean", "stddev", "p90", "distinct"])
@given(cases(conversations()))
def test_waiting_changes_nothing_for_another_property(name: str, case: Case) -> None:
    measure = measures.build({name: "cqlScore"})
    waited, ignored = (measure.compute(case.sample(as_waited=each, extra=EVERYTHING)) for each in (True, False))
    assert np.array_equal(waited.values, ignored.values, equal_nan=True)


@given(cases(conversations()))
def test_waiting_is_the_longest_wait_among_the_open(case: Case) -> None:
    found = measures.build("waiting").compute(case.sample(extra=EVERYTHING))
    for group, value in enumerate(found.values.tolist()):
        rows = [row for _, row in case.members(group)]
        still_open = [row for row in rows if row.get("firstCloseAt", math.inf) > AS_OF]
        waits = [value_of(row, "", as_waited=True) for row in still_open]
        assert value == max([wait for wait in waits if wait is not None], default=0)
    assert found.entered.tolist() == [len(case.members(group)) for group in range(case.count)]


@pytest.mark.parametrize("name", ["max", "median", "p90", "mean"])
@given(cases(conversations()))
def test_a_score_is_the_value_with_which_the_conversation_entered(name: str, case: Case) -> None:
    scores = measures.build({name: ANSWER_TIME}).compute(case.sample(as_waited=True, extra=EVERYTHING)).scores
    assert scores is not None
    expected = [value_of(row, ANSWER_TIME, as_waited=True) for row in case.rows]
    assert [None if math.isnan(score) else score for score in scores.tolist()] == expected
