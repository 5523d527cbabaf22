"""Muting from end to end: rules that are quiet while others fire, comparisons in messages, and what the records say."""

from __future__ import annotations

from dataclasses import replace

from alertd import comparisons
from alertd.clock import MINUTE
from alertd.facts import Alert, Change, Evidence, Group, Kind, Level, State, Transition
from alertd.notice import from_json
from alertd.notices.composing import compose
from alertd.rulebook.rule import Limit
from alertd.store.database import Database
from alertd.testing import FakeChannel, a_rule
from alertd.units import Unit
from tests.evaluation.world import World, scored

OK = Evidence.OK


def test_a_rule_is_told_when_the_one_that_explains_it_fires_no_longer(database: Database) -> None:
    cause = scored(id="cause", window=5 * MINUTE)
    effect = scored(id="effect", window=30 * MINUTE, hold=5 * MINUTE, quiet_while=("cause",))
    world = World.of(database, cause, effect, receivers={"team": FakeChannel()})
    world.add(20, ago=0)
    assert world.check() == {"cause": (OK, Kind.OPENED), "effect": (OK, None)}
    world.add(20, ago=0)
    assert world.check() == {"cause": (OK, None), "effect": (OK, None)}
    assert ("effect", "quiet while cause fires") in world.rows("incidents", "rule", "muted")
    assert ("effect", None, "quiet while cause fires") in world.rows("decisions", "rule", "told", "untold")
    found = []
    for _ in range(2):  # whichever of the two is settled first
        world.add(1, ago=0), world.add(20, ago=6 * MINUTE)
        found.append(world.check())
    assert found[0]["cause"] == (OK, Kind.RESOLVED)
    assert sorted(str(each["effect"][1]) for each in found) == ["None", "opened"]


def test_the_records_of_a_muted_incident_are_one_with_a_span(database: Database) -> None:
    world = World.of(database, scored(quiet_while=("other",)))
    with database.write() as transaction:
        transaction.exec_driver_sql(
            'INSERT INTO alerts (rule, "group", state, level, held, cleared, unseen, conversations, examples)'
            " VALUES ('other', '', 'firing', 'warning', 0, 0, 0, 1, '[]')"
        )
    world.add(20)
    for _ in range(4):
        assert world.check() == {"slow": (OK, None)}
    assert world.rows("decisions", "evaluations", "change", "untold") == [
        (1, "over the limit for long enough", "quiet while other fires"),
        (3, "not recovered yet", "quiet while other fires"),
    ]


def test_a_comparison_is_told_with_both_numbers(database: Database) -> None:
    compare = comparisons.build({"change": {"to": "1h"}}, Unit.NUMBER, counts=True)
    rule = a_rule(measure="count", compare=compare, direction="above", warning=(0.5, 0.5), window=10 * MINUTE)
    world = World.of(database, rule)
    for _ in range(10):
        world.add(1, ago=57 * MINUTE)
    for _ in range(38):
        world.add(1, ago=0)
    assert world.check() == {"slow": (OK, Kind.OPENED)}
    notice = from_json(world.rows("notices", "body")[-1][0])
    assert (notice.value, notice.measured, notice.reference, notice.limit) == (2.8, 38.0, 10.0, 0.5)
    assert notice.comparison == compare.spell(2.8, 38.0, 10.0, Unit.NUMBER)
    assert notice.measure == compare.describe("number of conversations")
    assert notice.groups[0].comparison == notice.comparison


def test_a_limit_of_the_comparisons_own_is_the_one_that_is_told() -> None:
    firing = Alert("slow", Group(), State.FIRING, Level.WARNING, value=9.0, limit=6.0)
    for rule in (a_rule(limits=(Limit(Level.WARNING, "above", 5, 4),)), replace(a_rule(), limits=())):
        notice = compose(rule, Kind.OPENED, [Transition(firing, firing, Change.HELD)], at=0, incident=1)
        assert (notice.limit, notice.recover, notice.groups[0].limit) == (6.0, None, 6.0)


def test_a_rule_is_quiet_from_the_very_check_at_which_its_cause_fires(database: Database) -> None:
    cause, effect = scored(id="z-cause"), scored(id="a-effect", quiet_while=("z-cause",))
    world = World.of(database, effect, cause)
    world.add(20)
    assert world.check() == {"z-cause": (Evidence.OK, Kind.OPENED), "a-effect": (Evidence.OK, None)}


def test_an_opening_that_was_held_back_waits_for_evidence(database: Database) -> None:
    """When the cause is over but nothing is known of the effect, its old number is not told as if it were now."""
    cause = scored(id="cause", window=5 * MINUTE)
    effect = scored(id="effect", window=5 * MINUTE, quiet_while=("cause",), min_conversations=3)
    world = World.of(database, cause, effect)
    for _ in range(3):
        world.add(20, ago=0)
    assert world.check() == {"cause": (OK, Kind.OPENED), "effect": (OK, None)}
    world.add(1, ago=0)
    assert world.check() == {"cause": (OK, Kind.RESOLVED), "effect": (Evidence.INSUFFICIENT, None)}
    for _ in range(3):
        world.add(20, ago=4 * MINUTE)
    world.book = replace(world.book, rules={"effect": effect})
    for _ in range(3):
        world.add(20, ago=0)
    assert world.check() == {"effect": (OK, Kind.OPENED)}


def test_the_worst_of_another_question_is_not_told(database: Database) -> None:
    world = World.of(database, scored(id="slow"))
    world.add(20)
    world.check()
    world.take(scored(id="slow", measure={"max": "numEndUserMessages"}))
    world.check()
    (body,) = [from_json(row[0]) for row in world.rows("notices", "body")][-1:]
    assert (body.kind, body.peak) == (Kind.RESOLVED, None)


def test_a_removed_rule_leaves_a_record_of_its_end(database: Database) -> None:
    world = World.of(database, scored(id="slow"))
    world.add(20)
    world.check()
    assert world.take() == ["slow"]
    assert world.rows("decisions", "rule", "state", "change")[-1] == ("slow", "inactive", "the rule was removed")
