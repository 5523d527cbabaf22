"""A generated but realistic rulebook: twenty kinds of rule over agents, playbooks, windows and thresholds."""

from __future__ import annotations

import random
from typing import Any

from alertd.clock import DAY, HOUR, MINUTE
from alertd.facts import CONVERSATION, Level
from alertd.reporting.query import Filter, Operation
from alertd.rulebook.rule import Rule
from alertd.testing import a_rule

_EQ, _IN, _GTE, _NOT_EQ = Operation.EQ, Operation.IN, Operation.GTE, Operation.NOT_EQ

# What the server must judge: at most 25 sets, as a team has so many questions and not more.
SERVER: tuple[frozenset[Filter], ...] = (
    frozenset(),
    *(frozenset({Filter("status", _EQ, (status,))}) for status in ("open", "closed", "pending")),
    *(frozenset({Filter("botStatus", _EQ, (status,))}) for status in ("BOT_ONLY", "HUMAN_ONLY", "BOT_ASSISTED")),
    frozenset({Filter("botStatus", _NOT_EQ, ("BOT_ONLY",))}),
    *(frozenset({Filter("endUserType", _EQ, (kind,))}) for kind in ("LEAD", "USER", "END_USER")),
    *(frozenset({Filter("pageUrl", Operation.CONTAINS, (page,))}) for page in ("/pricing", "/docs", "/signup", "/help")),
    *(frozenset({Filter("tags", Operation.CONTAINS, (tag,))}) for tag in ("billing", "bug", "sales")),
    frozenset({Filter("status", _EQ, ("open",)), Filter("endUserType", _IN, ("LEAD", "USER"))}),
    frozenset({Filter("botStatus", _NOT_EQ, ("BOT_ONLY",)), Filter("endUserType", _EQ, ("LEAD",))}),
)

_AGENTS = tuple(range(501_001, 501_041))
_PLAYBOOKS = tuple(range(671_580, 671_600))
_ANSWER = "timeToAgentResponseMillis"

_KINDS: tuple[dict[str, Any], ...] = (
    {"measure": {"median": _ANSWER}, "as_waited": True, Level.WARNING.value: (5 * MINUTE, 4 * MINUTE)},
    {"measure": {"p90": _ANSWER}, "as_waited": True, Level.CRITICAL.value: (20 * MINUTE, 15 * MINUTE)},
    {"measure": {"p99": _ANSWER}, Level.WARNING.value: (40 * MINUTE, 30 * MINUTE)},
    {"measure": {"mean": _ANSWER}, Level.WARNING.value: (9 * MINUTE, 8 * MINUTE)},
    {"measure": {"max": _ANSWER}, Level.WARNING.value: (HOUR, HOUR)},
    {"measure": "count", Level.WARNING.value: (500, 400)},
    {"measure": "count", "direction": "below", Level.CRITICAL.value: (1, 1)},
    {"measure": "waiting", Level.CRITICAL.value: (10 * MINUTE, 5 * MINUTE)},
    {"measure": "waiting", "by": CONVERSATION, Level.CRITICAL.value: (5 * MINUTE, 5 * MINUTE)},
    {"measure": {"p90": _ANSWER}, "by": "lastAgentId", Level.WARNING.value: (20 * MINUTE, 15 * MINUTE)},
    {"measure": {"median": "timeToCloseMillis"}, "by": "lastAgentId", Level.WARNING.value: (DAY, DAY)},
    {"measure": "count", "by": "relatedPlaybookId", Level.WARNING.value: (300, 200)},
    {"measure": {"median": "timeToCloseMillis"}, Level.WARNING.value: (4 * HOUR, 3 * HOUR)},
    {"measure": {"sum": "numAgentMessages"}, Level.WARNING.value: (5_000, 4_000)},
    {"measure": {"mean": "numEndUserMessages"}, Level.WARNING.value: (9, 8)},
    {"measure": {"stddev": _ANSWER}, Level.WARNING.value: (30 * MINUTE, 20 * MINUTE)},
    {"measure": {"distinct": "lastAgentId"}, "direction": "below", Level.WARNING.value: (3, 3)},
    {
        "measure": {"share": {"property": _ANSWER, "operation": "LTE", "values": [120_000]}},
        "direction": "below",
        "as_waited": True,
        Level.WARNING.value: (0.8, 0.85),
    },
    {"measure": {"share": {"property": "cqlScore", "operation": "GTE", "values": [2]}}, Level.WARNING.value: (0.4, 0.3)},
    {
        "measure": {"share": {"property": "numAgentMessages", "operation": "GT", "values": [20]}},
        Level.WARNING.value: (0.2, 0.1),
    },
)  # fmt: skip - a kind a line


def a_large_rulebook(count: int, *, every: int | None = MINUTE, seed: int = 1) -> list[Rule]:
    """That many rules; `every` None mixes minutes, five minutes, quarters and hours."""
    luck = random.Random(seed)
    return [_rule(number, every, luck) for number in range(count)]


def _rule(number: int, every: int | None, luck: random.Random) -> Rule:
    kind = dict(luck.choice(_KINDS))
    filters = set(luck.choice(SERVER))
    if "by" not in kind and luck.random() < 0.5:
        filters.add(Filter("lastAgentId", _EQ, (luck.choice(_AGENTS),)))
    if luck.random() < 0.3:
        filters.add(Filter("relatedPlaybookId", _IN, tuple(sorted(luck.sample(_PLAYBOOKS, 3)))))
    if luck.random() < 0.3:
        filters.add(Filter("numEndUserMessages", _GTE, (luck.choice((1, 2, 3)),)))
    return a_rule(
        id=f"rule-{number}",
        filters=tuple(sorted(filters, key=repr)),
        window=luck.choice((15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, DAY)),
        every=every or luck.choice((MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR)),
        min_conversations=luck.choice((0, 5, 20)),
        **kind,
    )
