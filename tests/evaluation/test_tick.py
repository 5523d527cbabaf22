"""The tick from end to end: a fake API, a real store, and what stands in it afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.errors import BadQuery, Incomplete, ReportingError, StoreError, TimedOut, TooLarge, Unauthorised
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged, settle
from alertd.evaluation.tick import judge_all, wanted
from alertd.facts import CONVERSATION, Evidence, Group, Kind, Level, State
from alertd.measures.base import Measure, Measured, Sample
from alertd.planning.asking import Asking
from alertd.reporting.query import Filter, Query, parse_filter
from alertd.rulebook.rule import Rule
from alertd.store.database import Database
from alertd.store.tables import alerts
from alertd.testing import START, FakeChannel, a_group, a_source, a_verdict
from tests.evaluation.world import SCORE, World, scored

STATUSES = ("open", "closed", "pending")


def status(value: str) -> Filter:
    """What only the API can judge: rules with different ones share no request."""
    return parse_filter({"property": "status", "operation": "EQ", "values": [value]})


OPEN = status("open")
OK, ERROR, STALE = Evidence.OK, Evidence.ERROR, Evidence.STALE


def length(query: Query) -> int:
    """The window of a query."""
    start, end = (next(int(each.values[0]) for each in query.filters if each.operation == name) for name in ("GTE", "LT"))
    return end - start


def test_from_slow_answers_to_a_message_and_back(database: Database) -> None:
    channel = FakeChannel()
    world = World.of(database, scored(window=10 * MINUTE, hold=5 * MINUTE), receivers={"team": channel})
    world.add(1)
    assert world.check() == {"slow": (OK, None)}
    world.add(20), world.add(22)
    assert world.check() == {"slow": (OK, None)}
    assert [alert.state for alert in world.alerts] == [State.PENDING]
    world.add(24)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    assert world.send() == 1
    world.clock.advance(30 * MINUTE)
    world.add(1)
    assert world.check() == {"slow": (OK, Kind.RESOLVED)}
    assert world.alerts == []
    assert world.send() == 1
    assert channel.kinds == ["opened", "resolved"]


def test_what_several_rules_ask_alike_is_asked_once(database: Database) -> None:
    world = World.of(
        database,
        scored(id="median"),
        scored(id="p90", measure={"p90": "timeToCloseMillis"}),
        scored(id="agents", by="lastAgentId"),
        scored(id="count", measure="count", warning=(5, 5)),
    )
    assert set(world.check()) == {"median", "p90", "agents", "count"}
    (query,) = world.api.asked
    assert query.metrics == ("cqlScore", "lastAgentId", "timeToCloseMillis")


def test_a_shared_answer_gives_what_each_rules_own_query_would_have_given(database: Database) -> None:
    rules = [scored(id="a"), scored(id="b", by="lastAgentId"), scored(id="c", measure={"max": "timeToCloseMillis"})]
    world = World.of(database, *rules)
    for number in range(20):
        world.add(number, lastAgentId=number % 3, timeToCloseMillis=number * MINUTE)
    dues = [Due(rule, START + 5 * MINUTE) for rule in rules]
    world.clock.advance(5 * MINUTE)
    together = {each.due.rule.id: each.verdicts for each in judge_all(Asking(world.source, wanted(dues)), dues)}
    alone = {due.rule.id: next(judge_all(Asking(world.source, wanted([due])), [due])).verdicts for due in dues}
    assert together == alone


@pytest.mark.parametrize("problem", [TimedOut("slow"), BadQuery("bad"), ReportingError("odd")])
def test_one_rules_error_costs_only_itself(database: Database, problem: ReportingError) -> None:
    world = World.of(database, scored(id="bad", filters=(OPEN,), window=90 * SECOND), scored(id="good"))
    world.api.refuses = lambda query: problem if OPEN in query.filters else None
    world.add(20)
    assert world.check() == {"bad": (ERROR, None), "good": (OK, Kind.OPENED)}


def test_a_metric_that_the_api_refuses_costs_only_the_rule_that_wants_it(database: Database) -> None:
    world = World.of(database, scored(id="bad", measure={"max": "timeToCloseMillis"}), scored(id="good"), scored(id="same"))
    world.api.refuses = lambda query: BadQuery("check query formatting") if "timeToCloseMillis" in query.metrics else None
    world.add(20)
    assert world.check() == {"bad": (ERROR, None), "good": (OK, Kind.OPENED), "same": (OK, Kind.OPENED)}
    assert len(world.api.asked) == 3  # together, then each by itself


def test_a_bad_query_that_is_not_shared_is_not_asked_again(database: Database) -> None:
    world = World.of(database, scored())
    world.api.refuses = lambda _query: BadQuery("check query formatting")
    assert world.check() == {"slow": (ERROR, None)}
    assert len(world.api.asked) == 1


@dataclass(frozen=True)
class Exploding(Measure):
    names: ClassVar[tuple[str, ...]] = ("exploding",)
    example: ClassVar[str] = "exploding"
    about: ClassVar[str] = "Explodes."

    def describe(self) -> str:
        return "an explosion"

    def compute(self, sample: Sample) -> Measured:
        raise ZeroDivisionError(len(sample.table))


def test_an_exploding_measure_costs_only_its_rule(database: Database) -> None:
    world = World.of(database, scored(id="bad", measure=Exploding()), scored(id="good"))
    world.add(20)
    assert world.check() == {"bad": (ERROR, None), "good": (OK, Kind.OPENED)}
    (reason,) = [row[0] for row in world.rows("rules", "reason", "rule") if row[1] == "bad"]
    assert "its log has the details" in reason


class ExplodingMap(dict[Level, tuple[str, ...]]):
    def get(self, *_: object) -> tuple[str, ...]:
        raise ZeroDivisionError


def test_a_rule_that_cannot_be_settled_costs_only_itself_and_is_due_again(database: Database) -> None:
    world = World.of(database, scored(id="bad", notify=ExplodingMap()), scored(id="good"), scored(id="late"))
    world.add(20)
    assert set(world.check()) == {"good", "late"}
    assert {alert.rule for alert in world.alerts} == {"good", "late"}
    assert [due.rule.id for due in world.dues()] == ["bad"]


@pytest.mark.parametrize("problem", [TimedOut("slow"), Incomplete("cut"), TooLarge("big")])
def test_what_the_api_cannot_answer_at_once_is_asked_in_halves_and_comes_out_whole(
    database: Database, problem: ReportingError
) -> None:
    world = World.of(database, scored(measure="count", warning=(1000, 1000)))
    for minute in range(1, 60):
        world.add(1, ago=minute * MINUTE - 5 * MINUTE)
    world.api.refuses = lambda query: problem if length(query) > 15 * MINUTE else None
    assert world.check() == {"slow": (OK, None)}
    ((value, conversations),) = world.rows("decisions", "value", "conversations")
    assert (value, conversations) == (59.0, 59)
    assert sorted(length(query) // MINUTE for query in world.api.asked) == [15, 15, 15, 15, 30, 30, 60]


def test_a_slice_that_fails_fails_the_whole(database: Database) -> None:
    world = World.of(database, scored(measure="count", direction="below", critical=(1000, 1000)))
    refused = START + 5 * MINUTE - HOUR  # the first slice of all
    world.api.refuses = lambda query: TimedOut("slow") if any(refused in each.values for each in query.filters) else None
    assert world.check() == {"slow": (ERROR, None)}
    assert world.alerts == []


def test_what_stays_cut_down_to_the_finest_slice_is_an_error(database: Database) -> None:
    world = World.of(database, scored())
    world.api.refuses = lambda _query: Incomplete("the answer was cut")
    assert world.check() == {"slow": (ERROR, None)}
    assert min(length(query) for query in world.api.asked) >= MINUTE
    assert len(world.api.asked) < 10  # the first slice that fails at its finest ends it


def test_without_a_free_call_before_the_deadline_a_rule_is_stale(database: Database) -> None:
    rules = [scored(id=f"r{n}", every=MINUTE, filters=(status(each),), hold=HOUR) for n, each in enumerate(STATUSES)]
    world = World.of(database, *rules)
    world.source = a_source(world.api.ask, database, world.clock, calls_per_minute=1)
    world.add(1, ago=0)
    found = world.check(MINUTE)
    assert sorted(evidence for evidence, _ in found.values()) == [OK, STALE, STALE]
    assert len(world.api.asked) == 1
    assert world.clock.now() - START < 2 * MINUTE  # nobody waited for longer than half of `every`


def test_a_refused_token_stops_asking_until_it_is_time_to_try_again(database: Database) -> None:
    world = World.of(database, scored(every=MINUTE))
    world.add(1)
    world.api.refuses = lambda _query: Unauthorised("the API refuses the token (401)")
    assert world.check(MINUTE) == {"slow": (ERROR, None)}
    for _ in range(4):
        assert world.check(MINUTE) == {"slow": (ERROR, None)}
    assert len(world.api.asked) == 1
    world.api.refuses = lambda _query: None
    assert world.check(MINUTE) == {"slow": (OK, None)}
    assert len(world.api.asked) == 2


@pytest.mark.parametrize("problem", [TimedOut("slow"), Unauthorised("no"), ReportingError("odd"), Incomplete("cut")])
def test_errors_neither_end_nor_start_anything(database: Database, problem: ReportingError) -> None:
    world = World.of(database, scored(window=5 * MINUTE))
    world.add(20, ago=0)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    fired = world.alerts
    world.api.refuses = lambda _query: problem
    for _ in range(30):
        assert world.check() == {"slow": (ERROR, None)}
    assert world.alerts == fired
    assert len(world.rows("notices")) == 1


def test_an_incident_whose_alerts_are_gone_is_ended_by_an_answer_and_not_by_an_error(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, by="lastAgentId"))
    world.add(20, ago=0, lastAgentId=1)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    with database.write() as transaction:
        transaction.execute(sa.delete(alerts))
    world.api.refuses = lambda _query: TimedOut("slow")
    assert world.check() == {"slow": (ERROR, None)}
    world.api.refuses = lambda _query: None
    assert world.check() == {"slow": (Evidence.NO_DATA, Kind.RESOLVED)}


def test_too_many_groups_change_nothing(database: Database) -> None:
    world = World.of(database, scored(by="lastAgentId", max_groups=2, window=5 * MINUTE))
    world.add(20, ago=0, lastAgentId=1)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    fired = world.alerts
    for agent in (2, 3, 4):
        world.add(1, ago=0, lastAgentId=agent)
    assert world.check() == {"slow": (ERROR, None)}
    assert world.alerts == fired


def test_an_empty_answer_ends_single_conversations_and_no_other_group(database: Database) -> None:
    rules = [scored(id=name, by=by, window=5 * MINUTE) for name, by in (("one", CONVERSATION), ("agents", "lastAgentId"))]
    world = World.of(database, *rules)
    world.add(20, ago=0, lastAgentId=7)
    assert world.check() == {"one": (OK, Kind.OPENED), "agents": (OK, Kind.OPENED)}
    assert world.check() == {"one": (Evidence.NO_DATA, Kind.RESOLVED), "agents": (Evidence.NO_DATA, None)}
    assert [alert.group for alert in world.alerts] == [a_group(7)]
    assert ("one", "conversationId=1", "the conversation has left the selection") in world.rows(
        "decisions", "rule", "group", "change"
    )


def test_a_check_is_remembered_with_what_was_missed_and_since_when_it_fails(database: Database) -> None:
    world = World.of(database, scored(delay=30 * SECOND))
    world.check()
    world.api.refuses = lambda _query: ReportingError("the API failed")
    world.check(20 * MINUTE)
    world.check()
    with database.read() as transaction:
        checked = ledger.load_checked(transaction)["slow"]
    assert (checked.due_at, checked.as_of) == (START + 30 * MINUTE, START + 30 * MINUTE - 30 * SECOND)
    assert (checked.missed, checked.evidence, checked.reason) == (3, ERROR, "the API failed")
    assert checked.failing_since == START + 25 * MINUTE - 30 * SECOND
    world.api.refuses = lambda _query: None
    world.check()
    with database.read() as transaction:
        assert ledger.load_checked(transaction)["slow"].failing_since is None


def test_a_changed_question_starts_for_again(database: Database) -> None:
    rule = scored(hold=10 * MINUTE)
    world = World.of(database, rule)
    world.add(20)
    world.check(), world.check()
    world.take(replace(rule, window=2 * HOUR))
    assert [world.check()["slow"] for _ in range(3)] == [(OK, None), (OK, None), (OK, Kind.OPENED)]


def test_a_changed_question_that_is_answered_well_drops_what_was_pending(database: Database) -> None:
    rule = scored(hold=10 * MINUTE)
    world = World.of(database, rule)
    world.add(20)
    world.check()
    world.take(replace(rule, measure=scored(measure={"min": SCORE}).measure))
    world.add(1)
    world.check()
    assert world.alerts == []


def test_a_changed_question_is_not_taken_as_asked_before_it_was_answered(database: Database) -> None:
    rule = scored(hold=10 * MINUTE)
    world = World.of(database, rule)
    world.add(20)
    world.check(), world.check()
    world.take(replace(rule, window=2 * HOUR))
    world.api.refuses = lambda _query: ReportingError("the API failed")
    world.check()
    world.api.refuses = lambda _query: None
    assert [world.check()["slow"] for _ in range(3)] == [(OK, None), (OK, None), (OK, Kind.OPENED)]


def test_other_texts_receivers_and_limits_leave_the_timers(database: Database) -> None:
    rule = scored(hold=10 * MINUTE)
    world = World.of(database, rule)
    world.add(20)
    world.check(), world.check()
    world.take(replace(rule, title="Other", limits=scored(warning=(6, 6)).limits))
    assert world.check() == {"slow": (OK, Kind.OPENED)}


def test_a_rule_that_was_split_into_groups_keeps_what_fired_until_it_is_forgotten(database: Database) -> None:
    rule = scored(window=5 * MINUTE)
    world = World.of(database, rule)
    world.add(20, ago=0)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    world.take(replace(rule, by="lastAgentId"))
    for _ in range(11):
        assert world.check() == {"slow": (Evidence.NO_DATA, None)}
    assert world.check() == {"slow": (Evidence.NO_DATA, Kind.RESOLVED)}
    assert world.alerts == []


def test_a_rule_that_is_gone_ends_its_incident_and_says_why(database: Database) -> None:
    channel = FakeChannel()
    world = World.of(database, scored(), scored(id="stays"), receivers={"team": channel})
    world.add(20)
    world.check()
    assert world.take(scored(id="stays")) == ["slow"]
    assert world.take(scored(id="stays")) == []
    assert {alert.rule for alert in world.alerts} == {"stays"}
    world.send()
    assert sorted(channel.kinds) == ["opened", "opened", "resolved"]
    assert "the rule was removed" in world.rows("notices", "body")[-1][0]


def test_equal_decisions_in_a_row_are_one_record_with_a_span(database: Database) -> None:
    world = World.of(database, scored(window=10 * MINUTE))
    for _ in range(3):
        world.add(1, ago=0)
        world.check()
    for _ in range(3):
        world.add(20, ago=0), world.add(20, ago=0), world.add(20, ago=0)
        world.check()
    rows = world.rows("decisions", "evaluations", "change", "told", "first_at", "last_at")
    assert rows == [
        (3, "within the limit", None, START + 5 * MINUTE, START + 15 * MINUTE),
        (1, "over the limit for long enough", "opened", START + 20 * MINUTE, START + 20 * MINUTE),
        (2, "not recovered yet", None, START + 25 * MINUTE, START + 30 * MINUTE),
    ]


def test_single_conversations_within_the_limit_leave_no_record(database: Database) -> None:
    world = World.of(database, scored(by=CONVERSATION))
    for _ in range(5):
        world.add(1)
        world.api.add(world.clock.now())  # no answer, no value
    world.add(20)
    world.check()
    assert world.rows("decisions", "group", "change") == [("conversationId=11", "over the limit for long enough")]


def story(rule: Rule) -> Mapping[str, Judged]:
    """Checks of a rule with two groups, each of which writes in another way."""
    one, two = a_group(1), a_group(2)

    def judged(at: int, *values: tuple[Group, float]) -> Judged:
        found = tuple(a_verdict(value, at=at, group=group) for group, value in values)
        return Judged(Due(rule, at), found)

    at = START
    return {
        "opens": judged(at, (one, 20.0), (two, 1.0)),
        "grows": judged(at + 5 * MINUTE, (one, 20.0), (two, 20.0)),
        "shrinks": judged(at + 10 * MINUTE, (one, 20.0), (two, 1.0)),
        "ends": judged(at + 15 * MINUTE, (one, 1.0), (two, 1.0)),
        "opens again": judged(at + 20 * MINUTE, (one, 20.0), (two, 1.0)),
    }


def test_many_groups_are_settled_with_few_statements(database: Database) -> None:
    rule, statements = scored(by=CONVERSATION), list[str]()
    world = World.of(database, rule)
    sa.event.listen(database._engine, "before_cursor_execute", lambda *seen: statements.append(str(seen[2])))
    for at in (START, START + 5 * MINUTE, START + 10 * MINUTE):
        verdicts = tuple(a_verdict(20.0, at=at, group=Group(CONVERSATION, number)) for number in range(1_200))
        with database.write() as transaction:
            settle(transaction, Judged(Due(rule, at), verdicts), world.book, at)
    assert len(statements) < 60
    assert [row[0] for row in world.rows("decisions", "evaluations")] == [1] * 1_200 + [2] * 1_200
    assert len(world.alerts) == 1_200


class Cut(Exception):
    """The plug is pulled."""


@contextmanager
def cut_at(database: Database, statement: int) -> Iterator[None]:
    """Fail at the n-th statement of the block."""
    left = [statement]

    def cut(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Cut

    sa.event.listen(database._engine, "before_cursor_execute", cut)
    try:
        yield
    finally:
        sa.event.remove(database._engine, "before_cursor_execute", cut)


def test_a_check_is_settled_as_a_whole_or_not_at_all_wherever_it_breaks(database: Database) -> None:
    rule = scored(by="lastAgentId")
    world = World.of(database, rule, receivers={"team": FakeChannel(editable=True)})
    for name, judged in story(rule).items():
        before = world.dump()
        for statement in count(1):
            try:
                with cut_at(database, statement), database.write() as transaction:
                    settle(transaction, judged, world.book, judged.due.at)
            except Cut:
                assert world.dump() == before, (name, statement)
            else:
                break
        assert statement > 8, name
        assert world.dump() != before
    assert [row[0] for row in world.rows("notices", "kind")] == ["opened", "changed", "refreshed", "resolved", "opened"]


def test_a_store_that_cannot_be_written_costs_this_check_only(database: Database) -> None:
    world = World.of(database, scored())
    world.add(20)

    driver: Any = database._engine.dialect.dbapi
    problem = driver.errors.LockNotAvailable() if database.on_server else driver.OperationalError("database is locked")

    def locked(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO notices"):
            raise problem

    sa.event.listen(database._engine, "before_cursor_execute", locked)
    with pytest.raises(StoreError, match="another program holds"), database.write() as transaction:
        settle(transaction, Judged(Due(scored(), START), (a_verdict(9.0),)), world.book, START)
    assert world.check() == {}
    sa.event.remove(database._engine, "before_cursor_execute", locked)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
