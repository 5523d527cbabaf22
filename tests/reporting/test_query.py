"""Properties, filters and queries: what the API's document allows, and how what it does not allow is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.errors import QueryError
from alertd.reporting.properties import PROPERTIES, Kind, find_metric, find_property, suggest
from alertd.reporting.query import Filter, Operation, Query, parse_filter, parse_operation

# The document's list, in its order.
NAMES = [
    "relatedPlaybookId",
    "createdAt",
    "endUserId",
    "endUserInitiated",
    "endUserType",
    "firstAgentId",
    "lastAgentId",
    "firstAgentMessageAt",
    "firstBotId",
    "firstBotMessageAt",
    "firstCloseAt",
    "firstEndUserMessageAt",
    "id",
    "numAgentMessages",
    "numBotMessages",
    "numEndUserMessages",
    "offline",
    "pageUrl",
    "status",
    "tags",
    "timeToAgentResponseMillis",
    "timeToCloseMillis",
    "updatedAt",
    "botStatus",
    "cqlScore",
]
FILTER_ONLY = {"endUserType", "pageUrl", "status"}
NOT_NUMBERS = {"botStatus", "tags", "endUserInitiated", "offline"}
ENUMERATIONS = {
    "endUserType": ("USER", "END_USER", "NONE", "LEAD"),
    "status": ("open", "closed", "pending", "archived"),
    "botStatus": ("BOT_ONLY", "HUMAN_ONLY", "BOT_ASSISTED", "NO_RESPONSE"),
}
OPERATIONS = [
    "EQ",
    "NOT_EQ",
    "GT",
    "GTE",
    "LT",
    "LTE",
    "IN",
    "NOT_IN",
    "BETWEEN",
    "HAS_PROPERTY",
    "NOT_HAS_PROPERTY",
    "CONTAINS",
    "NOT_CONTAINS",
]

# Whatever YAML or JSON can put into `values`.
PLAIN: list[Any] = [
    "",
    "open",
    "2026-11-02",
    "x" * 10_000,
    0,
    -1,
    0.5,
    10**400,
    float("nan"),
    float("inf"),
    True,
    None,
    [],
    {},
    ["open"],
]


def refused(raw: object) -> QueryError:
    with pytest.raises(QueryError) as caught:
        parse_filter(raw)
    return caught.value


def judged(raw: object) -> Filter | QueryError:
    """The filter, or why there is none; any other error is a mistake of ours."""
    try:
        return parse_filter(raw)
    except QueryError as problem:
        return problem


def test_the_properties_are_those_of_the_document() -> None:
    assert list(PROPERTIES) == NAMES
    assert {name: each.values for name, each in PROPERTIES.items() if each.values} == ENUMERATIONS


def test_the_operations_are_those_of_the_document() -> None:
    assert [each.value for each in Operation] == OPERATIONS


@pytest.mark.parametrize("name", NAMES)
def test_a_property_can_be_measured_if_it_is_a_number(name: str) -> None:
    if name in FILTER_ONLY | NOT_NUMBERS:
        with pytest.raises(QueryError, match=f"^{name} is .*, not a number; it can be filtered on but not measured$"):
            find_metric(name)
    else:
        assert find_metric(name) is PROPERTIES[name]
        assert Query((), (name,)).metrics == (name,)


def test_labels_are_for_people_and_differ() -> None:
    labels = [each.label for each in PROPERTIES.values()]
    assert len(set(labels)) == len(labels)
    assert all(label == label.lower() for label in labels)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("timeToAgentResponse", "timeToAgentResponseMillis"),
        ("LASTAGENTID", "lastAgentId"),
        ("lastagent", "lastAgentId"),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_an_unknown_property_is_answered_with_the_one_that_was_meant(word: str, meant: str) -> None:
    with pytest.raises(QueryError, match=f'^there is no property "{word}"$') as caught:
        find_property(word)
    assert (caught.value.path, caught.value.suggestion) == (("property",), meant)


def test_letter_case_does_not_count_in_a_suggestion() -> None:
    assert suggest("OPEN", ("open", "closed")) == "open"
    assert suggest("eq", Operation) == "EQ"
    assert suggest(7, ("open",)) is None


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("NOTIN", "NOT_IN"),
        ("gte", "GTE"),
        ("NOT_HAS", "NOT_HAS_PROPERTY"),
        ("CONTAIN", "CONTAINS"),
        ("NEQ", "NOT_EQ"),
        (">=", "GTE"),
    ],
)
def test_an_unknown_operation_is_answered_with_the_one_that_was_meant(word: str, meant: str | None) -> None:
    with pytest.raises(QueryError, match=f'^there is no operation "{word}"$') as caught:
        parse_operation(word)
    assert (caught.value.path, caught.value.suggestion) == (("operation",), meant)


def test_an_operation_like_no_other_is_answered_with_all_that_there_are() -> None:
    with pytest.raises(QueryError, match=r'there is no operation "~"; there are EQ, NOT_EQ, .* NOT_CONTAINS$'):
        parse_operation("~")


def test_an_unknown_metric_points_at_its_place() -> None:
    with pytest.raises(QueryError) as caught:
        Query((), ("id", "createAt"))
    assert (caught.value.path, caught.value.suggestion) == (("metrics", 1), "createdAt")


@pytest.mark.parametrize(
    ("raw", "message", "path", "suggestion"),
    [
        ("status", "a filter looks like {property: status, operation: EQ, values: [open]}", (), None),
        (None, "a filter looks like {property: status, operation: EQ, values: [open]}", (), None),
        ({"property": "id", "op": "EQ"}, 'a filter has no key "op"', ("op",), "operation"),
        ({"operation": "EQ"}, "a filter needs a property", (), None),
        ({"property": "id"}, "a filter needs a operation", (), None),
        ({"property": 5, "operation": "EQ"}, "a filter needs a property", ("property",), None),
        ({"property": "status", "operation": "EQ", "values": "open"}, "values is a list: [open]", ("values",), None),
        ({"property": "status", "operation": "EQ"}, "EQ takes one value, not 0", (), None),
        ({"property": "status", "operation": "EQ", "values": []}, "EQ takes one value, not 0", (), None),
        (
            {"property": "status", "operation": "EQ", "values": ["open", "closed"]},
            "EQ takes one value, not 2",
            ("values", 1),
            None,
        ),
        ({"property": "id", "operation": "IN", "values": []}, "IN takes at least one value, not 0", (), None),
        ({"property": "id", "operation": "BETWEEN", "values": [1]}, "BETWEEN takes two values, not 1", ("values",), None),
        (
            {"property": "id", "operation": "BETWEEN", "values": [1, 2, 3]},
            "BETWEEN takes two values, not 3",
            ("values", 2),
            None,
        ),
        (
            {"property": "id", "operation": "HAS_PROPERTY", "values": [1]},
            "HAS_PROPERTY takes no values, not 1",
            ("values", 0),
            None,
        ),
        ({"property": "id", "operation": "IN", "values": [1, "2"]}, 'id takes numbers, not "2"', ("values", 1), None),
        ({"property": "id", "operation": "EQ", "values": [True]}, "id takes numbers, not true", ("values", 0), None),
        ({"property": "id", "operation": "EQ", "values": [None]}, "id takes numbers, not null", ("values", 0), None),
        (
            {"property": "cqlScore", "operation": "GT", "values": [float("nan")]},
            "cqlScore takes finite numbers, not nan",
            ("values", 0),
            None,
        ),
        (
            {"property": "offline", "operation": "EQ", "values": ["yes"]},
            'offline is true or false, not "yes"',
            ("values", 0),
            None,
        ),
        ({"property": "offline", "operation": "EQ", "values": [1]}, "offline is true or false, not 1", ("values", 0), None),
        ({"property": "tags", "operation": "EQ", "values": [5]}, "tags takes texts, not 5", ("values", 0), None),
        (
            {"property": "status", "operation": "IN", "values": ["open", "Closed"]},
            'status is one of open, closed, pending, archived, not "Closed"',
            ("values", 1),
            "closed",
        ),
        (
            {"property": "createdAt", "operation": "GT", "values": ["02.11.2026"]},
            'createdAt takes epoch milliseconds or a date like 2026-11-02, not "02.11.2026"',
            ("values", 0),
            None,
        ),
    ],
)
def test_a_filter_that_the_document_does_not_allow_is_told_with_its_place(
    raw: object, message: str, path: tuple[str | int, ...], suggestion: str | None
) -> None:
    problem = refused(raw)
    assert (str(problem), problem.path, problem.suggestion) == (message, path, suggestion)


@pytest.mark.parametrize("day", ["2026-02-30", "2026-13-01", "0000-01-01", "20261102", "2026-11-02T00:00", "2026-11-02\n", ""])
def test_a_day_that_does_not_exist_is_refused(day: str) -> None:
    assert "or a date like 2026-11-02" in str(refused({"property": "createdAt", "operation": "LT", "values": [day]}))


def test_days_and_milliseconds_are_times() -> None:
    found = parse_filter({"property": "firstCloseAt", "operation": "BETWEEN", "values": ["2019-07-22", 1_564_099_200_000]})
    assert found.to_json()["values"] == ["2019-07-22", 1_564_099_200_000]


@pytest.mark.parametrize("operation", ["CONTAINS", "NOT_CONTAINS"])
def test_a_part_of_an_enumerated_value_need_not_be_one(operation: str) -> None:
    assert parse_filter({"property": "botStatus", "operation": operation, "values": ["BOT"]}).values == ("BOT",)


def test_values_may_be_left_empty_where_there_are_none() -> None:
    raw = {"property": "lastAgentId", "operation": "HAS_PROPERTY"}
    assert parse_filter(raw) == parse_filter(raw | {"values": None}) == parse_filter(raw | {"values": []})
    assert parse_filter(raw).to_json() == raw


def test_the_query_of_the_document_is_written_as_it_stands_there() -> None:
    body: dict[str, Any] = {
        "filters": [
            {"property": "lastAgentId", "operation": "HAS_PROPERTY"},
            {"property": "firstCloseAt", "operation": "BETWEEN", "values": ["2019-07-22", "2019-07-26"]},
        ],
        "metrics": ["timeToCloseMillis", "timeToAgentResponseMillis", "firstAgentMessageAt", "relatedPlaybookId"],
    }
    query = Query(tuple(parse_filter(each) for each in body["filters"]), tuple(body["metrics"]))
    assert json.loads(json.dumps(query.to_json())) == body


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", NAMES)
def test_no_values_break_anything(name: str, operation: str) -> None:
    taken = 0
    some = [*PLAIN, *PROPERTIES[name].values]
    for values in ([], *([one] for one in some), *([one, other] for one in some for other in some), [1] * 5, ["open"] * 5):
        found = judged({"property": name, "operation": operation, "values": values})
        if isinstance(found, QueryError):
            assert found.path[:1] in ((), ("values",))
            assert str(found)
        else:
            taken += 1
            assert found.to_json().get("values", []) == list(values)
            assert hash(found) == hash(Filter(name, Operation(operation), tuple(values)))
    assert taken


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5) | st.sampled_from([*NAMES, *OPERATIONS]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.sampled_from(["property", "operation"]), inner)
    ),
    max_leaves=6,
)


@given(junk | st.fixed_dictionaries({"property": junk, "operation": junk}, optional={"values": junk, "x": junk}))
def test_any_junk_is_a_filter_or_a_query_error(raw: object) -> None:
    assert str(judged(raw))


def test_the_kinds_decide_what_a_value_is() -> None:
    good: dict[Kind, Any] = {
        Kind.ID: 671,
        Kind.TIME: "2026-11-02",
        Kind.DURATION: 120_000,
        Kind.NUMBER: 0.5,
        Kind.TEXT: "x",
        Kind.BOOLEAN: False,
        Kind.TAGS: "vip",
    }
    assert set(good) == set(Kind)
    for each in PROPERTIES.values():
        value = each.values[0] if each.values else good[each.kind]
        assert Filter(each.name, Operation.EQ, (value,)).values == (value,)
