"""Generated conversations with the true times of all their events, and what can be seen of them at one instant."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from alertd.clock import Instant
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.table import Column, Ids, Mask
from alertd.sandbox.columns import Coded, Codes, Values
from alertd.sandbox.company import PAGES, TAGS, VISITOR_TYPES

STATUSES = ("open", "pending", "closed", "archived")
BOT_STATUSES = ("NO_RESPONSE", "BOT_ONLY", "HUMAN_ONLY", "BOT_ASSISTED")


@dataclass(frozen=True)
class Conversations:
    """One row a conversation, oldest first. Times are whole epoch ms, NaN for what never happens.

    The messages of a side are evenly spaced: `first`, then one every `gap` ms, `count` in all. So what had been written
    by any instant is one division, not a search.
    """

    id: Ids
    created: Column
    playbook: Column
    visitor: Column
    initiated: Codes
    visitor_type: Codes
    page: Codes
    tags: Codes
    score: Column
    scored: Column
    bot: Column
    bot_first: Column
    bot_gap: Column
    bot_count: Column
    visitor_first: Column
    visitor_gap: Column
    visitor_count: Column
    agent: Column
    last_agent: Column
    agent_first: Column
    agent_gap: Column
    agent_count: Column
    routed: Column
    offline: Codes
    pending: Column
    closed: Column
    archived: Column

    def __len__(self) -> int:
        return len(self.id)


@dataclass(frozen=True)
class Seen:
    """A snapshot of generated conversations; `rows` are those created by `now`."""

    rows: Conversations
    now: Instant

    @property
    def ids(self) -> Ids:
        """The conversations' ids."""
        return self.rows.id

    def column(self, name: str) -> Values:
        """One property as of `now`."""
        return _COLUMNS[name](self.rows, self.now)


_View: TypeAlias = Callable[[Conversations, Instant], Values]


def _written(first: Column, gap: Column, count: Column, now: Instant) -> Column:
    """How many of evenly spaced messages had been written."""
    with np.errstate(invalid="ignore"):
        steps = np.minimum(np.floor_divide(now - first, gap) + 1, count)
    return np.where(first <= now, steps, 0.0)


def _latest(first: Column, gap: Column, written: Column) -> Column:
    return np.where(written > 0, first + (written - 1) * gap, np.nan)


def _past(times: Column, now: Instant) -> Column:
    return np.where(times <= now, times, np.nan)


def _answered(rows: Conversations, now: Instant) -> Mask:
    return np.asarray(rows.agent_first <= now)


def _bot_messages(rows: Conversations, now: Instant) -> Column:
    return _written(rows.bot_first, rows.bot_gap, rows.bot_count, now)


def _visitor_messages(rows: Conversations, now: Instant) -> Column:
    return _written(rows.visitor_first, rows.visitor_gap, rows.visitor_count, now)


def _agent_messages(rows: Conversations, now: Instant) -> Column:
    return _written(rows.agent_first, rows.agent_gap, rows.agent_count, now)


def _first_agent(rows: Conversations, now: Instant) -> Column:
    return np.where(_answered(rows, now), rows.agent, np.nan)


def _last_agent(rows: Conversations, now: Instant) -> Column:
    """A colleague who takes over writes the last message."""
    taken_over = _agent_messages(rows, now) == rows.agent_count
    return np.where(_answered(rows, now), np.where(taken_over, rows.last_agent, rows.agent), np.nan)


def _updated(rows: Conversations, now: Instant) -> Column:
    """The last event by now, whatever it was."""
    events = [
        _latest(rows.bot_first, rows.bot_gap, _bot_messages(rows, now)),
        _latest(rows.visitor_first, rows.visitor_gap, _visitor_messages(rows, now)),
        _latest(rows.agent_first, rows.agent_gap, _agent_messages(rows, now)),
        *(_past(times, now) for times in (rows.scored, rows.pending, rows.closed, rows.archived)),
    ]
    latest = rows.created
    for times in events:
        latest = np.fmax(latest, times)
    return latest


def _status(rows: Conversations, now: Instant) -> Coded:
    steps = [np.asarray(times <= now) for times in (rows.archived, rows.closed, rows.pending)]
    return Coded(np.select(steps, [3, 2, 1], 0), STATUSES)


def _bot_status(rows: Conversations, now: Instant) -> Coded:
    spoken = np.asarray(rows.bot_first <= now).astype(np.int64)
    return Coded(spoken + 2 * _answered(rows, now), BOT_STATUSES)


def _offline(rows: Conversations, now: Instant) -> Coded:
    return Coded(np.where(rows.routed <= now, rows.offline, 0), (False, True))


def _tags(rows: Conversations, now: Instant) -> Coded:
    """Agents tag with their first answer."""
    return Coded(np.where(_answered(rows, now), rows.tags, -1), TAGS)


_COLUMNS: Mapping[str, _View] = {
    "relatedPlaybookId": lambda rows, _: rows.playbook,
    "createdAt": lambda rows, _: rows.created,
    "endUserId": lambda rows, _: rows.visitor,
    "endUserInitiated": lambda rows, _: Coded(rows.initiated, (False, True)),
    "endUserType": lambda rows, _: Coded(rows.visitor_type, VISITOR_TYPES),
    "firstAgentId": _first_agent,
    "lastAgentId": _last_agent,
    "firstAgentMessageAt": lambda rows, now: _past(rows.agent_first, now),
    "firstBotId": lambda rows, now: np.where(rows.bot_first <= now, rows.bot, np.nan),
    "firstBotMessageAt": lambda rows, now: _past(rows.bot_first, now),
    "firstCloseAt": lambda rows, now: _past(rows.closed, now),
    "firstEndUserMessageAt": lambda rows, now: _past(rows.visitor_first, now),
    "id": lambda rows, _: rows.id.astype(np.float64),
    "numAgentMessages": _agent_messages,
    "numBotMessages": _bot_messages,
    "numEndUserMessages": _visitor_messages,
    "offline": _offline,
    "pageUrl": lambda rows, _: Coded(rows.page, PAGES),
    "status": _status,
    "tags": _tags,
    "timeToAgentResponseMillis": lambda rows, now: np.where(_answered(rows, now), rows.agent_first - rows.routed, np.nan),
    "timeToCloseMillis": lambda rows, now: np.where(rows.closed <= now, rows.closed - rows.created, np.nan),
    "updatedAt": _updated,
    "botStatus": _bot_status,
    "cqlScore": lambda rows, now: np.where(rows.scored <= now, rows.score, 0.0),
}


def covered() -> bool:
    """Whether every property of the document can be seen."""
    return _COLUMNS.keys() == PROPERTIES.keys()


def seen(rows: Conversations, now: Instant) -> Seen:
    """What exists at `now`; rows are sorted by creation, so it is a prefix, and no copy."""
    upto = int(np.searchsorted(rows.created, now, side="right"))
    return Seen(_prefix(rows, upto), now)


def _prefix(rows: Conversations, upto: int) -> Conversations:
    columns: dict[str, Any] = {name: column[:upto] for name, column in vars(rows).items()}
    return Conversations(**columns)
