"""From a table to what a rule measures in one window: its groups, a number for each, and the conversations that explain it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Instant
from alertd.facts import Group
from alertd.measures.base import Sample
from alertd.reporting.table import Column, Ids, Mask, Table
from alertd.rulebook.rule import Rule
from alertd.units import Unit

# How many conversations a verdict names as examples.
EXAMPLES = 3

# Ids that are no further apart than that are counted, others are sorted.
_DENSE = 50_000

Counts: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True)
class Reckoning:
    """What a rule measured in one window, a place for each group: `ids` are those of the groups, by the property `by`.

    `values` are NaN where there is none; `entered` is of how many values they were made, `rows` how many conversations the
    group has.
    """

    by: str | None
    ids: Ids
    values: Column
    entered: Counts
    rows: Counts
    selected: int  # conversations after the filters, in a group or not
    _scored: _Scored | None

    def __len__(self) -> int:
        return len(self.ids)

    def group(self, place: int) -> Group:
        """The group at that place."""
        return Group() if self.by is None else Group(self.by, int(self.ids[place]))

    def examples(self, place: int) -> tuple[int, ...]:
        """The conversations that stand out most in the group at that place."""
        return self._scored.best(place) if self._scored else ()


def reckon(rule: Rule, selection: Table, numerator: Table | None, as_of: Instant) -> Reckoning:
    """Measure a complete answer. `numerator` is that of a share's own query; waits are counted up to `as_of`."""
    table, ids, numbers = _grouped(rule, selection)
    chosen = None if numerator is None else numerator.ids  # an empty answer is an answer: nobody is in it
    found = rule.measure.compute(Sample(table, numbers, len(ids), as_of, rule.as_waited, chosen))
    rows = np.bincount(numbers, minlength=len(ids)).astype(np.intp)
    scored = None if found.scores is None or rule.single else _Scored(rule, table.ids, numbers, len(ids), found.scores)
    return Reckoning(rule.by, ids, found.values, found.entered, rows, len(selection), scored)


def of_nothing(rule: Rule) -> float:
    """What the rule measures where there is not one conversation: 0 for a count, NaN for most."""
    columns = {name: np.empty(0) for name in rule.measure.metrics}
    table = Table(np.empty(0, np.int64), columns)
    chosen = np.empty(0, np.int64) if rule.measure.numerator else None
    found = rule.measure.compute(Sample(table, np.empty(0, np.intp), 1, 0, chosen=chosen))
    return float(found.values[0]) if len(found.values) else math.nan


def _grouped(rule: Rule, table: Table) -> tuple[Table, Ids, NDArray[np.intp]]:
    """The rows that are in a group, the ids of the groups, and for each row the place of its group."""
    if rule.by is None:
        return table, np.zeros(1, np.int64), np.zeros(len(table), np.intp)
    if rule.single:
        return table, table.ids, np.arange(len(table))
    column = table.columns[rule.by]
    there: Mask = ~np.isnan(column)  # rows without the property form no group
    known = table if there.all() else table.take(there)
    return known, *_factorised(known.columns[rule.by], np.array(rule.expect, np.float64))


def _factorised(values: Column, expected: Column) -> tuple[Ids, NDArray[np.intp]]:
    """The different ids in order, those that are expected too, and for each value the place of its id."""
    everything = np.concatenate((values, expected))
    least = everything.min() if len(everything) else 0.0
    if len(everything) and everything.max() - least < _DENSE:  # ids of one kind are near each other: no need to sort
        numbers = (everything - least).astype(np.intp)
        places = np.cumsum(there := np.bincount(numbers) > 0) - 1
        return np.flatnonzero(there) + np.int64(least), places[numbers[: len(values)]]
    ordered = np.sort(everything)
    ids = ordered[np.r_[True, ordered[1:] != ordered[:-1]]] if len(ordered) else ordered
    return ids.astype(np.int64), np.searchsorted(ids, values)


@dataclass(frozen=True)
class _Scored:
    """How much each conversation explains the number of its group. Few groups are ever asked for their examples."""

    rule: Rule
    ids: Ids
    numbers: NDArray[np.intp]
    count: int
    scores: Column

    def best(self, place: int) -> tuple[int, ...]:
        """The highest scores of a group, or the lowest for a `below` limit."""
        if self.count == 1:
            return tuple(self.ids[self._first()].tolist())
        rows, starts = self._in_order
        mine = rows[starts[place] : min(starts[place + 1], starts[place] + EXAMPLES)]
        return tuple(self.ids[mine].tolist())

    def _first(self) -> NDArray[np.intp]:
        """The rows that explain most; only a few are put in order."""
        rows, weight = self._weighed()
        if len(rows) > EXAMPLES:
            near = np.flatnonzero(weight <= np.partition(weight, EXAMPLES - 1)[EXAMPLES - 1])
            rows, weight = rows[near], weight[near]
        found: NDArray[np.intp] = rows[np.argsort(weight, kind="stable")][:EXAMPLES]
        return found

    @cached_property
    def _in_order(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The rows that explain something, by group and the most telling first, and where each group begins."""
        rows, weight = self._weighed()
        rows = rows[np.argsort(weight, kind="stable")]
        groups = self.numbers[rows]
        order = np.argsort(groups.astype(np.uint16) if self.count <= np.iinfo(np.uint16).max else groups, kind="stable")
        return rows[order], np.searchsorted(groups[order], np.arange(self.count + 1))

    def _weighed(self) -> tuple[NDArray[np.intp], Column]:
        """The rows that explain something, and a number that is lower the more they do."""
        rows = np.flatnonzero(self._explains())
        return rows, self.scores[rows] if self.rule.direction == "below" else -self.scores[rows]

    def _explains(self) -> Mask:
        """Which conversations may stand for the value. In a share they are on one side or the other: those on the wrong one."""
        if self.rule.measure.unit is Unit.FRACTION:
            return self.scores <= 0 if self.rule.direction == "below" else self.scores > 0
        found: Mask = ~np.isnan(self.scores)
        return found
