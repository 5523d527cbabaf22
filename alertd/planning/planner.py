"""The plan: the fewest calls that together answer a set of needs, and where each need is answered.

Needs with the same server predicates on the same timestamp may share a request: it takes the hull of their windows, the union
of their metrics, and of the predicates that we can judge only those that they have in common. The rest is cut on our side,
with exactly the rows that each need's own query would have brought (I2).

They do share it where that brings few more rows than asking separately, and beyond that only as far as the budget needs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from alertd.facts import Window
from alertd.planning.knowledge import Knowledge
from alertd.planning.needs import Need
from alertd.reporting.query import Filter, Operation, Query

# How many rows more than separate queries a shared request may bring, where the budget does not force it.
MOST_EXTRA = 20_000

# When a conversation changed last: two answers to one question may differ in what changed in between (the audit).
CHANGED = "updatedAt"


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


@dataclass(frozen=True)
class Limits:
    """How far the planner goes. `most_calls` is what the budget allows these needs."""

    most_extra: int = MOST_EXTRA
    most_calls: int | None = None


@dataclass(frozen=True)
class _Cluster:
    """Needs that share a request, and what it costs: rows, and the rows that its members would bring separately."""

    server: frozenset[Filter]
    common: frozenset[Filter]
    window: Window
    members: tuple[Need, ...]
    rows: float
    separate: float
    calls: int

    @property
    def extra(self) -> float:
        return self.rows - self.separate


def alone(need: Need) -> Request:
    """The request that is this need's own query."""
    selection = need.selection
    return Request(selection.server | selection.local, need.window, selection.metrics)


def make_plan(needs: Iterable[Need], knowledge: Knowledge | None = None, limits: Limits | None = None) -> Plan:
    """Work out the calls for a set of needs. `knowledge` tells what queries bring and what the API bears."""
    knowledge, limits = knowledge or Knowledge(), limits or Limits()
    families: dict[tuple[frozenset[Filter], str], dict[tuple[frozenset[Filter], Window], list[Need]]] = {}
    answered_by: dict[Need, Request] = {}
    for need in dict.fromkeys(needs):
        selection = need.selection
        if selection in knowledge.apart:
            answered_by[need] = alone(need)
        else:
            family = families.setdefault((selection.server, selection.timestamp), {})
            family.setdefault((selection.local, need.window), []).append(need)
    clusters = [cluster for family in families.values() for cluster in _fuse(family, knowledge, limits.most_extra)]
    if limits.most_calls is not None:
        clusters = _squeeze(clusters, limits.most_calls - len(answered_by), knowledge)
    for cluster in clusters:
        request = _request(cluster)
        answered_by |= dict.fromkeys(cluster.members, request)
    return Plan(tuple(dict.fromkeys(answered_by.values())), answered_by)


def _fuse(
    family: Mapping[tuple[frozenset[Filter], Window], list[Need]], knowledge: Knowledge, most_extra: int
) -> list[_Cluster]:
    """Put each selection, the longest window first, where it brings the fewest rows more; or by itself."""
    clusters: list[_Cluster] = []
    for (local, window), members in sorted(family.items(), key=lambda each: -each[0][1].length):
        own = _cluster(members[0].selection.server, local, window, tuple(members), knowledge)
        joined = [(_join(cluster, own, knowledge), place) for place, cluster in enumerate(clusters)]
        good = [
            (each.rows - clusters[place].rows, place, each)
            for each, place in joined
            if _pays(each, clusters[place], own, most_extra)
        ]
        if good:
            _, place, best = min(good, key=lambda each: each[:2])
            clusters[place] = best
        else:
            clusters.append(own)
    return clusters


def _pays(joined: _Cluster, one: _Cluster, other: _Cluster, most_extra: int) -> bool:
    return joined.extra <= most_extra and joined.calls < one.calls + other.calls


def _squeeze(clusters: list[_Cluster], most_calls: int, knowledge: Knowledge) -> list[_Cluster]:
    """Join the cheapest pairs until the budget suffices, or nothing more can be saved."""
    clusters = list(clusters)
    while sum(each.calls for each in clusters) > most_calls:
        pairs = [
            (joined.extra - one.extra - other.extra, first, second, joined)
            for first, one in enumerate(clusters)
            for second, other in enumerate(clusters[:first])
            if (one.server, one.window.timestamp) == (other.server, other.window.timestamp)
            and (joined := _join(one, other, knowledge)).calls < one.calls + other.calls
        ]
        if not pairs:
            break
        _, first, second, joined = min(pairs, key=lambda each: each[:3])
        clusters[second] = joined
        del clusters[first]
    return clusters


def _cluster(
    server: frozenset[Filter], common: frozenset[Filter], window: Window, members: tuple[Need, ...], knowledge: Knowledge
) -> _Cluster:
    rows = knowledge.rows(server | common, window)
    return _Cluster(server, common, window, members, rows, rows, knowledge.calls(server | common, window))


def _join(one: _Cluster, other: _Cluster, knowledge: Knowledge) -> _Cluster:
    hull = replace(one.window, start=min(one.window.start, other.window.start), end=max(one.window.end, other.window.end))
    joined = _cluster(one.server, one.common & other.common, hull, one.members + other.members, knowledge)
    return replace(joined, separate=one.separate + other.separate)


def _request(cluster: _Cluster) -> Request:
    """One request for all members, with what it takes to cut each of them out again."""
    metrics = frozenset[str]().union(*(need.selection.metrics for need in cluster.members))
    if len(cluster.members) > 1:
        judged = {each.property for need in cluster.members for each in need.selection.local - cluster.common}
        cut = {cluster.window.timestamp} if any(need.window != cluster.window for need in cluster.members) else set()
        metrics = metrics | judged | cut | ({CHANGED} if judged or cut else set())
    return Request(cluster.server | cluster.common, cluster.window, metrics)
