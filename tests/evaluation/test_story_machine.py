"""I3, I4, I6 and I10, whatever happens: rules of every kind live through errors, restarts, reloads and clocks that are set.

A plain reference reads the same verdicts and says where each alert must stand; what is told must follow from that.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from alertd.clock import DAY, HOUR, MINUTE, Duration, Instant
from alertd.evaluation.settling import Judged
from alertd.evaluation.tick import tick
from alertd.notices import silences
from alertd.notices.claiming import LEASE, LONGEST_PAUSE
from alertd.notices.incidents import acknowledge
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Rule
from alertd.store.database import open_database
from alertd.testing import FakeChannel, a_rulebook
from tests.evaluation.cast import ANSWER, FAILURES, MOODS, NAMES, OUTCOMES, RECEIVERS, RELOADS, rules
from tests.evaluation.living import Living
from tests.evaluation.reference import Alerts, Check, Times

LETTERS = {"opened": "o", "escalated": "e", "changed": "c", "reminder": "m", "resolved": "r"}
STORY = re.compile(r"([oe][cme]*r)*([oe][cme]*)?")
STORY_WITHOUT_END = re.compile(r"([oe][cmeo]*)?")  # a new episode begins without the end of the old one


class Stories(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.channels = {name: FakeChannel(editable=name == "lead") for name in RECEIVERS}
        book = a_rulebook(*rules(), receivers=self.channels, fallback="spare")
        known = {name: replace(each, send_resolved=name != "quiet") for name, each in book.receivers.items()}
        self.world = Living(open_database("sqlite://"), replace(book, receivers=known))
        self.alerts, self.times, self.set_back = Alerts(), Times(), 0
        self.times.restart(self.book, self.now)
        self.held: list[Silence] = []

    @property
    def now(self) -> Instant:
        return self.world.clock.now()

    @property
    def book(self) -> list[Rule]:
        return list(self.world.book.rules.values())

    # What happens.

    @rule(
        mood=st.sampled_from(sorted(MOODS)),
        checks=st.integers(1, 6),
        agent=st.integers(1, 2),
        sends=st.sampled_from([0, 3, 30]),
    )
    def work_goes_on(self, mood: str, checks: int, agent: int, sends: int) -> None:
        for _ in range(checks):
            self.world.clock.advance(5 * MINUTE)
            for ago in (1, 3) if MOODS[mood] else ():
                self.world.api.add(self.now - ago * MINUTE, lastAgentId=agent, **MOODS[mood])
            self.check()
            self.some_is_sent(times=sends)

    @rule(mood=st.sampled_from(["good", "slow", "awful"]), agent=st.integers(1, 2))
    def it_stays_like_that(self, mood: str, agent: int) -> None:
        self.work_goes_on(mood=mood, checks=5, agent=agent, sends=30)

    @rule(minutes=st.sampled_from([1, 3, 10, 30, 90]))
    def time_passes(self, minutes: int) -> None:
        self.world.clock.advance(minutes * MINUTE)
        self.check()

    @rule(problem=st.sampled_from(sorted(FAILURES)), checks=st.integers(1, 4))
    def the_api_fails_for_a_while(self, problem: str, checks: int) -> None:
        self.world.api.refuses = lambda _query: FAILURES[problem]
        self.work_goes_on(mood="good", checks=checks, agent=1, sends=3)
        self.world.api.refuses = lambda _query: None

    @rule(closed=st.booleans())
    def whoever_waits_is_answered(self, closed: bool) -> None:
        for row in self.world.api.conversations:
            if "firstAgentMessageAt" not in row and row["createdAt"] <= self.now:
                took = self.now - row["createdAt"]
                row.update({"firstAgentMessageAt": self.now, ANSWER: took})
                row.update({"firstCloseAt": self.now, "timeToCloseMillis": took} if closed else {})

    @rule(problems=st.lists(st.sampled_from([None, *FAILURES]), min_size=1, max_size=3))
    def some_calls_fail(self, problems: list[str | None]) -> None:
        self.world.api.failures = [FAILURES[each] if each else None for each in problems]

    @rule(down=st.sampled_from([0, 0, 4, 70, 300]))
    def restart(self, down: int) -> None:
        self.world.clock.advance(down * MINUTE)
        self.world.start()
        self.times.restart(self.book, self.now)

    @rule(name=st.sampled_from(NAMES), what=st.sampled_from([*sorted(RELOADS), "removed"]))
    def reload(self, name: str, what: str) -> None:
        if what == "limits" and name not in ("slow", "agents"):
            return
        others = [each for each in self.book if each.id != name]
        same = [each for each in self.book if each.id == name and what != "removed"]
        self.take(*others, *(replace(each, **RELOADS[what]) for each in same))

    @rule()
    def all_rules_are_as_they_were(self) -> None:
        self.take(*rules())

    @rule(by=st.sampled_from([-HOUR, -HOUR, -3 * HOUR, DAY]))
    def somebody_sets_the_clock(self, by: Duration) -> None:
        self.set_back += by < 0
        self.world.clock.set_wall(self.now + by)
        self.check()

    @rule(name=st.sampled_from(RECEIVERS[:-1]), outcomes=st.lists(st.sampled_from(sorted(OUTCOMES)), max_size=3))
    def a_receiver_fails(self, name: str, outcomes: list[str]) -> None:
        self.channels[name].taken.failures[:] = [OUTCOMES[each] for each in outcomes]

    @rule(times=st.integers(1, 20))
    def some_is_sent(self, times: int) -> None:
        for _ in range(times):
            self.world.outbox.step()

    @rule(
        of=st.sampled_from([None, None, "slow", "agents"]),
        group=st.sampled_from([None, None, "lastAgentId=1"]),
        minutes=st.sampled_from([15, 60]),
    )
    def a_silence_begins(self, of: str | None, group: str | None, minutes: int) -> None:
        silence = Silence(self.now, self.now + minutes * MINUTE, "ann", rule=of, group=group)
        with self.world.database.write() as transaction:
            silences.add(transaction, silence)
        self.held.append(silence)

    @precondition(lambda self: any(end is None for end in self.incidents().values()))
    @rule()
    def somebody_has_it(self) -> None:
        newest = max(number for number, end in self.incidents().items() if end is None)
        with self.world.database.write() as transaction:
            assert acknowledge(transaction, newest, "bob", self.now)

    # What follows.

    def take(self, *rules: Rule) -> None:
        """A reload: rules that are gone end their incidents, and nothing else moves."""
        gone = self.times.reload(rules, self.now)
        before = {name: self.view(name) for name in NAMES if name not in gone}
        self.world.take(*rules)
        for name in gone:
            self.alerts.forget(name)
        assert before == {name: self.view(name) for name in before}

    def check(self) -> None:
        """One tick: what is due is run, each rule once, and each is settled as the reference says."""
        expected = {each.id: check for each in self.book if (check := self.times.due(each, self.now))}
        dues = self.world.dues()
        assert {each.rule.id: Check(each.at, each.missed, each.closed) for each in self.world.claimed} == expected
        for name, check in expected.items():
            self.times.passed(name, check)
        before = {each.rule.id: self.view(each.rule.id) for each in dues}
        for judged, _ in tick(dues, self.world.book, self.world.source, self.world.database, self.world.clock.now):
            name = judged.due.rule.id
            self.settled(judged, before.pop(name))
            self.times.ran(name, expected[name])
        assert not before, "these were not settled"
        missed = dict(self.world.rows("rules", "rule", "missed"))
        assert missed == {name: self.times.missed[name] for name in missed}
        assert all(count <= 1 + self.set_back for count in self.times.runs.values())

    def settled(self, judged: Judged, before: tuple[object, ...]) -> None:
        of, after = judged.due.rule, self.view(judged.due.rule.id)
        self.alerts.judged(of, judged.verdicts, judged.due.at - of.delay)
        if judged.failed:
            assert after == before, "an error moved something"
        stored = {
            alert.group.key: (alert.state, alert.level, alert.since) for alert in self.world.alerts if alert.rule == of.id
        }
        groups = self.alerts.groups.get(of.id, {})
        assert stored == {key: (each.state, each.level, each.since) for key, each in groups.items()}
        for each in groups.values():
            assert each.fires or each.held(of.every) < of.hold
        if not judged.failed:
            self.told(of, judged, told_before=int(str(before[-1])))

    def told(self, of: Rule, judged: Judged, told_before: int) -> None:
        """Who is told what after a complete answer: nobody of what is silenced, everybody of what is not."""
        firing, muted = self.alerts.firing(of.id), self.muted(of)
        mine = [row for row in self.deliveries() if row["rule"] == of.id]
        fresh = {row["kind"] for row in mine if row["notice"] > told_before} - {"refreshed"}
        if not firing:
            return
        assert "resolved" not in fresh, judged
        if firing.keys() <= muted:
            assert not fresh
        elif not firing.keys() & muted and any(verdict.level for verdict in judged.verdicts):
            level = max(firing.values(), key=lambda each: each.rank)
            number = max(row["incident"] for row in mine)
            for receiver in of.notify[level]:
                kinds = [row["kind"] for row in mine if row["incident"] == number and row["receiver"] == receiver]
                dead = any(row["state"] == "dead" for row in mine if row["receiver"] == receiver)
                assert dead or [kind for kind in kinds if kind != "refreshed"][-1:] not in ([], ["resolved"]), (receiver, kinds)

    def muted(self, of: Rule) -> set[str]:
        """The groups of which nobody is told at present."""
        firing = self.alerts.firing(of.id)
        if any(self.alerts.firing(other) for other in of.quiet_while):
            return set(firing)
        held = [each for each in self.held if each.start <= self.now < each.until and each.rule in (None, of.id)]
        return {key for key in firing if any(each.group in (None, key) for each in held)}

    # What is there.

    def view(self, name: str) -> tuple[object, ...]:
        """All that a check may move of a rule; the last is the number of its newest notice."""
        found = [row for row in self.world.rows("incidents") if row[1] == name]
        numbers = {row[0] for row in found}
        notices = [number for number, incident in self.world.rows("notices", "id", "incident") if incident in numbers]
        return tuple(row for row in self.world.rows("alerts") if row[0] == name), tuple(found), max(notices, default=0)

    def incidents(self) -> dict[int, Instant | None]:
        return dict(self.world.rows("incidents", "id", "closed_at"))

    def deliveries(self) -> list[dict[str, Any]]:
        names = ("id", "incident", "receiver", "kind", "state", "notice", "key")
        rule_of = dict(self.world.rows("incidents", "id", "rule"))
        rows = [dict(zip(names, row, strict=True)) for row in self.world.rows("deliveries", *names)]
        return [row | {"rule": rule_of.get(row["incident"])} for row in rows]

    @invariant()
    def an_incident_is_open_while_something_fires(self) -> None:
        if hasattr(self, "world"):
            still_open = Counter(name for name, end in self.world.rows("incidents", "rule", "closed_at") if end is None)
            assert still_open == Counter(name for name in NAMES if self.alerts.firing(name))

    @invariant()
    def each_receiver_is_told_one_story(self) -> None:
        if hasattr(self, "world"):
            rows = self.deliveries()
            self.stories([row for row in rows if row["state"] != "dead"])
            self.stories([row for row in rows if row["state"] == "sent"])
            self.messages_came_in_order({row["key"]: row for row in rows})

    def stories(self, rows: list[dict[str, Any]], *, finished: bool = False) -> None:
        told: dict[tuple[int, str], str] = defaultdict(str)
        for row in rows:
            told[row["incident"], row["receiver"]] += LETTERS.get(row["kind"], "")
        ended = {number for number, end in self.incidents().items() if end is not None}
        for (incident, receiver), story in told.items():
            pattern = STORY_WITHOUT_END if receiver == "quiet" else STORY
            assert pattern.fullmatch(story), (incident, receiver, story)
            if finished and incident in ended and receiver != "quiet":
                assert not story or story.endswith("r"), (incident, receiver, story)

    def messages_came_in_order(self, rows: Mapping[str, dict[str, Any]]) -> None:
        for channel in self.channels.values():
            last: dict[tuple[int, str], int] = defaultdict(int)
            for message, _ in channel.taken.messages:
                row = rows[message.key]
                story = (row["incident"], row["receiver"])
                assert row["id"] >= last[story]
                last[story] = row["id"]

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for channel in self.channels.values():
            channel.taken.failures.clear()
        for _ in range(6):
            self.world.clock.advance(max(LEASE, LONGEST_PAUSE))
            self.world.send()
        rows = self.deliveries()
        assert {row["state"] for row in rows} <= {"sent", "dead"}
        dead = {(row["incident"], row["receiver"]) for row in rows if row["state"] == "dead"}
        self.stories([row for row in rows if (row["incident"], row["receiver"]) not in dead], finished=True)
        self.world.database.close()


TestStories = Stories.TestCase
TestStories.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
