"""Whether an alert is to be told at present, and if not, why not."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import Alert, Group, Level, State
from alertd.notices import silences
from alertd.notices.periods import spell_moment
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Rule
from alertd.store.tables import alerts

# Statements are put together once: that takes SQLAlchemy longer than running them.
_FIRING = (
    sa.select(alerts.c.rule)
    .distinct()
    .where(alerts.c.rule.in_(sa.bindparam("of_rules", type_=sa.String, expanding=True)))
    .where(alerts.c.state.in_((State.FIRING.value, State.RECOVERING.value)))
)


@dataclass(frozen=True)
class Hush:
    """What may keep people from being told: silences that hold, and rules that fire."""

    silenced: Sequence[Silence] = ()
    firing: frozenset[str] = frozenset()


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


def mutes(rule: Rule, firing: Iterable[Alert], at: Instant, hush: Hush) -> dict[str, str]:
    """Which of a rule's firing alerts are muted at that moment and why, by group."""
    reasons = {
        alert.group.key: mute(rule, alert.group, alert.level, at, silenced=hush.silenced, firing=hush.firing)
        for alert in firing
    }
    return {key: reason for key, reason in reasons.items() if reason}


def hushes(transaction: sa.Connection, rules: Iterable[Rule], at: Instant) -> Hush:
    """What may mute these rules, all of which fire, as the store knows it."""
    found = list(rules)
    if not found:
        return Hush()
    others = {other for rule in found for other in rule.quiet_while}
    return Hush(silences.active(transaction, at), rules_firing(transaction, others))


def rules_firing(transaction: sa.Connection, rules: Collection[str]) -> frozenset[str]:
    """Which of these rules have a firing alert."""
    return frozenset(transaction.scalars(_FIRING, {"of_rules": list(rules)})) if rules else frozenset()
