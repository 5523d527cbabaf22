"""A rule as everything below the files knows it: checked, typed, complete."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alertd.channels.base import Channel
from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.facts import CONVERSATION, Level
from alertd.measures.base import Measure
from alertd.reporting.query import Filter


@dataclass(frozen=True)
class Limit:
    """One level's limit, in the measure's unit. `above` and `below` are exclusive; `recover` is inclusive."""

    level: Level
    direction: str  # "above" or "below"
    value: float
    recover: float  # the limit itself unless the rule says otherwise

    def broken_by(self, value: float) -> bool:
        """Whether the value is over the limit."""
        return value > self.value if self.direction == "above" else value < self.value

    def recovered_by(self, value: float) -> bool:
        """Whether the value is good enough to end an alert of this level."""
        return value <= self.recover if self.direction == "above" else value >= self.recover


@dataclass(frozen=True)
class Rule:
    """One question asked on a schedule, and what to make of the answer. Durations are milliseconds."""

    id: str
    title: str
    every: Duration
    window: Duration
    measure: Measure
    limits: tuple[Limit, ...]  # the worst level first, all in the same direction
    notify: Mapping[Level, tuple[str, ...]]  # receivers by level
    filters: tuple[Filter, ...] = ()
    timestamp: str = "createdAt"
    delay: Duration = 30 * SECOND
    by: str | None = None  # an id property, or "conversationId"
    as_waited: bool = False
    hold: Duration = 0  # `for` in rule files
    keep_firing: Duration = 0
    reopen_within: Duration = 30 * MINUTE
    min_conversations: int = 0
    max_groups: int = 200
    description: str | None = None
    runbook: str | None = None
    owner: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    file: str = ""  # where it stands
    line: int = 0

    @property
    def single(self) -> bool:
        """Whether each conversation is an alert of its own."""
        return self.by == CONVERSATION

    @property
    def forgets_after(self) -> Duration:
        """How long complete answers may lack a group before it counts as no longer observed (I3)."""
        return max(self.window, HOUR)

    @property
    def worst(self) -> Level:
        """The highest level it can reach."""
        return self.limits[0].level

    @property
    def question(self) -> str:
        """A hash of what is asked; when it changes, what was measured before cannot be compared with what comes."""
        asked: dict[str, Any] = {
            "window": self.window,
            "timestamp": self.timestamp,
            "filters": [each.to_json() for each in self.filters],
            "measure": repr(self.measure),
            "by": self.by,
            "as_waited": self.as_waited,
        }
        return hashlib.sha256(msgspec.json.encode(asked, order="sorted")).hexdigest()[:16]


@dataclass(frozen=True)
class Receiver:
    """A destination with a name."""

    name: str
    kind: str  # of channel
    channel: Channel
    send_resolved: bool = True


@dataclass(frozen=True)
class Rulebook:
    """Rules and receivers of one revision, valid as a whole."""

    rules: Mapping[str, Rule]
    receivers: Mapping[str, Receiver]
    fallback: str | None = None
    revision: str | None = None  # the git commit, where the folder has one
