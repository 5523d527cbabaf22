"""From what was measured to verdicts: held against an earlier window or not, its level, and how far all that can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TypeAlias

import numpy as np

from alertd import comparisons
from alertd.clock import Instant
from alertd.comparisons import base
from alertd.errors import AlertdError, BudgetSpent
from alertd.evaluation.history import Figure, Figures, Memory, looks_back
from alertd.evaluation.measuring import Reckoning, of_nothing, reckon
from alertd.facts import Evidence, Group, Level, Verdict, Window
from alertd.planning.needs import Need, Needs, compared_with
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rule, badness
from alertd.units import Unit, spell_value

Tables: TypeAlias = Callable[[Need], Table]


@dataclass(frozen=True)
class Known:
    """What was known of a rule before it is judged: windows that it is compared with, and which groups have an alert.

    Of single conversations only those that are over the limit or have an alert are judged one by one; all of them where
    `alive` is None.
    """

    memory: Memory = field(default_factory=dict)
    alive: frozenset[int] | None = None


@dataclass(frozen=True)
class Judgement:
    """The verdicts, and what was measured in windows that the rule may be compared with later."""

    verdicts: tuple[Verdict, ...]
    measured: Memory = field(default_factory=dict)


def judge(rule: Rule, needs: Needs, tables: Tables, as_of: Instant, known: Known | None = None) -> Judgement:
    """Judge every group of a complete answer. A rule with groups whose answer has none gets one verdict without a group."""
    known = known or Known()
    now, window = _reckon(rule, needs, tables, as_of), needs.selection.window
    frame = _Frame(rule, window, as_of)
    if rule.single:
        return Judgement(tuple(_single(frame, now, known.alive)))
    if len(now) > rule.max_groups:
        return Judgement((_too_many(frame, now),))
    if rule.compare == comparisons.VALUE:
        return Judgement(tuple(_plain(frame, now)) or (_no_group(frame, now),))
    asked = {each.selection.window: each for each in needs.earlier}
    measured = {each: _figures(_reckon(rule, needs, tables, each.end)) for each, needs in asked.items()}
    found = _compared(frame, now, {**known.memory, **measured})
    kept = {window: _figures(now)} if rule.compare.keeps(window, rule.timezone, rule.every) else {}
    verdicts = tuple(found.verdicts()) or (_no_group(frame, now),)
    return Judgement(verdicts, {**kept, **measured} if looks_back(rule) else {})


def failed(rule: Rule, needs: Needs, problem: AlertdError, as_of: Instant) -> Judgement:
    """The verdict of a rule that got no complete answer."""
    evidence = Evidence.STALE if isinstance(problem, BudgetSpent) else Evidence.ERROR
    return Judgement((_Frame(rule, needs.selection.window, as_of).blank(evidence, str(problem), 0),))


def level_of(rule: Rule, value: float, current: Level) -> Level:
    """The level of a value. An alert that fires at `current` keeps that level until the value has recovered from it."""
    for limit in rule.limits:
        held = current.rank >= limit.level.rank and not limit.recovered_by(value)
        if limit.broken_by(value) or held:
            return limit.level
    return Level.OK


@dataclass(frozen=True)
class _Row:
    """What there is to judge of one group."""

    group: Group
    value: float
    entered: int
    rows: int
    examples: Callable[[], tuple[int, ...]] = tuple
    measured: float | None = None
    reference: float | None = None
    lack: str | None = None
    own: tuple[Level, float] | None = None  # a level and limit of the comparison's own


@dataclass(frozen=True)
class _Frame:
    """What all verdicts of one check have in common."""

    rule: Rule
    window: Window
    as_of: Instant

    def blank(self, evidence: Evidence, reason: str, rows: int, level: Level | None = None) -> Verdict:
        """A verdict on no group."""
        return Verdict(self.rule.id, Group(), evidence, None, level, rows, 0, self.window, self.as_of, reason)

    def verdict(self, row: _Row) -> Verdict:
        """The verdict on one group."""
        evidence, level, reason = self._judge(row)
        value = None if math.isnan(row.value) else row.value
        limit = row.own[1] if row.own and evidence is Evidence.OK else None
        return Verdict(
            self.rule.id,
            row.group,
            evidence,
            value,
            level,
            row.rows,
            row.entered,
            self.window,
            self.as_of,
            reason,
            row.examples() if level not in (None, Level.OK) else (),
            row.measured,
            row.reference,
            limit,
        )  # fmt: skip - a line a field would be taller, not clearer

    def _judge(self, row: _Row) -> tuple[Evidence, Level | None, str]:
        if row.lack is not None:
            return Evidence.INSUFFICIENT, None, row.lack
        if math.isnan(row.value):
            return Evidence.NO_DATA, self.rule.no_data, "nothing to measure: no conversation has a value"
        if row.entered < self.rule.min_conversations:
            return Evidence.INSUFFICIENT, None, _too_few(row.entered, self.rule.min_conversations)
        level = row.own[0] if row.own else level_of(self.rule, row.value, Level.OK)
        return Evidence.OK, level, _reason(self.rule, row, level)


def _reckon(rule: Rule, needs: Needs, tables: Tables, as_of: Instant) -> Reckoning:
    numerator = tables(needs.numerator) if needs.numerator else None
    return reckon(rule, tables(needs.selection), numerator, as_of)


def _plain(frame: _Frame, now: Reckoning) -> Iterator[Verdict]:
    values, entered, rows = now.values.tolist(), now.entered.tolist(), now.rows.tolist()
    for place in range(len(now)):
        row = _Row(now.group(place), values[place], entered[place], rows[place], partial(now.examples, place))
        yield frame.verdict(row)


def _single(frame: _Frame, now: Reckoning, alive: frozenset[int] | None) -> Iterator[Verdict]:
    """Single conversations: only those that matter, and a word on the rest. Thousands are within the limit all the time."""
    places = range(len(now)) if alive is None else _telling(frame.rule, now, alive)
    for place in places:
        yield frame.verdict(_Row(now.group(place), float(now.values[place]), int(now.entered[place]), 1))
    if not len(now):
        yield frame.blank(Evidence.NO_DATA, "no conversations in the window", 0)
    elif not places:
        yield frame.blank(Evidence.OK, f"none of {len(now):,} conversations is over the limit", len(now), Level.OK)


def _telling(rule: Rule, now: Reckoning, alive: frozenset[int]) -> Sequence[int]:
    """The places of conversations that are over a limit, have an alert, or cannot be judged."""
    easiest = rule.limits[-1]
    bad = np.abs(now.values) if rule.direction == "outside" else -now.values if rule.direction == "below" else now.values
    over = bad > badness(easiest.value, easiest.direction)
    known = np.isin(now.ids, np.fromiter(alive, np.int64, len(alive))) if alive else np.zeros(len(now), np.bool_)
    unjudged = np.isnan(now.values) & (rule.no_data not in (None, Level.OK))
    places: list[int] = np.flatnonzero(over | known | unjudged).tolist()
    return places


def _too_many(frame: _Frame, now: Reckoning) -> Verdict:
    reason = (
        f"{len(now)} groups are more than max_groups: {frame.rule.max_groups}; raise it, or narrow the filters. "
        "Until then nothing changes."
    )
    return frame.blank(Evidence.ERROR, reason, now.selected)


def _no_group(frame: _Frame, now: Reckoning) -> Verdict:
    return frame.blank(Evidence.NO_DATA, f"no conversations with {frame.rule.by} in the window", now.selected)


def _figures(found: Reckoning) -> Figures:
    values, entered = found.values.tolist(), found.entered.tolist()
    return {
        found.group(place).key: Figure(None if math.isnan(values[place]) else values[place], entered[place])
        for place in range(len(found))
    }


@dataclass(frozen=True)
class _Comparison:
    """A reckoning beside what was measured in other windows, on the groups of all of them."""

    frame: _Frame
    now: Reckoning
    groups: tuple[Group, ...]
    measured: base.Figures
    related: base.Related

    def verdicts(self) -> Iterator[Verdict]:
        """The verdict on each group."""
        places = {self.now.group(place).key: place for place in range(len(self.now))}
        for index, group in enumerate(self.groups):
            yield self.frame.verdict(self._row(index, group, places.get(group.key)))

    def _row(self, index: int, group: Group, place: int | None) -> _Row:
        related = self.related
        own = (related.levels[index], float(related.limits[index])) if related.levels and related.limits is not None else None
        return _Row(
            group,
            float(related.values[index]),
            int(self.measured.entered[index]),
            int(self.now.rows[place]) if place is not None else 0,
            partial(self.now.examples, place) if place is not None else tuple,
            _number(self.measured.values[index]),
            _number(related.reference[index]),
            related.lacks[index],
            own,
        )


def _compared(frame: _Frame, now: Reckoning, memory: Memory) -> _Comparison:
    rule, own = frame.rule, _figures(now)
    windows = [memory.get(window) for window in compared_with(rule, frame.window)]
    nothing = of_nothing(rule)
    # A group that is gone is something to judge only where no conversations are a number, as they are in a count.
    gone = () if math.isnan(nothing) else (key for each in windows if each for key in each)
    groups = tuple(sorted((Group.from_key(key) for key in dict.fromkeys((*own, *gone))), key=lambda each: each.id or 0))
    measured = _aligned(own, groups, nothing)
    # Too few values are no number to compare with either; a count is itself how many there are.
    least = 0 if rule.measure.counts or rule.compare.own_window else rule.min_conversations
    earlier = [_aligned(each, groups, nothing, least) if each is not None else None for each in windows]
    return _Comparison(frame, now, groups, measured, rule.compare.relate(measured, earlier))


def _aligned(figures: Figures, groups: Sequence[Group], nothing: float, least: int = 0) -> base.Figures:
    """One window's figures in the order of the groups; a group that it has not has no conversations there."""
    missing = Figure(None if math.isnan(nothing) else nothing, 0)
    found = [figures.get(each.key, missing) for each in groups]
    known = [math.nan if each.value is None or each.entered < least else each.value for each in found]
    values = np.array(known, np.float64)
    entered = np.array([each.entered for each in found], np.intp)
    return base.Figures(values, entered, np.array([each.fired for each in found], np.bool_))


def _reason(rule: Rule, row: _Row, level: Level) -> str:
    known = [math.nan if each is None else each for each in (row.measured, row.reference)]
    said = rule.compare.spell(row.value, known[0], known[1], rule.measure.unit)
    if row.own:
        return said
    limit = next((each for each in rule.limits if each.level is level), rule.limits[-1] if rule.limits else None)
    if limit is None:
        return said
    relation = limit.direction if level is not Level.OK else f"not {limit.direction}"
    return f"{said} is {relation} {_spelled(limit.value, rule.unit)}"


@lru_cache(maxsize=10_000)  # the limit of a rule is said for each of its groups
def _spelled(limit: float, unit: Unit) -> str:
    return spell_value(limit, unit)


def _too_few(entered: int, least: int) -> str:
    values = "value is" if entered == 1 else "values are"
    return f"{entered} {values} fewer than min_conversations: {least}"


def _number(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
