"""A daemon's life without its threads: it starts, checks what is due, reloads, sends, and may be killed anywhere."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from alertd.channels.base import Access
from alertd.clock import Clock, Instant
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due, all_due
from alertd.evaluation.settling import Judged
from alertd.evaluation.tick import retire, tick
from alertd.facts import Kind
from alertd.notices.outbox import Outbox
from alertd.planning.fetching import Source
from alertd.planning.memory import load_lessons, save_lessons
from alertd.rulebook.rule import Rule, Rulebook
from alertd.sending import DOWN, GATHERING
from alertd.store.database import Database
from alertd.testing.simulation.peers import many_words, words
from alertd.troubles import tell_unanswered


@dataclass
class Process:
    """What the daemon has in memory. Only the store outlives it."""

    database: Database
    clock: Clock
    source: Source
    book: Rulebook
    luck: random.Random
    outbox_of: type[Outbox]
    last: dict[str, Instant] = field(default_factory=dict)
    known_since: dict[str, Instant] = field(default_factory=dict)
    outbox: Outbox = field(init=False)

    def start(self) -> None:
        """What the daemon does at its start, on whatever the store has."""
        started = self.clock.now()
        self.source.knowledge.lessons.update(load_lessons(self.database))
        with self.database.read() as transaction:
            self.last = {name: each.due_at for name, each in ledger.load_checked(transaction).items()}
        self.outbox = self.outbox_of(
            self.database, self.clock, lambda: self.book, Access(), words, many_words, random=self.luck
        )
        self.take(*self.book.rules.values())
        self._gather(started)
        self.outbox.revive()
        self.outbox.recover()

    def claim(self) -> tuple[Due, ...]:
        """The rules that are due."""
        dues = all_due(self.book.rules, self.last, self.known_since, self.clock.now())
        self.last |= {each.rule.id: each.at for each in dues if not (each.closed and each.missed)}
        return tuple(each for each in dues if not each.closed)

    def check(self, dues: tuple[Due, ...]) -> Iterator[tuple[Judged, Kind | None]]:
        """Check them, and tell of those that get no answers."""
        yield from tick(dues, self.book, self.source, self.database, self.clock.now)
        save_lessons(self.database, self.source.knowledge, self.clock.now())
        tell_unanswered(self.database, self.book, self.clock.now())
        self.outbox.release()

    def take(self, *rules: Rule) -> list[str]:
        """A rulebook with these rules; those that are gone."""
        now = self.clock.now()
        self.book = replace(self.book, rules={rule.id: rule for rule in rules})
        with self.database.write() as transaction:
            gone = retire(transaction, self.book, now)
        self.known_since = {rule.id: self.known_since.get(rule.id, now) for rule in rules}
        self.last = {name: at for name, at in self.last.items() if name in self.known_since}
        return gone

    def send(self, most: int) -> int:
        """Deliver what is due, so many messages at most."""
        sent = 0
        if self.outbox.next_due() is None:  # looking is cheaper than trying to claim
            return 0
        while sent < most and self.outbox.step():
            sent += 1
        return sent

    def _gather(self, started: Instant) -> None:
        """After a downtime: one message for what happened meanwhile."""
        last = max(self.last.values(), default=None)
        dues = all_due(self.book.rules, self.last, self.known_since, started)
        if last is not None and started - last >= DOWN and any(each.missed for each in dues):
            self.outbox.gather(started + GATHERING, "alertd was not running")
