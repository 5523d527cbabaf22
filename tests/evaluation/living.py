"""A daemon's life without its threads: it starts, claims what is due, reloads, and is killed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from alertd.channels.base import Access
from alertd.clock import Instant
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due, all_due
from alertd.notice import Notice
from alertd.notices.outbox import Outbox
from alertd.rulebook.rule import Rule
from alertd.testing import a_source
from tests.evaluation.world import World


def words(_kind: str, notice: Notice) -> Mapping[str, str]:
    return {"news": f"{notice.kind} {notice.level}"}


@dataclass
class Living(World):
    """A world in which the process may end at any time: only the store and the API outlive it."""

    last: dict[str, Instant] = field(default_factory=dict)
    known_since: dict[str, Instant] = field(default_factory=dict)
    claimed: tuple[Due, ...] = ()  # at the last tick, closed ones too
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.start()

    def start(self) -> None:
        """A new process."""
        self.source = a_source(self.api.ask, self.database, self.clock)
        self.known_since = dict.fromkeys(self.book.rules, self.clock.now())
        with self.database.read() as transaction:
            self.last = {name: each.due_at for name, each in ledger.load_checked(transaction).items()}
        self.outbox = Outbox(self.database, self.clock, lambda: self.book, Access(), words, random=random.Random(7))
        self.outbox.revive()
        self.outbox.recover()

    def dues(self) -> tuple[Due, ...]:
        """Claim what is due, as the daemon does."""
        self.claimed = all_due(self.book.rules, self.last, self.known_since, self.clock.now())
        self.last |= {each.rule.id: each.at for each in self.claimed if not (each.closed and each.missed)}
        return tuple(each for each in self.claimed if not each.closed)

    def take(self, *rules: Rule) -> list[str]:
        gone, now = super().take(*rules), self.clock.now()
        self.known_since = {rule.id: self.known_since.get(rule.id, now) for rule in rules}
        self.last = {name: at for name, at in self.last.items() if name in self.known_since}
        return gone

    def send(self) -> int:
        sent = 0
        while self.outbox.step():
            sent += 1
        return sent
