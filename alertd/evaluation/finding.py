"""Finding the rule and the group that somebody asks about, from what they wrote."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.errors import AlertdError
from alertd.evaluation import ledger
from alertd.evaluation.ledger import Decided
from alertd.facts import CONVERSATION, Alert, Group
from alertd.reporting.properties import suggest
from alertd.rulebook.rule import Rule, Rulebook


class Source(Enum):
    """Where the rule is known from."""

    RUNNING = "the rulebook that was taken last"
    FILES = "the rule files, which no daemon has taken yet"
    STORE = "the store only"


@dataclass(frozen=True)
class Shelf:
    """The rulebooks in which a rule is looked up: the one that runs, and that of the files."""

    running: Rulebook | None = None
    files: Rulebook | None = None

    def find(self, rule: str) -> tuple[Rulebook | None, Source]:
        """The rulebook that has the rule, and which one it is."""
        for book, source in ((self.running, Source.RUNNING), (self.files, Source.FILES)):
            if book and rule in book.rules:
                return book, source
        return None, Source.STORE

    @property
    def rules(self) -> set[str]:
        """All rules that are known."""
        return {name for book in (self.running, self.files) if book for name in book.rules}


@dataclass(frozen=True)
class Question:
    """What somebody wants to have explained. No `at`: now; `group` as people write it: its key, or the id alone."""

    rule: str
    group: str | None = None
    at: Instant | None = None
    last: int = 10


def require_rule(transaction: sa.Connection, name: str, shelf: Shelf) -> None:
    """AlertdError unless the rule is known to the rulebook or the records."""
    seen = ledger.decided_rules(transaction) | ledger.known_rules(transaction)
    known = seen | shelf.rules
    if name in known:
        return
    if not known:
        raise AlertdError(f'there is no rule "{name}"; there are no rules and no records at all')
    meant = suggest(name, known)
    advice = f"did you mean {meant}?" if meant else f"there are {_listed(sorted(known))}"
    raise AlertdError(f'there is no rule "{name}", neither in the rulebook nor in the records; {advice}')


def choose_group(
    transaction: sa.Connection, question: Question, rule: Rule | None, newest: Sequence[Decided], alerts: Sequence[Alert]
) -> Group | None:
    """The group that is asked for; None: all of them, where the rule has more than one. AlertdError if there is none such."""
    records = newest if question.at is None else ledger.newest_decided(transaction, question.rule, None)
    known = {each.group for each in records if each.group.by} | {each.group for each in alerts if each.group.by}
    by = rule.by if rule else None
    if rule and by:
        known |= {Group(by, each) for each in rule.expect}
    if question.group is None:
        return None if by or known else Group()
    kinds = {each.by for each in known if each.by} | ({by} if by else set())
    if not kinds:
        raise AlertdError(f"{question.rule} has one group only, all conversations; leave --group out")
    return _named(question.rule, question.group, kinds, known)


def _named(rule: str, text: str, kinds: Collection[str], known: Collection[Group]) -> Group:
    name, _, number = text.rpartition("=")
    found = [Group(each, int(number)) for each in sorted(kinds) if name in ("", each) and number.isdecimal()]
    chosen = next((each for each in found if each in known), None)
    if chosen:
        return chosen
    # Nothing is written down of a conversation that was never over the limit: that is an answer too.
    if found and found[0].by == CONVERSATION:
        return found[0]
    keys = {str(each.id): each.key for each in sorted(known, key=lambda each: (str(each.by), each.id or 0))}
    meant = suggest(number, keys)
    there = (
        f"did you mean {keys[meant]}?" if meant else f"there are {_listed([*keys.values()])}" if keys else "there is none yet"
    )
    raise AlertdError(f'{rule} has no record of a group "{text}"; {there} (write {min(kinds)}=ID, or the id alone)')


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
