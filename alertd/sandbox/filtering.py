"""The thirteen operations of the document, on every kind of property."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from alertd.clock import DAY
from alertd.errors import QueryError
from alertd.reporting.properties import Kind, find_property
from alertd.reporting.query import Filter, Operation, Value
from alertd.reporting.table import Column, Mask
from alertd.sandbox.columns import Coded, Snapshot

_NEGATIVE: Mapping[Operation, Operation] = {
    Operation.NOT_EQ: Operation.EQ,
    Operation.NOT_IN: Operation.IN,
    Operation.NOT_CONTAINS: Operation.CONTAINS,
    Operation.NOT_HAS_PROPERTY: Operation.HAS_PROPERTY,
}
_EXISTENCE = frozenset({Operation.HAS_PROPERTY, Operation.NOT_HAS_PROPERTY})
_EQUALITY = _EXISTENCE | {Operation.EQ, Operation.NOT_EQ, Operation.IN, Operation.NOT_IN}
_TEXT = frozenset(Operation)
_NUMBER = _TEXT - {Operation.CONTAINS, Operation.NOT_CONTAINS}

# A search engine rejects an operation that the type of a field does not know.
_ALLOWED: Mapping[Kind, frozenset[Operation]] = dict.fromkeys(Kind, _NUMBER) | {
    Kind.TEXT: _TEXT,
    Kind.TAGS: _TEXT,
    Kind.BOOLEAN: _EQUALITY,
}

_WORDS: Mapping[Operation, Callable[[Any, tuple[Any, ...]], bool]] = {
    Operation.EQ: lambda word, values: bool(word == values[0]),
    Operation.GT: lambda word, values: bool(word > values[0]),
    Operation.GTE: lambda word, values: bool(word >= values[0]),
    Operation.LT: lambda word, values: bool(word < values[0]),
    Operation.LTE: lambda word, values: bool(word <= values[0]),
    Operation.IN: lambda word, values: word in values,
    Operation.BETWEEN: lambda word, values: bool(values[0] <= word <= values[1]),
    Operation.CONTAINS: lambda word, values: values[0] in word,
    Operation.HAS_PROPERTY: lambda _word, _values: True,
}


def check_sense(each: Filter) -> None:
    """Refuse an operation that the property's kind does not know, with QueryError."""
    kind = find_property(each.property).kind
    if each.operation not in _ALLOWED[kind]:
        raise QueryError(f"{each.operation} makes no sense for {each.property}, which is {kind.value}", ("operation",))


def matching(snapshot: Snapshot, filters: tuple[Filter, ...]) -> Mask:
    """The rows for which all filters hold."""
    rows: Mask = np.ones(len(snapshot.ids), dtype=np.bool_)
    for each in filters:
        rows &= match(snapshot, each)
    return rows


def match(snapshot: Snapshot, each: Filter) -> Mask:
    """The rows for which one filter holds; a negative operation holds wherever its positive does not, as in a search engine."""
    check_sense(each)
    column = snapshot.column(each.property)
    positive = _NEGATIVE.get(each.operation, each.operation)
    found = _coded(column, positive, each.values) if isinstance(column, Coded) else _numbers(column, positive, each.values)
    return found if positive is each.operation else ~found


def _coded(column: Coded, operation: Operation, values: tuple[Value, ...]) -> Mask:
    holds = _WORDS[operation]
    if column.words and isinstance(column.words[0], tuple):  # tags: one that matches is enough
        return column.pick(lambda tags: any(holds(tag, values) for tag in tags), absent=False)
    return column.pick(lambda word: holds(word, values), absent=False)


def _numbers(column: Column, operation: Operation, values: tuple[Value, ...]) -> Mask:
    if operation is Operation.HAS_PROPERTY:
        return ~np.isnan(column)
    spans = [span(value) for value in values]
    if operation in (Operation.EQ, Operation.IN):
        return _within(column, spans)
    low, high = spans[0][0], spans[-1][1]
    if operation is Operation.BETWEEN:
        return _mask((column >= low) & (column <= high))
    compare, bound = {
        Operation.GT: (operator.gt, high),
        Operation.GTE: (operator.ge, low),
        Operation.LT: (operator.lt, low),
        Operation.LTE: (operator.le, high),
    }[operation]
    return _mask(compare(column, bound))


def _within(column: Column, spans: list[tuple[float, float]]) -> Mask:
    found = np.isin(column, [low for low, high in spans if low == high])
    for low, high in spans:
        if low < high:
            found |= (column >= low) & (column <= high)
    return found


def span(value: Value) -> tuple[float, float]:
    """The first and last number that a value stands for: itself, or a whole UTC day in milliseconds if it is a date."""
    if isinstance(value, str):
        start = datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp() * 1000
        return start, start + DAY - 1
    try:
        return float(value), float(value)
    except OverflowError:  # an integer beyond any float: beyond any property's value, too
        far = float("inf") if value > 0 else float("-inf")
        return far, far


def _mask(found: Any) -> Mask:
    return np.asarray(found, dtype=np.bool_)
