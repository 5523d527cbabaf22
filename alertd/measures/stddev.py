"""`{stddev: timeToAgentResponseMillis}`: how far values spread."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import present, sizes, totals


@dataclass(frozen=True)
class Stddev(PropertyMeasure):
    """The standard deviation of a property, of the conversations themselves (divided by n)."""

    names: ClassVar[tuple[str, ...]] = ("stddev",)
    example: ClassVar[str] = "{stddev: timeToAgentResponseMillis}"
    about: ClassVar[str] = "The standard deviation of a property, of the conversations themselves (divided by n)."

    def describe(self) -> str:
        return f"spread (standard deviation) of the {self.label}"

    def compute(self, sample: Sample) -> Measured:
        column = self.column(sample)
        values, groups = present(column, sample.groups)
        counts = sizes(groups, sample.count)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, which is the answer for an empty group
            means = totals(values, groups, sample.count) / counts
            # Deviations first: the difference of two large sums of squares would lose all digits.
            variances = totals((values - means[groups]) ** 2, groups, sample.count) / counts
        return Measured(np.sqrt(variances), counts, column)


MEASURE = Stddev
