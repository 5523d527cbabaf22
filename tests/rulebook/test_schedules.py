"""When rules are due: as Debian's cron would run them, minute by minute, on days of clock changes too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, LAST, MINUTE, SECOND, Instant, iso, parse_instant
from alertd.rulebook.misfit import Misfit
from alertd.rulebook.schedules import Cron, Grid, Schedule, parse_cron
from alertd.testing import START

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Zones whose clocks move by an hour, by half an hour, at midnight, over a whole date, in Ramadan, by odd minutes, or never.
CHANGES = {
    "America/New_York": ("2026-03-08", "2026-11-01"),
    "Europe/Berlin": ("2026-03-29", "2026-10-25"),
    "Australia/Lord_Howe": ("2026-04-04", "2026-10-03"),
    "America/Sao_Paulo": ("2018-02-17", "2018-11-04"),
    "America/Santiago": ("2026-04-04", "2026-09-06"),
    "America/Nuuk": ("2026-03-28", "2026-10-24"),
    "Africa/Cairo": ("2026-04-24", "2026-10-29"),
    "Africa/Casablanca": ("2026-02-15", "2026-03-22"),
    "Pacific/Apia": ("2011-12-30", "2021-04-03"),
    "Asia/Kathmandu": ("2026-03-08",),
    "UTC": ("2026-03-08",),
}
DAYS = [(zone, day) for zone, days in CHANGES.items() for day in days]

FIXED = ("30 2 * * *", "0 0 * * *", "30 23 * * *", "15,45 1-3 * * *", "0,30 2,3 * * *", "59 0-23 * * *", "5 0-23/2 * * sun-tue")
FOLLOWING = ("*/20 * * * *", "0 * * * *", "*/30 0 * * *", "*/10 3 * * *", "15 */2 * * *", "*/15 1-2 * * sat,sun", "* 23 * * *")


@cache
def walls(zone: str, day: str) -> tuple[tuple[Instant, datetime], ...]:
    """Every minute of five days around that date in UTC, and what a clock shows then."""
    first = parse_instant(day) - 2 * DAY
    local = ZoneInfo(zone)
    return tuple(
        (each, (EPOCH + timedelta(milliseconds=each)).astimezone(local).replace(tzinfo=None, fold=0))
        for each in range(first, first + 5 * DAY, MINUTE)
    )


@cache
def meant(expression: str) -> CronSim:
    return CronSim(expression, datetime(2026, 1, 1))  # noqa: DTZ001 - only for what it reads of the expression


def names(wall: datetime, expression: str) -> bool:
    """Whether the expression names the minute that a clock shows."""
    fields = meant(expression)
    in_day = wall.minute in fields.minutes and wall.hour in fields.hours
    return in_day and wall.month in fields.months and fields.match_day(wall.date())


def as_debian_runs_it(expression: str, zone: str, day: str) -> list[Instant]:
    """Minute by minute, as cron(8) says: what begins with * follows the clock, the rest is run once and never lost."""
    minute, hour = expression.split()[:2]
    if minute.startswith("*") or hour.startswith("*"):
        return [instant for instant, wall in walls(zone, day) if names(wall, expression)]
    due, latest = [], walls(zone, day)[0][1] - timedelta(minutes=1)
    for instant, wall in walls(zone, day):
        passed = [latest + timedelta(minutes=each) for each in range(1, (wall - latest) // timedelta(minutes=1) + 1)]
        if any(names(each, expression) for each in passed):
            due.append(instant)
        latest = max(latest, wall)
    return due


def said(instants: list[Instant]) -> list[str]:
    return [iso(each) for each in instants]


@pytest.mark.parametrize("expression", [*FIXED, *FOLLOWING])
@pytest.mark.parametrize(("zone", "day"), DAYS)
def test_each_due_instant_runs_once_and_none_is_lost_when_clocks_change(zone: str, day: str, expression: str) -> None:
    first, last = walls(zone, day)[0][0], walls(zone, day)[-1][0]
    expected = as_debian_runs_it(expression, zone, day)
    assert said(list(Cron(expression, zone).between(first - 1, last))) == said(expected)


minutes = st.sampled_from(["*", "*/7", "0", "30", "0,15,59", "10-20/5"])
hours = st.sampled_from(["*", "*/3", "0", "1-3", "2", "23", "0-23/5"])
dates = st.sampled_from(["* * *", "1-7 * *", "* * mon-fri", "*/2 * sun", "4 * sat", "* 3,10 *", "L * *", "* * 0", "* * 7"])


@given(minutes, hours, dates, st.sampled_from(DAYS), st.integers(0, 3 * DAY))
@settings(max_examples=150, deadline=None)
def test_any_expression_asked_at_any_instant_agrees_with_brute_force(
    minute: str, hour: str, date: str, where: tuple[str, str], into: int
) -> None:
    zone, day = where
    cron = parse_cron(f"{minute} {hour} {date}", zone)
    first, last = walls(zone, day)[0][0], walls(zone, day)[-1][0]
    now = first + DAY + into
    expected = as_debian_runs_it(cron.expression, zone, day)
    before, after = [each for each in expected if each <= now], [each for each in expected if each > now]

    newest, following = cron.newest(now), cron.following(now)
    assert (newest == before[-1]) if before else (newest is None or newest < first)
    assert (following == after[0]) if after else (following is None or following > last)


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo"])
@pytest.mark.parametrize(
    "expression", ["0 8 * * mon-fri", "0 0 29 2 *", "0 0 1 1 *", "0 12 13 * fri", "0 9 * * mon#1", "0 0 l * *"]
)
def test_years_of_a_rare_schedule_are_those_of_the_library_where_clocks_never_change(expression: str, zone: str) -> None:
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
    dues = CronSim(expression, start)
    expected = [round(next(dues).timestamp() * 1000) for _ in range(12)]
    first = round(start.timestamp() * 1000)
    assert said(list(parse_cron(expression, zone).between(first, expected[-1]))) == said(expected)


SCHEDULES = st.sampled_from(
    [
        Grid(5 * MINUTE),
        Grid(10 * SECOND),
        Cron("*/5 8-18 * * mon-fri", "America/New_York"),
        Cron("30 2 * * *", "Australia/Lord_Howe"),
        Cron("0 0 29 2 *", "Europe/Berlin"),
    ]
)


@given(SCHEDULES, st.integers(parse_instant("2020-01-01"), parse_instant("2030-01-01")))
@settings(max_examples=300, deadline=None)
def test_the_newest_and_the_following_instant_enclose_now_with_nothing_between(schedule: Schedule, now: Instant) -> None:
    newest, following = schedule.newest(now), schedule.following(now)
    assert newest is not None
    assert following is not None
    assert newest <= now < following
    assert schedule.newest(newest) == newest
    assert schedule.newest(following - 1) == newest
    assert schedule.following(newest) == following
    assert list(schedule.between(newest, following)) == [following]
    assert list(schedule.between(newest, following - 1)) == []


@given(SCHEDULES, st.integers(parse_instant("2026-01-01"), parse_instant("2027-01-01")), st.integers(0, 20 * DAY))
@settings(max_examples=100, deadline=None)
def test_no_two_due_instants_are_closer_than_every(schedule: Schedule, after: Instant, length: int) -> None:
    found = list(schedule.between(after, after + min(length, 1000 * schedule.every)))
    assert all(later - earlier >= schedule.every for earlier, later in pairwise(found))


@pytest.mark.parametrize(
    ("expression", "zone", "every"),
    [
        ("* * * * *", "America/New_York", MINUTE),
        ("*/5 8-18 * * mon-fri", "America/New_York", 5 * MINUTE),
        ("58,1 * * * *", "UTC", 3 * MINUTE),
        ("0 0,23 * * *", "UTC", HOUR),
        ("0 8 * * *", "UTC", DAY),
        ("0 8 * * *", "Europe/Berlin", 23 * HOUR),
        ("0 8 * * mon-fri", "Europe/Berlin", DAY),
        ("0 8 * * mon", "Europe/Berlin", 7 * DAY - HOUR),
        ("30 2 * * *", "Europe/Berlin", 23 * HOUR + 30 * MINUTE),
        ("0 0 1 * *", "UTC", 28 * DAY),
        ("0 0 31 12 *", "UTC", 365 * DAY),
        ("0 0 29 2 *", "UTC", 4 * 365 * DAY + DAY),
        ("0,30 0 29 2 *", "UTC", 30 * MINUTE),
    ],
)
def test_every_is_the_shortest_time_between_two_checks_of_a_cron(expression: str, zone: str, every: int) -> None:
    assert parse_cron(expression, zone).every == every


@pytest.mark.parametrize("now", [-400 * DAY, 0, LAST])
def test_the_ends_of_time_are_no_error(now: Instant) -> None:
    cron = Cron("0 0 29 2 *", "Pacific/Apia")
    newest, following = cron.newest(now), cron.following(now)
    assert newest is not None
    assert newest <= now
    assert following is None if now == LAST else following is not None and following > now


def test_an_instant_between_two_minutes_is_not_due_again() -> None:
    cron, at = Cron("*/5 * * * *", "UTC"), parse_instant("2026-11-02T09:00:00Z")
    assert [cron.newest(at - 1), cron.newest(at), cron.newest(at + 1)] == [at - 5 * MINUTE, at, at]
    assert [cron.following(at - 1), cron.following(at)] == [at, at + 5 * MINUTE]


def test_schedules_are_values() -> None:
    assert {Grid(5 * MINUTE), Grid(5 * MINUTE), parse_cron("0  8 * * MON-FRI", "UTC")} == {
        Grid(5 * MINUTE),
        Cron("0 8 * * mon-fri", "UTC"),
    }


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("0 8 * * Mon-Fri", "0 8 * * 1-5"),
        ("0 8 * * sun", "0 8 * * 0"),
        ("0 8 * * 7", "0 8 * * 0"),
        ("0 8 * * 5-7", "0 8 * * fri,sat,sun"),
        ("0 8 1 jan *", "0 8 1 1 *"),
    ],
)
def test_weekdays_and_months_have_names_and_crontabs_numbers(text: str, same: str) -> None:
    first = parse_instant("2026-11-02")
    until = first + 100 * DAY
    found = list(parse_cron(text, "UTC").between(first, until))
    assert found == list(parse_cron(same, "UTC").between(first, until))
    assert found


MISTAKES = [
    ("0 8 * *", "has five fields (minute, hour, day of the month, month, day of the week)", None),
    ("0 0 8 * * mon-fri", "no seconds here", "0 8 * * mon-fri"),
    ("", "this has 0", None),
    ("   ", "this has 0", None),
    ("@daily", '"@daily" is not read; write the five fields', "0 0 * * *"),
    ("@reboot", "is not read", None),
    ("60 8 * * *", '"60" does not fit as minute; possible are 0 to 59', None),
    ("0 24 * * *", '"24" does not fit as hour; possible are 0 to 23', None),
    ("0 8 0 * *", '"0" does not fit as day of the month', None),
    ("0 8 * 13 *", '"13" does not fit as month', None),
    ("0 8 * * 8", '"8" does not fit as day of the week; possible are sun to sat', None),
    ("0 8 * * monday", '"monday" does not fit', "mon"),
    ("0 8 * * wednesday-friday", '"wednesday-friday" does not fit', "wed-fri"),
    ("0 8 * * mon-fir", '"mon-fir" does not fit', "mon-fri"),
    ("0 8 * july *", '"july" does not fit as month', "jul"),
    ("0 8 ? * mon", '"?" does not fit as day of the month', "*"),
    ("0 8 * * fri-mon", '"fri-mon" does not fit', "fri-sat,sun-mon"),
    ("0 8 * * fri-sun", '"fri-sun" does not fit', "fri-sat,sun"),
    ("0 22-6 * * *", '"22-6" does not fit as hour', "22-23,0-6"),
    ("0 8,,9 * * *", '"" does not fit as hour', None),
    ("*/0 * * * *", '"*/0" does not fit as minute', None),
    ("*/90 * * * *", 'the step of "*/90" leads out of the minute', None),
    ("0 8.5 * * *", '"8.5" does not fit', None),
    ("0 0 30 2 *", '"0 0 30 2 *" is never due, for no month has such a day', None),
    ("0 0 31 4,6 *", "is never due", None),
    ("0 " * 200, "is a short text in quotes", None),
    (5, 'in quotes, such as "0 8 * * mon-fri", not 5', None),
    (["0 8 * * *"], "not a list", None),
    (None, "not nothing", None),
]


@pytest.mark.parametrize(("text", "message", "suggestion"), MISTAKES)
def test_a_wrong_expression_is_told_with_what_to_write(text: object, message: str, suggestion: str | None) -> None:
    with pytest.raises(Misfit) as caught:
        parse_cron(text, "Europe/Berlin")
    assert message in str(caught.value)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize("text", [each for each, _, suggestion in MISTAKES if suggestion and isinstance(each, str)])
def test_what_is_suggested_for_a_wrong_expression_is_right(text: str) -> None:
    with pytest.raises(Misfit) as caught:
        parse_cron(text, "UTC")
    suggestion = caught.value.suggestion or ""
    term = next((each for each in text.split() if f'"{each}" does not fit' in str(caught.value)), text)
    assert parse_cron(text.replace(term, suggestion), "UTC").newest(START) is not None


@pytest.mark.parametrize(
    ("zone", "suggestion"),
    [
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("europe/berlin", "Europe/Berlin"),
        ("Europe/Berln", "Europe/Berlin"),
        ("utc", "UTC"),
        ("Europe/Berlin\0", "Europe/Berlin"),
        ("../etc/passwd", None),
        ("", None),
        ("x" * 5000, None),
        (1, None),
        (None, None),
    ],
)
def test_an_unknown_time_zone_is_told_with_the_one_that_was_probably_meant(zone: object, suggestion: str | None) -> None:
    with pytest.raises(Misfit, match="time zone") as caught:
        parse_cron("0 8 * * *", zone)
    assert caught.value.suggestion == suggestion


@pytest.mark.parametrize("zone", ["localtime", "/etc/localtime", "Europe", "Factory"])
def test_what_lies_beside_the_zones_is_no_time_zone(zone: str) -> None:
    with pytest.raises(Misfit, match="there is no time zone"):
        parse_cron("0 8 * * *", zone)


@given(st.one_of(st.text(max_size=30), st.text(alphabet="0123456789*/,-L#W ?monfrijasp", max_size=25)))
@settings(max_examples=500, deadline=None)
def test_any_text_is_an_expression_or_told_to_be_none(text: str) -> None:
    try:
        cron = parse_cron(text, "UTC")
    except Misfit:
        return
    assert cron.following(START) is not None
    assert cron.every >= MINUTE
