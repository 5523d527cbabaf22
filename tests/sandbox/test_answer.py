from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from alertd.errors import QueryError
from alertd.reporting.table import Ids
from alertd.sandbox.answer import answer, parse_query
from alertd.sandbox.columns import Values, encode

NAN = float("nan")


class Three:
    """Three conversations."""

    ids: Ids = np.array([11, 12, 13], dtype=np.int64)

    def column(self, name: str) -> Values:
        columns: dict[str, Values] = {
            "createdAt": np.array([1.0, 2.0, 3.0]),
            "timeToCloseMillis": np.array([1208305.0, NAN, 0.5]),
            "lastAgentId": np.array([NAN, NAN, 2.0**53]),
            "status": encode(["open", "closed", "open"]),
        }
        return columns[name]


def ask(filters: list[Any], metrics: list[str]) -> Any:
    return json.loads(answer(Three(), parse_query(json.dumps({"filters": filters, "metrics": metrics}).encode())))


def test_an_answer_counts_the_conversations_and_lists_their_metrics_in_the_order_of_the_query() -> None:
    found = ask([{"property": "status", "operation": "EQ", "values": ["open"]}], ["timeToCloseMillis", "createdAt"])
    rows = [{"conversationId": 11, "metrics": [1208305, 1]}, {"conversationId": 13, "metrics": [0.5, 3]}]
    assert found == {"count": 2, "data": rows}


def test_an_absent_metric_is_the_word_nan_and_a_whole_number_is_an_integer() -> None:
    body = answer(Three(), parse_query(b'{"metrics": ["lastAgentId", "lastAgentId"]}'))
    assert b'{"conversationId":12,"metrics":["NaN","NaN"]}' in body
    assert b'{"conversationId":13,"metrics":[9007199254740992,9007199254740992]}' in body


def test_all_filters_must_hold() -> None:
    filters = [
        {"property": "status", "operation": "EQ", "values": ["open"]},
        {"property": "createdAt", "operation": "GT", "values": [1]},
    ]
    assert [row["conversationId"] for row in ask(filters, [])["data"]] == [13]


def test_no_conversation_is_an_answer_too() -> None:
    assert ask([{"property": "createdAt", "operation": "GT", "values": [3]}], ["createdAt"]) == {"count": 0, "data": []}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("not json", "the body is not JSON"),
        ("\xff", "the body is not JSON"),
        ("[]", "a query looks like"),
        ('{"filter": []}', 'a query has no key "filter"'),
        ('{"filters": {}}', "filters is a list"),
        ('{"metrics": [1]}', "metrics is a list of property names"),
        ('{"metrics": ["createdat"]}', 'metrics[0]: there is no property "createdat"; did you mean createdAt?'),
        ('{"metrics": ["id", "status"]}', "metrics[1]: status is text, not a number"),
        ('{"filters": [{"property": "status", "operation": "EQ"}]}', "filters[0]: EQ takes one value, not 0"),
        (
            '{"filters": [{"property": "status", "operation": "EQ", "values": ["shut"]}]}',
            "filters[0].values[0]: status is one of open, closed, pending, archived",
        ),
        (
            '{"filters": [{"property": "offline", "operation": "GT", "values": [true]}]}',
            "filters[0].operation: GT makes no sense for offline, which is boolean",
        ),
    ],
)
def test_a_wrong_query_is_told_where_it_is_wrong_in_the_words_of_the_document(body: str, said: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_query(body.encode("latin-1"))
    assert str(caught.value).startswith("check query formatting: ")
    assert said in str(caught.value)
