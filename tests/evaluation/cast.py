"""Who appears in the story machine: rules of each kind, and what may happen to the world that they live in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.errors import DeliveryError, ReportingError, TimedOut, TooManyRequests, Unauthorised
from alertd.facts import CONVERSATION, Level
from alertd.rulebook.calendars import Calendar
from alertd.rulebook.rule import Escalation, Rule
from alertd.rulebook.schedules import parse_cron
from alertd.testing import a_rule
from tests.evaluation.world import SCORE

RECEIVERS = ("team", "lead", "quiet", "boss", "spare")
OFFICE = Calendar("office", "UTC", (((8 * HOUR, 18 * HOUR),),) * 5 + ((), ()))
BY_LEVEL = {Level.WARNING: ("team", "quiet"), Level.CRITICAL: ("lead", "team", "quiet")}
ANSWER = "timeToAgentResponseMillis"


def rules() -> list[Rule]:
    """One of each kind."""
    found = [
        a_rule(
            id="slow", measure={"median": SCORE}, window=20 * MINUTE, hold=10 * MINUTE, keep_firing=8 * MINUTE,
            min_conversations=2, warning=(5, 4), critical=(15, 10), remind=20 * MINUTE,
            escalate=Escalation(30 * MINUTE, ("boss", "team")),
        ),
        a_rule(
            id="agents", measure={"p90": SCORE}, by="lastAgentId", expect=(1,), every=10 * MINUTE, window=20 * MINUTE,
            keep_firing=15 * MINUTE, warning=(5, 5), critical=(15, 15), delay=30 * SECOND, remind=30 * MINUTE,
        ),
        a_rule(
            id="waits", measure="waiting", by=CONVERSATION, window=2 * HOUR, warning=(5 * MINUTE, 5 * MINUTE),
            critical=(20 * MINUTE, 20 * MINUTE), hold=2 * MINUTE, every=MINUTE,
        ),
        a_rule(
            id="silent", measure="count", direction="below", critical=(1, 1), window=15 * MINUTE, calendar=OFFICE,
            hold=5 * MINUTE,
        ),
        a_rule(
            id="drop", measure="count", compare={"change": {"to": "30m", "minimum": 2}}, direction="below",
            window=20 * MINUTE, warning=(-0.5, -0.3), quiet_while=("silent",),
        ),
        a_rule(
            id="highest", measure={"max": SCORE}, cron=parse_cron("7,37 * * * *", "Europe/Berlin"), every=30 * MINUTE,
            window=30 * MINUTE, warning=(5, 4), hold=30 * MINUTE, no_data=Level.WARNING,
        ),
    ]  # fmt: skip
    return [replace(each, notify={limit.level: BY_LEVEL[limit.level] for limit in each.limits}) for each in found]


MOODS: Mapping[str, Mapping[str, float]] = {  # what two conversations in five minutes are like
    "good": {SCORE: 1, ANSWER: MINUTE},
    "slow": {SCORE: 7, ANSWER: MINUTE},
    "awful": {SCORE: 20, ANSWER: MINUTE},
    "unanswered": {SCORE: 1},
    "nobody": {},
}
NAMES = tuple(each.id for each in rules())
RELOADS: Mapping[str, Mapping[str, Any]] = {
    "title": {"title": "Other words"},
    "limits": {"limits": a_rule(warning=(7, 6)).limits},
    "hold": {"hold": 20 * MINUTE},
    "question": {"window": 25 * MINUTE},
}
FAILURES = {
    "odd": ReportingError("the API failed"),
    "slow": TimedOut("it took too long"),
    "many": TooManyRequests("too many", retry_after=20 * SECOND),
    "token": Unauthorised("the token was refused"),
}
OUTCOMES = {
    "retry": DeliveryError("no connection"),
    "later": DeliveryError("429", retry_after=MINUTE),
    "ambiguous": DeliveryError("no answer", ambiguous=True),
    "permanent": DeliveryError("channel_not_found", permanent=True),
}
