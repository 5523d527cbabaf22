"""Writing what a rule's moved alerts mean: the incident, its notice and the deliveries, in the transaction of the check."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Change, Kind, Transition
from alertd.notice import Notice, from_json
from alertd.notices.composing import compose, spell_worst
from alertd.notices.hearing import Heard, Hearing, hear, heard
from alertd.notices.incidents import Decision, Incident, decide, last_incident, last_incidents, save_incident
from alertd.notices.nagging import Nag, nag
from alertd.notices.telling import Story, load_stories, recipients, tell
from alertd.notices.trails import points_of
from alertd.rulebook.rule import Rule, Rulebook
from alertd.store.tables import incidents, notices

# Statements are put together once: that takes SQLAlchemy longer than running them.
_NEWEST = (
    sa.select(notices.c.body)
    .where(notices.c.incident == sa.bindparam("of_incident", type_=sa.Integer))
    .order_by(notices.c.id.desc())
    .limit(1)
)
# Of each incident the end of the index: to group by incident would read all of it.
_OLDER = sa.alias(notices)
_NUMBERS = sa.select(sa.select(sa.func.max(_OLDER.c.id)).where(_OLDER.c.incident == incidents.c.id).scalar_subquery()).where(
    incidents.c.id.in_(sa.bindparam("of_incidents", type_=sa.Integer, expanding=True))
)
_NEWEST_OF_EACH = sa.select(notices.c.incident, notices.c.body).where(notices.c.id.in_(_NUMBERS))

# Groups that a notice remembers as not told; with so many nobody counts them any more.
_SILENT = 200


@dataclass(frozen=True)
class Outcome:
    """What people were told; `untold`: why they were not, although there was something to tell."""

    kind: Kind | None = None
    untold: str | None = None


@dataclass(frozen=True)
class Situation:
    """What a rule's moved alerts meet: its newest incident, what people heard last of it if it goes on, and what is muted."""

    incident: Incident | None = None
    heard: Heard = field(default_factory=Heard)
    mutes: Mapping[str, str] = field(default_factory=dict)  # why, by the group's key
    trail: str | None = None  # what the rule measured lately, where it has no groups


def load_situations(transaction: sa.Connection, checked: Collection[str], firing: Collection[str]) -> dict[str, Situation]:
    """What the alerts of these rules meet, all of which have been checked; `firing` are those that fire now."""
    found = last_incidents(transaction, checked)
    going_on = {each.id: rule for rule, each in found.items() if each.closed_at is None and rule in firing}
    told = transaction.execute(_NEWEST_OF_EACH, {"of_incidents": list(going_on)}) if going_on else ()
    known = {going_on[row.incident]: heard(from_json(row.body)) for row in told}
    return {rule: Situation(each, known.get(rule, Heard())) for rule, each in found.items()}


def record(
    transaction: sa.Connection,
    rule: Rule,
    moves: Sequence[Transition],
    book: Rulebook,
    situation: Situation,
    *,
    at: Instant,
    now: Instant,
) -> Outcome:
    """Write what a rule's moved alerts mean for its incident: the incident, its notice and the deliveries, or nothing.

    `at` is the moment the data speak of, `now` when the deliveries are due.
    """
    last = situation.incident
    decision = decide(rule, last, moves, at)
    incident = decision.incident
    if incident is None or (incident == last and incident.closed_at is not None):
        return Outcome()
    hearing = hear(decision, situation.heard, moves, situation.mutes)
    stories = _stories(transaction, rule, incident, hearing)
    nagging = _nag(rule, incident, hearing, stories, at)
    kind = _kind(hearing.kind, nagging)
    targets = book.told(rule, hearing.level)
    heard_by = kind if not hearing.muted else None
    who = recipients(heard_by, targets, _knowing(stories), book.receivers, nagging.escalate) if heard_by else {}
    incident = _told(replace(incident, muted=hearing.muted), who, at)
    number = save_incident(transaction, incident) if incident != last else last.id
    if kind is not None:
        notice = compose(rule, kind, hearing.moves, at=at, incident=number, new=hearing.new, trail=points_of(situation.trail))
        notice = _of_incident(rule, notice, incident, hearing, decision)
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
    return from_json(transaction.scalars(_NEWEST, {"of_incident": incident.id}).one())


def _stories(transaction: sa.Connection, rule: Rule, incident: Incident, hearing: Hearing) -> dict[str, Story]:
    """Who was told what of the incident. Most checks have nothing to tell, and then nobody asks."""
    nags = rule.remind is not None or rule.escalate is not None
    if incident.id is None or (hearing.kind is None and not nags):
        return {}
    return load_stories(transaction, incident.id)


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


def _of_incident(rule: Rule, notice: Notice, incident: Incident, hearing: Hearing, decision: Decision) -> Notice:
    """The notice with what only its incident knows."""
    return replace(
        notice,
        opened_at=incident.opened_at,
        resolved_at=incident.closed_at,
        level=incident.worst if incident.closed_at is not None else hearing.level,
        previous=hearing.previous,
        peak=incident.peak,
        worst=spell_worst(rule, incident.peak),
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
