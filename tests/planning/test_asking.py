"""From rules to their answers: one plan, taken apart where the API refuses it, as urgent as its most demanding rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.errors import BadQuery, ReportingError, TimedOut
from alertd.facts import Level, Window
from alertd.planning.asking import Answers, Asking
from alertd.planning.demand import Urgency, Wanted, affordable
from alertd.planning.fetching import Answer, Order, Source
from alertd.planning.needs import needs_of
from alertd.planning.planner import Request, alone
from alertd.reporting.query import Filter, Operation, Query
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.store.tables import slots
from alertd.testing import START, FakeApi, FakeClock, a_rule, a_source

OPEN = Filter("status", Operation.EQ, ("open",))
METRICS = ("cqlScore", "numAgentMessages", "numEndUserMessages", "timeToCloseMillis", "timeToAgentResponseMillis")


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


def an_api(clock: FakeClock) -> FakeApi:
    api = FakeApi(clock)
    for number in range(60):
        api.add(START - number * MINUTE - 1, cqlScore=number % 4, lastAgentId=number % 40, status="open", updatedAt=START - DAY)
    return api


def ask(source: Source, rules: Sequence[Rule]) -> dict[str, Answers]:
    """Each rule with its answers, every one once."""
    answers = list(Asking(source, [Wanted(rule, START) for rule in rules]).answers())
    assert sorted(rule for rule, _ in answers) == sorted(rule.id for rule in rules)
    return dict(answers)


def failed(answers: dict[str, Answers]) -> set[str]:
    return {rule for rule, each in answers.items() if each.problem}


def by_metric(*metrics: str) -> list[Rule]:
    return [a_rule(id=metric, measure={"max": metric}) for metric in metrics]


def by_agent(count: int) -> list[Rule]:
    """Rules that differ in a filter which we judge ourselves; one rule has none, so that all share one request."""
    filters = [Filter("lastAgentId", Operation.EQ, (number,)) for number in range(1, count)]
    return [
        a_rule(id="all", measure="count"),
        *(a_rule(id=f"{n}", measure="count", filters=(each,)) for n, each in enumerate(filters)),
    ]


def refusing(spoils: Callable[[Query], bool]) -> Callable[[Query], ReportingError | None]:
    return lambda query: BadQuery("check query formatting") if spoils(query) else None


def test_a_metric_that_the_api_refuses_costs_its_rule_alone_and_is_asked_apart_next_time(database: Database) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), by_metric(*METRICS)
    api.refuses = refusing(lambda query: "timeToCloseMillis" in query.metrics)
    source = a_source(api.ask, database, clock)
    assert failed(ask(source, rules)) == {"timeToCloseMillis"}
    api.asked.clear()
    assert failed(ask(source, rules)) == {"timeToCloseMillis"}
    assert sorted(len(query.metrics) for query in api.asked) == [1, len(METRICS) - 1]


def test_a_filter_that_the_api_refuses_costs_its_rule_alone_and_is_asked_apart_next_time(database: Database) -> None:
    clock = FakeClock()
    contains = Filter("tags", Operation.CONTAINS, ("vip",))
    rules = [a_rule(id="bad", filters=(contains,)), a_rule(id="good", filters=(OPEN,)), a_rule(id="agent", by="lastAgentId")]
    api = an_api(clock)
    api.refuses = refusing(lambda query: contains in query.filters)
    source = a_source(api.ask, database, clock)
    assert failed(ask(source, rules)) == {"bad"}
    assert len(api.asked) == 3  # it shared no request, so that nothing had to be taken apart
    lead = Filter("cqlScore", Operation.GTE, (2,))
    mixed = [a_rule(id="lead", measure="count", filters=(lead,)), *rules]
    api.refuses = refusing(lambda query: "cqlScore" in {*query.metrics, *(each.property for each in query.filters)})
    assert failed(ask(source, mixed)) == {"lead"}
    api.asked.clear()
    assert failed(ask(source, mixed)) == {"lead"}
    assert len(api.asked) == 4


def test_a_new_rulebook_may_share_requests_again(database: Database) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), by_metric(*METRICS)
    api.refuses = refusing(lambda query: "timeToCloseMillis" in query.metrics)
    source = a_source(api.ask, database, clock)
    ask(source, rules)
    source.knowledge.new_rulebook()
    api.refuses = lambda _query: None
    api.asked.clear()
    ask(source, rules)
    assert len(api.asked) == 1


@pytest.mark.parametrize("count", [2, 30, 300])
def test_one_rule_among_hundreds_is_found_in_a_few_calls(database: Database, count: int) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), [*by_agent(count), a_rule(id="bad", measure={"max": "timeToCloseMillis"})]
    api.refuses = refusing(lambda query: "timeToCloseMillis" in query.metrics)
    source = a_source(api.ask, database, clock)
    assert failed(ask(source, rules)) == {"bad"}
    assert len(api.asked) <= 1 + 2 * math.ceil(math.log2(count + 1))


@given(st.sets(st.integers(0, 19)), st.sets(st.sampled_from(METRICS), max_size=2))
@settings(max_examples=40, deadline=None)
def test_whatever_is_refused_costs_exactly_the_rules_whose_own_query_is_refused(
    opened: Database, agents: set[int], metrics: set[str]
) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), [*by_agent(20), *by_metric(*METRICS)]
    bad = {Filter("lastAgentId", Operation.EQ, (number,)) for number in agents}
    # In a shared request the filter on the agent becomes a metric: refuse that whenever any of those is refused.
    spoilt = {*metrics, *(["lastAgentId"] if bad else [])}
    api.refuses = refusing(lambda query: bool(bad & set(query.filters) or spoilt & set(query.metrics)))
    own = {rule.id for rule in rules if api.refuses(alone(needs_of(rule, START).selection).query())}
    assert failed(ask(a_source(api.ask, opened, clock), rules)) == own


def test_answers_are_cut_to_what_each_rule_selects(database: Database) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), by_agent(10)
    answers = ask(a_source(api.ask, database, clock), rules)
    assert len(api.asked) == 1
    assert [len(answers[rule.id].table(answers[rule.id].needs.selection)) for rule in rules] == [60, *[2] * 9]


def test_a_share_that_only_the_api_can_judge_is_there_when_both_of_its_answers_are(database: Database) -> None:
    clock = FakeClock()
    api = an_api(clock)
    share = {"share": {"property": "status", "operation": "EQ", "values": ["open"]}}
    answers = ask(a_source(api.ask, database, clock), [a_rule(id="share", measure=share)])
    selection, numerator = answers["share"].needs.all()
    assert len(answers["share"].table(numerator)) == len(answers["share"].table(selection)) == 60
    assert len(api.asked) == 2


def test_either_answer_of_a_share_may_be_its_problem(database: Database) -> None:
    clock = FakeClock()
    api, problem = an_api(clock), TimedOut("slow")
    api.refuses = lambda query: problem if OPEN in query.filters else None
    share = {"share": {"property": "status", "operation": "EQ", "values": ["open"]}}
    answers = ask(a_source(api.ask, database, clock), [a_rule(id="share", measure=share, window=MINUTE)])
    assert answers["share"].problem is problem


class Watched(Source):
    """Remembers what was ordered."""

    orders: Sequence[Order] = ()

    def fetch(self, orders: Sequence[Order]) -> Iterator[tuple[Request, Answer]]:
        self.orders = orders
        return super().fetch(orders)


def ordered(database: Database, *wanted: Wanted) -> Sequence[Order]:
    clock = FakeClock(uptime=0)
    plain = a_source(an_api(clock).ask, database, clock)
    source = Watched(an_api(clock).ask, plain.budget, plain.gate, clock, patience=10 * SECOND, pause=clock.advance)
    list(Asking(source, wanted).answers())
    return source.orders


def test_a_shared_request_is_as_urgent_and_as_patient_as_its_most_demanding_rule(database: Database) -> None:
    slow = a_rule(id="slow", every=HOUR, window=DAY, critical=(5, 4), warning=(3, 2))
    fast = a_rule(id="fast", every=MINUTE)
    other = a_rule(id="other", every=HOUR, filters=(OPEN,))
    shared, alone = ordered(database, *(Wanted(each, START) for each in (slow, fast, other)))
    assert (shared.urgency, shared.deadline) == (Urgency.CRITICAL, 30 * SECOND)
    assert (alone.urgency, alone.deadline) == (Urgency.NORMAL, 30 * MINUTE)


def test_a_rule_that_is_checked_very_often_still_gets_some_seconds(database: Database) -> None:
    (order,) = ordered(database, Wanted(a_rule(every=2 * SECOND), START))
    assert order.deadline == 5 * SECOND


def test_the_command_line_stands_in_the_background_whatever_the_rule(database: Database) -> None:
    (order,) = ordered(database, Wanted(a_rule(critical=(5, 4)), START, Urgency.BACKGROUND))
    assert order.urgency is Urgency.BACKGROUND


@pytest.mark.parametrize(("level", "urgency"), [(Level.CRITICAL, Urgency.CRITICAL), (Level.WARNING, Urgency.NORMAL)])
def test_rules_that_can_be_critical_go_first(level: Level, urgency: Urgency) -> None:
    assert Wanted(a_rule(**{level.value: (5, 4)}), START).place is urgency


@pytest.mark.parametrize(
    ("rhythms", "usable", "calls"),
    [
        ((MINUTE,), 54, 48),
        ((MINUTE, HOUR), 54, 48),
        ((5 * MINUTE,), 54, 162),  # at once, after 62 s and after 124 s: then its patience of 150 s is over
        ((HOUR,), 54, 1620),
        ((10 * SECOND,), 54, 6),
        ((SECOND,), 10, 1),
        ((), 54, 48),
    ],
)
def test_the_fastest_rule_decides_how_many_calls_all_may_take(rhythms: tuple[int, ...], usable: int, calls: int) -> None:
    assert affordable([a_rule(every=each) for each in rhythms], usable) == calls


def test_more_rows_are_taken_rather_than_more_calls_than_the_budget_has(database: Database) -> None:
    clock = FakeClock()
    api, rules = an_api(clock), [each for each in by_agent(20) if each.id != "all"]
    source = a_source(api.ask, database, clock, calls_per_minute=5)
    window = Window(START - HOUR, START)
    source.knowledge.observed(frozenset(), window, 10**9)
    for rule in rules:
        source.knowledge.observed(frozenset(rule.filters), window, 10)
    assert failed(ask(source, rules)) == set()
    assert len(api.asked) == 1
