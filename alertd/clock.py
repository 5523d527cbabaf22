"""Time comes in by argument; this is where it comes from.

Instants are whole milliseconds since 1970-01-01 UTC, durations whole milliseconds: exact, sortable, and what the API speaks.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeAlias

Instant: TypeAlias = int
Duration: TypeAlias = int

SECOND: Duration = 1_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Instant = 253_402_300_799_999  # the end of the year 9999, which is as far as dates go


class Clock(Protocol):
    """What the daemon asks for the time."""

    def now(self) -> Instant:
        """The wall clock: what people see, and what anybody may set."""
        ...

    def uptime(self) -> Duration:
        """Milliseconds since the machine booted, suspension included: nobody sets it."""
        ...

    def boot(self) -> str:
        """Which boot `uptime` counts from."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> Instant:
        return time.time_ns() // 1_000_000

    def uptime(self) -> Duration:
        # CLOCK_MONOTONIC stands still while a laptop sleeps, Linux's CLOCK_BOOTTIME does not; elsewhere it is all there is.
        source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        return time.clock_gettime_ns(source) // 1_000_000

    def boot(self) -> str:
        try:
            return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        except OSError:  # not Linux: the second at which the clock stood at zero tells boots apart well enough
            return f"{(self.now() - self.uptime()) // (10 * MINUTE)}"


def iso(instant: Instant) -> str:
    """Write an instant as ISO 8601 in UTC, with milliseconds only where there are any."""
    moment = _EPOCH + timedelta(milliseconds=instant)  # in whole numbers: a float loses milliseconds
    return moment.isoformat(timespec="milliseconds" if instant % 1000 else "seconds").replace("+00:00", "Z")


def parse_instant(text: str) -> Instant:
    """Read ISO 8601 (UTC where no offset is given) or epoch milliseconds; ValueError says what is wrong."""
    if re.fullmatch(r"\d{1,15}", text, re.ASCII) and int(text) <= LAST:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a time; write it like 2026-11-02T09:00:00Z') from None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
