"""Arithmetic over groups, vectorised: a million conversations in a thousand groups cost a few NumPy calls."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alertd.reporting.table import Column


def sizes(groups: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """How many rows each group has."""
    return np.bincount(groups, minlength=count)[:count].astype(np.intp)


def totals(values: Column, groups: NDArray[np.intp], count: int) -> Column:
    """The sum of each group; 0 for an empty one."""
    return np.bincount(groups, weights=values, minlength=count)[:count].astype(np.float64)


def extremes(values: Column, groups: NDArray[np.intp], count: int, *, largest: bool) -> Column:
    """The largest or smallest value of each group; NaN for an empty one."""
    result = np.full(count, np.nan)
    (np.fmax if largest else np.fmin).at(result, groups, values)
    return result


def in_order(values: Column, groups: NDArray[np.intp], count: int) -> tuple[Column, NDArray[np.intp]]:
    """The values by group and within it by size, and the group of each."""
    if count == 1:
        return np.sort(values), groups
    # Four times as fast as a sort by two keys: numpy sorts floats with vectors, and small integers by their digits.
    by_value = np.argsort(values)
    small = groups[by_value].astype(np.uint16 if count <= np.iinfo(np.uint16).max else np.intp)
    order = by_value[np.argsort(small, kind="stable")]
    return values[order], groups[order]


def quantiles(values: Column, groups: NDArray[np.intp], count: int, q: float) -> Column:
    """The q-quantile of each group by linear interpolation, as `numpy.quantile` does it; NaN for an empty one."""
    ordered, lengths = in_order(values, groups, count)[0], sizes(groups, count)
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    position = (lengths[filled] - 1) * q
    low = np.floor(position).astype(np.intp)
    high = np.minimum(low + 1, lengths[filled] - 1)
    result = np.full(count, np.nan)
    result[filled] = _between(ordered[starts + low], ordered[starts + high], position - low)
    return result


def _between(low: Column, high: Column, share: Column) -> Column:
    # The form that numpy.quantile uses: exact at both ends and monotonic.
    step = high - low
    return np.where(share >= 0.5, high - step * (1 - share), low + step * share)


def present(values: Column, groups: NDArray[np.intp]) -> tuple[Column, NDArray[np.intp]]:
    """Only the rows that have a value, with their groups."""
    there = np.flatnonzero(~np.isnan(values))
    return (values, groups) if len(there) == len(values) else (values.take(there), groups.take(there))
