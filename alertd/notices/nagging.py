"""Telling again what nobody has taken up: reminders, and escalation to somebody else."""

from __future__ import annotations

from dataclasses import dataclass

from alertd.clock import Instant
from alertd.facts import Kind
from alertd.notices.incidents import Incident
from alertd.rulebook.rule import Rule


@dataclass(frozen=True)
class Nag:
    """Whether it is time to remind, and to whom to escalate; `untold`: why it is not although the time has come."""

    remind: bool = False
    escalate: tuple[str, ...] = ()
    untold: str | None = None


def nag(rule: Rule, incident: Incident, kind: Kind | None, known_since: Instant, at: Instant) -> Nag:
    """Decide about an open incident that is not muted, of which a notice of that kind is to be told now, if any.

    `known_since` is when the first of those who know was told of this episode: nobody can take up what nobody knows. News of
    any kind put a reminder off; an escalation comes once an episode, whatever else is told.
    """
    if kind is Kind.OPENED:
        return Nag()
    told = incident.told_at if kind in (None, Kind.REFRESHED) else None
    remind = rule.remind is not None and told is not None and at - told >= rule.remind
    late = rule.escalate is not None and at - known_since >= rule.escalate.after
    escalate = rule.escalate.to if rule.escalate and late and incident.escalated_at is None else ()
    if (remind or escalate) and incident.acknowledged_at is not None:
        return Nag(untold=f"acknowledged by {incident.acknowledged_by}")
    return Nag(remind, escalate)
