"""`{p90: timeToAgentResponseMillis}`: the value that so many percent stay at or below."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from alertd.measures.base import Measured, PropertyMeasure, Sample, quantity
from alertd.measures.grouping import present, quantiles, sizes


@dataclass(frozen=True)
class Percentile(PropertyMeasure):
    """A percentile of a property, p50 to p99, interpolated linearly between the two nearest values as NumPy does."""

    percent: int
    names: ClassVar[tuple[str, ...]] = tuple(f"p{percent}" for percent in range(50, 100))
    example: ClassVar[str] = "{p90: timeToAgentResponseMillis}"
    about: ClassVar[str] = "A percentile of a property, p50 to p99, interpolated linearly between the two nearest values."

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        return cls(quantity(name, argument), int(name.removeprefix("p")))

    def describe(self) -> str:
        ending = {1: "st", 2: "nd", 3: "rd"}.get(self.percent % 10, "th")
        return f"{self.percent}{ending} percentile of the {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        found = quantiles(values, groups, sample.count, self.percent / 100)
        return Measured(found, sizes(groups, sample.count), column)


MEASURE = Percentile
