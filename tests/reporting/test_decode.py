from __future__ import annotations

import json
import math
import tracemalloc
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.errors import Incomplete, Malformed, ReportingError
from alertd.reporting.decode import decode
from alertd.reporting.table import Table

METRICS = ("createdAt", "numAgentMessages")
CANARY = "visitor-text-7c2"


def row(number: object, *metrics: object, more: str = "") -> str:
    return f'{{"conversationId":{number},"metrics":[{",".join(map(str, metrics))}]{more}}}'


def answer(*rows: str, count: object = None) -> bytes:
    return f'{{"count":{len(rows) if count is None else count},"data":[{",".join(rows)}]}}'.encode()


def read(*metrics: object) -> list[float]:
    table = decode(answer(row(1, *metrics)), tuple(f"m{index}" for index in range(len(metrics))))
    return [float(column[0]) for column in table.columns.values()]


def problem(body: bytes, metrics: tuple[str, ...] = METRICS) -> str:
    with pytest.raises(Malformed) as caught:
        decode(body, metrics)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None  # it might quote the body
    assert CANARY not in repr(caught.value)
    return str(caught.value).removeprefix("the answer cannot be read: ")


# --- what an answer may look like ---


def test_the_documents_example_becomes_columns() -> None:
    body = b"""{
    "count": 1,
    "data": [
        {
            "conversationId": 852054511,
            "metrics": [
                4941610,
                1208305,
                1563910480819,
                671581
            ]
        }
     ]
}"""
    names = ("timeToCloseMillis", "timeToAgentResponseMillis", "firstAgentMessageAt", "relatedPlaybookId")
    table = decode(body, names)
    assert table.ids.tolist() == [852054511]
    assert {name: column.tolist() for name, column in table.columns.items()} == dict(
        zip(names, ([4941610.0], [1208305.0], [1563910480819.0], [671581.0]), strict=True)
    )
    assert table.ids.dtype == np.int64


def test_every_spelling_of_a_number_is_read() -> None:
    spellings = (0, -1, 4941610.0, "1.563910480819E12", "5e-1", "-0", 2**53)
    assert read(*spellings) == [0, -1, 4941610, 1563910480819, 0.5, 0, 2**53]


@pytest.mark.parametrize("spelling", ['"NaN"', "NaN", "null", " NaN", "\n\tNaN"])
def test_every_spelling_of_absent_is_nan(spelling: str) -> None:
    first, second, third = read(spelling, 5, spelling)
    assert math.isnan(first)
    assert math.isnan(third)
    assert second == 5


def test_an_answer_without_conversations_is_an_empty_table() -> None:
    table = decode(b'{"data":[ ],"count":0}', METRICS)
    assert len(table) == 0
    assert [len(column) for column in table.columns.values()] == [0, 0]


def test_a_query_without_metrics_still_has_ids() -> None:
    table = decode(answer(row(7), row(8)), ())
    assert table.ids.tolist() == [7, 8]
    assert table.columns == {}


def test_a_conversation_that_came_twice_stays_once_and_the_first_counts() -> None:
    table = decode(answer(row(2, 1, 1), row(1, 2, 2), row(2, 3, 3)), METRICS)
    assert table.ids.tolist() == [2, 1]
    assert table.columns["createdAt"].tolist() == [1, 2]


def test_ids_stay_exact_beyond_what_floats_can_hold() -> None:
    big = 2**63 - 1
    assert decode(answer(row(big, 1, 1), row(2**53 + 1, 1, 1)), METRICS).ids.tolist() == [big, 2**53 + 1]


def test_an_id_may_be_written_as_a_float_that_is_whole() -> None:
    assert decode(answer(row("8.52e8", 1, 1), row("7.0", 1, 1), row(big := 2**62, 1, 1)), METRICS).ids.tolist() == [
        852_000_000,
        7,
        big,
    ]


def test_what_the_document_does_not_mention_is_passed_over() -> None:
    more = ',"note":"},{\\"NaN ,NaN [NaN","tags":[{"a":{}},{"b":[]}]'
    body = answer(*(row(number, number, "NaN", more=more) for number in range(5000)))
    body = b'{"took":3,' + body[1:-1] + b',"error":null}'
    assert decode(body, METRICS).columns["createdAt"].tolist() == list(range(5000))


# --- what it may not look like ---


@pytest.mark.parametrize(
    "value", ['"12.5"', '"inf"', '"abc"', '"nan"', '""', '" NaN"', "true", "[1]", "{}", "1e999", "9" * 5000]
)
def test_a_metric_that_is_no_number_is_refused_by_name(value: str) -> None:
    assert problem(answer(row(1, 1, value))) == 'numAgentMessages of a conversation is neither a number nor "NaN"'


@pytest.mark.parametrize("value", ["Infinity", "-Infinity", "-NaN", "NaNa", "nan", "1.", "01", "+1", "'a'"])
def test_what_is_not_json_is_refused(value: str) -> None:
    assert problem(answer(row(1, 1, value))) == "it is not JSON"


@pytest.mark.parametrize("metrics", [(), (1,), (1, 2, 3)])
def test_a_row_of_another_length_is_refused(metrics: tuple[int, ...]) -> None:
    assert problem(answer(row(1, 1, 2), row(2, *metrics))) == "a conversation has not the 2 metrics that were asked for"


@pytest.mark.parametrize(
    "number", ['"1"', "1.5", "null", "true", 2**63, -(2**64), "1e300", 2.0**53 + 2, "9" * 5000, "NaN", "[]"]
)
def test_an_id_that_is_no_whole_number_of_64_bits_is_refused(number: object) -> None:
    assert "a conversationId is not a whole number" in problem(answer(row(number, 1, 2)))


@pytest.mark.parametrize("count", ["-1", '"1"', "1.0", "1.5", "true", "null", "NaN", "9" * 5000])
def test_a_count_that_is_none_is_refused(count: str) -> None:
    assert problem(answer(row(1, 1, 2), count=count)) == "its count is not a whole number"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "it is empty"),
        (b" \r\n", "it is empty"),
        (b"null", "it is not an object with count and data"),
        (b"[]", "it is not an object with count and data"),
        (b'"' + CANARY.encode() + b'"', "it is not an object with count and data"),
        (b"<!DOCTYPE html><p>" + CANARY.encode(), "it is HTML or XML, not JSON; is this the address of the API?"),
        (b"\n <html>", "it is HTML or XML, not JSON; is this the address of the API?"),
        (b"\xef\xbb\xbf" + answer(), "it begins with a byte order mark"),
        (CANARY.encode(), "it is not JSON"),
        (b"\xff\xfe{\x00", "it is not JSON"),
        (answer() + b"x", "it is not JSON"),
        (b'{"count":0}', "it has no data"),
        (b'{"data":[]}', "it has no count"),
        (b'{"count":0,"data":null}', "its data is not a list"),
        (b'{"count":0,"data":{}}', "its data is not a list"),
        (answer("1"), "a row is not a conversation"),
        (answer("null"), "a row is not a conversation"),
        (answer("{}"), "a conversation has no conversationId"),
        (answer('{"conversationId":1}'), "a conversation has no metrics"),
        (answer('{"conversationId":1,"metrics":null}'), "a conversation has not the 2 metrics that were asked for"),
        (answer(row(1, 1, f'"{CANARY}"')), 'numAgentMessages of a conversation is neither a number nor "NaN"'),
        (b"[" * 100_000, "it is not an object with count and data"),
        (b'{"a":' * 100_000, "it is nested too deeply"),
        (b'{"count":1,"data":' + b"[" * 100_000, "it is nested too deeply"),
        (answer(row(1, 1, "[" * 100_000)), "it is nested too deeply"),
    ],
)
def test_a_body_that_is_no_answer_is_refused_in_plain_words(body: bytes, words: str) -> None:
    assert problem(body) == words


@pytest.mark.parametrize("end", range(1, 57))
def test_a_body_that_breaks_off_is_refused_wherever_it_does(end: int) -> None:
    assert problem(answer(row(1, 1, 2))[:-end]) == "it breaks off"


def test_fewer_rows_than_the_count_are_incomplete() -> None:
    with pytest.raises(Incomplete) as caught:
        decode(answer(*[row(number, 1, 2) for number in range(10_000)], count=12_345), METRICS)
    assert str(caught.value) == "the answer has 10,000 of 12,345 conversations"


def test_rows_are_counted_before_repeated_ones_are_dropped() -> None:
    twice = (row(1, 1, 2), row(1, 1, 2))
    assert len(decode(answer(*twice, count=2), METRICS)) == 1
    with pytest.raises(Incomplete):
        decode(answer(*twice, count=3), METRICS)


def test_more_rows_than_the_count_are_refused() -> None:
    for rows in (1, 5000):
        assert "but has more" in problem(answer(*[row(number, 1, 2) for number in range(rows)], count=rows - 1))


# --- hostile answers ---


def test_memory_stays_near_that_of_the_numbers() -> None:
    body = answer(*(row(number, *range(8)) for number in range(50_000)))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    table = decode(body, tuple("abcdefgh"))
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert len(table) == 50_000
    assert peak < 2 * 50_000 * 9 * 8 + 4 * 2**20


@pytest.mark.parametrize(
    "body",
    [
        answer(row(1, 1, 2), count=2**63 - 1),
        b'{"count":99999999,"data":[' + b"1," * 4_000_000 + b"1]}",
        answer(row(1, 1, 2, more=',"x":[' + "{}," * 4_000_000 + "{}]")),
        answer(row(1, 1, 2, more=',"x":"' + "},{" * 4_000_000 + '"')),
        b'{"count":1,"data":[' + b"{}," * 4_000_000 + b"{}]}",
        b'{"count":1,"data":[{"conversationId":1,"metrics":[' + b"NaN," * 3_000_000 + b"NaN]}]}",
    ],
)
def test_a_hostile_body_costs_memory_for_a_few_copies_of_it_at_most(body: bytes) -> None:
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    with pytest.raises(ReportingError):
        decode(body, METRICS)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert peak < 4 * len(body) + 4 * 2**20


# --- against a decoder that anybody can read ---


def plain(body: bytes, metrics: tuple[str, ...]) -> dict[int, list[float]]:
    found: dict[int, list[float]] = {}
    for each in json.loads(body)["data"]:
        values = [math.nan if value in (None, "NaN") else float(value) for value in each["metrics"]]
        assert len(values) == len(metrics)
        found.setdefault(each["conversationId"], values)
    return found


def same(table: Table, expected: dict[int, list[float]], metrics: tuple[str, ...]) -> bool:
    matrix = np.array(list(expected.values())).reshape(len(expected), len(metrics)).T
    columns = np.array(list(table.columns.values())).reshape(len(metrics), len(table))
    return table.ids.tolist() == list(expected) and np.array_equal(columns, matrix, equal_nan=True)


VALUES = st.one_of(
    st.integers(-(2**53), 2**53).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.floats(allow_nan=False, allow_infinity=False).map("{:E}".format),
    st.sampled_from(['"NaN"', "NaN", "null"]),
)
# Undocumented texts, long enough to push the rows over the ends of chunks, with what looks like a seam in them.
FILLERS = st.tuples(st.sampled_from(["", "},{", "[NaN", ",NaN,", '\\"},{\\"']), st.integers(0, 60_000)).map(
    lambda pair: f',"x":"{pair[0]}{"a" * pair[1]}{pair[0]}"'
)
COLONS, COMMAS = st.sampled_from([":", " : "]), st.sampled_from([",", ", ", "\n  ,\t"])


@st.composite
def bodies(draw: Any) -> tuple[bytes, tuple[str, ...]]:
    width, colon, comma = draw(st.integers(0, 4)), draw(COLONS), draw(COMMAS)
    rows = []
    for number in draw(st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 5), max_size=30)):
        values = comma.join(draw(st.lists(VALUES, min_size=width, max_size=width)))
        more = draw(st.just("") | FILLERS)
        rows.append(f'{{"conversationId"{colon}{number}{comma}"metrics"{colon}[{values}]{more}}}')
    parts = [f'"count"{colon}{len(rows)}', f'"data"{colon}[{comma.join(rows)}]']
    if draw(st.booleans()):
        parts.reverse()
    return f"{{{comma.join(parts)}}}".encode(), tuple(f"m{index}" for index in range(width))


@settings(deadline=None)
@given(bodies())
def test_any_answer_reads_the_same_as_with_a_plain_decoder(drawn: tuple[bytes, tuple[str, ...]]) -> None:
    body, metrics = drawn
    assert same(decode(body, metrics), plain(body, metrics), metrics)


@settings(deadline=None)
@given(st.integers(0, 6000), st.integers(1, 3), st.sampled_from(['"NaN"', "NaN", "null", "1.5"]))
def test_no_row_is_lost_at_the_end_of_a_chunk(rows: int, width: int, value: str) -> None:
    body = answer(*(row(number, number, *[value] * (width - 1)) for number in range(rows)))
    metrics = tuple("abc"[:width])
    assert same(decode(body, metrics), plain(body, metrics), metrics)


@settings(deadline=None)
@given(st.binary(max_size=200) | bodies().map(lambda pair: pair[0][:400]), st.data())
def test_nothing_but_a_reporting_error_ever_comes_out(body: bytes, data: Any) -> None:
    if body:
        at = data.draw(st.integers(0, len(body) - 1))
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + 1 :]
    with suppress(ReportingError):
        decode(body, METRICS)


@pytest.mark.parametrize("key", ["error", "errors"])
def test_an_answer_that_carries_an_error_is_none(key: str) -> None:
    body = json.dumps({"count": 0, "data": [], key: [{"message": "Query timed out after 10 seconds"}]}).encode()
    with pytest.raises(Malformed, match="carries an error"):
        decode(body, ())
