"""A run: step after step until its time is over, then all is sent that can be."""

from __future__ import annotations

import hashlib
import itertools
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from alertd.clock import DAY, MINUTE, SECOND, Duration, iso
from alertd.evaluation.schedule import Due, next_instant
from alertd.evaluation.settling import Judged
from alertd.notices.claiming import LEASE, LONGEST_PAUSE
from alertd.reporting.gate import Gate
from alertd.rulebook.rule import Rulebook
from alertd.store import sqlite
from alertd.store.database import Database
from alertd.store.meter import UptimeMeter
from alertd.store.tables import METADATA
from alertd.testing.simulation import cast, checks
from alertd.testing.simulation.auditing import Auditor, Ticked
from alertd.testing.simulation.happening import Happenings
from alertd.testing.simulation.nature import Fuse, VirtualClock, evening, luck
from alertd.testing.simulation.peers import PATIENCE, Desk, FaultyApi, Heard, PacedPeer
from alertd.testing.simulation.process import Process
from alertd.testing.simulation.seams import Seams
from alertd.testing.simulation.traffic import Traffic
from alertd.testing.simulation.violation import Killed

_LONGEST_STEP = 15 * MINUTE
_SHORTEST_STEP = 5 * SECOND
_PATIENT = 4 * SECOND  # whoever waits for a slot looks again after so long
_REST = 20 * SECOND  # while something waits that cannot be sent yet
_LIMITS = (60, 60, 12, 6)  # calls a minute that the API bears; the fewer, the oftener the budget is spent
_DOWN = (0, 0, SECOND, 40 * SECOND, 4 * MINUTE, 25 * MINUTE, 100 * MINUTE)


@dataclass
class Run:
    """What happened in a run, in figures; `digest` is the same for the same seed."""

    seed: int
    days: float
    digest: str = ""
    steps: int = 0
    evaluations: int = 0
    notices: int = 0
    messages: int = 0
    crashes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)


def simulate(seed: int, days: float, *, seams: Seams | None = None) -> Run:
    """Play a run; Violation where an invariant does not hold."""
    chosen = seams or Seams()
    with _quiet(), chosen.around():
        return Simulation(seed, days, chosen).play()


class Simulation:
    """The world of one run."""

    def __init__(self, seed: int, days: float, seams: Seams) -> None:
        self.run, self._seams, self._seed = Run(seed, days), seams, seed
        self.clock, self.fuse = VirtualClock(evening(seed)), Fuse()
        self.luck = luck(seed, "events")
        self.limit = luck(seed, "limit").choice(_LIMITS)
        self.database, self._kept = _store(self.fuse)
        self.traffic = Traffic(luck(seed, "traffic"), self.clock.truth)
        self.api = FaultyApi(self.clock, self.traffic, luck(seed, "api"))
        self.heard: list[Heard] = []
        self.desks = {name: Desk(name, self.clock, luck(seed, name), self.heard) for name in cast.RECEIVERS}
        self.auditor = Auditor(seed, days, self.clock, self.database, self.limit)
        self._lines, self._ordinals = hashlib.sha256(), dict[str, int]()
        self._pace_from = dict.fromkeys(self.desks, 0)
        self.happenings = Happenings(self)
        self._generation = 0
        self.process = self._begin(cast.a_book(self.desks, cast.rules()))

    def play(self) -> Run:
        """All of it."""
        try:
            while self.clock.elapsed < self.run.days * DAY:
                self._step()
            self._drain()
        finally:
            self._kept.close()
            self.database.close()
        for each in (self.api.faults, *(desk.faults for desk in self.desks.values())):
            self.run.faults.update(each)
        self.run.notices, self.run.messages = self.auditor.look.newest_notice, len(self.heard)
        self.run.digest = self._lines.hexdigest()[:16]
        return self.run

    def note(self, *words: object) -> None:
        """A line of the log, of which only the hash is kept."""
        self._lines.update((" ".join(map(str, words)) + "\n").encode())

    def ordinal(self, key: str) -> int:
        """A number in place of a key, which is another in every run."""
        return self._ordinals.setdefault(key, len(self._ordinals))

    def _step(self) -> None:
        self._let_time_pass(self._pause())
        self._do(self.happenings.go_on, self._work)

    def _do(self, *parts: Callable[[], object]) -> None:
        """One step: its parts, unless the process ends in one of them, and a look at what came of it."""
        self.run.steps += 1
        self.auditor.step = self.run.steps
        seen, killed = len(self.heard), False
        try:
            with self.fuse.lit():
                for part in parts:
                    part()
        except Killed:
            killed = True
        self._look(killed=killed)
        self._tell(seen)
        if killed:
            self._crash()

    def _look(self, *, killed: bool = False) -> None:
        self.auditor.see(self.process.book, self.heard, self.desks, self.api, killed=killed)
        for name, desk in self.desks.items():
            least = PacedPeer.pace if isinstance(self.process.book.receivers[name].channel, PacedPeer) else 0
            self.auditor.must("pace", checks.pace(desk.begun[self._pace_from[name] :], least))
            self._pace_from[name] = max(self._pace_from[name], len(desk.begun) - 1)

    def _tell(self, seen: int) -> None:
        """Write down what was heard in this step."""
        for each in self.heard[seen:]:
            self.note(
                self.clock.elapsed, each.via, self.ordinal(each.key), each.kind, each.told, each.repeat, each.sure, each.at
            )

    def _pause(self) -> Duration:
        """Until anything is due, by our clock or by that of the world."""
        now = self.clock.now()
        moments = [now + _LONGEST_STEP, now + self.happenings.at - self.clock.elapsed]
        due = next_instant(self.process.book.rules.values(), now)
        moments += [due] if due is not None else []
        sends = self.process.outbox.next_due()
        moments += [max(sends, now + _REST)] if sends is not None else []
        return max(_SHORTEST_STEP, min(moments) - now)

    def _let_time_pass(self, by: Duration) -> None:
        self.clock.advance(by)
        self.traffic.reach(self.clock.truth)

    def _work(self) -> None:
        """Check what is due and send what waits, as the daemon's threads would."""
        self.process.send(self.luck.choice((0, 1, 5)))
        now, dues = self.clock.now(), self.process.claim()
        if dues:
            self._check(dues)
        else:
            self.auditor.up_to_date(self.process.book, self.process.known_since, now)
        self.process.send(self.luck.choice((1, 4, 50, 50)))

    def _check(self, dues: tuple[Due, ...]) -> None:
        """One tick, with a look before it and one after it, in which nobody dies."""
        self.fuse.burning = False
        self._look()
        self.fuse.burning = True
        before, began, version = copy(self.auditor.look), self.clock.now(), self.traffic.version
        before.incidents = dict(before.incidents)
        shown, calls, judged = self.traffic.shown(), len(self.api.calls), list[Judged]()
        due = frozenset(each.rule.id for each in dues)
        for each, kind in self.process.check(dues):
            judged.append(each)
            self.note(self.clock.elapsed, each.rule.id, iso(each.due.at), each.evidence, kind, len(each.verdicts))
        self.run.evaluations += len(judged)
        self.traffic.reach(self.clock.truth)
        same = shown if self.traffic.version == version else None
        made = self.api.calls[calls:]
        self.fuse.burning = False
        self._look()
        tick = Ticked(began, self.clock.now(), due, judged, same, made)
        self.auditor.ticked(tick, self.process.book, before, self.process.known_since)
        self.fuse.burning = True

    def _crash(self) -> None:
        """The process is gone; after a while another one begins, perhaps after the machine."""
        self.run.crashes += 1
        self._generation += 1
        self.fuse.left, self.api.kill_in = 0, 0
        self.auditor.uncertain_until = self.clock.elapsed + 3 * MINUTE
        down = self.luck.choice(_DOWN)
        self.note(self.clock.elapsed, "killed, and down for", down)
        self._let_time_pass(down + SECOND)
        if self.luck.random() < 0.2:
            self.clock.reboot(f"boot {self._generation}", self.luck.randint(0, 2) * MINUTE)
            self.auditor.rebooted_at = self.clock.elapsed
        self._pace_from = {name: len(desk.begun) for name, desk in self.desks.items()}
        self.process = self._begin(self.process.book)
        self._look()
        self.auditor.resync()

    def _begin(self, book: Rulebook) -> Process:
        budget = self._seams.budget(
            self.database, self.clock, calls_per_minute=self.limit, reserve=0, meter=UptimeMeter(self.clock)
        )
        source = self._seams.source(
            self.api.ask,
            budget,
            Gate(lambda: "token", self.clock),
            self.clock,
            patience=PATIENCE,
            pause=self._wait,
        )
        chance = luck(self._seed, f"outbox {self._generation}")
        found = self._seams.process(self.database, self.clock, source, book, chance, self._seams.outbox)
        found.start()
        return found

    def _wait(self, pause: Duration) -> None:
        self._let_time_pass(max(pause, _PATIENT) if pause >= SECOND else pause)

    def _drain(self) -> None:
        """All peers work again; what can be sent is sent."""
        self.happenings.over()
        for _ in range(8):
            self._let_time_pass(max(LEASE, LONGEST_PAUSE))
            self._do(lambda: self.process.send(200))
            while (due := self.process.outbox.next_due()) is not None and due <= self.clock.now():
                self._let_time_pass(_SHORTEST_STEP)
                if not self.process.send(1):
                    break
        self._look()
        self.auditor.in_the_end(self.desks)


_NUMBERS = itertools.count()


def _store(fuse: Fuse) -> tuple[Database, sqlite3.Connection]:
    """A store in memory, whose statements burn the fuse, and what keeps it: a kill costs the connection that it hits."""
    name = f"file:%2Fsimulation{next(_NUMBERS)}"  # SQLite shares what begins with a slash, in this process and memory only
    kept = sqlite3.connect(f"{name}?vfs=memdb", uri=True)
    engine = sqlite.create(sa.URL.create("sqlite", database=name, query={"vfs": "memdb", "uri": "true"}), SECOND)
    METADATA.create_all(engine)
    sa.event.listen(engine, "before_cursor_execute", fuse.burn)
    sa.event.listen(engine, "commit", fuse.burn)
    return Database(engine), kept


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of what goes wrong on purpose."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
