"""The forecast: the planner and the queue, run over one full cycle of the schedule without calling.

A rulebook fits when every request gets its slot before its deadline (half of its fastest rule's `every`), also when most
rules are due together.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from alertd.clock import DAY, HOUR, MINUTE, Duration, Instant
from alertd.planning.demand import LATENCY, Urgency, Wanted, affordable
from alertd.planning.knowledge import Knowledge
from alertd.planning.needs import needs_of
from alertd.planning.planner import Limits, Request, make_plan
from alertd.rulebook.rule import Rule
from alertd.rulebook.schedules import Grid, Schedule

# A cycle longer than this is cut here: what comes together less often than daily is not the worst that happens.
_LONGEST_CYCLE = DAY

# Where the cycle begins if any rule has a schedule by date; else at 0, when everything on the grid is due together.
_MONDAY: Instant = 2922 * 7 * DAY + 4 * DAY

# Calls that are a few too many fall behind a little more with every cycle: it takes a while until that is too late.
_SHORTEST_RUN = HOUR


_Instants: TypeAlias = Sequence[tuple[Instant, frozenset[Schedule]]]


@dataclass(frozen=True)
class Terms:
    """What the forecast assumes of the budget and the API."""

    usable: int = 54  # calls a minute that are ours
    latency: Duration = LATENCY


@dataclass(frozen=True)
class Planned:
    """One request of the cycle: how often it is asked, for which rules, in how many calls, and how late at worst."""

    every: Duration
    request: Request
    rules: tuple[str, ...]
    calls: int
    latest: Duration  # the longest that it waits for its last slot
    patience: Duration

    @property
    def fits(self) -> bool:
        """Whether it always gets its slots in time."""
        return self.latest <= self.patience


@dataclass(frozen=True)
class Forecast:
    """What a rulebook will ask."""

    rules: int
    cycle: Duration
    worst_minute: int  # the most calls sent in any 60 s
    mean_per_minute: float
    critical_minute: int  # the same, of requests for critical rules
    requests: tuple[Planned, ...]
    cost_by_rule: Mapping[str, float] = field(default_factory=dict)  # calls a minute, shared requests shared out evenly
    cost_by_owner: Mapping[str, float] = field(default_factory=dict)
    usable: int = 54

    @property
    def fits(self) -> bool:
        """Whether every request gets its turn in time."""
        return all(each.fits for each in self.requests)

    @property
    def headroom(self) -> float:
        """Calls a minute that are left on average."""
        return self.usable - self.mean_per_minute

    @property
    def late(self) -> tuple[Planned, ...]:
        """The requests that do not get their turn in time, the latest first."""
        return tuple(sorted((each for each in self.requests if not each.fits), key=lambda each: -each.latest))


@dataclass(frozen=True)
class _Order:
    """One request of a batch: its place in the queue, how long it may wait, and in how many calls it is asked."""

    request: Request
    rules: tuple[str, ...]
    urgency: Urgency
    patience: Duration
    calls: int


def forecast(rules: Iterable[Rule], knowledge: Knowledge | None = None, terms: Terms | None = None) -> Forecast:
    """Run the schedule for one cycle and at least an hour, from an instant at which everything is due."""
    book, known, terms = tuple(rules), knowledge or Knowledge(), terms or Terms()
    cycle = _cycle(book)
    instants = _instants(frozenset(each.schedule for each in book), cycle)
    together = {due for _, due in instants}
    batches = {due: _batch([each for each in book if each.schedule in due], known, terms) for due in together}
    queue = _run(instants, batches, cycle, terms)
    costs = _costs(batches, Counter(due for _, due in instants), cycle)
    by_id = {each.id: each for each in book}
    return Forecast(
        rules=len(book),
        cycle=cycle,
        worst_minute=_most_in_a_minute(queue.sent),
        mean_per_minute=sum(costs.values()),
        critical_minute=_most_in_a_minute(queue.critical),
        requests=tuple(_planned(each, by_id, queue.latest) for each in _shown(batches)),
        cost_by_rule=costs,
        cost_by_owner=_by_owner(costs, by_id),
        usable=terms.usable,
    )


def _shown(batches: Mapping[frozenset[Schedule], tuple[_Order, ...]]) -> Iterator[_Order]:
    """The requests at the instant at which most is due, and those of rules that are never due then."""
    covered: set[str] = set()
    for due in sorted(batches, key=len, reverse=True):
        orders = [order for order in batches[due] if not covered.issuperset(order.rules)]
        yield from orders
        covered.update(rule for order in orders for rule in order.rules)


def _run(
    instants: _Instants, batches: Mapping[frozenset[Schedule], tuple[_Order, ...]], cycle: Duration, terms: Terms
) -> _Queue:
    queue = _Queue(terms)
    for start in range(0, max(_SHORTEST_RUN, cycle), cycle):
        for at, due in instants:
            queue.arrive(start + at, batches[due])
    queue.run(math.inf)
    return queue


class _Queue:
    """The queue and the slots in a time of their own: who is sent when."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._slots: list[float] = [0.0] * terms.usable  # when each is free
        self._waiting: list[tuple[Urgency, float, int, float, _Order]] = []
        self._number = 0
        self._now = 0.0
        self.sent: list[float] = []
        self.critical: list[float] = []
        self.latest: dict[str, float] = {}  # by rule, the longest wait for a slot

    def arrive(self, at: Instant, orders: Sequence[_Order]) -> None:
        """At that instant these requests are put into the queue."""
        self.run(at)
        self._now = at
        for order in orders:
            for _ in range(order.calls):
                self._number += 1
                heapq.heappush(self._waiting, (order.urgency, at + order.patience, self._number, at, order))

    def run(self, until: float) -> None:
        """Send what can be sent before that instant."""
        while self._waiting:
            start = max(self._now, self._slots[0])
            if start >= until:
                return
            _, deadline, _, arrived, order = heapq.heappop(self._waiting)
            self._note(order, start - arrived)
            if start > deadline:
                continue  # it is given up, and costs nothing more
            self._now = start
            heapq.heapreplace(self._slots, start + self._terms.latency + MINUTE)
            self.sent.append(start)
            if order.urgency is Urgency.CRITICAL:
                self.critical.append(start)

    def _note(self, order: _Order, waited: float) -> None:
        if waited > 0:
            for rule in order.rules:
                self.latest[rule] = max(waited, self.latest.get(rule, 0.0))


def _cycle(book: Sequence[Rule]) -> Duration:
    if any(each.cron for each in book):
        return 7 * DAY
    return min(math.lcm(*(each.every for each in book)), _LONGEST_CYCLE) if book else MINUTE


@lru_cache(maxsize=4)  # a reload seldom changes them, and there are thousands in a week
def _instants(schedules: frozenset[Schedule], cycle: Duration) -> _Instants:
    """The due instants of the cycle in order, counted from its beginning, each with the schedules that are due."""
    start = _MONDAY if any(not isinstance(each, Grid) for each in schedules) else 0
    found: dict[Instant, set[Schedule]] = {}
    for schedule in schedules:
        for at in schedule.between(start - 1, start + cycle - 1):
            found.setdefault(at - start, set()).add(schedule)
    return tuple((at, frozenset(found[at])) for at in sorted(found))


def _batch(due: Sequence[Rule], knowledge: Knowledge, terms: Terms) -> tuple[_Order, ...]:
    """What is asked when these rules are due, as if nothing were remembered. Only distances in time matter."""
    wanted = {rule.id: Wanted(rule, _MONDAY) for rule in due}
    needs = {rule.id: needs_of(rule, _MONDAY - rule.delay).all() for rule in due}
    limits = Limits(most_calls=affordable(due, terms.usable))
    plan = make_plan((need for each in needs.values() for need in each), knowledge, limits)
    served: dict[Request, dict[str, Wanted]] = {}
    for rule, each in needs.items():
        for need in each:
            served.setdefault(plan.answered_by[need], {})[rule] = wanted[rule]
    return tuple(_order(request, rules, knowledge) for request, rules in served.items())


def _order(request: Request, rules: Mapping[str, Wanted], knowledge: Knowledge) -> _Order:
    return _Order(
        request,
        tuple(rules),
        min(each.place for each in rules.values()),
        min(each.patience for each in rules.values()),
        knowledge.calls(request.filters, request.window),
    )


def _costs(
    batches: Mapping[frozenset[Schedule], tuple[_Order, ...]], often: Mapping[frozenset[Schedule], int], cycle: Duration
) -> dict[str, float]:
    """Calls a minute by rule; those of a shared request are shared out evenly."""
    costs: dict[str, float] = {}
    for due, orders in batches.items():
        for order in orders:
            share = order.calls * often[due] * MINUTE / cycle / len(order.rules)
            for rule in order.rules:
                costs[rule] = costs.get(rule, 0.0) + share
    return costs


def _by_owner(costs: Mapping[str, float], book: Mapping[str, Rule]) -> dict[str, float]:
    found: dict[str, float] = {}
    for rule, cost in costs.items():
        owner = book[rule].owner or "nobody"
        found[owner] = found.get(owner, 0.0) + cost
    return found


def _planned(order: _Order, book: Mapping[str, Rule], latest: Mapping[str, float]) -> Planned:
    every = min(book[each].every for each in order.rules)
    waited = max((latest.get(rule, 0.0) for rule in order.rules), default=0.0)
    return Planned(every, order.request, order.rules, order.calls, round(waited), order.patience)


def _most_in_a_minute(moments: Sequence[float]) -> int:
    """The most of these moments in any 60 s."""
    first = most = 0
    for place, moment in enumerate(moments):
        while moments[first] <= moment - MINUTE:
            first += 1
        if place - first >= most:
            most = place - first + 1
    return most
