"""The clock on which the budget's slots are counted: the same for all processes on a store, and set by nobody (I1).

On SQLite all processes are on one machine, and `Clock.uptime` is that clock. On PostgreSQL it is the server's time, which
somebody may set. So each machine keeps in the store how far the server is ahead of its own uptime. If that moves by more
than `JUMP`, the reading says so and every slot starts used; smaller moves are covered by holding slots `slack` longer.

Not covered: a jump that no machine could see, because every machine that asks after it is new to the store or was booted
since; and a failover to a standby or a backup that lacks the newest slots.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import sqlalchemy as sa

from alertd.clock import DAY, SECOND, Clock, Duration
from alertd.store.database import Database
from alertd.store.tables import offsets

# The server's clock was set if it moves by more than this against an uptime.
JUMP: Duration = 2 * SECOND

# Clocks that nobody sets drift too, by less than one part in so many.
_DRIFT = 2_000

# How much they may drift while a slot is lent.
_DRIFTED: Duration = SECOND // 10

# How often a machine's row is written although nothing moved.
_WRITTEN_EVERY: Duration = 10 * SECOND

_KEPT: Duration = 30 * DAY


@dataclass(frozen=True)
class Reading:
    """A moment. `boot` names what `now` counts from; `jumped`: times that were written before mean nothing any more."""

    now: Duration
    boot: str
    uptime: Duration  # of this machine, never later than `now`
    jumped: bool = False


class Meter(Protocol):
    """Tells the time to the budget. Within a transaction that writes, no reading is older than one by another process."""

    @property
    def slack(self) -> Duration:
        """By how much `now` may run ahead while a slot is lent."""
        ...

    def read(self, transaction: sa.Connection) -> Reading:
        """Read it. A jump is told to the first transaction on each machine that writes, which has to deal with it."""
        ...


def meter_of(database: Database, clock: Clock) -> Meter:
    """The clock that all processes on this store have in common."""
    return ServerMeter(clock) if database.on_server else UptimeMeter(clock)


@dataclass(frozen=True)
class UptimeMeter:
    """The time since the machine was booted."""

    clock: Clock
    slack: Duration = 0

    def read(self, _transaction: sa.Connection) -> Reading:
        uptime = self.clock.uptime()
        return Reading(uptime, self.clock.boot(), uptime)


def server_time(transaction: sa.Connection) -> Duration:
    """The wall clock of the database's server."""
    found = transaction.scalar(sa.text("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
    return int(found or 0)


@dataclass(frozen=True)
class ServerMeter:
    """The server's time, watched by this machine's uptime."""

    clock: Clock
    ask: Callable[[sa.Connection], Duration] = server_time
    slack: Duration = JUMP + _DRIFTED

    def read(self, transaction: sa.Connection) -> Reading:
        # Before asking: a slow answer then looks like a jump forward, and never hides one.
        uptime = self.clock.uptime()
        now = self.ask(transaction)
        return Reading(now, "server", uptime, self._jumped(transaction, now, uptime))

    def _jumped(self, transaction: sa.Connection, now: Duration, uptime: Duration) -> bool:
        # With the host's name, because containers may share a boot and yet count their uptime from elsewhere.
        machine = f"{self.clock.boot()} {os.uname().nodename}"
        offset, reads = now - uptime, transaction.get_execution_options().get("reads")
        row = transaction.execute(sa.select(offsets).where(offsets.c.machine == machine)).one_or_none()
        seen = {"uptime": uptime, "seen_at": now}
        if row is None:
            if not reads:
                _remember(transaction, seen | {"machine": machine, "low": offset, "high": offset})
            return False
        drift = max(0, uptime - row.uptime) // _DRIFT
        low, high = min(row.low + drift, offset), max(row.high - drift, offset)
        jumped: bool = high - low > JUMP
        if jumped:
            low = high = offset
        if not reads and (jumped or low < row.low or high > row.high or uptime - row.uptime >= _WRITTEN_EVERY):
            change = sa.update(offsets).where(offsets.c.machine == machine)
            transaction.execute(change.values(seen | {"low": low, "high": high}))
        return jumped


def _remember(transaction: sa.Connection, row: dict[str, object]) -> None:
    """Write down a machine that is new, and forget those that are gone."""
    transaction.execute(sa.insert(offsets).values(row))
    transaction.execute(sa.delete(offsets).where(offsets.c.seen_at < int(str(row["seen_at"])) - _KEPT))
