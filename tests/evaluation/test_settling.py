"""Checks that are settled together: few statements, one commit, and yet none costs another anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from alertd.clock import MINUTE
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged, settle, settle_all
from alertd.evaluation.tick import tick
from alertd.facts import Evidence, Kind, Level
from alertd.reporting.query import Query, parse_filter
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.testing import START, FakeChannel, a_group, a_verdict
from tests.evaluation.test_tick import Cut, cut_at
from tests.evaluation.world import World, scored

OK = Evidence.OK


class Exploding(dict[Level, tuple[str, ...]]):
    """Receivers that nobody may ask for."""

    def get(self, *_: object) -> tuple[str, ...]:
        raise ZeroDivisionError


def many(count: int, **changes: Any) -> list[Rule]:
    return [scored(id=f"r{number}", **changes) for number in range(count)]


@contextmanager
def listening(database: Database, event: str, heard: Callable[..., None]) -> Iterator[None]:
    sa.event.listen(database._engine, event, heard)
    try:
        yield
    finally:
        sa.event.remove(database._engine, event, heard)


def test_rules_that_one_answer_serves_share_their_commits(database: Database) -> None:
    world, commits = World.of(database, *many(100)), list[object]()
    world.add(20)
    with listening(database, "commit", commits.append):
        assert set(world.check().values()) == {(OK, Kind.OPENED)}
    assert len(commits) < 10  # two, and those of the one call
    assert len(world.alerts) == 100


def test_quiet_rules_need_hardly_a_statement(database: Database) -> None:
    world, statements = World.of(database, *many(50)), list[str]()
    world.add(1)
    world.check()
    with listening(database, "before_cursor_execute", lambda *seen: statements.append(str(seen[2]))):
        world.check()
    assert len(statements) < 40
    assert not [each for each in statements if "notices" in each or "deliveries" in each or "silences" in each]
    assert world.rows("decisions", "evaluations") == [(2,)] * 50


def test_what_is_yielded_has_been_committed(database: Database) -> None:
    world = World.of(database, *many(60))
    world.add(20)
    world.clock.advance(5 * MINUTE)
    seen = 0
    for judged, kind in tick(world.dues(), world.book, world.source, database, world.clock.now):
        with database.read() as transaction:  # fails within a transaction of this thread
            known = transaction.execute(sa.text("SELECT told FROM decisions WHERE rule = :rule"), {"rule": judged.rule.id})
            assert known.scalars().all() == [kind]
        seen += 1
    assert seen == 60


def test_no_rule_waits_for_an_answer_that_others_wait_for(database: Database) -> None:
    slow = parse_filter({"property": "status", "operation": "EQ", "values": ["open"]})
    world = World.of(database, *many(3), replace(scored(id="slow", every=10 * MINUTE), filters=(slow,)))
    world.clock.advance(10 * MINUTE)
    settled_at_each_call: list[int] = []

    def look(_query: Query) -> None:
        settled_at_each_call.append(len(world.rows("rules")))

    world.api.refuses = look
    names = [judged.rule.id for judged, _ in world.judged()]
    assert settled_at_each_call == [0, 3]
    assert names[-1] == "slow"


@pytest.mark.parametrize("bad", [{0}, {49}, {7, 8, 31}, {3, 60, 77}])
def test_those_that_cannot_be_settled_cost_only_themselves(database: Database, bad: set[int]) -> None:
    rules = [replace(rule, notify=Exploding()) if number in bad else rule for number, rule in enumerate(many(80))]
    world = World.of(database, *rules)
    world.add(20)
    with capture_logs() as logs:
        assert set(world.check()) == {f"r{number}" for number in range(80) if number not in bad}
    assert [log["rule"] for log in logs if log["event"] == "rule not settled"] == [f"r{number}" for number in sorted(bad)]
    assert {due.rule.id for due in world.dues()} == {f"r{number}" for number in bad}
    assert {alert.rule for alert in world.alerts} == {f"r{number}" for number in range(80) if number not in bad}


def test_what_the_store_refuses_of_one_rule_costs_only_that_rule(database: Database) -> None:
    world = World.of(database, *many(20))
    world.add(20)
    driver: Any = database._engine.dialect.dbapi

    def refuse(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("INSERT INTO incidents") and "'r7'" in repr(parameters):
            raise driver.IntegrityError("r7 is not wanted")

    with listening(database, "before_cursor_execute", refuse), capture_logs() as logs:
        assert set(world.check()) == {f"r{number}" for number in range(20) if number != 7}
    (log,) = (each for each in logs if each["event"] == "rule not settled")
    assert log["rule"] == "r7"
    assert log["error"].startswith("the store cannot be used")


def test_a_commit_that_fails_costs_this_check_of_all_that_share_it(database: Database) -> None:
    world, failures = World.of(database, *many(5)), [1]
    world.add(20)
    driver: Any = database._engine.dialect.dbapi

    def fail(connection: sa.Connection) -> None:
        changed = connection.scalar(sa.text("SELECT count(*) FROM alerts"))
        if changed and failures:
            failures.pop()
            raise driver.OperationalError("the disk is full")

    with listening(database, "commit", fail), capture_logs() as logs:
        assert world.check() == {}
    assert sorted(log["rule"] for log in logs if log["event"] == "rule not settled") == [f"r{n}" for n in range(5)]
    assert (world.alerts, world.rows("notices"), len(world.dues())) == ([], [], 5)
    assert set(world.check().values()) == {(OK, Kind.OPENED)}


def test_of_rules_that_are_quiet_while_each_other_fires_one_is_told(database: Database) -> None:
    world = World.of(database, scored(id="one", quiet_while=("other",)), scored(id="other", quiet_while=("one",)))
    world.add(20)
    assert world.check() == {"one": (OK, Kind.OPENED), "other": (OK, None)}


def test_a_chain_of_causes_is_settled_in_its_order(database: Database) -> None:
    chain = [scored(id=f"r{n}", quiet_while=(f"r{n + 1}",) if n < 9 else ()) for n in range(10)]
    world = World.of(database, *chain)
    world.add(20)
    found = world.check()
    assert list(found) == [f"r{n}" for n in reversed(range(10))]
    assert [rule for rule, (_, kind) in found.items() if kind] == ["r9"]


def test_checks_are_settled_together_or_not_at_all_wherever_it_breaks(database: Database) -> None:
    rules = [scored(id="whole"), scored(id="agents", by="lastAgentId"), scored(id="third", quiet_while=("whole",))]
    world = World.of(database, *rules, receivers={"team": FakeChannel(editable=True)})
    for step, value in enumerate((20.0, 21.0, 1.0, 20.0)):
        at, before = START + step * 5 * MINUTE, world.dump()
        checks = [Judged(Due(rule, at), (verdict(rule, value, at),)) for rule in rules]
        for statement in range(1, 100):
            try:
                with cut_at(database, statement), database.write() as transaction:
                    settle_all(transaction, checks, world.book, at)
            except Cut:
                assert world.dump() == before, (step, statement)
            else:
                break
        assert world.dump() != before


def verdict(rule: Rule, value: float | None, at: int) -> Any:
    group = None if rule.by is None else a_group(1)
    evidence = Evidence.NO_DATA if value is None else OK
    found = a_verdict(value, at=at, rule=rule.id, evidence=evidence)
    return found if group is None else replace(found, group=group)


RULES = (
    scored(id="plain"),
    scored(id="held", hold=10 * MINUTE, reopen_within=10 * MINUTE),
    scored(id="agents", by="lastAgentId", keep_firing=5 * MINUTE),
    scored(id="quiet", quiet_while=("plain", "agents"), critical=(15, 15)),
    scored(id="nagging", remind=10 * MINUTE),
    scored(id="morning", report=True, limits=(), notify={Level.OK: ("team",)}),
)
VALUES = st.sampled_from([1.0, 4.5, 7.0, 20.0, None, "error"])


@given(st.lists(st.lists(VALUES, min_size=len(RULES), max_size=len(RULES)), max_size=8))
@settings(max_examples=25, deadline=None)
def test_together_or_one_after_the_other_they_come_to_the_same(story: list[list[float | str | None]]) -> None:
    def one_by_one(transaction: sa.Connection, checks: Sequence[Judged], world: World, at: int) -> list[Kind | None]:
        return [settle(transaction, each, world.book, at) for each in checks]

    def together(transaction: sa.Connection, checks: Sequence[Judged], world: World, at: int) -> list[Kind | None]:
        return settle_all(transaction, checks, world.book, at)

    assert played(story, one_by_one) == played(story, together)


def played(story: list[list[float | str | None]], way: Callable[..., list[Kind | None]]) -> tuple[object, ...]:
    """What is told at each step, and what stands in the store at the end."""
    database, told = open_database("sqlite://"), list[list[Kind | None]]()
    world = World.of(database, *RULES, receivers={"team": FakeChannel(editable=True)})
    for step, values in enumerate(story):
        at = START + step * 5 * MINUTE
        checks = [Judged(Due(rule, at), (judged(rule, value, at),)) for rule, value in zip(RULES, values, strict=True)]
        with database.write() as transaction:
            told.append(way(transaction, checks, world, at))
    rows = world.dump()
    rows["deliveries"] = world.rows("deliveries", "notice", "receiver", "via", "kind", "state")
    database.close()
    return told, without_numbers(rows)


def judged(rule: Rule, value: float | str | None, at: int) -> Any:
    if isinstance(value, str):
        return a_verdict(None, at=at, rule=rule.id, evidence=Evidence.ERROR)
    return verdict(rule, value, at)


def without_numbers(rows: Mapping[str, list[tuple[Any, ...]]]) -> Mapping[str, object]:
    """Decision records are written in another order: their numbers say nothing."""
    return {**rows, "decisions": sorted((row[1:] for row in rows["decisions"]), key=repr)}


def test_an_error_of_ours_is_told_with_where_it_happened(database: Database) -> None:
    world = World.of(database, scored(notify=Exploding()))
    world.add(20)
    with capture_logs() as logs:
        assert world.check() == {}
    (log,) = (each for each in logs if each["event"] == "rule not settled")
    assert isinstance(log["exc_info"], ZeroDivisionError)
