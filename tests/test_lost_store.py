"""What follows when the store was lost: people are told once, and no call is made that might be one too many."""

from __future__ import annotations

from pathlib import Path

from alertd.clock import SECOND
from alertd.reporting.budget import MINUTE, TRAVEL, Budget, Slot
from alertd.store.database import Database, open_database
from alertd.store.rescue import GONE, Loss
from alertd.testing import FakeChannel, FakeClock
from alertd.troubles import tell_lost
from tests.evaluation.world import World, scored


def test_those_responsible_are_told_once_what_was_lost_and_it_is_no_incident_that_goes_on(database: Database) -> None:
    world = World.of(database, scored(id="slow"), receivers={"team": FakeChannel()})
    kept = Path("/var/lib/alertd/alertd.db.damaged-20261102T090000Z")
    tell_lost(database, Loss("was damaged (disk image is malformed)", kept), world.book, world.clock.now())
    assert world.rows("deliveries", "receiver", "kind", "state") == [("team", "opened", "queued")]
    assert [closed is not None for (closed,) in world.rows("incidents", "closed_at")] == [True]
    ((body,),) = world.rows("notices", "body")
    assert "was damaged (disk image is malformed)" in body
    assert "kept as alertd.db.damaged-20261102T090000Z in its folder" in body
    assert "put a backup in the place of the file" in body


def test_a_file_that_is_gone_is_told_without_a_place_to_find_it(database: Database) -> None:
    world = World.of(database, scored(id="slow"), receivers={"team": FakeChannel()})
    tell_lost(database, GONE, world.book, world.clock.now())
    ((body,),) = world.rows("notices", "body")
    assert "The file with alertd's state was deleted or emptied. alertd goes on with a new one" in body


def test_after_a_loss_no_call_is_made_until_all_that_may_have_been_made_are_a_minute_old() -> None:
    clock = FakeClock()
    budget = Budget(open_database("sqlite://"), clock, calls_per_minute=4, reserve=1)
    budget.count_all()
    assert budget.state().free == 0
    clock.advance(MINUTE + TRAVEL - 1)
    assert not isinstance(budget.borrow(10 * SECOND), Slot)
    clock.advance(1)
    assert isinstance(budget.borrow(10 * SECOND), Slot)
