"""Rules that are compared with other windows: what is asked, what is remembered, what is judged."""

from __future__ import annotations

from typing import Any

import pytest

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration
from alertd.facts import CONVERSATION, Evidence, Group, Kind, Level
from alertd.rulebook.rule import Rule
from alertd.store.database import Database
from alertd.store.tables import history
from alertd.testing import a_group, a_rule
from tests.evaluation.world import World

WEEK = 7 * DAY
LIMITS = {"warning": (-0.5, -0.5), "critical": (-0.8, -0.8), "direction": "below"}
CHANGE: dict[str, Any] = {"measure": "count", "compare": {"change": {"to": "7d", "minimum": 10}}, "window": HOUR, **LIMITS}
ANSWERED = {"share": {"property": "timeToAgentResponseMillis", "operation": "LTE", "values": [120_000]}}


def dropping(**changes: Any) -> Rule:
    return a_rule(**{"id": "drop", **CHANGE, **changes})


def add(world: World, count: int, *, ago: Duration, **values: Any) -> None:
    for number in range(count):
        world.add(1, ago=ago + number * SECOND, **values)


def remembered(world: World) -> int:
    return len(world.rows(history.name))


def test_fewer_than_a_week_ago_is_told_with_both_numbers(database: Database) -> None:
    world = World.of(database, dropping())
    add(world, 20, ago=WEEK)
    add(world, 4, ago=MINUTE)
    world.clock.advance(5 * MINUTE)
    ((judged, kind),) = world.judged()
    (verdict,) = judged.verdicts
    assert kind is Kind.OPENED
    assert (verdict.value, verdict.measured, verdict.reference, verdict.level) == (-0.8, 4.0, 20.0, Level.WARNING)
    assert verdict.reason == "-80 % (4 now, 20 a week ago) is below -50 %"
    (alert,) = world.alerts
    assert (alert.measured, alert.reference, alert.value) == (4.0, 20.0, -0.8)


def test_too_few_a_week_ago_decide_nothing(database: Database) -> None:
    world = World.of(database, dropping())
    add(world, 9, ago=WEEK)
    assert world.check() == {"drop": (Evidence.INSUFFICIENT, None)}


def test_a_window_that_was_judged_once_is_not_asked_again(database: Database) -> None:
    world = World.of(database, dropping(compare={"change": {"to": "1h"}}, window=5 * MINUTE))
    calls = []
    for _ in range(24):
        world.clock.advance(5 * MINUTE)
        before = len(world.api.asked)
        world.judged()
        calls.append(len(world.api.asked) - before)
    assert remembered(world) == 24 + 12
    assert set(calls[12:]) == {1}


def test_what_was_measured_then_counts_as_it_was_when_asked(database: Database) -> None:
    rule = dropping(compare={"change": {"to": "1h", "minimum": 10}}, window=5 * MINUTE)
    world = World.of(database, rule)
    world.clock.advance(5 * MINUTE)
    add(world, 20, ago=MINUTE)
    world.judged()
    add(world, 10, ago=2 * MINUTE)  # late rows of a window that has been judged
    references = []
    for _ in range(12):
        world.clock.advance(5 * MINUTE)
        ((judged, _),) = world.judged()
        references.append(judged.verdicts[0].reference)
    assert references[-1] == 20.0


def test_a_change_in_what_is_measured_forgets_and_a_change_in_how_it_is_compared_does_not(database: Database) -> None:
    world = World.of(database, dropping())
    add(world, 20, ago=WEEK)
    world.check()
    assert dropping(compare={"change": {"to": "14d"}}).asked == dropping().asked
    assert dropping(compare={"change": {"to": "14d"}}).question != dropping().question
    assert dropping(window=2 * HOUR).asked != dropping().asked


def test_a_group_that_was_there_a_week_ago_and_is_gone_has_dropped(database: Database) -> None:
    world = World.of(database, dropping(by="lastAgentId"))
    add(world, 20, ago=WEEK, lastAgentId=7)
    add(world, 20, ago=WEEK, lastAgentId=9)
    add(world, 20, ago=MINUTE, lastAgentId=9)
    world.clock.advance(5 * MINUTE)
    ((judged, _),) = world.judged()
    levels = {each.group: (each.level, each.value) for each in judged.verdicts}
    assert levels == {a_group(7): (Level.CRITICAL, -1.0), a_group(9): (Level.OK, 0.0)}


def test_no_answer_for_last_week_is_no_evidence(database: Database) -> None:
    from alertd.errors import TimedOut

    world = World.of(database, dropping())
    add(world, 4, ago=MINUTE)
    late = world.clock.now() - DAY
    world.api.refuses = lambda query: TimedOut("slow") if any(f.values[0] < late for f in query.filters if f.values) else None  # type: ignore[operator]
    assert world.check()["drop"][0] is Evidence.ERROR
    assert remembered(world) == 0


def test_the_usual_is_learned_from_the_api_once_and_an_incident_is_no_part_of_it(database: Database) -> None:
    rule = a_rule(id="odd", measure="count", compare={"usual": {"weeks": 4}}, window=HOUR, every=HOUR, warning=(4, 4))
    world = World.of(database, rule)
    for week in range(1, 5):
        add(world, 20, ago=week * WEEK - HOUR + MINUTE)
    add(world, 60, ago=MINUTE - HOUR)
    world.clock.advance(HOUR)
    ((judged, kind),) = world.judged()
    (verdict,) = judged.verdicts
    assert (verdict.measured, verdict.reference, verdict.level, kind) == (60.0, 20.0, Level.WARNING, Kind.OPENED)
    fired = [figures for *_, figures in world.rows(history.name) if figures[""][2]]
    assert fired == [{"": [60.0, 60, True]}]


def test_too_little_history_is_said_and_nothing_moves(database: Database) -> None:
    rule = a_rule(id="odd", measure={"median": "cqlScore"}, compare="usual", every=HOUR, warning=(4, 4))
    world = World.of(database, rule)
    add(world, 3, ago=MINUTE - HOUR)
    world.clock.advance(HOUR)
    ((judged, kind),) = world.judged()
    assert (judged.evidence, kind) == (Evidence.INSUFFICIENT, None)
    assert judged.verdicts[0].reason == "0 of the last 4 weeks are known at this hour; 2 are needed to know what is usual"


def test_a_burning_promise_brings_its_own_windows_and_levels_in_one_call(database: Database) -> None:
    rule = a_rule(id="promise", measure=ANSWERED, compare={"burn": {"objective": "95%"}}, every=5 * MINUTE)
    world = World.of(database, rule)
    for number in range(200):
        world.add(1, ago=number * 20 * MINUTE + 10 * MINUTE, timeToAgentResponseMillis=60_000)
    for number in range(60):
        world.add(1, ago=number * MINUTE, timeToAgentResponseMillis=8 * MINUTE)
    world.clock.advance(5 * MINUTE)
    ((judged, kind),) = world.judged()
    (verdict,) = judged.verdicts
    assert len(world.api.asked) == 1
    assert (verdict.level, verdict.limit, kind) == (Level.CRITICAL, 14.4, Kind.OPENED)
    assert "times as fast as allowed" in verdict.reason
    assert world.alerts[0].limit == 14.4


def test_expected_groups_are_judged_without_conversations_and_do_not_vanish(database: Database) -> None:
    rule = a_rule(id="stopped", measure="count", by="relatedPlaybookId", expect=(1, 2), warning=(1, 1), direction="below")
    world = World.of(database, rule)
    world.add(1, relatedPlaybookId=1)
    assert world.check() == {"stopped": (Evidence.OK, Kind.OPENED)}
    for _ in range(30):
        world.check()
    assert {alert.group for alert in world.alerts} == {Group("relatedPlaybookId", 1), Group("relatedPlaybookId", 2)}


@pytest.mark.parametrize(("choice", "fires"), [(None, False), (Level.OK, False), (Level.WARNING, True), (Level.CRITICAL, True)])
def test_no_data_amounts_to_what_the_rule_says(database: Database, choice: Level | None, fires: bool) -> None:
    world = World.of(database, a_rule(measure={"median": "cqlScore"}, warning=(5, 5), critical=(9, 9), no_data=choice))
    ((_, (evidence, kind)),) = world.check().items()
    assert (evidence, kind is Kind.OPENED) == (Evidence.NO_DATA, fires)
    assert [alert.level for alert in world.alerts] == ([choice] if fires else [])


def test_no_data_that_is_ok_ends_an_alert_and_kept_no_data_does_not(database: Database) -> None:
    rules = [
        a_rule(id=name, measure={"median": "cqlScore"}, warning=(5, 5), window=5 * MINUTE, no_data=choice)
        for name, choice in (("kept", None), ("ended", Level.OK))
    ]
    world = World.of(database, *rules)
    world.add(9, ago=0)
    assert world.check() == {"kept": (Evidence.OK, Kind.OPENED), "ended": (Evidence.OK, Kind.OPENED)}
    assert world.check() == {"kept": (Evidence.NO_DATA, None), "ended": (Evidence.NO_DATA, Kind.RESOLVED)}


def test_conversations_within_the_limit_leave_no_trace_and_the_rule_is_ok(database: Database) -> None:
    world = World.of(database, a_rule(measure={"max": "cqlScore"}, by=CONVERSATION, warning=(5, 5)))
    for score in (1, 2, 9):
        world.add(score)
    world.clock.advance(5 * MINUTE)
    ((judged, kind),) = world.judged()
    assert [(each.group.id, each.level) for each in judged.verdicts] == [(3, Level.WARNING)]
    world.api.conversations[2]["cqlScore"] = 1
    assert world.check() == {"slow": (Evidence.OK, Kind.RESOLVED)}
    assert world.check() == {"slow": (Evidence.OK, None)}
    assert kind is Kind.OPENED


def test_an_earlier_window_is_measured_as_it_was_then_when_nobody_had_answered_yet(database: Database) -> None:
    """Everybody has always waited ten minutes: asked now, last week's have their answers, but then they were waiting too."""
    rule = a_rule(measure="waiting", compare={"change": {"to": "7d"}}, window=HOUR, warning=(0.5, 0.5))
    world = World.of(database, rule)
    world.clock.advance(5 * MINUTE)
    now = world.clock.now()
    for ago in range(0, 60, 5):
        for end in (now, now - WEEK):
            world.api.add(end - ago * MINUTE - 1, timeToAgentResponseMillis=10 * MINUTE if ago >= 10 or end != now else None)
    ((judged, kind),) = world.judged()
    (verdict,) = judged.verdicts
    assert (verdict.measured, verdict.reference, kind) == (5.0 * MINUTE + 1, 5.0 * MINUTE + 1, None)


def test_a_group_that_is_gone_is_no_longer_observed_although_it_was_there_last_week(database: Database) -> None:
    limits = {"warning": (0.5, 0.5), "by": "lastAgentId", "window": HOUR}
    rule = a_rule(measure={"median": "cqlScore"}, compare={"change": {"to": "7d"}}, every=HOUR, **limits)
    world = World.of(database, rule)
    world.clock.advance(HOUR)
    for number in range(5):
        world.add(1, ago=WEEK - number * HOUR + MINUTE, lastAgentId=7)
    world.add(9, ago=MINUTE, lastAgentId=7)
    assert [kind for _, kind in world.judged()] == [Kind.OPENED]
    assert [world.check(HOUR)["slow"][1] for _ in range(2)] == [Kind.RESOLVED, None]


def test_too_few_values_then_are_no_number_to_compare_with(database: Database) -> None:
    rule = a_rule(measure={"median": "cqlScore"}, compare={"change": {"to": "7d"}}, warning=(0.5, 0.5), min_conversations=3)
    world = World.of(database, rule)
    add(world, 1, ago=WEEK)
    for _ in range(5):
        world.add(9, ago=MINUTE)
    assert world.check() == {"slow": (Evidence.INSUFFICIENT, None)}


def test_too_many_groups_leave_nothing_behind(database: Database) -> None:
    world = World.of(database, dropping(by="lastAgentId", max_groups=2))
    for agent in range(3):
        world.add(1, lastAgentId=agent)
    assert world.check() == {"drop": (Evidence.ERROR, None)}
    assert remembered(world) == 0
