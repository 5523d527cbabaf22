"""The plan: the calls that together answer a set of needs, and where each need is answered.

Needs that ask the same of the API are one request with all their metrics.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alertd.facts import Window
from alertd.planning.needs import Need
from alertd.reporting.query import Filter, Operation, Query
from alertd.reporting.table import Table


@dataclass(frozen=True)
class Request:
    """One question to the API."""

    filters: frozenset[Filter]
    window: Window
    metrics: frozenset[str]

    def query(self, window: Window | None = None) -> Query:
        """The query for the whole window, or for a slice of it.

        Windows go as GTE and LT in epoch milliseconds: what BETWEEN and date strings mean at their ends is not documented.
        """
        span = window or self.window
        bounds = (Filter(span.timestamp, Operation.GTE, (span.start,)), Filter(span.timestamp, Operation.LT, (span.end,)))
        return Query((*sorted(self.filters, key=repr), *bounds), tuple(sorted(self.metrics)))


@dataclass(frozen=True)
class Plan:
    """Requests, and for every need the one that answers it."""

    requests: tuple[Request, ...]
    answered_by: Mapping[Need, Request]


def make_plan(needs: Iterable[Need]) -> Plan:
    """Work out the calls for a set of needs."""
    metrics: dict[tuple[frozenset[Filter], Window], frozenset[str]] = {}
    wanted = list(dict.fromkeys(needs))
    for need in wanted:
        key = (need.filters, need.window)
        metrics[key] = metrics.get(key, frozenset()) | need.metrics
    requests = {key: Request(*key, union) for key, union in metrics.items()}
    return Plan(tuple(requests.values()), {need: requests[need.filters, need.window] for need in wanted})


def cut(need: Need, table: Table) -> Table:
    """What the need's own query would have returned, out of its request's table (I2)."""
    return Table(table.ids, {name: table.columns[name] for name in need.metrics})
