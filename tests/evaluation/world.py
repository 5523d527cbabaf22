"""A small world to check rules in: a fake API and clock, a store in memory, a rulebook."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from alertd.clock import MINUTE, Duration
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due, all_due
from alertd.evaluation.settling import Judged
from alertd.evaluation.tick import retire, tick
from alertd.facts import Alert, Evidence, Kind
from alertd.notices.outbox import Outbox
from alertd.planning.fetching import Source
from alertd.rulebook.rule import Rule, Rulebook
from alertd.store.database import Database
from alertd.store.tables import METADATA
from alertd.testing import START, FakeApi, FakeChannel, FakeClock, a_rule, a_rulebook, a_source

SCORE = "cqlScore"  # a number that a conversation has from its beginning, so that tests need not wait for it


def scored(**changes: Any) -> Rule:
    """A rule `slow` whose median score above 5 (recover 4) is a warning."""
    return a_rule(**({"measure": {"median": SCORE}, "warning": (5, 4)} | changes))


def an_outbox(database: Database, clock: FakeClock, book: Rulebook) -> Outbox:
    """An outbox whose messages say nothing."""
    from alertd.channels.base import Access

    return Outbox(database, clock, lambda: book, Access(), lambda _kind, _notice: {"text": "news"})


@dataclass
class World:
    """Everything a tick needs. `book` may be replaced at any time."""

    database: Database
    book: Rulebook
    clock: FakeClock = field(default_factory=FakeClock)
    started: int = START
    source: Source = field(init=False)
    api: FakeApi = field(init=False)

    def __post_init__(self) -> None:
        self.api = FakeApi(self.clock)
        self.source = a_source(self.api.ask, self.database, self.clock)

    @classmethod
    def of(cls, database: Database, *rules: Rule, receivers: Mapping[str, FakeChannel] | None = None) -> World:
        return cls(database, a_rulebook(*rules, receivers=receivers))

    def check(self, after: Duration = 5 * MINUTE) -> dict[str, tuple[Evidence, Kind | None]]:
        """Let time pass and check what is due: each rule's evidence and the notice that came of it."""
        self.clock.advance(after)
        return {judged.due.rule.id: (judged.evidence, kind) for judged, kind in self.judged()}

    def judged(self) -> list[tuple[Judged, Kind | None]]:
        return list(tick(self.dues(), self.book, self.source, self.database, self.clock.now))

    def dues(self) -> tuple[Due, ...]:
        with self.database.read() as transaction:
            last = {name: each.due_at for name, each in ledger.load_checked(transaction).items()}
        return all_due(self.book.rules, last, self.started, self.clock.now())

    def add(self, score: float, *, ago: Duration = MINUTE, **values: Any) -> int:
        """A conversation created so long ago, with that score."""
        return self.api.add(self.clock.now() - ago, **({SCORE: score} | values))

    def take(self, *rules: Rule) -> list[str]:
        """Reload with these rules; those that are gone."""
        self.book = replace(self.book, rules={rule.id: rule for rule in rules})
        with self.database.write() as transaction:
            return retire(transaction, self.book, self.clock.now())

    @property
    def alerts(self) -> list[Alert]:
        with self.database.read() as transaction:
            return ledger.load_alerts(transaction)

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        found = METADATA.tables[table]
        chosen = [found.c[name] for name in columns] if columns else list(found.c)
        with self.database.read() as transaction:
            return [tuple(row) for row in transaction.execute(sa.select(*chosen).order_by(*found.primary_key.columns))]

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row that a check may write; calls are borrowed elsewhere."""
        return {name: self.rows(name) for name in METADATA.tables if name not in ("slots", "refusals")}

    def send(self) -> int:
        outbox, sent = an_outbox(self.database, self.clock, self.book), 0
        while outbox.step():
            sent += 1
        return sent
