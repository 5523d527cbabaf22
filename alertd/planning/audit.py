"""The audit: now and then, with calls to spare, what was fused is asked separately, and both answers are compared (I2).

What changed between the two calls may differ: only conversations whose `updatedAt` lies before both are compared. A difference
seen twice is reported once, and that selection is asked by itself until the rulebook changes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import structlog

from alertd.clock import MINUTE, Instant
from alertd.planning.asking import Asking
from alertd.planning.cutting import Cutter
from alertd.planning.demand import Urgency
from alertd.planning.fetching import Order, Source
from alertd.planning.needs import Need, Selection
from alertd.planning.planner import CHANGED, Request, alone
from alertd.reporting.table import Table

_log = structlog.get_logger()

# The API's clock and ours need not agree: what changed this shortly before the first call is not compared.
_SKEW = MINUTE

# How often a difference must be seen before it is believed.
_BELIEVED = 2


@dataclass(frozen=True)
class Difference:
    """A selection whose fused answer is not what its own query brings, with both queries and some conversations."""

    selection: Selection
    fused: Request
    separate: Request
    conversations: tuple[int, ...]


class Audit:
    """Compares one need after a tick, where the budget allows it. `differences` are those that were reported."""

    def __init__(self, source: Source, luck: random.Random) -> None:
        self._source, self._luck = source, luck
        self._seen: Counter[Selection] = Counter()
        self.differences: list[Difference] = []

    def look(self, asking: Asking, asked_at: Instant) -> Difference | None:
        """Ask one of the fused needs again, as its own query; the difference, when it is seen often enough to be told."""
        need = self._choose(asking)
        if need is None:
            return None
        cutter, request = asking.found[need], asking.plan.answered_by[need]
        if not isinstance(cutter, Cutter):
            return None
        own = alone(need)
        own = Request(own.filters, own.window, own.metrics | {CHANGED})
        order = Order(own, self._source.clock.uptime() + MINUTE, Urgency.BACKGROUND)
        answer = next(iter(self._source.fetch([order])))[1]
        if not isinstance(answer, Table):
            return None
        wrong = differing(cutter.cut(need, also=frozenset({CHANGED})), answer, asked_at - _SKEW)
        return self._believe(Difference(need.selection, request, own, wrong)) if wrong else None

    def new_rulebook(self) -> None:
        """Rules have changed: what was found before may no longer be so."""
        self._seen.clear()
        self.differences.clear()

    def _choose(self, asking: Asking) -> Need | None:
        state = self._source.budget.state()
        if state.free <= self._source.budget.usable // 2:
            return None
        fused = [need for need, by in asking.plan.answered_by.items() if CHANGED in by.metrics and need in asking.found]
        return self._luck.choice(fused) if fused else None

    def _believe(self, difference: Difference) -> Difference | None:
        self._seen[difference.selection] += 1
        if self._seen[difference.selection] != _BELIEVED:
            return None
        self._source.knowledge.keep_apart(difference.selection)
        self.differences.append(difference)
        _log.error(
            "a shared request did not bring what the rule's own query brings; it is asked by itself from now on",
            shared=difference.fused.query().to_json(),
            separate=difference.separate.query().to_json(),
            conversations=difference.conversations[:5],
        )
        return difference


def differing(fused: Table, separate: Table, before: Instant) -> tuple[int, ...]:
    """Conversations, unchanged since `before`, that stand in only one of two answers or with other values."""
    one, other = _rows(fused), _rows(separate)
    changed = dict(zip(separate.ids.tolist(), separate.columns[CHANGED].tolist(), strict=True))
    changed |= dict(zip(fused.ids.tolist(), fused.columns[CHANGED].tolist(), strict=True))
    settled = {number for number, moment in changed.items() if moment < before}
    return tuple(sorted(number for number in settled if one.get(number) != other.get(number)))


def _rows(table: Table) -> Mapping[int, tuple[float | None, ...]]:
    names = sorted(table.columns)
    columns = [[None if np.isnan(value) else value for value in table.columns[name].tolist()] for name in names]
    return dict(zip(table.ids.tolist(), zip(*columns, strict=True), strict=True))
