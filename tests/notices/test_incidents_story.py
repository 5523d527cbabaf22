"""I4: whatever happens to a rule and its receivers, each of them is told one story, in order, to its end."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alertd.clock import MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.notices.claiming import LEASE, LONGEST_PAUSE
from alertd.store.database import open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, ERROR, GOOD, Stage, a_levelled_rule

NAMES = ("warn", "crit", "both", "quiet", "spare")
OUTCOMES = {
    "retry": DeliveryError("no connection"),
    "later": DeliveryError("429", retry_after=MINUTE),
    "ambiguous": DeliveryError("no answer", ambiguous=True),
    "permanent": DeliveryError("channel_not_found", permanent=True),
    "odd": KeyError("ts"),
}
STORY = re.compile(r"(oc*r)*(oc*)?")
STORY_WITHOUT_END = re.compile(r"(oc*)*")
REOPEN = 15 * MINUTE


def level(value: float) -> Level:
    return Level.CRITICAL if value > 15 else Level.WARNING if value > 5 else Level.OK


class Story(RuleBasedStateMachine):
    @initialize(fallback=st.sampled_from([None, "spare"]), spare=st.booleans())
    def begin(self, fallback: str | None, spare: bool) -> None:
        critical = ("crit", "both", "quiet", *(["spare"] if spare else []))
        notify = {Level.WARNING: ("warn", "both", "quiet"), Level.CRITICAL: critical}
        self.database = open_database("sqlite://")
        channels = {name: FakeChannel(editable=name == "both") for name in NAMES}
        rule = a_levelled_rule(notify=notify, reopen_within=REOPEN)
        self.stage = Stage(self.database, rule, channels, fallback, quiet=frozenset({"quiet"}))
        self.firing: dict[int, Level] = {}
        self.closed_at: int | None = None

    def teardown(self) -> None:
        if not hasattr(self, "database"):
            return
        for channel in self.stage.channels.values():
            channel.taken.failures.clear()
        for _ in range(6):
            self.stage.clock.advance(max(LEASE, LONGEST_PAUSE))
            self.stage.send()
        self.everything_arrived()
        self.stories()
        self.database.close()

    @rule(values=st.dictionaries(st.integers(1, 3), st.sampled_from([GOOD, BAD, 8.0, AWFUL]), max_size=3))
    def check(self, values: dict[int, float]) -> None:
        before, self.firing = self.firing, {number: level(each) for number, each in values.items() if each > 5}
        after = self.firing
        told = self.stage.check(values)
        worst = [max((each.rank for each in one.values()), default=0) for one in (before, after)]
        if not before or not after:
            assert told is (Kind.RESOLVED if before else Kind.OPENED if after else None)
        elif worst[0] != worst[1] or after.keys() - before.keys():
            assert told is Kind.CHANGED
        else:
            assert told is (Kind.REFRESHED if before != after else None)
        self.incidents(opened=not before and bool(after), closed=bool(before) and not after)

    def incidents(self, *, opened: bool, closed: bool) -> None:
        now, rows = self.stage.clock.now(), self.stage.rows("closed_at", table="incidents")
        if opened:
            again = self.closed_at is not None and now - self.closed_at <= REOPEN
            assert len(rows) == self.count + (not again)
        self.closed_at = now if closed else self.closed_at
        self.count = len(rows)
        assert sum(each is None for each in rows) == bool(self.firing)

    count = 0

    @rule()
    def fail_to_answer(self) -> None:
        assert self.stage.check(ERROR) is None

    @rule()
    def remove_the_rule(self) -> None:
        self.stage.remove()
        if self.firing:
            self.closed_at = self.stage.clock.now()
        self.firing = {}

    @rule(name=st.sampled_from(NAMES), outcomes=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=3))
    def break_a_receiver(self, name: str, outcomes: list[str]) -> None:
        self.stage.channels[name].taken.failures[:] = [OUTCOMES[each] for each in outcomes]

    @rule(times=st.integers(1, 6))
    def send(self, times: int) -> None:
        for _ in range(times):
            self.stage.outbox.step()

    @rule(minutes=st.sampled_from([1, 5, 40]))
    def wait(self, minutes: int) -> None:
        self.stage.clock.advance(minutes * MINUTE)

    @precondition(lambda self: self.stage.rows("state").count("queued") > 0)
    @rule()
    def be_killed_while_sending(self) -> None:
        self.stage.outbox._claim()
        self.stage.restart().recover()

    @invariant()
    def stories(self) -> None:
        if not hasattr(self, "stage"):
            return
        told: dict[tuple[int, str], str] = defaultdict(str)
        unheard = set()  # what is dead reached nobody, also not by way of the fallback
        for incident, receiver, kind, state in self.stage.rows("incident", "receiver", "kind", "state"):
            if state == "dead":
                unheard.add((incident, receiver))
                if kind == "resolved" and told[incident, receiver]:
                    told[incident, receiver] += "r"  # an end that reached nobody is an end
            elif kind != "refreshed":
                told[incident, receiver] += kind[0]
        closed = dict(self.stage.rows("id", "closed_at", table="incidents"))
        for (incident, receiver), story in told.items():
            if receiver == "quiet":
                assert STORY_WITHOUT_END.fullmatch(story), (receiver, story)
            else:
                assert STORY.fullmatch(story), (receiver, story)
                if closed[incident] is not None and (incident, receiver) not in unheard:
                    assert story.endswith("r") or not story, (receiver, story)

    @invariant()
    def whoever_is_to_be_told_of_the_level_was_told(self) -> None:
        if not self.firing_is_known():
            return
        worst = max(self.firing.values(), key=lambda each: each.rank)
        (incident,) = [number for number, end in self.stage.rows("id", "closed_at", table="incidents") if end is None]
        told = {receiver for number, receiver in self.stage.rows("incident", "receiver") if number == incident}
        assert told >= set(self.stage.rule.notify[worst])

    def firing_is_known(self) -> bool:
        return hasattr(self, "stage") and bool(self.firing)

    @invariant()
    def messages_came_in_order(self) -> None:
        if not hasattr(self, "stage"):
            return
        rows = {key: (number, incident, receiver) for number, incident, receiver, key in self.keys()}
        for channel in self.stage.channels.values():
            last: dict[Any, int] = defaultdict(int)
            for message, _ in channel.taken.messages:
                number, *story = rows[message.key]
                assert number >= last[tuple(story)]
                last[tuple(story)] = number

    def keys(self) -> list[tuple[int, int, str, str]]:
        return self.stage.rows("id", "incident", "receiver", "key")

    @invariant()
    def the_fallback_hears_nothing_twice(self) -> None:
        if not hasattr(self, "stage"):
            return
        spare = [notice for notice, via in self.stage.rows("notice", "via") if via == "spare"]
        assert len(spare) == len(set(spare))

    def everything_arrived(self) -> None:
        """Each delivery was taken by where it was sent, or is dead: then its notice went to the fallback, if there is one."""
        taken = {name: {message.key for message, _ in channel.taken.messages} for name, channel in self.stage.channels.items()}
        rows = self.stage.rows("notice", "digest", "via", "kind", "key", "state")
        reached = {notice for notice, _, via, _, _, _ in rows if via == "spare"}
        for notice, together, via, kind, key, state in rows:
            assert state in ("sent", "dead")
            if state == "sent":
                assert (together or key) in taken[via]
            elif self.stage.fallback and kind != "refreshed":
                assert notice in reached


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
