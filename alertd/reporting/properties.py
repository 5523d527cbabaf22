"""Every property of the Conversation Reporting document ("Acceptable Property Values"), with what can be done with it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from alertd.errors import QueryError


class Kind(StrEnum):
    """What a property's values are."""

    ID = "id"  # a whole number that names somebody or something
    TIME = "time"  # epoch milliseconds
    DURATION = "duration"  # milliseconds
    NUMBER = "number"
    TEXT = "text"
    BOOLEAN = "boolean"
    TAGS = "tags"  # a list of texts


NUMERIC = frozenset({Kind.ID, Kind.TIME, Kind.DURATION, Kind.NUMBER})


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a conversation: `definition` in the document's words, `label` in ours, short, for messages."""

    name: str
    kind: Kind
    label: str
    definition: str
    values: tuple[str, ...] = ()  # the enumeration, where the document gives one

    @property
    def numeric(self) -> bool:
        """Whether it may be asked for as a metric ("All metrics must be numeric")."""
        return self.kind in NUMERIC


_ALL = (
    Property("relatedPlaybookId", Kind.ID, "playbook", "id of related playbook for the conversation"),
    Property("createdAt", Kind.TIME, "creation", "timestamp when the conversation was created (ms)"),
    Property("endUserId", Kind.ID, "visitor", "id of the end user (site visitor)"),
    Property(
        "endUserInitiated",
        Kind.BOOLEAN,
        "visitor wrote first",
        "true/false - whether the end user started the conversation",
    ),
    Property(
        "endUserType",
        Kind.TEXT,
        "visitor type",
        "Type of the end user. {USER, END_USER, NONE, LEAD}",
        ("USER", "END_USER", "NONE", "LEAD"),
    ),
    Property("firstAgentId", Kind.ID, "first agent", "id of the first agent that responded to the conversation"),
    Property("lastAgentId", Kind.ID, "agent", "id of the last agent that responded to the conversation"),
    Property("firstAgentMessageAt", Kind.TIME, "first answer", "timestamp of the first agent response (ms)"),
    Property("firstBotId", Kind.ID, "bot", "id of the first bot"),
    Property("firstBotMessageAt", Kind.TIME, "first bot message", "timestamp of the first bot message (ms)"),
    Property("firstCloseAt", Kind.TIME, "first close", "timestamp of when the conversation was first closed (ms)"),
    Property("firstEndUserMessageAt", Kind.TIME, "first visitor message", "timestamp of the first end user message"),
    Property("id", Kind.ID, "conversation", "id of the conversation"),
    Property("numAgentMessages", Kind.NUMBER, "agent messages", "number of agent messages in the conversation"),
    Property("numBotMessages", Kind.NUMBER, "bot messages", "number of bot messages in the conversation"),
    Property("numEndUserMessages", Kind.NUMBER, "visitor messages", "number of end user messages in the conversation"),
    Property("offline", Kind.BOOLEAN, "offline", "is the conversation currently offline"),
    Property("pageUrl", Kind.TEXT, "page", "page url of the conversation"),
    Property(
        "status",
        Kind.TEXT,
        "status",
        "Current status of the conversation, one of {open, closed, pending, archived}",
        ("open", "closed", "pending", "archived"),
    ),
    Property("tags", Kind.TAGS, "tags", "tags on the conversation"),
    Property(
        "timeToAgentResponseMillis",
        Kind.DURATION,
        "time to the first answer",
        "time until the first agent response (ms)",
    ),
    Property("timeToCloseMillis", Kind.DURATION, "time to close", "how long the conversation took to close (ms)"),
    Property("updatedAt", Kind.TIME, "last update", "last time the conversation was updated (ms)"),
    Property(
        "botStatus",
        Kind.TEXT,
        "bot status",
        "Bot Status in the conversation, one of { BOT_ONLY, HUMAN_ONLY, BOT_ASSISTED, NO_RESPONSE}",
        ("BOT_ONLY", "HUMAN_ONLY", "BOT_ASSISTED", "NO_RESPONSE"),
    ),
    Property(
        "cqlScore",
        Kind.NUMBER,
        "lead score",
        "The current CQL score of the conversation. Values between [-1, 3] corresponding to the number of bolts. "
        "-1 means disqualified, 0 means unassigned.",
    ),
)  # fmt: skip - one property a line is how the document has them

PROPERTIES: dict[str, Property] = {each.name: each for each in _ALL}


def suggest(word: object, known: Any) -> str | None:
    """The known name that was probably meant, if one is close or begins like this; letter case does not count."""
    folded = {str(name).casefold(): str(name) for name in known}
    meant = str(word).casefold()
    longer = [name for name in folded if len(meant) > 1 and name.startswith(meant)]
    close = longer if len(longer) == 1 else get_close_matches(meant, folded, n=1, cutoff=0.6)
    return folded[close[0]] if close else None


def find_property(name: str, path: tuple[str | int, ...] = ("property",)) -> Property:
    """Look a property up by its exact name; QueryError with a suggestion where there is none."""
    try:
        return PROPERTIES[name]
    except KeyError:
        raise QueryError(f'there is no property "{name}"', path, suggest(name, PROPERTIES)) from None


def find_metric(name: str, path: tuple[str | int, ...] = ("property",)) -> Property:
    """Look up a property that may be asked for as a metric; QueryError says why another may not."""
    found = find_property(name, path)
    if found.numeric:
        return found
    raise QueryError(f"{name} is {found.kind.value}, not a number; it can be filtered on but not measured", path)
