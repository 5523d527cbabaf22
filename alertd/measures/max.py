"""`{max: timeToAgentResponseMillis}`: the largest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import extremes, present, sizes
from alertd.units import Unit


@dataclass(frozen=True)
class Max(PropertyMeasure):
    """The largest value of a property."""

    names: ClassVar[tuple[str, ...]] = ("max",)
    example: ClassVar[str] = "{max: timeToAgentResponseMillis}"
    about: ClassVar[str] = "The largest value of a property."

    def describe(self) -> str:
        return f"{'longest' if self.unit is Unit.DURATION else 'highest'} {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        return Measured(extremes(values, groups, sample.count, largest=True), sizes(groups, sample.count), column)


MEASURE = Max
