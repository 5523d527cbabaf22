"""The audit: a shared answer that is not what the own query brings is seen, believed the second time, and told once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.errors import BadQuery, TimedOut
from alertd.planning.asking import Asking
from alertd.planning.audit import Audit, Difference, differing
from alertd.planning.cutting import Cutter
from alertd.planning.demand import Wanted
from alertd.planning.fetching import Source
from alertd.planning.knowledge import Knowledge
from alertd.planning.needs import Need, needs_of
from alertd.planning.planner import CHANGED, Limits, Request, alone, make_plan
from alertd.reporting.budget import Slot
from alertd.reporting.query import Filter, Operation, Query
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.store.tables import slots
from alertd.testing import START, FakeApi, FakeClock, a_rule, a_source, a_table
from tests.planning.test_fusion import needs, worlds

LEAD = Filter("cqlScore", Operation.GTE, (2,))
RULES = (
    a_rule(id="lead", measure="count", filters=(LEAD,)),
    a_rule(id="all", measure="count", window=DAY),
    a_rule(id="short", measure="count", window=30 * MINUTE),
)


@pytest.fixture(scope="module")
def opened() -> Iterator[Database]:
    found = open_database("sqlite://")
    yield found
    found.close()


@pytest.fixture
def database(opened: Database) -> Database:
    with opened.write() as transaction:
        transaction.execute(sa.delete(slots))
    return opened


class Wrong(FakeApi):
    """An API that gets `wrong` rows wrong in answers to shared requests, which do not carry the filter on the score."""

    change: Callable[[Table], Table] = staticmethod(lambda table: table)

    def ask(self, query: Query) -> Table:
        table = super().ask(query)
        return self.change(table) if LEAD not in query.filters and "cqlScore" in query.metrics else table


def lower_scores(table: Table) -> Table:
    return replace(table, columns={**table.columns, "cqlScore": table.columns["cqlScore"] - 1})


def higher_scores(table: Table) -> Table:
    return replace(table, columns={**table.columns, "cqlScore": table.columns["cqlScore"] + 1})


def an_api(
    change: Callable[[Table], Table] = lambda table: table, *, changed: int = START - HOUR, clock: FakeClock | None = None
) -> Wrong:
    api = Wrong(clock or FakeClock())
    api.change = change
    for number in range(40):
        api.add(START - number * MINUTE - 1, cqlScore=number % 4, updatedAt=changed)
    return api


def asked(source: Source, rules: Sequence[Rule] = RULES) -> Asking:
    """A tick's plan, answered."""
    asking = Asking(source, [Wanted(rule, START) for rule in rules])
    list(asking.answers())
    return asking


def looks(source: Source, audit: Audit, times: int = 40) -> list[Difference]:
    """What the audit tells in so many ticks."""
    return [found for _ in range(times) if (found := audit.look(asked(source), START))]


@pytest.mark.parametrize("change", [higher_scores, lower_scores])
def test_a_difference_is_told_once_and_that_selection_is_asked_by_itself_from_then_on(
    database: Database, change: Callable[[Table], Table]
) -> None:
    api = an_api(change)
    source = a_source(api.ask, database, FakeClock())
    audit, lead = Audit(source, random.Random(1)), needs_of(RULES[0], START).selection
    with capture_logs() as logs:
        (told,) = looks(source, audit)
    assert audit.differences == [told]
    assert told.selection == lead.selection
    assert LEAD not in told.fused.filters
    assert LEAD in told.separate.filters
    assert len(told.conversations) > 0
    (line,) = [each for each in logs if each["log_level"] == "error"]
    assert (line["shared"], line["separate"]) == (told.fused.query().to_json(), told.separate.query().to_json())
    assert asked(source).plan.answered_by[lead] == alone(lead)


def test_a_difference_that_is_seen_once_is_not_believed(database: Database) -> None:
    api = an_api(lower_scores)
    source = a_source(api.ask, database, FakeClock())
    audit, lead = Audit(source, random.Random(1)), needs_of(RULES[0], START).selection
    before = len(api.asked)
    while not any(LEAD in query.filters for query in api.asked[before:]):
        assert audit.look(asked(source), START) is None
    api.change = lambda table: table
    assert looks(source, audit) == []
    assert asked(source).plan.answered_by[lead] != alone(lead)


def test_after_a_new_rulebook_a_difference_is_told_again(database: Database) -> None:
    api = an_api(lower_scores)
    source = a_source(api.ask, database, FakeClock())
    audit = Audit(source, random.Random(1))
    assert len(looks(source, audit)) == 1
    audit.new_rulebook()
    source.knowledge.new_rulebook()
    assert audit.differences == []
    assert len(looks(source, audit)) == 1


@pytest.mark.parametrize("changed", [START - MINUTE, START, None])
def test_what_changed_shortly_before_or_after_the_first_call_is_not_compared(database: Database, changed: int | None) -> None:
    api = an_api(lower_scores, changed=changed)  # type: ignore[arg-type]  # absent, which the API may do
    source = a_source(api.ask, database, FakeClock())
    assert looks(source, Audit(source, random.Random(1))) == []


@pytest.mark.parametrize("score", [0, 3])
def test_conversations_that_change_between_the_calls_do_not_count(database: Database, score: int) -> None:
    """They come into the selection, or leave it: then only the first answer has them, as they were before."""
    clock = FakeClock()
    api = an_api(clock=clock)
    source = a_source(api.ask, database, clock)
    audit = Audit(source, random.Random(1))
    for row in api.conversations:
        asking = asked(source)
        clock.advance(SECOND)
        row |= {"cqlScore": score, "updatedAt": clock.now()}
        assert audit.look(asking, START) is None
    assert audit.differences == []


def test_a_conversation_that_the_api_shows_late_does_not_count(database: Database) -> None:
    api = an_api()
    source = a_source(api.ask, database, FakeClock())
    audit = Audit(source, random.Random(1))
    for _ in range(20):
        asking = asked(source)
        api.add(START - HOUR + 1, cqlScore=3, updatedAt=START - HOUR)
        assert audit.look(asking, START) is None
    assert audit.differences == []


def test_without_calls_to_spare_nothing_is_asked(database: Database) -> None:
    api = an_api(lower_scores)
    source = a_source(api.ask, database, FakeClock(), calls_per_minute=10)
    asking = asked(source)
    for _ in range(4):
        assert isinstance(source.budget.borrow(MINUTE), Slot)
    before = len(api.asked)
    assert source.budget.state().free == 5
    assert Audit(source, random.Random(1)).look(asking, START) is None
    assert len(api.asked) == before


def test_where_nothing_was_shared_nothing_is_asked(database: Database) -> None:
    api = an_api()
    source = a_source(api.ask, database, FakeClock())
    asking = asked(source, [RULES[0]])
    assert Audit(source, random.Random(1)).look(asking, START) is None
    assert len(api.asked) == 1


@pytest.mark.parametrize("problem", [TimedOut("slow"), BadQuery("bad")])
def test_an_audit_without_an_answer_says_nothing(database: Database, problem: TimedOut | BadQuery) -> None:
    api = an_api(lower_scores)
    source = a_source(api.ask, database, FakeClock())
    audit = Audit(source, random.Random(1))
    for _ in range(5):
        asking = asked(source)
        api.refuses = lambda _query: problem
        assert audit.look(asking, START) is None
        api.refuses = lambda _query: None


def test_what_had_to_be_taken_apart_is_not_audited(database: Database) -> None:
    api = an_api()
    source = a_source(api.ask, database, FakeClock())
    bad = a_rule(id="bad", measure={"max": "timeToCloseMillis"}, window=2 * HOUR)
    api.refuses = lambda query: BadQuery("bad") if "timeToCloseMillis" in query.metrics else None
    asking = asked(source, [RULES[0], bad])
    before = len(api.asked)
    assert Audit(source, random.Random(1)).look(asking, START) is None
    assert len(api.asked) == before


@given(st.lists(needs(), min_size=2, max_size=10), worlds(), st.sampled_from((None, 1)))
@settings(max_examples=60, deadline=None)
def test_an_api_that_is_right_never_differs(wanted: list[Need], world: list[dict[str, Any]], most_calls: int | None) -> None:
    api = FakeApi(FakeClock(START + DAY), world)
    plan = make_plan(wanted, Knowledge(), Limits(most_calls=most_calls))
    for need, request in plan.answered_by.items():
        if CHANGED in request.metrics:
            own = alone(need)
            separate = api.ask(Request(own.filters, own.window, own.metrics | {CHANGED}).query())
            shared = Cutter(request, api.ask(request.query())).cut(need, also=frozenset({CHANGED}))
            assert differing(shared, separate, START + 2 * DAY) == ()


def test_differences_are_told_by_conversation() -> None:
    one = a_table(ids=[1, 2, 3, 4, 5], cqlScore=[1, None, 3, 4, 5], updatedAt=[0, 0, 0, 0, 99])
    other = a_table(ids=[6, 5, 4, 3, 2], cqlScore=[1, 9, None, 3, None], updatedAt=[0, 99, 0, 0, 0])
    assert differing(one, other, 50) == (1, 4, 6)
