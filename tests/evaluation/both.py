"""One story told to Prometheus and to alertd, and what is seen of it in either; `test_prometheus` says how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alertd.clock import MINUTE, SECOND
from alertd.errors import ReportingError
from alertd.facts import State
from alertd.reporting.query import Query
from alertd.reporting.table import Table, join
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel, a_source
from tests.evaluation.prometheus import Prometheus
from tests.evaluation.world import SCORE, World, scored

EVERY = 5 * MINUTE
AGENT = "lastAgentId"
SCORES: Mapping[str, Mapping[str, float]] = {  # by group, above the limit of 5 or not
    "B": {"7": 20}, "G": {"7": 1}, "A": {}, "D": {"7": 20},
    "P": {"7": 20, "8": 20}, "Q": {"7": 1, "8": 20}, "N": {"7": 1, "8": 1},
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One story, what is seen of it in Prometheus and in alertd (states, and who was told), and why that differs."""

    name: str
    story: str
    prometheus: str
    alertd: str
    why: str | None = None
    rule: Mapping[str, Any] = field(default_factory=dict)
    reload: Mapping[str, Any] = field(default_factory=dict)


class Ours:
    """The story as alertd has it: its real code, over a store in a file."""

    def __init__(self, store: Path, budget: Database, rule: Rule) -> None:
        self._url = f"sqlite:///{store}"
        self._channel = FakeChannel()
        self._database = open_database(self._url)
        self._budget, self._twice = budget, False
        self._hold(World.of(self._database, rule, receivers={"team": self._channel}))

    def close(self) -> None:
        self._database.close()

    def restart(self) -> None:
        """A new process: the store is opened again, and nothing else is left but the API."""
        old = self.world
        self.close()
        self._database = open_database(self._url)
        self._hold(World(self._database, old.book, old.clock, started=old.clock.now()))

    def _hold(self, world: World) -> None:
        self.world = world
        world.source = a_source(self._ask, self._budget, world.clock)

    def _ask(self, query: Query) -> Table:
        table = self.world.api.ask(query)
        return join([table, table]) if self._twice else table

    def check(self, letter: str) -> None:
        api, now = self.world.api, self.world.clock.now()
        api.refuses = lambda _query: ReportingError("the API failed") if letter == "e" else None
        scores = SCORES.get(letter, {})
        api.conversations = [_conversation(now, group, score) for group, score in scores.items()]
        self._twice = letter == "D"
        self.world.judged()
        self.world.send()

    def state(self) -> str:
        found = {alert.state for alert in self.world.alerts}
        order = (State.FIRING, State.RECOVERING, State.PENDING)
        return next((state.value[0] for state in order if state in found), "i")

    def told(self) -> bool:
        return self._channel.kinds[-1:] not in ([], ["resolved"])

    @property
    def missed(self) -> int:
        return int(self.world.rows("rules", "missed")[0][0])


def _conversation(now: int, group: str, score: float) -> dict[str, Any]:
    return {"id": int(group), "createdAt": now - MINUTE, SCORE: score, AGENT: int(group), "status": "open"}


@dataclass
class Both:
    """One story told to both."""

    case: Case
    theirs: Prometheus
    ours: Ours
    runs: bool = True
    there: bool = True
    seen: list[tuple[str, str]] = field(default_factory=list)  # theirs and ours for each check, in two letters

    def tell(self) -> None:
        for letter in self.case.story:
            if letter in "|*-+":
                self._between(letter)
            else:
                self._check(letter)

    def _between(self, letter: str) -> None:
        if letter == "|":
            self._restart()
        elif letter == "*":
            changed = a_rule_of(self.case, **self.case.reload)
            self.ours.world.take(changed)
            self.theirs.hold = changed.hold
        elif letter == "-":
            self.there = False
            self.ours.world.take()
            self.theirs.remove()
        else:
            self.there = True
            self.ours.world.take(a_rule_of(self.case))

    def _check(self, letter: str) -> None:
        self.ours.world.clock.advance(EVERY)
        now = self.ours.world.clock.now()
        if letter == "d":
            self.runs = False
        elif letter != "m":
            if not self.runs:
                self._restart()
            self.ours.check(letter)
            if self.there:
                self.theirs.evaluate(now, self._over(letter))
        states = (self.theirs.state(), self.ours.state()) if self.runs and self.there else (".", ".")
        told = ["F" if each else "." for each in (self.theirs.told(now), self.ours.told())]
        self.seen.append((states[0] + told[0], states[1] + told[1]))

    def _over(self, letter: str) -> list[str] | None:
        """The groups in Prometheus's answer: the same labels twice are an error there."""
        if letter in "eD":
            return None
        limit = self.rule.limits[0]
        return [group for group, score in SCORES[letter].items() if limit.broken_by(score)]

    def _restart(self) -> None:
        self.runs = True
        self.theirs.restart()
        self.ours.restart()

    @property
    def rule(self) -> Rule:
        return next(iter(self.ours.world.book.rules.values()))


def a_rule_of(case: Case, **changes: Any) -> Rule:
    values = {"every": EVERY, "window": EVERY, "delay": 30 * SECOND, "warning": (5, 5), **case.rule, **changes}
    return scored(**values)


@contextmanager
def told(store: Path, budget: Database, case: Case) -> Iterator[Both]:
    """Both after the story; `store` has its tables and nothing else, `budget` only counts calls."""
    rule = a_rule_of(case)
    both = Both(case, Prometheus(EVERY, rule.hold, rule.keep_firing), Ours(store, budget, rule))
    try:
        both.tell()
        yield both
    finally:
        both.ours.close()
