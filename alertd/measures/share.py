"""`{share: FILTER}` or `{share: [FILTER, ...]}`: the part of the conversations that the filters match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alertd.clock import LAST, iso
from alertd.errors import QueryError
from alertd.measures.base import ANSWER_TIME, Measure, Measured, Sample, answer_times, waited
from alertd.measures.grouping import sizes, totals
from alertd.reporting.predicates import certain, decided_by_wait, holds
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.reporting.query import Filter, Operation, Value, parse_filter
from alertd.reporting.table import Mask, Table
from alertd.units import Unit, spell_value


@dataclass(frozen=True)
class Share(Measure):
    """The part of the selected conversations that one or more filters match, all of them together; a fraction of 1.

    What is certain about a number is judged here; any other filter is asked of the API as a second query, and the
    conversations that stand in both answers are the numerator.
    """

    filters: tuple[Filter, ...]
    names: ClassVar[tuple[str, ...]] = ("share",)
    example: ClassVar[str] = "{share: {property: botStatus, operation: EQ, values: [NO_RESPONSE]}}"
    about: ClassVar[str] = "Part of the conversations that a filter (or each filter of a list) matches; a percentage."
    argument: ClassVar[str | None] = "filters"

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        if not isinstance(argument, list):
            return cls((parse_filter(argument),))
        if not argument:
            raise QueryError(f"{name} needs at least one filter")
        return cls(tuple(_parse_item(index, raw) for index, raw in enumerate(argument)))

    @property
    def unit(self) -> Unit:
        return Unit.FRACTION

    @property
    def metrics(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.property for each in self.filters if certain(each)))

    @property
    def numerator(self) -> tuple[Filter, ...]:
        return tuple(each for each in self.filters if not certain(each))

    @property
    def waits(self) -> bool:
        return any(each.property == ANSWER_TIME and certain(each) for each in self.filters)

    def describe(self) -> str:
        return "share of conversations with " + " and ".join(_words(each) for each in self.filters)

    def compute(self, sample: Sample) -> Measured:
        matches, decided = self._judge(sample)
        counts = sizes(sample.groups[decided], sample.count)
        hits = totals(matches[decided].astype(float), sample.groups[decided], sample.count)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, which is the answer for an empty group
            return Measured(hits / counts, counts, np.where(decided, matches.astype(float), np.nan))

    def _judge(self, sample: Sample) -> tuple[Mask, Mask]:
        """Which rows match, and for which that is already known: a short wait may still become either."""
        local = [each for each in self.filters if certain(each)]
        timed = [each for each in local if sample.as_waited and each.property == ANSWER_TIME]
        rest = [each for each in local if each not in timed]
        matches = _all_hold(rest, sample.table)
        if sample.chosen is not None:
            matches &= np.isin(sample.table.ids, sample.chosen)
        if not timed:
            return matches, np.ones_like(matches)
        already, undecided = decided_by_wait(timed, waited(sample))
        undecided &= matches
        known = Table(sample.table.ids, {ANSWER_TIME: answer_times(sample)})
        return matches & (already | _all_hold(timed, known)), ~undecided


def _all_hold(filters: Sequence[Filter], table: Table) -> Mask:
    found = np.ones(len(table), dtype=np.bool_)
    for each in filters:
        found &= holds(each, table.columns[each.property])
    return found


def _parse_item(index: int, raw: object) -> Filter:
    try:
        return parse_filter(raw)
    except QueryError as problem:
        raise QueryError(str(problem), (index, *problem.path), problem.suggestion) from problem


_PHRASES = {
    Operation.EQ: "{label} {values}",
    Operation.NOT_EQ: "{label} not {values}",
    Operation.GT: "{label} above {values}",
    Operation.GTE: "{label} at least {values}",
    Operation.LT: "{label} below {values}",
    Operation.LTE: "{label} at most {values}",
    Operation.IN: "{label} {values}",
    Operation.NOT_IN: "{label} not {values}",
    Operation.BETWEEN: "{label} from {values}",
    Operation.HAS_PROPERTY: "any {label}",
    Operation.NOT_HAS_PROPERTY: "no {label}",
    Operation.CONTAINS: "{label} containing {values}",
    Operation.NOT_CONTAINS: "{label} not containing {values}",
}


def _words(each: Filter) -> str:
    found = PROPERTIES[each.property]
    joint = " to " if each.operation is Operation.BETWEEN else " or "
    values = joint.join(_spell(value, found.kind) for value in each.values)
    return _PHRASES[each.operation].format(label=found.label, values=values)


def _spell(value: Value, kind: Kind) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    match kind:
        case Kind.DURATION:
            return spell_value(value, Unit.DURATION)
        case Kind.TIME if abs(value) <= LAST:
            return iso(int(value))
        case _:
            return str(value)


MEASURE = Share
