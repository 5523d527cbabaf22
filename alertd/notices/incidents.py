"""Incidents: what the alerts of a rule add up to, and who is to be told what about it.

An incident opens with a rule's first firing alert and closes when none fires. If the rule fires again soon enough, the same
incident goes on. Deciding is pure; `record` writes what was decided.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Change, Kind, Level, Transition
from alertd.notices.composing import compose
from alertd.notices.notice import Notice, from_json, to_json
from alertd.rulebook.rule import Receiver, Rule, Rulebook
from alertd.store.tables import deliveries, incidents, notices


@dataclass(frozen=True)
class Incident:
    """An episode of a rule. `level` is that of its worst firing alert now; `worst` that of its worst moment."""

    rule: str
    opened_at: Instant
    level: Level
    worst: Level
    id: int | None = None  # None: not written yet
    closed_at: Instant | None = None
    peak: float | None = None


@dataclass(frozen=True)
class Decision:
    """What becomes of a rule's incident, and the kind of notice that tells it; no kind where there is nothing to tell."""

    incident: Incident | None
    kind: Kind | None = None
    reopened: bool = False
    previous: Level | None = None


def decide(rule: Rule, last: Incident | None, moves: Sequence[Transition], at: Instant) -> Decision:
    """Decide what the alerts of a rule, all of them as they have just moved, make of its last incident."""
    firing = [move.after for move in moves if move.after.fires]
    is_open = last is not None and last.closed_at is None
    if not firing:
        return Decision(replace(last, closed_at=at), Kind.RESOLVED) if last and is_open else Decision(last)
    level, peak = _worst_level(firing), _peak(rule, firing)
    if last and is_open:
        return _go_on(rule, last, firing, moves)
    if last and last.closed_at is not None and at - last.closed_at <= rule.reopen_within:
        # The number and the thread go on; duration, peak and worst are those of the new episode.
        again = replace(last, opened_at=at, closed_at=None, level=level, worst=level, peak=peak)
        return Decision(again, Kind.OPENED, reopened=True)
    return Decision(Incident(rule.id, at, level, level, peak=peak), Kind.OPENED)


def recipients(
    kind: Kind, targets: Sequence[str], told: Mapping[str, bool], receivers: Mapping[str, Receiver]
) -> dict[str, Kind]:
    """Who is told, and as what (I4): whoever was told of the opening is told what follows, anybody else of the opening first.

    `targets` are the receivers of the incident's level now; `told` says for those who know of the incident whether it is
    still going on as far as they know. Who wants no end told gets a message that can be edited kept true, silently.
    """
    knowing = [name for name, going_on in told.items() if going_on]
    if kind is Kind.RESOLVED:
        ends = {name: kind for name in knowing if name not in receivers or receivers[name].send_resolved}
        return ends | {name: Kind.REFRESHED for name in knowing if name not in ends and receivers[name].channel.edits}
    if kind is Kind.REFRESHED:
        return {name: kind for name in knowing if name in receivers and receivers[name].channel.edits}
    if kind is Kind.OPENED:
        return dict.fromkeys(targets, kind)
    return dict.fromkeys(knowing, kind) | {name: Kind.OPENED for name in targets if name not in knowing}


def last_incident(transaction: sa.Connection, rule: str) -> Incident | None:
    """The newest incident of a rule, open or closed."""
    newest = sa.select(incidents).where(incidents.c.rule == rule).order_by(incidents.c.id.desc()).limit(1)
    row = transaction.execute(newest).one_or_none()
    if row is None:
        return None
    return Incident(row.rule, row.opened_at, Level(row.level), Level(row.worst), row.id, row.closed_at, row.peak)


def record(
    transaction: sa.Connection, rule: Rule, moves: Sequence[Transition], book: Rulebook, *, at: Instant, now: Instant
) -> Kind | None:
    """Write what a rule's moved alerts mean for its incident: the incident, its notice and the deliveries, or nothing.

    `at` is the moment the data speak of, `now` when the deliveries are due. Returns the kind of notice.
    """
    last = last_incident(transaction, rule.id)
    decision = decide(rule, last, moves, at)
    incident = decision.incident
    if incident is None or (incident == last and decision.kind is None):
        return None
    number = _save(transaction, incident)
    if decision.kind is None:
        return None
    notice = compose(rule, decision.kind, moves, at=at, incident=number)
    notice = replace(
        notice,
        opened_at=incident.opened_at,
        resolved_at=incident.closed_at,
        level=incident.worst if incident.closed_at else incident.level,
        previous=decision.previous,
        peak=incident.peak,
        reopened=decision.reopened,
        revision=book.revision,
    )
    _tell(transaction, notice, rule.notify.get(incident.level, ()), book, now)
    return decision.kind


def close_removed(transaction: sa.Connection, rule: str, book: Rulebook, *, at: Instant, now: Instant) -> bool:
    """Close the incident of a rule that the rulebook no longer has, from what was told last. False if there is none open."""
    incident = last_incident(transaction, rule)
    if incident is None or incident.id is None or incident.closed_at is not None:
        return False
    _save(transaction, replace(incident, closed_at=at))
    newest = sa.select(notices.c.body).where(notices.c.incident == incident.id).order_by(notices.c.id.desc()).limit(1)
    last = from_json(transaction.scalars(newest).one())
    notice = replace(
        last,
        kind=Kind.RESOLVED,
        level=incident.worst,
        previous=None,
        at=at,
        resolved_at=at,
        groups=(),
        groups_total=0,
        reason=Change.REMOVED.value,
        value=None,
        reopened=False,
        revision=book.revision,
    )  # fmt: skip - a line a field would be taller, not clearer
    _tell(transaction, notice, (), book, now)
    return True


def _go_on(rule: Rule, last: Incident, firing: Sequence[Alert], moves: Sequence[Transition]) -> Decision:
    level = _worst_level(firing)
    worst = max(last.worst, level, key=lambda each: each.rank)
    after = replace(last, level=level, worst=worst, peak=_peak(rule, firing, last.peak))
    if level is not last.level:
        return Decision(after, Kind.CHANGED, previous=last.level)
    if any(move.change is Change.HELD for move in moves):
        return Decision(after, Kind.CHANGED)
    return Decision(after, Kind.REFRESHED if any(_untrue(move) for move in moves) else None)


def _untrue(move: Transition) -> bool:
    """Whether what was told of this alert is no longer true, although nobody needs to be told."""
    ended = move.before.fires and not move.after.fires
    return ended or move.change in (Change.WORSENED, Change.EASED)


def _worst_level(firing: Sequence[Alert]) -> Level:
    return max((alert.level for alert in firing), key=lambda each: each.rank)


def _peak(rule: Rule, firing: Sequence[Alert], before: float | None = None) -> float | None:
    peaks = [peak for peak in (before, *(alert.peak for alert in firing)) if peak is not None]
    return (max if rule.limits[0].direction == "above" else min)(peaks, default=None)


def _save(transaction: sa.Connection, incident: Incident) -> int:
    values = {
        "rule": incident.rule,
        "opened_at": incident.opened_at,
        "closed_at": incident.closed_at,
        "level": incident.level.value,
        "worst": incident.worst.value,
        "peak": incident.peak,
    }
    if incident.id is None:
        key = transaction.execute(sa.insert(incidents).values(values)).inserted_primary_key
        return int(key[0]) if key else 0
    transaction.execute(sa.update(incidents).where(incidents.c.id == incident.id).values(values))
    return incident.id


def _tell(transaction: sa.Connection, notice: Notice, targets: Sequence[str], book: Rulebook, now: Instant) -> None:
    stories = _stories(transaction, notice.incident)
    who = recipients(notice.kind, targets, {name: story.going_on for name, story in stories.items()}, book.receivers)
    row = {"incident": notice.incident, "kind": notice.kind.value, "at": notice.at, "body": to_json(notice)}
    key = transaction.execute(sa.insert(notices).values(row)).inserted_primary_key
    common = {"notice": key[0] if key else None, "incident": notice.incident, "state": "queued", "attempts": 0}
    common |= {"ambiguous": False, "queued_at": now, "due_at": now}
    for name, kind in who.items():
        # What follows an opening goes where the opening went; a new opening tries the receiver itself again. So does what the
        # fallback is now told for itself: it need not hear that twice.
        via = stories[name].via if kind is not Kind.OPENED and name in stories else name
        via = name if via in who else via
        told = {"receiver": name, "via": via, "kind": kind.value, "key": str(uuid.uuid4())}
        transaction.execute(sa.insert(deliveries).values(common | told))


@dataclass(frozen=True)
class _Story:
    """What one receiver was told, or soon will be, of an incident."""

    going_on: bool  # as far as it knows
    via: str


def _stories(transaction: sa.Connection, incident: int) -> dict[str, _Story]:
    # What died reached nobody: whoever never heard of the opening hears that first, and nothing of the end.
    reached = (deliveries.c.kind != Kind.REFRESHED.value) & (deliveries.c.state != "dead")
    told = (deliveries.c.incident == incident) & reached
    rows = transaction.execute(sa.select(deliveries).where(told).order_by(deliveries.c.id))
    return {row.receiver: _Story(row.kind != Kind.RESOLVED.value, row.via) for row in rows}
