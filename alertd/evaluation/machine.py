"""The alert state machine: inactive → pending → firing ↔ recovering → inactive, as one pure function.

The semantics are Prometheus's with three differences: nothing resolves by the passing of time, time in which nothing was
known does not count, and all of it persists.
"""

from __future__ import annotations

from dataclasses import replace

from alertd.clock import Duration, Instant
from alertd.evaluation.judging import level_of
from alertd.facts import CONVERSATION, Alert, Change, Evidence, Level, State, Transition, Verdict
from alertd.rulebook.rule import Rule


def step(alert: Alert, verdict: Verdict, rule: Rule) -> Transition:
    """Move one alert by one verdict. Only one with a level moves it: evidence is ok, or the rule gives `no_data` one (I3)."""
    if verdict.level is None:
        contained = verdict.evidence in (Evidence.NO_DATA, Evidence.INSUFFICIENT)
        return Transition(alert, replace(alert, unseen=0) if contained else alert, Change.KEPT)
    level = _level(verdict, rule, alert.level if alert.fires else Level.OK)
    after, change = _move(alert, level, rule, verdict.as_of)
    return Transition(alert, _record(after, alert, verdict, rule), change)


def step_absent(alert: Alert, rule: Rule, as_of: Instant) -> Transition:
    """Move an alert whose group a complete answer does not contain.

    A conversation that is gone has left the selection; any other group is forgotten only after complete answers have been
    without it for a while, in which errors and downtime do not count (I3). So is a conversation whose rule has got other
    groups since: nobody has looked for it.
    """
    if alert.group.by == CONVERSATION == rule.by:
        return Transition(alert, _quiet(alert), Change.LEFT)
    unseen = alert.unseen + _passed(alert, rule, as_of)
    if unseen >= rule.forgets_after:
        return Transition(alert, _quiet(alert), Change.UNOBSERVED)
    return Transition(alert, replace(alert, unseen=unseen, judged_at=as_of), Change.KEPT)


def restart(alert: Alert) -> Alert:
    """The alert after its rule's question has changed: a firing one stays until it is judged anew, `for` starts again."""
    return replace(alert, peak=None) if alert.fires else _quiet(alert)


def _level(verdict: Verdict, rule: Rule, current: Level) -> Level:
    """The verdict's level for an alert that fires at `current`; a limit of the comparison's own has no way back of its own."""
    if verdict.value is None or verdict.limit is not None:
        return verdict.level or Level.OK
    return level_of(rule, verdict.value, current)


def _move(alert: Alert, level: Level, rule: Rule, as_of: Instant) -> tuple[Alert, Change]:
    passed = _passed(alert, rule, as_of)
    match alert.state:
        case State.INACTIVE if level is Level.OK:
            return alert, Change.QUIET
        case State.INACTIVE:
            started = replace(alert, state=State.PENDING, level=level, since=as_of, held=0, cleared=0, peak=None)
            return _fire_if_due(started, level, rule, Change.STARTED)
        case State.PENDING if level is Level.OK:
            return _quiet(alert), Change.DROPPED
        case State.PENDING:
            return _fire_if_due(replace(alert, held=alert.held + passed), level, rule, Change.WAITS)
        case _ if level is Level.OK:
            return _recover(alert, rule, passed)
        case _:
            return _go_on(alert, level)


def _fire_if_due(alert: Alert, level: Level, rule: Rule, otherwise: Change) -> tuple[Alert, Change]:
    if alert.held >= rule.hold:
        return replace(alert, state=State.FIRING, level=level), Change.HELD
    return replace(alert, level=level), otherwise


def _recover(alert: Alert, rule: Rule, passed: Duration) -> tuple[Alert, Change]:
    cleared = alert.cleared + passed if alert.state is State.RECOVERING else 0
    if cleared >= rule.keep_firing:
        return _quiet(alert), Change.RECOVERED
    return replace(alert, state=State.RECOVERING, cleared=cleared), Change.CLEARING


def _go_on(alert: Alert, level: Level) -> tuple[Alert, Change]:
    after = replace(alert, state=State.FIRING, level=level, cleared=0)
    if level is not alert.level:
        return after, Change.WORSENED if level.rank > alert.level.rank else Change.EASED
    return after, Change.RELAPSED if alert.state is State.RECOVERING else Change.CONTINUES


def _passed(alert: Alert, rule: Rule, as_of: Instant) -> Duration:
    """The time since the last judgement that counts: at most `every`, so that downtime does not (I6)."""
    if alert.judged_at is None:
        return 0
    return max(0, min(as_of - alert.judged_at, rule.every))


def _quiet(alert: Alert) -> Alert:
    return Alert(alert.rule, alert.group, judged_at=alert.judged_at)


def _record(after: Alert, before: Alert, verdict: Verdict, rule: Rule) -> Alert:
    known = before.peak if after.since == before.since else None
    peak = _worse(known, verdict.value, rule) if after.state is not State.INACTIVE else None
    return replace(
        after,
        unseen=0,
        judged_at=verdict.as_of,
        value=verdict.value,
        peak=peak,
        conversations=verdict.conversations,
        examples=verdict.examples,
        measured=verdict.measured,
        reference=verdict.reference,
        limit=verdict.limit,
    )


def _worse(one: float | None, other: float | None, rule: Rule) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other, key=rule.badness)
