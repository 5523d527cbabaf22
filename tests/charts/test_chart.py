"""What a picture shows in words and in units that people read."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from alertd.charts import Chart, facts, readable
from alertd.charts.axes import span, ticks
from alertd.charts.chart import Scale, scale_for
from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.units import Unit

MEDIAN = Chart(
    "Median time to the first answer",
    ("14:00", "14:05", "14:10"),
    (3.0 * MINUTE, 2.0 * MINUTE, 7.2 * MINUTE),
    Unit.DURATION,
    5.0 * MINUTE,
)


@pytest.mark.parametrize(
    ("unit", "furthest", "word"),
    [
        (Unit.DURATION, 800, "milliseconds"),
        (Unit.DURATION, 90 * SECOND, "seconds"),
        (Unit.DURATION, 7 * MINUTE, "minutes"),
        (Unit.DURATION, 90 * MINUTE, "minutes"),
        (Unit.DURATION, 5 * HOUR, "hours"),
        (Unit.DURATION, 3 * DAY, "days"),
        (Unit.FRACTION, 0.2, "%"),
        (Unit.NUMBER, 1234, ""),
    ],
)
def test_numbers_are_in_the_largest_unit_of_which_there_are_some(unit: Unit, furthest: float, word: str) -> None:
    assert scale_for(unit, [-furthest, 1]).word == word
    assert readable(replace(MEDIAN, unit=unit, values=(0.0, furthest), limit=None)).y_label == word


def test_whoever_shows_numbers_as_they_are_gets_them_in_that_unit_with_the_limit() -> None:
    found = readable(MEDIAN)
    assert (found.values, found.limit, found.y_label) == ((3.0, 2.0, 7.2), 5.0, "minutes")
    found = readable(Chart("", ("a", "b"), (1 / 3, -0.0), Unit.FRACTION, 0.2))
    assert (found.values, found.limit) == ((33.33, 0.0), 20.0)
    assert math.copysign(1, found.values[1]) == 1


def test_without_a_limit_there_is_none_in_that_unit() -> None:
    assert readable(replace(MEDIAN, limit=None)).limit is None
    assert readable(replace(MEDIAN, limit=math.inf)).limit is None


def test_a_line_is_told_by_its_ends_and_its_extremes() -> None:
    assert (
        facts(MEDIAN)
        == "From 3 min at 14:00 to 7 min 12 s at 14:10; lowest 2 min at 14:05, highest 7 min 12 s at 14:10. Limit 5 min."
    )


def test_of_bars_the_first_are_told_with_their_names() -> None:
    names = tuple(f"Agent {number}" for number in range(7))
    chart = Chart("", names, tuple(float(9 - number) for number in range(7)), Unit.NUMBER, bars=True)
    assert facts(chart) == "Agent 0 9, Agent 1 8, Agent 2 7, Agent 3 6, Agent 4 5 and 2 more."


@pytest.mark.parametrize(
    ("direction", "good", "bad"), [("above", [-9, 4], [4.1]), ("below", [4, 9], [3.9, -9]), ("outside", [-4, 4], [-4.1, 4.1])]
)
def test_which_side_of_the_limit_is_bad_depends_on_the_direction(direction: str, good: list[float], bad: list[float]) -> None:
    chart = Chart("", (), (), Unit.NUMBER, 4, direction=direction)
    assert [chart.bad(value) for value in (*good, *bad)] == [False] * len(good) + [True] * len(bad)


def test_a_limit_on_both_sides_is_told_as_one() -> None:
    chart = Chart("", ("a", "b"), (1.0, 2.0), Unit.NUMBER, 4, direction="outside")
    assert list(chart.limits) == [-4, 4]
    assert facts(chart).endswith("Limit ±4.")


def written(low: float, high: float, scale: Scale) -> list[str]:
    return [text for _, text in ticks(low, high, scale)]


@pytest.mark.parametrize(
    ("low", "high", "unit", "texts"),
    [
        (0, 7.7 * MINUTE, Unit.DURATION, ["0", "2 min", "4 min", "6 min"]),
        (0, 100 * MINUTE, Unit.DURATION, ["0", "30 min", "60 min", "90 min"]),
        (0, 20 * HOUR, Unit.DURATION, ["0", "6 h", "12 h", "18 h"]),
        (0, 0.27, Unit.FRACTION, ["0", "10 %", "20 %"]),
        (-0.6, 0, Unit.FRACTION, ["-60 %", "-40 %", "-20 %", "0"]),
        (0, 12_345, Unit.NUMBER, ["0", "5,000", "10,000"]),
        (0, 0.004, Unit.NUMBER, ["0", "0.001", "0.002", "0.003", "0.004"]),
        (0, 2e12, Unit.NUMBER, ["0", "5e+11", "1e+12", "1.5e+12", "2e+12"]),
    ],
)
def test_an_axis_has_a_few_round_numbers(low: float, high: float, unit: Unit, texts: list[str]) -> None:
    assert written(low, high, scale_for(unit, [low, high])) == texts


def test_an_axis_begins_at_zero_unless_nothing_could_be_seen_then() -> None:
    assert span([4.0, 7.0], zero=False)[0] == 0
    assert span([0.95, 0.99], zero=False)[0] > 0.9
    assert span([0.95, 0.99], zero=True)[0] == 0
    assert span([7.0, 7.0], zero=False)[0] == 0
    assert span([-0.6, -0.2], zero=False)[1] == 0
