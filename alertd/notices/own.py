"""Notices about alertd itself: what keeps it from its work, told once when it begins and once when it is over.

Each cause is an incident of its own, whose rule is the cause's id; ids that begin with "alertd" are reserved for that. The
store has it, so that a restart tells nothing twice. Silences do not hold here: they are about alerts, and this is why there
might be none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from alertd.clock import HOUR, MINUTE, Duration, Instant
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.incidents import Incident, last_incident, save_incident
from alertd.notices.recording import newest_notice
from alertd.notices.telling import load_stories, recipients, tell
from alertd.rulebook.rule import Rulebook
from alertd.store.tables import incidents
from alertd.units import Unit

REOPEN_WITHIN: Duration = 30 * MINUTE

# A trouble whose messages all reached nobody is told anew this long after the last attempt, for as long as it lasts.
AGAIN: Duration = HOUR

_OPEN_CAUSES = sa.select(incidents.c.rule).where(incidents.c.rule.like("alertd-%"), incidents.c.closed_at.is_(None))


@dataclass(frozen=True)
class Trouble:
    """What keeps alertd from its work. `text` says what is wrong and what to do, without secrets or visitors' words."""

    cause: str  # "alertd-rulebook", "alertd-rule/slow-first-answer"
    title: str
    text: str
    to: tuple[str, ...] = ()  # receivers; without any, whoever is told when alertd itself is in trouble
    level: Level = Level.WARNING
    since: Instant | None = None  # when it began, if that is not when it is told


def report_trouble(transaction: sa.Connection, trouble: Trouble, book: Rulebook, at: Instant) -> Kind | None:
    """Tell of a trouble when it begins; while it lasts, other words only keep messages true that can be edited.

    Where every message of it has reached nobody it is told anew, once in `AGAIN`: receivers may have been mended since.
    """
    last = last_incident(transaction, trouble.cause)
    if last is None or last.closed_at is not None:
        _open(transaction, trouble, last, book, at)
        return Kind.OPENED
    before = newest_notice(transaction, last)
    if at - before.at >= AGAIN and last.id is not None and not load_stories(transaction, last.id):
        _tell(transaction, _notice(trouble, last, book, at), _targets(trouble, book), book, at)
        return Kind.OPENED
    if _wordings(before.title, before.text) == _wordings(trouble.title, trouble.text):
        return None
    again = replace(_notice(trouble, last, book, at), kind=Kind.REFRESHED, reopened=before.reopened)
    _tell(transaction, again, (), book, at)
    return Kind.REFRESHED


def report_mended(transaction: sa.Connection, cause: str, book: Rulebook, at: Instant, reason: str = "") -> Kind | None:
    """Tell that a trouble is over. `reason` says how it ended where it was not simply mended."""
    last = last_incident(transaction, cause)
    if last is None or last.closed_at is not None:
        return None
    before = newest_notice(transaction, last)
    save_incident(transaction, replace(last, closed_at=at))
    end = replace(before, kind=Kind.RESOLVED, at=at, resolved_at=at, reason=reason, reopened=False, revision=book.revision)
    _tell(transaction, end, (), book, at)
    return Kind.RESOLVED


def report_past(transaction: sa.Connection, trouble: Trouble, until: Instant, book: Rulebook, at: Instant) -> None:
    """Tell of a trouble that is over, because nobody could be told before: once, its text says from when to when.

    Messages that can be edited then look like what is over; nobody hears of the end apart.
    """
    incident, told = _open(transaction, trouble, last_incident(transaction, trouble.cause), book, at)
    save_incident(transaction, replace(incident, closed_at=until))
    _tell(transaction, replace(told, kind=Kind.REFRESHED, resolved_at=until, reopened=False), (), book, at)


def open_causes(transaction: sa.Connection) -> frozenset[str]:
    """The causes that people have been told of and that are not over."""
    return frozenset(transaction.scalars(_OPEN_CAUSES))


def guardians(book: Rulebook) -> tuple[str, ...]:
    """Who is told when alertd itself is in trouble: the fallback; without one whoever hears of what is critical, or at all."""
    if book.fallback:
        return (book.fallback,)
    rules = book.rules.values()
    critical = [name for rule in rules if Level.CRITICAL in rule.notify for name in book.told(rule, Level.CRITICAL)]
    return tuple(dict.fromkeys(critical or [name for rule in rules for names in rule.notify.values() for name in names]))


def _wordings(*texts: str | None) -> list[str]:
    """The texts without numbers: "again in 34 s" is not news at every check."""
    return [re.sub(r"\d+", "", text or "") for text in texts]


def _open(
    transaction: sa.Connection, trouble: Trouble, last: Incident | None, book: Rulebook, at: Instant
) -> tuple[Incident, Notice]:
    again = last is not None and last.closed_at is not None and at - last.closed_at <= REOPEN_WITHIN
    number = last.id if last and again else None
    began = at if trouble.since is None else trouble.since
    incident = Incident(trouble.cause, began, trouble.level, trouble.level, number, told_at=at)
    incident = replace(incident, id=save_incident(transaction, incident))
    notice = replace(_notice(trouble, incident, book, at), reopened=again)
    _tell(transaction, notice, _targets(trouble, book), book, at)
    return incident, notice


def _targets(trouble: Trouble, book: Rulebook) -> tuple[str, ...]:
    return tuple(name for name in trouble.to if name in book.receivers) or guardians(book)


def _notice(trouble: Trouble, incident: Incident, book: Rulebook, at: Instant) -> Notice:
    return Notice(
        kind=Kind.OPENED,
        rule=trouble.cause,
        title=trouble.title,
        measure="",
        unit=Unit.NUMBER,
        direction="above",
        level=incident.level,
        previous=None,
        incident=incident.id,
        at=at,
        opened_at=incident.opened_at,
        resolved_at=None,
        window=0,
        value=None,
        limit=None,
        recover=None,
        peak=None,
        conversations=0,
        reason="",
        text=trouble.text,
        revision=book.revision,
    )


def _tell(transaction: sa.Connection, notice: Notice, targets: Sequence[str], book: Rulebook, at: Instant) -> None:
    stories = load_stories(transaction, notice.incident) if notice.incident is not None else {}
    knowing = {name: story.going_on for name, story in stories.items()}
    tell(transaction, notice, recipients(notice.kind, targets, knowing, book.receivers), stories, at)
