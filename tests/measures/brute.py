"""Samples for measures, and what each group of them holds in plain Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from alertd.clock import HOUR
from alertd.measures.base import ANSWER_TIME, WAITING_METRICS, Sample
from alertd.testing import a_table
from alertd.testing.clock import START

AS_OF = START

Row = dict[str, float]


@dataclass(frozen=True)
class Case:
    """Rows with the number of each one's group; `rows` leave out what is absent."""

    rows: tuple[Row, ...]
    groups: tuple[int, ...]
    count: int

    def sample(self, *, as_waited: bool = False, chosen: Sequence[int] | None = None, extra: Sequence[str] = ()) -> Sample:
        """The sample; ids are 1, 2, 3, ..."""
        names = {*extra, *(name for row in self.rows for name in row)}
        table = a_table(ids=range(1, len(self.rows) + 1), **{name: [row.get(name) for row in self.rows] for name in names})
        ids = None if chosen is None else np.array(chosen, np.int64)
        return Sample(table, np.array(self.groups, np.intp), self.count, AS_OF, as_waited, ids)

    def members(self, group: int) -> list[tuple[int, Row]]:
        """Ids and rows of one group."""
        pairs = zip(self.groups, enumerate(self.rows, 1), strict=True)
        return [row for number, row in pairs if number == group]


def known(row: Row, as_of: int = AS_OF) -> Row:
    """The row as it was at that moment: without an answer that came later."""
    late = row.get("firstAgentMessageAt", -math.inf) > as_of
    return {name: value for name, value in row.items() if not (late and name in (ANSWER_TIME, "firstAgentMessageAt"))}


def wait_of(row: Row, as_of: int = AS_OF) -> float | None:
    """The design's words for one conversation."""
    row = known(row, as_of)
    if ANSWER_TIME in row or "firstAgentMessageAt" in row or row.get("numEndUserMessages", 0) < 1:
        return None
    if "firstEndUserMessageAt" not in row:
        return None
    return max(min(as_of, row.get("firstCloseAt", math.inf)) - row["firstEndUserMessageAt"], 0)


def value_of(row: Row, name: str, *, as_waited: bool = False) -> float | None:
    """The value with which a row enters a measure of that property."""
    return known(row).get(name, wait_of(row)) if as_waited else row.get(name)


VALUES: Any = st.floats(-1e12, 1e12) | st.integers(-3, 3).map(float) | st.sampled_from([0.1, 1 / 3, 1e-9])


def cases(rows: st.SearchStrategy[Row], size: int = 12) -> st.SearchStrategy[Case]:
    """Up to 12 rows in up to 5 groups, some of them empty, sometimes one for each row."""

    def grouped(found: list[Row]) -> st.SearchStrategy[Case]:
        mixed = st.integers(1, 5).flatmap(
            lambda count: st.lists(st.integers(0, count - 1), min_size=len(found), max_size=len(found)).map(
                lambda groups: Case(tuple(found), tuple(groups), count)
            )
        )
        return mixed | st.just(Case(tuple(found), tuple(range(len(found))), len(found)))

    return st.lists(rows, max_size=size).flatmap(grouped)


def with_property(name: str) -> st.SearchStrategy[Case]:
    """Rows that have the property or not."""
    return cases(st.just({}) | VALUES.map(lambda value: {name: value}))


NEAR = st.integers(0, 8).map(lambda quarters: float(AS_OF + HOUR - quarters * HOUR // 4))


def conversations() -> st.SearchStrategy[Row]:
    """Answered, waiting, closed and silent conversations, in any mixture that the API might show."""
    answered: dict[str, Any] = {
        ANSWER_TIME: st.integers(0, 8).map(lambda quarters: quarters * HOUR / 4),
        "firstAgentMessageAt": NEAR,
        "firstEndUserMessageAt": NEAR,
        "firstCloseAt": NEAR,
        "cqlScore": st.integers(-1, 3).map(float),
    }
    always = {"numEndUserMessages": st.integers(0, 2).map(float)}
    return st.fixed_dictionaries(always, optional=answered)


EVERYTHING = (*WAITING_METRICS, "cqlScore")
