"""The plan: the fewest calls that together answer a set of needs, and where each need is answered.

Needs with the same server predicates on the same timestamp may share a request: it takes the hull of their windows, the union
of their metrics, and of the predicates that we can judge only those that they have in common. The rest is cut on our side,
with exactly the rows that each need's own query would have brought (I2).

They do share it where that brings few more rows than asking separately, and beyond that only as far as the budget needs it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from alertd.facts import Window
from alertd.planning.knowledge import Knowledge
from alertd.planning.needs import Need
from alertd.reporting.query import Filter, Operation, Query

# How many rows more than separate queries a shared request may bring, where the budget does not force it.
MOST_EXTRA = 20_000

# Where it does, that many times more are tried, so often; then any number.
_COARSER = 4
_STEPS = 5

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
    calls = math.inf if limits.most_calls is None else limits.most_calls - len(answered_by)
    for cluster in _fuse_all([_alone(family, knowledge) for family in families.values()], knowledge, limits.most_extra, calls):
        request = _request(cluster)
        answered_by |= dict.fromkeys(cluster.members, request)
    return Plan(tuple(dict.fromkeys(answered_by.values())), answered_by)


def _alone(family: Mapping[tuple[frozenset[Filter], Window], list[Need]], knowledge: Knowledge) -> list[_Cluster]:
    """Each selection and window by itself, the longest window first."""
    return [
        _cluster(members[0].selection.server, local, window, tuple(members), knowledge)
        for (local, window), members in sorted(family.items(), key=lambda each: -each[0][1].length)
    ]


def _fuse_all(families: Sequence[list[_Cluster]], knowledge: Knowledge, most_extra: float, most_calls: float) -> list[_Cluster]:
    """Share requests at the least cost in rows with which the calls suffice; with the fewest calls if none does."""
    steps = [MOST_EXTRA * _COARSER**step for step in range(_STEPS)]
    for extra in (most_extra, *(each for each in steps if each > most_extra)):
        clusters: list[_Cluster] = []
        for family in families:
            clusters += _fuse(family, knowledge, extra, most_calls)
            if sum(each.calls for each in clusters) > most_calls:
                break
        else:
            return clusters
    return [cluster for family in families for cluster in _fuse(family, knowledge, math.inf, math.inf)]


def _fuse(alone: list[_Cluster], knowledge: Knowledge, most_extra: float, most_calls: float) -> list[_Cluster]:
    """All together if that pays; else put each where it brings the fewest rows more, or leave it by itself.

    Ends early, with a part of the clusters, when there are too many of them anyway.
    """
    together = _join(alone, knowledge)
    if _pays(together, alone, most_extra):
        return [together]
    clusters: list[_Cluster] = []
    for own in alone:
        for place in _places(own, clusters, knowledge, most_extra):
            joined = _join((clusters[place], own), knowledge)
            if _pays(joined, (clusters[place], own), most_extra):
                clusters[place] = joined
                break
        else:
            clusters.append(own)
            if len(clusters) > most_calls:
                break
    return clusters


def _places(own: _Cluster, clusters: Sequence[_Cluster], knowledge: Knowledge, most_extra: float) -> list[int]:
    """Where it may pay to put it, the best place first."""
    found = []
    for place, other in enumerate(clusters):
        rows = knowledge.rows(own.server | (own.common & other.common), _hull(own.window, other.window))
        if rows - own.separate - other.separate <= most_extra:
            found.append((rows - other.rows, place))
    return [place for _, place in sorted(found)]


def _pays(joined: _Cluster, parts: Sequence[_Cluster], most_extra: float) -> bool:
    return joined.rows - joined.separate <= most_extra and joined.calls < sum(each.calls for each in parts)


def _cluster(
    server: frozenset[Filter], common: frozenset[Filter], window: Window, members: tuple[Need, ...], knowledge: Knowledge
) -> _Cluster:
    rows = knowledge.rows(server | common, window)
    return _Cluster(server, common, window, members, rows, rows, knowledge.calls(server | common, window))


def _join(parts: Sequence[_Cluster], knowledge: Knowledge) -> _Cluster:
    common = frozenset.intersection(*(each.common for each in parts))
    members = tuple(need for each in parts for need in each.members)
    joined = _cluster(parts[0].server, common, reduce(_hull, (each.window for each in parts)), members, knowledge)
    return replace(joined, separate=sum(each.separate for each in parts))


def _hull(one: Window, other: Window) -> Window:
    return Window(min(one.start, other.start), max(one.end, other.end), one.timestamp)


def _request(cluster: _Cluster) -> Request:
    """One request for all members, with what it takes to cut each of them out again."""
    metrics = frozenset[str]().union(*(need.selection.metrics for need in cluster.members))
    if len(cluster.members) > 1:
        judged = {each.property for need in cluster.members for each in need.selection.local - cluster.common}
        cut = {cluster.window.timestamp} if any(need.window != cluster.window for need in cluster.members) else set()
        metrics = metrics | judged | cut | ({CHANGED} if judged or cut else set())
    return Request(cluster.server | cluster.common, cluster.window, metrics)
