"""A need: what one rule needs to know at one instant, a query with an absolute window."""

from __future__ import annotations

from dataclasses import dataclass

from alertd.clock import Instant
from alertd.facts import CONVERSATION, Window
from alertd.measures.base import WAITING_METRICS
from alertd.reporting.query import Filter
from alertd.rulebook.rule import Rule


@dataclass(frozen=True)
class Need:
    """Conversations by filters and window, with the metrics wanted of each. Equal needs have the same answer."""

    filters: frozenset[Filter]
    window: Window
    metrics: frozenset[str]


@dataclass(frozen=True)
class Needs:
    """What one rule needs: the selection, and for a share that only the API can judge its numerator."""

    selection: Need
    numerator: Need | None = None


def needs_of(rule: Rule, as_of: Instant) -> Needs:
    """What the rule needs to know to be judged as of that instant."""
    window = Window(as_of - rule.window, as_of, rule.timestamp)
    filters = frozenset(rule.filters)
    selection = Need(filters, window, frozenset(_metrics(rule)))
    extra = rule.measure.numerator
    return Needs(selection, Need(filters | set(extra), window, frozenset()) if extra else None)


def _metrics(rule: Rule) -> set[str]:
    waiting = WAITING_METRICS if rule.as_waited else ()
    grouping = (rule.by,) if rule.by and rule.by != CONVERSATION else ()
    return {*rule.measure.metrics, *waiting, *grouping}
