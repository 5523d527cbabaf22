"""Time, chance and sudden death: what a run is made of before anybody does anything."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import DAY, Duration, Instant, parse_instant
from alertd.testing.clock import FakeClock
from alertd.testing.simulation.violation import Killed

# The evenings before the clocks of Berlin go back, go forward, and neither.
EVENINGS = tuple(map(parse_instant, ("2026-10-24T18:00:00Z", "2027-03-27T18:00:00Z", "2026-11-02T07:00:00Z")))


def luck(seed: int, what: str) -> random.Random:
    """Chance of its own for each part of a run, so that one that asks more often does not change the others."""
    return random.Random(f"{seed} {what}")  # noqa: S311 - chance that can be repeated, not a key


class VirtualClock(FakeClock):
    """A clock that the run moves. `elapsed` and `truth` are what peers go by: neither is set nor begins anew."""

    def __init__(self, now: Instant) -> None:
        super().__init__(now)
        self._began = now
        self.elapsed: Duration = 0

    @property
    def truth(self) -> Instant:
        """What time it really is, whatever our own clock shows."""
        return self._began + self.elapsed

    def advance(self, by: Duration) -> None:
        super().advance(max(1, by))
        self.elapsed += max(1, by)


@dataclass
class Fuse:
    """Ends the process at one of its next statements; burns only while the process itself is at work."""

    left: int = 0
    burning: bool = False

    def burn(self, *_: object) -> None:
        """One statement: a listener of the store's engine."""
        if self.burning and self.left:
            self.left -= 1
            if not self.left:
                raise Killed

    @contextmanager
    def lit(self) -> Iterator[None]:
        """The process works for the length of the block."""
        self.burning = True
        try:
            yield
        finally:
            self.burning = False


def evening(seed: int) -> Instant:
    """When the run begins."""
    return EVENINGS[seed % len(EVENINGS)] + (seed // len(EVENINGS)) % 2 * DAY // 4


@dataclass
class Disk:
    """Takes nothing for a while, from one of the next statements on."""

    left: int = 0  # statements that are still taken; 0: no trouble is near
    broken: bool = False
    refused: int = 0
    complaint: str = "database or disk is full"

    def write(self, statement: str) -> None:
        """One statement."""
        if self.left:
            self.left -= 1
            self.broken = not self.left
        if self.broken and statement.startswith(("INSERT", "UPDATE", "DELETE", "PRAGMA user_version =")):
            self.refused += 1
            raise sa.exc.OperationalError(statement, None, sqlite3.OperationalError(self.complaint))
