"""A notice: what is to be told about an incident at one moment, complete in itself, so that it can be rendered later."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from alertd.clock import Duration, Instant
from alertd.facts import Kind, Level
from alertd.units import Unit


@dataclass(frozen=True)
class NoticeGroup:
    """One firing group as it was at the notice's moment. `value` and `limit` are in the notice's unit."""

    by: str | None  # None: the rule has one group, all conversations
    id: int | None
    level: Level
    value: float | None
    limit: float | None
    since: Instant
    conversations: int
    examples: tuple[int, ...] = ()  # ids of conversations that stand out most
    new: bool = False  # fires since this notice


@dataclass(frozen=True)
class Notice:
    """What is to be told. Values and limits are in `unit`: milliseconds, fractions of 1, plain numbers."""

    kind: Kind
    rule: str
    title: str
    measure: str  # in words: "median time to the first answer"
    unit: Unit
    direction: str  # "above" or "below"
    level: Level  # of the incident now; of its worst moment once it is resolved
    previous: Level | None  # the level before, where it changed
    incident: int
    at: Instant  # the moment the numbers speak of
    opened_at: Instant
    resolved_at: Instant | None
    window: Duration
    value: float | None  # of the worst group
    limit: float | None  # the one that the value passed; when resolved the lowest level's
    recover: float | None
    peak: float | None  # the worst value of the incident
    conversations: int
    reason: str
    groups: tuple[NoticeGroup, ...] = ()  # firing ones, worst first, the first LISTED of them
    groups_total: int = 0
    by: str | None = None  # the property that makes the groups; "conversationId" for single conversations
    reopened: bool = False
    description: str | None = None
    runbook: str | None = None
    owner: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    revision: str | None = None  # of the rulebook
    page: str | None = None  # address of alertd's own page


LISTED = 20


def to_json(notice: Notice) -> str:
    """Write a notice for the store."""
    return msgspec.json.encode(notice).decode()


def from_json(text: str) -> Notice:
    """Read a notice from the store."""
    return msgspec.json.decode(text, type=Notice)
