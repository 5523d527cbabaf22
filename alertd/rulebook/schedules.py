"""When a rule is due: on the grid of the clock, or by a cron expression in a time zone.

cronsim reads the expression and knows which dates it means. What the clocks of a zone make of it is worked out here: going
from instant to instant, cronsim 2.8 loses times where clocks move by half an hour, and asked within an hour that is shown twice
it answers with times that are over.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from typing import TypeAlias

from cronsim import CronSim

from alertd.clock import DAY, HOUR, MINUTE, Duration, Instant
from alertd.rulebook.crontab import never, parse_fields, read_expression
from alertd.rulebook.misfit import Misfit
from alertd.rulebook.zones import EPOCH_DATE, FIRST_DATE, LAST_DATE, begins, first_shown, read_zone, wall_clock

_PATIENCE = 50 * 366  # days after which no further date is expected
_YEAR = range(date(2026, 1, 1).toordinal(), date(2027, 2, 1).toordinal())  # has every clock change and the turn of a year
_YEAR_BEGINS: Instant = (_YEAR[0] - EPOCH_DATE) * DAY
_RARE = 5  # due instants that tell how often a schedule is due that is not even once a year


@dataclass(frozen=True)
class Grid:
    """Due whenever the clock shows a multiple of `every`, counted from 1970 in UTC."""

    every: Duration

    def newest(self, now: Instant) -> Instant | None:
        """The latest due instant up to now."""
        return now - now % self.every

    def following(self, now: Instant) -> Instant | None:
        """The first due instant after now."""
        return now - now % self.every + self.every

    def between(self, after: Instant, until: Instant) -> Iterator[Instant]:
        """The due instants in (after, until]."""
        return iter(range(after - after % self.every + self.every, until + 1, self.every))


@dataclass(frozen=True)
class Cron:
    """Due when clocks in the time zone show one of the times of the expression, by the rules of Debian's cron.

    When clocks go back, an expression whose minute or hour begins with * follows them and is due both times; any other is due
    the first time only. When they go forward, the former skips what is not shown, and the latter is due at the moment of the
    jump, once for all that was skipped. `parse_cron` makes them.
    """

    expression: str
    timezone: str

    @property
    def every(self) -> Duration:
        """The shortest time between two due instants, clock changes included: in 2026, or for rarer ones from then on."""
        return _shortest(self.expression, self.timezone)

    def newest(self, now: Instant) -> Instant | None:
        """The latest due instant up to now; None if there was none in 50 years."""
        near = _near(self.expression, self.timezone, now // DAY)
        index = bisect_right(near, now)
        return near[index - 1] if index else None

    def following(self, now: Instant) -> Instant | None:
        """The first due instant after now; None if there is none in 50 years."""
        near = _near(self.expression, self.timezone, now // DAY)
        index = bisect_right(near, now)
        return near[index] if index < len(near) else None

    def between(self, after: Instant, until: Instant) -> Iterator[Instant]:
        """The due instants in (after, until]."""
        due = self.following(after)
        while due is not None and due <= until:
            yield due
            due = self.following(due)


Schedule: TypeAlias = Grid | Cron


def parse_cron(text: object, timezone: object) -> Cron:
    """Read `0 8 * * mon-fri`: crontab's five fields, weekdays by name or 0 (Sunday) to 7 (Sunday too); Misfit otherwise."""
    cron = Cron(read_expression(text), read_zone(timezone))
    if cron.following(_YEAR_BEGINS) is None:
        raise Misfit(never(cron.expression))
    return cron


@dataclass(frozen=True)
class _Pattern:
    """What an expression means: times since midnight, on which dates, and whether it follows clocks back and forward."""

    fields: CronSim
    times: tuple[Duration, ...]
    follows: bool

    def on(self, day: date) -> bool:
        return day.month in self.fields.months and self.fields.match_day(day)

    def shown(self, wall: datetime) -> bool:
        return wall.minute in self.fields.minutes and wall.hour in self.fields.hours and self.on(wall.date())


@lru_cache(maxsize=4096)
def _pattern(expression: str) -> _Pattern:
    fields = parse_fields(expression)
    times = tuple(hour * HOUR + minute * MINUTE for hour in sorted(fields.hours) for minute in sorted(fields.minutes))
    return _Pattern(fields, times, any(field.startswith("*") for field in expression.split()[:2]))


@lru_cache(maxsize=4096)
def _near(expression: str, timezone: str, day: int) -> tuple[Instant, ...]:
    """What is due in a day of UTC, with the last one before it and the first one after it."""
    start, end, here = day * DAY, (day + 1) * DAY, EPOCH_DATE + day
    # Zones are at most 14 hours away, so that the day of UTC has parts of three dates.
    found = sorted({due for each in (here - 1, here, here + 1) for due in _on_date(expression, timezone, each)})
    before = [due for due in found if due < start] or _first_found(
        _on_date(expression, timezone, each) for each in range(here - 2, here - _PATIENCE, -1)
    )
    after = [due for due in found if due >= end] or _first_found(
        _on_date(expression, timezone, each) for each in range(here + 2, here + _PATIENCE)
    )
    return (*before[-1:], *(due for due in found if start <= due < end), *after[:1])


def _first_found(dates: Iterable[tuple[Instant, ...]]) -> list[Instant]:
    return next((list(dues) for dues in dates if dues), [])


def _on_date(expression: str, timezone: str, day: int) -> tuple[Instant, ...]:
    """What is due on a date of that zone, in order."""
    pattern = _pattern(expression)
    if not FIRST_DATE <= day <= LAST_DATE or not pattern.on(when := date.fromordinal(day)):
        return ()
    start, end = begins(day, timezone), begins(day + 1, timezone)
    if end - start == DAY:
        return tuple(start + each for each in pattern.times)
    if pattern.follows:
        return tuple(each for each in range(start, end, MINUTE) if pattern.shown(wall_clock(each, timezone)))
    midnight = datetime.combine(when, time())
    return tuple(sorted({first_shown(midnight + timedelta(milliseconds=each), timezone) for each in pattern.times}))


@lru_cache(maxsize=4096)
def _shortest(expression: str, timezone: str) -> Duration:
    pattern = _pattern(expression)
    within = _least_gap(pattern.times)  # of a day on which no clock is changed
    if within == MINUTE:
        return MINUTE
    dues = {due for day in _YEAR if pattern.on(date.fromordinal(day)) for due in _edges(expression, timezone, day)}
    if len(dues) == 1 or not dues:
        last = (LAST_DATE - EPOCH_DATE) * DAY
        dues = set(islice(Cron(expression, timezone).between(_YEAR_BEGINS, last), _RARE))
    return min(within, _least_gap(sorted(dues)))


def _edges(expression: str, timezone: str, day: int) -> tuple[Instant, ...]:
    """The first and the last due instant of an ordinary date; all of one on which clocks are changed."""
    start, times = begins(day, timezone), _pattern(expression).times
    if begins(day + 1, timezone) - start == DAY:
        return start + times[0], start + times[-1]
    return _on_date(expression, timezone, day)


def _least_gap(dues: Iterable[Instant]) -> Duration:
    return min((after - before for before, after in pairwise(dues)), default=_PATIENCE * DAY)
