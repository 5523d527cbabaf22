"""`measure: count`: how many conversations there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from alertd.errors import QueryError
from alertd.measures.base import Measure, Measured, Sample
from alertd.measures.grouping import sizes


@dataclass(frozen=True)
class Count(Measure):
    """The number of conversations; 0 when there are none."""

    names: ClassVar[tuple[str, ...]] = ("count",)
    counts: ClassVar[bool] = True
    example: ClassVar[str] = "count"
    about: ClassVar[str] = "Number of conversations; 0 when there are none."

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        if argument is not None:
            raise QueryError(f"{name} takes nothing after it; select conversations with filters")
        return cls()

    def describe(self) -> str:
        return "number of conversations"

    def compute(self, sample: Sample) -> Measured:
        counts = sizes(sample.groups, sample.count)
        return Measured(counts.astype(float), counts)


MEASURE = Count
