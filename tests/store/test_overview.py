"""How things stand, read from the store in one go."""

from __future__ import annotations

import json

from alertd.clock import DAY, HOUR, MINUTE, iso
from alertd.errors import DeliveryError, TimedOut
from alertd.notices.incidents import acknowledge
from alertd.notices.letters import Which, find
from alertd.notices.mending import drop
from alertd.notices.silences import Silence, add
from alertd.overview import about, look, to_json
from alertd.reporting.budget import Budget
from alertd.reporting.query import parse_filter
from alertd.rulebook.keeping import keep
from alertd.store.database import Database
from alertd.testing import FakeChannel
from tests.evaluation.world import World, scored

OPEN = parse_filter({"property": "status", "operation": "EQ", "values": ["open"]})


def test_it_tells_what_fires_what_fails_and_what_could_not_be_sent(database: Database) -> None:
    channel = FakeChannel()
    world = World.of(
        database, scored(), scored(id="held", hold=MINUTE), scored(id="bad", filters=(OPEN,)), receivers={"team": channel}
    )
    world.add(20, ago=-4 * MINUTE)
    world.check()
    channel.taken.failures.append(DeliveryError("no such channel", permanent=True))
    world.send()
    budget = Budget(database, world.clock, calls_per_minute=60, reserve=6)
    found = look(database, budget.state(), "123", world.clock.now())
    assert [(alert.rule, alert.state.value) for alert in found.firing] == [("bad", "firing"), ("slow", "firing")]
    assert [alert.rule for alert in found.pending] == ["held"]
    assert (found.queued, found.dead, found.daemon) == (0, 1, "123")
    assert found.dead_letters[0]["error"] == "no such channel"
    assert json.loads(json.dumps(to_json(found)))["budget"]["in_use"] == 2


def test_a_rule_that_could_not_be_judged_is_listed_with_its_reason(database: Database) -> None:
    world = World.of(database, scored(window=MINUTE))
    world.api.refuses = lambda _query: TimedOut("the API took too long")
    world.check()
    found = look(database, Budget(database, world.clock).state(), None, world.clock.now())
    assert [(each.rule, each.reason) for each in found.failing] == [("slow", "the API took too long")]
    data = to_json(found)
    assert data["rules"][0]["failing_since"] == "2026-11-02T09:05:00Z"
    assert data["daemon"] is None


def test_what_somebody_has_given_up_is_no_trouble_any_more(database: Database) -> None:
    channel = FakeChannel()
    world = World.of(database, scored(), receivers={"team": channel})
    world.add(20, ago=-4 * MINUTE)
    world.check()
    channel.taken.failures.append(DeliveryError("no such channel", permanent=True))
    world.send()
    with database.write() as transaction:
        drop(transaction, find(transaction, Which.DEAD, world.clock.now())[0], "ada")
    found = look(database, Budget(database, world.clock).state(), None, world.clock.now())
    assert (found.dead, found.dead_letters) == (0, ())


def test_what_was_sent_with_a_warning_is_told_until_it_works_or_a_day_has_passed(database: Database) -> None:
    world = World.of(database, scored(window=MINUTE))
    world.add(20, ago=-4 * MINUTE)
    world.check(), world.send()
    with database.write() as transaction:
        transaction.exec_driver_sql("UPDATE deliveries SET error = '1 of 2 addresses was refused'")
    budget, now = Budget(database, world.clock).state(), world.clock.now()
    warned = look(database, budget, None, now)
    assert [(each["error"], each["alike"]) for each in warned.warnings] == [("1 of 2 addresses was refused", 1)]
    assert len(to_json(warned)["outbox"]["warnings"]) == 1
    assert look(database, budget, None, now + DAY).warnings == ()
    world.add(1, ago=-4 * MINUTE)
    world.check(), world.send()
    assert look(database, budget, None, world.clock.now()).warnings == ()


def test_an_empty_store_is_an_overview_too(database: Database) -> None:
    world = World.of(database)
    found = look(database, Budget(database, world.clock).state(), None, world.clock.now())
    assert to_json(found)["rules"] == to_json(found)["alerts"] == []
    assert to_json(found)["budget"]["free"] == 54
    assert to_json(found)["rulebook"] is None


def test_it_tells_which_rulebook_was_taken_and_when(database: Database) -> None:
    world = World.of(database)
    with database.write() as transaction:
        keep(transaction, "0123456789ab", {"one.yaml": "rules: []"}, world.clock.now())
    found = look(database, Budget(database, world.clock).state(), None, world.clock.now())
    assert to_json(found)["rulebook"] == {"revision": "0123456789ab", "taken_at": iso(world.clock.now())}


def test_it_tells_which_incidents_are_open_who_has_them_and_what_is_silenced(database: Database) -> None:
    world = World.of(database, scored(), scored(id="mild", warning=(15, 15)))
    world.add(20, ago=-4 * MINUTE)
    world.check()
    now = world.clock.now()
    with database.write() as transaction:
        assert acknowledge(transaction, 2, "ada", now)
        for begins, lasts in ((0, HOUR), (HOUR, HOUR), (-HOUR, HOUR)):
            add(transaction, Silence(now + begins, now + begins + lasts, "ada", group="lastAgentId=7", labels={"team": "a"}))
    found = look(database, Budget(database, world.clock).state(), None, now)
    assert [(each.id, each.acknowledged_by) for each in found.incidents] == [(1, None), (2, "ada")]
    assert [about(each) for each in found.silences] == ["lastAgentId=7 team=a"]
    data = json.loads(json.dumps(to_json(found)))
    assert [each["acknowledged_at"] for each in data["incidents"]] == [None, iso(now)]
    assert [(each["silence"], each["until"]) for each in data["silences"]] == [(1, iso(now + HOUR))]


def test_what_is_over_is_no_longer_open(database: Database) -> None:
    world = World.of(database, scored(window=MINUTE))
    world.add(20, ago=-4 * MINUTE)
    world.check()
    world.add(1, ago=-4 * MINUTE)
    world.check()
    found = look(database, Budget(database, world.clock).state(), None, world.clock.now())
    assert (found.incidents, found.firing) == ((), ())


def test_a_silence_of_nothing_in_particular_is_about_everything() -> None:
    assert about(Silence(0, 1, "ada")) == "everything"
    assert about(Silence(0, 1, "ada", rule="slow", labels={"level": "warning"})) == "slow level=warning"
