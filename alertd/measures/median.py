"""`{median: timeToAgentResponseMillis}`: the middle value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import present, quantiles, sizes


@dataclass(frozen=True)
class Median(PropertyMeasure):
    """The middle value of a property: half are lower, half higher."""

    names: ClassVar[tuple[str, ...]] = ("median",)
    example: ClassVar[str] = "{median: timeToAgentResponseMillis}"
    about: ClassVar[str] = "The middle value of a property: half are lower, half higher."

    def describe(self) -> str:
        return f"median {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        return Measured(quantiles(values, groups, sample.count, 0.5), sizes(groups, sample.count), column)


MEASURE = Median
