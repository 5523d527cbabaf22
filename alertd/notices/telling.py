"""Who is told what: the stories that receivers have heard, and the rows of the outbox that go on with them (I4)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Kind, Level
from alertd.notice import Notice, to_json
from alertd.rulebook.rule import Receiver
from alertd.store.tables import deliveries, notices

# Statements are put together once: that takes SQLAlchemy longer than running them.
# What died reached nobody: whoever never heard of the opening hears that first, and nothing of the end.
_REACHED = (deliveries.c.kind != Kind.REFRESHED.value) & (deliveries.c.state != "dead")
_TOLD = (
    sa.select(deliveries.c.receiver, deliveries.c.via, deliveries.c.kind, notices.c.at)
    .join(notices, notices.c.id == deliveries.c.notice)
    .where(deliveries.c.incident == sa.bindparam("of_incident", type_=sa.Integer), _REACHED)
    .order_by(deliveries.c.id)
)
_NOTICE, _DELIVERIES = sa.insert(notices), sa.insert(deliveries)
_HURRY = (
    sa.update(deliveries)
    .where(deliveries.c.incident == sa.bindparam("of_incident", type_=sa.Integer), deliveries.c.state == "queued")
    .where(deliveries.c.receiver.in_(sa.bindparam("of_receivers", type_=sa.String, expanding=True)))
    .values(urgent=True)
)

# What can wait, however bad it is or was.
_CALM = (Kind.RESOLVED, Kind.REPORT, Kind.REFRESHED)


@dataclass(frozen=True)
class Story:
    """What one receiver was told, or soon will be, of an incident."""

    going_on: bool  # as far as it knows
    via: str
    since: Instant  # as of when it was told that it has begun
    heard: bool = True  # by itself, and not only the fallback in its place


def recipients(
    kind: Kind,
    targets: Sequence[str],
    told: Mapping[str, bool],
    receivers: Mapping[str, Receiver],
    escalated: Sequence[str] = (),
) -> dict[str, Kind]:
    """Who is told, and as what (I4): whoever was told of the opening is told what follows, anybody else of the opening first.

    `targets` are the receivers of the incident's level now; `told` says for those who know of the incident whether it is
    still going on as far as they know. `escalated` are told that nobody has taken it up, whether they know of it or not. Who
    wants no end told gets a message that can be edited kept true, silently.
    """
    knowing = [name for name, going_on in told.items() if going_on]
    also = dict.fromkeys(escalated, Kind.ESCALATED)
    if kind is Kind.RESOLVED:
        ends = {name: kind for name in knowing if name not in receivers or receivers[name].send_resolved}
        return ends | {name: Kind.REFRESHED for name in knowing if name not in ends and receivers[name].channel.edits}
    if kind in (Kind.REFRESHED, Kind.ESCALATED):
        return {name: Kind.REFRESHED for name in knowing if name in receivers and receivers[name].channel.edits} | also
    if kind is Kind.OPENED:
        return dict.fromkeys(targets, kind)
    return dict.fromkeys(knowing, kind) | {name: Kind.OPENED for name in targets if name not in knowing} | also


def load_stories(transaction: sa.Connection, incident: int) -> dict[str, Story]:
    """The story of each receiver that was told anything of the incident, or soon will be."""
    found: dict[str, Story] = {}
    for row in transaction.execute(_TOLD, {"of_incident": incident}):
        before = found.get(row.receiver)
        begins = row.kind == Kind.OPENED.value or before is None or not before.going_on
        heard = row.via == row.receiver or (not begins and before is not None and before.heard)
        since = row.at if begins or not before else before.since
        found[row.receiver] = Story(row.kind != Kind.RESOLVED.value, row.via, since, heard)
    return found


def tell(
    transaction: sa.Connection, notice: Notice, who: Mapping[str, Kind], stories: Mapping[str, Story], now: Instant
) -> None:
    """Write a notice, and for each receiver a delivery that is due now."""
    row = {"incident": notice.incident, "kind": notice.kind.value, "at": notice.at, "body": to_json(notice)}
    key = transaction.execute(_NOTICE, row).inserted_primary_key
    common = {"notice": key[0] if key else None, "incident": notice.incident, "state": "queued", "attempts": 0}
    common |= {"ambiguous": False, "queued_at": now, "due_at": now}
    rows = list[dict[str, object]]()
    for name, kind in who.items():
        if (found := _way(name, kind, who, stories)) is None:
            continue
        via, told = found
        urgent = notice.level is Level.CRITICAL and told not in _CALM
        rows.append(common | {"receiver": name, "via": via, "kind": told.value, "key": str(uuid.uuid4()), "urgent": urgent})
    if rows:
        transaction.execute(_DELIVERIES, rows)
    if hurried := [row["receiver"] for row in rows if row["urgent"]]:  # what it has to wait for is as urgent
        transaction.execute(_HURRY, {"of_incident": notice.incident, "of_receivers": hurried})


def _way(name: str, kind: Kind, who: Mapping[str, Kind], stories: Mapping[str, Story]) -> tuple[str, Kind] | None:
    """Where a receiver's notice goes, and as what; None: nowhere.

    What follows an opening goes where the opening went; a new opening tries the receiver itself again. So does what the
    fallback is now told for itself, which need not hear it twice: whoever has not heard of it then hears that it has begun.
    """
    story = stories.get(name)
    if kind is Kind.OPENED or story is None or story.via == name:
        return name, kind
    if story.via not in who:
        return story.via, kind
    if story.heard:
        return name, kind
    return None if kind in (Kind.RESOLVED, Kind.REFRESHED) else (name, Kind.OPENED)
