"""What a rule without groups measured lately: remembered from check to check, and told with its notices."""

from __future__ import annotations

from typing import Any

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.errors import TimedOut
from alertd.evaluation import ledger
from alertd.facts import Evidence, Kind
from alertd.notice import Notice, from_json
from alertd.notices.trails import MOST, points_of
from alertd.rulebook.rule import Rule
from alertd.store.database import Database
from alertd.testing import START
from tests.evaluation.world import World, scored

AGENT = "lastAgentId"


def brief(**changes: Any) -> Rule:
    """A rule that sees one conversation at a time."""
    return scored(**({"window": 5 * MINUTE} | changes))


def check(world: World, *scores: float, **values: Any) -> None:
    for score in scores:
        world.add(score, ago=-4 * MINUTE, **values)
        world.check()


def trail(world: World) -> tuple[tuple[int, float], ...]:
    with world.database.read() as transaction:
        return points_of(ledger.load_checked(transaction, "slow")["slow"].trail)


def measured(world: World) -> list[float]:
    return [value for _, value in trail(world)]


def newest(world: World) -> Notice:
    return from_json(world.rows("notices", "body")[-1][0])


def test_each_check_adds_what_it_measured(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2, 3)
    assert trail(world) == tuple((START + number * 5 * MINUTE, float(number)) for number in (1, 2, 3))


def test_only_the_newest_are_kept(database: Database) -> None:
    world = World.of(database, scored(window=5 * MINUTE, warning=(1e9, 1e9)))
    check(world, *range(MOST + 3))
    assert measured(world) == [float(score) for score in range(3, MOST + 3)]


def test_a_check_without_evidence_leaves_it_as_it_was(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2)
    world.api.refuses = lambda _query: TimedOut("too slow")
    assert world.check()["slow"][0] in (Evidence.ERROR, Evidence.STALE)
    assert measured(world) == [1, 2]
    world.api.refuses = lambda _query: None
    check(world, 3)
    assert measured(world) == [1, 2, 3]


def test_what_is_too_little_to_judge_is_no_point(database: Database) -> None:
    world = World.of(database, brief(min_conversations=2))
    check(world, 1)
    world.take(brief())
    assert world.check()["slow"][0] is Evidence.NO_DATA
    assert measured(world) == []


def test_another_question_begins_anew_and_other_limits_do_not(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2)
    world.take(brief(warning=(100, 90)))
    check(world, 3)
    assert measured(world) == [1, 2, 3]
    world.take(brief(window=4 * MINUTE))
    check(world, 4)
    assert measured(world) == [4]


def test_another_question_without_an_answer_keeps_what_was_measured(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2)
    world.take(brief(window=4 * MINUTE))
    world.api.refuses = lambda _query: TimedOut("too slow")
    world.check()
    assert measured(world) == [1, 2]
    world.api.refuses = lambda _query: None
    check(world, 3)
    assert measured(world) == [3]


def test_a_clock_set_back_leaves_it_in_order(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2, 3, 4)
    world.clock.set_wall(START + 7 * MINUTE)
    check(world, 5, 6)
    moments = [as_of for as_of, _ in trail(world)]
    assert moments == sorted(set(moments))
    assert measured(world)[0] == 1
    assert moments[-1] <= world.clock.now()


def test_notices_have_it_up_to_the_check_that_they_tell_of(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2, 9)
    assert (newest(world).kind, newest(world).trail) == (Kind.OPENED, trail(world))
    check(world, 1)
    assert newest(world).kind is Kind.RESOLVED
    assert [value for _, value in newest(world).trail] == [1, 2, 9, 1]


def test_rules_with_groups_have_none(database: Database) -> None:
    world = World.of(database, brief(by=AGENT))
    check(world, 9, lastAgentId=7)
    assert measured(world) == []
    assert (newest(world).kind, newest(world).trail) == (Kind.OPENED, ())


def test_a_rule_that_gets_groups_forgets_it(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2)
    world.take(brief(by=AGENT))
    check(world, 3, lastAgentId=7)
    assert measured(world) == []


def test_the_end_of_a_rule_that_was_removed_shows_what_was_told_last(database: Database) -> None:
    world = World.of(database, brief())
    check(world, 1, 2, 9)
    told = newest(world).trail
    world.clock.advance(HOUR)
    assert world.take() == ["slow"]
    assert (newest(world).kind, newest(world).trail) == (Kind.RESOLVED, told)


@pytest.mark.parametrize("report", [False, True])
def test_reports_remember_too(database: Database, report: bool) -> None:
    world = World.of(database, brief(report=report))
    check(world, 1, 2, 3)
    assert measured(world) == [1, 2, 3]
