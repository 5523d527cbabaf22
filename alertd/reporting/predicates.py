"""Filters whose meaning on a number is certain, so that they can be judged on our side (I2).

Only numeric properties with EQ, IN, GT, GTE, LT, LTE, HAS_PROPERTY. Whether BETWEEN includes its ends, or NOT_EQ matches a
conversation without the property, the document does not say: those stay with the API.
"""

from __future__ import annotations

import numpy as np

from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Filter, Operation
from alertd.reporting.table import Column, Mask

_CERTAIN = frozenset(
    {Operation.EQ, Operation.IN, Operation.GT, Operation.GTE, Operation.LT, Operation.LTE, Operation.HAS_PROPERTY}
)


def certain(each: Filter) -> bool:
    """Whether we know for sure what the API would answer."""
    numbers = all(isinstance(value, int | float) for value in each.values)
    return PROPERTIES[each.property].numeric and each.operation in _CERTAIN and numbers


def holds(each: Filter, values: Column) -> Mask:
    """Which values a certain filter matches; NaN (the property is absent) matches none."""
    operands = [float(value) for value in each.values]
    match each.operation:
        case Operation.EQ | Operation.IN:
            return np.isin(values, operands)
        case Operation.GT:
            return np.greater(values, operands[0])
        case Operation.GTE:
            return np.greater_equal(values, operands[0])
        case Operation.LT:
            return np.less(values, operands[0])
        case Operation.LTE:
            return np.less_equal(values, operands[0])
        case Operation.HAS_PROPERTY:
            return ~np.isnan(values)
        case _:
            raise ValueError(f"{each.operation} is not certain")


def decided_by_wait(each: Filter, answer: Mask, wait: Column) -> tuple[Mask, Mask]:
    """Judge a filter on the time to the first answer where the answer is still to come and `wait` is a lower bound of it.

    Returns which rows match for sure, and which are still undecided. Where `wait` is NaN, `answer` stands.
    """
    waits = ~np.isnan(wait)
    never, always = _bounds(each, wait)
    return np.where(waits, always, answer), waits & ~never & ~always


def _bounds(each: Filter, wait: Column) -> tuple[Mask, Mask]:
    """For a value of at least `wait`: which rows can never match any more, and which always will."""
    nothing = np.zeros(len(wait), dtype=bool)
    highest = max((float(value) for value in each.values), default=0.0)
    match each.operation:
        case Operation.GT:
            return nothing, wait > highest
        case Operation.GTE:
            return nothing, wait >= highest
        case Operation.LT:
            return wait >= highest, nothing
        case Operation.HAS_PROPERTY:  # as of now there is no answer, whatever comes
            return ~nothing, nothing
        case _:  # EQ, IN, LTE
            return wait > highest, nothing
