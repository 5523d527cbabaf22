"""I2: what is cut out of a shared request is, row for row, what the need's own query would have brought."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE
from alertd.facts import Window
from alertd.planning.cutting import Cutter
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.planning.needs import Need, Selection
from alertd.planning.planner import Limits, Plan, alone, make_plan
from alertd.reporting.predicates import certain
from alertd.reporting.query import Filter, Operation
from alertd.reporting.table import Table
from alertd.testing import FakeApi, FakeClock
from alertd.testing.clock import START

_SERVER = (
    Filter("status", Operation.EQ, ("open",)),
    Filter("botStatus", Operation.NOT_EQ, ("BOT_ONLY",)),
    Filter("cqlScore", Operation.BETWEEN, (0, 2)),
    Filter("numAgentMessages", Operation.NOT_HAS_PROPERTY),
)
_LOCAL = (
    Filter("cqlScore", Operation.GTE, (2,)),
    Filter("cqlScore", Operation.EQ, (0,)),
    Filter("lastAgentId", Operation.EQ, (7,)),
    Filter("lastAgentId", Operation.IN, (7, 8)),
    Filter("lastAgentId", Operation.HAS_PROPERTY),
    Filter("numEndUserMessages", Operation.GT, (1,)),
    Filter("timeToAgentResponseMillis", Operation.LTE, (90_000,)),
    Filter("firstCloseAt", Operation.LT, (START - HOUR,)),
)
_METRICS = ("timeToAgentResponseMillis", "lastAgentId", "cqlScore", "numEndUserMessages", "firstCloseAt", "createdAt")


@st.composite
def needs(draw: st.DrawFn) -> Need:
    """Any need; few possibilities each, so that they meet."""
    server = draw(st.frozensets(st.sampled_from(_SERVER), max_size=1))
    local = draw(st.frozensets(st.sampled_from(_LOCAL), max_size=2))
    timestamp = draw(st.sampled_from(("createdAt", "createdAt", "createdAt", "firstCloseAt")))
    metrics = draw(st.frozensets(st.sampled_from(_METRICS), max_size=3))
    end = START - draw(st.sampled_from((0, 0, 30_000, DAY)))
    length = draw(st.sampled_from((15 * MINUTE, HOUR, DAY)))
    return Need(Selection(server, local, timestamp, metrics), Window(end - length, end, timestamp))


def a_conversation(draw: st.DrawFn, number: int) -> dict[str, Any]:
    created = START - draw(st.integers(0, 2 * DAY))
    row: dict[str, Any] = {
        "id": number,
        "createdAt": created,
        "updatedAt": created,
        "status": draw(st.sampled_from(("open", "closed"))),
    }
    optional: dict[str, st.SearchStrategy[Any]] = {
        "cqlScore": st.integers(-1, 3),
        "lastAgentId": st.sampled_from((7, 8, 9)),
        "firstAgentMessageAt": st.integers(created, created + HOUR),
        "numEndUserMessages": st.integers(0, 3),
        "firstEndUserMessageAt": st.just(created),
        "timeToAgentResponseMillis": st.integers(0, 180_000),
        "firstCloseAt": st.integers(created, created + 2 * HOUR),
        "botStatus": st.sampled_from(("BOT_ONLY", "HUMAN_ONLY", "NO_RESPONSE")),
    }
    return row | {name: draw(values) for name, values in optional.items() if draw(st.booleans())}


@st.composite
def worlds(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A few dozen conversations of the last two days, with any of their values missing."""
    return [a_conversation(draw, number) for number in range(1, draw(st.integers(0, 25)) + 1)]


def rows(table: Table) -> dict[int, dict[str, str]]:
    """A table as plain values; as texts, so that NaN equals NaN."""
    return {
        int(number): {name: str(column[place]) for name, column in table.columns.items()}
        for place, number in enumerate(table.ids)
    }


def fused(plan: Plan, need: Need, api: FakeApi, cutters: dict[Any, Cutter]) -> Table:
    request = plan.answered_by[need]
    if request not in cutters:
        cutters[request] = Cutter(request, api.ask(request.query()))
    return cutters[request].cut(need)


@given(st.lists(needs(), min_size=1, max_size=12), worlds(), st.sampled_from((0, 3, 20_000)), st.sampled_from((None, 1, 3)))
@settings(max_examples=150, deadline=None)
def test_what_is_cut_out_equals_what_the_own_query_brings(
    wanted: list[Need], world: list[dict[str, Any]], most_extra: int, most_calls: int | None
) -> None:
    api, cutters = FakeApi(FakeClock(START + DAY), world), dict[Any, Cutter]()
    plan = make_plan(wanted, Knowledge(), Limits(most_extra, most_calls))
    for need in wanted:
        assert rows(fused(plan, need, api, cutters)) == rows(api.ask(alone(need).query()))


@given(st.lists(needs(), min_size=1, max_size=30))
@settings(deadline=None)
def test_only_needs_that_ask_the_same_of_the_server_share_a_request(wanted: list[Need]) -> None:
    plan = make_plan(wanted, limits=Limits(most_calls=1))
    for need, request in plan.answered_by.items():
        assert need.selection.server == frozenset(each for each in request.filters if not certain(each))
        assert need.window.timestamp == request.window.timestamp


@given(st.lists(needs(), min_size=1, max_size=30))
@settings(deadline=None)
def test_fusing_never_takes_more_calls_than_asking_each_by_itself(wanted: list[Need]) -> None:
    separate = {alone(need) for need in wanted}
    assert len(make_plan(wanted).requests) <= len(separate)


def a_need(*local: Filter, hours: int = 1, metric: str = "cqlScore", server: frozenset[Filter] = frozenset()) -> Need:
    return Need(Selection(server, frozenset(local), "createdAt", frozenset({metric})), Window(START - hours * HOUR, START))


def test_windows_that_nest_share_one_request_over_the_longest() -> None:
    plan = make_plan([a_need(hours=hours) for hours in (1, 4, 24)])
    assert [request.window.length for request in plan.requests] == [DAY]


def test_a_common_predicate_stays_in_the_query() -> None:
    common, one, other = _LOCAL[0], _LOCAL[2], _LOCAL[5]
    plan = make_plan([a_need(common, one), a_need(common, other)])
    assert [request.filters for request in plan.requests] == [frozenset({common})]


def test_needs_stay_apart_where_sharing_would_bring_many_more_rows() -> None:
    narrow = a_need(_LOCAL[2], hours=24)
    wide = a_need(hours=1)
    knowledge = Knowledge({frozenset(): Lesson(rate=1_000), frozenset({_LOCAL[2]}): Lesson(rate=1)})
    assert len(make_plan([narrow, wide], knowledge).requests) == 2
    assert len(make_plan([narrow, wide], knowledge, Limits(most_calls=1)).requests) == 1


def test_a_selection_that_is_kept_apart_is_asked_as_it_stands() -> None:
    knowledge, one, other = Knowledge(), a_need(_LOCAL[0]), a_need(_LOCAL[2])
    knowledge.keep_apart(one.selection)
    plan = make_plan([one, other], knowledge)
    assert plan.answered_by[one] == alone(one)
    assert plan.answered_by[other] != alone(one)


def test_a_window_that_failed_is_asked_in_halves_and_grows_back_slowly() -> None:
    knowledge, window = Knowledge(), Window(START - DAY, START)
    knowledge.failed(frozenset(), window)
    halves = knowledge.slices(frozenset(), window)
    assert [each.length for each in halves] == [DAY // 2, DAY // 2]
    assert halves[0].end == halves[1].start
    for _ in range(20):
        knowledge.answered(frozenset(), halves[0], 10)
    assert knowledge.lessons[frozenset()].bears == DAY * 5 // 8
