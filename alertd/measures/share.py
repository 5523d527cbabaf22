"""`{share: FILTER}` or `{share: [FILTER, ...]}`: the part of the conversations that the filters match."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alertd.errors import QueryError
from alertd.measures.base import ANSWER_TIME, WAITING_METRICS, Measure, Measured, Sample, waited
from alertd.measures.grouping import sizes, totals
from alertd.reporting.predicates import certain, decided_by_wait, holds
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Filter, parse_filter
from alertd.reporting.table import Mask
from alertd.units import Unit


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
        local = {each.property for each in self.filters if certain(each)}
        return tuple(sorted(local | set(WAITING_METRICS if self.waits else ())))

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
            return Measured(hits / counts, counts, np.where(matches & decided, 1.0, np.nan))

    def _judge(self, sample: Sample) -> tuple[Mask, Mask]:
        """Which rows match, and for which that is already known: a short wait may still become either."""
        matches = np.ones(len(sample.table), dtype=bool)
        if sample.chosen is not None:
            matches &= np.isin(sample.table.ids, sample.chosen)
        open_rows = np.zeros(len(sample.table), dtype=bool)
        for each in self.filters:
            if certain(each):
                answer, undecided = self._judge_one(each, sample)
                matches &= answer | undecided
                open_rows |= undecided
        return matches, ~(matches & open_rows)

    def _judge_one(self, each: Filter, sample: Sample) -> tuple[Mask, Mask]:
        answer = holds(each, sample.table.columns[each.property])
        if not (sample.as_waited and each.property == ANSWER_TIME):
            return answer, np.zeros_like(answer)
        return decided_by_wait(each, answer, waited(sample))


def _parse_item(index: int, raw: object) -> Filter:
    try:
        return parse_filter(raw)
    except QueryError as problem:
        raise QueryError(str(problem), (index, *problem.path), problem.suggestion) from problem


def _words(each: Filter) -> str:
    operation = {"EQ": "", "IN": "", "NOT_EQ": "not ", "NOT_IN": "not ", "LTE": "at most ", "GTE": "at least "}
    values = ", ".join(str(value) for value in each.values)
    return f"{PROPERTIES[each.property].label} {operation.get(each.operation, each.operation + ' ')}{values}".strip()


MEASURE = Share
