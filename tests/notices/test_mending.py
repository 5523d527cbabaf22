"""Dead and failing deliveries are tried again or given up, and no story is left in pieces by that (I4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, Message, Receipt
from alertd.clock import DAY, HOUR, MINUTE, iso
from alertd.errors import DeliveryError
from alertd.facts import Level
from alertd.notices import mending
from alertd.notices.letters import Letter, Which, by_number, find, to_json
from alertd.notices.mending import Plan
from alertd.rulebook.rule import Escalation
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, Stage, a_levelled_rule

GONE = DeliveryError("channel_not_found", permanent=True)
RETRY = DeliveryError("no connection")
LETTERS = {"opened": "o", "escalated": "e", "changed": "c", "reminder": "m", "resolved": "r"}
STORY = re.compile(r"([oe][cme]*r)*([oe][cme]*)?")


@pytest.fixture(scope="module")
def database(kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    opened = open_database("sqlite://" if kind == "sqlite" else request.getfixturevalue("server").new_store())
    yield opened
    opened.close()


class Switched(FakeChannel):
    """Works, or refuses everything for good."""

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        if self.taken.lack == "switched off":
            raise GONE
        return super().send(message, thread, access)

    def missing(self, access: Access) -> str | None:
        del access
        return None

    def switch(self, *, on: bool) -> None:
        self.taken.lack = None if on else "switched off"


def a_stage(database: Database, fallback: str | None = None, **changes: Any) -> Stage:
    with database.write() as transaction:
        for name in ("deliveries", "notices", "incidents", "alerts", "rules", "decisions"):
            transaction.exec_driver_sql(f"DELETE FROM {name}")
    rule = a_levelled_rule(notify={Level.WARNING: ("team",), Level.CRITICAL: ("team",)}, **changes)
    return Stage(database, rule, {"team": Switched(), "spare": Switched()}, fallback)


@pytest.fixture
def stage(database: Database) -> Stage:
    return a_stage(database)


def switch(stage: Stage, *, on: bool, receiver: str = "team") -> None:
    channel = stage.channels[receiver]
    assert isinstance(channel, Switched)
    channel.switch(on=on)


def unheard(stage: Stage, *checks: dict[int, float]) -> None:
    """These happen while the receiver refuses everything; then it is mended."""
    switch(stage, on=False)
    for each in checks:
        stage.check(each)
    stage.send()
    switch(stage, on=True)


def letters(stage: Stage, which: Which = Which.ALL) -> list[Letter]:
    with stage.database.read() as transaction:
        return [*reversed(find(transaction, which, stage.clock.now())[0])]


def numbers(stage: Stage, *places: int) -> list[Letter]:
    """The first, second, ... delivery there ever was; all without any."""
    found = letters(stage)
    return [found[place - 1] for place in places] if places else found


def retry(stage: Stage, *places: int) -> Plan:
    named = numbers(stage, *places)
    with stage.database.write() as transaction:
        return mending.retry(transaction, named, stage.clock.now())


def drop(stage: Stage, *places: int, comment: str = "") -> Plan:
    named = numbers(stage, *places)
    with stage.database.write() as transaction:
        return mending.drop(transaction, named, "grace", comment)


def why(plan: Plan) -> list[str]:
    return [reason for _, reason in plan.left]


def test_a_dead_opening_is_tried_again_while_its_incident_goes_on(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    stage.clock.advance(HOUR)
    plan = retry(stage)
    assert [(each.via, each.along) for each in plan.changes] == [("team", False)]
    now = stage.clock.now()
    assert stage.rows("state", "attempts", "due_at", "error") == [("queued", 0, now, "channel_not_found")]
    stage.send()
    assert (stage.channels["team"].kinds, stage.rows("state", "error")) == (["opened"], [("sent", None)])


def test_all_that_its_reader_has_not_heard_goes_with_it(stage: Stage) -> None:
    unheard(stage, {1: BAD}, {1: AWFUL})
    assert stage.rows("kind", "state") == [("opened", "dead"), ("changed", "dead")]
    for place in (1, 2):
        plan = retry(stage, place)
        assert [each.letter.kind.value for each in plan.changes] == ["opened", "changed"]
        drop(stage)
    assert [each.along for each in retry(stage, 1).changes] == [False, True]


def test_an_opening_of_what_is_over_is_not_told_without_its_end(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    stage.check({})  # nobody was told that it began, so nobody is told of the end
    plan = retry(stage)
    assert plan.changes == ()
    assert why(plan) == [f"its incident is over since {iso(stage.clock.now())}, and no message of the end would follow"]
    assert stage.rows("state") == ["dead"]


def test_with_its_end_it_is(stage: Stage) -> None:
    unheard(stage, {1: BAD}, {})
    assert len(retry(stage, 1).changes) == 2
    stage.send()
    assert stage.channels["team"].kinds[-1] == "resolved"
    assert set(stage.rows("state")) == {"sent"}


def test_an_end_is_told_to_whoever_heard_of_the_beginning_and_to_nobody_else(stage: Stage) -> None:
    stage.check({1: BAD}), stage.send()
    unheard(stage, {})
    assert len(retry(stage, 2).changes) == 1
    stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved"]
    stage = a_stage(stage.database)
    unheard(stage, {1: BAD}, {})
    first = letters(stage)[0].id
    with stage.database.write() as transaction:
        transaction.exec_driver_sql(f"DELETE FROM deliveries WHERE id = {first}")
    assert why(retry(stage)) == ["it is an end, and its reader was not told of the beginning"]


def test_what_later_news_have_overtaken_is_not_told(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    stage.check({1: AWFUL})
    queued = retry(stage, 1)
    stage.send()
    sent = retry(stage, 1)
    last = letters(stage)[-1].id
    assert why(queued) == [f"its reader is to be told later news of that incident ({last})"]
    assert why(sent) == [f"its reader was told later news of that incident ({last})"]
    assert stage.channels["team"].kinds == ["opened"]


def test_of_several_episodes_that_nobody_heard_only_the_last_is_told(stage: Stage) -> None:
    unheard(stage, {1: BAD}, {}, {1: BAD}, {}, {1: AWFUL})
    plan = retry(stage)
    assert [each.letter.id for each in plan.changes] == [letters(stage)[-1].id]
    assert set(why(plan)) == {"it is of an episode that is over"}
    stage.send()
    assert stage.channels["team"].kinds == ["opened"]


def test_of_several_beginnings_that_nobody_heard_the_newest_is_told(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    unheard(stage, {1: AWFUL})
    assert stage.rows("kind", "state") == [("opened", "dead")] * 2
    plan = retry(stage)
    assert [each.letter.id for each in plan.changes] == [letters(stage)[1].id]
    assert why(plan) == ["later news of that incident take its place"]


def test_whoever_heard_of_the_beginning_hears_its_end_before_the_next_beginning(stage: Stage) -> None:
    stage.check({1: BAD}), stage.send()
    unheard(stage, {}, {1: BAD})
    assert len(retry(stage, 3).changes) == 2
    stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved", "opened"]


def test_a_change_is_an_opening_to_whoever_has_not_heard_of_it(stage: Stage) -> None:
    unheard(stage, {1: BAD}, {1: AWFUL})
    first = letters(stage)[0].id
    with stage.database.write() as transaction:
        transaction.exec_driver_sql(f"DELETE FROM deliveries WHERE id = {first}")
    (change,) = retry(stage).changes
    assert (change.letter.kind.value, change.kind.value) == ("changed", "opened")
    stage.send()
    assert stage.channels["team"].kinds == ["opened"]


def test_what_died_at_the_fallback_begins_at_its_own_receiver_again(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    switch(stage, on=False, receiver="spare")
    unheard(stage, {1: BAD})
    switch(stage, on=True, receiver="spare")
    assert stage.rows("via", "state") == [("spare", "dead")]
    retry(stage), stage.send()
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == (["opened"], [])


def test_what_follows_goes_where_the_beginning_was_heard(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    unheard(stage, {1: BAD})
    assert stage.channels["spare"].kinds == ["opened"]
    switch(stage, on=False, receiver="spare")
    stage.check({}), stage.send()
    switch(stage, on=True, receiver="spare")
    assert stage.rows("via", "state") == [("spare", "sent"), ("spare", "dead")]
    assert [each.via for each in retry(stage, 2).changes] == ["spare"]
    stage.send()
    assert (stage.channels["team"].kinds, stage.channels["spare"].kinds) == ([], ["opened", "resolved"])


def test_what_waits_out_a_back_off_is_tried_at_once(stage: Stage) -> None:
    stage.channels["team"].taken.failures[:] = [RETRY] * 4
    stage.check({1: BAD}), stage.check({})
    for _ in range(4):
        stage.send()
        stage.clock.advance(MINUTE)
    stage.channels["team"].taken.failures[:] = [RETRY]
    stage.send()
    assert stage.send() == 0
    plan = retry(stage, 2)  # it waits for the one before, which therefore goes with it
    assert [each.along for each in plan.changes] == [True, False]
    assert stage.rows("attempts", "error") == [(0, "no connection"), (0, None)]
    assert stage.send() > 0
    assert stage.channels["team"].kinds[-1] == "resolved"


def test_what_is_sent_or_being_sent_or_about_to_be_is_left_alone(stage: Stage) -> None:
    stage.check({1: BAD})
    (waits,) = why(retry(stage))
    assert waits == "it is to be sent already, and waits only for its turn"
    with stage.database.write() as transaction:
        transaction.exec_driver_sql("UPDATE deliveries SET state = 'sending'")
    before = stage.rows("state", "attempts", "due_at")
    assert why(retry(stage)) == why(drop(stage)) == ["it is being sent at this moment; look again in a minute"]
    assert stage.rows("state", "attempts", "due_at") == before
    stage.outbox.recover()
    stage.send()
    sent = f"it was sent at {iso(stage.clock.now())}"
    assert why(retry(stage)) == why(drop(stage)) == [sent]
    assert stage.rows("state") == ["sent"]


def test_what_is_given_up_says_who_did_it_why_and_what_was_wrong(stage: Stage) -> None:
    unheard(stage, {1: BAD}, {1: AWFUL})
    plan = drop(stage, 1, comment="the channel is history")
    assert [each.along for each in plan.changes] == [False, True]
    first, second = stage.rows("error")
    assert stage.rows("state") == ["dead", "dead"]
    assert first == "given up by grace: the channel is history (it had failed: channel_not_found)"
    assert second.startswith("given up by grace with the message that it follows: the channel is history (it had failed: ")
    assert letters(stage, Which.TROUBLED) == []
    assert [each.given_up for each in letters(stage, Which.DEAD)] == [True, True]
    assert why(drop(stage)) == ["it was given up already"] * 2


def test_with_a_queued_opening_goes_what_follows_it_up_to_the_next(stage: Stage) -> None:
    stage.check({1: BAD}), stage.check({1: AWFUL}), stage.check({}), stage.check({1: BAD})
    assert [each.letter.kind.value for each in drop(stage, 1).changes] == ["opened", "changed", "resolved"]
    stage.send()
    assert stage.channels["team"].kinds == ["opened"]


def test_whoever_knew_before_still_hears_the_end(database: Database) -> None:
    stage = a_stage(database, escalate=Escalation(5 * MINUTE, ("team",)))
    stage.check({1: BAD}), stage.send()
    stage.check({1: BAD}), stage.check({})
    assert [each.letter.kind.value for each in drop(stage, 2).changes] == ["escalated"]
    stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved"]


def test_after_what_was_given_up_more_news_begin_with_an_opening(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    drop(stage)
    stage.check({1: AWFUL}), stage.send()
    assert stage.channels["team"].kinds == ["opened"]


def test_what_was_given_up_can_be_tried_again_by_its_number(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    drop(stage)
    assert len(retry(stage, 1).changes) == 1
    stage.send()
    assert stage.channels["team"].kinds == ["opened"]


def test_of_what_was_told_in_a_digest_only_the_edit_is_tried_or_given_up(stage: Stage) -> None:
    def told() -> None:
        with stage.database.write() as transaction:
            values = f"state = 'queued', told_at = {stage.clock.now()}, digest = 'd', attempts = 3, due_at = due_at + {DAY}"
            transaction.exec_driver_sql(f"UPDATE deliveries SET {values}")

    stage.check({1: BAD})
    told()
    retry(stage)
    assert stage.rows("state", "digest", "attempts", "due_at") == [("queued", "d", 0, stage.clock.now())]
    assert [each.told_at for each in letters(stage)] == [stage.clock.now()]
    told()
    drop(stage)
    assert stage.rows("state", "error") == [("sent", None)]


def test_each_incident_and_each_report_is_a_story_of_its_own(stage: Stage) -> None:
    unheard(stage, {1: BAD})
    with stage.database.write() as transaction:
        transaction.exec_driver_sql("UPDATE deliveries SET incident = NULL, kind = 'report'")
    stage.check({})
    stage.clock.advance(HOUR)
    unheard(stage, {1: BAD})
    assert [each.kind.value for each in retry(stage).changes] == ["report", "opened"]
    assert [to_json(each)["incident"] is None for each in letters(stage)] == [True, False]


def test_what_still_goes_on_is_revived_from_its_beginning_and_nothing_that_was_given_up(stage: Stage) -> None:
    def revived() -> int:
        with stage.database.write() as transaction:
            return mending.revive(transaction, stage.clock.now())

    unheard(stage, {1: BAD}, {1: AWFUL})
    drop(stage)
    assert revived() == 0
    stage.check({})
    stage.clock.advance(HOUR)
    unheard(stage, {1: BAD}, {1: AWFUL})
    assert (revived(), revived()) == (2, 0)
    stage.send()
    assert stage.channels["team"].kinds == ["opened", "changed"]
    stage.check({})
    stage.clock.advance(HOUR)
    unheard(stage, {1: BAD})
    stage.check({})
    assert revived() == 0  # it is over


def test_numbers_that_are_not_there_are_not_found(stage: Stage) -> None:
    stage.check({1: BAD})
    (number,) = stage.rows("id")
    with stage.database.read() as transaction:
        assert [*by_number(transaction, [number, 0, -1, number + 1, 10**30])] == [number]


steps = st.lists(
    st.one_of(
        st.sampled_from([{1: BAD}, {1: BAD, 2: AWFUL}, {}, {2: AWFUL}]),
        st.sampled_from(["send", "send", "on", "off", "spare on", "spare off", "retry", "retry all", "drop", "wait"]),
    ),
    max_size=25,
)


@given(steps=steps, chosen=st.randoms(use_true_random=False), fallback=st.sampled_from([None, "spare"]))
@settings(max_examples=30, deadline=None)
def test_whatever_is_tried_again_or_given_up_each_reader_hears_one_story(
    database: Database, steps: list[dict[int, float] | str], chosen: Any, fallback: str | None
) -> None:
    stage = a_stage(database, fallback)

    def some(act: Callable[..., Plan]) -> None:
        if count := len(letters(stage)):
            act(stage, *sorted({chosen.randint(1, count) for _ in range(chosen.randint(1, 3))}))

    for each in [*steps, "on", "spare on", "wait", "retry all", "send"]:
        match each:
            case dict():
                stage.check(each)
            case "send" | "wait":
                stage.clock.advance(20 * MINUTE if each == "wait" else 0)
                stage.send()
            case "retry" | "drop":
                some(retry if each == "retry" else drop)
            case "retry all":
                if letters(stage):
                    retry(stage)
            case _:
                switch(stage, on=each.endswith("on"), receiver="spare" if each.startswith("spare") else "team")
        for states in (("sent",), ("sent", "queued")):
            assert_stories(stage, states)
    assert "queued" not in stage.rows("state")


def assert_stories(stage: Stage, states: tuple[str, ...]) -> None:
    """What was told makes sense. An end that died or was given up is missed by nobody who then hears of another beginning."""
    told: dict[tuple[int, str], list[str]] = {}
    for incident, receiver, kind, state in stage.rows("incident", "receiver", "kind", "state"):
        heard, with_lost_ends = told.get((incident, receiver), ("", ""))
        lost = kind == "resolved" and state == "dead" and with_lost_ends[-1:] not in ("", "r")
        news = LETTERS[kind] if state in states else ""
        told[incident, receiver] = [heard + news, with_lost_ends + (news or "r" * lost)]
    for stories in told.values():
        assert any(STORY.fullmatch(each) for each in stories), told
