"""What the keys of one rule must have to do with each other. Each check tells its problems and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alertd.facts import Level
from alertd.measures.base import ANSWER_TIME, Measure
from alertd.reporting.properties import suggest
from alertd.reporting.query import Operation
from alertd.rulebook.located import Trail
from alertd.rulebook.model import LimitEntry, RuleEntry
from alertd.rulebook.problems import Problem
from alertd.rulebook.rule import Limit
from alertd.rulebook.values import LEVELS, Scalar, intended_duration, show
from alertd.units import Unit, parse_value

_REQUIRED = {
    "id": "a rule needs an id, such as id: slow-first-answer",
    "every": 'a rule needs "every", such as every: 5m (here or under defaults)',
    "window": 'a rule needs "window", such as window: 1h (here or under defaults)',
    "measure": "a rule needs a measure, such as count or {median: timeToAgentResponseMillis}",
}
_BACK = {"above": "below", "below": "above"}
_FLATTERED = re.compile(r"mean|median|p\d\d")
_FLATTERING = (
    "conversations that nobody has answered do not count here, so this looks best exactly when nobody answers; "
    "add unanswered: as_waited, and leave out conversations only a bot was meant to answer (botStatus NOT_EQ BOT_ONLY)"
)


@dataclass(frozen=True)
class Draft:
    """A rule whose keys are right one by one: as given in the file, with its defaults, and typed.

    `meant` are keys that stand there under a wrong name, so that they are not missing as well.
    """

    index: int
    given: Mapping[str, Any]
    defaults: Mapping[str, Any]
    entry: RuleEntry
    meant: frozenset[str] = frozenset()

    def trail(self, key: str, *steps: str | int) -> Trail:
        """Where a key of this rule stands: in it, or in the defaults that it comes from."""
        own = key in self.given or key not in self.defaults
        return (*(("rules", self.index) if own else ("defaults",)), key, *steps)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that it speaks of, right or wrong."""
        return tuple(level for level in LEVELS if level.value in self.given)


def complete(draft: Draft) -> Iterator[Problem]:
    """Whether everything is there that a rule must have."""
    for key, message in _REQUIRED.items():
        if not any(key in known for known in (draft.given, draft.defaults, draft.meant)):
            yield Problem(message, ("rules", draft.index))
    if not draft.levels and not draft.meant.intersection(LEVELS):
        yield Problem("a rule needs a level, such as warning: {above: 5m} or critical: {above: 15m}", ("rules", draft.index))


def limits(draft: Draft) -> tuple[tuple[Limit, ...], list[Problem]]:
    """The levels' limits in the measure's unit, the worst first, and what is wrong with them."""
    found: list[Limit] = []
    problems: list[Problem] = []
    for level, entry in ((Level.CRITICAL, draft.entry.critical), (Level.WARNING, draft.entry.warning)):
        try:
            found += _limit(level, entry, draft.entry.measure) if entry else ()
        except _Wrong as wrong:
            problems.append(wrong.problem.below("rules", draft.index, level.value))
    order = _order(draft.entry, {limit.level: limit for limit in found})
    return tuple(found), problems + [each.below("rules", draft.index) for each in order]


class _Wrong(Exception):
    """A limit that cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _limit(level: Level, entry: LimitEntry, measure: Measure | None) -> Iterator[Limit]:
    direction, scalar = _direction(entry)
    if measure is None:
        return
    value = _value(scalar, measure.unit, direction)
    recover = _value(entry.recover, measure.unit, "recover") if entry.recover else value
    if recover > value if direction == "above" else recover < value:
        message = f"recover must lie at or {_BACK[direction]} the limit: it says when things are good again"
        raise _Wrong(Problem(f"{message} ({direction} is {show(scalar.raw)})", ("recover",)))
    yield Limit(level, direction, value, recover)


def _direction(entry: LimitEntry) -> tuple[str, Scalar]:
    if entry.above and entry.below:
        message = 'a limit has "above" or "below", not both; make a second rule for the other side'
        raise _Wrong(Problem(message, ("below",), at_key=True))
    scalar = entry.above or entry.below
    if scalar is None:
        raise _Wrong(Problem('a limit needs "above" or "below", such as {above: 5m}'))
    return "above" if entry.above else "below", scalar


def _value(scalar: Scalar, unit: Unit, key: str) -> float:
    try:
        value = parse_value(scalar.raw, unit)
    except ValueError as problem:
        meant = intended_duration(scalar.raw) if unit is Unit.DURATION else None
        raise _Wrong(Problem(f"{key}: {problem}", (key,), meant)) from problem
    if not math.isfinite(value):
        raise _Wrong(Problem(f"{key}: {show(scalar.raw)} is too large", (key,)))
    return value


def _order(entry: RuleEntry, found: Mapping[Level, Limit]) -> Iterator[Problem]:
    critical, warning = entry.critical, entry.warning
    if critical and warning and ((critical.above and warning.below) or (critical.below and warning.above)):
        direction, other = ("above", "below") if critical.above else ("below", "above")
        message = f"critical looks {direction} and warning {other}; the levels of a rule look one way, so make two rules"
        yield Problem(message, ("critical", direction), at_key=True)
    elif len(found) == len(LEVELS) and not found[Level.WARNING].broken_by(found[Level.CRITICAL].value):
        direction = found[Level.CRITICAL].direction
        worse = "higher" if direction == "above" else "lower"
        yield Problem(f"critical must be {worse} than warning, or it comes first", ("critical", direction))


def waiting(draft: Draft) -> Iterator[Problem]:
    """Whether those who still wait can count, and whether they should."""
    measure, entry = draft.entry.measure, draft.entry
    if measure is None:
        return
    if entry.as_waited and "unanswered" in draft.given and not measure.waits:
        message = f"unanswered: nobody waits in {measure.describe()}; as_waited goes with measures of {ANSWER_TIME}"
        yield Problem(message, draft.trail("unanswered"))
    if entry.as_waited is None and measure.waits and _flatters(draft):
        yield Problem(_FLATTERING, draft.trail("measure"), severity="warning")


def _flatters(draft: Draft) -> bool:
    raw = draft.given.get("measure")
    named = isinstance(raw, dict) and any(_FLATTERED.fullmatch(name) for name in raw)
    excluded = any(
        each.property == ANSWER_TIME and each.operation is Operation.HAS_PROPERTY for each in draft.entry.filters or ()
    )
    upwards = any(entry and entry.above for entry in (draft.entry.warning, draft.entry.critical))
    answered = draft.entry.by in ("firstAgentId", "lastAgentId")  # whoever waits has no agent yet and is in no group
    return named and upwards and not excluded and not answered


def notify(draft: Draft, receivers: Collection[str] | None) -> Iterator[Problem]:
    """Whether everybody named exists (None: nobody knows who does), and whether anybody is named."""
    named = draft.entry.notify
    for steps, name in _named(draft):
        if receivers is not None and name not in receivers:
            yield _unknown(name, draft.trail("notify", *steps), receivers)
    if isinstance(named, Mapping) and "notify" in draft.given:
        yield from _other_levels(draft)
    if named is not None or "notify" not in draft.given:
        yield from _unheard(draft)


def told(draft: Draft) -> dict[Level, tuple[str, ...]]:
    """Who is told of each of the rule's levels."""
    named = draft.entry.notify or ()
    by_level = named if isinstance(named, Mapping) else dict.fromkeys(draft.levels, named)
    return {level: tuple(dict.fromkeys(by_level.get(level, ()))) for level in draft.levels}


def _named(draft: Draft) -> Iterator[tuple[Trail, str]]:
    named = draft.entry.notify or ()
    groups = {(level.value,): names for level, names in named.items()} if isinstance(named, Mapping) else {(): named}
    for steps, names in groups.items():
        yield from (((*steps, index), name) for index, name in enumerate(names))


def _unknown(name: str, trail: Trail, receivers: Collection[str]) -> Problem:
    why = "" if receivers else "; receivers.yaml names none"
    return Problem(f"there is no receiver {show(name)}{why}", trail, suggest(name, receivers))


def _other_levels(draft: Draft) -> Iterator[Problem]:
    raw = draft.given["notify"]
    for level in LEVELS:
        if level.value in raw and level not in draft.levels:
            message = f"this rule has no level {level.value}, so this is never used; remove it or add the level"
            yield Problem(message, draft.trail("notify", level.value), at_key=True, severity="warning")


def _unheard(draft: Draft) -> Iterator[Problem]:
    unheard = [level.value for level, names in told(draft).items() if not names]
    if not unheard:
        return
    trail = draft.trail("notify") if draft.entry.notify is not None else ("rules", draft.index)
    if len(unheard) == len(draft.levels):
        yield Problem('nobody receives this rule; add "notify", here or under defaults', trail, severity="warning")
    else:
        yield Problem(f"nobody receives {unheard[0]}; name a receiver for it under notify", trail, severity="warning")
