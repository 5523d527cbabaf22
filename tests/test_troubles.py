"""What is told of alertd itself: wrong rule files, rules without evidence, parts that have stopped."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from alertd.channels.base import Access
from alertd.clock import HOUR, MINUTE
from alertd.errors import DeliveryError, TimedOut
from alertd.evaluation.failing import tell_failing
from alertd.evaluation.ledger import Checked
from alertd.facts import Evidence, Level
from alertd.notice import from_json
from alertd.notices.own import Trouble, open_causes, report_trouble
from alertd.planning.forecast import Terms, forecast
from alertd.reloading import Rejected
from alertd.rulebook.findings import Finding
from alertd.store.database import Database
from alertd.store.tables import deliveries, notices
from alertd.testing import START, FakeChannel, FakeClock, a_rule, a_rulebook
from alertd.troubles import Complaints, Sight, find_lacks, tell_loaded, tell_rejected, tell_unanswered
from alertd.watching import Lacks
from alertd.web.health import Check
from tests.evaluation.world import World, an_outbox, scored


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


FINE = {"store": Check(ok=True, text="last written")}
DEAF = {"buttons": Check(ok=False, text="not connected: Slack is down")}
FULL = {"store": Check(ok=False, text="nothing could be written since 10:02: the disk is full; free some space")}
REFUSES = Sight(FINE, Lacks({"slack": "set SECRET"}, "mail"))


class Life:
    """Looks at alertd itself, a minute apart; what people are told of it."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, FakeClock()
        self.channels = {"slack": FakeChannel(), "mail": FakeChannel(), "pager": FakeChannel()}
        rule = a_rule(notify={Level.WARNING: ("slack", "pager")})
        self.book = a_rulebook(rule, receivers=self.channels, fallback="mail")
        self.restart()

    def restart(self) -> None:
        self.complaints = Complaints(self.database, self.clock)

    def looks(self, minutes: int, sight: Sight | None = None, /, **checks: Check) -> Life:
        """So many looks that all see this."""
        seen = sight or Sight(FINE | checks)
        for _ in range(minutes):
            self.complaints.look(seen, self.book)
            self.clock.advance(MINUTE)
        return self

    @property
    def told(self) -> list[tuple[str, str]]:
        of = deliveries.c
        with self.database.read() as transaction:
            return [(row.receiver, row.kind) for row in transaction.execute(sa.select(of.receiver, of.kind).order_by(of.id))]

    @property
    def texts(self) -> list[str]:
        with self.database.read() as transaction:
            return [
                from_json(body).text or "" for body in transaction.scalars(sa.select(notices.c.body).order_by(notices.c.id))
            ]

    def send(self) -> None:
        outbox = an_outbox(self.database, self.clock, self.book)
        while outbox.step():
            pass


@pytest.fixture
def life(database: Database) -> Life:
    return Life(database)


def test_buttons_that_are_not_heard_for_a_quarter_of_an_hour_are_told_and_so_is_that_they_are_again(life: Life) -> None:
    assert life.looks(15, **DEAF).told == []
    assert life.looks(1, **DEAF).told == [("mail", "opened")]
    assert life.texts == ["Not connected: Slack is down."]
    life.restart()
    life.looks(30, **DEAF)
    assert life.looks(5).told == [("mail", "opened")]
    assert life.looks(1).told == [("mail", "opened"), ("mail", "resolved")]


def test_a_sign_of_life_that_is_not_taken_is_a_trouble_of_its_own(life: Life) -> None:
    late = {"heartbeat": Check(ok=False, text="nobody is there")}
    life.looks(16, **late, **DEAF)
    assert life.told == [("mail", "opened")] * 2
    assert life.texts == ["Not connected: Slack is down.", "Nobody is there."]


def test_parts_that_have_stopped_are_one_trouble_whichever_they_are(life: Life) -> None:
    stuck = {name: Check(ok=False, text=f"{name} hangs; restart alertd") for name in ("sending", "evaluation")}
    life.looks(6, **stuck)
    assert life.texts == ["Evaluation hangs; restart alertd. Sending hangs; restart alertd."]
    life.looks(6, evaluation=stuck["evaluation"])
    assert life.told == [("mail", "opened")]


def test_a_store_that_takes_nothing_is_told_when_it_does_again(life: Life) -> None:
    life.looks(30, Sight(FULL | DEAF))
    assert life.told == []
    life.looks(6)
    assert life.told == [("mail", "opened")]
    assert life.texts[0] == (
        "Nothing could be written into the store: the disk is full; free some space. What fired stayed, nothing new was told, "
        "messages waited. This lasted from 09:00 UTC to 09:30 UTC and is over; nobody could be told before."
    )
    with life.database.read() as transaction:
        assert open_causes(transaction) == frozenset()
    assert life.looks(30).told == [("mail", "opened")]


def test_what_was_wrong_before_the_store_failed_goes_on_after_it(life: Life) -> None:
    life.looks(20, **DEAF).looks(30, Sight(FULL | DEAF)).looks(4, **DEAF)
    assert life.told == [("mail", "opened")]
    life.looks(6, **DEAF)
    assert sorted(life.texts)[1].startswith("Nothing could be written")
    life.looks(6)
    assert life.told[-1] == ("mail", "resolved")


def test_a_receiver_that_cannot_be_used_is_told_at_the_fallback(life: Life) -> None:
    life.looks(6, REFUSES)
    assert life.told == [("mail", "opened")]
    assert life.texts == ["The receiver slack cannot be used: set SECRET. What it should be told goes to mail instead."]
    life.looks(6)
    assert life.told == [("mail", "opened"), ("mail", "resolved")]


def test_a_fallback_that_cannot_be_used_is_told_to_those_who_can(life: Life) -> None:
    life.looks(6, Sight(FINE, Lacks({"mail": "set SECRET", "slack": "set SECRET"})))
    assert life.told == [("pager", "opened")] * 2
    assert life.texts[0] == "The receiver mail cannot be used: set SECRET. What it should be told reaches nobody."


def test_where_nobody_can_be_told_nobody_is_and_it_goes_on(life: Life) -> None:
    life.looks(20, Sight(FINE, Lacks(dict.fromkeys(life.channels, "set SECRET"))))
    assert life.told == []
    life.looks(6, REFUSES)
    assert life.told == [("mail", "opened")]


def test_a_receiver_that_no_rule_names_is_missed_by_nobody(life: Life) -> None:
    life.book = replace(life.book, rules={})
    assert life.looks(20, REFUSES).told == []


def test_a_receiver_whose_message_died_is_told_until_it_takes_one(life: Life) -> None:
    life.channels["slack"].taken.failures = [DeliveryError("the channel is archived", permanent=True)]
    aside = Trouble("alertd-rulebook", "Wrong", "Wrong.", ("slack",))
    report(life, aside)
    life.send()
    life.looks(6)
    assert life.texts[-1] == (
        "The receiver slack did not take its last message; the log says why. What it should be told goes to mail instead. "
        "This is over once it has taken a message."
    )
    report(life, replace(aside, cause="alertd-source"))
    life.send()
    life.looks(6)
    assert [told for told in life.told if told[0] == "mail"] == [("mail", "opened"), ("mail", "resolved")]


def test_a_trouble_that_is_told_nobody_can_hear_of_does_not_breed_others(life: Life) -> None:
    for channel in life.channels.values():
        channel.taken.failures = [DeliveryError("no", permanent=True) for _ in range(99)]
    for _ in range(60):
        life.looks(1, **DEAF)
        life.send()
    assert len(life.told) <= 1 + len(life.channels)


def test_rules_that_need_more_calls_than_there_are_are_told_once_by_the_forecast_and_not_again_when_they_lack_them(
    life: Life,
) -> None:
    many = [a_rule(id=f"r{number}", every=MINUTE, window=(number + 1) * MINUTE, by="conversationId") for number in range(3)]
    book = replace(life.book, rules={rule.id: rule for rule in many})
    tight = forecast(many, terms=Terms(usable=1, latency=30_000))
    assert not tight.fits
    life.book = book
    life.looks(6, Sight(FINE, forecast=tight))
    assert life.told == [("mail", "opened")]
    assert life.texts[0].startswith(
        f"{len({r for each in tight.late for r in each.rules})} of 3 rules cannot be checked in time"
    )
    stale = {
        rule.id: Checked(rule.id, START, START, "", Evidence.STALE, "no call", 0, failing_since=START - HOUR) for rule in many
    }
    with life.database.write() as transaction:
        assert tell_failing(transaction, stale, book, life.clock.now()) == []
    life.looks(6, Sight(FINE, forecast=forecast(many)))
    assert life.told == [("mail", "opened"), ("mail", "resolved")]


def report(life: Life, trouble: Trouble) -> None:
    with life.database.write() as transaction:
        report_trouble(transaction, trouble, life.book, life.clock.now())
