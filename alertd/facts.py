"""The values that travel between the stages, from a judged number to the alert it moves."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from alertd.clock import Duration, Instant


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for ok, 1 for warning, 2 for critical: texts do not sort that way."""
        return _RANKS[self]


_RANKS = {level: rank for rank, level in enumerate(Level)}


class Evidence(StrEnum):
    """How far a result can be trusted. Only `ok` moves an alert."""

    OK = "ok"
    NO_DATA = "no_data"  # a complete answer, but nothing to measure in it
    INSUFFICIENT = "insufficient"  # fewer values than `min_conversations`
    ERROR = "error"  # no complete answer
    STALE = "stale"  # not asked in time


@dataclass(frozen=True, slots=True)
class Window:
    """Which conversations by time: from `start` up to, not including, `end`, by the property `timestamp`."""

    start: Instant
    end: Instant
    timestamp: str = "createdAt"

    @property
    def length(self) -> Duration:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Group:
    """One group of a rule: the id of one value of the property `by`, or all conversations together (both None)."""

    by: str | None = None
    id: int | None = None

    def to_json(self) -> dict[str, int]:
        """`{}` or `{"lastAgentId": 671}`."""
        return {} if self.by is None or self.id is None else {self.by: self.id}

    @property
    def key(self) -> str:
        """The group in one word, for keys and logs: `` or `lastAgentId=671`."""
        return "" if self.by is None else f"{self.by}={self.id}"

    @classmethod
    def from_key(cls, key: str) -> Group:
        """The group that has this `key`."""
        name, _, number = key.partition("=")
        return cls(name, int(number)) if name else cls()


# How `by: conversation` names its groups.
CONVERSATION = "conversationId"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one evaluation makes of one group: evidence, value, level and the reason in words.

    `level` is None unless the verdict may move an alert; `value` is in the rule's unit, which is the comparison's;
    `conversations` are the rows after the filters, `entered` the values that the measure was made of, `examples` the
    conversations that stand out most. Of a comparison, `measured` and `reference` are the two numbers, in the measure's unit.
    `limit` and `level` are the comparison's own where it brings them.
    """

    rule: str
    group: Group
    evidence: Evidence
    value: float | None
    level: Level | None
    conversations: int
    entered: int
    window: Window
    as_of: Instant
    reason: str
    examples: tuple[int, ...] = ()
    measured: float | None = None
    reference: float | None = None
    limit: float | None = None


class State(StrEnum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"  # over the limit, not yet for long enough
    FIRING = "firing"
    RECOVERING = "recovering"  # no longer over the limit, not yet for long enough; it still counts as firing


@dataclass(frozen=True, slots=True)
class Alert:
    """The state of one rule for one group. Durations are known time only: errors and downtime do not count (I6)."""

    rule: str
    group: Group
    state: State = State.INACTIVE
    level: Level = Level.OK  # what it fires at
    since: Instant | None = None  # as_of of the first evaluation over the limit
    held: Duration = 0  # how long it is known to have been over the limit, towards `for`
    cleared: Duration = 0  # how long it is known to have been below, towards `keep_firing`
    unseen: Duration = 0  # how long complete answers are known not to have contained the group
    judged_at: Instant | None = None  # as_of of the last evaluation with evidence ok, or without the group
    value: float | None = None
    peak: float | None = None  # the worst value since it was first over the limit
    conversations: int = 0
    examples: tuple[int, ...] = ()
    measured: float | None = None  # what was compared: the measure's own number, and the one it was held against
    reference: float | None = None
    limit: float | None = None  # the one that was passed, where a comparison brings its own

    @property
    def fires(self) -> bool:
        """Whether people count it as going on."""
        return self.state in (State.FIRING, State.RECOVERING)


class Change(StrEnum):
    """Why an alert moved, or why it did not."""

    STARTED = "over the limit"
    HELD = "over the limit for long enough"
    WORSENED = "another level was passed"
    EASED = "the higher level has recovered"
    DROPPED = "within the limit again before it was time to fire"
    CLEARING = "recovered, waiting for keep_firing"
    RELAPSED = "over the limit again before it was over"
    RECOVERED = "recovered"
    LEFT = "the conversation has left the selection"
    UNOBSERVED = "no longer observed"
    REMOVED = "the rule was removed"
    CONTINUES = "not recovered yet"
    WAITS = "over the limit, not yet for long enough"
    QUIET = "within the limit"
    KEPT = "nothing changes"


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of an alert with its reason. `before` and `after` are the same state where nothing moved."""

    before: Alert
    after: Alert
    change: Change


class Kind(StrEnum):
    """What a notice tells. `refreshed` is never told: it only keeps a message true that can be edited."""

    OPENED = "opened"
    CHANGED = "changed"
    REMINDER = "reminder"  # it still fires and nobody has acknowledged it
    ESCALATED = "escalated"  # the same, told to somebody else
    RESOLVED = "resolved"
    REPORT = "report"  # told on its schedule, belongs to no incident
    REFRESHED = "refreshed"
    TEST = "test"
    DIGEST = "digest"  # many notices in one message; never the kind of one notice or delivery
