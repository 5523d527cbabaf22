"""Needs and plans: the fewest calls, and for every need the answer that its own query would have got (I2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE
from alertd.facts import CONVERSATION, Window
from alertd.measures.base import ANSWER_TIME, WAITING_METRICS
from alertd.planning.needs import Need, needs_of
from alertd.planning.planner import Request, cut, make_plan
from alertd.reporting.query import Filter, Operation, Query
from alertd.reporting.table import Table
from alertd.testing import FakeApi, FakeClock, a_rule, a_table
from alertd.testing.clock import START

OPEN = Filter("status", Operation.EQ, ("open",))
LEAD = Filter("cqlScore", Operation.GTE, (2,))
SHARE = {"share": {"property": "botStatus", "operation": "EQ", "values": ["NO_RESPONSE"]}}

needs = st.builds(
    Need,
    st.frozensets(st.sampled_from([OPEN, LEAD]), max_size=2),
    st.builds(
        lambda hours, by: Window(START - hours * HOUR, START, by),
        st.integers(1, 2),
        st.sampled_from(["createdAt", "firstCloseAt"]),
    ),
    st.frozensets(st.sampled_from(["cqlScore", "numAgentMessages", ANSWER_TIME]), max_size=3),
)


def a_need(*filters: Filter, length: int = HOUR, metrics: tuple[str, ...] = (), timestamp: str = "createdAt") -> Need:
    return Need(frozenset(filters), Window(START - length, START, timestamp), frozenset(metrics))


def rows(table: Table) -> list[dict[str, float]]:
    names = sorted(table.columns)
    columns = (table.columns[name].tolist() for name in names)
    lines = zip(table.ids.tolist(), *columns, strict=True)
    found = [dict(zip(("conversationId", *names), line, strict=True)) for line in lines]
    return sorted(({k: v for k, v in row.items() if v == v} for row in found), key=lambda row: row["conversationId"])  # noqa: PLR0124 - NaN


def test_a_rule_needs_its_window_its_filters_and_what_its_measure_is_made_of() -> None:
    rule = a_rule(filters=(OPEN, LEAD), window=HOUR, timestamp="firstCloseAt")
    found = needs_of(rule, START)
    assert found.selection == Need(
        frozenset({OPEN, LEAD}), Window(START - HOUR, START, "firstCloseAt"), frozenset({ANSWER_TIME})
    )
    assert found.numerator is None


@pytest.mark.parametrize(
    ("changes", "metrics"),
    [
        ({"measure": "count"}, set()),
        ({"measure": "count", "by": "lastAgentId"}, {"lastAgentId"}),
        ({"measure": "count", "by": CONVERSATION}, set()),
        ({"measure": "waiting"}, set(WAITING_METRICS)),
        ({"measure": {"median": ANSWER_TIME}, "as_waited": True}, set(WAITING_METRICS)),
        ({"measure": {"median": "timeToCloseMillis"}}, {"timeToCloseMillis"}),
        ({"measure": SHARE}, set()),
        ({"measure": {"share": {"property": ANSWER_TIME, "operation": "LTE", "values": [5]}}}, {ANSWER_TIME}),
    ],
)
def test_a_rule_needs_no_metric_more_than_it_uses(changes: dict[str, Any], metrics: set[str]) -> None:
    assert needs_of(a_rule(**changes), START).selection.metrics == metrics


def test_a_share_of_texts_needs_its_numerator_too() -> None:
    found = needs_of(a_rule(measure=SHARE, filters=(OPEN,), by="lastAgentId"), START)
    numerator = Filter("botStatus", Operation.EQ, ("NO_RESPONSE",))
    assert found.numerator == Need(frozenset({OPEN, numerator}), found.selection.window, frozenset())


def test_a_share_of_what_is_selected_anyway_asks_once() -> None:
    selected = Filter("botStatus", Operation.EQ, ("NO_RESPONSE",))
    found = needs_of(a_rule(measure=SHARE, filters=(selected,), by="lastAgentId"), START)
    assert found.numerator is not None
    assert len(make_plan([found.selection, found.numerator]).requests) == 1


def test_equal_needs_are_one_request() -> None:
    plan = make_plan([a_need(OPEN, metrics=("cqlScore",)) for _ in range(3)])
    assert plan.requests == (Request(frozenset({OPEN}), Window(START - HOUR, START), frozenset({"cqlScore"})),)


def test_needs_that_differ_in_their_metrics_alone_are_one_request_for_all_of_them() -> None:
    plan = make_plan([a_need(metrics=("cqlScore",)), a_need(metrics=("numAgentMessages",)), a_need()])
    assert [request.metrics for request in plan.requests] == [{"cqlScore", "numAgentMessages"}]


@pytest.mark.parametrize(
    "other", [a_need(LEAD), a_need(), a_need(OPEN, length=2 * HOUR), a_need(OPEN, timestamp="firstCloseAt")]
)
def test_needs_that_ask_for_other_conversations_are_not_fused(other: Need) -> None:
    assert len(make_plan([a_need(OPEN), other]).requests) == 2


@given(st.lists(needs, max_size=12))
def test_every_need_is_answered_and_no_request_is_in_vain(wanted: list[Need]) -> None:
    plan = make_plan(wanted)
    assert set(plan.answered_by) == set(wanted)
    assert set(plan.answered_by.values()) == set(plan.requests)
    assert len(plan.requests) == len({(need.filters, need.window) for need in wanted})
    for need, request in plan.answered_by.items():
        assert (need.filters, need.window) == (request.filters, request.window)
        assert need.metrics <= request.metrics
    for request in plan.requests:
        asked_for = [need.metrics for need, by in plan.answered_by.items() if by == request]
        assert request.metrics == frozenset().union(*asked_for)


@given(st.permutations([a_need(OPEN), a_need(LEAD, metrics=("cqlScore",)), a_need(OPEN, metrics=(ANSWER_TIME,)), a_need()]))
def test_the_order_of_needs_changes_no_request(wanted: list[Need]) -> None:
    assert set(make_plan(wanted).requests) == set(make_plan(reversed(wanted)).requests)


def test_the_order_of_filters_changes_nothing() -> None:
    several = (OPEN, LEAD, Filter("tags", Operation.CONTAINS, ("vip",)))
    plans = [
        make_plan([needs_of(a_rule(filters=order), START).selection]).requests for order in itertools.permutations(several)
    ]
    assert len(set(plans)) == 1
    assert len({request.query() for plan in plans for request in plan}) == 1


def test_a_window_goes_as_gte_and_lt_in_milliseconds() -> None:
    request = Request(frozenset({OPEN}), Window(START - HOUR, START, "firstCloseAt"), frozenset({"cqlScore", ANSWER_TIME}))
    assert request.query().to_json() == {
        "filters": [
            {"property": "status", "operation": "EQ", "values": ["open"]},
            {"property": "firstCloseAt", "operation": "GTE", "values": [START - HOUR]},
            {"property": "firstCloseAt", "operation": "LT", "values": [START]},
        ],
        "metrics": ["cqlScore", ANSWER_TIME],
    }


def test_a_slice_asks_the_same_of_less_time() -> None:
    request = Request(frozenset({OPEN}), Window(START - HOUR, START), frozenset({"cqlScore"}))
    piece = request.query(Window(START - HOUR, START - HOUR // 2))
    assert piece.metrics == request.query().metrics
    assert [each.values for each in piece.filters] == [("open",), (START - HOUR,), (START - HOUR // 2,)]


def test_a_filter_on_the_windows_own_property_stays_beside_it() -> None:
    own = Filter("createdAt", Operation.GTE, (START - MINUTE,))
    query = Request(frozenset({own}), Window(START - HOUR, START), frozenset()).query()
    assert [each.values for each in query.filters] == [(START - MINUTE,), (START - HOUR,), (START,)]


def test_a_need_gets_its_own_metrics_and_no_others() -> None:
    table = a_table(cqlScore=[1], numAgentMessages=[2])
    assert list(cut(a_need(metrics=("cqlScore",)), table).columns) == ["cqlScore"]
    nothing = cut(a_need(), table)
    assert (len(nothing), dict(nothing.columns)) == (1, {})


@given(
    st.lists(needs, min_size=1, max_size=6),
    st.lists(
        st.fixed_dictionaries(
            {"ago": st.sampled_from([0, 1, MINUTE, HOUR - 1, HOUR, HOUR + 1, 2 * HOUR, 3 * HOUR])},
            optional={
                "cqlScore": st.integers(-1, 3),
                "timeToAgentResponseMillis": st.integers(0, 5),
                "status": st.sampled_from(["open", "closed"]),
                "closed": st.sampled_from([1, HOUR, 2 * HOUR]),
            },
        ),
        max_size=10,
    ),
)
def test_a_need_cut_out_of_a_plan_is_what_its_own_query_would_have_got(
    wanted: list[Need], conversations: list[dict[str, Any]]
) -> None:
    api = FakeApi(FakeClock())
    for each in conversations:
        values = dict(each)
        created = START - values.pop("ago")
        closed = values.pop("closed", None)
        api.add(created, **values, firstCloseAt=None if closed is None else START - closed)
    plan = make_plan(wanted)
    answers = {request: api.ask(request.query()) for request in plan.requests}
    for need in wanted:
        window = need.window
        bounds = (
            Filter(window.timestamp, Operation.GTE, (window.start,)),
            Filter(window.timestamp, Operation.LT, (window.end,)),
        )
        alone = api.ask(Query((*need.filters, *bounds), tuple(need.metrics)))
        assert rows(cut(need, answers[plan.answered_by[need]])) == rows(alone)
