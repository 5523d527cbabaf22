"""A notice: what is to be told about an incident at one moment, complete in itself, so that it can be rendered later.

One that nobody may be told of is kept all the same: when the silence is over, it says what people do not know yet.
"""

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
    new: bool = False  # fires since this notice, or is no longer silenced
    comparison: str = ""  # the value in words, where it is compared with something
    note: str = ""  # in a report: what is to be known about the value, or why there is none


@dataclass(frozen=True)
class Notice:
    """What is to be told. Values and limits are in `unit`: milliseconds, fractions of 1, plain numbers."""

    kind: Kind
    rule: str
    title: str
    measure: str  # in words: "median time to the first answer"
    unit: Unit
    direction: str  # "above", "below" or "outside"
    level: Level  # of the incident now; of its worst moment once it is resolved
    previous: Level | None  # the level before, where it changed
    incident: int | None  # None: a report, which belongs to none
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
    groups: tuple[NoticeGroup, ...] = ()  # firing ones, in a report all; worst first, the first LISTED of them
    groups_total: int = 0
    by: str | None = None  # the property that makes the groups; "conversationId" for single conversations
    reopened: bool = False
    description: str | None = None
    runbook: str | None = None
    owner: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    revision: str | None = None  # of the rulebook
    page: str | None = None  # address of alertd's own page
    measured: float | None = None  # what was compared, and with what, in `measured_unit`
    reference: float | None = None
    measured_unit: Unit = Unit.NUMBER
    comparison: str = ""  # the value in words, where it is compared with something: "-62 % (38 now, 100 a week ago)"
    worst: str = ""  # the peak in words, where a number alone says nothing: "6 deviations below the usual"
    text: str | None = None  # what is to be said where there is no number: of alertd itself, of a report that failed
    acknowledged: str | None = None  # who has said "I have it"
    template: str | None = None  # which look; None: the channel's own
    period: tuple[Instant, Instant] | None = None  # what a report is about: from, up to; days and hours are those of `timezone`
    timezone: str = "UTC"
    muted: str | None = None  # why nobody was told; `previous` is then the level that people were told last, if any
    silent: tuple[str, ...] = ()  # keys of groups that fire and are left out, because they are silenced
    trail: tuple[tuple[Instant, float], ...] = ()  # of a rule without groups: what it measured lately, oldest first
    silenced: str | None = None  # until when and by whom, where somebody has silenced it since people were told
    late: Duration = 0  # known when it is sent: for how long it could not be


LISTED = 20


def to_json(notice: Notice) -> str:
    """Write a notice for the store."""
    return msgspec.json.encode(notice).decode()


def from_json(text: str) -> Notice:
    """Read a notice from the store."""
    return msgspec.json.decode(text, type=Notice)
