"""An answer's body to a Table, chunk by chunk, so that 100,000 conversations need little more memory than their numbers.

A decoder that builds all rows at once spends most of its time in the garbage collector; the rows of a chunk die young.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain
from typing import Annotated, Any, Literal

import msgspec
import numpy as np

from alertd.errors import Incomplete, Malformed
from alertd.reporting.table import Ids, Table, unique

# About 1,500 rows: enough for NumPy, small enough for the processor's cache.
_CHUNK = 150_000
_SEAM = re.compile(rb"\}\s*,\s*\{")
_SEAMS = 32

# The bytes that a row needs at least, {"conversationId":1,"metrics":[]}: a false `count` makes us allocate no more than that.
_ROW = 32

_Number = float | Literal["NaN"] | None  # strictly: whole numbers become floats; booleans and other texts are refused
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Outer(msgspec.Struct):
    count: _Count
    data: msgspec.Raw
    error: msgspec.Raw = msgspec.Raw(b"null")
    errors: msgspec.Raw = msgspec.Raw(b"null")


def decode(body: bytes, metrics: tuple[str, ...]) -> Table:
    """Read the answer to a query for `metrics`; a conversation that came twice stays once.

    Raises Malformed, which never quotes the body, and Incomplete if there are fewer rows than `count` says.
    """
    try:
        outer = _outer(body)
        if bytes(outer.error) != b"null" or bytes(outer.errors) not in (b"null", b"[]"):
            raise Malformed("the answer carries an error although its status says that all is well")
        table = _table(outer.count, memoryview(outer.data), metrics)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        problem = _explain(error, body, metrics)
    else:
        return unique(table)
    # Not where the error above would become its context: that one may quote the body.
    raise Malformed(f"the answer cannot be read: {problem}")


def _outer(body: bytes) -> _Outer:
    """Check the whole body's grammar and find its data, without building any of it.

    NaN without quotes is not JSON; only a body that has it pays for the repair. It is looked for where compact writers put it,
    then everywhere.
    """
    for before in (b"", b",["):
        body = _without_nan(body, before)
        try:
            return msgspec.json.decode(body, type=_Outer)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            if b"NaN" not in body:
                raise
    return msgspec.json.decode(_without_nan(body, b": \n\r\t"), type=_Outer)


def _without_nan(body: bytes, before: bytes) -> bytes:
    """Write null for NaN after any of these bytes.

    Inside a longer text this may happen too. It changes nothing: the only text that we read is "NaN", all of it.
    """
    for each in before:
        body = body.replace(b"%cNaN" % each, b"%cnull" % each)
    return body


def _table(count: int, data: memoryview, metrics: tuple[str, ...]) -> Table:
    room = min(count, len(data) // _ROW + 1)
    ids = np.empty(room, dtype=np.int64)
    matrix = np.empty((len(metrics), room), dtype=np.float64)
    end = 0
    for rows in _chunks(data, len(metrics)):
        start, end = end, end + len(rows)
        if end > count:
            raise Malformed(f"the answer says that it has {count:,} conversations, but has more")
        ids[start:end] = _ids([row.conversationId for row in rows])
        numbers = chain.from_iterable([row.metrics for row in rows])
        matrix[:, start:end] = np.fromiter(numbers, np.float64, len(rows) * len(metrics)).reshape(len(rows), len(metrics)).T
    if end < count:
        raise Incomplete(f"the answer has {end:,} of {count:,} conversations")
    return Table(ids, dict(zip(metrics, matrix, strict=True)))


def _chunks(data: memoryview, width: int) -> Iterator[list[Any]]:
    """Decode the list in `data`, whose grammar is right, some rows at a time."""
    decoder = _decoder(width)
    if bytes(data[:1]) != b"[":
        raise Malformed("the answer cannot be read: its data is not a list")
    start, end = 1, len(data) - 1
    while start < end:
        rows, start = _chunk(data, start, end, decoder)
        yield rows


def _chunk(data: memoryview, start: int, end: int, decoder: msgspec.json.Decoder[list[Any]]) -> tuple[list[Any], int]:
    """Decode rows from `start` on, and say where the next begin.

    What looks like a seam between two rows may stand inside a text or an object that the document does not know. The part
    before it is then no whole list, which the decoder notices, and the next seam is tried, some times.
    """
    look = start + _CHUNK
    for _ in range(_SEAMS):
        seam = _SEAM.search(data, look, end)
        if seam is None:
            break
        try:
            return decoder.decode(b"[" + data[start : seam.start() + 1] + b"]"), seam.end() - 1
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:
            look = seam.end() - 1
    else:
        raise Malformed("the answer cannot be read: its rows hold much that is not documented")
    return decoder.decode(b"[" + data[start:end] + b"]"), end


@lru_cache(maxsize=64)
def _decoder(width: int) -> msgspec.json.Decoder[list[Any]]:
    """A decoder of rows with so many metrics, no more and no fewer."""
    numbers: Any = tuple[(_Number,) * width]  # type: ignore[misc] # a type made while running
    row: Any = msgspec.defstruct("Row", [("conversationId", int | float), ("metrics", numbers)], gc=False)
    return msgspec.json.Decoder(list[row])


def _ids(values: list[int | float]) -> Ids:
    found = np.array(values)
    return found if found.dtype == np.int64 else np.array([_whole(value) for value in values], dtype=np.int64)


def _whole(value: float) -> int:
    limit = 2**63 - 1 if isinstance(value, int) else 2**53  # beyond, a float stands for several whole numbers
    if abs(value) <= limit and value % 1 == 0:
        return int(value)
    raise Malformed("the answer cannot be read: a conversationId is not a whole number of 64 bits")


def _explain(error: Exception, body: bytes, metrics: tuple[str, ...]) -> str:
    """Say in plain words, none of them from the body, what is wrong with it."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, msgspec.ValidationError):
        return _explain_type(str(error), metrics)
    if not body.strip():
        return "it is empty"
    if body.startswith(b"\xef\xbb\xbf"):
        return "it begins with a byte order mark"
    if body.lstrip().startswith(b"<"):
        return "it is HTML or XML, not JSON; is this the address of the API?"
    return "it breaks off" if "truncated" in str(error) else "it is not JSON"


def _explain_type(message: str, metrics: tuple[str, ...]) -> str:
    if found := re.search(r"metrics\[(\d+)\]`$", message):
        return f'{metrics[int(found[1])]} of a conversation is neither a number nor "NaN"'
    if message.endswith("].metrics`"):
        return f"a conversation has not the {len(metrics)} metrics that were asked for"
    if message.endswith("].conversationId`"):
        return "a conversationId is not a whole number"
    if found := re.search(r"missing required field `(\w+)`", message):
        where = "a conversation" if "at `$[" in message else "it"
        return f"{where} has no {found[1]}"
    if message.endswith("`$.count`"):
        return "its count is not a whole number"
    return "a row is not a conversation" if "at `$[" in message else "it is not an object with count and data"
