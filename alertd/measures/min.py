"""`{min: timeToCloseMillis}`: the smallest value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import extremes, present, sizes
from alertd.units import Unit


@dataclass(frozen=True)
class Min(PropertyMeasure):
    """The smallest value of a property."""

    names: ClassVar[tuple[str, ...]] = ("min",)
    example: ClassVar[str] = "{min: timeToCloseMillis}"
    about: ClassVar[str] = "The smallest value of a property."

    def describe(self) -> str:
        return f"{'shortest' if self.unit is Unit.DURATION else 'lowest'} {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        return Measured(extremes(values, groups, sample.count, largest=False), sizes(groups, sample.count), column)


MEASURE = Min
