"""`{distinct: lastAgentId}`: how many different values there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from alertd.errors import QueryError
from alertd.measures.base import Measured, PropertyMeasure, Sample
from alertd.measures.grouping import in_order, present, sizes
from alertd.reporting.properties import find_metric
from alertd.units import Unit


@dataclass(frozen=True)
class Distinct(PropertyMeasure):
    """The number of different values of a property; 0 when there are none."""

    names: ClassVar[tuple[str, ...]] = ("distinct",)
    counts: ClassVar[bool] = True
    example: ClassVar[str] = "{distinct: lastAgentId}"
    about: ClassVar[str] = "Number of different values of a property; 0 when there are none."

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        if not isinstance(argument, str):
            raise QueryError(f"{name} needs a property: {{{name}: lastAgentId}}")
        return cls(find_metric(argument, ()).name)

    @property
    def unit(self) -> Unit:
        return Unit.NUMBER

    @property
    def waits(self) -> bool:
        return False

    def describe(self) -> str:
        return f"number of different values of {self.label}"

    def compute(self, sample: Sample) -> Measured:
        values, groups = present(sample.table.columns[self.of], sample.groups)
        ordered, places = in_order(values, groups, sample.count)
        new = np.ones(len(ordered), np.bool_)
        new[1:] = (ordered[1:] != ordered[:-1]) | (places[1:] != places[:-1])
        return Measured(sizes(places[new], sample.count).astype(float), sizes(groups, sample.count))


MEASURE = Distinct
