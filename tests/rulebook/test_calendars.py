"""Opening hours, against clocks that are read minute by minute over two years in ten zones."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, LAST, MINUTE, Duration, Instant, iso, parse_instant
from alertd.rulebook.calendars import REACH, Calendar, Hours

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
QUARTER = 15  # minutes; clocks were changed at none but these in the years below
IN_DAY = 24 * 60

# Each zone with the first of two years: where clocks moved at midnight or over a whole date, the years in which they did.
YEARS = {
    "America/New_York": 2025,
    "Europe/Berlin": 2025,
    "Australia/Lord_Howe": 2025,
    "Asia/Kathmandu": 2025,
    "America/St_Johns": 2025,
    "Pacific/Apia": 2011,
    "Africa/Casablanca": 2025,
    "UTC": 2025,
    "Asia/Tokyo": 2025,
    "America/Sao_Paulo": 2018,
}


def hours(text: str) -> tuple[Hours, ...]:
    """`08:00-12:00 13:00-18:00` as times after midnight; what ends before it begins ends on the next day."""
    found = []
    for each in text.split():
        begin, end = (int(part[:2]) * HOUR + int(part[3:]) * MINUTE for part in each.split("-"))
        found.append((begin, end if end > begin else end + DAY))
    return tuple(found)


def a_calendar(*week: str, timezone: str = "America/New_York", closed_on: tuple[date, ...] = ()) -> Calendar:
    """A calendar with those hours from Monday on; closed on the days that are not given."""
    weekly = tuple(hours(each) for each in (*week, *[""] * (7 - len(week))))
    return Calendar("office-hours", timezone, weekly, closed_on=closed_on)


OFFICE = a_calendar(*["08:00-18:00"] * 5, "10:00-14:00")
CALENDARS = [
    OFFICE,
    a_calendar(*["22:00-06:00"] * 7),
    a_calendar(*["08:00-12:00 13:00-18:00"] * 5),
    a_calendar(*["00:00-24:00"] * 5),
    a_calendar("01:30-02:15 02:30-03:15", *["23:30-00:30"] * 3, "", "01:30-01:45", "00:15-02:45 02:45-23:50 23:50-23:45"),
]
CLOSED = frozenset(day for year in (2011, 2018, 2025) for day in (date(year, 12, 26), date(year, 12, 31), date(year + 1, 1, 1)))


@dataclass(frozen=True)
class Read:
    """What was found for each minute from `first` on."""

    first: Instant
    open: npt.NDArray[np.bool_]

    def runs(self) -> list[tuple[Instant, Instant]]:
        """The spans that begin and end in that time."""
        changes = np.flatnonzero(np.diff(self.open)) + 1
        changes = changes[1:] if self.open[0] else changes
        return [(self.at(begin), self.at(end)) for begin, end in zip(changes[::2], changes[1::2], strict=False)]

    def at(self, minute: int) -> Instant:
        return self.first + int(minute) * MINUTE


@cache
def latest_shown(zone: str) -> tuple[Instant, npt.NDArray[np.int64]]:
    """For each minute of two years the latest time that clocks have shown by then, in minutes."""
    first, local = parse_instant(f"{YEARS[zone]}-01-01"), ZoneInfo(zone)
    quarters = range(first // MINUTE, first // MINUTE + 730 * IN_DAY, QUARTER)
    shifts = [(EPOCH + timedelta(minutes=each)).astimezone(local).utcoffset() or timedelta() for each in quarters]
    ahead = np.repeat([each // timedelta(minutes=1) for each in shifts], QUARTER)
    return first, np.maximum.accumulate(np.arange(first // MINUTE, quarters.stop) + ahead)


@cache
def read(calendar: Calendar, zone: str) -> Read:
    """Whether it is open, by the latest time that clocks have shown: it is what decides whether a time has come."""
    first, shown = latest_shown(zone)
    table = np.zeros((7, 2 * IN_DAY), bool)
    for weekday, spans in enumerate(calendar.weekly):
        for begin, end in spans:
            table[weekday, begin // MINUTE : end // MINUTE] = True
    day, minute = shown // IN_DAY, shown % IN_DAY
    closed = np.array([(each - date(1970, 1, 1)).days for each in CLOSED])
    own = table[(day + 3) % 7, minute] & ~np.isin(day, closed)  # 1970-01-01 was a Thursday
    from_before = table[(day + 2) % 7, minute + IN_DAY] & ~np.isin(day - 1, closed)
    return Read(first, own | from_before)


def local(calendar: Calendar, zone: str) -> Calendar:
    return replace(calendar, timezone=zone, closed_on=tuple(sorted(CLOSED)))


@pytest.mark.parametrize("zone", YEARS)
@pytest.mark.parametrize("number", range(len(CALENDARS)))
def test_every_span_of_two_years_is_the_one_that_clocks_gave(number: int, zone: str) -> None:
    calendar, runs = local(CALENDARS[number], zone), read(CALENDARS[number], zone).runs()
    wrong = [
        (iso(start), iso(end))
        for start, end in runs
        if not calendar.span(start) == calendar.span(end - 1) == calendar.span((start + end) // 2) == (start, end)
        or calendar.is_open(start - 1)
        or calendar.is_open(end)
    ]
    assert len(runs) > 80
    assert not wrong


@pytest.mark.parametrize("zone", YEARS)
def test_at_any_minute_of_two_years_it_is_as_open_as_clocks_say(zone: str) -> None:
    for each in CALENDARS:
        calendar, found = local(each, zone), read(each, zone)
        minutes = range(0, len(found.open), 211)
        assert [calendar.is_open(found.at(minute)) for minute in minutes] == [bool(found.open[minute]) for minute in minutes]


@given(
    st.sampled_from(CALENDARS),
    st.sampled_from(list(YEARS)),
    st.integers(20 * IN_DAY, 700 * IN_DAY),
    st.sampled_from([1, 30, 60, 600, 601, IN_DAY, 5 * IN_DAY, 10 * IN_DAY]),
)
@settings(max_examples=400, deadline=None)
def test_a_window_is_admitted_by_both_its_ends_or_by_its_end_alone_where_it_is_the_longer_one(
    each: Calendar, zone: str, minute: int, length: int
) -> None:
    calendar, found = local(each, zone), read(each, zone)
    start, end = minute - length, minute
    if not found.open[end - 1]:
        expected = False
    else:
        closed = np.flatnonzero(~found.open)
        after = np.searchsorted(closed, end)
        expected = bool(found.open[start]) or length > closed[after] - closed[after - 1] - 1
    assert calendar.admits(found.at(start), found.at(end)) == expected


def new_york(text: str) -> Instant:
    return parse_instant(f"2026-11-{text}-05:00")


@pytest.mark.parametrize(
    ("end", "length", "admitted"),
    [
        ("02T09:00", HOUR, True),
        ("02T08:59", HOUR, False),
        ("02T18:00", HOUR, True),
        ("02T18:01", HOUR, False),
        ("02T08:00", HOUR, False),
        ("02T18:00", 10 * HOUR, True),
        ("02T17:59", 10 * HOUR, False),
        ("02T08:01", 11 * HOUR, True),
        ("02T12:00", 7 * DAY, True),
        ("02T19:00", 7 * DAY, False),
        ("07T12:00", 5 * HOUR, True),
        ("08T12:00", HOUR, False),
    ],
)
def test_a_rule_with_office_hours_is_checked_for_these_windows(end: str, length: Duration, *, admitted: bool) -> None:
    assert OFFICE.admits(new_york(end) - length, new_york(end)) is admitted


def test_opening_time_is_open_and_closing_time_is_closed() -> None:
    at = [new_york(f"02T{each}") for each in ("07:59:59.999", "08:00", "17:59:59.999", "18:00")]
    assert [OFFICE.is_open(each) for each in at] == [False, True, True, False]


def test_a_holiday_closes_what_begins_on_it_and_nothing_else() -> None:
    night = a_calendar(*["22:00-06:00"] * 7, timezone="UTC", closed_on=(date(2026, 12, 25),))
    open_at = [
        night.is_open(parse_instant(f"2026-12-{each}Z"))
        for each in ("24T23:00", "25T05:59", "25T23:00", "26T05:00", "26T23:00")
    ]
    assert open_at == [True, True, False, False, True]


def test_holidays_of_a_state_close_it_there_only() -> None:
    patriots_day, thanksgiving = parse_instant("2026-04-20T16:00:00Z"), parse_instant("2026-11-26T16:00:00Z")
    found = [
        [replace(OFFICE, holidays=codes).is_open(each) for each in (patriots_day, thanksgiving)]
        for codes in ((), ("US",), ("US-MA",), ("DE", "US-MA"))
    ]
    assert found == [[True, True], [True, False], [False, False], [False, False]]


def test_days_that_are_open_from_midnight_to_midnight_are_one_span() -> None:
    weekdays = a_calendar(*["00:00-24:00"] * 5)
    assert weekdays.span(new_york("04T12:00")) == (new_york("02T00:00"), new_york("07T00:00"))


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Apia"])
def test_a_calendar_that_is_always_open_has_a_span_longer_than_any_window(zone: str) -> None:
    always, now = a_calendar(*["00:00-24:00"] * 7, timezone=zone), parse_instant("2026-11-02T09:00:00Z")
    start, end = always.span(now) or (now, now)
    assert now - (REACH + 2) * DAY < start < now - (REACH - 2) * DAY
    assert now + (REACH - 2) * DAY < end < now + (REACH + 2) * DAY
    assert always.admits(now - 366 * DAY, now)


def test_a_span_over_months_ends_where_it_ends() -> None:
    always = a_calendar(*["00:00-24:00"] * 7, timezone="UTC", closed_on=(date(2026, 3, 1), date(2026, 11, 1)))
    expected = (parse_instant("2026-03-02"), parse_instant("2026-11-01"))
    assert always.span(expected[0]) == always.span(parse_instant("2026-06-01")) == always.span(expected[1] - 1) == expected


def test_hours_that_clocks_skip_are_no_opening_hours_on_that_day() -> None:
    skipped = a_calendar(*["02:15-02:45"] * 7, timezone="Europe/Berlin")
    day = parse_instant("2026-03-29")
    assert not any(skipped.is_open(day + each) for each in range(0, DAY, MINUTE))
    assert skipped.is_open(parse_instant("2026-03-30T00:30:00Z"))


def test_times_that_clocks_show_twice_are_meant_the_first_time() -> None:
    early = a_calendar(*["02:15-02:45"] * 7, timezone="Europe/Berlin")
    first = parse_instant("2026-10-25T00:15:00Z")
    assert early.span(first) == (first, first + 30 * MINUTE)
    assert early.span(first + HOUR) is None


@pytest.mark.parametrize("instant", [-100 * 366 * DAY, LAST])
def test_the_ends_of_time_are_no_error(instant: Instant) -> None:
    assert OFFICE.is_open(instant) is False


def test_it_says_in_short_when_it_is_open() -> None:
    assert OFFICE.describe() == "Mon-Fri 08:00-18:00, Sat 10:00-14:00 (America/New_York)"
    assert replace(OFFICE, holidays=("US-MA",)).describe().endswith("(America/New_York), not on US-MA holidays")
    closed = replace(OFFICE, holidays=("US-MA", "DE"), closed_on=(date(2026, 12, 24),)).describe()
    assert closed.endswith(", not on US-MA holidays or DE holidays or 2026-12-24")
    assert replace(OFFICE, closed_on=tuple(CLOSED)).describe().endswith(", not on 9 other days")


def test_it_says_breaks_nights_and_whole_days_too() -> None:
    assert CALENDARS[1].describe() == "Mon-Sun 22:00-06:00 (America/New_York)"
    assert CALENDARS[2].describe() == "Mon-Fri 08:00-12:00 and 13:00-18:00 (America/New_York)"
    assert CALENDARS[3].describe() == "Mon-Fri 00:00-24:00 (America/New_York)"


def test_calendars_are_values_that_differ_in_any_part() -> None:
    others = [
        replace(OFFICE, holidays=("DE",)),
        replace(OFFICE, closed_on=(date(2026, 12, 24),)),
        replace(OFFICE, weekly=CALENDARS[1].weekly),
        replace(OFFICE, name="other"),
    ]
    assert len({OFFICE, replace(OFFICE), *others}) == 5
    christmas_eve = parse_instant("2026-12-24T16:00:00Z")
    assert [each.is_open(christmas_eve) for each in (OFFICE, others[1])] == [True, False]


def test_holidays_are_loaded_only_when_they_are_needed() -> None:
    program = "import sys, alertd.rulebook.calendars, alertd.rulebook.calendars_file; sys.exit('holidays' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("after", "opens"),
    [
        ("2026-01-05T10:00:00Z", "2026-01-05T13:00:00Z"),  # a Monday, before eight in New York
        ("2026-01-05T13:00:00Z", "2026-01-06T13:00:00Z"),  # it has just opened
        ("2026-01-10T20:00:00Z", "2026-01-12T13:00:00Z"),
    ],
)
def test_a_calendar_says_when_it_opens_next(after: str, opens: str) -> None:
    assert OFFICE.opens(parse_instant(after)) == parse_instant(opens)


def test_a_calendar_that_never_opens_says_so() -> None:
    assert a_calendar("").opens(parse_instant("2026-01-05T10:00:00Z")) is None
