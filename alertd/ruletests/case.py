"""What a test file says, checked and typed. Times are milliseconds since the test's `start`, durations milliseconds.

Only conversations may have been before it: they are what the API remembers when alertd is started for the first time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from alertd.clock import Duration, Instant
from alertd.facts import Kind, Level

# Text, numbers, booleans and tags as they are, moments as instants, None where the test takes the value away.
Value: TypeAlias = float | str | bool | tuple[str, ...] | None

Story: TypeAlias = tuple[Kind, ...]


@dataclass(frozen=True)
class Series:
    """Conversations created at `first`, and again every `step` before `end`; `count` at once. Values by property."""

    first: Duration
    end: Duration  # the last time it names
    step: Duration | None = None  # None: at `first` only
    count: int = 1
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def moments(self) -> range:
        """When conversations are created."""
        return range(self.first, self.end, self.step) if self.step else range(self.first, self.first + 1)


class Happening(StrEnum):
    """What a test may do to alertd."""

    RESTART = "restart"
    TIMEOUT = "timeout"
    ERROR = "error"
    TOO_MANY_REQUESTS = "too_many_requests"
    SILENCE = "silence"
    LATE_ROWS = "late_rows"


OUTAGES = frozenset({Happening.TIMEOUT, Happening.ERROR, Happening.TOO_MANY_REQUESTS})


@dataclass(frozen=True)
class Event:
    """Something that happens at `at`. `lasts` is until it is over, of late rows how late they are."""

    at: Duration
    what: Happening
    lasts: Duration = 0
    rule: str | None = None
    group: str | None = None  # its key
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def over(self) -> Duration:
        """When it is over; rows stay late."""
        return self.at if self.what is Happening.LATE_ROWS else self.at + self.lasts


@dataclass(frozen=True)
class Expected:
    """An alert that is expected to fire; what is None is not compared."""

    rule: str | None = None
    level: Level | None = None
    group: str | None = None  # its key
    value: float | None = None  # in the rule's unit


@dataclass(frozen=True)
class Moment:
    """All alerts that are expected to fire after the check of that time; `line` is where it stands."""

    at: Duration
    alerts: tuple[Expected, ...]
    line: int = 0


@dataclass(frozen=True)
class Case:
    """One test."""

    name: str
    rules: tuple[str, ...]
    start: Instant
    conversations: tuple[Series, ...] = ()
    during: tuple[Event, ...] = ()
    expect: tuple[Moment, ...] = ()
    # Whom it names, or everybody who was told anything (the key None); no mapping: it is not judged.
    notices: Mapping[str | None, Story] | None = None
    calls: int | None = None  # at most
    file: str = ""
    line: int = 0

    @property
    def end(self) -> Duration:
        """The last time that it names; the start where all of them lie before it."""
        named = [0, *(each.end for each in self.conversations)] + [each.at for each in self.expect]
        named += [each.over if each.what is Happening.SILENCE else each.at for each in self.during]
        return max(named)
