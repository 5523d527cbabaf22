"""`measure: waiting`: how long the visitor who has waited longest has been waiting for a first answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alertd.errors import QueryError
from alertd.measures.base import WAITING_METRICS, Measure, Measured, Sample, waited
from alertd.measures.grouping import extremes, present, sizes
from alertd.units import Unit


@dataclass(frozen=True)
class Waiting(Measure):
    """The longest wait of those that nobody has answered and nobody has closed; 0 when none waits."""

    names: ClassVar[tuple[str, ...]] = ("waiting",)
    example: ClassVar[str] = "waiting"
    about: ClassVar[str] = (
        "Longest time a visitor has been waiting for a first answer, in open conversations; 0 when nobody waits."
    )

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        if argument is not None:
            raise QueryError(f"{name} takes nothing after it; select conversations with filters")
        return cls()

    @property
    def unit(self) -> Unit:
        return Unit.DURATION

    @property
    def metrics(self) -> tuple[str, ...]:
        return WAITING_METRICS

    def describe(self) -> str:
        return "longest wait for a first answer"

    def compute(self, sample: Sample) -> Measured:
        closed = sample.table.columns["firstCloseAt"] <= sample.as_of
        waits = np.where(closed, np.nan, waited(sample))
        longest = extremes(*present(waits, sample.groups), sample.count, largest=True)
        return Measured(np.nan_to_num(longest, nan=0.0), sizes(sample.groups, sample.count), waits)


MEASURE = Waiting
