"""One rule with its receivers, whose alerts are moved by verdicts that a test makes up, and an outbox that sends."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa

from alertd.channels.base import Access
from alertd.clock import MINUTE
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged, settle
from alertd.evaluation.tick import retire
from alertd.facts import CONVERSATION, Evidence, Group, Kind
from alertd.notice import Notice
from alertd.notices import silences
from alertd.notices.incidents import acknowledge
from alertd.notices.outbox import Outbox
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Receiver, Rule, Rulebook
from alertd.store.database import Database
from alertd.store.tables import METADATA
from alertd.testing import FakeChannel, FakeClock, a_rule, a_rulebook, a_verdict

GOOD, BAD, AWFUL = 1.0, 7.0, 20.0  # within the limits, over 5, over 15
ERROR = Evidence.ERROR


def a_levelled_rule(**changes: Any) -> Rule:
    """A rule by conversation: above 5 is a warning, above 15 critical; no way back of their own."""
    defaults = {"measure": {"median": "cqlScore"}, "warning": (5, 5), "critical": (15, 15), "by": CONVERSATION}
    return a_rule(**(defaults | changes))


def words(_kind: str, notice: Notice) -> Mapping[str, str]:
    return {"news": f"{notice.kind} {notice.level}"}


@dataclass
class Stage:
    """A rule on a stage. `check` is one evaluation; `send` delivers all that is due."""

    database: Database
    rule: Rule
    channels: Mapping[str, FakeChannel]
    fallback: str | None = None
    quiet: frozenset[str] = frozenset()  # receivers with send_resolved: false
    clock: FakeClock = field(default_factory=FakeClock)
    book: Rulebook = field(init=False)
    outbox: Outbox = field(init=False)

    def __post_init__(self) -> None:
        book = a_rulebook(self.rule, receivers=self.channels, fallback=self.fallback)
        known = {name: replace(each, send_resolved=name not in self.quiet) for name, each in book.receivers.items()}
        self.book = replace(book, receivers=known)
        self.restart()

    def restart(self) -> Outbox:
        """A new outbox, as a new process would have it."""
        outbox = Outbox(self.database, self.clock, lambda: self.book, Access(), words, random=random.Random(7))
        self.outbox = outbox
        return outbox

    def check(self, values: Mapping[int, float] | Evidence) -> Kind | None:
        """Let five minutes pass and settle these values by conversation; an Evidence comes without any."""
        self.clock.advance(5 * MINUTE)
        at = self.clock.now()
        verdicts = [a_verdict(value, at=at, group=self.group(number)) for number, value in self._known(values).items()]
        if not verdicts:
            verdicts = [a_verdict(None, at=at, evidence=values if isinstance(values, Evidence) else Evidence.NO_DATA)]
        with self.database.write() as transaction:
            return settle(transaction, Judged(Due(self.rule, at), tuple(verdicts)), self.book, at)

    def silence(self, minutes: int, **what: Any) -> int:
        """Somebody silences from now on for so long; the silence's number."""
        now = self.clock.now()
        with self.database.write() as transaction:
            return silences.add(transaction, Silence(now, now + minutes * MINUTE, "Ana", "deploy", **what))

    def acknowledge(self, number: int = 1) -> bool:
        """Somebody has the incident."""
        with self.database.write() as transaction:
            return acknowledge(transaction, number, "Ana", self.clock.now())

    def told(self, receiver: str) -> list[str]:
        """The kinds of what the receiver is told, in order."""
        return [kind for name, kind in self.rows("receiver", "kind") if name == receiver]

    @staticmethod
    def _known(values: Mapping[int, float] | Evidence) -> Mapping[int, float]:
        return {} if isinstance(values, Evidence) else values

    def group(self, number: int) -> Group:
        return Group() if self.rule.by is None else Group(self.rule.by, number)

    def remove(self) -> None:
        """The rule is taken out of the rulebook."""
        with self.database.write() as transaction:
            retire(transaction, replace(self.book, rules={}), self.clock.now())

    def drop(self, name: str) -> None:
        """The receiver is taken out of the rulebook."""
        self.book = replace(self.book, receivers={key: each for key, each in self.book.receivers.items() if key != name})

    def receiver(self, name: str) -> Receiver:
        return self.book.receivers[name]

    def send(self) -> int:
        """Deliver what is due; how many attempts that took."""
        attempts = 0
        while self.outbox.step():
            attempts += 1
        return attempts

    def rows(self, *columns: str, table: str = "deliveries") -> list[Any]:
        """Those columns of every row, oldest first; of one column only its value."""
        found = METADATA.tables[table]
        with self.database.read() as transaction:
            rows = transaction.execute(sa.select(*(found.c[name] for name in columns)).order_by(found.c.id)).all()
        return [row[0] if len(columns) == 1 else tuple(row) for row in rows]
