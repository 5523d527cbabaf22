"""Moments and periods in words, as clocks on the wall of a time zone show them."""

from __future__ import annotations

from datetime import datetime, timedelta

from alertd.clock import DAY, LAST, Instant
from alertd.rulebook.zones import wall_clock

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_ONE_DAY = timedelta(days=1)


def spell_moment(instant: Instant, today: Instant, timezone: str) -> str:
    """`14:00 UTC`, with the date where it is not that of `today`: `3 Nov 14:00 Europe/Berlin`."""
    moment = _wall(instant, timezone)
    date = "" if moment.date() == _wall(today, timezone).date() else f"{moment.day} {_MONTHS[moment.month - 1][:3]} "
    return f"{date}{moment:%H:%M} {timezone}"


def spell_period(start: Instant, end: Instant, timezone: str) -> str:
    """From one instant up to another: `Tuesday 3 November 2026`, `2 to 8 November 2026`, `3 November 2026, 08:00 to 09:00`."""
    first, last = _wall(start, timezone), _wall(end, timezone)
    if _midnight(first) and _midnight(last) and first < last:
        return _days(first, last - _ONE_DAY)
    if first.date() == last.date() or (_midnight(last) and last - first <= _ONE_DAY):
        return f"{_date(first)}, {first:%H:%M} to {'24:00' if _midnight(last) and first < last else f'{last:%H:%M}'}"
    return f"{_date(first)}, {first:%H:%M}, to {_date(last)}, {last:%H:%M}"


def _days(first: datetime, last: datetime) -> str:
    """Whole days, both included."""
    if first.date() == last.date():
        return f"{_DAYS[first.weekday()]} {_date(first)}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {_date(last)}"
    year = "" if first.year == last.year else f" {first.year}"
    return f"{first.day} {_MONTHS[first.month - 1]}{year} to {_date(last)}"


def _date(moment: datetime) -> str:
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"


def _midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second) == (0, 0, 0)


def _wall(instant: Instant, timezone: str) -> datetime:
    """The wall clock, as far as Python has dates."""
    return wall_clock(min(max(instant, 0), LAST - 2 * DAY), timezone)
