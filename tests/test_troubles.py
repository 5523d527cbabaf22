"""What is told of alertd itself: wrong rule files, and rules without evidence."""

from __future__ import annotations

from alertd.channels.base import Access
from alertd.clock import MINUTE
from alertd.errors import TimedOut
from alertd.reloading import Rejected
from alertd.rulebook.findings import Finding
from alertd.store.database import Database
from alertd.testing import FakeChannel, a_rulebook
from alertd.troubles import find_lacks, tell_loaded, tell_rejected, tell_unanswered
from tests.evaluation.world import World, scored


def a_world(database: Database) -> World:
    return World.of(database, scored(id="slow"), receivers={"team": FakeChannel()})


def told(world: World) -> list[tuple[str, str]]:
    return [(receiver, kind) for receiver, kind in world.rows("deliveries", "receiver", "kind")]


def test_wrong_rule_files_are_told_once_and_so_is_that_they_are_mended(database: Database) -> None:
    world, now = a_world(database), 1_000
    wrong = Rejected(None, "the rules cannot be loaded: 1 error", (Finding("error", "no", "a.yaml", rule="slow"),), "digest")
    assert tell_rejected(database, wrong, world.book, now)
    assert not tell_rejected(database, wrong, world.book, now + MINUTE)
    assert tell_loaded(database, world.book, now + 2 * MINUTE)
    assert not tell_loaded(database, world.book, now + 3 * MINUTE)
    assert told(world) == [("team", "opened"), ("team", "resolved")]


def test_a_rule_that_has_no_answer_for_long_is_told_once_and_so_is_its_end(database: Database) -> None:
    world = a_world(database)
    world.api.refuses = lambda _query: TimedOut("slow")
    news = []
    for _ in range(6):
        world.check()
        news.append(tell_unanswered(database, world.book, world.clock.now()))
    assert news == [False, False, False, True, False, False]
    world.api.refuses = lambda _query: None
    world.check()
    assert tell_unanswered(database, world.book, world.clock.now())
    assert told(world) == [("team", "opened"), ("team", "resolved")]


class Exploding(FakeChannel):
    def missing(self, access: Access) -> str | None:
        raise TypeError(access)


def test_a_receiver_whose_settings_cannot_be_read_costs_nobody_else() -> None:
    book = a_rulebook(receivers={"odd": Exploding(), "team": FakeChannel()})
    assert find_lacks(book, Access()).receivers == {
        "odd": "its settings cannot be read (TypeError); check the secrets that it names"
    }
