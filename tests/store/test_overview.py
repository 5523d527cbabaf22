"""How things stand, read from the store in one go."""

from __future__ import annotations

import json

from alertd.clock import MINUTE, iso
from alertd.errors import DeliveryError, TimedOut
from alertd.overview import look, to_json
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
    found = look(database, budget.state(), "123")
    assert [(alert.rule, alert.state.value) for alert in found.firing] == [("bad", "firing"), ("slow", "firing")]
    assert [alert.rule for alert in found.pending] == ["held"]
    assert (found.queued, found.dead, found.daemon) == (0, 1, "123")
    assert found.dead_letters[0]["error"] == "no such channel"
    assert json.loads(json.dumps(to_json(found)))["budget"]["in_use"] == 2


def test_a_rule_that_could_not_be_judged_is_listed_with_its_reason(database: Database) -> None:
    world = World.of(database, scored(window=MINUTE))
    world.api.refuses = lambda _query: TimedOut("the API took too long")
    world.check()
    found = look(database, Budget(database, world.clock).state(), None)
    assert [(each.rule, each.reason) for each in found.failing] == [("slow", "the API took too long")]
    data = to_json(found)
    assert data["rules"][0]["failing_since"] == "2026-11-02T09:05:00Z"
    assert data["daemon"] is None


def test_an_empty_store_is_an_overview_too(database: Database) -> None:
    world = World.of(database)
    found = look(database, Budget(database, world.clock).state(), None)
    assert to_json(found)["rules"] == to_json(found)["alerts"] == []
    assert to_json(found)["budget"]["free"] == 54
    assert to_json(found)["rulebook"] is None


def test_it_tells_which_rulebook_was_taken_and_when(database: Database) -> None:
    world = World.of(database)
    with database.write() as transaction:
        keep(transaction, "0123456789ab", {"one.yaml": "rules: []"}, world.clock.now())
    found = look(database, Budget(database, world.clock).state(), None)
    assert to_json(found)["rulebook"] == {"revision": "0123456789ab", "taken_at": iso(world.clock.now())}
