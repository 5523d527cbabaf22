"""Change in percent from an earlier window."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd import comparisons
from alertd.clock import DAY, HOUR, MINUTE
from alertd.comparisons.base import Comparison
from alertd.facts import Window
from alertd.units import Unit
from tests.comparisons.brute import at, figures, only, plain, tables, times

BERLIN = "Europe/Berlin"


def change(unit: Unit = Unit.NUMBER, **options: Any) -> Comparison:
    return comparisons.build({"change": {"to": "7d"} | options}, unit, counts=False)


def test_a_third_fewer_is_a_third_below() -> None:
    found = change().relate(figures(200, 150), [figures(300, 100)])
    assert found.values.tolist() == pytest.approx([-1 / 3, 0.5])
    assert found.reference.tolist() == [300, 100]
    assert found.lacks == (None, None)


def test_exactly_half_is_exactly_minus_a_half() -> None:
    assert only(change().relate(figures(38), [figures(76)])) == -0.5


@pytest.mark.parametrize(
    ("before", "minimum", "lack"),
    [
        (0, 0, "it was 0 a week ago, and of that there is no percentage"),
        (None, 0, "there was nothing to measure a week ago"),
        (None, 20, "there was nothing to measure a week ago"),
        (19, 20, "19 a week ago is less than the minimum of 20 for a comparison"),
        (0, 20, "0 a week ago is less than the minimum of 20 for a comparison"),
        (20, 20, None),
    ],
)
def test_too_little_before_is_insufficient_and_says_so(before: float | None, minimum: int, lack: str | None) -> None:
    found = change(minimum=minimum).relate(figures(10), [figures(before)])
    assert found.lacks == (lack,)
    assert (only(found) is None) == (lack is not None)


def test_an_unknown_window_is_insufficient() -> None:
    found = change(to="1h30m").relate(figures(10, None), [None])
    assert found.lacks == ("what it was 1 h 30 min ago is not known", None)
    assert np.isnan(found.values).all()
    assert np.isnan(found.reference).all()


def test_the_minimum_is_said_in_the_unit_of_the_measure() -> None:
    found = change(Unit.DURATION, minimum="2m").relate(figures(10_000), [figures(90_000)])
    assert found.lacks == ("1 min 30 s a week ago is less than the minimum of 2 min for a comparison",)


def test_nothing_now_is_no_value_and_no_lack() -> None:
    found = change(minimum=20).relate(figures(None, None), [figures(100, 3)])
    assert plain(found.values) == [None, None]
    assert found.lacks == (None, None)


@given(tables(st.floats(0, 1e9, allow_subnormal=False) | st.integers(0, 50).map(float), windows=st.just(1)), st.integers(0, 30))
def test_it_is_the_difference_over_what_was(table: Any, minimum: int) -> None:
    now, (before,) = table
    found = change(minimum=minimum).relate(now, [before])
    for place, (value, lack) in enumerate(zip(plain(found.values), found.lacks, strict=True)):
        here = plain(now.values)[place]
        then = None if before is None else plain(before.values)[place]
        comparable = then is not None and then > 0 and then >= minimum
        if here is None or then is None or not comparable:
            assert value is None
            assert (lack is None) == (here is None)
        else:
            assert value == pytest.approx((here - then) / then)
            assert lack is None


@pytest.mark.parametrize(
    ("end", "to", "expected"),
    [
        ("2026-03-30 09:00", "7d", "Mon 2026-03-23 08:00 to Mon 2026-03-23 09:00"),
        ("2026-10-26 09:00", "1w", "Mon 2026-10-19 08:00 to Mon 2026-10-19 09:00"),
        ("2026-10-26 09:00", "24h", "Sun 2026-10-25 08:00 to Sun 2026-10-25 09:00"),
        ("2026-10-26 00:30", "23h", "Sun 2026-10-25 01:30 to Sun 2026-10-25 02:30"),
        ("2027-01-04 09:00", "7d", "Mon 2026-12-28 08:00 to Mon 2026-12-28 09:00"),
        ("2026-11-02 09:00", "5m", "Mon 2026-11-02 07:55 to Mon 2026-11-02 08:55"),
    ],
)
def test_whole_days_go_by_the_clock_on_the_wall_and_hours_by_hours(end: str, to: str, expected: str) -> None:
    window = Window(at(end, BERLIN) - HOUR, at(end, BERLIN), "lastCloseAt")
    (found,) = change(to=to).windows(window, BERLIN, 5 * MINUTE)
    assert times(found, BERLIN) == expected
    assert found.timestamp == "lastCloseAt"


def test_history_is_kept_that_long() -> None:
    assert change(to="90m").reach == 90 * MINUTE
    assert 7 * DAY + HOUR <= change().reach <= 10 * DAY


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("7d", "against the same time a week ago"),
        ("3w", "against the same time 3 weeks ago"),
        ("1d", "against the same time a day ago"),
        ("10d", "against the same time 10 days ago"),
        ("1h", "against 1 h ago"),
        ("90m", "against 1 h 30 min ago"),
        ("36h", "against 1 d 12 h ago"),
    ],
)
def test_it_says_against_when(to: str, words: str) -> None:
    assert change(to=to).describe("number of conversations") == f"number of conversations {words}"


@pytest.mark.parametrize(
    ("now", "before", "unit", "words"),
    [
        (38, 100, Unit.NUMBER, "-62 % (38 now, 100 a week ago)"),
        (140, 100, Unit.NUMBER, "+40 % (140 now, 100 a week ago)"),
        (100, 100, Unit.NUMBER, "0 % (100 now, 100 a week ago)"),
        (100_001, 100_000, Unit.NUMBER, "0 % (100,001 now, 100,000 a week ago)"),
        (1201, 100, Unit.NUMBER, "+1,101 % (1,201 now, 100 a week ago)"),
        (300_000, 120_000, Unit.DURATION, "+150 % (5 min now, 2 min a week ago)"),
        (0.1, 0.2, Unit.FRACTION, "-50 % (10 % now, 20 % a week ago)"),
    ],
)
def test_people_read_the_percentage_with_both_numbers(now: float, before: float, unit: Unit, words: str) -> None:
    comparison = change(unit)
    value = only(comparison.relate(figures(now), [figures(before)]))
    assert value is not None
    assert not math.isnan(value)
    assert comparison.spell(value, now, before, unit) == words
