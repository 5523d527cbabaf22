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

from alertd.clock import MINUTE, Duration, Instant
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.incidents import Incident, last_incident, save_incident
from alertd.notices.recording import newest_notice
from alertd.notices.telling import load_stories, recipients, tell
from alertd.rulebook.rule import Rulebook
from alertd.store.tables import incidents
from alertd.units import Unit

REOPEN_WITHIN: Duration = 30 * MINUTE


@dataclass(frozen=True)
class Trouble:
    """What keeps alertd from its work. `text` says what is wrong and what to do, without secrets or visitors' words."""

    cause: str  # "alertd-rulebook", "alertd-rule/slow-first-answer"
    title: str
    text: str
    to: tuple[str, ...] = ()  # receivers; without any, whoever is told when alertd itself is in trouble
    level: Level = Level.WARNING


def report_trouble(transaction: sa.Connection, trouble: Trouble, book: Rulebook, at: Instant) -> Kind | None:
    """Tell of a trouble when it begins; while it lasts, other words only keep messages true that can be edited."""
    last = last_incident(transaction, trouble.cause)
    if last is None or last.closed_at is not None:
        return _open(transaction, trouble, last, book, at)
    before = newest_notice(transaction, last)
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


def open_causes(transaction: sa.Connection) -> frozenset[str]:
    """The causes that people have been told of and that are not over."""
    ours = incidents.c.rule.like("alertd-%") & incidents.c.closed_at.is_(None)
    return frozenset(transaction.scalars(sa.select(incidents.c.rule).where(ours)))


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


def _open(transaction: sa.Connection, trouble: Trouble, last: Incident | None, book: Rulebook, at: Instant) -> Kind:
    again = last is not None and last.closed_at is not None and at - last.closed_at <= REOPEN_WITHIN
    number = last.id if last and again else None
    incident = Incident(trouble.cause, at, trouble.level, trouble.level, number, told_at=at)
    incident = replace(incident, id=save_incident(transaction, incident))
    targets = tuple(name for name in trouble.to if name in book.receivers) or guardians(book)
    _tell(transaction, replace(_notice(trouble, incident, book, at), reopened=again), targets, book, at)
    return Kind.OPENED


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
