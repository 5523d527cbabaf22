"""Whether a rule is whole, and what its limits are. Each check tells its problems and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from alertd import comparisons
from alertd.comparisons.base import Comparison
from alertd.durations import format_duration
from alertd.facts import Level
from alertd.measures.base import ANSWER_TIME
from alertd.reporting.query import Operation
from alertd.rulebook.located import Trail
from alertd.rulebook.misfit import show
from alertd.rulebook.model import LimitEntry, RuleEntry
from alertd.rulebook.moments import intended_duration
from alertd.rulebook.problems import Problem
from alertd.rulebook.rule import Limit, badness
from alertd.rulebook.values import LEVELS, Scalar
from alertd.units import Unit, parse_value, probably_milliseconds

_REQUIRED = {
    "id": "a rule needs an id, such as id: slow-first-answer",
    "every": 'a rule needs "every", such as every: 5m (here or under defaults)',
    "window": 'a rule needs "window", such as window: 1h (here or under defaults)',
    "measure": "a rule needs a measure, such as count or {median: timeToAgentResponseMillis}",
}
_DIRECTIONS = ("above", "below", "outside")
_BACK = {"above": "below", "below": "above", "outside": "inside"}
_FALL = re.compile(r"(write (?:it like )?)(?=[\d.]*[1-9])")  # a percentage above 0 in the advice of a unit error
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
    compare: Comparison | None = None  # None where it, or the measure, is wrong
    meant: frozenset[str] = frozenset()

    def trail(self, key: str, *steps: str | int) -> Trail:
        """Where a key of this rule stands: in it, or in the defaults that it comes from."""
        own = key in self.given or key not in self.defaults
        return (*(("rules", self.index) if own else ("defaults",)), key, *steps)

    @property
    def unit(self) -> Unit:
        """What its limits are numbers of; a plain number where nobody can tell."""
        if self.entry.measure is None or self.compare is None:
            return Unit.NUMBER
        return self.compare.unit(self.entry.measure.unit)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The levels that it speaks of, right or wrong; a report is told at none, a comparison may bring its own."""
        if self.entry.report:
            return (Level.OK,)
        own = tuple(dict.fromkeys(level for level, _ in self.compare.own_limits)) if self.compare else ()
        return own or tuple(level for level in LEVELS if level.value in self.given)


def complete(draft: Draft) -> Iterator[Problem]:
    """Whether everything is there that a rule must have."""
    for key, message in _REQUIRED.items():
        if not any(_instead(draft, key)) and not any(key in known for known in (draft.given, draft.defaults, draft.meant)):
            yield Problem(message, ("rules", draft.index))
    if not draft.levels and not draft.meant.intersection(LEVELS) and not _perhaps_without_levels(draft):
        yield Problem("a rule needs a level, such as warning: {above: 5m} or critical: {above: 15m}", ("rules", draft.index))


def _instead(draft: Draft, key: str) -> Iterator[bool]:
    """Whether something else stands there for that key."""
    if key == "every":
        yield draft.entry.cron is not None or "cron" in draft.given or "cron" in draft.defaults
    if key == "window":
        yield _perhaps(draft) or (draft.compare is not None and draft.compare.own_window is not None)


def _perhaps(draft: Draft) -> bool:
    """Whether there is a comparison that is wrong, so that nobody knows what it brings."""
    return draft.compare is None and ("compare" in draft.given or "compare" in draft.meant)


def _perhaps_without_levels(draft: Draft) -> bool:
    wrong_report = "report" in draft.given and draft.entry.report is None
    return _perhaps(draft) or wrong_report or "report" in draft.meant


def limits(draft: Draft) -> tuple[tuple[Limit, ...], list[Problem]]:
    """The levels' limits in the measure's unit, the worst first, and what is wrong with them."""
    found: list[Limit] = []
    problems: list[Problem] = []
    if draft.compare and draft.compare.own_limits:
        return tuple(Limit(level, "above", value, value) for level, value in draft.compare.own_limits), list(_own_levels(draft))
    for level, entry in ((Level.CRITICAL, draft.entry.critical), (Level.WARNING, draft.entry.warning)):
        try:
            found += _limit(level, entry, draft) if entry else ()
        except _Wrong as wrong:
            problems.append(wrong.problem.below("rules", draft.index, level.value))
    order = _order(draft.entry, {limit.level: limit for limit in found})
    return tuple(found), problems + [each.below("rules", draft.index) for each in order]


def _own_levels(draft: Draft) -> Iterator[Problem]:
    for level in LEVELS:
        if level.value in draft.given and draft.compare:
            message = f"{draft.compare.names[0]} brings its own levels; leave this out"
            yield Problem(message, ("rules", draft.index, level.value), at_key=True)


class _Wrong(Exception):
    """A limit that cannot be used."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _limit(level: Level, entry: LimitEntry, draft: Draft) -> Iterator[Limit]:
    direction, scalar = _direction(entry)
    if draft.entry.measure is None or draft.compare is None:
        return
    if direction == "outside" and draft.compare == comparisons.VALUE:
        message = "outside is for compare: change and usual, which have two sides; write above or below"
        raise _Wrong(Problem(message, ("outside",), at_key=True))
    value = _value(scalar, draft, direction, direction)
    recover = _value(entry.recover, draft, "recover", direction) if entry.recover else value
    if direction == "outside":
        _unsigned("outside", scalar, value)
        _unsigned("recover", entry.recover or scalar, recover)
    if badness(recover, direction) > badness(value, direction):
        message = f"recover must lie at or {_BACK[direction]} the limit: it says when things are good again"
        raise _Wrong(Problem(f"{message} ({direction} is {show(scalar.raw)})", ("recover",)))
    yield Limit(level, direction, value, recover)


def _unsigned(key: str, scalar: Scalar, value: float) -> None:
    """Raise where a distance from zero has a sign."""
    if value < 0:
        message = f"{key} is how far from zero on either side, so it has no sign"
        raise _Wrong(Problem(message, (key,), str(scalar.raw).removeprefix("-")))


def _direction(entry: LimitEntry) -> tuple[str, Scalar]:
    given = {name: scalar for name in _DIRECTIONS if (scalar := getattr(entry, name)) is not None}
    if len(given) > 1:
        one, other = list(given)[:2]
        message = f'a limit has "{one}" or "{other}", not both; make a second rule for the other side'
        raise _Wrong(Problem(message, (other,), at_key=True))
    if not given:
        raise _Wrong(Problem('a limit needs "above" or "below", such as {above: 5m}'))
    return next(iter(given.items()))


def _value(scalar: Scalar, draft: Draft, key: str, direction: str) -> float:
    unit = draft.unit
    try:
        value = parse_value(scalar.raw, unit)
    except ValueError as problem:
        said = str(problem)
        if direction == "below" and draft.compare is not None and draft.compare.names[0] == "change":
            said = _FALL.sub(r"\1-", said)
        meant = _intended(scalar.raw) if unit is Unit.DURATION else None
        raise _Wrong(Problem(f"{key}: {_of_comparison(said, draft)}", (key,), meant)) from problem
    if not math.isfinite(value):
        raise _Wrong(Problem(f"{key}: {show(scalar.raw)} is too large", (key,)))
    return value


def _intended(raw: object) -> str | None:
    """The duration that `5 minutes` is meant to be, or a number that is probably one of milliseconds."""
    return format_duration(raw) if isinstance(raw, int) and probably_milliseconds(raw) else intended_duration(raw)


def _of_comparison(message: str, draft: Draft) -> str:
    """The same where limits are those of a comparison with a unit of its own."""
    if draft.compare is None or draft.compare.own_unit is None:
        return message
    named = f"with compare: {draft.compare.names[0]} a limit is"
    said = message.replace("this measure is a share", f"{named} a percentage").replace("this measure is", named)
    return said.replace("write it like 20 instead", "write it like 4 instead")


def _order(entry: RuleEntry, found: Mapping[Level, Limit]) -> Iterator[Problem]:
    direction, other = (_looks(each) for each in (entry.critical, entry.warning))
    if direction and other and direction != other:
        message = f"critical looks {direction} and warning {other}; the levels of a rule look one way, so make two rules"
        yield Problem(message, ("critical", direction), at_key=True)
    elif direction and len(found) == len(LEVELS) and not found[Level.WARNING].broken_by(found[Level.CRITICAL].value):
        worse = "lower" if direction == "below" else "higher"
        yield Problem(f"critical must be {worse} than warning, or it comes first", ("critical", direction))


def _looks(entry: LimitEntry | None) -> str | None:
    return next((name for name in _DIRECTIONS if entry and getattr(entry, name) is not None), None)


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
