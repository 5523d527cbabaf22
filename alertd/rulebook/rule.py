"""A rule as everything below the files knows it: checked, typed, complete."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alertd import comparisons
from alertd.channels.base import Channel
from alertd.clock import HOUR, MINUTE, SECOND, Duration, Instant
from alertd.comparisons.base import Comparison
from alertd.facts import CONVERSATION, Level, Window
from alertd.measures.base import Measure
from alertd.reporting.query import Filter
from alertd.rulebook.calendars import Calendar
from alertd.rulebook.lookback import CalendarWindow
from alertd.rulebook.schedules import Cron, Grid, Schedule
from alertd.units import Unit


@dataclass(frozen=True)
class Limit:
    """One level's limit, in the measure's unit. `above` and `below` are exclusive; `recover` is inclusive."""

    level: Level
    direction: str  # "above", "below" or "outside": further from zero, on either side
    value: float
    recover: float  # the limit itself unless the rule says otherwise

    def broken_by(self, value: float) -> bool:
        """Whether the value is over the limit."""
        return badness(value, self.direction) > badness(self.value, self.direction)

    def recovered_by(self, value: float) -> bool:
        """Whether the value is good enough to end an alert of this level."""
        return badness(value, self.direction) <= badness(self.recover, self.direction)


def badness(value: float, direction: str) -> float:
    """The value as a number that is higher the worse it is."""
    return value if direction == "above" else -value if direction == "below" else abs(value)


@dataclass(frozen=True)
class Escalation:
    """Who else is told when nobody has acknowledged an incident for so long."""

    after: Duration
    to: tuple[str, ...]


@dataclass(frozen=True)
class Route:
    """Receivers that hear, in addition to the rule's own, of every incident that matches in all that is given."""

    to: tuple[str, ...]
    labels: Mapping[str, str] = field(default_factory=dict)
    level: Level | None = None
    rule: str | None = None
    owner: str | None = None

    def matches(self, rule: Rule, level: Level) -> bool:
        """Whether an incident of that rule at that level goes this way."""
        given = ((self.level, level), (self.rule, rule.id), (self.owner, rule.owner))
        fits = all(wanted is None or wanted == found for wanted, found in given)
        return fits and self.labels.items() <= rule.labels.items()


@dataclass(frozen=True)
class Rule:
    """One question asked on a schedule, and what to make of the answer. Durations are milliseconds."""

    id: str
    title: str
    every: Duration
    window: Duration
    measure: Measure
    limits: tuple[Limit, ...]  # the worst level first, all in the same direction; none in a report
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
    expect: tuple[int, ...] = ()  # groups that are there whether or not any conversation has them
    no_data: Level | None = None  # what a measure without a value amounts to; None: nothing changes
    quiet_while: tuple[str, ...] = ()  # not told while any of these rules fires
    remind: Duration | None = None
    escalate: Escalation | None = None
    report: bool = False  # told at every check, never an incident
    template: str | None = None
    timezone: str = "UTC"
    compare: Comparison = comparisons.VALUE
    cron: Cron | None = None  # when it is checked, instead of `every`, which is then its shortest pause
    lookback: CalendarWindow | None = None  # what it looks at, instead of `window`, which is then its nominal length
    calendar: Calendar | None = None
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
        return self.limits[0].level if self.limits else Level.OK

    @property
    def schedule(self) -> Schedule:
        """When it is checked."""
        return self.cron or Grid(self.every)

    def window_at(self, as_of: Instant) -> Window:
        """Which conversations by time it looks at, judged as of that instant."""
        if self.lookback is None:
            return Window(as_of - self.window, as_of, self.timestamp)
        return Window(*self.lookback.at(as_of + self.delay), self.timestamp)

    @property
    def unit(self) -> Unit:
        """What its value and its limits are numbers of."""
        return self.compare.unit(self.measure.unit)

    @property
    def direction(self) -> str:
        """On which side its limits lie; "above" in a report."""
        return self.limits[0].direction if self.limits else "above"

    def badness(self, value: float) -> float:
        """The value as a number that is higher the worse it is."""
        return badness(value, self.direction)

    @property
    def question(self) -> str:
        """A hash of what is asked and compared; when it changes, what was judged before says nothing of what comes."""
        return self.asked if self.compare == comparisons.VALUE else _digest([self.asked, repr(self.compare)])

    @property
    def asked(self) -> str:
        """A hash of what is measured: numbers with the same one can be compared with each other."""
        asked: dict[str, Any] = {
            "window": self.window,
            "timestamp": self.timestamp,
            "filters": [each.to_json() for each in self.filters],
            "measure": repr(self.measure),
            "by": self.by,
            "as_waited": self.as_waited,
        }
        if self.lookback is not None:
            asked["lookback"] = repr(self.lookback)
        return _digest(asked)


def _digest(data: object) -> str:
    return hashlib.sha256(msgspec.json.encode(data, order="sorted")).hexdigest()[:16]


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
    routes: tuple[Route, ...] = ()

    def told(self, rule: Rule, level: Level) -> tuple[str, ...]:
        """The receivers of a rule's notices at that level: its own, and those of every route that matches."""
        routed = (name for route in self.routes if route.matches(rule, level) for name in route.to)
        return tuple(dict.fromkeys((*rule.notify.get(level, ()), *routed)))
