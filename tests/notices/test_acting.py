"""What people do about incidents: written once however often it is asked for, answered, and seen in messages at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, Message, Receipt
from alertd.channels.slack.presses import Action, Pressed
from alertd.clock import HOUR, MINUTE, SECOND, Instant
from alertd.facts import Kind
from alertd.notice import Notice, from_json
from alertd.notices import acting, silences
from alertd.notices.acting import Acted
from alertd.notices.incidents import last_incident
from alertd.notices.own import Trouble, report_trouble
from alertd.notices.silences import Silence
from alertd.store.database import open_database
from alertd.testing import START, FakeChannel
from tests.notices.stage import AWFUL, BAD, GOOD, Stage, a_levelled_rule

YOURS = "Incident 1 is yours: no reminders, no escalation until it gets worse."


class Posted(FakeChannel):
    """A channel that takes messages as Slack does: all of an incident hang on one."""

    editable: bool = True

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        super().send(message, thread, access)
        return {"channel": "C1", "ts": "1.000001"}


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A rule that is told to a Slack channel and by mail."""
    rule = a_levelled_rule(notify=dict.fromkeys(a_levelled_rule().notify, ("team", "mail")))
    database = open_database("sqlite://")
    yield Stage(database, rule, {"team": Posted(), "mail": FakeChannel()})
    database.close()


def do(stage: Stage, act: Callable[[sa.Connection], Any]) -> Any:
    with stage.database.write() as transaction:
        return act(transaction)


def ack(stage: Stage, by: str = "Priya", number: int = 1, at: Instant | None = None) -> Acted:
    moment = at if at is not None else stage.clock.now()
    acted: Acted = do(stage, lambda transaction: acting.acknowledge(transaction, number, by, moment, stage.book.receivers))
    return acted


def hush(stage: Stage, by: str = "Priya", hours: int = 1, *, ago: int = 0) -> Acted:
    now = stage.clock.now()
    acted: Acted = do(
        stage,
        lambda transaction: acting.silence_rule(
            transaction, 1, hours * HOUR, by, pressed_at=now - ago, now=now, receivers=stage.book.receivers
        ),
    )
    return acted


def press(stage: Stage, action: Action = "acknowledge", **changes: Any) -> Acted:
    pressed = Pressed(action, 1, "U1", "priya", "C1", "1.000001", stage.clock.now())
    now = stage.clock.now()
    acted: Acted = do(stage, lambda transaction: acting.press(transaction, replace(pressed, **changes), now))
    return acted


def notices(stage: Stage) -> list[Notice]:
    return [from_json(body) for body in stage.rows("body", table="notices")]


def held(stage: Stage) -> tuple[Silence, ...]:
    found: tuple[Silence, ...] = do(stage, lambda transaction: silences.active(transaction, stage.clock.now()))
    return found


def state(stage: Stage) -> tuple[Any, ...]:
    """Everything that people can change, and everything that they are told."""
    return (
        stage.rows("acknowledged_by", "acknowledged_at", table="incidents"),
        stage.rows("from", "until", "author", table="silences"),
        stage.rows("body", table="notices"),
        stage.rows("notice", "receiver", "kind"),
    )


def opened(stage: Stage) -> Stage:
    stage.check({1: BAD})
    stage.send()
    return stage


def test_whoever_acknowledges_has_it_and_the_message_says_so_silently(stage: Stage) -> None:
    assert ack(opened(stage)) == Acted(YOURS, done=True, changed=True)
    incident = do(stage, lambda transaction: last_incident(transaction, "slow"))
    assert (incident.acknowledged_by, incident.acknowledged_at) == ("Priya", stage.clock.now())
    assert stage.rows("receiver", "kind")[2:] == [("team", "refreshed")]
    before, after = notices(stage)
    assert after == replace(before, kind=Kind.REFRESHED, acknowledged="Priya")
    stage.send()
    message, thread = stage.channels["team"].taken.messages[-1]
    assert (message.kind, message.notice.acknowledged, thread) == (Kind.REFRESHED, "Priya", {"channel": "C1", "ts": "1.000001"})


def test_the_same_press_again_changes_nothing_and_is_answered_the_same(stage: Stage) -> None:
    first = ack(opened(stage))
    before = state(stage)
    stage.clock.advance(3 * SECOND)
    assert ack(stage) == replace(first, changed=False)
    assert state(stage) == before


def test_whoever_comes_second_is_told_who_has_it_since_when(stage: Stage) -> None:
    ack(opened(stage))
    before = state(stage)
    stage.clock.advance(MINUTE)
    assert ack(stage, "Ben") == Acted(
        "Priya has it already, since 09:05 UTC. To take it over: alertd ack 1 --undo, then again."
    )
    assert state(stage) == before


def test_what_is_over_cannot_be_acknowledged_or_silenced(stage: Stage) -> None:
    opened(stage).check({1: GOOD})
    before = state(stage)
    over = Acted("Incident 1 is over already.")
    assert ack(stage) == hush(stage) == over
    assert do(stage, lambda transaction: acting.unacknowledge(transaction, 1, stage.clock.now())) == over
    assert ack(stage, number=99) == Acted("Incident 99 is over already.")
    assert state(stage) == before


def test_given_back_the_message_says_no_name_any_more(stage: Stage) -> None:
    ack(opened(stage))
    back = do(stage, lambda transaction: acting.unacknowledge(transaction, 1, stage.clock.now()))
    assert back == Acted("Nobody has incident 1 any more: reminders and escalation go on.", done=True, changed=True)
    assert [each.acknowledged for each in notices(stage)] == [None, "Priya", None]
    again = do(stage, lambda transaction: acting.unacknowledge(transaction, 1, stage.clock.now()))
    assert again == replace(back, changed=False)


def test_without_the_receivers_all_who_know_of_it_are_written_to(stage: Stage) -> None:
    opened(stage)
    do(stage, lambda transaction: acting.acknowledge(transaction, 1, "Priya", stage.clock.now()))
    assert stage.rows("receiver", "kind")[2:] == [("team", "refreshed"), ("mail", "refreshed")]


def test_a_silence_begins_when_it_was_asked_for_and_the_message_says_until_when(stage: Stage) -> None:
    acted = hush(opened(stage), ago=90 * SECOND)
    assert acted.text.startswith("slow is silenced until 10:03 UTC: nobody is told of it, and what still fires then is told.")
    assert acted.text.endswith("alertd silence end 1")
    (silence,) = held(stage)
    begun = stage.clock.now() - 90 * SECOND
    assert (silence.start, silence.until, silence.author, silence.rule) == (begun, begun + HOUR, "Priya", "slow")
    assert (silence.group, dict(silence.labels)) == (None, {})
    assert [each.silenced for each in notices(stage)] == [None, "until 10:03 UTC by Priya"]


@pytest.mark.parametrize(
    ("ago", "starts"), [(-HOUR, 0), (-(10**15), 0), (10**12, 10 * MINUTE), (START + 10 * HOUR, 10 * MINUTE)]
)
def test_a_clock_that_is_wrong_makes_no_silence_that_has_never_been_or_lasts_for_ever(
    stage: Stage, ago: int, starts: int
) -> None:
    hush(opened(stage), ago=ago)
    (silence,) = held(stage)
    assert silence.start == stage.clock.now() - starts
    assert silence.until == silence.start + HOUR


def test_a_silence_pressed_twice_is_one(stage: Stage) -> None:
    first = hush(opened(stage))
    before = state(stage)
    stage.clock.advance(20 * MINUTE)
    assert hush(stage) == replace(first, changed=False)
    assert state(stage) == before


def test_somebody_elses_silence_that_lasts_as_long_is_enough(stage: Stage) -> None:
    hush(opened(stage), hours=4)
    before = state(stage)
    assert hush(stage, "Ben") == Acted("Priya has silenced it already, until 13:05 UTC.", done=True)
    assert state(stage) == before


def test_a_longer_silence_is_another_one_and_a_shorter_one_is_not(stage: Stage) -> None:
    hush(opened(stage))
    assert hush(stage, hours=4).changed
    assert not hush(stage, hours=1).changed
    assert [each.until - each.start for each in held(stage)] == [4 * HOUR, HOUR]
    assert notices(stage)[-1].silenced == "until 13:05 UTC by Priya"


def test_an_ended_silence_is_no_longer_shown(stage: Stage) -> None:
    hush(opened(stage))
    (silence,) = held(stage)
    stage.clock.advance(MINUTE)

    def end(transaction: sa.Connection) -> None:
        silences.end(transaction, 1, stage.clock.now())
        acting.hide_silence(transaction, silence, stage.clock.now())

    do(stage, end)
    assert [each.silenced for each in notices(stage)] == [None, "until 10:05 UTC by Priya", None]


def test_when_the_longer_of_two_is_ended_the_other_is_shown(stage: Stage) -> None:
    hush(opened(stage))
    hush(stage, "Ben", hours=4)
    longest = held(stage)[0]

    def end(transaction: sa.Connection) -> None:
        silences.end(transaction, 2, stage.clock.now())
        acting.hide_silence(transaction, longest, stage.clock.now())

    do(stage, end)
    assert notices(stage)[-1].silenced == "until 10:05 UTC by Priya"


@pytest.mark.parametrize(
    "what",
    [{"group": "conversationId=1"}, {"labels": {"team": "a"}}, {"rule": "other"}, {"rule": "slow", "labels": {"a": "b"}}],
)
def test_a_silence_about_less_or_more_than_the_rule_changes_no_message(stage: Stage, what: dict[str, Any]) -> None:
    opened(stage)
    silence = Silence(stage.clock.now(), stage.clock.now() + HOUR, "Ana", **what)
    do(stage, lambda transaction: acting.show_silence(transaction, silence, stage.clock.now()))
    do(stage, lambda transaction: acting.hide_silence(transaction, silence, stage.clock.now()))
    assert len(notices(stage)) == 1


def test_what_alertd_says_of_itself_is_acknowledged_but_not_silenced(stage: Stage) -> None:
    trouble = Trouble("alertd-rulebook", "The rules are wrong", "line 3", ("team",))
    do(stage, lambda transaction: report_trouble(transaction, trouble, stage.book, stage.clock.now()))
    assert "told whatever is silenced" in hush(stage).text
    assert not held(stage)
    assert ack(stage).changed


def test_news_after_an_acknowledgement_are_told_as_ever(stage: Stage) -> None:
    ack(opened(stage))
    stage.check({1: AWFUL})
    stage.check({1: GOOD})
    assert stage.told("team") == ["opened", "refreshed", "changed", "resolved"]
    assert stage.told("mail") == ["opened", "changed", "resolved"]


def test_where_nobody_was_told_of_it_nobody_is_shown_who_has_it(stage: Stage) -> None:
    stage.silence(60)
    stage.check({1: BAD})
    assert ack(stage).changed
    assert stage.rows("kind") == []
    stage.clock.advance(HOUR)
    stage.check({1: BAD})
    assert stage.told("team") == stage.told("mail") == ["opened"]
    assert notices(stage)[-1].acknowledged == "Priya"


def test_what_is_silenced_is_not_given_away_by_the_message_and_is_news_afterwards(stage: Stage) -> None:
    opened(stage)
    stage.silence(60)
    stage.check({1: BAD, 2: AWFUL})
    ack(stage)
    shown = notices(stage)[-1]
    assert (shown.kind, shown.level, shown.groups_total, shown.acknowledged) == (Kind.REFRESHED, "warning", 1, "Priya")
    stage.clock.advance(HOUR)
    stage.check({1: BAD, 2: AWFUL})
    assert stage.told("team") == ["opened", "refreshed", "changed"]
    told = notices(stage)[-1]
    assert (told.level, told.previous, told.groups_total) == ("critical", "warning", 2)
    assert [group.id for group in told.groups if group.new] == [2]


def test_in_a_reopening_that_nobody_was_told_of_the_end_of_the_old_episode_stays_told(stage: Stage) -> None:
    opened(stage).check({1: GOOD})
    stage.silence(60)
    stage.check({1: BAD})
    before = len(notices(stage))
    assert ack(stage).changed
    assert len(notices(stage)) == before


def test_a_press_of_a_message_of_ours_counts(stage: Stage) -> None:
    opened(stage)
    assert press(stage) == Acted(YOURS, done=True, changed=True)
    assert press(stage, "silence 4h").changed
    (silence,) = held(stage)
    assert (silence.author, silence.until - silence.start) == ("priya", 4 * HOUR)


@pytest.mark.parametrize(
    "forged", [{"channel": "C2"}, {"ts": "1.000002"}, {"incident": 2}, {"incident": 999_999_999}, {"channel": "", "ts": ""}]
)
@pytest.mark.parametrize("action", ["acknowledge", "silence 1h"])
def test_a_press_of_anything_else_is_denied(stage: Stage, action: Action, forged: dict[str, Any]) -> None:
    opened(stage)
    before = state(stage)
    denied = press(stage, action, **forged)
    assert not denied.done
    assert denied.text.startswith("alertd knows no such message of its own, so nothing was done.")
    assert state(stage) == before


def test_a_button_of_one_incident_does_not_move_another(stage: Stage) -> None:
    opened(stage).check({1: GOOD})
    stage.clock.advance(2 * HOUR)
    stage.check({1: BAD})
    assert not press(stage, incident=2).done
    assert press(stage).text == "Incident 1 is over already."


@settings(deadline=None, max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["acknowledge", "silence 1h", "silence 4h"]),
            st.sampled_from(["ana", "ben"]),
            st.integers(0, 40 * MINUTE),
        ),
        max_size=5,
    )
)
def test_what_is_delivered_again_in_whatever_order_leaves_what_the_presses_alone_leave(
    presses: list[tuple[Action, str, int]],
) -> None:
    with closing(open_database("sqlite://")) as database:
        stage = opened(Stage(database, a_levelled_rule(), {"team": Posted()}))
        done = []
        for action, name, later in presses:
            stage.clock.advance(later)
            done.append((action, name, stage.clock.now()))
            press(stage, action, name=name)
        once = state(stage)
        for action, name, at in [*reversed(done), *done]:
            if stage.clock.now() - at < 5 * MINUTE:
                assert not press(stage, action, name=name, at=at).changed
        assert state(stage) == once


def test_two_people_who_silence_at_about_the_same_time_make_one_silence(stage: Stage) -> None:
    hush(opened(stage))
    stage.clock.advance(MINUTE)
    assert hush(stage, "Ben") == Acted("Priya has silenced it already, until 10:05 UTC.", done=True)
    stage.clock.advance(5 * MINUTE)
    assert hush(stage, "Ben").changed
