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
        chosen = self._choose(asking)
        if chosen is None:
            return None
        need, cutter = chosen
        own = alone(need)
        own = Request(own.filters, own.window, own.metrics | {CHANGED})
        wrong = self._wrong(need, cutter, own, asked_at - _SKEW)
        return self._believe(Difference(need.selection, cutter.request, own, wrong)) if wrong else None

    def new_rulebook(self) -> None:
        """Rules have changed: what was found before may no longer be so."""
        self._seen.clear()
        self.differences.clear()

    def _wrong(self, need: Need, cutter: Cutter, own: Request, before: Instant) -> tuple[int, ...]:
        """Conversations in which the own query differs from the shared request, asked before it and asked again after it.

        A conversation that left the selection in between stands in the first answer only, as it was: that is no difference.
        """
        separate = self._ask(own)
        if separate is None or not (wrong := _differing(need, cutter, separate, before)):
            return ()
        again = self._ask(cutter.request)
        still = () if again is None else _differing(need, Cutter(cutter.request, again), separate, before)
        return tuple(sorted({*wrong} & {*still}))

    def _ask(self, request: Request) -> Table | None:
        order = Order(request, self._source.clock.uptime() + MINUTE, Urgency.BACKGROUND)
        ((_, answer),) = self._source.fetch([order])
        return answer if isinstance(answer, Table) else None

    def _choose(self, asking: Asking) -> tuple[Need, Cutter] | None:
        state = self._source.budget.state()
        if state.free <= self._source.budget.usable // 2:
            return None
        fused = [
            (need, found)
            for need, found in asking.found.items()
            if isinstance(found, Cutter) and CHANGED in found.request.metrics and found.request != alone(need)
        ]
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


def _differing(need: Need, cutter: Cutter, separate: Table, before: Instant) -> tuple[int, ...]:
    return differing(cutter.cut(need, also=frozenset({CHANGED})), separate, before)


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
