"""Days back by the clock on the wall: 09:00 stays 09:00, whatever daylight saving did in between."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alertd.clock import DAY, HOUR, Duration, Instant
from alertd.facts import Window

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# How much longer than so many times 24 h that many days can be: a zone may change to the other side of the date line.
SLACK: Duration = 2 * DAY


def days_before(instant: Instant, days: int, zone: ZoneInfo) -> Instant:
    """When the zone's clocks showed the same time that many days earlier.

    A time that was skipped then counts as much later as the clocks were put forward; of a time that came twice it is the
    first, unless the instant itself is in a second one.
    """
    local = _local(instant, zone)
    then = local.replace(tzinfo=None) - timedelta(days=days)
    return (then.replace(tzinfo=zone, fold=local.fold) - _EPOCH) // _MILLISECOND


def moved(window: Window, days: int, zone: ZoneInfo) -> Window:
    """The window that many days earlier.

    It keeps its length, so that counts can be compared; only whole calendar days become whole calendar days, of 23 or 25 hours
    where need be.
    """
    end = days_before(window.end, days, zone)
    whole = _is_midnight(window.start, zone) and _is_midnight(window.end, zone)
    start = days_before(window.start, days, zone) if whole else end - window.length
    return replace(window, start=start, end=end)


def into_hour(instant: Instant, zone: ZoneInfo) -> Duration:
    """How long the zone's clocks have been in their hour."""
    local = _local(instant, zone)
    return (local - local.replace(minute=0, second=0, microsecond=0)) // _MILLISECOND % HOUR


def _is_midnight(instant: Instant, zone: ZoneInfo) -> bool:
    local = _local(instant, zone)
    return not (local.hour or local.minute or local.second or local.microsecond)


def _local(instant: Instant, zone: ZoneInfo) -> datetime:
    return (_EPOCH + instant * _MILLISECOND).astimezone(zone)  # in whole numbers: a float loses milliseconds
