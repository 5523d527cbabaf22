"""Watches a run from outside: remembers what was promised, and checks after every step that it was kept."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from alertd.clock import DAY, MINUTE, SECOND, Duration, Instant
from alertd.comparisons import VALUE
from alertd.evaluation.settling import Judged
from alertd.facts import CONVERSATION, Evidence, Level
from alertd.notices.own import REOPEN_WITHIN
from alertd.notices.settlement import LEAST_ATTEMPTS
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Rulebook
from alertd.rulebook.schedules import Grid
from alertd.testing.simulation import checks
from alertd.testing.simulation.cast import DAILY, NAMES, POISONED, QUIET, ZONE
from alertd.testing.simulation.looking import Look, Row
from alertd.testing.simulation.nature import VirtualClock
from alertd.testing.simulation.peers import Call, Desk, FaultyApi, Heard
from alertd.testing.simulation.timers import Timers
from alertd.testing.simulation.traffic import Shown
from alertd.testing.simulation.violation import Violation

_FAILED = (Evidence.ERROR, Evidence.STALE)
_RECENT = 4 * MINUTE  # calls that may still hold a slot
_LEARNT = 70 * MINUTE  # after a 429 slots come back one a minute
_GATE = 21 * MINUTE  # a refused token is tried every five minutes, by whichever rule is due then


@dataclass(frozen=True)
class Ticked:
    """One tick that nobody interrupted: when it began and ended, what was due, and what became of it."""

    began: Instant
    ended: Instant
    due: frozenset[str]
    judged: Sequence[Judged]
    shown: Shown | None  # what the API showed all the while; None where that changed
    calls: Sequence[Call]


@dataclass
class Promises:
    """What people have said, and must find respected."""

    acknowledged: dict[int, tuple[str, str, Instant]] = field(
        default_factory=dict
    )  # by whom, at which worst level, of which episode
    silences: list[Silence] = field(default_factory=list)
    elsewhere: set[int] = field(default_factory=set)  # incidents that were open when their rule got other receivers


class Auditor:
    """Raises Violation. `look` is the store as it was after the last step."""

    def __init__(self, seed: int, days: float, clock: VirtualClock, store: sqlite3.Connection, limit: int) -> None:
        self._seed, self._days, self._clock, self._store, self._limit = seed, days, clock, store, limit
        self.step, self.set_back, self.uncertain_until = 0, 0, 0
        self.rebooted_at: Duration | None = None
        self.look, self.promises, self.timers = Look(), Promises(), Timers()
        self.runs: Counter[tuple[str, Instant]] = Counter()
        self._days_run: Counter[str] = Counter()
        self._refused_at: Duration = -DAY  # a 429
        self._shut_at: Duration = -DAY  # a 401
        self._called = 0  # calls that were looked at
        self._seen = 0  # messages that were looked at
        self._told: dict[tuple[str, str, int | None], str] = {}
        self._by_story: dict[tuple[str, int | None], list[Heard]] = {}
        self._confirmed: Counter[tuple[str, str]] = Counter()
        self._arrived: Counter[tuple[str, str]] = Counter()
        self._place: dict[tuple[str, int | None], int] = {}
        self._known_keys: set[str] = set()

    def must(self, invariant: str, problem: str | None) -> None:
        """Raise Violation if there is a problem."""
        if problem:
            raise Violation(invariant, problem, seed=self._seed, days=self._days, step=self.step)

    def see(self, book: Rulebook, heard: Sequence[Heard], desks: Mapping[str, Desk], api: FaultyApi, *, killed: bool) -> None:
        """Look at all that can be seen after a step. `killed`: the process ended in it."""
        self.look.again(self._store, self._clock.uptime(), self._clock.boot())
        self._learn(api.calls[self._called :])
        self._called = len(api.calls)
        self._budget(api, killed=killed)
        self._incidents(book)
        self._deliveries()
        self._messages(heard[self._seen :], killed=killed)
        self._seen = len(heard)
        self._sent(desks)
        self._acknowledged()
        self.must("I5", checks.i5_whole(self.look, NAMES))

    def _budget(self, api: FaultyApi, *, killed: bool) -> None:
        if self.rebooted_at is not None and api.calls and api.calls[-1].begun > self.rebooted_at:  # now all slots start used
            first_call = next(call for call in api.calls if call.begun > self.rebooted_at)
            self.uncertain_until, self.rebooted_at = first_call.begun + _RECENT, None
        since = self._clock.elapsed - _RECENT
        first = bisect_left(api.calls, since - MINUTE, key=lambda call: call.begun)  # none travels for longer
        recent = [call for call in api.calls[first:] if call.arrived >= since or call.ended is None]
        self.must("I1", checks.i1_arrivals(recent, self._limit))
        if self._clock.elapsed > self.uncertain_until and self.rebooted_at is None and not killed:
            self.must("I1", checks.i1_slots(self.look.in_use, recent, self._clock.elapsed))

    def _incidents(self, book: Rulebook) -> None:
        for before, after in self.look.reopened:
            rule = book.rules.get(after["rule"])
            self.must("I4", checks.i4_number(before, after, rule.reopen_within if rule else REOPEN_WITHIN))
        for row in self.look.ended:
            for (incident, receiver), _ in list(self.look.stories.items()):
                if incident == row["id"] and receiver != QUIET:
                    self.must("I4", checks.i4_end(self.look.story(incident, receiver)))

    def _deliveries(self) -> None:
        for incident, receiver in dict.fromkeys((row["incident"], row["receiver"]) for row in self.look.changed):
            if incident is not None:
                self.must("I4", checks.i4_story(self.look.story(incident, receiver), ends=receiver != QUIET))

    def _messages(self, fresh: Iterable[Heard], *, killed: bool) -> None:
        """What receivers have taken since the last step. In a step that ended the process nothing was surely written."""
        self._known_keys |= {key for row in self.look.changed for key in (row["key"], row["digest"]) if key}
        for heard in fresh:
            name = (heard.via, heard.key)
            excused = self._confirmed[name] == 0
            self.must("I11", checks.i11_said(heard))
            self.must("I5", checks.i5_repeat(heard, before=self._arrived[name], excused=excused))
            if heard.sure and not killed:
                self.must("I5", checks.i5_known(heard, self._known_keys))
            self._arrived[name] += 1
            self._confirmed[name] += heard.sure and not killed
            self._told |= dict(checks.told_kinds([heard]))
            for incident, kind in heard.told:
                self._heard_of(heard, incident, kind, sure=heard.sure and not killed)

    def _heard_of(self, heard: Heard, incident: int | None, kind: str, *, sure: bool) -> None:
        story = (heard.via, incident)
        if incident is None:
            return
        if not heard.repeat and kind != "refreshed":
            mine = [row["id"] for row in self.look.deliveries.values() if self._covers(heard, row, incident)]
            if mine:
                self.must("I4", checks.i4_order(self._place.get(story, 0), max(mine), heard))
                self._place[story] = max(mine)
        before = self._by_story.setdefault(story, [])
        if heard.kind.value != "digest":
            self.must("I4", checks.i4_thread(before, heard))
        before.append(replace(heard, sure=sure))

    @staticmethod
    def _covers(heard: Heard, row: Row, incident: int) -> bool:
        return row["incident"] == incident and row["via"] == heard.via and heard.key in (row["key"], row["digest"])

    def _sent(self, desks: Mapping[str, Desk]) -> None:
        for row in self.look.changed:
            self.must("I5", checks.i5_sent(row, self._told, self._newest_with(row)))
            permanent = sum(desk.faults["gone"] for desk in desks.values())
            self.must("I5", checks.i5_dead(row, permanent, LEAST_ATTEMPTS, self.look.story(row["incident"], row["receiver"])))

    def _newest_with(self, row: Row) -> str:
        """The last news of those that one message tells together with this one."""
        message = row["digest"] or row["key"]
        story = self.look.story(row["incident"], row["receiver"]) if row["incident"] is not None else [row]
        together = [each for each in story if each["via"] == row["via"] and message in (each["digest"], each["key"])]
        spoken = [each for each in together if each["kind"] != "refreshed"]
        return str((spoken or [row])[-1]["kind"])

    def _acknowledged(self) -> None:
        for number, (by, worst, opened_at) in list(self.promises.acknowledged.items()):
            row = self.look.incidents[number]
            if row["closed_at"] or row["opened_at"] != opened_at or checks.worse(row["worst"], worst):
                del self.promises.acknowledged[number]
            else:
                self.must("I4", checks.i4_acknowledged(row, by, self.look.new_notices))

    def ticked(self, tick: Ticked, book: Rulebook, before: Look, known_since: Mapping[str, Instant]) -> None:
        """What a tick must have come to that nobody interrupted. `before` is the store as it was."""
        self.must("I7", checks.i7_settled(tick.due, [each.rule.id for each in tick.judged]))
        refused = any(call.outcome not in ("ok", "poison") for call in tick.calls)
        for judged in tick.judged:
            rule = judged.rule
            self._time(judged, before, tick)
            if rule.id != POISONED:
                scarce = self._scarce(tick)
                self.must("I7", checks.i7_answered(rule.id, judged.evidence, refused=refused or self._shut(), scarce=scarce))
            if judged.evidence in _FAILED:
                self.must("I3", checks.i3_unmoved(rule.id, before.view(rule.id), self.look.view(rule.id)))
            elif not rule.report:
                self._judged(judged, tick, before)
            self._heard_now(judged, tick)
        self.up_to_date(book, known_since, tick.began)

    def _learn(self, calls: Sequence[Call]) -> None:
        """What the API refused is felt for a while."""
        for call in calls:
            self._refused_at = call.begun if call.outcome == "429" else self._refused_at
            # While it is shut, a call that fails otherwise says nothing of the token.
            if call.outcome == "401" or (self._shut() and call.outcome not in ("ok", "poison")):
                self._shut_at = call.begun

    def _shut(self) -> bool:
        return self._clock.elapsed - self._shut_at < _GATE

    def _scarce(self, tick: Ticked) -> bool:
        """Whether calls may have been short: the API refused some lately, they took long, or nearly all slots were in use."""
        slow = sum((call.ended or call.begun) - call.begun for call in tick.calls)
        return (
            self._clock.elapsed - self._refused_at < _LEARNT
            or self._clock.elapsed < self.uncertain_until
            or self._limit < 20
            or slow > 20 * SECOND
        )

    def _time(self, judged: Judged, before: Look, tick: Ticked) -> None:
        rule, at = judged.rule, judged.due.at
        self.runs[rule.id, at] += 1
        self.must("I10", checks.i10_once(rule.id, at, self.runs[rule.id, at], self.set_back))
        if isinstance(rule.schedule, Grid) and rule.calendar is None:
            missed = checks.i10_missed(rule, before.rules.get(rule.id), at, tick.began, judged.due.missed)
            self.must("I10", missed)
        if rule.id == DAILY:
            day = str(datetime.fromtimestamp(at / 1000, ZoneInfo(ZONE)).date())
            self._days_run[day] += 1
            self.must("I10", checks.i10_once(f"{rule.id} on {day}", at, self._days_run[day], self.set_back))

    def _judged(self, judged: Judged, tick: Ticked, before: Look) -> None:
        rule = judged.rule
        if tick.shown is not None and rule.compare == VALUE and rule.by != CONVERSATION:
            counted = {
                each.group.key: each.conversations for each in judged.verdicts if each.conversations or not each.group.key
            }
            self.must("I2", checks.i2_own_query(rule, judged.as_of, counted, tick.shown))
        earlier = before.rules.get(rule.id)
        anew = earlier is not None and earlier["question"] != judged.question
        there = {key for name, key in self.look.alerts if name == rule.id}
        held = self.timers.judged(judged, anew=anew, there=there)
        for key, known in held.items():
            was, now = before.alerts.get((rule.id, key)), self.look.alerts.get((rule.id, key))
            self.must("I6", checks.i6_held(rule, key, was, now, known))

    def _heard_now(self, judged: Judged, tick: Ticked) -> None:
        rule = judged.rule
        concerned = [each for each in self.promises.silences if each.rule in (None, rule.id)]
        whole = [each for each in concerned if each.group is None and not each.labels]
        if any(each.holds(tick.began) and each.holds(tick.ended) for each in whole):
            mine = {row["id"] for row in self.look.incidents.values() if row["rule"] == rule.id}
            self.must("I4", checks.i4_silent(rule.id, (row for row in self.look.new if row["incident"] in mine)))
        firing, incident = self.look.firing(rule.id), self.look.open(rule.id)
        muted = any(each.holds(tick.began) or each.holds(tick.ended) for each in concerned) or rule.quiet_while
        if (
            judged.evidence in _FAILED
            or muted
            or not firing
            or incident is None
            or not any(each.level for each in judged.verdicts)
        ):
            return
        worst = max((Level(row["level"]) for row in firing.values()), key=lambda each: each.rank)
        for receiver in rule.notify[worst] if incident["id"] not in self.promises.elsewhere else ():
            self.must("I4", checks.i4_told(self.look.story(incident["id"], receiver), rule.id, receiver))

    def up_to_date(self, book: Rulebook, known_since: Mapping[str, Instant], now: Instant) -> None:
        """All that was due by then was run."""
        for rule in (each for each in book.rules.values() if each.calendar is None):
            row = self.look.rules.get(rule.id)
            ran = row["due_at"] if row else None
            self.must("I10", checks.i10_runs_on(rule, ran, known_since[rule.id], now))

    def resync(self) -> None:
        """After a kill: what was settled unseen is known from the store."""
        self.timers.adopt(self.look.alerts.values())

    def in_the_end(self, receivers: Iterable[str]) -> None:
        """After all has been sent that can be."""
        self.must("I5", checks.i5_unsent(self.look.deliveries.values()))
        for incident, receiver in list(self.look.stories):
            row = self.look.incidents.get(incident or 0)
            story = self.look.story(incident, receiver)
            if row and row["closed_at"] and receiver in receivers and receiver != QUIET:
                self.must("I4", checks.i4_end(story))
