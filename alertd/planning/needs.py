"""A need: what one rule needs to know at one instant, a query with an absolute window."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from functools import lru_cache

from alertd.clock import Duration, Instant
from alertd.comparisons import VALUE
from alertd.comparisons.base import Comparison
from alertd.facts import CONVERSATION, Window
from alertd.measures.base import WAITING_METRICS
from alertd.reporting.predicates import certain
from alertd.reporting.query import Filter
from alertd.rulebook.rule import Rule


@dataclass(frozen=True)
class Selection:
    """Which conversations, whenever they were: predicates that only the API can judge, and those that we could judge too.

    Selections with the same `server` predicates and the same `timestamp` can share a request.
    """

    server: frozenset[Filter]
    local: frozenset[Filter]
    timestamp: str
    metrics: frozenset[str]
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Thousands of needs are looked up in every tick; their parts do not change.
        object.__setattr__(self, "_hash", hash((self.server, self.local, self.timestamp, self.metrics)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(frozen=True)
class Need:
    """A selection in a window. Equal needs have the same answer."""

    selection: Selection
    window: Window


@dataclass(frozen=True)
class Needs:
    """What one rule needs: the selection, for a share that only the API can judge its numerator, and the same in every
    other window that it is compared with and that nobody remembers.
    """

    selection: Need
    numerator: Need | None = None
    earlier: tuple[Needs, ...] = ()

    def all(self) -> tuple[Need, ...]:
        """All of them."""
        own = (self.selection, self.numerator) if self.numerator else (self.selection,)
        return (*own, *(need for each in self.earlier for need in each.all()))


def needs_of(rule: Rule, as_of: Instant, remembered: Collection[Window] = ()) -> Needs:
    """What the rule needs to know to be judged as of that instant. `remembered` are windows that need not be asked again."""
    window = rule.window_at(as_of)
    found = _selections(frozenset(rule.filters), _metrics(rule), rule.timestamp, frozenset(rule.measure.numerator))
    others = (each for each in compared_with(rule, window) if each not in remembered)
    return _in_window(found, window, tuple(_in_window(found, each) for each in others))


def _in_window(found: tuple[Selection, ...], window: Window, earlier: tuple[Needs, ...] = ()) -> Needs:
    numerator = Need(found[1], window) if len(found) > 1 else None
    return Needs(Need(found[0], window), numerator, earlier)


def compared_with(rule: Rule, window: Window) -> tuple[Window, ...]:
    """The other windows that a rule's comparison looks at, beside this one."""
    return () if rule.compare == VALUE else _compared_with(rule.compare, window, rule.timezone, rule.every)


@lru_cache(maxsize=20_000)  # days back by the clock on the wall cost something, and each check asks three times
def _compared_with(comparison: Comparison, window: Window, timezone: str, every: Duration) -> tuple[Window, ...]:
    return comparison.windows(window, timezone, every)


@lru_cache(maxsize=50_000)
def _selections(
    filters: frozenset[Filter], metrics: frozenset[str], timestamp: str, numerator: frozenset[Filter]
) -> tuple[Selection, ...]:
    wanted = _split(filters, timestamp, metrics)
    return (wanted, _split(filters | numerator, timestamp, frozenset())) if numerator else (wanted,)


def _split(filters: frozenset[Filter], timestamp: str, metrics: frozenset[str]) -> Selection:
    local = frozenset(each for each in filters if certain(each))
    return Selection(filters - local, local, timestamp, metrics)


def _metrics(rule: Rule) -> frozenset[str]:
    waiting = WAITING_METRICS if rule.as_waited else ()
    grouping = (rule.by,) if rule.by and rule.by != CONVERSATION else ()
    return frozenset((*rule.measure.metrics, *waiting, *grouping))
