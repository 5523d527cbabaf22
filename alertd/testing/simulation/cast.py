"""Who appears: rules of every kind, and receivers of every temper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.facts import CONVERSATION, Level
from alertd.rulebook.calendars import Calendar
from alertd.rulebook.rule import Escalation, Receiver, Rule, Rulebook
from alertd.rulebook.schedules import parse_cron
from alertd.testing.builders import a_rule
from alertd.testing.simulation.peers import POISON, Desk, PacedPeer, Peer
from alertd.testing.simulation.traffic import AGENT, SCORE

ZONE = "Europe/Berlin"
FALLBACK, QUIET, EDITABLE = "spare", "quiet", "team"
RECEIVERS = ("team", "lead", "quiet", "boss", "spare")
POISONED = "poisoned"
DAILY = "daily"
_PACED = ("team", "spare")

_OFFICE = Calendar("office", ZONE, (((2 * HOUR, 23 * HOUR),),) * 7)  # closes and opens around the hour that clocks change
_TOLD = {Level.WARNING: ("team", "quiet"), Level.CRITICAL: ("lead", "team", "quiet")}


def rules() -> list[Rule]:
    """One of each kind."""
    found = [
        a_rule(
            id="slow", measure={"median": SCORE}, window=20 * MINUTE, hold=10 * MINUTE, keep_firing=8 * MINUTE,
            min_conversations=2, warning=(5, 4), critical=(15, 10), remind=30 * MINUTE,
            escalate=Escalation(45 * MINUTE, ("boss", "team")),
        ),
        a_rule(
            id="agents", measure={"p90": SCORE}, by=AGENT, expect=(1,), every=10 * MINUTE, window=40 * MINUTE, hold=20 * MINUTE,
            keep_firing=15 * MINUTE, warning=(5, 5), critical=(15, 15), delay=30 * SECOND, remind=HOUR,
        ),
        a_rule(
            id="waits", measure="waiting", by=CONVERSATION, window=90 * MINUTE, warning=(10 * MINUTE, 10 * MINUTE),
            critical=(30 * MINUTE, 30 * MINUTE), hold=2 * MINUTE,
        ),
        a_rule(
            id="silent", measure="count", direction="below", critical=(1, 1), window=15 * MINUTE, calendar=_OFFICE,
            hold=5 * MINUTE,
        ),
        a_rule(
            id="drop", measure="count", compare={"change": {"to": "30m", "minimum": 2}}, direction="below",
            every=10 * MINUTE, window=20 * MINUTE, warning=(-0.5, -0.3), quiet_while=("silent",),
        ),
        a_rule(
            id="highest", measure={"max": SCORE}, cron=parse_cron("7,37 * * * *", ZONE), every=30 * MINUTE,
            window=30 * MINUTE, warning=(5, 4), hold=30 * MINUTE, no_data=Level.WARNING,
        ),
        a_rule(id=POISONED, measure={"median": POISON}, every=15 * MINUTE, window=HOUR, warning=(3 * HOUR, 2 * HOUR)),
    ]  # fmt: skip
    daily = a_rule(id=DAILY, measure={"median": SCORE}, cron=parse_cron("30 2 * * *", ZONE), every=12 * HOUR, window=12 * HOUR)
    told = [replace(each, notify={limit.level: _TOLD[limit.level] for limit in each.limits}) for each in found]
    return [*told, replace(daily, limits=(), report=True, notify={Level.OK: ("lead",)})]


NAMES = tuple(each.id for each in rules())

# What a reload may do to a rule.
RELOADS: Mapping[str, Mapping[str, Any]] = {
    "title": {"title": "Other words"},
    "hold": {"hold": 20 * MINUTE},
    "question": {"window": 25 * MINUTE},
    "receivers": {"notify": {Level.WARNING: ("lead",), Level.CRITICAL: ("lead", "boss")}},
}


def a_book(desks: Mapping[str, Desk], found: Iterable[Rule]) -> Rulebook:
    """The rulebook of these rules."""
    receivers = {
        name: Receiver(
            name,
            "peer",
            (PacedPeer if name in _PACED else Peer).at(desk, editable=name == EDITABLE),
            send_resolved=name != QUIET,
        )
        for name, desk in desks.items()
    }
    return Rulebook({rule.id: rule for rule in found}, receivers, FALLBACK, "simulated")
