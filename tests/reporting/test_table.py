"""Tables: rows are taken whole, repeated conversations count once, slices make one table."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alertd.reporting.table import Table, join, unique
from alertd.testing import a_table

IDS = st.lists(st.integers(1, 6), max_size=12)


def rows(table: Table) -> list[tuple[int, ...]]:
    return list(zip(table.ids.tolist(), *(column.tolist() for column in table.columns.values()), strict=True))


def numbered(ids: list[int]) -> Table:
    """Each row knows its place."""
    return a_table(ids=ids, cqlScore=[float(place) for place in range(len(ids))])


@given(IDS)
def test_of_a_repeated_conversation_the_first_row_stays_in_its_place(ids: list[int]) -> None:
    firsts = {number: place for place, number in reversed(list(enumerate(ids)))}
    assert rows(unique(numbered(ids))) == sorted(firsts.items(), key=lambda each: each[1])


@given(st.lists(IDS, min_size=1, max_size=4))
def test_slices_become_one_table_without_repetitions(slices: list[list[int]]) -> None:
    tables = [unique(numbered(ids)) for ids in slices]
    joined = join(tables)
    expected = {row[0]: row[1] for table in reversed(tables) for row in rows(table)}
    assert sorted(rows(joined)) == sorted(expected.items())
    assert len(joined) == len(set(joined.ids.tolist()))


def test_the_columns_are_found_by_name_whatever_their_order() -> None:
    one, other = a_table(ids=[1], cqlScore=[1], numAgentMessages=[2]), a_table(ids=[2], numAgentMessages=[4], cqlScore=[3])
    joined = join([one, other])
    assert {name: column.tolist() for name, column in joined.columns.items()} == {
        "cqlScore": [1, 3],
        "numAgentMessages": [2, 4],
    }


@given(IDS.flatmap(lambda ids: st.tuples(st.just(ids), st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))))
def test_rows_are_taken_whole(case: tuple[list[int], list[bool]]) -> None:
    ids, picked = case
    table = numbered(ids)
    expected = [row for row, taken in zip(rows(table), picked, strict=True) if taken]
    mask = np.array(picked, dtype=bool)
    assert rows(table.take(mask)) == rows(table.take(np.flatnonzero(mask))) == expected
    assert len(table.take(mask)) == len(expected)


def test_an_empty_table_keeps_its_columns() -> None:
    empty = a_table(cqlScore=[])
    assert (len(join([empty, empty])), list(join([empty, empty]).columns)) == (0, ["cqlScore"])
