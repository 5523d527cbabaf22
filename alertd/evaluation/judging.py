"""From tables to verdicts: groups, the measure, its level, and how far all that can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Instant
from alertd.errors import AlertdError, BudgetSpent
from alertd.facts import Evidence, Group, Level, Verdict, Window
from alertd.measures.base import Measured, Sample
from alertd.planning.needs import Needs
from alertd.reporting.table import Column, Mask, Table
from alertd.rulebook.rule import Rule
from alertd.units import Unit, spell_value

# How many conversations a verdict names as examples.
EXAMPLES = 3


@dataclass(frozen=True)
class Grouping:
    """Rows sorted into groups: `numbers` says for each row of `table` which of `groups` it belongs to."""

    table: Table
    groups: tuple[Group, ...]
    numbers: NDArray[np.intp]


def judge(rule: Rule, needs: Needs, selection: Table, numerator: Table | None, as_of: Instant) -> tuple[Verdict, ...]:
    """Judge every group of a complete answer. A rule with groups whose answer has none gets one verdict without a group."""
    grouping = _group(rule, selection)
    if not rule.single and len(grouping.groups) > rule.max_groups:
        reason = (
            f"{len(grouping.groups)} groups are more than max_groups: {rule.max_groups}; raise it, or narrow the filters. "
            "Until then nothing changes."
        )
        return (_blank(rule, needs.selection.window, Evidence.ERROR, reason, len(selection)),)
    if not grouping.groups:
        reason = f"no conversations with {rule.by} in the window"
        return (_blank(rule, needs.selection.window, Evidence.NO_DATA, reason, len(selection)),)
    chosen = None if numerator is None else numerator.ids  # an empty answer is an answer: nobody is in it
    sample = Sample(grouping.table, grouping.numbers, len(grouping.groups), as_of, rule.as_waited, chosen)
    return _verdicts(rule, needs.selection.window, grouping, rule.measure.compute(sample))


def failed(rule: Rule, needs: Needs, problem: AlertdError) -> tuple[Verdict, ...]:
    """The verdict of a rule that got no complete answer."""
    evidence = Evidence.STALE if isinstance(problem, BudgetSpent) else Evidence.ERROR
    return (_blank(rule, needs.selection.window, evidence, str(problem), 0),)


def level_of(rule: Rule, value: float, current: Level) -> Level:
    """The level of a value. An alert that fires at `current` keeps that level until the value has recovered from it."""
    for limit in rule.limits:
        held = current.rank >= limit.level.rank and not limit.recovered_by(value)
        if limit.broken_by(value) or held:
            return limit.level
    return Level.OK


def _group(rule: Rule, table: Table) -> Grouping:
    if rule.by is None:
        return Grouping(table, (Group(),), np.zeros(len(table), dtype=np.intp))
    if rule.single:
        ids = table.ids.tolist()
        return Grouping(table, tuple(Group(rule.by, each) for each in ids), np.arange(len(ids)))
    column = table.columns[rule.by]
    known = table.take(~np.isnan(column))  # rows without the property form no group
    values, numbers = np.unique(known.columns[rule.by], return_inverse=True)
    return Grouping(known, tuple(Group(rule.by, int(each)) for each in values.tolist()), numbers.astype(np.intp))


def _verdicts(rule: Rule, window: Window, grouping: Grouping, measured: Measured) -> tuple[Verdict, ...]:
    count = len(grouping.groups)
    rows = np.bincount(grouping.numbers, minlength=count).tolist()
    values, entered = measured.values.tolist(), measured.entered.tolist()
    examples = _examples(rule, grouping, measured.scores)
    figures = (_Figures(values[n], entered[n], rows[n], examples.get(n, ())) for n in range(count))
    return tuple(_verdict(rule, window, group, each) for group, each in zip(grouping.groups, figures, strict=True))


@dataclass(frozen=True)
class _Figures:
    """What was measured of one group."""

    value: float
    entered: int
    rows: int
    examples: tuple[int, ...]


def _verdict(rule: Rule, window: Window, group: Group, found: _Figures) -> Verdict:
    value = None if np.isnan(found.value) else found.value
    evidence, level = Evidence.OK, None
    if value is None:
        evidence, reason = Evidence.NO_DATA, "nothing to measure: no conversation has a value"
    elif found.entered < rule.min_conversations:
        evidence = Evidence.INSUFFICIENT
        values = "value is" if found.entered == 1 else "values are"
        reason = f"{found.entered} {values} fewer than min_conversations: {rule.min_conversations}"
    else:
        level = level_of(rule, value, Level.OK)
        reason = _compare(rule, value, level)
    return Verdict(rule.id, group, evidence, value, level, found.rows, found.entered, window, reason, found.examples)


def _compare(rule: Rule, value: float, level: Level) -> str:
    limit = next((each for each in rule.limits if each.level is level), rule.limits[-1])
    unit = rule.measure.unit
    relation = limit.direction if level is not Level.OK else f"not {limit.direction}"
    return f"{spell_value(value, unit)} is {relation} {spell_value(limit.value, unit)}"


def _blank(rule: Rule, window: Window, evidence: Evidence, reason: str, rows: int) -> Verdict:
    return Verdict(rule.id, Group(), evidence, None, None, rows, 0, window, reason)


def _examples(rule: Rule, grouping: Grouping, scores: Column | None) -> dict[int, tuple[int, ...]]:
    """For each group the conversations that stand out most: the highest scores, or the lowest for a `below` limit."""
    if scores is None or rule.single:
        return {}
    rows = np.flatnonzero(_explains(rule, scores))
    weight = scores[rows] if rule.limits[0].direction == "above" else -scores[rows]
    order = rows[np.lexsort((-weight, grouping.numbers[rows]))]
    numbers = grouping.numbers[order]
    starts = np.flatnonzero(np.r_[True, numbers[1:] != numbers[:-1]]) if len(order) else order
    found = {}
    for start in starts.tolist():
        same = order[start : start + EXAMPLES]
        mine = same[grouping.numbers[same] == grouping.numbers[same[0]]]
        found[int(numbers[start])] = tuple(grouping.table.ids[mine].tolist())
    return found


def _explains(rule: Rule, scores: Column) -> Mask:
    """Which conversations may stand for the value. In a share they are on one side or the other: those on the wrong one do."""
    if rule.measure.unit is Unit.FRACTION:
        return scores > 0 if rule.limits[0].direction == "above" else scores <= 0
    return ~np.isnan(scores)
