"""One test from its start to its end: the real planner, budget, tick, store and outbox, on a clock that the test moves.

There are no threads. Whoever waits moves the clock, so that weeks pass as fast as they can be calculated.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from alertd.channels.base import Access
from alertd.clock import SECOND, Duration, Instant
from alertd.evaluation import ledger
from alertd.evaluation.ledger import Checked
from alertd.evaluation.schedule import Due, all_due, next_instant
from alertd.evaluation.tick import tick
from alertd.facts import Alert
from alertd.notices.outbox import Outbox
from alertd.notices.silences import Silence, add
from alertd.planning.fetching import Source
from alertd.planning.memory import load_lessons, save_lessons
from alertd.reporting.budget import Budget
from alertd.reporting.gate import Gate
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.api import Api, VirtualClock
from alertd.ruletests.case import Case, Event, Happening, Moment
from alertd.ruletests.recording import Told, parts, recording
from alertd.store.database import Database, open_database
from alertd.store.tables import METADATA, decisions, deliveries

# How long a call may take; the daemon's own default.
_PATIENCE: Duration = 13 * SECOND

_QUEUED = sa.select(deliveries.c.id).where(deliveries.c.state == "queued").limit(1)


@dataclass(frozen=True)
class Standing:
    """How things stood after the check of one moment: alerts that are not inactive, and each rule's last check."""

    alerts: tuple[Alert, ...]
    checked: Mapping[str, Checked]


@dataclass(frozen=True)
class Hours:
    """From then on a rule's calendar kept it from being checked, or did so no longer."""

    at: Instant
    rule: str
    closed: bool


@dataclass
class Run:
    """What happened in a test."""

    case: Case
    told: list[Told] = field(default_factory=list)
    standing: dict[Duration, Standing] = field(default_factory=dict)  # by time of the test
    decisions: tuple[sa.Row[Any], ...] = ()  # the decision records
    hours: list[Hours] = field(default_factory=list)
    unsettled: list[tuple[Instant, str]] = field(default_factory=list)  # rules that could not be settled: our mistake
    evaluations: int = 0
    calls: int = 0


def run(case: Case, book: Rulebook, database: Database) -> Run:
    """Play the test on an empty store."""
    return _Stage(case, book, database).play()


def new_store() -> Database:
    """A store in memory, for one test after the other."""
    return open_database("sqlite://")


def empty(database: Database) -> None:
    """Forget everything that the last test left."""
    with database.write() as transaction:
        for table in reversed(METADATA.sorted_tables):
            transaction.execute(sa.delete(table))


class _Stage:
    """The daemon's parts, put together anew at each start."""

    def __init__(self, case: Case, book: Rulebook, database: Database) -> None:
        self._case, self._database = case, database
        self._clock = VirtualClock(case.start)
        self._run = Run(case)
        self._book = recording(book, case.rules, self._clock.now, self._run.told)
        self._api = Api(case, self._clock)
        self._shut: set[str] = set()  # rules whose calendar is closed
        self._starts: list[Instant] = []  # when alertd comes up again
        self._source: Source | None = None  # None: alertd is down
        self._start()

    def play(self) -> Run:
        """From `start` to `end`: at each moment first what happens then, then the check, then a look at how things stand."""
        end = self._case.start + self._case.end
        events = sorted(self._case.during, key=lambda each: each.at, reverse=True)
        looks = sorted(self._case.expect, key=lambda each: each.at, reverse=True)
        while (at := self._next(events, looks)) is not None and at <= end:
            due = self._due
            self._clock.reach(at)
            while events and self._case.start + events[-1].at <= at:
                self._happen(events.pop())
            while self._starts and self._starts[0] <= at:
                self._starts.pop(0)
                self._start()
            if self._source is not None and due is not None and due <= at:
                self._check(self._source)
            while looks and self._case.start + looks[-1].at <= at:
                self._look(looks.pop())
        self._run.calls = self._api.calls
        with self._database.read() as transaction:
            self._run.decisions = tuple(transaction.execute(sa.select(decisions).order_by(decisions.c.id)))
        return self._run

    def _next(self, events: list[Event], looks: list[Moment]) -> Instant | None:
        """The next moment at which anything is to be done."""
        self._due = next_instant(self._book.rules.values(), self._clock.now()) if self._source else None
        named = [self._case.start + each[-1].at for each in (events, looks) if each]
        return min([*named, *self._starts[:1], *([] if self._due is None else [self._due])], default=None)

    def _start(self) -> None:
        """What the daemon does at its start, on whatever the store has."""
        self._source = Source(
            self._api.ask,
            Budget(self._database, self._clock),
            Gate(lambda: "token", self._clock),
            self._clock,
            patience=_PATIENCE,
            pause=self._clock.advance,
        )
        self._source.knowledge.lessons.update(load_lessons(self._database))
        self._outbox = Outbox(self._database, self._clock, lambda: self._book, Access(), parts)
        self._outbox.revive()
        self._outbox.recover()
        self._known_since = self._clock.now()
        with self._database.read() as transaction:
            self._last = {rule: each.due_at for rule, each in ledger.load_checked(transaction).items()}
        self._send()

    def _happen(self, event: Event) -> None:
        if event.what is Happening.RESTART and self._source is not None:
            save_lessons(self._database, self._source.knowledge, self._clock.now())
            self._source = None
        if event.what is Happening.RESTART:
            self._starts = [self._case.start + event.over]
        elif event.what is Happening.SILENCE:
            start, until = self._case.start + event.at, self._case.start + event.over
            found = Silence(start, until, "test", "the test says so", event.rule, event.group, event.labels)
            with self._database.write() as transaction:
                add(transaction, found)

    def _check(self, source: Source) -> None:
        dues = all_due(self._book.rules, self._last, self._known_since, self._clock.now())
        self._last |= {each.rule.id: each.at for each in dues}
        self._note_hours(dues)
        dues = tuple(each for each in dues if not each.closed)
        if not dues:
            return
        settled = {judged.due.rule.id for judged, _ in tick(dues, self._book, source, self._database, self._clock.now)}
        self._run.evaluations += len(settled)
        self._run.unsettled += [(each.at, each.rule.id) for each in dues if each.rule.id not in settled]
        self._send()

    def _note_hours(self, dues: Iterable[Due]) -> None:
        """When calendars close and open again, as far as rules that are due are concerned."""
        for each in dues:
            if each.closed is not (each.rule.id in self._shut):
                self._shut ^= {each.rule.id}
                self._run.hours.append(Hours(each.at, each.rule.id, each.closed))

    def _send(self) -> None:
        """Deliver all that is due. Most checks tell nobody anything, and looking is cheaper than trying to claim."""
        with self._database.read() as transaction:
            there = transaction.scalar(_QUEUED) is not None
        while there:
            there = self._outbox.step()

    def _look(self, moment: Moment) -> None:
        with self._database.read() as transaction:
            alerts, checked = ledger.load_alerts(transaction), ledger.load_checked(transaction)
        self._run.standing[moment.at] = Standing(tuple(alerts), checked)


def play_all(cases: Iterable[Case], book: Rulebook) -> Iterable[Run]:
    """Play tests one after the other, each on an empty store."""
    database = new_store()
    try:
        for case in cases:
            empty(database)
            yield run(case, book, database)
    finally:
        database.close()
