"""Which picture goes with which notice."""

from __future__ import annotations

import math
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.charts import Chart
from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.facts import CONVERSATION, Kind, Level
from alertd.notice import Notice, NoticeGroup
from alertd.notices.charting import LABEL, POINTS, TITLE, chart_of
from alertd.testing import START, a_notice
from alertd.units import Unit

AGENT = "lastAgentId"


def unknown(_by: str, _number: int) -> None:
    return None


def chart(notice: Notice) -> Chart:
    found = chart_of(notice, unknown)
    assert found is not None
    return found


def measured(*values: float, every: int = 5 * MINUTE, start: int = START) -> tuple[tuple[int, float], ...]:
    return tuple((start + number * every, value) for number, value in enumerate(values))


def a_group(number: int, value: float | None, **changes: Any) -> NoticeGroup:
    values: dict[str, Any] = {"by": AGENT, "level": Level.WARNING, "limit": 5.0 * MINUTE, "since": START, "conversations": 3}
    return NoticeGroup(id=number, value=value, **(values | changes))


def grouped(*groups: NoticeGroup, **changes: Any) -> Notice:
    return a_notice(by=AGENT, groups=groups, groups_total=len(groups), **changes)


def test_without_groups_it_is_a_line_over_what_was_measured_lately() -> None:
    found = chart(a_notice(trail=measured(1.0 * MINUTE, 3.0 * MINUTE, 7.2 * MINUTE)))
    assert found.title == "Median time to the first answer"
    assert found.values == (1.0 * MINUTE, 3.0 * MINUTE, 7.2 * MINUTE)
    assert (found.unit, found.limit, found.direction, found.limit_name) == (Unit.DURATION, 5.0 * MINUTE, "above", "limit")
    assert not found.bars
    assert [label[2:] for label in found.labels] == [":00", ":05", ":10"]


@pytest.mark.parametrize("values", [(), (1.0,), (1.0, 2.0), (1.0, math.nan, 2.0)])
def test_two_points_are_no_line(values: tuple[float, ...]) -> None:
    assert chart_of(a_notice(trail=measured(*values)), unknown) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": Kind.TEST},
        {"text": "alertd cannot read its rules."},
        {"by": CONVERSATION, "groups": tuple(a_group(each, 9.0 * MINUTE, by=CONVERSATION) for each in (1, 2, 3))},
        {"by": AGENT},
    ],
)
def test_some_notices_have_no_picture(changes: dict[str, Any]) -> None:
    assert chart_of(a_notice(trail=measured(1, 2, 3, 4), **changes), unknown) is None


def test_a_resolved_one_shows_how_it_came_down() -> None:
    assert chart(a_notice(kind=Kind.RESOLVED, trail=measured(9, 6, 3))).values == (9, 6, 3)


@given(st.integers(3, 60), st.integers(0, 59), st.sampled_from(["above", "below", "outside"]))
def test_a_long_line_is_thinned_and_keeps_its_ends_and_its_worst(count: int, place: int, direction: str) -> None:
    values = [float(number % 3 + 10) for number in range(count)]
    worst = {"above": 99.0, "below": 0.0, "outside": -99.0}[direction]
    values[place % count] = worst
    found = chart(a_notice(trail=measured(*values, every=MINUTE), direction=direction))
    assert len(found.values) == min(count, POINTS)
    assert len(set(found.labels)) == len(found.labels)
    assert (found.values[0], found.values[-1], worst in found.values) == (values[0], values[-1], True)


def labels(*moments: int, timezone: str = "UTC") -> tuple[str, ...]:
    return chart(a_notice(trail=tuple((each, 1.0) for each in moments), timezone=timezone)).labels


MIDNIGHT = START - START % DAY


@pytest.mark.parametrize(
    ("moments", "timezone", "shown"),
    [
        ((0, 5 * MINUTE, 10 * MINUTE), "UTC", ("00:00", "00:05", "00:10")),
        ((0, 5 * MINUTE, 10 * MINUTE), "Asia/Tokyo", ("09:00", "09:05", "09:10")),
        ((0, 10 * SECOND, 20 * SECOND), "UTC", ("00:00:00", "00:00:10", "00:00:20")),
        ((23 * HOUR, 24 * HOUR, 25 * HOUR), "UTC", ("23:00", "00:00", "01:00")),
    ],
)
def test_points_are_labelled_with_the_time_on_the_wall(moments: tuple[int, ...], timezone: str, shown: tuple[str, ...]) -> None:
    assert labels(*(MIDNIGHT + each for each in moments), timezone=timezone) == shown


def test_over_more_than_a_day_the_day_stands_before_the_time() -> None:
    autumn = 1_793_577_600_000  # 2026-11-02T00:00:00Z
    assert labels(autumn, autumn + 12 * HOUR, autumn + DAY) == ("2 Nov 00:00", "2 Nov 12:00", "3 Nov 00:00")
    assert labels(autumn, autumn + DAY, autumn + 2 * DAY) == ("2 Nov", "3 Nov", "4 Nov")


def test_an_hour_that_clocks_show_twice_has_different_labels() -> None:
    back = 1_792_886_400_000  # 2026-10-25T00:00:00Z: clocks in Berlin go back from 03:00 to 02:00 an hour later
    assert labels(back, back + HOUR, back + 2 * HOUR, timezone="Europe/Berlin") == ("02:00", "02:00 (2)", "03:00")


def test_groups_are_bars_in_the_order_of_the_message() -> None:
    found = chart_of(
        grouped(a_group(1, 9.0 * MINUTE), a_group(2, 6.0 * MINUTE), a_group(3, None)),
        lambda _by, number: {1: "Priya Shah"}.get(number),
    )
    assert found is not None
    assert found.bars
    assert found.title == "Median time to the first answer by agent"
    assert (found.labels, found.values, found.limit) == (("Priya Shah", "agent 2"), (9.0 * MINUTE, 6.0 * MINUTE), 5.0 * MINUTE)


def test_one_group_alone_is_no_picture() -> None:
    assert chart_of(grouped(a_group(1, 9.0)), unknown) is None
    assert chart_of(grouped(a_group(1, 9.0), a_group(2, math.inf)), unknown) is None


@pytest.mark.parametrize(("direction", "limits", "shown"), [("above", (15.0, 5.0), 5.0), ("below", (2.0, 8.0), 8.0)])
def test_the_limit_is_one_that_all_of_them_have_passed(direction: str, limits: tuple[float, float], shown: float) -> None:
    groups = [a_group(number, 1.0, limit=limit) for number, limit in enumerate(limits)]
    assert chart(grouped(*groups, direction=direction)).limit == shown


def test_there_are_as_many_bars_as_slack_draws() -> None:
    assert len(chart(grouped(*(a_group(number, 60.0 - number) for number in range(30)))).values) == POINTS


def test_a_report_has_bars_without_a_limit() -> None:
    groups = (a_group(1, 9.0, limit=None, level=Level.OK), a_group(2, 0.0, limit=None, level=Level.OK))
    found = chart(grouped(*groups, kind=Kind.REPORT, limit=None))
    assert (found.values, found.limit) == ((9.0, 0.0), None)


def test_a_report_that_failed_has_no_picture() -> None:
    assert chart_of(a_notice(kind=Kind.REPORT, text="This report could not be made.", trail=measured(1, 2, 3)), unknown) is None


@given(st.lists(st.text(max_size=50), min_size=2, max_size=25))
def test_names_are_harmless_short_and_different(names: list[str]) -> None:
    groups = tuple(a_group(number, 9.0) for number in range(len(names)))
    found = chart_of(grouped(*groups), lambda _by, number: names[number])
    assert found is not None
    assert len(set(found.labels)) == len(found.labels)
    assert all(0 < len(label) <= LABEL for label in found.labels)
    assert not {category(letter) for letter in "".join(found.labels)} & {"Cc", "Cs", "Zl", "Zp"}


def test_agents_of_one_name_are_told_apart() -> None:
    found = chart_of(grouped(a_group(1, 9.0), a_group(2, 8.0)), lambda _by, _number: "Maximiliane Hohenstein-Lerch")
    assert found is not None
    assert found.labels == ("Maximiliane Hohenst…", "Maximiliane Hoh… (2)")


@pytest.mark.parametrize("measure", ["", "share of conversations with numEndUserMessages of at least 3", "word " * 30])
def test_a_title_fits_into_slack(measure: str) -> None:
    for notice in (
        a_notice(measure=measure, trail=measured(1, 2, 3)),
        grouped(a_group(1, 9.0), a_group(2, 8.0), measure=measure),
    ):
        title = chart(notice).title
        assert 0 < len(title) <= TITLE
        assert title[0].isupper()
        assert " …" not in title


def test_what_should_stay_above_has_a_minimum() -> None:
    found = chart(a_notice(trail=measured(3, 2, 1), direction="below", limit=2.0))
    assert (found.direction, found.limit_name) == ("below", "minimum")
