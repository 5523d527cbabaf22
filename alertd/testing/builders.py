"""Values with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alertd import comparisons, measures
from alertd.clock import HOUR, MINUTE, Instant
from alertd.facts import Change, Evidence, Group, Kind, Level, Verdict, Window
from alertd.notice import Notice
from alertd.reporting.table import Table
from alertd.rulebook.rule import Limit, Receiver, Rule, Rulebook
from alertd.testing.channel import FakeChannel
from alertd.testing.clock import START
from alertd.units import Unit


def a_rule(**changes: Any) -> Rule:
    """A rule `slow`: the median first answer above 5 min (recover 4 min) is a warning, told to `team`.

    `measure` and `compare` may be given as in a rule file, `warning` and `critical` as (limit, recover) pairs above, in the
    unit of what is compared.
    """
    raw = changes.pop("measure", {"median": "timeToAgentResponseMillis"})
    measure = measures.build(raw) if isinstance(raw, str | Mapping) else raw
    compare = changes.pop("compare", "value")
    if isinstance(compare, str | Mapping):
        compare = comparisons.build(compare, measure.unit, counts=measure.counts)
    if compare.own_window is not None:
        changes.setdefault("window", compare.own_window)
    direction = changes.pop("direction", "above")
    pairs = {level: changes.pop(level.value, None) for level in (Level.CRITICAL, Level.WARNING)}
    if not any(pairs.values()):
        pairs[Level.WARNING] = (5 * MINUTE, 4 * MINUTE)
    own = tuple(Limit(level, "above", limit, limit) for level, limit in compare.own_limits)
    limits = own or tuple(Limit(level, direction, *pair) for level, pair in pairs.items() if pair)
    values: dict[str, Any] = {
        "id": "slow",
        "title": "First answers are slow",
        "every": 5 * MINUTE,
        "window": HOUR,
        "measure": measure,
        "compare": compare,
        "limits": limits,
        "notify": {limit.level: ("team",) for limit in limits},
        "delay": 0,
    }
    return Rule(**(values | changes))


def a_rulebook(*rules: Rule, receivers: Mapping[str, FakeChannel] | None = None, fallback: str | None = None) -> Rulebook:
    """A rulebook of those rules; one receiver `team` unless others are given."""
    channels = receivers if receivers is not None else {"team": FakeChannel()}
    known = {name: Receiver(name, "fake", channel) for name, channel in channels.items()}
    return Rulebook({rule.id: rule for rule in rules}, known, fallback, "test")


def a_table(**columns: Sequence[float | None]) -> Table:
    """A table with ids 1, 2, 3, ...; None is an absent value. `ids` may be given."""
    ids = columns.pop("ids", None)
    length = len(next(iter(columns.values()))) if columns else len(ids or ())
    arrays = {name: np.array([np.nan if each is None else each for each in column], float) for name, column in columns.items()}
    return Table(np.array(ids if ids is not None else range(1, length + 1), np.int64), arrays)


def a_notice(**changes: Any) -> Notice:
    """The opening of incident 12 of rule `slow`: a median of 7 min 12 s over the last hour, limit 5 min, at START."""
    values: dict[str, Any] = {
        "kind": Kind.OPENED,
        "rule": "slow",
        "title": "First answers are slow",
        "measure": "median time to the first answer",
        "unit": Unit.DURATION,
        "direction": "above",
        "level": Level.WARNING,
        "previous": None,
        "incident": 12,
        "at": START,
        "opened_at": START,
        "resolved_at": None,
        "window": HOUR,
        "value": 7.2 * MINUTE,
        "limit": 5.0 * MINUTE,
        "recover": 4.0 * MINUTE,
        "peak": 7.2 * MINUTE,
        "conversations": 34,
        "reason": Change.HELD.value,
    }
    return Notice(**(values | changes))


def a_group(number: int) -> Group:
    """One agent's group."""
    return Group("lastAgentId", number)


def a_verdict(
    value: float | None = None,
    *,
    at: Instant = START,
    group: Group | None = None,
    evidence: Evidence = Evidence.OK,
    rule: str = "slow",
) -> Verdict:
    """A verdict on one group as of `at`, over the hour before; its level is left to whoever judges."""
    window = Window(at - HOUR, at)
    level = Level.OK if evidence is Evidence.OK and value is not None else None
    return Verdict(rule, group or Group(), evidence, value, level, 30, 30, window, at, "because the test says so")
