"""The outbox: each delivery is attempted until it is sent or visibly dead, in order, and by one at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy as sa

from alertd.channels.base import Access, Message, Receipt
from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.errors import DeliveryError, SettingsError, StoreError
from alertd.facts import Kind, Level
from alertd.notices.claiming import LEASE, LONGEST_PAUSE
from alertd.notices.outbox import FIRST_RETRY, LONGEST_RETRY
from alertd.notices.settlement import LEAST_ATTEMPTS
from alertd.notices.trial import send_trial
from alertd.rulebook.rule import Receiver
from alertd.store.database import Database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, Stage, a_levelled_rule

RETRY = DeliveryError("no connection")
AMBIGUOUS = DeliveryError("no answer", ambiguous=True)
PERMANENT = DeliveryError("channel_not_found", permanent=True)


class Killed(BaseException):
    """The process ends here."""


class Paced(FakeChannel):
    pace = 1 * SECOND


def a_stage(database: Database, *names: str, fallback: str | None = None, channel: type[FakeChannel] = FakeChannel) -> Stage:
    told = tuple(names or ("team",))
    channels = {name: channel() for name in (*told, *([fallback] if fallback else []))}
    return Stage(database, a_levelled_rule(notify=dict.fromkeys(Level, told)), channels, fallback)


@pytest.fixture
def stage(database: Database) -> Stage:
    return a_stage(database)


def fail(stage: Stage, *problems: BaseException | None, receiver: str = "team") -> None:
    stage.channels[receiver].taken.failures.extend(problems)


def got(stage: Stage, receiver: str = "team") -> list[Message]:
    return [message for message, _ in stage.channels[receiver].taken.messages]


def try_for(stage: Stage, long: int) -> None:
    """Send what is due, every ten seconds."""
    for _ in range(long // (10 * SECOND)):
        stage.send()
        stage.clock.advance(10 * SECOND)
    stage.send()


@contextmanager
def unwritable(database: Database) -> Iterator[None]:
    """Nothing can be settled: another program holds the store."""

    def locked(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        if statement.startswith("UPDATE deliveries") and "sent" in str(parameters):
            raise sa.exc.OperationalError(statement, None, sqlite3.OperationalError("database is locked"))

    sa.event.listen(database._engine, "before_cursor_execute", locked)
    yield
    sa.event.remove(database._engine, "before_cursor_execute", locked)


def test_nothing_to_do_is_said_at_once(stage: Stage) -> None:
    assert stage.outbox.step() is False
    assert stage.outbox.next_due() is None


def test_what_is_due_is_sent_once(stage: Stage) -> None:
    stage.check({1: BAD})
    assert stage.send() == 1
    assert stage.rows("state", "attempts", "sent_at", "lease", "error") == [("sent", 1, stage.clock.now(), None, None)]
    assert [(each.kind, each.level, each.parts, each.repeat) for each in got(stage)] == [
        (Kind.OPENED, Level.WARNING, {"news": "opened warning"}, False)
    ]


def test_the_key_is_the_same_on_every_attempt_and_another_for_every_message(stage: Stage) -> None:
    fail(stage, AMBIGUOUS, AMBIGUOUS)
    stage.check({1: BAD})
    for _ in range(3):
        stage.send()
        stage.clock.advance(LONGEST_RETRY)
    stage.check({})
    stage.send()
    keys = [each.key for each in got(stage)]
    assert keys[0] == keys[1] == keys[2] != keys[3]
    assert [each.repeat for each in got(stage)] == [False, True, True, False]


def test_back_off_grows_and_is_capped(stage: Stage) -> None:
    fail(stage, *[RETRY] * 15)
    stage.check({1: BAD})
    pauses = []
    for _ in range(15):
        assert stage.send() == 1
        (due,) = stage.rows("due_at")
        pauses.append(due - stage.clock.now())
        stage.clock.advance(pauses[-1] - 1)
        assert stage.send() == 0
        stage.clock.advance(1)
    longest = [min(FIRST_RETRY * 2**n, LONGEST_RETRY) for n in range(15)]
    assert all(0.75 * most - 1 <= pause <= most for pause, most in zip(pauses, longest, strict=True))
    assert stage.send() == 1
    assert stage.rows("state") == ["sent"]


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(30 * SECOND, 30 * SECOND, 30 * SECOND), (0, 3 * SECOND, FIRST_RETRY), (10**12, LONGEST_PAUSE, LONGEST_PAUSE)],
)
def test_a_receiver_is_not_tried_before_it_asked_for(stage: Stage, asked: int, least: int, most: int) -> None:
    fail(stage, DeliveryError("429", retry_after=asked))
    stage.check({1: BAD})
    stage.send()
    (due,) = stage.rows("due_at")
    assert least <= due - stage.clock.now() <= most


def two_incidents(stage: Stage) -> None:
    """One that opened and ended, and an hour later another one; nothing is sent yet."""
    stage.check({1: BAD})
    stage.check({})
    stage.clock.advance(HOUR)
    stage.check({1: BAD})


def test_a_receiver_that_asked_for_rest_gets_nothing_about_other_incidents_either(stage: Stage) -> None:
    two_incidents(stage)
    fail(stage, DeliveryError("429", retry_after=30 * SECOND))
    assert stage.send() == 1
    stage.clock.advance(30 * SECOND - 1)
    assert stage.send() == 0
    stage.clock.advance(1)
    assert stage.send() == 2  # of the first, which is long over, only the end is told


def test_messages_of_one_story_come_in_order_however_often_they_fail(stage: Stage) -> None:
    fail(stage, RETRY, RETRY, None, AMBIGUOUS)
    stage.check({1: BAD}), stage.check({1: BAD, 2: BAD}), stage.check({})
    for _ in range(10):
        stage.send()
        stage.clock.advance(MINUTE)
    assert [each.kind.value for each in got(stage)] == ["opened", "changed", "changed", "resolved"]
    assert stage.rows("state") == ["sent"] * 3


def test_while_one_message_of_a_story_is_being_sent_the_next_one_waits(stage: Stage) -> None:
    stage.check({1: BAD}), stage.check({})
    first = stage.outbox._claim()
    assert first is not None
    assert stage.outbox._claim() is None
    stage.outbox._sent(first, {})
    stage.outbox._rest("team", 0)
    second = stage.outbox._claim()
    assert second is not None
    assert [each.kind for batch in (first, second) for each in batch.deliveries] == [Kind.OPENED, Kind.RESOLVED]


def test_a_story_that_goes_two_ways_is_in_order_too(database: Database) -> None:
    """The opening is on its way to the fallback, the change stays with the receiver since the fallback is told it anyway."""
    notify = {Level.WARNING: ("team",), Level.CRITICAL: ("team", "spare")}
    stage = Stage(database, a_levelled_rule(notify=notify), {"team": FakeChannel(), "spare": FakeChannel()}, "spare")
    stage.check({1: BAD}), stage.check({1: AWFUL})
    fail(stage, PERMANENT)
    fail(stage, RETRY, receiver="spare")
    stage.send()
    assert stage.rows("receiver", "via", "state") == [
        ("team", "spare", "queued"), ("team", "team", "queued"), ("spare", "spare", "queued"),
    ]  # fmt: skip
    stage.clock.advance(LONGEST_RETRY)
    stage.send()
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == (["changed"], ["opened", "opened"])


def test_one_receiver_that_fails_holds_up_nobody_else(database: Database) -> None:
    stage = a_stage(database, "a", "b")
    fail(stage, RETRY, receiver="a")
    stage.check({1: BAD}), stage.check({})
    stage.send()
    assert (stage.channels["a"].kinds, stage.channels["b"].kinds) == ([], ["opened", "resolved"])


def test_while_one_holds_the_lease_nobody_else_sends(stage: Stage) -> None:
    stage.check({1: BAD})
    fail(stage, Killed())
    with pytest.raises(Killed):
        stage.outbox.step()
    stage.restart()
    stage.clock.advance(LEASE - 1)
    assert stage.send() == 0
    assert stage.outbox.next_due() == stage.clock.now() + 1


def test_an_expired_lease_is_taken_up_again_and_says_that_it_may_be_a_repeat(stage: Stage) -> None:
    stage.check({1: BAD})
    fail(stage, Killed())
    with pytest.raises(Killed):
        stage.outbox.step()
    stage.restart()
    stage.clock.advance(LEASE)
    assert stage.send() == 1
    assert [each.repeat for each in got(stage)] == [True]
    assert stage.rows("state", "attempts", "ambiguous") == [("sent", 2, True)]


def test_a_daemon_that_starts_takes_up_at_once_what_was_being_sent(stage: Stage) -> None:
    stage.check({1: BAD})
    fail(stage, Killed())
    with pytest.raises(Killed):
        stage.outbox.step()
    assert stage.restart().recover() == 1
    assert stage.outbox.recover() == 0
    assert stage.send() == 1
    assert [each.repeat for each in got(stage)] == [True]


@pytest.mark.parametrize("late", [None, RETRY, PERMANENT])
@pytest.mark.parametrize("same", [True, False], ids=["a thread", "a process"])
def test_whoever_lost_the_lease_cannot_settle(database: Database, late: DeliveryError | None, same: bool) -> None:
    """A slow sender comes back after another has taken the delivery up, and before that one is done."""
    stage = a_stage(database, fallback="spare")
    stage.check({1: BAD})
    slow = stage.outbox
    first = slow._claim()
    assert first is not None
    stage.clock.advance(LEASE)
    other = slow if same else stage.restart()
    second = other._claim()
    assert second is not None
    assert second.lease != first.lease
    before = stage.rows("state", "lease", "via", "due_at")
    if late is None:
        slow._sent(first, {"root": "late"})
    else:
        assert slow._failed(first, late) == "retried"
    assert stage.rows("state", "lease", "via", "due_at") == before
    other._sent(second, {"root": "second"})
    assert stage.rows("state", "receipt") == [("sent", {"root": "second"})]


def test_a_permanent_failure_is_dead_and_visible_without_a_fallback(stage: Stage) -> None:
    fail(stage, PERMANENT)
    stage.check({1: BAD})
    assert stage.send() == 1
    assert stage.rows("state", "error", "attempts") == [("dead", "channel_not_found", 1)]


def test_the_fallback_is_told_instead_and_what_follows_of_the_story_too(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    stage.check({1: BAD})
    stage.check({1: BAD, 2: BAD})
    fail(stage, PERMANENT)
    stage.send()
    assert stage.channels["spare"].kinds == ["opened", "changed"]
    assert stage.rows("receiver", "via", "state") == [("team", "spare", "sent")] * 2
    stage.check({}), stage.send()
    assert stage.channels["spare"].kinds == ["opened", "changed", "resolved"]
    threads = [thread for _, thread in stage.channels["spare"].taken.messages]
    assert threads[0] is None
    assert threads[1] == threads[2] is not None


def test_a_reopening_tries_the_receiver_itself_again(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    fail(stage, PERMANENT)
    stage.check({1: BAD}), stage.send()
    stage.check({}), stage.send()
    stage.check({1: BAD}), stage.send()
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == (["opened"], ["opened", "resolved"])


def test_the_fallback_is_not_told_twice_what_it_is_told_anyway(database: Database) -> None:
    stage = a_stage(database, "team", "spare", fallback="spare")
    fail(stage, PERMANENT)
    stage.check({1: BAD}), stage.send()
    stage.check({}), stage.send()
    assert stage.channels["spare"].kinds == ["opened", "resolved"]
    assert stage.rows("receiver", "state") == [("team", "dead"), ("spare", "sent"), ("spare", "sent")]


def test_whoever_could_not_be_told_of_the_opening_is_told_of_it_when_there_is_more_to_tell(database: Database) -> None:
    stage = a_stage(database)
    fail(stage, PERMANENT)
    stage.check({1: BAD}), stage.send()
    stage.check({1: BAD, 2: BAD}), stage.send()
    stage.check({}), stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved"]


def test_a_start_tells_again_what_reached_nobody_and_still_goes_on(database: Database) -> None:
    stage = a_stage(database)
    fail(stage, PERMANENT)
    stage.check({1: BAD}), stage.send()
    assert stage.outbox.revive() == 1
    stage.send()
    stage.check({}), stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved"]
    assert stage.outbox.revive() == 0


def test_whoever_never_heard_of_the_opening_hears_nothing_of_the_end(database: Database) -> None:
    stage = a_stage(database)
    fail(stage, PERMANENT)
    stage.check({1: BAD}), stage.send()
    stage.check({}), stage.send()
    assert stage.channels["team"].kinds == []


def test_the_fallback_is_told_once_when_two_receivers_are_dead(database: Database) -> None:
    stage = a_stage(database, "a", "b", fallback="spare")
    for name in ("a", "b"):
        stage.channels[name].taken.lack = "the bot token is not set"
    stage.check({1: BAD})
    try_for(stage, 3 * MINUTE)
    stage.check({})
    try_for(stage, 3 * MINUTE)
    assert stage.channels["spare"].kinds == ["opened", "resolved"]


def test_of_a_story_whose_opening_reached_nobody_nothing_else_is_sent(database: Database) -> None:
    """Both are dead: the fallback hears of it once, in the place of the first; the second hears no end without a beginning."""
    stage = a_stage(database, "a", "b", fallback="spare")
    for name in ("a", "b"):
        fail(stage, PERMANENT, receiver=name)
    stage.check({1: BAD})
    stage.check({1: BAD, 2: BAD})
    stage.send()
    stage.check({})
    stage.send()
    assert stage.channels["b"].kinds == []
    assert stage.channels["spare"].kinds[:2] == ["opened", "changed"]


def test_a_dead_fallback_is_dead(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    fail(stage, PERMANENT)
    fail(stage, PERMANENT, receiver="spare")
    stage.check({1: BAD})
    assert stage.send() == 2
    assert stage.rows("receiver", "via", "state") == [("team", "spare", "dead")]
    assert stage.rows("error") == [f"{PERMANENT}; then spare: {PERMANENT}"]


def test_a_silent_refresh_never_goes_to_the_fallback(database: Database) -> None:
    stage = Stage(
        database,
        a_levelled_rule(notify=dict.fromkeys(Level, ("team",))),
        {"team": FakeChannel(editable=True), "spare": FakeChannel()},
        "spare",
    )
    stage.check({1: BAD, 2: BAD}), stage.send()
    assert stage.check({1: BAD}) is Kind.REFRESHED
    fail(stage, PERMANENT)
    stage.send()
    assert stage.rows("kind", "state") == [("opened", "sent"), ("refreshed", "dead")]
    assert got(stage, "spare") == []


@pytest.mark.parametrize(("fallback", "patience"), [("spare", 30 * MINUTE), (None, DAY)])
def test_a_receiver_that_fails_for_too_long_is_dead(database: Database, fallback: str | None, patience: int) -> None:
    stage = a_stage(database, fallback=fallback)
    fail(stage, *[RETRY] * 500)
    stage.check({1: BAD})
    start = stage.clock.now()
    while stage.rows("via", "state") == [("team", "queued")]:
        stage.clock.advance(LONGEST_RETRY)
        stage.send()
    assert patience <= stage.clock.now() - start <= patience + LONGEST_RETRY
    assert stage.rows("via", "state") == [("spare", "sent") if fallback else ("team", "dead")]


def test_time_in_which_nobody_tried_does_not_count_against_a_receiver(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.clock.advance(3 * DAY)  # the daemon was down over the weekend
    fail(stage, *[RETRY] * (LEAST_ATTEMPTS - 1))
    for _ in range(LEAST_ATTEMPTS):
        stage.send()
        stage.clock.advance(LONGEST_RETRY)
    assert stage.rows("state") == ["sent"]


def test_a_clock_set_back_holds_nothing_up(stage: Stage) -> None:
    fail(stage, RETRY)
    stage.check({1: BAD}), stage.send()
    stage.clock.set_wall(stage.clock.now() - 6 * HOUR)
    assert stage.send() == 1
    assert stage.rows("state") == ["sent"]


def test_a_channel_that_raises_something_unexpected_costs_only_its_message(database: Database) -> None:
    outcomes: list[tuple[str, str]] = []
    stage = a_stage(database, "a", "b")
    stage.outbox.told = lambda channel, outcome: outcomes.append((channel, outcome))
    fail(stage, KeyError("ts"), receiver="a")
    stage.check({1: BAD})
    stage.send()
    (error,) = [error for receiver, error in stage.rows("receiver", "error") if receiver == "a"]
    assert "its log has the details" in error
    assert outcomes == [("fake", "retried"), ("fake", "sent")]
    stage.clock.advance(LONGEST_RETRY)
    stage.send()
    assert [each.repeat for each in got(stage, "a")] == [True]  # nobody knows how far it came


def test_an_error_of_ours_that_says_what_is_wrong_is_kept_as_it_is(stage: Stage) -> None:
    fail(stage, SettingsError("ALERTD_SLACK__BOT_TOKEN_FILE cannot be read"))
    stage.check({1: BAD}), stage.send()
    assert stage.rows("error", "ambiguous", "state") == [("ALERTD_SLACK__BOT_TOKEN_FILE cannot be read", False, "queued")]


def test_a_message_that_cannot_be_rendered_is_tried_again(stage: Stage) -> None:
    def broken(_kind: str, _notice: object) -> Mapping[str, str]:
        raise ZeroDivisionError

    stage.outbox.render = broken
    stage.check({1: BAD}), stage.send()
    stage.restart()
    stage.clock.advance(LONGEST_RETRY)
    assert stage.send() == 1
    assert stage.rows("state") == ["sent"]


def test_a_receiver_that_lacks_something_is_dead_soon_and_says_what(stage: Stage) -> None:
    stage.channels["team"].taken.lack = "set SUPPORT_WEBHOOK_URL"
    stage.check({1: BAD})
    try_for(stage, MINUTE)
    assert stage.rows("state", "error") == [("queued", "set SUPPORT_WEBHOOK_URL")]
    try_for(stage, 2 * MINUTE)
    assert stage.rows("state", "error") == [("dead", "set SUPPORT_WEBHOOK_URL")]


def test_a_secret_that_is_missing_while_it_rotates_costs_a_retry(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    stage.channels["team"].taken.lack = "ALERTD_SLACK__BOT_TOKEN is empty"
    stage.check({1: BAD}), stage.send()
    stage.channels["team"].taken.lack = None
    try_for(stage, MINUTE)
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == (["opened"], [])


def test_a_receiver_is_sent_one_message_at_a_time_and_others_go_on(database: Database) -> None:
    stage = a_stage(database, "hangs", "works")
    two_incidents(stage)
    claimed = [stage.outbox._claim() for _ in range(3)]
    assert [each.via if each else None for each in claimed] == ["hangs", "works", None]


def test_retries_of_one_receiver_come_after_first_attempts_of_others(database: Database) -> None:
    stage = a_stage(database, "broken", "works")
    fail(stage, *[RETRY] * 9, receiver="broken")
    stage.check({1: BAD}), stage.check({})
    assert stage.outbox.step()
    stage.clock.advance(LONGEST_RETRY)
    claimed = stage.outbox._claim()
    assert claimed
    assert (claimed.via, claimed.deliveries[0].attempts) == ("works", 1)


def test_a_sent_message_whose_outcome_cannot_be_written_is_not_repeated(stage: Stage) -> None:
    stage.check({1: BAD})
    with unwritable(stage.database):
        for _ in range(3):
            with pytest.raises(StoreError):
                stage.outbox.step()
    assert stage.rows("state") == ["sending"]
    stage.clock.advance(MINUTE)
    assert stage.send() == 0
    assert stage.rows("state", "attempts", "receipt") == [("sent", 1, {"root": got(stage)[0].key})]
    assert len(got(stage)) == 1


def test_after_its_lease_an_outcome_that_was_never_written_counts_as_unknown(stage: Stage) -> None:
    stage.check({1: BAD})
    with unwritable(stage.database), pytest.raises(StoreError):
        stage.outbox.step()
    stage.clock.advance(LEASE)
    assert stage.send() == 1
    assert [each.repeat for each in got(stage)] == [False, True]


def test_the_end_makes_a_message_true_where_it_is_not_told(database: Database) -> None:
    rule = a_levelled_rule(notify=dict.fromkeys(Level, ("team",)))
    stage = Stage(database, rule, {"team": FakeChannel(editable=True)}, quiet=frozenset({"team"}))
    stage.check({1: BAD}), stage.check({}), stage.send()
    assert [(each.kind, each.parts["news"]) for each in got(stage)] == [
        (Kind.OPENED, "opened warning"),
        (Kind.REFRESHED, "resolved warning"),
    ]


def test_a_receiver_that_is_no_more_hands_over_to_the_fallback(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    stage.check({1: BAD}), stage.send()
    stage.drop("team")
    stage.check({}), stage.send()
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == (["opened"], ["resolved"])


def test_two_messages_to_a_paced_receiver_keep_their_distance(database: Database) -> None:
    stage = a_stage(database, channel=Paced)
    stage.check({1: BAD}), stage.check({1: BAD, 2: BAD}), stage.check({})
    times = []
    for _ in range(40):
        if stage.send():
            times.append(stage.clock.uptime())
        stage.clock.advance(100)
    assert len(times) == 3
    assert min(later - earlier for earlier, later in pairwise(times)) == Paced.pace


def test_a_paced_receiver_is_never_sent_two_messages_at_once(database: Database) -> None:
    stage = a_stage(database, channel=Paced)
    two_incidents(stage)
    first = stage.outbox._claim()
    assert first is not None
    stage.clock.advance(LEASE - 1)  # however slow the first one is
    assert stage.outbox._claim() is None
    stage.outbox._sent(first, {})
    stage.outbox._rest("team", Paced.pace)
    stage.clock.advance(Paced.pace - 1)
    assert stage.outbox._claim() is None
    stage.clock.advance(1)
    assert stage.outbox._claim() is not None


def test_what_follows_goes_into_the_thread_and_a_reopening_into_the_old_one(stage: Stage) -> None:
    for values in ({1: BAD}, {}, {1: BAD}, {}):
        stage.check(values), stage.send()
    for _ in range(8):
        stage.check({})
    stage.check({1: BAD}), stage.send()
    threads: list[Receipt | None] = [thread for _, thread in stage.channels["team"].taken.messages]
    assert stage.channels["team"].kinds == ["opened", "resolved", "opened", "resolved", "opened"]
    root = {"root": got(stage)[0].key}
    assert threads == [None, root, root, root, None]


def test_a_thread_whose_root_was_lost_goes_on_in_the_newest_one(stage: Stage) -> None:
    """A channel may say that it had to begin again: its newest receipt counts."""
    stage.check({1: BAD}), stage.send()
    claimed = stage.check({1: BAD, 2: BAD}) and stage.outbox._claim()
    assert claimed
    stage.outbox._sent(claimed, {"root": "new"})
    stage.outbox._rest("team", 0)
    stage.check({}), stage.send()
    assert stage.channels["team"].taken.messages[-1][1] == {"root": "new"}


def test_a_test_message_goes_past_the_outbox(stage: Stage) -> None:
    send_trial(stage.receiver("team"), Access(), [Path("templates")], stage.clock.now())
    (message,) = got(stage)
    assert message.kind is Kind.TEST
    assert stage.rows("id") == []


def test_a_test_message_says_what_is_missing() -> None:
    channel = FakeChannel()
    channel.taken.lack = "set ALERTD_EMAIL__HOST"
    with pytest.raises(DeliveryError, match="set ALERTD_EMAIL__HOST") as caught:
        send_trial(Receiver("team", "fake", channel), Access(), [Path("templates")], 0)
    assert caught.value.permanent
