"""From visitors to conversations: the bot's part, the queue, the chat and its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alertd.clock import DAY, SECOND, Duration
from alertd.reporting.table import Column
from alertd.sandbox.arrivals import BOT_ONLY, BOT_THEN_TEAM, TEAM, Arrivals, bot_of
from alertd.sandbox.columns import Codes
from alertd.sandbox.company import AGENTS, PLAYBOOKS
from alertd.sandbox.conversations import Conversations
from alertd.sandbox.desk import NOBODY, Desk, Shift, Spans

_IDS_FROM = (
    1_420_070_400_000  # 2015-01-01: ids count milliseconds since then, so they are unique, rise, and stay far below 2^53
)
_ARCHIVED_AFTER: Duration = 7 * DAY
_SILENT = 0.7  # of those who met only a bot, these and above (of a uniform whim) never wrote a word
_LEFT_OPEN = 0.05  # agents forget to close
_PENDING = 0.025  # or wait for the visitor
_TAKEN_OVER = (0.10, 0.16)
_ARCHIVED = (0.20, 0.30)


@dataclass(frozen=True, slots=True)
class Paces:
    """What the drawn units are multiplied with, in ms."""

    work: float
    reaction: float
    patience: float
    bot_part: float
    closing: float


@dataclass(frozen=True)
class _Course:
    """When each conversation reaches its stages, in epoch ms; NaN for those it does not reach."""

    bot_ends: Column
    routed: Column
    agent: Codes  # place in AGENTS, -1 for nobody
    answered: Column
    done: Column  # the end of the chat, of the visitor's patience, or of the bot's part


def play(visitors: Arrivals, shifts: Sequence[Shift], closed: Spans, paces: Paces) -> Conversations:
    """Let the team serve the visitors, who are in order of arrival; all times come out as whole milliseconds."""
    bot_ends = np.floor(visitors.at + 2 * SECOND + visitors.bot_part * paces.bot_part)
    routed = np.select([visitors.route == BOT_THEN_TEAM, visitors.route == TEAM], [bot_ends, visitors.at], np.nan)
    agent, answered, done = _served(visitors, routed, Desk(shifts, closed), paces)
    course = _Course(bot_ends, routed, agent, np.floor(answered), np.where(np.isnan(routed), bot_ends, np.floor(done)))
    return _told(visitors, course, paces, _unstaffed(routed, shifts))


def _served(visitors: Arrivals, routed: Column, desk: Desk, paces: Paces) -> tuple[Codes, Column, Column]:
    """Who answers each visitor and when: places in AGENTS, first answers, ends."""
    order = np.argsort(routed, kind="stable")[: np.count_nonzero(~np.isnan(routed))]
    agent = np.full(len(routed), NOBODY, dtype=np.int64)
    answered, done = np.full(len(routed), np.nan), np.full(len(routed), np.nan)
    patience = SECOND + visitors.patience * paces.patience
    columns = (routed, patience, visitors.reaction * paces.reaction, visitors.work * paces.work)
    served = [desk.take(*each) for each in zip(*(column[order].tolist() for column in columns), strict=True)]
    if served:
        agent[order], answered[order], done[order] = (np.array(column) for column in zip(*served, strict=True))
    return agent, answered, done


def _told(visitors: Arrivals, course: _Course, paces: Paces, offline: Codes) -> Conversations:
    greeted, human = visitors.route != TEAM, course.agent >= 0
    closed = _closed(visitors, course, paces)
    bot_first = np.where(greeted, np.floor(visitors.at + 600 + 300 * visitors.reaction), np.nan)
    bot_count = np.where(greeted, visitors.bot_messages, 0.0)
    visitor_first, visitor_count = _visitor(visitors, course)
    agent_count = np.where(human, visitors.agent_messages, 0.0)
    return Conversations(
        id=visitors.at.astype(np.int64) - _IDS_FROM,
        created=visitors.at,
        playbook=np.where(greeted, np.array([float(number) for number, *_ in PLAYBOOKS])[visitors.playbook], np.nan),
        visitor=visitors.visitor,
        initiated=(visitors.route == TEAM).astype(np.int64),
        visitor_type=visitors.visitor_type,
        page=visitors.page,
        tags=visitors.tags,
        score=visitors.score,
        scored=np.where(greeted, course.bot_ends, visitors.at),
        bot=np.where(greeted, bot_of(visitors.playbook), np.nan),
        bot_first=bot_first,
        bot_gap=_gap(bot_first, course.bot_ends, bot_count),
        bot_count=bot_count,
        visitor_first=visitor_first,
        visitor_gap=_gap(visitor_first, course.done, visitor_count),
        visitor_count=visitor_count,
        agent=_agents(course.agent),
        last_agent=_agents(_second(visitors, course.agent)),
        agent_first=course.answered,
        agent_gap=_gap(course.answered, course.done, agent_count),
        agent_count=agent_count,
        routed=course.routed,
        offline=offline,
        pending=np.where(human & (visitors.whim < _PENDING), course.done, np.nan),
        closed=closed,
        archived=np.where((visitors.whim > _ARCHIVED[0]) & (visitors.whim < _ARCHIVED[1]), closed + _ARCHIVED_AFTER, np.nan),
    )


def _closed(visitors: Arrivals, course: _Course, paces: Paces) -> Column:
    """Visitors who leave close their conversation; agents do so a while after the last message, and sometimes never."""
    human, unanswered = course.agent >= 0, (course.agent < 0) & ~np.isnan(course.routed)
    later = np.floor(course.done + 2 * SECOND + visitors.closing * paces.closing)
    return np.where(unanswered, course.done, np.where(human & (visitors.whim < _LEFT_OPEN), np.nan, later))


def _visitor(visitors: Arrivals, course: _Course) -> tuple[Column, Column]:
    """A visitor's first message and how many there will be: fewer when nobody answers, none when a bot bores them."""
    silent = (visitors.route == BOT_ONLY) & (visitors.whim > _SILENT)
    early = np.floor(visitors.at + 0.4 * (course.bot_ends - visitors.at))
    first = np.where(visitors.route == TEAM, visitors.at, early)
    alone = np.minimum(visitors.visitor_messages, 2.0)
    count = np.where(course.agent >= 0, visitors.visitor_messages, alone)
    return np.where(silent, np.nan, first), np.where(silent, 0.0, count)


def _gap(first: Column, end: Column, count: Column) -> Column:
    """The whole milliseconds between messages such that all are written by `end`; 1 at least."""
    return np.fmax(np.floor((end - first) / np.maximum(count, 1)), 1.0)


def _second(visitors: Arrivals, agent: Codes) -> Codes:
    """Who writes the last message: sometimes a colleague who takes over."""
    low, high = _TAKEN_OVER
    taken = (agent >= 0) & (visitors.agent_messages >= 3) & (visitors.whim > low) & (visitors.whim < high)
    return np.where(taken, (agent + 1 + visitors.second % (len(AGENTS) - 1)) % len(AGENTS), agent)


def _agents(places: Codes) -> Column:
    return np.array([*(float(agent.id) for agent in AGENTS), np.nan])[places]


def _unstaffed(routed: Column, shifts: Sequence[Shift]) -> Codes:
    """1 where nobody was on shift when the visitor was routed to the team."""
    staffed = np.zeros(len(routed), dtype=np.bool_)
    for start, end in {(shift.start, shift.end) for shift in shifts}:
        staffed |= (routed >= start) & (routed < end)
    return (~staffed & ~np.isnan(routed)).astype(np.int64)
