"""What a rule's verdicts make of its alerts, and when it is due: the same as in alertd, by brute force and kept simple.

Nothing is counted on the way. All that was seen of a group since it was last within the limit is kept, and timers are added
up anew each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import NamedTuple

from alertd.clock import HOUR, MINUTE, Duration, Instant
from alertd.facts import CONVERSATION, Evidence, Level, State, Verdict
from alertd.rulebook.rule import Limit, Rule


class Seen(NamedTuple):
    """A group at one check: its level, or that a complete answer was without it, or had it without a value that counts."""

    at: Instant
    what: Level | str


ABSENT, UNMEASURED = "absent", "unmeasured"


@dataclass
class Group:
    """All that was seen of one group since it was last within the limit."""

    seen: list[Seen] = field(default_factory=list)
    fires: bool = False
    level: Level = Level.OK

    @property
    def since(self) -> Instant:
        """When it was first over the limit."""
        return self.seen[0].at

    @property
    def state(self) -> State:
        """Where its alert must stand."""
        if not self.fires:
            return State.PENDING
        return State.RECOVERING if any(each.what is Level.OK for each in self._after(_over)) else State.FIRING

    def held(self, every: Duration) -> Duration:
        """How long it is known to have been over the limit."""
        return _known(self.seen, every, _over)

    def over(self, rule: Rule) -> bool:
        """Whether the alert has ended by what was seen last."""
        last = self.seen[-1]
        if last.what is Level.OK:
            fine = self._after(_over)
            first = next(place for place, each in enumerate(fine) if each.what is Level.OK)
            return not self.fires or _known(fine[first:], rule.every, lambda each: each.what is Level.OK) >= rule.keep_firing
        if last.what != ABSENT:
            return False
        gone = self._after(lambda each: each.what != ABSENT)
        before = [each for each in self.seen[: len(self.seen) - len(gone)] if each.what != UNMEASURED]
        return _known([*before[-1:], *gone], rule.every, lambda each: each.what == ABSENT) >= max(rule.window, HOUR)

    def _after(self, which: Callable[[Seen], bool]) -> list[Seen]:
        """What was seen after the last time that it was so."""
        places = [place for place, each in enumerate(self.seen) if which(each)]
        return self.seen[places[-1] + 1 :] if places else list(self.seen)


def _over(each: Seen) -> bool:
    return each.what in (Level.WARNING, Level.CRITICAL)


def _known(seen: Sequence[Seen], every: Duration, counts: Callable[[Seen], bool]) -> Duration:
    """The time up to each check that counts since the check before it, never more than `every`."""
    measured = [each for each in seen if each.what != UNMEASURED]
    return sum(max(0, min(after.at - before.at, every)) for before, after in pairwise(measured) if counts(after))


@dataclass
class Alerts:
    """The alerts of all rules, by rule and group."""

    groups: dict[str, dict[str, Group]] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)

    def firing(self, rule: str) -> dict[str, Level]:
        """The level of each group that fires."""
        return {key: group.level for key, group in self.groups.get(rule, {}).items() if group.fires}

    def forget(self, rule: str) -> None:
        """The rule is no more."""
        self.groups.pop(rule, None)
        self.questions.pop(rule, None)

    def judged(self, rule: Rule, verdicts: Sequence[Verdict], at: Instant) -> None:
        """One check as of `at`. Without a complete answer nothing happens (I3)."""
        if any(each.evidence in (Evidence.ERROR, Evidence.STALE) for each in verdicts):
            return
        groups = self.groups.setdefault(rule.id, {})
        if self.questions.setdefault(rule.id, rule.question) != rule.question:
            self.questions[rule.id] = rule.question
            for key in [key for key, group in groups.items() if not group.fires]:
                del groups[key]
        found = {each.group.key: each for each in verdicts if each.group.by == rule.by}
        for key in [*groups.keys() - found.keys()]:
            self._see(rule, key, Seen(at, ABSENT))
        for key, verdict in found.items():
            level = _level(rule, verdict, groups.get(key))
            if key in groups or level in (Level.WARNING, Level.CRITICAL):
                self._see(rule, key, Seen(at, level))

    def _see(self, rule: Rule, key: str, seen: Seen) -> None:
        group = self.groups[rule.id].setdefault(key, Group())
        group.seen.append(seen)
        if isinstance(seen.what, Level) and seen.what is not Level.OK:
            group.level = seen.what
            group.fires |= group.held(rule.every) >= rule.hold
        left = seen.what == ABSENT and rule.by == CONVERSATION and key.startswith(CONVERSATION)
        if left or group.over(rule):
            del self.groups[rule.id][key]


def _level(rule: Rule, verdict: Verdict, group: Group | None) -> Level | str:
    """The level of a verdict: that of the worst limit that is passed, or that fires and has not recovered."""
    if verdict.level is None or verdict.value is None:
        return verdict.level or UNMEASURED
    held = [Level.WARNING, Level.CRITICAL] if group and group.fires and group.level is Level.CRITICAL else []
    held = [Level.WARNING] if group and group.fires and not held else held
    for limit in rule.limits:
        if _beyond(limit, verdict.value, limit.value) or (limit.level in held and _beyond(limit, verdict.value, limit.recover)):
            return limit.level
    return Level.OK


def _beyond(limit: Limit, value: float, bound: float) -> bool:
    match limit.direction:
        case "above":
            return value > bound
        case "below":
            return value < bound
        case _:
            return abs(value) > abs(bound)


class Check(NamedTuple):
    """What is due: the instant, how many before it were missed, and whether nothing is to be checked then."""

    at: Instant
    missed: int
    closed: bool


@dataclass
class Times:
    """Which due instants were run: as the daemon remembers it, and as its store does."""

    last: dict[str, Instant] = field(default_factory=dict)
    stored: dict[str, Instant] = field(default_factory=dict)
    known: dict[str, Instant] = field(default_factory=dict)
    missed: Counter[str] = field(default_factory=Counter)
    runs: Counter[tuple[str, Instant]] = field(default_factory=Counter)

    def restart(self, rules: Sequence[Rule], now: Instant) -> None:
        """A new process knows what the store knows, and its rules since now."""
        self.last = dict(self.stored)
        self.known = {rule.id: now for rule in rules}

    def reload(self, rules: Sequence[Rule], now: Instant) -> list[str]:
        """Other rules; those that are gone."""
        names = {rule.id for rule in rules}
        gone = [name for name in self.known if name not in names]
        for name in gone:
            self.last.pop(name, None), self.stored.pop(name, None), self.missed.pop(name, None)
        self.known = {name: self.known.get(name, now) for name in sorted(names)}
        return gone

    def due(self, rule: Rule, now: Instant) -> Check | None:
        """What is due of a rule now, if anything is. What lies ahead of the clock is of a time before it was set back."""
        last, known, at = self.last.get(rule.id), self.known[rule.id], now - now % MINUTE
        while not _is_due(rule, at):
            at -= MINUTE
        before = known if last is None else last
        if at <= before <= now:
            return None
        between = range(before - before % MINUTE + MINUTE, at, MINUTE) if last is not None and last <= now else range(0)
        missed = sum(_is_due(rule, each) and _is_open(rule, each) for each in between)
        return Check(at, missed, not _is_open(rule, at))

    def passed(self, rule: str, check: Check) -> None:
        """That instant is over, run or closed; what was missed before it closed is still to be counted."""
        if not (check.closed and check.missed):
            self.last[rule] = check.at

    def ran(self, rule: str, check: Check) -> None:
        """It was run, and the store knows."""
        self.stored[rule] = check.at
        self.missed[rule] += check.missed
        self.runs[rule, check.at] += 1


def _is_due(rule: Rule, at: Instant) -> bool:
    """Minute by minute; the one cron expression here is "7,37 * * * *"."""
    return at // MINUTE % 60 in (7, 37) if rule.cron else at % rule.every == 0


def _is_open(rule: Rule, at: Instant) -> bool:
    """The one calendar here is Monday to Friday, 08:00 to 18:00 UTC; windows are shorter than that."""
    if rule.calendar is None:
        return True
    end = datetime.fromtimestamp((at - rule.delay) // 1000, UTC)
    start = datetime.fromtimestamp((at - rule.delay - rule.window) // 1000, UTC)
    minutes = (start.hour * 60 + start.minute, end.hour * 60 + end.minute)
    same_day = start.date() == end.date() and end.weekday() < 5
    return same_day and minutes[0] >= 8 * 60 and (minutes[1] < 18 * 60 or (minutes[1] == 18 * 60 and end.second == 0))
