"""Time zones: which names there are, and between instants and what a clock on the wall shows."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from alertd.clock import Duration, Instant
from alertd.rulebook.misfit import Misfit, show

FIRST_DATE = date(1900, 1, 1).toordinal()
LAST_DATE = date(9999, 12, 28).toordinal()  # any zone, and whatever goes past midnight, stays within the year
EPOCH_DATE = date(1970, 1, 1).toordinal()

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ABBREVIATION = re.compile(r"[A-Z]{2,5}[-+]?\d*")
_CLOSE = 0.75  # Munich and Zurich are 0.67, Berlin and Belin 0.91
_NOWHERE = frozenset({"localtime", "posixrules", "Factory"})  # files beside those of zones; the first is the machine's own


def read_zone(raw: object) -> str:
    """The name of a time zone, as it stands in the tz database; Misfit with the one that was probably meant."""
    if not isinstance(raw, str):
        raise Misfit(f"a time zone is written like Europe/Berlin, not {show(raw)}")
    if raw in _names():
        return raw
    message = f"there is no time zone {show(raw)}; zones are called by region and city, such as Europe/Berlin, or UTC"
    raise Misfit(message, suggestion=_meant(raw[:60]))


def wall_clock(instant: Instant, timezone: str) -> datetime:
    """What a clock in that zone shows, without zone."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(_zone(timezone)).replace(tzinfo=None, fold=0)


def offset(instant: Instant, timezone: str) -> Duration:
    """How far clocks in that zone are ahead of UTC at that instant."""
    shift = (_EPOCH + timedelta(milliseconds=instant)).astimezone(_zone(timezone)).utcoffset()
    return (shift or timedelta()) // _MILLISECOND


def first_shown(wall: datetime, timezone: str) -> Instant:
    """The first instant at which a clock in that zone shows that time or a later one.

    So of a time that is shown twice in autumn it is the first; of one that is skipped in spring it is the moment of the jump.
    """
    aware = wall.replace(tzinfo=_zone(timezone), fold=0)
    instant = (aware - _EPOCH) // _MILLISECOND
    if wall_clock(instant, timezone) == wall:
        return instant
    before = (aware.replace(fold=1) - _EPOCH) // _MILLISECOND  # Python reads a skipped time by the offset on either side
    old = offset(before, timezone)
    return before + bisect_left(range(before, instant), True, key=lambda each: offset(each, timezone) != old)  # noqa: FBT003 - found


@lru_cache(maxsize=16_384)
def begins(day: int, timezone: str) -> Instant:
    """When a date begins there, given as its ordinal."""
    return first_shown(datetime.combine(date.fromordinal(day), time()), timezone)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOWHERE


def _meant(raw: str) -> str | None:
    """The zone that is called so but for letter case, or is of that city, or whose city is misspelt.

    Another city of the same region is no misspelling, and short names such as CEST are close to many; for these it is None.
    """
    names, text = sorted(_names()), "_".join(raw.split()).casefold()
    same = [name for name in names if name.casefold() == text]
    cities = {name.rpartition("/")[2].casefold(): name for name in reversed(names)}
    city = text.rpartition("/")[2]
    if same or text in cities:
        return same[0] if same else cities[text]
    if _ABBREVIATION.fullmatch(raw):
        return None
    close = get_close_matches(city, cities, n=1, cutoff=_CLOSE)
    return cities[close[0]] if close else None
