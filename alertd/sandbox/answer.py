"""From the bytes of a query to the bytes of its answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from alertd.errors import QueryError
from alertd.reporting.query import Filter, Query, parse_filter
from alertd.reporting.table import Column, Table
from alertd.sandbox.columns import Coded, Snapshot
from alertd.sandbox.filtering import check_sense, matching

ABSENT = "NaN"  # "If a metric is not present, will return as "NaN""

# Rows are made and encoded a few at a time, so that they are gone again before the collector counts them.
_CHUNK = 500


class _Row(msgspec.Struct, gc=False):
    conversation_id: int = msgspec.field(name="conversationId")
    metrics: tuple[Any, ...]


def parse_query(body: bytes) -> Query:
    """Check a request body; QueryError in the API's own words says what is wrong and where."""
    try:
        return _query(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise QueryError(f"check query formatting: the body is not JSON: {error}") from None
    except QueryError as error:
        hint = f"; did you mean {error.suggestion}?" if error.suggestion else ""
        raise QueryError(f"check query formatting: {_place(error.path)}{error}{hint}") from None


def answer(snapshot: Snapshot, query: Query) -> bytes:
    """The conversations that pass all filters, with their metrics in the order of the query."""
    rows = np.flatnonzero(matching(snapshot, query.filters))
    columns = {name: _plain(snapshot, name, rows) for name in set(query.metrics)}
    ids = snapshot.ids[rows].tolist()
    lines = zip(*(columns[name] for name in query.metrics), strict=True) if query.metrics else (() for _ in ids)
    data = _encoded(zip(ids, lines, strict=True))
    return b'{"count":%d,"data":[%s]}' % (len(ids), b",".join(data))


def answer_table(snapshot: Snapshot, query: Query) -> Table:
    """The same as its reader would have it, without the bytes in between: for those who ask within the process."""
    rows = np.flatnonzero(matching(snapshot, query.filters))
    return Table(snapshot.ids[rows], {name: _metric(snapshot, name)[rows] for name in query.metrics})


def _query(raw: object) -> Query:
    if not isinstance(raw, dict):
        raise QueryError('a query looks like {"filters": [...], "metrics": [...]}')
    for key in raw:
        if key not in ("filters", "metrics"):
            raise QueryError(f'a query has no key "{key}"', (key,))
    filters, metrics = raw.get("filters", []), raw.get("metrics", [])
    if not isinstance(filters, list):
        raise QueryError("filters is a list", ("filters",))
    if not isinstance(metrics, list) or not all(isinstance(each, str) for each in metrics):
        raise QueryError("metrics is a list of property names", ("metrics",))
    return Query(tuple(_filter(index, each) for index, each in enumerate(filters)), tuple(metrics))


def _filter(index: int, raw: object) -> Filter:
    try:
        found = parse_filter(raw)
        check_sense(found)
    except QueryError as error:
        raise QueryError(str(error), ("filters", index, *error.path), error.suggestion) from None
    return found


def _place(path: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".") + ": " if path else ""


def _plain(snapshot: Snapshot, name: str, rows: np.ndarray[Any, np.dtype[np.intp]]) -> list[Any]:
    """A metric's values for those rows: whole numbers as integers, "NaN" where there is none."""
    return _numbers(_metric(snapshot, name)[rows])


def _metric(snapshot: Snapshot, name: str) -> Column:
    column = snapshot.column(name)
    if isinstance(column, Coded):
        raise QueryError(f"check query formatting: {name} is not a number")
    return column


def _numbers(column: Column) -> list[Any]:
    absent = np.isnan(column)
    known = column[~absent]
    if not np.array_equal(known, np.trunc(known)):
        return [ABSENT if value != value else int(value) if value.is_integer() else value for value in column.tolist()]  # noqa: PLR0124 - NaN alone is unlike itself
    whole: list[Any] = np.where(absent, 0, column).astype(np.int64).tolist()
    for row in np.flatnonzero(absent).tolist():
        whole[row] = ABSENT
    return whole


def _encoded(rows: Iterator[tuple[int, tuple[Any, ...]]]) -> Iterator[bytes]:
    """JSON of the rows in chunks, without the brackets around them."""
    encoder = msgspec.json.Encoder()
    chunk: list[_Row] = []
    for conversation_id, metrics in rows:
        chunk.append(_Row(conversation_id, metrics))
        if len(chunk) == _CHUNK:
            yield encoder.encode(chunk)[1:-1]
            chunk.clear()
    if chunk:
        yield encoder.encode(chunk)[1:-1]
