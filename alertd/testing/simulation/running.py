"""A run: step after step until its time is over, then all is sent that can be."""

from __future__ import annotations

import hashlib
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import structlog

from alertd.channels.base import Access
from alertd.clock import DAY, MINUTE, SECOND, Duration, iso
from alertd.engine import Claimed, Parts
from alertd.evaluation.settling import Judged
from alertd.notices.claiming import LEASE, LONGEST_PAUSE
from alertd.notices.outbox import Outbox
from alertd.planning.memory import load_lessons
from alertd.reporting.gate import Gate
from alertd.rulebook.rule import Rulebook
from alertd.store.meter import UptimeMeter
from alertd.testing.simulation import cast, checks
from alertd.testing.simulation.auditing import Auditor, Ticked
from alertd.testing.simulation.author import SOON, Author
from alertd.testing.simulation.happening import Happenings
from alertd.testing.simulation.memory import a_store
from alertd.testing.simulation.nature import Disk, Fuse, VirtualClock, evening, luck
from alertd.testing.simulation.peers import PATIENCE, Desk, FaultyApi, Heard, PacedPeer
from alertd.testing.simulation.process import Process
from alertd.testing.simulation.seams import Seams
from alertd.testing.simulation.traffic import Traffic
from alertd.testing.simulation.violation import Killed
from alertd.testing.simulation.writing import Writer

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
        self.clock, self.fuse, self.disk = VirtualClock(evening(seed)), Fuse(), Disk()
        self.luck = luck(seed, "events")
        self.limit = luck(seed, "limit").choice(_LIMITS)
        self.database, self._kept = a_store(self._before)
        self.traffic = Traffic(luck(seed, "traffic"), self.clock.truth)
        self.api = FaultyApi(self.clock, self.traffic, luck(seed, "api"))
        self.heard: list[Heard] = []
        self.desks = {name: Desk(name, self.clock, luck(seed, name), self.heard) for name in cast.RECEIVERS}
        self.auditor = Auditor(seed, days, self.clock, self._kept, self.limit)
        self._lines, self._ordinals = hashlib.sha256(), dict[str, int]()
        self._pace_from = dict.fromkeys(self.desks, 0)
        self.happenings = Happenings(self)
        self._generation, self._refused = 0, 0
        self._folder = tempfile.TemporaryDirectory(prefix="alertd-simulation-")
        self.author = Author(self, Path(self._folder.name, "rules"))
        self.writer = Writer(Path(self._folder.name, "templates"))
        self.process = self._begin()
        self.author.begun()

    def _before(self, statement: str) -> None:
        """One of the store's statements: the process may end here, or the disk take nothing."""
        if self.fuse.burning:
            self.fuse.burn()
            if statement != "COMMIT":
                self.disk.write(statement)

    def play(self) -> Run:
        """All of it."""
        try:
            while self.clock.elapsed < self.run.days * DAY:
                self._step()
            self._drain()
        finally:
            self._kept.close()
            self.database.close()
            self._folder.cleanup()
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
        self._do(self.happenings.go_on, self.author.look, self._work)

    def _do(self, *parts: Callable[[], object]) -> None:
        """One step: its parts, unless the process ends in one of them, and a look at what came of it."""
        self.run.steps += 1
        self.auditor.step = self.run.steps
        seen, killed = len(self.heard), False
        self._refused = self.disk.refused
        try:
            with self.fuse.lit():
                for part in parts:
                    part()
        except Killed:
            killed = True
        self.look(killed=killed)
        self._tell(seen)
        if self._unwritten:
            self.auditor.uncertain_until = self.clock.elapsed + 3 * MINUTE
            self.auditor.resync()
        if killed:
            self._crash()

    def look(self, *, killed: bool = False) -> None:
        """See what there is to be seen. What could not be written down is as uncertain as after a kill."""
        uncertain = killed or self._unwritten
        self.auditor.see(self.process.book, self.heard, self.desks, self.api, killed=uncertain)
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

    @property
    def _unwritten(self) -> bool:
        """Whether the store has refused something in this step."""
        return self.disk.refused > self._refused

    def _pause(self) -> Duration:
        """Until anything is due, by our clock or by that of the world."""
        now = self.clock.now()
        moments = [now + _LONGEST_STEP, now + self.happenings.at - self.clock.elapsed]
        moments += [now + SOON] if self.author.pending else []
        due = self.process.next_instant()
        moments += [due] if due is not None else []
        sends = self.auditor.look.next_send()
        moments += [max(sends, now + _REST)] if sends is not None else []
        return max(_SHORTEST_STEP, min(moments) - now)

    def _let_time_pass(self, by: Duration) -> None:
        self.clock.advance(by)
        self.traffic.reach(self.clock.truth)

    def _work(self) -> None:
        """Check what is due and send what waits, as the daemon's threads would."""
        self.process.send(self.luck.choice((0, 1, 5)))
        now, claimed = self.clock.now(), self.process.claim()
        if claimed.dues:
            self._check(claimed)
        else:
            self.auditor.up_to_date(self.process.book, self.process.known_since, now)
        self.process.send(self.luck.choice((1, 4, 50, 50)))

    def unseen(self, look: Callable[[], object]) -> None:
        """Look at something in the middle of a step: in that nobody dies, and no disk is full."""
        self.fuse.burning = False
        look()
        self.fuse.burning = True

    def _check(self, claimed: Claimed) -> None:
        """One tick, with a look before it and one after it."""
        self.unseen(self.look)
        before, began, version, refused = copy(self.auditor.look), self.clock.now(), self.traffic.version, self.disk.refused
        before.incidents = dict(before.incidents)
        shown, calls, judged = self.traffic.shown(), len(self.api.calls), list[Judged]()
        due = frozenset(each.rule.id for each in claimed.dues)
        for each, kind in self.process.check(claimed):
            judged.append(each)
            self.note(self.clock.elapsed, each.rule.id, iso(each.due.at), each.evidence, kind, len(each.verdicts))
        self.run.evaluations += len(judged)
        self.traffic.reach(self.clock.truth)
        if self.disk.refused > refused:
            return
        same = shown if self.traffic.version == version else None
        tick = Ticked(began, self.clock.now(), due, judged, same, self.api.calls[calls:])
        self.unseen(self.look)
        self.unseen(lambda: self.auditor.ticked(tick, self.process.book, before, self.process.known_since))

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
        self.process = self._begin()
        self.author.restarted()
        self.look()
        self.auditor.resync()

    def _begin(self) -> Process:
        budget = self._seams.budget(
            self.database, self.clock, calls_per_minute=self.limit, reserve=0, meter=UptimeMeter(self.clock)
        )
        gate = Gate(lambda: "token", self.clock)
        source = self._seams.source(self.api.ask, budget, gate, self.clock, patience=PATIENCE, pause=self._wait)
        source.knowledge.lessons.update(load_lessons(self.database))
        chance = luck(self._seed, f"process {self._generation}")
        parts = Parts(self.database, self.clock, source, partial(self._outbox, chance), Access(), chance)
        found = self._seams.process(parts, self.author.folder, self.desks)
        found.begin(self._wait)
        return found

    def _outbox(self, chance: random.Random, book: Callable[[], Rulebook]) -> Outbox:
        return self._seams.outbox(
            self.database, self.clock, book, Access(), self.writer.notice, self.writer.digest, random=chance
        )

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
        self.look()
        self.auditor.in_the_end(self.desks)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log lines of what goes wrong on purpose."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)
