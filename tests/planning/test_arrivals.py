"""I1 from end to end: several sources on one store, whatever the network does to their calls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND, Duration
from alertd.errors import BadQuery, Incomplete, TimedOut, TooManyRequests, Unreachable
from alertd.facts import Window
from alertd.planning.demand import Urgency
from alertd.planning.fetching import Answer, Order, Source
from alertd.planning.planner import Request
from alertd.reporting.budget import TRAVEL, Budget
from alertd.reporting.gate import Gate
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.store.database import Database, open_database
from alertd.store.tables import refusals, slots
from alertd.testing import START, FakeClock

PATIENCE = 10 * SECOND


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@dataclass
class World:
    """Sources that take turns, also while a call of another one is under way; `arrived` is what the API sees."""

    database: Database
    limit: int
    luck: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    arrived: list[Duration] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    busy: set[int] = field(default_factory=set)
    ends: Duration = 0

    def __post_init__(self) -> None:
        with self.database.write() as transaction:
            transaction.execute(sa.delete(slots))
            transaction.execute(sa.delete(refusals))
        self.fetches = [self._endless(self._source()) for _ in range(3)]

    def run(self, lasts: Duration) -> None:
        self.ends = self.clock.uptime() + lasts
        while self.clock.uptime() < self.ends:
            self._turn()
            if self.luck.random() < 0.05:
                self.clock.set_wall(START + self.luck.randint(-HOUR, HOUR))

    def _turn(self) -> None:
        """Somebody who is not waiting for an answer fetches one more."""
        place = self.luck.choice([each for each in range(3) if each not in self.busy])
        self.busy.add(place)
        next(self.fetches[place])
        self.busy.discard(place)

    def _endless(self, source: Source) -> Iterator[tuple[Request, Answer]]:
        while True:
            orders = [self._order(self.clock.uptime()) for _ in range(self.luck.randint(1, 4))]
            yield from source.fetch(orders)

    def _order(self, now: Duration) -> Order:
        start = next(self.numbers) * MINUTE
        window = Window(start, start + self.luck.choice((MINUTE, HOUR)))
        return Order(
            Request(frozenset(), window, frozenset()), now + self.luck.randint(0, HOUR), self.luck.choice(list(Urgency))
        )

    def _source(self) -> Source:
        budget = Budget(self.database, self.clock, calls_per_minute=self.limit, reserve=0)
        gate = Gate(lambda: "token", self.clock)
        return Source(self._call, budget, gate, self.clock, patience=PATIENCE, pause=self.clock.advance)

    def _call(self, _query: Query) -> Table:
        travels = self.luck.choice((0, 5, 400, 4 * SECOND))
        self.clock.advance(travels)
        if self.luck.random() < 0.1:  # given up; whether and when it arrives nobody knows
            self.clock.advance(PATIENCE - travels)
            self.arrived.append(self.clock.uptime() + self.luck.randint(0, TRAVEL))
            raise TimedOut("slow", answered=False)
        self.arrived.append(self.clock.uptime())
        while len(self.busy) < 3 and self.clock.uptime() < self.ends and self.luck.random() < 0.6:
            self._turn()
        self.clock.advance(self.luck.choice((0, 5, 400, 4 * SECOND)))
        if self.luck.random() < 0.1:
            raise self.luck.choice([Incomplete("cut"), BadQuery("bad"), TooManyRequests("429"), Unreachable("5xx")])
        return Table(np.array([], np.int64))


@given(st.integers(0, 10**9), st.integers(1, 6))
@settings(max_examples=12, deadline=None)
def test_in_no_minute_more_calls_arrive_than_the_limit(database: Database, seed: int, limit: int) -> None:
    world = World(database, limit, random.Random(seed))
    world.run(5 * MINUTE)
    arrived = sorted(world.arrived)
    assert all(later - earlier >= MINUTE for earlier, later in zip(arrived, arrived[limit:], strict=False))
    assert len(arrived) > limit
