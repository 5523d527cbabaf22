"""Made-up notices of any rule, put together as real ones are: to look at its messages before anything has happened.

The numbers lie a little beyond the rule's limits, in its unit; ids and names of people are invented.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from alertd import comparisons
from alertd.clock import HOUR, MINUTE, SECOND, Instant
from alertd.comparisons.base import Comparison
from alertd.errors import QueryError
from alertd.facts import CONVERSATION, Alert, Change, Evidence, Group, Kind, Level, State, Transition, Verdict
from alertd.notice import Notice
from alertd.notices.composing import compose, spell_worst
from alertd.notices.reports import compose_report
from alertd.reporting.properties import find_property
from alertd.rulebook.rule import Limit, Rule, Rulebook
from alertd.units import Unit

INCIDENT = 12
PEOPLE = {671: "Priya Shah", 672: "Tom Reed", 673: "Ana Núñez", 674: "Jonas Weber", 675: "Mei Lin"}
CONVERSATIONS = (9_001_112, 9_001_118, 9_001_120, 9_001_125, 9_001_131)
KINDS = (Kind.OPENED, Kind.CHANGED, Kind.REMINDER, Kind.ESCALATED, Kind.RESOLVED)

_CHECKS = 20  # of the trail: as many as a picture has points
_OTHERS = 30  # rules in a digest
_TYPICAL = {Unit.DURATION: 4.0 * MINUTE, Unit.FRACTION: 0.87, Unit.NUMBER: 100.0}
_LEAST = {Unit.DURATION: 1.0 * MINUTE, Unit.FRACTION: 0.05, Unit.NUMBER: 1.0}  # by how much a limit is passed, at least


def sample_notice(rule: Rule, kind: Kind, now: Instant) -> Notice:
    """What people would be told of that rule: one of KINDS, or a report, which is all that a rule with `report` makes."""
    at = now - now % rule.every - rule.delay
    if kind is Kind.REPORT or rule.report:
        return compose_report(rule, _reported(rule, at), at)
    worst, least = rule.limits[0], rule.limits[-1]
    limit = least if kind is Kind.OPENED else worst
    over = kind is Kind.RESOLVED
    firing = _alerts(rule, limit, at)
    moves = [_over(rule, alert) if over else Transition(Alert(rule.id, alert.group), alert, Change.HELD) for alert in firing]
    notice = compose(rule, kind, moves, at=at, incident=INCIDENT)
    since = firing[0].since or at
    return replace(
        notice,
        level=limit.level,
        previous=least.level if kind is Kind.CHANGED and least is not worst else None,
        opened_at=at - rule.every if kind is Kind.OPENED else since + rule.hold,
        resolved_at=at if over else None,
        peak=_passed(rule, limit, 1.25),
        worst=spell_worst(rule, _passed(rule, limit, 1.25)),
        groups=tuple(replace(group, new=place > 0) for place, group in enumerate(notice.groups)),
        trail=() if rule.by else _trail(rule, limit, at, over=over),
    )


def sample_name(by: str, number: int) -> str | None:
    """The name of a made-up person."""
    try:
        return PEOPLE.get(number) if find_property(by).label == "agent" else None
    except QueryError:
        return None


def _alerts(rule: Rule, limit: Limit, at: Instant) -> Sequence[Alert]:
    """The first of them is the worst; the others are over the lowest limit."""
    others = [(group, rule.limits[-1], 0.8 - 0.2 * place) for place, group in enumerate(_groups(rule)[1:3])]
    return [_alert(rule, group, by, part, at) for group, by, part in ((_groups(rule)[0], limit, 1.0), *others)]


def _alert(rule: Rule, group: Group, limit: Limit, part: float, at: Instant) -> Alert:
    value = _passed(rule, limit, part)
    measured, reference = _compared(rule.compare, rule.measure.unit, value)
    return Alert(
        rule.id,
        group,
        State.FIRING,
        limit.level,
        since=at - max(rule.hold, 2 * rule.every) - HOUR // 2,
        value=value,
        peak=value,
        conversations=_conversations(rule, value),
        examples=() if rule.single else CONVERSATIONS[:3],
        measured=measured,
        reference=reference,
        limit=limit.value if rule.compare.own_limits else None,
    )


def _over(rule: Rule, alert: Alert) -> Transition:
    value = _calm(rule)
    measured, reference = _compared(rule.compare, rule.measure.unit, value)
    calm = replace(alert, state=State.INACTIVE, level=Level.OK, value=value, measured=measured, reference=reference)
    return Transition(alert, replace(calm, conversations=_conversations(rule, value)), Change.RECOVERED)


def _groups(rule: Rule) -> Sequence[Group]:
    """One without `by`; else three, those first that the rule expects."""
    if rule.by is None:
        return (Group(),)
    made_up = CONVERSATIONS if rule.by == CONVERSATION else tuple(PEOPLE)
    return tuple(Group(rule.by, number) for number in dict.fromkeys((*rule.expect, *made_up)))[: max(len(PEOPLE), 3)]


def _passed(rule: Rule, limit: Limit, part: float) -> float:
    """A value beyond the limit, by about a quarter of it times `part`."""
    step = part * max(abs(limit.value) / 4, _LEAST[rule.unit])
    value = limit.value - step if limit.direction == "below" else limit.value + step
    return _plausible(rule, value, limit.direction)


def _calm(rule: Rule) -> float:
    """A value with which all is well."""
    least = rule.limits[-1]
    step = max(abs(least.recover) / 4, _LEAST[rule.unit] / 4)
    return _plausible(rule, least.recover + step if least.direction == "below" else max(least.recover - step, 0.0), "")


def _plausible(rule: Rule, value: float, direction: str) -> float:
    """As a measure would give it: whole seconds, whole things, shares of the whole."""
    if rule.unit is Unit.NUMBER:
        whole = rule.measure.counts and rule.compare == comparisons.VALUE
        ends = math.floor if direction == "below" else math.ceil
        return max(float(ends(value)), 0.0) if whole else round(value, 1)
    if rule.unit is Unit.DURATION:
        return max(float(round(value / SECOND) * SECOND), 0.0)
    return round(max(value, -1.0) if rule.compare.own_unit else min(max(value, 0.0), 1.0), 3)


def _compared(compare: Comparison, unit: Unit, value: float) -> tuple[float | None, float | None]:
    """What was measured and what it was compared with, so that it comes to about that value."""
    if compare == comparisons.VALUE:
        return None, None
    reference = _TYPICAL[unit]
    measured = reference * (1 + (value if compare.own_unit is Unit.FRACTION else value / 10))
    return max(min(measured, 1.0) if unit is Unit.FRACTION else round(measured), 0.0), reference


def _conversations(rule: Rule, value: float) -> int:
    """A count counts its conversations."""
    whole = rule.measure.counts and rule.compare == comparisons.VALUE
    return 1 if rule.single else int(value) if whole else max(34, rule.min_conversations)


def _trail(rule: Rule, limit: Limit, at: Instant, *, over: bool) -> tuple[tuple[Instant, float], ...]:
    """How it came to this: calm with a little to and fro, then beyond the limit; and calm again where it is over."""
    calm, high = _calm(rule), _passed(rule, limit, 1.0)
    shape = [_rise(place / (_CHECKS - 1), over=over) for place in range(_CHECKS)]
    values = [calm + (high - calm) * part for part in shape]
    return tuple((at - (_CHECKS - 1 - place) * rule.every, value) for place, value in enumerate(values))


def _rise(part: float, *, over: bool) -> float:
    """From 0 to 1 while `part` goes from 0 to 1; back to 0 where it is over."""
    wave = 0.12 * math.sin(part * 23) * (1 - part)
    up, down = 1 / (1 + math.exp(-24 * (part - 0.6))), 1 / (1 + math.exp(-30 * (part - 0.85)))
    return (up - down if over else min(up, 1.0)) + (wave if part < 0.97 else 0.0)


def _reported(rule: Rule, at: Instant) -> list[Verdict]:
    parts = (1.0, 0.86, 0.71, 1.3, 0.94)
    return [_verdict(rule, group, part, at) for group, part in zip(_groups(rule), parts, strict=False)]


def _verdict(rule: Rule, group: Group, part: float, at: Instant) -> Verdict:
    value = _plausible(rule, 0.12 if rule.compare.own_unit else _TYPICAL[rule.unit] * part, "")
    measured, reference = _compared(rule.compare, rule.measure.unit, value)
    count = 1 if rule.single else max(round(80 * part), rule.min_conversations)
    return Verdict(
        rule.id,
        group,
        Evidence.OK,
        value,
        None,
        count,
        count,
        rule.window_at(at),
        at,
        "",
        measured=measured,
        reference=reference,
    )


def sample_digest(book: Rulebook, rule: Rule, now: Instant) -> tuple[Notice, ...]:
    """Notices of several rules that come at once, that one among them."""
    others = [each for each in book.rules.values() if each.id != rule.id][:_OTHERS]
    kinds = (Kind.OPENED, Kind.OPENED, Kind.CHANGED, Kind.RESOLVED)
    told = [sample_notice(each, kinds[place % len(kinds)], now) for place, each in enumerate((rule, *others))]
    return tuple(
        notice if notice.incident is None else replace(notice, incident=INCIDENT + place) for place, notice in enumerate(told)
    )
