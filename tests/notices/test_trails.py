"""The trail of a rule: text that grows by a point a check and stays bounded and in order."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import LAST
from alertd.notices.trails import MOST, extend, points_of

CHECKS = st.lists(st.tuples(st.integers(0, LAST), st.floats(allow_nan=False, allow_infinity=False)), max_size=120)


def trail_of(checks: list[tuple[int, float]]) -> str | None:
    trail = None
    for as_of, value in checks:
        trail = extend(trail, as_of, value)
    return trail


def test_points_stand_in_order_oldest_first() -> None:
    trail = trail_of([(1, 5.0), (2, 7.25), (3, -0.5)])
    assert trail == "[[1,5],[2,7.25],[3,-0.5]]"
    assert points_of(trail) == ((1, 5.0), (2, 7.25), (3, -0.5))


def test_there_are_no_points_before_the_first_check() -> None:
    assert points_of(None) == ()


def test_the_oldest_points_go() -> None:
    points = points_of(trail_of([(number, float(number)) for number in range(MOST + 30)]))
    assert points == tuple((number, float(number)) for number in range(30, MOST + 30))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_point(value: float) -> None:
    assert extend("[[1,5]]", 2, value) == "[[1,5]]"
    assert extend(None, 2, value) is None


def test_a_clock_set_back_takes_the_points_after_it_away() -> None:
    assert points_of(trail_of([(10, 1.0), (20, 2.0), (30, 3.0), (20, 4.0)])) == ((10, 1.0), (20, 4.0))
    assert points_of(trail_of([(10, 1.0), (20, 2.0), (5, 3.0)])) == ((5, 3.0),)


@given(CHECKS)
def test_whatever_the_clock_does_the_points_are_in_order_and_few(checks: list[tuple[int, float]]) -> None:
    trail = trail_of(checks)
    points = points_of(trail)
    moments = [as_of for as_of, _ in points]
    assert moments == sorted(set(moments))
    assert len(points) <= MOST
    assert json.loads(trail or "[]") == [list(each) for each in points]
    if checks:
        assert points[-1][0] == checks[-1][0]
        assert points[-1][1] == pytest.approx(checks[-1][1], rel=1e-8)
