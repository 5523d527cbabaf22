from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import DAY
from alertd.errors import QueryError
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.reporting.query import Filter, Operation, Value
from alertd.reporting.table import Ids
from alertd.sandbox.columns import Values, encode
from alertd.sandbox.filtering import match

SAMPLES = {
    Kind.ID: "lastAgentId",
    Kind.TIME: "firstCloseAt",
    Kind.DURATION: "timeToCloseMillis",
    Kind.NUMBER: "cqlScore",
    Kind.TEXT: "pageUrl",
    Kind.BOOLEAN: "offline",
    Kind.TAGS: "tags",
}
ORDERING = {Operation.GT, Operation.GTE, Operation.LT, Operation.LTE, Operation.BETWEEN}
PARTIAL = {Operation.CONTAINS, Operation.NOT_CONTAINS}
NONSENSE = {
    (kind, operation)
    for kind in Kind
    for operation in Operation
    if (kind is Kind.BOOLEAN and operation in ORDERING | PARTIAL)
    or (kind not in (Kind.TEXT, Kind.TAGS, Kind.BOOLEAN) and operation in PARTIAL)
}
SENSE = [(kind, operation) for kind in Kind for operation in Operation if (kind, operation) not in NONSENSE]

MIDNIGHT = 1_793_577_600_000  # 2026-11-02T00:00:00Z
texts = st.text("abä", max_size=3)
numbers = st.integers(-3, 3)
moments = st.sampled_from([MIDNIGHT + days * DAY + offset for days in (-1, 0, 1) for offset in (0, 1, DAY // 2, DAY - 1)])
dates = st.sampled_from(["2026-11-01", "2026-11-02", "2026-11-03"])


@dataclass
class Sample:
    ids: Ids
    values: Values

    def column(self, name: str) -> Values:
        return self.values


def sample(kind: Kind, values: list[Any]) -> Sample:
    ids = np.arange(len(values), dtype=np.int64)
    if kind in (Kind.TEXT, Kind.BOOLEAN, Kind.TAGS):
        return Sample(ids, encode(values))
    return Sample(ids, np.array([math.nan if value is None else value for value in values], dtype=np.float64))


def stored(kind: Kind) -> st.SearchStrategy[Any]:
    some: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.TEXT: texts,
        Kind.BOOLEAN: st.booleans(),
        Kind.TAGS: st.lists(texts, max_size=3).map(tuple),
        Kind.TIME: moments,
    }
    return st.none() | some.get(kind, numbers)


def asked(kind: Kind, operation: Operation) -> st.SearchStrategy[list[Value]]:
    some: dict[Kind, st.SearchStrategy[Any]] = {
        Kind.TEXT: texts,
        Kind.BOOLEAN: st.booleans(),
        Kind.TAGS: texts,
        Kind.TIME: moments | dates,
    }
    counts = {Operation.BETWEEN: 2, Operation.HAS_PROPERTY: 0, Operation.NOT_HAS_PROPERTY: 0}
    most = 3 if operation in (Operation.IN, Operation.NOT_IN) else counts.get(operation, 1)
    return st.lists(some.get(kind, numbers | st.just(0.5)), min_size=counts.get(operation, 1), max_size=most)


def holds(value: Any, operation: str, values: list[Any]) -> bool:
    """The document's words, one value at a time."""
    if operation.startswith("NOT_"):
        return not holds(value, operation.removeprefix("NOT_"), values)
    if operation == "HAS_PROPERTY":
        return value not in (None, ())
    if value is None:
        return False
    if isinstance(value, tuple):
        return any(holds(tag, operation, values) for tag in value)
    first = [start(each) if isinstance(value, int) else each for each in values]
    last = [end(each) if isinstance(value, int) else each for each in values]
    judge: dict[str, Callable[[], bool]] = {
        "EQ": lambda: first[0] <= value <= last[0],
        "GT": lambda: value > last[0],
        "GTE": lambda: value >= first[0],
        "LT": lambda: value < first[0],
        "LTE": lambda: value <= last[0],
        "IN": lambda: any(low <= value <= high for low, high in zip(first, last, strict=True)),
        "BETWEEN": lambda: first[0] <= value <= last[1],
        "CONTAINS": lambda: values[0] in value,
    }
    return judge[operation]()


def start(value: Any) -> Any:
    return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() * 1000 if isinstance(value, str) else value


def end(value: Any) -> Any:
    return start(value) + 24 * 60 * 60 * 1000 - 1 if isinstance(value, str) else value


@pytest.mark.parametrize(("kind", "operation"), SENSE)
@given(data=st.data())
def test_an_operation_picks_what_plain_python_would(kind: Kind, operation: Operation, data: st.DataObject) -> None:
    values = data.draw(st.lists(stored(kind), max_size=8))
    wanted = data.draw(asked(kind, operation))
    found = match(sample(kind, values), Filter(SAMPLES[kind], operation, tuple(wanted)))
    assert found.tolist() == [holds(value, operation.value, wanted) for value in values]


@pytest.mark.parametrize(("kind", "operation"), sorted(NONSENSE))
def test_an_operation_that_makes_no_sense_for_a_kind_is_refused(kind: Kind, operation: Operation) -> None:
    value = True if kind is Kind.BOOLEAN else 1
    values = (value,) * (2 if operation is Operation.BETWEEN else 1)
    with pytest.raises(QueryError, match=f"{operation} makes no sense for {SAMPLES[kind]}"):
        match(sample(kind, [value]), Filter(SAMPLES[kind], operation, values))


def test_the_samples_are_one_property_of_each_kind() -> None:
    assert {PROPERTIES[name].kind for name in SAMPLES.values()} == set(Kind)


def test_a_date_as_an_upper_bound_means_the_end_of_that_day() -> None:
    times = sample(Kind.TIME, [MIDNIGHT - 1, MIDNIGHT, MIDNIGHT + DAY - 1, MIDNIGHT + DAY])
    between = Filter("firstCloseAt", Operation.BETWEEN, ("2026-11-02", "2026-11-02"))
    assert match(times, between).tolist() == [False, True, True, False]
    assert match(times, Filter("firstCloseAt", Operation.LTE, ("2026-11-02",))).tolist() == [True, True, True, False]


def test_a_number_beyond_any_float_is_beyond_any_value() -> None:
    counts = sample(Kind.NUMBER, [3, None])
    assert match(counts, Filter("cqlScore", Operation.LT, (10**400,))).tolist() == [True, False]
    assert match(counts, Filter("cqlScore", Operation.LT, (-(10**400),))).tolist() == [False, False]
