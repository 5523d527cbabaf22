"""Writing what a rule's moved alerts mean: the incident, its notice and the deliveries, in the transaction of the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Change, Kind, Transition
from alertd.notices.composing import compose
from alertd.notices.hearing import Heard, Hearing, hear, heard
from alertd.notices.incidents import Decision, Incident, decide, last_incident, save_incident
from alertd.notices.nagging import Nag, nag
from alertd.notices.notice import Notice, from_json
from alertd.notices.telling import Story, load_stories, recipients, tell
from alertd.rulebook.rule import Rule, Rulebook
from alertd.store.tables import notices

# Groups that a notice remembers as not told; with so many nobody counts them any more.
_SILENT = 200


@dataclass(frozen=True)
class Outcome:
    """What people were told; `untold`: why they were not, although there was something to tell."""

    kind: Kind | None = None
    untold: str | None = None


def record(
    transaction: sa.Connection,
    rule: Rule,
    moves: Sequence[Transition],
    book: Rulebook,
    *,
    at: Instant,
    now: Instant,
    mutes: Mapping[str, str],
) -> Outcome:
    """Write what a rule's moved alerts mean for its incident: the incident, its notice and the deliveries, or nothing.

    `at` is the moment the data speak of, `now` when the deliveries are due; `mutes` says of firing groups why they are muted.
    """
    last = last_incident(transaction, rule.id)
    decision = decide(rule, last, moves, at)
    incident = decision.incident
    if incident is None or (incident == last and incident.closed_at is not None):
        return Outcome()
    before = heard(newest_notice(transaction, last)) if last and last.closed_at is None else Heard()
    hearing = hear(decision, before, moves, mutes)
    stories = load_stories(transaction, incident.id) if incident.id is not None else {}
    nagging = _nag(rule, incident, hearing, stories, at)
    kind = _kind(hearing.kind, nagging)
    targets = book.told(rule, hearing.level)
    heard_by = kind if not hearing.muted else None
    who = recipients(heard_by, targets, _knowing(stories), book.receivers, nagging.escalate) if heard_by else {}
    incident = _told(replace(incident, muted=hearing.muted), who, at)
    number = save_incident(transaction, incident) if incident != last else last.id
    if kind is not None:
        notice = compose(rule, kind, hearing.moves, at=at, incident=number, new=hearing.new)
        notice = _of_incident(notice, incident, hearing, decision)
        tell(transaction, replace(notice, revision=book.revision), who, stories, now)
    return _outcome(kind, who, hearing, nagging.untold, stories)


def close_removed(
    transaction: sa.Connection, rule: str, book: Rulebook, *, at: Instant, now: Instant, reason: str = Change.REMOVED
) -> bool:
    """Close the incident that a rule leaves behind, from what was told last. False if there is none open."""
    incident = last_incident(transaction, rule)
    if incident is None or incident.id is None or incident.closed_at is not None:
        return False
    last = newest_notice(transaction, incident)
    save_incident(transaction, replace(incident, closed_at=at, muted=None))
    notice = replace(
        last,
        kind=Kind.RESOLVED,
        level=incident.worst,
        previous=None,
        at=at,
        resolved_at=at,
        groups=(),
        groups_total=0,
        reason=str(reason),
        value=None,
        comparison="",
        reopened=False,
        muted=None,
        silent=(),
        revision=book.revision,
    )  # fmt: skip - a line a field would be taller, not clearer
    stories = load_stories(transaction, incident.id)
    tell(transaction, notice, recipients(Kind.RESOLVED, (), _knowing(stories), book.receivers), stories, now)
    return True


def newest_notice(transaction: sa.Connection, incident: Incident) -> Notice:
    """The newest notice of an incident, told or not; each has at least one."""
    newest = sa.select(notices.c.body).where(notices.c.incident == incident.id).order_by(notices.c.id.desc()).limit(1)
    return from_json(transaction.scalars(newest).one())


def _nag(rule: Rule, incident: Incident, hearing: Hearing, stories: Mapping[str, Story], at: Instant) -> Nag:
    if hearing.muted or incident.closed_at is not None:
        return Nag()
    # Who wanted no end told may believe that an earlier episode goes on; that is no news of this one.
    since = min((each.since for each in stories.values() if each.since >= incident.opened_at), default=incident.opened_at)
    return nag(rule, incident, hearing.kind, since, at)


def _kind(kind: Kind | None, nagging: Nag) -> Kind | None:
    """What the notice is: news come before a reminder, which comes before what only some are told."""
    if kind in (None, Kind.REFRESHED) and (nagging.remind or nagging.escalate):
        return Kind.REMINDER if nagging.remind else Kind.ESCALATED
    return kind


def _knowing(stories: Mapping[str, Story]) -> dict[str, bool]:
    return {name: story.going_on for name, story in stories.items()}


def _told(incident: Incident, who: Mapping[str, Kind], at: Instant) -> Incident:
    """The incident after these were told. A date ahead was written before somebody set the clock back (I10)."""
    kinds = set(who.values())
    if kinds - {Kind.REFRESHED} or (incident.told_at is not None and incident.told_at > at):
        incident = replace(incident, told_at=at)
    return replace(incident, escalated_at=at) if Kind.ESCALATED in kinds else incident


def _of_incident(notice: Notice, incident: Incident, hearing: Hearing, decision: Decision) -> Notice:
    """The notice with what only its incident knows."""
    return replace(
        notice,
        opened_at=incident.opened_at,
        resolved_at=incident.closed_at,
        level=incident.worst if incident.closed_at is not None else hearing.level,
        previous=hearing.previous,
        peak=incident.peak,
        reopened=decision.reopened or hearing.reopened,
        acknowledged=incident.acknowledged_by,
        muted=hearing.muted,
        silent=tuple(sorted(hearing.silent))[:_SILENT],
    )


def _outcome(
    kind: Kind | None, who: Mapping[str, Kind], hearing: Hearing, untold: str | None, stories: Mapping[str, Story]
) -> Outcome:
    """What came of it, and why nobody was told what there was to tell."""
    if hearing.muted:
        return Outcome(None, hearing.muted)
    if kind in (None, Kind.REFRESHED) or set(who.values()) - {Kind.REFRESHED}:
        return Outcome(kind, untold)
    known = any(story.going_on for story in stories.values())
    end = "its receivers want no end told (send_resolved: false)" if known else "nobody was told that it began"
    reason = end if kind is Kind.RESOLVED else f"no receiver is named for {hearing.level}"
    return Outcome(Kind.REFRESHED if who else None, reason)
