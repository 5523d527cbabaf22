"""Calendars: when a team is there, and whether a rule is checked for a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import chain, groupby
from typing import TypeAlias

from alertd.clock import DAY, HOUR, MINUTE, Duration, Instant
from alertd.rulebook.zones import EPOCH_DATE, FIRST_DATE, LAST_DATE, first_shown

Hours: TypeAlias = tuple[Duration, Duration]  # from the midnight that begins the day; the end may lie in the next day
Span: TypeAlias = tuple[Instant, Instant]  # [open, close)

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
REACH = 400  # days before and after the day asked for; a span that goes on beyond them is cut off there
_NEAR = 9  # days on either side that suffice for spans of up to a week
_LISTED = 3  # dates that are told one by one


@dataclass(frozen=True)
class Calendar:
    """Opening hours by weekday (Monday first) in a time zone, but for holidays and some dates.

    Hours belong to the day on which they begin, and so do those that go past midnight: a holiday closes what begins on it. A
    time that clocks show twice is meant the first time, opening or closing; one that they skip is the moment of the jump.
    """

    name: str
    timezone: str
    weekly: tuple[tuple[Hours, ...], ...]
    holidays: tuple[str, ...] = ()  # countries or parts of them, as the library `holidays` calls them
    closed_on: tuple[date, ...] = ()

    def __hash__(self) -> int:
        """Of a part of it, since it is asked for in every tick."""
        return hash((self.name, self.timezone))

    def is_open(self, instant: Instant) -> bool:
        """Whether it is open at that instant."""
        return self.span(instant) is not None

    def span(self, instant: Instant) -> Span | None:
        """From when to when it is open without a break around that instant; None if it is closed.

        A calendar that is open for more than REACH days before or after is told as open for that long.
        """
        for span in _spans(self, instant // DAY):
            if span[0] <= instant < span[1]:
                return span
        return None

    def opens(self, after: Instant) -> Instant | None:
        """When it opens next after that instant; None if it does not within REACH days."""
        spans = chain.from_iterable(_spans(self, after // DAY + each) for each in range(REACH))
        return next((span[0] for span in spans if span[0] > after), None)

    def admits(self, start: Instant, end: Instant) -> bool:
        """Whether a rule with the window [start, end) is checked: both ends are open, or the end alone if no span is as long.

        The end of a window is exclusive: it is open up to and with the closing time.
        """
        last = self.span(end - 1)
        return last is not None and (end - start > last[1] - last[0] or self.is_open(start))

    def describe(self) -> str:
        """In words for messages: `Mon-Fri 08:00-18:00, Sat 10:00-14:00 (America/New_York), not on US-MA holidays`."""
        runs = [(hours, list(days)) for hours, days in groupby(range(7), lambda day: self.weekly[day])]
        week = ", ".join(f"{_days(days)} {' and '.join(_hours(each) for each in hours)}" for hours, days in runs if hours)
        dates = [each.isoformat() for each in self.closed_on]
        closed = [f"{code} holidays" for code in self.holidays]
        closed += dates if len(dates) <= _LISTED else [f"{len(dates)} other days"]
        return f"{week} ({self.timezone})" + (f", not on {' or '.join(closed)}" if closed else "")


def _days(numbers: list[int]) -> str:
    first, last = DAYS[numbers[0]].title(), DAYS[numbers[-1]].title()
    return first if first == last else f"{first}-{last}"


def _hours(hours: Hours) -> str:
    begin, end = hours
    return f"{_clock(begin)}-{_clock(end if end <= DAY else end - DAY)}"


def _clock(since_midnight: Duration) -> str:
    return f"{since_midnight // HOUR:02}:{since_midnight % HOUR // MINUTE:02}"


@lru_cache(maxsize=4096)
def _spans(calendar: Calendar, day: int) -> tuple[Span, ...]:
    """The spans that have a part in that day of UTC, whole."""
    found: tuple[Span, ...] = ()
    for reach in (_NEAR, REACH):
        merged = _merge(chain.from_iterable(_of_date(calendar, EPOCH_DATE + day + each) for each in range(-reach, reach + 1)))
        found = tuple(span for span in merged if span[0] < (day + 1) * DAY and span[1] > day * DAY)
        inner = reach - 2  # days that lie wholly within those looked at, in any zone
        if all(span[0] > (day - inner) * DAY and span[1] < (day + inner) * DAY for span in found):
            break
    return found


def _merge(spans: Iterable[Span]) -> Iterator[Span]:
    """The same without those that touch or overlap."""
    current: Span | None = None
    for span in sorted(spans):
        if current and span[0] <= current[1]:
            current = current[0], max(current[1], span[1])
            continue
        if current:
            yield current
        current = span
    if current:
        yield current


@lru_cache(maxsize=16_384)
def _of_date(calendar: Calendar, day: int) -> tuple[Span, ...]:
    """The spans that begin on a date, given as its ordinal."""
    if not FIRST_DATE <= day <= LAST_DATE:
        return ()
    when = date.fromordinal(day)
    hours = calendar.weekly[when.weekday()]
    if not hours or when in calendar.closed_on or any(when in holidays_of(code, when.year) for code in calendar.holidays):
        return ()
    midnight = datetime.combine(when, time())
    walls = ((midnight + timedelta(milliseconds=begin), midnight + timedelta(milliseconds=end)) for begin, end in hours)
    return tuple((first_shown(opens, calendar.timezone), first_shown(closes, calendar.timezone)) for opens, closes in walls)


@lru_cache(maxsize=1024)
def holidays_of(code: str, year: int) -> frozenset[date]:
    """The public holidays of a country (`DE`) or a part of it (`US-MA`) in a year, days off instead of a Sunday included."""
    import holidays  # noqa: PLC0415 - takes long, and few rulebooks need it

    country, _, part = code.partition("-")
    return frozenset(holidays.country_holidays(country, subdiv=part or None, years=year))
