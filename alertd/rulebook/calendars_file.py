"""calendars.yaml: names of calendars, each with its opening hours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import chain
from typing import Any, ClassVar, TypeVar

from pydantic import Field

from alertd.clock import DAY, HOUR, MINUTE, Duration
from alertd.reporting.properties import suggest
from alertd.rulebook.calendars import DAYS, Calendar, Hours
from alertd.rulebook.crontab import correct
from alertd.rulebook.findings import Finding
from alertd.rulebook.located import Document
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.model import Entry
from alertd.rulebook.problems import Problem, empty, known_keys, unknown_key
from alertd.rulebook.values import read_name
from alertd.rulebook.zones import read_zone

T = TypeVar("T")

_EXAMPLE = '{mon-fri: "08:00-18:00"}'
_DAY = f"(?:{'|'.join(DAYS)})"
_KEY = re.compile(f"{_DAY}(?:-{_DAY})?(?:, ?{_DAY}(?:-{_DAY})?)*")
_HOURS = re.compile(r"(\d{1,2}):(\d\d) ?- ?(\d{1,2}):(\d\d)", re.ASCII)
_LOOSE = re.compile(r"(\d{1,2})(?:[:.h]?(\d\d))? ?(?:-|–|—|to|until) ?(\d{1,2})(?:[:.h]?(\d\d))?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_SPOKEN = {"weekday": "mon-fri", "weekdays": "mon-fri", "weekend": "sat-sun", "daily": "mon-sun", "every day": "mon-sun"}
_PARTS_LISTED = 20


class CalendarEntry(Entry):
    """When a team is there."""

    noun: ClassVar[str] = "a calendar"

    timezone: str | None = Field(None, description="The zone whose clocks the hours mean.", examples=["America/New_York"])
    weekly: dict[str, str | list[str]] | None = Field(
        None,
        description="Days with their hours; 22:00-06:00 goes on into the next day, several are separated by commas.",
        examples=[{"mon-fri": "08:00-12:00,13:00-18:00", "sat": "10:00-14:00"}],
    )
    holidays: str | list[str] | None = Field(
        None, description="Closed on the holidays of these countries, or parts of countries.", examples=["US-MA", ["DE", "AT"]]
    )
    closed_on: str | list[str] | None = Field(
        None, alias="except", description="Dates on which it is closed too.", examples=[["2026-12-24"]]
    )


class CalendarsFile(Entry):
    """calendars.yaml: opening hours have names."""

    noun: ClassVar[str] = "calendars.yaml"

    calendars: dict[str, CalendarEntry] | None = Field(None, description="Each name with its opening hours.")


@dataclass(frozen=True)
class Calendars:
    """The calendars there are. `names` also has those that are wrong otherwise; None: nobody can tell."""

    calendars: dict[str, Calendar] = field(default_factory=dict)
    names: frozenset[str] | None = frozenset()
    findings: tuple[Finding, ...] = ()


def read_calendars(document: Document) -> Calendars:
    """Read calendars.yaml."""
    data = document.data
    if not isinstance(data, dict):
        problem = Problem('calendars.yaml begins with "calendars:", and the names follow below it')
        return Calendars(names=None, findings=(problem.locate(document),))
    problems = list(_unknown(CalendarsFile, data))
    given = data.get("calendars")
    if not isinstance(given, dict):
        if "calendars" in data or not problems:
            problems.append(Problem('calendars.yaml needs "calendars:", names with their opening hours', ("calendars",)))
        return Calendars(names=None, findings=tuple(each.locate(document) for each in problems))
    found: dict[str, Calendar] = {}
    for name, raw in given.items():
        calendar, more = _calendar(name, raw)
        problems += [each.below("calendars", name) for each in more]
        found |= {name: calendar} if calendar else {}
    return Calendars(found, frozenset(given), tuple(each.locate(document) for each in problems))


def _unknown(model: type[Entry], raw: Mapping[str, Any]) -> Iterator[Problem]:
    return (unknown_key(key, model, model.noun, (key,)) for key in raw if key not in known_keys(model))


def _calendar(name: str, raw: object) -> tuple[Calendar | None, list[Problem]]:
    problems: list[Problem] = []
    _take(problems, _name, name)
    if not isinstance(raw, dict):
        return None, [*problems, Problem(f"a calendar has a timezone and weekly hours, such as {_EXAMPLE}")]
    problems += [*_unknown(CalendarEntry, raw), *empty(CalendarEntry, raw)]
    problems += [Problem(f'a calendar needs "{key}"') for key in ("timezone", "weekly") if key not in raw]
    given = {key: value for key, value in raw.items() if value is not None}
    zone = _take(problems, read_zone, given["timezone"], "timezone") if "timezone" in given else None
    weekly = _week(problems, given["weekly"]) if "weekly" in given else None
    codes = _each(problems, _holidays, given.get("holidays", []), "holidays")
    dates = _each(problems, _date, given.get("except", []), "except")
    if problems or zone is None or weekly is None:
        return None, problems
    return Calendar(name, zone, weekly, codes, tuple(sorted(set(dates)))), []


def _take(problems: list[Problem], reader: Callable[[Any], T], raw: object, *trail: str | int) -> T | None:
    """What the reader makes of it; None where it objects, which is noted."""
    try:
        return reader(raw)
    except Misfit as misfit:
        problems.append(Problem(str(misfit), (*trail, *misfit.trail), misfit.suggestion, misfit.at_key))
        return None


def _each(problems: list[Problem], reader: Callable[[Any], T], raw: object, *trail: str) -> tuple[T, ...]:
    """One value or a list of them; those that are right."""
    if isinstance(raw, list):
        found = [_take(problems, reader, each, *trail, index) for index, each in enumerate(raw)]
    else:
        found = [_take(problems, reader, raw, *trail)]
    return tuple(each for each in found if each is not None)


def _name(raw: object) -> str:
    try:
        return read_name(raw)
    except Misfit as misfit:
        raise Misfit(str(misfit), suggestion=misfit.suggestion, at_key=True) from None


def _week(problems: list[Problem], raw: object) -> tuple[tuple[Hours, ...], ...] | None:
    if not isinstance(raw, dict) or not raw:
        problems.append(Problem(f"weekly has days with their hours, such as {_EXAMPLE}", ("weekly",)))
        return None
    week: dict[str, tuple[Hours, ...]] = {}
    named: dict[str, str] = {}  # each day with the key that named it
    entries: dict[str, Any] = raw
    for key, value in entries.items():
        days = _take(problems, _days, key, "weekly", key) or ()
        hours = chain.from_iterable(_each(problems, _ranges, value or None, "weekly", key))
        problems += [each.below("weekly") for each in _twice(days, key, named)]
        named |= dict.fromkeys(days, key)
        week |= dict.fromkeys(days, tuple(sorted(hours)))
    return tuple(week.get(day, ()) for day in DAYS)


def _twice(days: tuple[str, ...], key: str, named: Mapping[str, str]) -> Iterator[Problem]:
    for day in DAYS:
        if day in days and day in named:
            yield Problem(f"{day} is named twice, here and in {show(named[day])}; each day stands once", (key,), at_key=True)
        elif days.count(day) > 1:
            yield Problem(f"{day} is named twice here; each day stands once", (key,), at_key=True)


def _days(key: str) -> tuple[str, ...]:
    """`mon`, `mon-fri`, `sat-mon` or `mon,wed,fri` as days."""
    text = key.casefold()
    if not _KEY.fullmatch(text):
        meant = _SPOKEN.get(text) or correct(text, DAYS)
        message = f"{show(key)} is no day; write one of {', '.join(DAYS)}, a range (mon-fri) or a list (mon,wed,fri)"
        raise Misfit(message, suggestion=meant if _KEY.fullmatch(meant) else None, at_key=True)
    return tuple(day for part in text.split(",") for day in _run(*part.strip().split("-")))


def _run(first: str, last: str | None = None) -> tuple[str, ...]:
    """The days of a range, which may go on into the next week."""
    begin = DAYS.index(first)
    length = (DAYS.index(last or first) - begin) % 7 + 1
    return (*DAYS, *DAYS)[begin : begin + length]


def _ranges(raw: object) -> tuple[Hours, ...]:
    """`08:00-12:00,13:00-18:00` as hours."""
    if raw is None or raw in ("closed", "off"):
        raise Misfit("leave out a day on which it is closed")
    if not isinstance(raw, str):
        raise Misfit(f'hours are written in quotes, such as "08:00-18:00", not {show(raw)}')
    return tuple(_range(each.strip()) for each in raw.split(","))


def _range(text: str) -> Hours:
    found = _HOURS.fullmatch(text)
    if found is None:
        message = f'{show(text)} are no hours; write them like "08:00-18:00", several like "08:00-12:00,13:00-18:00"'
        raise Misfit(message, suggestion=_meant_hours(text))
    begin, end = _time(found[1], found[2]), _time(found[3], found[4])
    if begin == DAY:
        raise Misfit(f"{show(text)} begins where the day ends; write it as 00:00 of the next day")
    if begin == end:
        raise Misfit(f'{show(text)} ends where it begins; write "00:00-24:00" for the whole day')
    return begin, end if end > begin else end + DAY


def _time(hour: str, minute: str) -> Duration:
    time = int(hour) * HOUR + int(minute) * MINUTE
    if time > DAY or int(minute) > 59:
        raise Misfit(f"there is no time {hour}:{minute}; a day goes from 00:00 to 24:00")
    return time


def _meant_hours(text: str) -> str | None:
    found = _LOOSE.fullmatch(text.casefold())
    if found is None:
        return None
    begin, begin_minute, end, end_minute = (int(each or 0) for each in found.groups())
    return f"{begin:02}:{begin_minute:02}-{end:02}:{end_minute:02}"


def _date(raw: object) -> date:
    if isinstance(raw, str) and _DATE.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise Misfit(f"there is no {raw}; check month and day") from None
    parts = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{4})", raw, re.ASCII) if isinstance(raw, str) else None
    meant = f"{parts[3]}-{parts[2]:0>2}-{parts[1]:0>2}" if parts else None
    raise Misfit(f"a date is written like 2026-12-24, not {show(raw)}", suggestion=meant)


def _holidays(raw: object) -> str:
    """A country, or a part of one after a dash, as the library `holidays` has them."""
    if not isinstance(raw, str):
        raise Misfit(f"holidays are those of a country (DE) or of a part of one (US-MA), not {show(raw)}")
    country, dash, part = raw.partition("-")
    known = _countries()
    if country not in known:
        folded = re.sub(r"[\s_/.]+", "-", raw.strip()).upper()
        meant = folded if _is_known(folded) else None
        message = f"there are no holidays {show(raw)}; write the code of a country (DE) or of a part of one (DE-BY for Bavaria)"
        raise Misfit(message, suggestion=meant)
    if dash and part not in known[country]:
        parts = sorted(known[country])
        listed = ", ".join(parts) if len(parts) <= _PARTS_LISTED else f"{', '.join(parts[:_PARTS_LISTED])} and others"
        close = next((each for each in parts if part.upper().startswith(each)), None) or suggest(part, parts)
        message = (
            f"there are no holidays {show(raw)}; {country} has {listed}"
            if parts
            else f"{country} has no parts; write {country}"
        )
        raise Misfit(message, suggestion=f"{country}-{close}" if close else None)
    return raw


def _is_known(code: str) -> bool:
    country, dash, part = code.partition("-")
    return part in _countries().get(country, ()) if dash else country in _countries()


@cache
def _countries() -> Mapping[str, tuple[str, ...]]:
    """The countries that have holidays, each with its parts."""
    import holidays  # noqa: PLC0415 - takes long, and few rulebooks need it

    return {country: tuple(parts) for country, parts in holidays.list_supported_countries(include_aliases=True).items()}
