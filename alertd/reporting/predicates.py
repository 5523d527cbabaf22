"""Filters whose meaning on a number is certain, so that they can be judged on our side (I2).

Only numeric properties with EQ, IN, GT, GTE, LT, LTE, HAS_PROPERTY. Whether BETWEEN includes its ends, or NOT_EQ matches a
conversation without the property, the document does not say: those stay with the API.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Filter, Operation
from alertd.reporting.table import Column, Mask

# Up to here a float is the whole number that was meant, and no other.
_EXACT = 2**53

_CERTAIN = frozenset(
    {Operation.EQ, Operation.IN, Operation.GT, Operation.GTE, Operation.LT, Operation.LTE, Operation.HAS_PROPERTY}
)


def certain(each: Filter) -> bool:
    """Whether we know for sure what the API would answer."""
    exact = all(isinstance(value, int | float) and abs(value) < _EXACT for value in each.values)
    return PROPERTIES[each.property].numeric and each.operation in _CERTAIN and exact


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


def decided_by_wait(filters: Sequence[Filter], wait: Column) -> tuple[Mask, Mask]:
    """Judge filters on the time to the first answer, all together, where the answer is still to come and takes at least `wait`.

    Returns which rows match already, and which may still become either; NaN, where nobody waits, is neither.
    """
    waits = ~np.isnan(wait)
    if any(each.operation is Operation.HAS_PROPERTY for each in filters):  # as of now there is no answer, whatever comes
        waits = np.zeros_like(waits)
    possible = np.array([_all_hold(filters, np.fmax(wait, time)) for time in _telling_times(filters)])
    some, always = possible.any(axis=0), possible.all(axis=0)
    return waits & always, waits & some & ~always


def _all_hold(filters: Sequence[Filter], values: Column) -> Mask:
    found: Mask = np.logical_and.reduce([holds(each, values) for each in filters])
    return found


def _telling_times(filters: Sequence[Filter]) -> list[float]:
    """Answer times that stand for all others: each limit, one between any two, one below and one above them all."""
    limits = sorted({float(value) for each in filters for value in each.values})
    between = [(low + high) / 2 for low, high in pairwise(limits)]
    return [0.0, *limits, *between, math.inf]
