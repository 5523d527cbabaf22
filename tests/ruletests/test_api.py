"""The API of a test answers as the sandbox does over HTTP, and fails when the test says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import DAY, MINUTE, SECOND
from alertd.errors import ReportingError, TimedOut, TooManyRequests, Unreachable
from alertd.reporting.decode import decode
from alertd.reporting.query import Filter, Operation, Query
from alertd.ruletests.api import Api, VirtualClock
from alertd.sandbox.answer import answer, answer_table
from alertd.sandbox.traffic import Generated, Traffic
from alertd.testing import START
from tests.ruletests.played import a_case

WORLD = Generated(Traffic(per_day=300, seed=5), START, days=2)
NOTHING = Query((), ())


@given(
    now=st.integers(START - DAY, START),
    score=st.sampled_from([0, 2]),
    metrics=st.lists(st.sampled_from(["createdAt", "cqlScore", "timeToAgentResponseMillis", "lastAgentId"]), unique=True),
)
def test_a_table_made_in_the_process_is_the_one_that_travels_as_bytes(now: int, score: int, metrics: list[str]) -> None:
    query = Query((Filter("cqlScore", Operation.GTE, (score,)),), tuple(metrics))
    snapshot = WORLD.at(now)
    ours, theirs = answer_table(snapshot, query), decode(answer(snapshot, query), query.metrics)
    assert ours.ids.tolist() == theirs.ids.tolist()
    assert {name: repr(column.tolist()) for name, column in ours.columns.items()} == {
        name: repr(column.tolist()) for name, column in theirs.columns.items()
    }


@pytest.mark.parametrize(
    ("what", "problem"), [("timeout", TimedOut), ("error", Unreachable), ("too_many_requests", TooManyRequests)]
)
def test_an_outage_lasts_as_long_as_the_test_says(what: str, problem: type[ReportingError]) -> None:
    case = a_case(f"during: [{{at: 5m, do: {what}, for: 10m}}]\ncalls: 0")
    clock = VirtualClock(case.start)
    api = Api(case, clock)
    outcomes = []
    for minutes in (4, 5, 14, 15):
        clock.reach(case.start + minutes * MINUTE)
        try:
            api.ask(NOTHING)
            outcomes.append(True)
        except problem:
            outcomes.append(False)
    assert outcomes == [True, False, False, True]
    assert api.calls == 4


def test_a_timeout_takes_its_time() -> None:
    case = a_case("during: [{at: 0m, do: timeout, for: 10m}]\ncalls: 0")
    clock = VirtualClock(case.start)
    with pytest.raises(TimedOut):
        Api(case, clock).ask(NOTHING)
    assert clock.uptime() == 10 * SECOND


def test_the_clock_of_a_test_is_never_set_back() -> None:
    clock = VirtualClock(START)
    clock.reach(START + MINUTE)
    clock.reach(START)
    assert (clock.now(), clock.uptime()) == (START + MINUTE, MINUTE)
