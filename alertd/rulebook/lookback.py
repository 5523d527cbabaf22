"""Windows by the calendar: yesterday, last week, the hour that has just ended, in a time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

from alertd.clock import DAY, HOUR, Duration, Instant
from alertd.reporting.properties import suggest
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.zones import begins, first_shown, offset, read_zone, wall_clock

CalendarUnit: TypeAlias = Literal["hour", "day", "week"]

LENGTHS: dict[CalendarUnit, Duration] = {"hour": HOUR, "day": DAY, "week": 7 * DAY}
FURTHEST: dict[CalendarUnit, int] = {"hour": 366, "day": 366, "week": 53}
KEYS = {f"calendar_{unit}": unit for unit in get_args(CalendarUnit)}


@dataclass(frozen=True)
class CalendarWindow:
    """A whole unit of the calendar, `back` units ago: 0 is the current one up to now, -1 the last whole one.

    Weeks begin on Monday. On a day of clock changes a day has 23 or 25 hours, and an hour that is shown twice is two hours.
    """

    unit: CalendarUnit
    back: int
    timezone: str

    @property
    def length(self) -> Duration:
        """Its length on ordinary days."""
        return LENGTHS[self.unit]

    def at(self, due: Instant) -> tuple[Instant, Instant]:
        """Start and end (exclusive, never after `due`) as a rule sees it that is due at that instant.

        At the first instant of a unit the current one is empty; 0 is then the one that has just ended, like -1.
        """
        starts = self._starts(due)
        current = next(starts)
        if self.back == 0 and current < due:
            return current, due
        ends = [current, *islice(starts, max(1, -self.back))]
        return ends[-1], ends[-2]

    def _starts(self, due: Instant) -> Iterator[Instant]:
        """When the unit began that contains the instant, the one before it, and so on."""
        return _hours(due, self.timezone) if self.unit == "hour" else _dates(due, self.timezone, self.length // DAY)


def parse_lookback(raw: object, timezone: object) -> CalendarWindow:
    """Read `{calendar_day: -1}`; Misfit says what is wrong."""
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise Misfit(f"a window is a duration such as 1h, or one of {_examples()}")
    key, back = next(iter(raw.items()))
    if key not in KEYS:
        message = f"{show(key)} is not a window; possible are {_examples()}"
        raise Misfit(message, (key,), suggestion=suggest(key, KEYS), at_key=True)
    unit = KEYS[key]
    return CalendarWindow(unit, _read_back(key, unit, back), read_zone(timezone))


def _read_back(key: str, unit: CalendarUnit, raw: Any) -> int:
    furthest = FURTHEST[unit]
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise Misfit(f"{key} counts {unit}s backwards: 0 is the current one, -1 the last whole one; not {show(raw)}", (key,))
    if -furthest <= raw <= 0:
        return raw
    meant = str(-raw) if 0 < raw <= furthest else None
    raise Misfit(
        f"{key} counts {unit}s backwards, from 0 (the current one) to -{furthest}; not {raw}", (key,), suggestion=meant
    )


def _examples() -> str:
    return ", ".join(f"{{{key}: -1}}" for key in KEYS)


def _dates(due: Instant, timezone: str, days: int) -> Iterator[Instant]:
    """Midnights, or those of Mondays. A date that a zone left out altogether is passed over."""
    day = wall_clock(due, timezone).toordinal()
    # Clocks that are set back over midnight show the end of a date again after the next one has begun.
    day += 1 if begins(day + 1, timezone) <= due else 0
    day -= (day - 1) % 7 if days == 7 else 0  # 0001-01-01, which is 1, was a Monday
    last = None
    while True:
        start = begins(day, timezone)
        if start != last:
            yield start
        last, day = start, day - days


def _hours(due: Instant, timezone: str) -> Iterator[Instant]:
    """When clocks showed a full hour or jumped over one."""
    while True:
        due = _hour(due, timezone)
        yield due
        due -= 1


def _hour(instant: Instant, timezone: str) -> Instant:
    shift = offset(instant, timezone)
    start = instant - (instant + shift) % HOUR
    if offset(start, timezone) == shift:
        return start
    # Clocks were changed since: forward over the full hour, which then began at that moment, or back to within an hour.
    wall = wall_clock(instant, timezone)
    return first_shown(wall.replace(minute=0, second=0, microsecond=0), timezone)
