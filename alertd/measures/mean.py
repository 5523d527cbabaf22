"""`{mean: timeToCloseMillis}`: the average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import present, sizes, totals


@dataclass(frozen=True)
class Mean(PropertyMeasure):
    """The average of a property."""

    names: ClassVar[tuple[str, ...]] = ("mean",)
    example: ClassVar[str] = "{mean: timeToCloseMillis}"
    about: ClassVar[str] = "The average of a property."

    def describe(self) -> str:
        return f"mean {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        counts = sizes(groups, sample.count)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, which is the answer for an empty group
            return Measured(totals(values, groups, sample.count) / counts, counts, column)


MEASURE = Mean
