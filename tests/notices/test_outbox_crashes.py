"""I5: whatever is killed whenever, no notice is lost, and only what was being sent is repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, Message, Receipt
from alertd.clock import HOUR, MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Level
from alertd.notices.claiming import LEASE
from alertd.notices.outbox import LONGEST_RETRY
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, Stage, a_levelled_rule


class Killed(BaseException):
    """The process ends here."""


class KilledAfterwards(DeliveryError):
    """The message was taken, then the process ended: FakeChannel takes what is ambiguous."""


@pytest.fixture(scope="module")
def database(kind: str, request: pytest.FixtureRequest) -> Iterator[Database]:
    opened = open_database("sqlite://" if kind == "sqlite" else request.getfixturevalue("server").new_store())
    yield opened
    opened.close()


class Mortal(FakeChannel):
    """Its sender can be killed before or after the message was taken."""

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        try:
            return super().send(message, thread, access)
        except KilledAfterwards as end:
            raise Killed from end


def a_stage(database: Database, fallback: str | None = None) -> Stage:
    with database.write() as transaction:
        for name in ("deliveries", "notices", "incidents", "alerts", "rules", "decisions"):
            transaction.execute(sa.text(f"DELETE FROM {name}"))
    rule = a_levelled_rule(notify={Level.WARNING: ("a",), Level.CRITICAL: ("a", "b")})
    return Stage(database, rule, {name: Mortal() for name in ("a", "b", "spare")}, fallback)


steps = st.lists(
    st.one_of(
        st.sampled_from([{1: BAD}, {1: BAD, 2: AWFUL}, {}, {2: AWFUL}]),
        st.sampled_from(["send", "send", "send", "killed before", "killed after", "retry", "wait", "restart"]),
    ),
    max_size=30,
)


@given(steps=steps, patient=st.booleans())
@settings(max_examples=80, deadline=None)
def test_a_kill_loses_nothing_and_repeats_at_most_what_was_being_sent(
    database: Database, steps: list[dict[int, float] | str], patient: bool
) -> None:
    stage, kills = a_stage(database), 0
    for each in steps:
        if isinstance(each, dict):
            stage.check(each)
        elif each == "wait":
            stage.clock.advance(MINUTE)
        elif each == "restart":
            stage.restart().recover()
        else:
            problem = {
                "killed before": Killed(),
                "killed after": KilledAfterwards("", ambiguous=True),
                "retry": DeliveryError(""),
            }
            for channel in stage.channels.values():
                channel.taken.failures[:] = [problem[each]] if each in problem else []
            try:
                stage.outbox.step()
            except Killed:
                kills += 1
                stage.restart()
                stage.clock.advance(LEASE if patient else 0)
                if not patient:
                    stage.outbox.recover()
    for channel in stage.channels.values():
        channel.taken.failures.clear()
    for _ in range(3):
        stage.clock.advance(max(LEASE, LONGEST_RETRY))
        stage.send()
    told = {together or key for together, key in stage.rows("digest", "key")}
    got = [message.key for channel in stage.channels.values() for message, _ in channel.taken.messages]
    assert set(got) >= told  # none lost
    assert set(got) <= set(stage.rows("key"))  # none made up
    assert set(stage.rows("state")) <= {"sent"}
    assert sum(count - 1 for count in Counter(got).values()) <= kills
    repeats = [message.repeat for channel in stage.channels.values() for message, _ in channel.taken.messages]
    assert sum(repeats) <= kills


@pytest.mark.parametrize("fallback", [None, "spare"])
def test_a_kill_at_any_statement_of_a_delivery_loses_nothing(url: str, fallback: str | None) -> None:
    """The process ends at the n-th statement, for every n."""
    database = open_database(url)
    left = [0]

    def cut(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    sa.event.listen(database._engine, "before_cursor_execute", cut)
    try:
        for number in range(1, 40):
            left[0] = 0
            stage = a_stage(database, fallback)
            stage.check({1: BAD})
            stage.channels["a"].taken.failures.append(DeliveryError("gone", permanent=True) if fallback else None)
            left[0] = number
            with suppress(Killed):
                stage.send()
            left[0] = 0
            stage.restart().recover()
            stage.send()
            (state,) = stage.rows("state")
            got = [message.key for name in ("a", "spare") for message, _ in stage.channels[name].taken.messages]
            assert state == "sent", number
            assert 1 <= len(got) <= 2, number
            assert len(set(got)) == 1, number
    finally:
        sa.event.remove(database._engine, "before_cursor_execute", cut)
        database.close()


def test_several_threads_send_each_message_once(url: str) -> None:
    database = open_database(url)
    rule = a_levelled_rule(notify=dict.fromkeys(Level, tuple("abcdefgh")))
    stage = Stage(database, rule, {name: FakeChannel() for name in "abcdefgh"})
    stage.check({1: BAD}), stage.check({})
    stage.clock.advance(HOUR)
    stage.check({1: BAD})
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: stage.send(), range(6)))
    assert stage.send() == 0
    for channel in stage.channels.values():
        assert sorted(channel.kinds) == ["opened", "resolved"]  # two incidents, in any order; of the first only its end
        assert len({message.key for message, _ in channel.taken.messages}) == 2
    database.close()
