"""`{sum: numAgentMessages}`: the total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import present, sizes, totals


@dataclass(frozen=True)
class Sum(PropertyMeasure):
    """The sum of a property."""

    names: ClassVar[tuple[str, ...]] = ("sum",)
    example: ClassVar[str] = "{sum: numAgentMessages}"
    about: ClassVar[str] = "The sum of a property."

    def describe(self) -> str:
        return f"total {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        counts = sizes(groups, sample.count)
        return Measured(np.where(counts > 0, totals(values, groups, sample.count), np.nan), counts, column)


MEASURE = Sum
