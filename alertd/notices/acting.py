"""What people do about incidents, by a button or on the command line: "I have it", and "not now".

Each is written once, however often it is asked for, and answered in a sentence. Messages that can be edited are made to say so
at once; that counts as nothing told (I4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import sqlalchemy as sa

from alertd.clock import HOUR, MINUTE, SECOND, Duration, Instant
from alertd.facts import Kind
from alertd.notice import Notice, from_json
from alertd.notices import incidents as written
from alertd.notices import silences
from alertd.notices.doing import OWN
from alertd.notices.incidents import Incident, as_incident
from alertd.notices.periods import spell_moment
from alertd.notices.silences import Silence
from alertd.notices.telling import load_stories, recipients, tell
from alertd.rulebook.rule import Receiver
from alertd.store.tables import deliveries, incidents, notices

if TYPE_CHECKING:  # it brings Slack's SDK along, which the command line has no use for
    from alertd.channels.slack.presses import Pressed

_NOTICES = (
    sa.select(notices.c.body)
    .where(notices.c.incident == sa.bindparam("of_incident", type_=sa.Integer))
    .order_by(notices.c.id.desc())
)
_OPEN = sa.select(incidents).where(incidents.c.closed_at.is_(None))
_RECEIPTS = sa.select(deliveries.c.receipt).where(deliveries.c.incident == sa.bindparam("of_incident", type_=sa.Integer))

_SILENCES: Mapping[str, Duration] = {"silence 1h": HOUR, "silence 4h": 4 * HOUR}

# A press is delivered within minutes or not at all. One that seems older was made by another clock than ours.
_LATE: Duration = 10 * MINUTE

# A silence that ends so shortly before another one would is as good: two people have pressed at about the same time.
_NEARLY: Duration = 2 * MINUTE

Receivers = Mapping[str, Receiver]


@dataclass(frozen=True)
class Acted:
    """What came of it, for whoever asked. `done`: it is as they want it; `changed`: it was not so before."""

    text: str
    done: bool = False
    changed: bool = False


def press(transaction: sa.Connection, pressed: Pressed, now: Instant, receivers: Receivers | None = None) -> Acted:
    """Do what a button says, if it is one of a message that alertd has sent about that incident."""
    number, at = pressed.incident, _moment(pressed.at, now)
    if not _sent(transaction, pressed):
        doubt = "alertd knows no such message of its own, so nothing was done"
        return Acted(f"{doubt}. If it has only just come, press again in a moment; else use: alertd ack {number}")
    if pressed.action == "acknowledge":
        return acknowledge(transaction, number, pressed.name, at, receivers)
    length = _SILENCES.get(pressed.action)
    if length is None:
        return Acted("alertd does not know this button.")
    return silence_rule(transaction, number, length, pressed.name, pressed_at=at, now=now, receivers=receivers)


def acknowledge(transaction: sa.Connection, number: int, by: str, at: Instant, receivers: Receivers | None = None) -> Acted:
    """Somebody says "I have it"; whoever said so first keeps it.

    `receivers` are those of the rulebook, where it is known: then only those are written to that can show it.
    """
    incident = _open(transaction, number)
    if incident is None:
        return _over(number)
    if incident.acknowledged_by not in (None, by):
        since = spell_moment(incident.acknowledged_at or at, at, _timezone(transaction, number))
        who = f"{incident.acknowledged_by} has it already, since {since}"
        return Acted(f"{who}. To take it over: alertd ack {number} --undo, then again.")
    news = incident.acknowledged_by is None
    if news:
        written.acknowledge(transaction, number, by, at)
        _refresh(transaction, number, at, receivers, acknowledged=by)
    return Acted(f"Incident {number} is yours: no reminders, no escalation until it gets worse.", done=True, changed=news)


def unacknowledge(transaction: sa.Connection, number: int, at: Instant, receivers: Receivers | None = None) -> Acted:
    """Nobody has it any more."""
    incident = _open(transaction, number)
    if incident is None:
        return _over(number)
    news = incident.acknowledged_by is not None
    if news:
        written.unacknowledge(transaction, number)
        _refresh(transaction, number, at, receivers, acknowledged=None)
    return Acted(f"Nobody has incident {number} any more: reminders and escalation go on.", done=True, changed=news)


def silence_rule(
    transaction: sa.Connection,
    number: int,
    length: Duration,
    by: str,
    *,
    pressed_at: Instant,
    now: Instant,
    receivers: Receivers | None = None,
) -> Acted:
    """Silence the rule of an open incident from when that was asked for; what is silenced for as long already stays so."""
    incident = _open(transaction, number)
    if incident is None:
        return _over(number)
    if incident.rule.startswith(OWN):
        return Acted("What keeps alertd itself from its work is told whatever is silenced; acknowledge it instead.")
    start = _moment(pressed_at, now)
    start -= start % SECOND
    wanted = Silence(start, start + length, by, rule=incident.rule)
    zone, held = _timezone(transaction, number), _held(transaction, wanted, now)
    if held is None:
        held = replace(wanted, id=silences.add(transaction, wanted))
        show_silence(transaction, held, now, receivers)
        return Acted(_silenced(held, now, zone), done=True, changed=True)
    if held.author == by:
        return Acted(_silenced(held, now, zone), done=True)
    return Acted(f"{held.author} has silenced it already, until {spell_moment(held.until, now, zone)}.", done=True)


def show_silence(transaction: sa.Connection, silence: Silence, now: Instant, receivers: Receivers | None = None) -> None:
    """Let messages say that the rule they are about is silenced. One that is about less than a whole rule changes none."""
    incident = _silent(transaction, silence) if silence.holds(now) else None
    if incident is None or incident.id is None:
        return
    until = spell_moment(silence.until, now, _timezone(transaction, incident.id))
    _refresh(transaction, incident.id, now, receivers, silenced=f"until {until} by {silence.author}")


def hide_silence(transaction: sa.Connection, silence: Silence, now: Instant, receivers: Receivers | None = None) -> None:
    """Let messages no longer say that their rule is silenced, once that has been ended."""
    incident = _silent(transaction, silence)
    if incident is None or incident.id is None:
        return
    left = next(iter(_whole(transaction, incident.rule, now)), None)
    if left is not None:
        show_silence(transaction, left, now, receivers)
    else:
        _refresh(transaction, incident.id, now, receivers, silenced=None)


def _refresh(transaction: sa.Connection, number: int, now: Instant, receivers: Receivers | None, **changes: str | None) -> None:
    """Make the messages about an incident say something more; all else stays as people were told it last.

    What they were not told, because it was silenced, must still be news to them afterwards: groups that were silent stay so.
    """
    newest, told = _last_told(transaction, number)
    if newest is None or told is None:
        return
    notice = replace(told, **changes, silent=newest.silent)  # type: ignore[arg-type]  # only texts are changed
    if notice == newest:
        return
    stories = load_stories(transaction, number)
    knowing = {name: True for name, story in stories.items() if story.going_on}
    who = (
        dict.fromkeys(knowing, Kind.REFRESHED)  # a channel that cannot edit does nothing with it
        if receivers is None
        else recipients(Kind.REFRESHED, (), knowing, receivers)
    )
    if who:
        tell(transaction, replace(notice, kind=Kind.REFRESHED), who, stories, now)


def _last_told(transaction: sa.Connection, number: int) -> tuple[Notice | None, Notice | None]:
    """The newest notice of an incident, and the newest one that people were told; none where they know of nothing."""
    found = map(from_json, transaction.scalars(_NOTICES, {"of_incident": number}))
    newest = next(found, None)
    if newest is None or not newest.muted:
        return newest, newest
    # `previous` is what they were told last. Without it nobody was told of this episode, and an older one is over.
    return newest, next((each for each in found if not each.muted), None) if newest.previous else None


def _sent(transaction: sa.Connection, pressed: Pressed) -> bool:
    """Whether the button is in a message of ours about that incident: nothing that anybody else can send counts."""
    receipts = transaction.scalars(_RECEIPTS, {"of_incident": pressed.incident})
    return any(each and (each.get("channel"), each.get("ts")) == (pressed.channel, pressed.ts) for each in receipts)


def _held(transaction: sa.Connection, wanted: Silence, now: Instant) -> Silence | None:
    """A silence that makes another one needless: it lasts about as long, or it is the same person's second press."""
    enough = wanted.until - _NEARLY
    return next((each for each in _whole(transaction, wanted.rule, now) if each.until >= enough or _same(each, wanted)), None)


def _same(one: Silence, other: Silence) -> bool:
    return (one.author, one.until - one.start) == (other.author, other.until - other.start)


def _whole(transaction: sa.Connection, rule: str | None, now: Instant) -> tuple[Silence, ...]:
    """The silences of that whole rule that hold, the one that ends last first."""
    return tuple(
        each for each in silences.active(transaction, now) if each.rule == rule and each.group is None and not each.labels
    )


def _silent(transaction: sa.Connection, silence: Silence) -> Incident | None:
    """The open incident of the whole rule that a silence is about."""
    if silence.rule is None or silence.group is not None or silence.labels:
        return None
    return _found(transaction, incidents.c.rule == silence.rule)


def _open(transaction: sa.Connection, number: int) -> Incident | None:
    return _found(transaction, incidents.c.id == number)


def _found(transaction: sa.Connection, which: sa.ColumnElement[bool]) -> Incident | None:
    row = transaction.execute(_OPEN.where(which).order_by(incidents.c.id.desc()).limit(1)).first()
    return None if row is None else as_incident(row)


def _timezone(transaction: sa.Connection, number: int) -> str:
    """The zone that messages about it tell the time in."""
    body = transaction.scalars(_NOTICES.limit(1), {"of_incident": number}).first()
    return from_json(body).timezone if body else "UTC"


def _moment(pressed_at: Instant, now: Instant) -> Instant:
    """When a button was pressed, as far as that can be."""
    return min(max(pressed_at, now - _LATE), now)


def _over(number: int) -> Acted:
    return Acted(f"Incident {number} is over already.")


def _silenced(silence: Silence, now: Instant, zone: str) -> str:
    until = f"{silence.rule} is silenced until {spell_moment(silence.until, now, zone)}: nobody is told of it"
    return f"{until}, and what still fires then is told. To end it: alertd silence end {silence.id}"
