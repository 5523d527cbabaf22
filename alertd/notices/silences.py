"""Silences: people saying "not now", about a rule, a group of it, or all rules with some labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.errors import AlertdError
from alertd.facts import Group, Level
from alertd.rulebook.rule import Rule
from alertd.store.tables import silences

# Statements are put together once: that takes SQLAlchemy longer than running them.
_NOT_OVER = (
    sa.select(silences)
    .where(silences.c.until > sa.bindparam("at", type_=sa.BigInteger))
    .order_by(silences.c.until.desc(), silences.c.id)
)
_END = sa.update(silences).where((silences.c.id == sa.bindparam("of_id")) & (silences.c.until > sa.bindparam("at")))


@dataclass(frozen=True)
class Silence:
    """Nobody is told of what matches in all that is given; one that names nothing matches everything.

    It holds from `start` up to, not including, `until`. Among `labels`, `level` and `owner` mean those of the alert and its
    rule, as they do in routes.
    """

    start: Instant
    until: Instant
    author: str
    comment: str = ""
    rule: str | None = None
    group: str | None = None  # its key
    labels: Mapping[str, str] = field(default_factory=dict)
    id: int | None = None  # None: not written yet

    def holds(self, at: Instant) -> bool:
        """Whether it is in force at that moment."""
        return self.start <= at < self.until

    def matches(self, rule: Rule, group: Group, level: Level) -> bool:
        """Whether it is about that group of that rule at that level."""
        labels = {"level": level.value, "owner": rule.owner or ""} | dict(rule.labels)
        return (
            self.rule in (None, rule.id)
            and self.group in (None, group.key)
            and all(labels.get(name) == wanted for name, wanted in self.labels.items())
        )


def add(transaction: sa.Connection, silence: Silence) -> int:
    """Write a new silence; its number. AlertdError when it would never hold."""
    if silence.until <= silence.start:
        raise AlertdError("this silence would be over before it begins; give it an end that is later than its beginning")
    values = {
        "rule": silence.rule,
        "group": silence.group,
        "labels": dict(silence.labels),
        "from": silence.start,
        "until": silence.until,
        "author": silence.author,
        "comment": silence.comment,
    }
    key = transaction.execute(sa.insert(silences), values).inserted_primary_key
    return int(key[0]) if key else 0


def end(transaction: sa.Connection, number: int, at: Instant) -> bool:
    """End a silence now. False if there is none of that number, or it is over already."""
    return transaction.execute(_END, {"of_id": number, "at": at, "until": at}).rowcount > 0


def active(transaction: sa.Connection, at: Instant) -> tuple[Silence, ...]:
    """The silences that hold at that moment, the one that holds longest first."""
    return tuple(each for each in upcoming(transaction, at) if each.holds(at))


def upcoming(transaction: sa.Connection, at: Instant) -> tuple[Silence, ...]:
    """The silences that hold at that moment or will, the one that ends last first."""
    return tuple(_silence(row) for row in transaction.execute(_NOT_OVER, {"at": at}).mappings())


def _silence(row: sa.RowMapping) -> Silence:
    return Silence(
        start=row["from"],
        until=row["until"],
        author=row["author"],
        comment=row["comment"],
        rule=row["rule"],
        group=row["group"],
        labels=row["labels"],
        id=row["id"],
    )
