"""I4 with silences, acknowledgements, reminders and escalations: what each receiver is told, held against a model of it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alertd.clock import MINUTE
from alertd.facts import Kind, Level
from alertd.notices import acting, silences
from alertd.notices.incidents import last_incident
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Escalation
from alertd.store.database import open_database
from alertd.store.tables import alerts
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, ERROR, GOOD, Stage, a_levelled_rule

W, C = Level.WARNING, Level.CRITICAL
NOTIFY = {W: ("warn", "quiet"), C: ("warn", "crit", "edits")}
LETTERS = {Kind.OPENED: "o", Kind.CHANGED: "c", Kind.REMINDER: "m", Kind.ESCALATED: "e", Kind.RESOLVED: "r"}
STORY = re.compile(r"([oe][cme]*(r|(?=[oe])|$))*")
STRICT = re.compile(r"([oe][cme]*r)*([oe][cme]*)?")
REMIND, ESCALATE, REOPEN = 20 * MINUTE, 30 * MINUTE, 15 * MINUTE
SILENCES: list[dict[str, object]] = [
    {},
    {"rule": "slow"},
    {"rule": "other"},
    {"group": "conversationId=1"},
    {"group": "conversationId=2", "rule": "slow"},
    {"labels": {"team": "a"}},
    {"labels": {"team": "b"}},
    {"labels": {"level": "warning"}},
]


@dataclass
class Model:
    """What people know of the episode that is going on."""

    level: Level | None = None  # None: nothing yet
    groups: set[int] = field(default_factory=set)
    first_told: int | None = None
    last_told: int | None = None
    escalated: bool = False
    worst: int = 0


class Muting(RuleBasedStateMachine):
    @initialize(escalate=st.booleans(), remind=st.booleans(), to=st.sampled_from([("boss",), ("boss", "warn")]))
    def begin(self, escalate: bool, remind: bool, to: tuple[str, ...]) -> None:
        self.database = open_database("sqlite://")
        names = ("warn", "crit", "quiet", "edits", "boss")
        channels = {name: FakeChannel(editable=name == "edits") for name in names}
        judged = a_levelled_rule(
            notify=NOTIFY,
            reopen_within=REOPEN,
            labels={"team": "a"},
            quiet_while=("other",),
            remind=REMIND if remind else None,
            escalate=Escalation(ESCALATE, to) if escalate else None,
        )
        self.stage = Stage(self.database, judged, channels, quiet=frozenset({"quiet"}))
        self.firing: dict[int, Level] = {}
        self.silences: list[Silence] = []
        self.other_fires = self.acknowledged = False
        self.values: dict[int, float] = {}
        self.model = Model()
        self.seen = 0  # the last delivery that was looked at

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.database.close()

    @rule(values=st.dictionaries(st.integers(1, 3), st.sampled_from([GOOD, BAD, 8.0, AWFUL]), max_size=3))
    def check(self, values: dict[int, float]) -> None:
        self.values = values
        self.judge(values)

    @rule(times=st.integers(1, 7))
    def find_nothing_new(self, times: int) -> None:
        for _ in range(times):
            self.judge(self.values)

    @rule(worst=st.booleans())
    def change_one(self, worst: bool) -> None:
        """The first conversation gets worse or better; the others stay."""
        self.check({**self.values, 1: AWFUL if worst else GOOD, 2: BAD})

    def judge(self, values: dict[int, float]) -> None:
        told = self.stage.check(values)
        self.firing = {key: C if value > 15 else W for key, value in values.items() if value > 5}
        new = self.queued()
        expected = self.expected()
        if expected in (Kind.OPENED, Kind.CHANGED, Kind.RESOLVED):
            assert told in (expected, None, Kind.REFRESHED), (told, expected)
            assert set(new.values()) <= {expected, Kind.OPENED, Kind.ESCALATED, Kind.REFRESHED}
        else:
            assert not {Kind.OPENED, Kind.CHANGED, Kind.RESOLVED} & set(new.values())
        self.remember(new)

    def expected(self) -> Kind | None:
        """What an evaluation with evidence makes of the model; reminders and escalations apart."""
        now, model = self.stage.clock.now(), self.model
        if not self.firing:
            self.model, self.acknowledged = Model(), False
            return Kind.RESOLVED
        worst = max(level.rank for level in self.firing.values())
        if worst > model.worst:
            self.acknowledged, model.worst = False, worst
        muted = {key for key, level in self.firing.items() if self.muted(key, level, now)}
        spoken = {key: level for key, level in self.firing.items() if key not in muted}
        model.groups &= self.firing.keys()
        if not spoken:
            return None
        before, level = model.level, max(spoken.values(), key=lambda each: each.rank)
        new = spoken.keys() - model.groups
        masked = before is not None and level.rank < before.rank <= max((self.firing[key].rank for key in muted), default=-1)
        model.level, model.groups = level, set(spoken)
        if before is None:
            return Kind.OPENED
        return Kind.CHANGED if new or (level is not before and not masked) else None

    def muted(self, key: int, level: Level, now: int) -> bool:
        group = self.stage.group(key)
        return self.other_fires or any(
            each.start <= now < each.until and each.matches(self.stage.rule, group, level) for each in self.silences
        )

    def remember(self, new: dict[str, Kind]) -> None:
        """Reminders and escalations come when they are due, and only then."""
        now, model = self.stage.clock.now(), self.model
        kinds = set(new.values()) - {Kind.REFRESHED}
        spoken = [key for key, level in self.firing.items() if not self.muted(key, level, now)]
        if not spoken:
            assert not kinds or kinds == {Kind.RESOLVED}
            return
        reminds = self.stage.rule.remind is not None and model.last_told is not None
        late = reminds and now - (model.last_told or 0) >= REMIND and not self.acknowledged
        assert (Kind.REMINDER in kinds) <= late
        if late:
            assert kinds
        knows = model.first_told is not None and now - (model.first_told or 0) >= ESCALATE
        due = self.stage.rule.escalate is not None and knows and not model.escalated and not self.acknowledged
        assert (Kind.ESCALATED in kinds) == due
        model.escalated |= due
        if kinds:
            model.last_told = now
            model.first_told = now if model.first_told is None else model.first_told

    def queued(self) -> dict[str, Kind]:
        """Who is told what since the last look."""
        rows = [row for row in self.stage.rows("id", "receiver", "kind") if row[0] > self.seen]
        self.seen = max([self.seen, *(number for number, _, _ in rows)])
        assert len({receiver for _, receiver, _ in rows}) == len(rows)
        return {receiver: Kind(kind) for _, receiver, kind in rows}

    def nothing_is_told(self) -> None:
        """What people do is shown in messages at once, and counts as nothing told."""
        rows = [(number, kind) for number, kind in self.stage.rows("id", "kind") if number > self.seen]
        assert {kind for _, kind in rows} <= {Kind.REFRESHED.value}
        self.seen = max([self.seen, *(number for number, _ in rows)])

    @rule()
    def fail_to_answer(self) -> None:
        before = self.stage.rows("id"), self.stage.rows("id", "muted", "told_at", "escalated_at", table="incidents")
        self.stage.check(ERROR)
        assert before == (self.stage.rows("id"), self.stage.rows("id", "muted", "told_at", "escalated_at", table="incidents"))

    @rule(what=st.sampled_from(SILENCES), minutes=st.sampled_from([3, 5, 12, 30]))
    def silence(self, what: dict[str, object], minutes: int) -> None:
        now = self.stage.clock.now()
        silence = Silence(now, now + minutes * MINUTE, "Ana", "deploy", **what)  # type: ignore[arg-type]  # a table
        with self.database.write() as transaction:
            number = silences.add(transaction, silence)
            acting.show_silence(transaction, silence, now)
        self.silences.append(replace(silence, id=number))
        self.nothing_is_told()

    @rule()
    def end_all_silences(self) -> None:
        now = self.stage.clock.now()
        with self.database.write() as transaction:
            for each in self.silences:
                assert silences.end(transaction, each.id or 0, now) == (each.until > now)
                acting.hide_silence(transaction, each, now)
        self.silences = []
        self.nothing_is_told()

    @rule()
    def another_rule_starts_or_stops_firing(self) -> None:
        self.other_fires = not self.other_fires
        row = {"rule": "other", "group": "", "state": "recovering", "level": "warning", "held": 0, "cleared": 0, "unseen": 0}
        with self.database.write() as transaction:
            if self.other_fires:
                transaction.execute(sa.insert(alerts).values(row | {"conversations": 0, "examples": []}))
            else:
                transaction.execute(sa.delete(alerts).where(alerts.c.rule == "other"))

    @rule(take=st.booleans())
    def acknowledge_it_or_not(self, take: bool) -> None:
        with self.database.write() as transaction:
            last = last_incident(transaction, "slow")
            if last is None or last.id is None:
                return
            now = self.stage.clock.now()
            acted = (
                acting.acknowledge(transaction, last.id, "Ana", now)
                if take
                else acting.unacknowledge(transaction, last.id, now)
            )
        assert acted.done == bool(self.firing)
        self.acknowledged = take if acted.done else False
        self.nothing_is_told()

    @rule(minutes=st.sampled_from([1, 10, 40]))
    def wait(self, minutes: int) -> None:
        self.stage.clock.advance(minutes * MINUTE)

    @rule()
    def remove_the_rule(self) -> None:
        self.stage.remove()
        assert set(self.queued().values()) <= {Kind.RESOLVED, Kind.REFRESHED}
        if self.other_fires:  # its alerts are gone as well: it is in no rulebook
            self.other_fires = False
        self.firing, self.model, self.acknowledged = {}, Model(), False

    @invariant()
    def each_receiver_hears_one_story(self) -> None:
        if not hasattr(self, "stage"):
            return
        stories: dict[tuple[int, str], str] = defaultdict(str)
        for incident, receiver, kind in self.stage.rows("incident", "receiver", "kind"):
            stories[incident, receiver] += LETTERS.get(Kind(kind), "")
        closed = dict(self.stage.rows("id", "closed_at", table="incidents"))
        for (incident, receiver), story in stories.items():
            assert (STORY if receiver == "quiet" else STRICT).fullmatch(story), (receiver, story)
            if closed[incident] is not None and receiver != "quiet" and story:
                assert story.endswith("r"), (receiver, story)

    @invariant()
    def whoever_is_to_know_does(self) -> None:
        if not hasattr(self, "stage") or self.model.level is None:
            return
        (incident,) = [number for number, end in self.stage.rows("id", "closed_at", table="incidents") if end is None]
        told = {
            receiver: kind for number, receiver, kind in self.stage.rows("incident", "receiver", "kind") if number == incident
        }
        assert all(told.get(name) not in (None, "resolved") for name in NOTIFY[self.model.level] if name != "quiet")

    @invariant()
    def an_incident_that_goes_on_says_whether_it_is_muted(self) -> None:
        if hasattr(self, "stage"):
            rows = self.stage.rows("closed_at", "muted", table="incidents")
            assert all(muted is None for closed, muted in rows if closed is not None)


TestMuting = Muting.TestCase
TestMuting.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
