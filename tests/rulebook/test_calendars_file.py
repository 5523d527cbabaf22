"""calendars.yaml: what it means, and every mistake told at its place."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE
from alertd.rulebook.calendars import Calendar, Hours
from alertd.rulebook.calendars_file import Calendars, CalendarsFile, read_calendars
from alertd.rulebook.findings import render_text
from alertd.rulebook.located import compose

OFFICE = """\
calendars:
  office-hours:
    timezone: America/New_York
    weekly: {mon-fri: "08:00-18:00", sat: "10:00-14:00"}
    holidays: US-MA
    except: ["2026-12-24"]
"""


def read(text: str) -> Calendars:
    document, findings = compose(text, "calendars.yaml")
    assert document
    assert not findings
    return read_calendars(document)


def week(weekly: str) -> tuple[tuple[Hours, ...], ...]:
    """The hours of a calendar whose weekly is written so."""
    found = read(f"calendars: {{a: {{timezone: UTC, weekly: {weekly}}}}}")
    assert not found.findings, render_text(found.findings)
    return found.calendars["a"].weekly


def hours(begin: float, end: float) -> Hours:
    return round(begin * HOUR), round(end * HOUR)


WORK, NIGHT = hours(8, 18), hours(22, 30)


def test_a_calendar_has_days_with_hours_a_zone_holidays_and_exceptions() -> None:
    found = read(OFFICE)
    weekly = (*[(WORK,)] * 5, (hours(10, 14),), ())
    expected = Calendar("office-hours", "America/New_York", weekly, ("US-MA",), (date(2026, 12, 24),))
    assert found == Calendars({"office-hours": expected}, frozenset({"office-hours"}), ())


def test_several_calendars_are_told_by_their_names() -> None:
    found = read(OFFICE + '  nights:\n    timezone: UTC\n    weekly: {mon-sun: "22:00-06:00"}\n')
    assert found.calendars.keys() == found.names
    assert found.names == frozenset({"office-hours", "nights"})
    assert found.calendars["nights"].weekly == ((NIGHT,),) * 7


@pytest.mark.parametrize(
    ("key", "open_on"),
    [
        ("mon", [0]),
        ("mon-fri", [0, 1, 2, 3, 4]),
        ("sat-mon", [0, 5, 6]),
        ("sun-sat", [0, 1, 2, 3, 4, 5, 6]),
        ('"mon,wed,fri"', [0, 2, 4]),
        ('"mon-tue, sat"', [0, 1, 5]),
        ("Mon-Fri", [0, 1, 2, 3, 4]),
    ],
)
def test_days_are_named_one_by_one_as_a_range_or_as_a_list(key: str, open_on: list[int]) -> None:
    found = week(f'{{{key}: "08:00-18:00"}}')
    assert [number for number, each in enumerate(found) if each] == open_on


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"08:00-18:00"', [WORK]),
        ("08:00-18:00", [WORK]),
        ('"8:00 - 18:00"', [WORK]),
        ('"22:00-06:00"', [NIGHT]),
        ('"00:00-24:00"', [(0, DAY)]),
        ('"18:00-00:00"', [hours(18, 24)]),
        ('"08:00-12:00,13:00-18:00"', [hours(8, 12), hours(13, 18)]),
        ('["13:00-18:00", "08:00-12:30"]', [hours(8, 12.5), hours(13, 18)]),
    ],
)
def test_hours_are_one_range_or_several_and_may_go_past_midnight(value: str, expected: list[Hours]) -> None:
    assert week(f"{{mon: {value}}}")[0] == tuple(expected)


def test_holidays_and_exceptions_may_be_one_or_several() -> None:
    found = read(
        "calendars:\n"
        '  a: {timezone: UTC, weekly: {mon: "08:00-18:00"}, holidays: [DE, NO, UK], except: 2026-12-24}\n'
        '  b: {timezone: UTC, weekly: {mon: "08:00-18:00"}, except: [2026-12-24, "2026-01-02", 2026-12-24]}\n'
    )
    assert not found.findings
    assert found.calendars["a"].holidays == ("DE", "NO", "UK")
    assert found.calendars["a"].closed_on == (date(2026, 12, 24),)
    assert found.calendars["b"].closed_on == (date(2026, 1, 2), date(2026, 12, 24))


# What stands in a calendar beside a zone or hours that are right: where it goes wrong, what is said, what was meant.
ZONE, HOURS = "    timezone: Europe/Berlin\n", '    weekly: {mon-fri: "08:00-18:00"}\n'
MISTAKES = [
    (HOURS, "2:3-4", 'a calendar needs "timezone"', None),
    (ZONE, "2:3-4", 'a calendar needs "weekly"', None),
    (HOURS + "    timezone:", "4:5-13", '"timezone" has no value', None),
    (HOURS + "    timezone: Berlin", "4:15-21", 'there is no time zone "Berlin"', "Europe/Berlin"),
    (HOURS + "    timezone: 1", "4:15-16", "a time zone is written like Europe/Berlin, not 1", None),
    (HOURS + ZONE + "    weekley: {}", "5:5-12", '"weekley" is not a key of a calendar; it has timezone, weekly', "weekly"),
    (HOURS + ZONE + "    closed_on: []", "5:5-14", '"closed_on" is not a key of a calendar', None),
    (ZONE + "    weekly: mon-fri", "4:13-20", "weekly has days with their hours, such as {mon-fri:", None),
    (ZONE + "    weekly: {}", "4:13-15", "weekly has days with their hours", None),
    (ZONE + "    weekly: {monday: 08:00-18:00}", "4:14-20", '"monday" is no day; write one of mon, tue', "mon"),
    (ZONE + "    weekly: {saturday: 08:00-18:00}", "4:14-22", '"saturday" is no day', "sat"),
    (ZONE + "    weekly: {mon-fir: 08:00-18:00}", "4:14-21", '"mon-fir" is no day', "mon-fri"),
    (ZONE + "    weekly: {weekdays: 08:00-18:00}", "4:14-22", '"weekdays" is no day', "mon-fri"),
    (ZONE + "    weekly: {mon-wed-fri: 08:00-18:00}", "4:14-25", "a range (mon-fri) or a list (mon,wed,fri)", None),
    (ZONE + "    weekly: {mon-: 08:00-18:00}", "4:14-18", '"mon-" is no day', None),
    (ZONE + "    weekly: {1: 08:00-18:00}", "4:14-15", '"1" is no day', None),
    (
        ZONE + "    weekly: {mon-fri: 08:00-18:00, wed: 08:00-12:00}",
        "4:36-39",
        'wed is named twice, here and in "mon-fri"',
        None,
    ),
    (ZONE + '    weekly: {"mon,mon": 08:00-18:00}', "4:14-23", "mon is named twice here", None),
    (ZONE + "    weekly: {mon: 0800}", "4:19-23", 'hours are written in quotes, such as "08:00-18:00", not 800', None),
    (ZONE + "    weekly: {mon: 08:00}", "4:19-24", '"08:00" are no hours', None),
    (ZONE + "    weekly: {mon: 8.30}", "4:19-23", "hours are written in quotes", None),
    (ZONE + "    weekly: {mon: 8-18}", "4:19-23", '"8-18" are no hours', "08:00-18:00"),
    (ZONE + "    weekly: {mon: 08:00–18:00}", "4:19-30", "are no hours", "08:00-18:00"),
    (ZONE + "    weekly: {mon: 8.30 to 17.00}", "4:19-32", "are no hours", "08:30-17:00"),
    (ZONE + "    weekly: {mon: 9am-5pm}", "4:19-26", "are no hours", None),
    (ZONE + "    weekly: {mon: 08:00-25:00}", "4:19-30", "there is no time 25:00; a day goes from 00:00 to 24:00", None),
    (ZONE + "    weekly: {mon: 08:60-18:00}", "4:19-30", "there is no time 08:60", None),
    (ZONE + "    weekly: {mon: 08:00-24:01}", "4:19-30", "there is no time 24:01", None),
    (ZONE + "    weekly: {mon: 24:00-06:00}", "4:19-30", "begins where the day ends; write it as 00:00 of the next day", None),
    (ZONE + "    weekly: {mon: 08:00-08:00}", "4:19-30", 'ends where it begins; write "00:00-24:00" for the whole day', None),
    (ZONE + "    weekly: {mon: [08:00-12:00, 13-18]}", "4:33-38", '"13-18" are no hours', "13:00-18:00"),
    (ZONE + "    weekly: {mon: closed}", "4:19-25", "leave out a day on which it is closed", None),
    (ZONE + "    weekly: {mon: []}", "4:19-21", "leave out a day on which it is closed", None),
    (ZONE + "    weekly:\n      mon:", "5:7-10", "leave out a day on which it is closed", None),
    (ZONE + HOURS + "    holidays: US-MASS", "5:15-22", 'there are no holidays "US-MASS"; US has AK, AL', "US-MA"),
    (
        ZONE + HOURS + "    holidays: us-ma",
        "5:15-20",
        'there are no holidays "us-ma"; write the code of a country',
        "US-MA",
    ),
    (ZONE + HOURS + "    holidays: US_MA", "5:15-20", 'there are no holidays "US_MA"', "US-MA"),
    (ZONE + HOURS + "    holidays: Atlantis", "5:15-23", 'there are no holidays "Atlantis"', None),
    (ZONE + HOURS + "    holidays: TV-X", "5:15-19", 'there are no holidays "TV-X"', None),
    (ZONE + HOURS + "    holidays: [DE, XX]", "5:20-22", 'there are no holidays "XX"', None),
    (ZONE + HOURS + "    holidays: false", "5:15-20", "not false", None),
    (ZONE + HOURS + "    except: 24.12.2026", "5:13-23", "a date is written like 2026-12-24", "2026-12-24"),
    (ZONE + HOURS + "    except: [2026-02-30]", "5:14-24", "there is no 2026-02-30; check month and day", None),
    (ZONE + HOURS + "    except: [20261224]", "5:14-22", "a date is written like 2026-12-24, not 20261224", None),
    (ZONE + HOURS + "    except: [2026-W52-4]", "5:14-24", "a date is written like 2026-12-24", None),
    (ZONE + HOURS + "    except: {2026-12-24: christmas}", "5:13-36", "a date is written like 2026-12-24, not keys", None),
    (ZONE + HOURS + "    except:", "5:5-11", '"except" has no value', None),
]


@pytest.mark.parametrize(("text", "place", "message", "meant"), MISTAKES)
def test_a_mistake_is_told_at_its_place_with_what_was_meant(text: str, place: str, message: str, meant: str | None) -> None:
    found = read(f"calendars:\n  a:\n{text}")
    assert len(found.findings) == 1, render_text(found.findings)
    [finding] = found.findings
    assert f"{finding.line}:{finding.column}-{finding.end_column}" == place, render_text(found.findings)
    assert message in finding.message
    assert finding.suggestion == meant
    assert (found.calendars, found.names) == ({}, frozenset({"a"}))


WHOLE = [
    ("- a", 'calendars.yaml begins with "calendars:"'),
    ("office", 'calendars.yaml begins with "calendars:"'),
    ("calendars:", 'calendars.yaml needs "calendars:", names with their opening hours'),
    ("calendars: [a]", 'calendars.yaml needs "calendars:"'),
    ("{}", 'calendars.yaml needs "calendars:"'),
    ("calendar: {}", '"calendar" is not a key of calendars.yaml'),
]


@pytest.mark.parametrize(("text", "message"), WHOLE)
def test_where_there_is_no_list_of_calendars_nobody_can_tell_which_names_there_are(text: str, message: str) -> None:
    found = read(text)
    assert [message in each.message for each in found.findings] == [True]
    assert (found.calendars, found.names) == ({}, None)


@pytest.mark.parametrize(("name", "meant"), [("Office Hours", "office-hours"), ("büro", "b-ro"), ("a" * 65, "a" * 64)])
def test_the_name_of_a_calendar_is_like_that_of_a_rule(name: str, meant: str) -> None:
    found = read(f'calendars:\n  "{name}": {{timezone: UTC, weekly: {{mon: 08:00-18:00}}}}\n')
    [finding] = found.findings
    assert (finding.line, finding.column, finding.suggestion) == (2, 3, meant)
    assert found.names == frozenset({name})


def test_a_calendar_is_keys_with_values() -> None:
    found = read("calendars:\n  a: US-MA\n")
    assert ["a calendar has a timezone and weekly hours" in each.message for each in found.findings] == [True]


def test_all_mistakes_are_told_at_once_and_what_is_right_is_kept() -> None:
    found = read(
        OFFICE
        + "  b:\n    timezone: Berlin\n    weekly: {mon: 8-18, tue: 25:00-26:00, foo: 08:00-09:00}\n"
        + "    holidays: [XX, YY]\n    except: [1, 2026-13-01]\n    colour: red\n"
    )
    assert [each.line for each in found.findings] == [12, 8, 9, 9, 9, 10, 10, 11, 11]
    assert set(found.calendars) == {"office-hours"}
    assert found.names == frozenset({"office-hours", "b"})


def test_no_calendars_are_fine_where_none_are_named() -> None:
    assert read("calendars: {}") == Calendars({}, frozenset(), ())


def test_the_keys_of_a_calendar_are_described_for_editors() -> None:
    described = CalendarsFile.model_json_schema(by_alias=True)["$defs"]["CalendarEntry"]["properties"]
    assert set(described) == {"timezone", "weekly", "holidays", "except"}
    assert all(each["description"] for each in described.values())


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 3000) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
entries = st.fixed_dictionaries({}, optional=dict.fromkeys(("timezone", "weekly", "holidays", "except"), plain))


@given(st.dictionaries(st.sampled_from(["a", "b c"]), plain | entries) | plain)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_the_file_is_read_or_told(content: object) -> None:
    document, _ = compose(OFFICE, "calendars.yaml")
    assert document
    data = type(document)(document.file, document.lines, {"calendars": content}, document.root)
    found = read_calendars(data)
    assert found.findings or found.names == frozenset(found.calendars)


times = st.integers(0, DAY // MINUTE - 1)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@given(st.lists(st.tuples(times, times).filter(lambda each: each[0] != each[1]), min_size=1, max_size=3))
@settings(deadline=None)
def test_any_hours_are_read_as_they_are_written(ranges: list[tuple[int, int]]) -> None:
    written = ",".join(f"{clock(begin)}-{clock(end)}" for begin, end in ranges)
    expected = sorted((begin * MINUTE, end * MINUTE + (DAY if end < begin else 0)) for begin, end in ranges)
    assert week(f'{{wed: "{written}"}}') == ((), (), tuple(expected), (), (), (), ())
