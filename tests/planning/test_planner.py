"""Needs and plans: the fewest calls, and for every need the answer that its own query would have got (I2)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE
from alertd.facts import CONVERSATION, Window
from alertd.measures.base import ANSWER_TIME, WAITING_METRICS
from alertd.planning.cutting import Cutter
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.planning.needs import Need, Selection, needs_of
from alertd.planning.planner import CHANGED, Limits, Request, make_plan
from alertd.reporting.predicates import certain
from alertd.reporting.query import Filter, Operation, Query
from alertd.reporting.table import Table
from alertd.testing import FakeApi, FakeClock, a_rule, a_table
from alertd.testing.clock import START

OPEN = Filter("status", Operation.EQ, ("open",))
CLOSED = Filter("status", Operation.EQ, ("closed",))
LEAD = Filter("cqlScore", Operation.GTE, (2,))
SHARE = {"share": {"property": "botStatus", "operation": "EQ", "values": ["NO_RESPONSE"]}}


def a_need(*filters: Filter, length: int = HOUR, metrics: tuple[str, ...] = (), timestamp: str = "createdAt") -> Need:
    local = frozenset(each for each in filters if certain(each))
    selection = Selection(frozenset(filters) - local, local, timestamp, frozenset(metrics))
    return Need(selection, Window(START - length, START, timestamp))


needs = st.builds(
    lambda filters, hours, metrics, by: a_need(*filters, length=hours * HOUR, metrics=tuple(metrics), timestamp=by),
    st.frozensets(st.sampled_from([OPEN, LEAD]), max_size=2),
    st.integers(1, 2),
    st.frozensets(st.sampled_from(["cqlScore", "numAgentMessages", ANSWER_TIME]), max_size=3),
    st.sampled_from(["createdAt", "firstCloseAt"]),
)


def own_query(need: Need) -> Query:
    """What the need asks by itself, written down without the planner."""
    window, selection = need.window, need.selection
    bounds = (
        Filter(window.timestamp, Operation.GTE, (window.start,)),
        Filter(window.timestamp, Operation.LT, (window.end,)),
    )
    return Query((*selection.server, *selection.local, *bounds), tuple(selection.metrics))


def rows(table: Table) -> list[dict[str, float]]:
    names = sorted(table.columns)
    columns = (table.columns[name].tolist() for name in names)
    lines = zip(table.ids.tolist(), *columns, strict=True)
    found = [dict(zip(("conversationId", *names), line, strict=True)) for line in lines]
    return sorted(({k: v for k, v in row.items() if v == v} for row in found), key=lambda row: row["conversationId"])  # noqa: PLR0124 - NaN


def test_a_rule_needs_its_window_its_filters_and_what_its_measure_is_made_of() -> None:
    rule = a_rule(filters=(OPEN, LEAD), window=HOUR, timestamp="firstCloseAt")
    found = needs_of(rule, START)
    window = Window(START - HOUR, START, "firstCloseAt")
    selection = Selection(frozenset({OPEN}), frozenset({LEAD}), "firstCloseAt", frozenset({ANSWER_TIME}))
    assert found.selection == Need(selection, window)
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
    assert needs_of(a_rule(**changes), START).selection.selection.metrics == metrics


def test_a_share_of_texts_needs_its_numerator_too() -> None:
    found = needs_of(a_rule(measure=SHARE, filters=(OPEN,), by="lastAgentId"), START)
    numerator = Filter("botStatus", Operation.EQ, ("NO_RESPONSE",))
    selection = Selection(frozenset({OPEN, numerator}), frozenset(), "createdAt", frozenset())
    assert found.numerator == Need(selection, found.selection.window)


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


@pytest.mark.parametrize("other", [a_need(LEAD), a_need(), a_need(OPEN, timestamp="firstCloseAt"), a_need(CLOSED)])
def test_needs_that_ask_something_else_of_the_server_are_not_fused(other: Need) -> None:
    assert len(make_plan([a_need(OPEN), other], limits=Limits(most_calls=1)).requests) == 2


@pytest.mark.parametrize("other", [a_need(OPEN, LEAD), a_need(OPEN, length=2 * HOUR), a_need(OPEN, metrics=("cqlScore",))])
def test_needs_that_differ_in_what_we_can_judge_ourselves_are_one_request(other: Need) -> None:
    assert len(make_plan([a_need(OPEN), other]).requests) == 1


@given(st.lists(needs, max_size=12))
@settings(deadline=None)
def test_every_need_is_answered_and_no_request_is_in_vain(wanted: list[Need]) -> None:
    plan = make_plan(wanted)
    assert set(plan.answered_by) == set(wanted)
    assert set(plan.answered_by.values()) == set(plan.requests)
    assert len(plan.requests) == len({(need.selection.server, need.selection.timestamp) for need in wanted})
    for need, request in plan.answered_by.items():
        selection, window = need.selection, need.window
        assert selection.server <= request.filters <= selection.server | selection.local
        assert request.window.start <= window.start < window.end <= request.window.end
        assert request.window.timestamp == window.timestamp == selection.timestamp
        assert selection.metrics <= request.metrics
    for request in plan.requests:
        answered = [need for need, by in plan.answered_by.items() if by == request]
        judged = {each.property for need in answered for each in need.selection.local - request.filters}
        cut = {need.window.timestamp for need in answered if need.window != request.window}
        used = judged | cut | ({CHANGED} if judged | cut else set())
        assert request.metrics == frozenset().union(*(need.selection.metrics for need in answered), used)


@given(st.permutations([a_need(OPEN), a_need(LEAD, metrics=("cqlScore",)), a_need(OPEN, metrics=(ANSWER_TIME,)), a_need()]))
@settings(deadline=None)
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
    cutter = Cutter(make_plan([a_need(metrics=("cqlScore", "numAgentMessages"))]).requests[0], table)
    assert list(cutter.cut(a_need(metrics=("cqlScore",))).columns) == ["cqlScore"]
    nothing = cutter.cut(a_need())
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
@settings(deadline=None)
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
    answers = {request: Cutter(request, api.ask(request.query())) for request in plan.requests}
    for need in wanted:
        assert rows(answers[plan.answered_by[need]].cut(need)) == rows(api.ask(own_query(need)))


def agents(count: int, rate: float) -> tuple[list[Need], Knowledge]:
    """A need a day long for each of so many agents; the team as a whole has 70 conversations a minute."""
    alike = [Filter("lastAgentId", Operation.EQ, (number,)) for number in range(count)]
    lessons = {frozenset({each}): Lesson(rate=rate) for each in alike}
    return [a_need(each, length=DAY) for each in alike], Knowledge({frozenset(): Lesson(rate=70)} | lessons)


def test_what_costs_many_more_rows_is_asked_separately_while_there_are_calls_for_it() -> None:
    wanted, knowledge = agents(40, rate=0.5)
    assert len(make_plan(wanted, knowledge, Limits(most_calls=40)).requests) == 40
    assert len(make_plan(wanted, knowledge, Limits(most_calls=39)).requests) == 1


def test_one_request_for_all_is_found_where_no_two_of_them_would_share_one() -> None:
    wanted, knowledge = agents(100, rate=0.6)
    assert len(make_plan(wanted[:2], knowledge).requests) == 2  # 100,800 rows instead of 1,728
    assert len(make_plan(wanted, knowledge).requests) == 1  # 100,800 rows instead of 86,400


def test_a_thousand_needs_that_may_not_share_freely_are_planned_without_comparing_all_with_all() -> None:
    wanted, knowledge = agents(1_000, rate=0.01)
    looked: list[object] = []

    class Counting(Knowledge):
        def rows(self, filters: frozenset[Filter], window: Window) -> float:
            looked.append(filters)
            return super().rows(filters, window)

    assert len(make_plan(wanted, Counting(knowledge.lessons), Limits(most_calls=54)).requests) == 1
    assert len(looked) < 20_000


def test_more_calls_than_there_are_leave_each_kind_of_question_its_request() -> None:
    statuses = [Filter("status", Operation.EQ, (each,)) for each in ("open", "closed", "pending", "archived")]
    wanted = [a_need(each, *rest) for each in statuses for rest in ((), (LEAD,))]
    assert len(make_plan(wanted, limits=Limits(most_calls=1)).requests) == 4


def test_a_window_that_takes_several_calls_counts_with_all_of_them() -> None:
    narrow, wide = a_need(LEAD, length=HOUR), a_need(length=DAY)
    knowledge = Knowledge({frozenset(): Lesson(rate=1, bears=DAY // 4), frozenset({LEAD}): Lesson(rate=1, bears=DAY)})
    assert knowledge.calls(frozenset(), wide.window) == 4
    assert len(make_plan([narrow, wide], knowledge).requests) == 1  # four calls instead of five
    later = Need(narrow.selection, Window(START, START + DAY))
    assert len(make_plan([later, wide], knowledge).requests) == 2  # five calls instead of eight
