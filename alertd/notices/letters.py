"""Deliveries as people see them: which of them need somebody, and what each is about."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa

from alertd.clock import MINUTE, Duration, Instant, iso
from alertd.facts import Kind
from alertd.store.tables import deliveries, incidents, notices

# How the error of a delivery begins that somebody has given up: it is dead, and nobody needs to hear of it any more.
GIVEN_UP = "given up by "

# What has waited for so long is not merely on its way.
_LONG: Duration = MINUTE

# Numbers that one statement may name.
_AT_ONCE = 500

_WAITING = ("queued", "sending")


class Which(StrEnum):
    """Which deliveries somebody wants to see."""

    TROUBLED = "troubled"  # dead and not given up, failing, or waiting for long
    DEAD = "dead"
    QUEUED = "queued"
    SENT = "sent"
    ALL = "all"


@dataclass(frozen=True)
class Letter:
    """One delivery. A queued one with `told_at` was told in a digest: only its incident's own message is still to be edited."""

    id: int
    state: str  # queued, sending, sent, dead
    receiver: str
    via: str
    kind: Kind
    rule: str
    incident: int | None  # None: a report
    over_at: Instant | None  # when its incident was closed
    attempts: int
    queued_at: Instant
    due_at: Instant
    sent_at: Instant | None
    told_at: Instant | None
    error: str | None  # of one that is sent: what people should know all the same

    @property
    def given_up(self) -> bool:
        """Whether somebody has given it up."""
        return self.state == "dead" and (self.error or "").startswith(GIVEN_UP)

    @property
    def story(self) -> tuple[int, str] | int:
        """What it is told in order with: all of its incident to its receiver; a report only with itself."""
        return self.id if self.incident is None else (self.incident, self.receiver)


def given_up() -> sa.ColumnElement[bool]:
    """Those that somebody has given up, for statements about dead ones."""
    return (deliveries.c.state == "dead") & sa.func.coalesce(deliveries.c.error, "").startswith(GIVEN_UP, autoescape=True)


def find(
    transaction: sa.Connection,
    which: Which,
    now: Instant,
    *,
    receiver: str | None = None,
    rule: str | None = None,
    limit: int | None = None,
) -> tuple[tuple[Letter, ...], int]:
    """The newest of those that match in all that is given, and how many there are in all.

    `receiver` is whose story it is, or whoever is told in its place.
    """
    wanted = _matching(which, now) & _about(receiver, rule)
    total = transaction.scalar(sa.select(sa.func.count()).select_from(_joined()).where(wanted))
    rows = transaction.execute(_select().where(wanted).order_by(deliveries.c.id.desc()).limit(limit))
    return tuple(_letter(row) for row in rows), total or 0


def by_number(transaction: sa.Connection, numbers: Collection[int]) -> dict[int, Letter]:
    """Those of these numbers that there are."""
    small = sorted({number for number in numbers if 0 < number < 2**63})  # more no database can look for
    return {each.id: each for each in _where_in(transaction, deliveries.c.id, small)}


def lost_of_open_incidents(transaction: sa.Connection) -> list[Letter]:
    """What reached nobody although its incident goes on, without what somebody has given up."""
    wanted = (deliveries.c.state == "dead") & ~given_up() & incidents.c.id.is_not(None) & incidents.c.closed_at.is_(None)
    return [_letter(row) for row in transaction.execute(_select().where(wanted))]


def stories(transaction: sa.Connection, letters: Collection[Letter]) -> list[tuple[Letter, ...]]:
    """The whole stories that these belong to, each in its order."""
    found: dict[tuple[int, str] | int, list[Letter]] = {each.story: [] for each in letters}
    reports = [each.id for each in letters if each.incident is None]
    numbers = sorted({each.incident for each in letters if each.incident is not None})
    rows = _where_in(transaction, deliveries.c.incident, numbers) + _where_in(transaction, deliveries.c.id, reports)
    for each in rows:
        if each.story in found:
            found[each.story].append(each)
    return [tuple(sorted(story, key=lambda each: each.id)) for story in found.values()]


def to_json(letter: Letter) -> dict[str, Any]:
    """Write it as plain data."""
    return {
        "delivery": letter.id,
        "state": letter.state,
        "receiver": letter.receiver,
        "via": letter.via,
        "kind": letter.kind.value,
        "rule": letter.rule,
        "incident": letter.incident,
        "queued_at": iso(letter.queued_at),
        "attempts": letter.attempts,
        "due_at": iso(letter.due_at) if letter.state == "queued" else None,
        "sent_at": iso(letter.sent_at) if letter.sent_at is not None else None,
        "told_at": iso(letter.told_at) if letter.told_at is not None else None,
        "error": letter.error,
        "given_up": letter.given_up,
    }


def _matching(which: Which, now: Instant) -> sa.ColumnElement[bool]:
    dead, waiting = deliveries.c.state == "dead", deliveries.c.state.in_(_WAITING)
    stuck = deliveries.c.error.is_not(None) | (deliveries.c.queued_at <= now - _LONG)
    return {
        Which.TROUBLED: (dead & ~given_up()) | (waiting & stuck),
        Which.DEAD: dead,
        Which.QUEUED: waiting,
        Which.SENT: deliveries.c.state == "sent",
        Which.ALL: sa.true(),
    }[which]


def _about(receiver: str | None, rule: str | None) -> sa.ColumnElement[bool]:
    theirs = sa.true() if receiver is None else (deliveries.c.receiver == receiver) | (deliveries.c.via == receiver)
    if rule is None:
        return theirs
    # A report has no incident that knows its rule. Within a text of the notice the quotes would be escaped.
    of_report = notices.c.body.contains(f'","rule":"{rule}","title":"', autoescape=True)
    return theirs & ((incidents.c.rule == rule) | (incidents.c.id.is_(None) & of_report))


def _joined() -> sa.FromClause:
    found = deliveries.join(notices, notices.c.id == deliveries.c.notice)
    return found.outerjoin(incidents, incidents.c.id == deliveries.c.incident)


def _select() -> sa.Select[Any]:
    return sa.select(deliveries, incidents.c.closed_at, notices.c.body).select_from(_joined())


def _where_in(transaction: sa.Connection, column: sa.ColumnElement[int], numbers: list[int]) -> list[Letter]:
    found = list[Letter]()
    for start in range(0, len(numbers), _AT_ONCE):
        some = _select().where(column.in_(numbers[start : start + _AT_ONCE]))
        found += [_letter(row) for row in transaction.execute(some)]
    return found


class _Head(msgspec.Struct):
    """What is needed of a notice's body."""

    rule: str


_HEADS = msgspec.json.Decoder(_Head)


def _letter(row: sa.Row[Any]) -> Letter:
    return Letter(
        id=row.id,
        state=row.state,
        receiver=row.receiver,
        via=row.via,
        kind=Kind(row.kind),
        rule=_HEADS.decode(row.body).rule,
        incident=row.incident,
        over_at=row.closed_at,
        attempts=row.attempts,
        queued_at=row.queued_at,
        due_at=row.due_at,
        sent_at=row.sent_at,
        told_at=row.told_at,
        error=row.error,
    )
