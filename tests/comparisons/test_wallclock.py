"""Days back by the clock on the wall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE
from alertd.comparisons.wallclock import days_before, into_hour, moved
from alertd.facts import Window
from tests.comparisons.brute import ZONES, at, shown, times

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def wall(instant: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@given(st.integers(400 * DAY, 25_000 * DAY), st.integers(1, 366), st.sampled_from(ZONES))
def test_the_clock_shows_the_same_time_so_many_days_earlier(instant: int, days: int, zone: str) -> None:
    """Against a search: of all instants around, those at which the clock shows that time."""
    wanted = wall(instant, zone) - timedelta(days=days)
    around = [instant - days * DAY + hours * HOUR for hours in range(-2, 3)]
    fitting = [each for each in around if wall(each, zone) == wanted]
    found = days_before(instant, days, ZoneInfo(zone))
    if fitting:
        assert found in fitting
    else:  # it was skipped
        assert wall(found, zone) == wanted + timedelta(hours=1)


@pytest.mark.parametrize(
    ("zone", "now", "days", "then"),
    [
        (BERLIN, "2026-03-30 09:00", 7, "Mon 2026-03-23 09:00"),  # clocks went forward on the 29th
        (BERLIN, "2026-10-26 09:00", 7, "Mon 2026-10-19 09:00"),  # and back on the 25th of October
        (NEW_YORK, "2026-03-09 09:00", 7, "Mon 2026-03-02 09:00"),  # other days over there
        (NEW_YORK, "2026-11-02 09:00", 1, "Sun 2026-11-01 09:00"),
        (BERLIN, "2027-01-04 09:00", 7, "Mon 2026-12-28 09:00"),  # across the year's end
        (BERLIN, "2028-03-01 09:00", 1, "Tue 2028-02-29 09:00"),  # a leap year
        (BERLIN, "2026-04-05 02:30", 7, "Sun 2026-03-29 03:30"),  # 02:30 was skipped
    ],
)
def test_nine_stays_nine_over_daylight_saving_and_the_years_end(zone: str, now: str, days: int, then: str) -> None:
    assert shown(days_before(at(now, zone), days, ZoneInfo(zone)), zone) == then


def test_of_a_time_that_came_twice_it_is_the_first() -> None:
    found = days_before(at("2026-11-01 02:30", BERLIN), 7, ZoneInfo(BERLIN))
    assert found == at("2026-10-25 02:30", BERLIN) == at("2026-10-25 02:30", BERLIN, second=True) - HOUR


def test_the_second_half_past_two_is_held_against_the_second_of_the_year_before() -> None:
    now = at("2026-10-25 02:30", BERLIN, second=True)
    assert days_before(now, 364, ZoneInfo(BERLIN)) == at("2025-10-26 02:30", BERLIN, second=True)


def test_both_halves_past_two_are_held_against_the_one_of_a_week_ago() -> None:
    twice = [at("2026-10-25 02:30", BERLIN, second=second) for second in (False, True)]
    assert {days_before(each, 7, ZoneInfo(BERLIN)) for each in twice} == {at("2026-10-18 02:30", BERLIN)}


def test_milliseconds_are_kept() -> None:
    assert days_before(20_000 * DAY + 123, 300, ZoneInfo("UTC")) == 19_700 * DAY + 123


def test_a_window_over_a_skipped_hour_keeps_its_length() -> None:
    end = at("2026-04-05 03:15", BERLIN)
    found = moved(Window(end - HOUR, end, "lastCloseAt"), 7, ZoneInfo(BERLIN))
    assert times(found, BERLIN) == "Sun 2026-03-29 01:15 to Sun 2026-03-29 03:15"
    assert found.length == HOUR
    assert found.timestamp == "lastCloseAt"


@pytest.mark.parametrize(("day", "hours"), [("2026-04-05", 23), ("2026-11-01", 25), ("2026-06-07", 24)])
def test_a_calendar_day_is_held_against_a_calendar_day(day: str, hours: int) -> None:
    start = at(f"{day} 00:00", BERLIN)
    found = moved(Window(start, start + DAY), 7, ZoneInfo(BERLIN))
    assert found.length == hours * HOUR
    assert all(text.endswith("00:00") for text in times(found, BERLIN).split(" to "))


def test_a_day_that_does_not_begin_at_midnight_keeps_its_24_hours() -> None:
    end = at("2026-03-30 09:00", BERLIN) + 7 * DAY
    found = moved(Window(end - DAY, end), 7, ZoneInfo(BERLIN))
    assert found.length == DAY


@pytest.mark.parametrize(
    ("zone", "now", "into"),
    [(BERLIN, "2026-11-02 09:14:30", 14), ("Asia/Kolkata", "2026-11-02 09:14:30", 14), (BERLIN, "2026-11-02 09:00:30", 0)],
)
def test_an_hour_is_the_zones_own(zone: str, now: str, into: int) -> None:
    assert into_hour(at(now, zone), ZoneInfo(zone)) == into * MINUTE + 30_000
