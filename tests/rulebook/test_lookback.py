"""Windows by the calendar, against clocks that are read minute by minute."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, Instant, iso, parse_instant
from alertd.rulebook.lookback import FURTHEST, CalendarUnit, CalendarWindow, parse_lookback
from alertd.rulebook.misfit import Misfit

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAYS_READ = 34

# Clocks that move by an hour, half an hour, at midnight, over a whole date, or never; offsets of half and quarter hours.
CHANGES = [
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("America/St_Johns", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("America/Sao_Paulo", "2018-02-17"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Havana", "2026-11-01"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Pacific/Apia", "2011-12-30"),
    ("Asia/Kathmandu", "2026-03-08"),
    ("UTC", "2026-03-08"),
]


@cache
def walls(zone: str, day: str) -> tuple[tuple[Instant, datetime], ...]:
    """What a clock shows in every minute of the days around a date in UTC."""
    first, local = parse_instant(day) - (DAYS_READ - 4) * DAY, ZoneInfo(zone)
    return tuple(
        (each, (EPOCH + timedelta(milliseconds=each)).astimezone(local).replace(tzinfo=None, fold=0))
        for each in range(first, first + DAYS_READ * DAY, MINUTE)
    )


@cache
def starts(unit: CalendarUnit, zone: str, day: str) -> list[Instant]:
    """When units begin: a date when it is shown for the first time, an hour when it is shown full or jumped over."""
    found, latest = [], walls(zone, day)[0][1]
    for (_, before), (instant, wall) in pairwise(walls(zone, day)):
        new_date = wall.date() > latest.date()
        new_week = new_date and wall.date() - timedelta(wall.weekday()) > latest.date() - timedelta(latest.weekday())
        new_hour = wall.minute == 0 or (wall > before and wall.replace(minute=0) > before)
        if {"hour": new_hour, "day": new_date, "week": new_week}[unit]:
            found.append(instant)
        latest = max(latest, wall)
    return found


units = st.sampled_from(["hour", "day", "week"])
FIRST_DUE = (DAYS_READ - 6) * DAY  # two days before the change, and enough to look back at


@given(units, st.integers(0, 2), st.sampled_from(CHANGES), st.integers(0, 5 * 24 * 60), st.sampled_from([0, 0, 1, 59_999]))
@settings(max_examples=300, deadline=None)
def test_a_window_is_the_whole_unit_that_clocks_showed(
    unit: CalendarUnit, ago: int, where: tuple[str, str], minute: int, beyond: int
) -> None:
    zone, day = where
    due = walls(zone, day)[0][0] + FIRST_DUE + minute * MINUTE + beyond
    begun = starts(unit, zone, day)
    here = bisect_right(begun, due) - 1
    current = begun[here]
    expected = (current, due) if ago == 0 and current < due else (begun[here - max(1, ago)], begun[here - max(1, ago) + 1])

    found = CalendarWindow(unit, -ago, zone).at(due)
    assert [iso(each) for each in found] == [iso(each) for each in expected]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@pytest.mark.parametrize(("unit", "number"), [("hour", 120), ("day", 8), ("week", 3)])
def test_windows_lie_side_by_side_through_a_change_of_clocks(unit: CalendarUnit, number: int, zone: str, day: str) -> None:
    due = parse_instant(day) + 3 * DAY + 17 * MINUTE
    begun = [each for each in starts(unit, zone, day) if each <= due][-number - 1 :]
    windows = [CalendarWindow(unit, -ago, zone).at(due) for ago in range(number, 0, -1)]
    assert windows == list(pairwise(begun))


def test_a_date_whose_end_is_shown_again_has_begun_all_the_same() -> None:
    due = parse_instant("2010-11-07T03:00:00Z")  # in St. John's clocks went from 00:01 back to 23:01, half an hour before
    assert CalendarWindow("day", 0, "America/St_Johns").at(due) == (parse_instant("2010-11-07T02:30:00Z"), due)


BERLIN = "Europe/Berlin"


@pytest.mark.parametrize(
    ("raw", "due", "start", "end"),
    [
        ({"calendar_day": -1}, "2026-11-02T07:00:00Z", "2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z"),
        ({"calendar_day": -1}, "2026-11-01T23:00:00Z", "2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z"),
        ({"calendar_day": 0}, "2026-11-01T23:00:00Z", "2026-10-31T23:00:00Z", "2026-11-01T23:00:00Z"),
        ({"calendar_day": 0}, "2026-11-02T07:30:00Z", "2026-11-01T23:00:00Z", "2026-11-02T07:30:00Z"),
        ({"calendar_day": -2}, "2026-11-02T07:00:00Z", "2026-10-30T23:00:00Z", "2026-10-31T23:00:00Z"),
        ({"calendar_week": -1}, "2026-11-02T07:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z"),
        ({"calendar_week": 0}, "2026-11-01T22:59:00Z", "2026-10-25T23:00:00Z", "2026-11-01T22:59:00Z"),
        ({"calendar_hour": -1}, "2026-11-02T07:30:00Z", "2026-11-02T06:00:00Z", "2026-11-02T07:00:00Z"),
        ({"calendar_hour": 0}, "2026-11-02T07:30:00Z", "2026-11-02T07:00:00Z", "2026-11-02T07:30:00Z"),
    ],
)
def test_yesterday_last_week_and_the_last_hour(raw: Mapping[str, int], due: str, start: str, end: str) -> None:
    assert [iso(each) for each in parse_lookback(raw, BERLIN).at(parse_instant(due))] == [start, end]


@pytest.mark.parametrize(
    ("zone", "noon", "hours"),
    [
        (BERLIN, "2026-03-30T10:00:00Z", 23),
        (BERLIN, "2026-10-26T11:00:00Z", 25),
        ("Australia/Lord_Howe", "2026-10-05T01:00:00Z", 23.5),
    ],
)
def test_a_day_on_which_clocks_are_changed_has_the_hours_it_had(zone: str, noon: str, hours: float) -> None:
    start, end = CalendarWindow("day", -1, zone).at(parse_instant(noon))
    assert end - start == hours * HOUR


def test_an_hour_that_is_shown_twice_is_two_hours() -> None:
    second = parse_instant("2026-10-25T01:00:00Z")  # 02:00 in Berlin for the second time
    assert CalendarWindow("hour", -1, BERLIN).at(second) == (second - HOUR, second)
    assert CalendarWindow("hour", -1, BERLIN).at(second + HOUR) == (second, second + HOUR)


def test_hours_begin_when_clocks_there_show_a_full_one() -> None:
    due = parse_instant("2026-11-02T12:20:00Z")  # 18:05 in Kathmandu
    start, end = CalendarWindow("hour", -1, "Asia/Kathmandu").at(due)
    assert (iso(start), iso(end)) == ("2026-11-02T11:15:00Z", "2026-11-02T12:15:00Z")


def test_a_date_that_a_zone_left_out_is_passed_over() -> None:
    due = parse_instant("2011-12-30T12:00:00Z")  # in Apia the 31st, after the 29th
    start, end = CalendarWindow("day", -1, "Pacific/Apia").at(due)
    assert (iso(start), iso(end)) == ("2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z")


@pytest.mark.parametrize("unit", ["hour", "day", "week"])
def test_the_furthest_window_is_that_many_units_ago(unit: CalendarUnit) -> None:
    window = CalendarWindow(unit, -FURTHEST[unit], "UTC")
    due = parse_instant("2026-11-02T00:00:00Z")  # a Monday
    assert window.at(due) == (due - FURTHEST[unit] * window.length, due - (FURTHEST[unit] - 1) * window.length)


@pytest.mark.parametrize(("unit", "length"), [("hour", HOUR), ("day", DAY), ("week", 7 * DAY)])
def test_its_length_is_that_of_ordinary_days(unit: CalendarUnit, length: int) -> None:
    assert CalendarWindow(unit, -1, BERLIN).length == length


MISTAKES: list[tuple[object, str, tuple[str | int, ...], str | None]] = [
    (
        {"calendar_dya": -1},
        '"calendar_dya" is not a window; possible are {calendar_hour: -1}',
        ("calendar_dya",),
        "calendar_day",
    ),
    ({"day": -1}, '"day" is not a window', ("day",), None),
    ({"calendar_day": 1}, "counts days backwards, from 0 (the current one) to -366; not 1", ("calendar_day",), "-1"),
    ({"calendar_day": -367}, "to -366; not -367", ("calendar_day",), None),
    ({"calendar_week": -54}, "to -53; not -54", ("calendar_week",), None),
    ({"calendar_hour": "yesterday"}, 'not "yesterday"', ("calendar_hour",), None),
    ({"calendar_hour": -1.5}, "not -1.5", ("calendar_hour",), None),
    ({"calendar_hour": True}, "not true", ("calendar_hour",), None),
    ({"calendar_hour": None}, "not nothing", ("calendar_hour",), None),
    ({}, "a window is a duration such as 1h, or one of {calendar_hour: -1}, {calendar_day: -1}", (), None),
    ({"calendar_day": -1, "calendar_week": -1}, "a window is a duration", (), None),
    ("calendar_day", "a window is a duration", (), None),
]


@pytest.mark.parametrize(("raw", "message", "trail", "suggestion"), MISTAKES)
def test_a_wrong_window_is_told_at_its_place(
    raw: object, message: str, trail: tuple[str | int, ...], suggestion: str | None
) -> None:
    with pytest.raises(Misfit) as caught:
        parse_lookback(raw, BERLIN)
    assert message in str(caught.value)
    assert (caught.value.trail, caught.value.suggestion) == (trail, suggestion)


def test_a_window_needs_a_time_zone_that_exists() -> None:
    with pytest.raises(Misfit, match="there is no time zone") as caught:
        parse_lookback({"calendar_day": -1}, "Berlin")
    assert caught.value.suggestion == BERLIN
