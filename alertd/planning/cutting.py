"""Cutting needs out of a shared answer: exactly the rows that each need's own query would have brought (I2)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from alertd.facts import Window
from alertd.planning.needs import Need
from alertd.planning.planner import Request
from alertd.reporting.predicates import holds
from alertd.reporting.query import Filter
from alertd.reporting.table import Mask, Table

# Masks that are kept for one answer: rules repeat their predicates, but memory has an end.
_MASKS = 64


@dataclass
class Cutter:
    """One answer, sorted by time once, so that a window is a slice; masks of predicates are shared by the needs."""

    request: Request
    table: Table
    _masks: dict[Filter, Mask] = field(default_factory=dict)
    _sorted: bool = False

    def cut(self, need: Need, *, also: frozenset[str] = frozenset()) -> Table:
        """The need's rows, with its metrics (and those in `also`) only."""
        filters = need.selection.local - self.request.filters
        rows = self._window(need.window)
        mask: Mask | None = None
        for each in filters:
            part = self._mask(each)[rows]
            mask = part if mask is None else mask & part
        columns = {name: self.table.columns[name][rows] for name in need.selection.metrics | also}
        table = Table(self.table.ids[rows], columns)
        return table if mask is None else table.take(mask)

    def _window(self, window: Window) -> slice:
        if window == self.request.window:
            return slice(None)
        if not self._sorted:
            moments = self.table.columns[window.timestamp]
            self.table, self._sorted = self.table.take(np.argsort(moments, kind="stable")), True
            self._masks.clear()
        moments = self.table.columns[window.timestamp]
        start, end = np.searchsorted(moments, [window.start, window.end], side="left")
        return slice(int(start), int(end))

    def _mask(self, each: Filter) -> Mask:
        if each not in self._masks:
            if len(self._masks) >= _MASKS:
                self._masks.pop(next(iter(self._masks)))
            self._masks[each] = holds(each, self.table.columns[each.property])
        return self._masks[each]
