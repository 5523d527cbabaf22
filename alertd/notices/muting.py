"""Whether an alert is to be told at present, and if not, why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Group, Level, State
from alertd.notices import silences
from alertd.notices.periods import spell_moment
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Rule
from alertd.store.tables import alerts


def mute(
    rule: Rule, group: Group, level: Level, at: Instant, *, silenced: Iterable[Silence], firing: Collection[str] = ()
) -> str | None:
    """Why nobody is told of a group of a rule at that level, in words; None if it may be told.

    `at` is the time of the people who silence. `firing` are rules that have a firing alert.
    """
    for silence in silenced:
        if silence.holds(at) and silence.matches(rule, group, level):
            comment = f": {silence.comment}" if silence.comment else ""
            return f"silenced until {spell_moment(silence.until, at, rule.timezone)} by {silence.author}{comment}"
    return next((f"quiet while {other} fires" for other in rule.quiet_while if other in firing), None)


def mutes(transaction: sa.Connection, rule: Rule, firing: Iterable[Alert], at: Instant) -> dict[str, str]:
    """Which of a rule's firing alerts are muted at that moment and why, by group; as the store knows it."""
    found = list(firing)
    if not found:
        return {}
    silenced, others = silences.active(transaction, at), rules_firing(transaction, rule.quiet_while)
    reasons = {alert.group.key: mute(rule, alert.group, alert.level, at, silenced=silenced, firing=others) for alert in found}
    return {key: reason for key, reason in reasons.items() if reason}


def rules_firing(transaction: sa.Connection, rules: Collection[str]) -> frozenset[str]:
    """Which of these rules have a firing alert."""
    if not rules:
        return frozenset()
    fires = alerts.c.state.in_((State.FIRING.value, State.RECOVERING.value))
    return frozenset(transaction.scalars(sa.select(alerts.c.rule).distinct().where(alerts.c.rule.in_(rules), fires)))
