"""Requests to a fake API, and what it was asked."""

from __future__ import annotations

from alertd.clock import HOUR, MINUTE, Duration
from alertd.facts import Window
from alertd.planning.fetching import Answer, Order, Source
from alertd.planning.planner import Request
from alertd.reporting.query import Operation, Query
from alertd.testing import START, FakeApi, FakeClock

LATER = 1000 * HOUR  # a deadline that nobody meets


def a_request(minutes: int = 60, *, start: int = START - HOUR, metric: str = "cqlScore") -> Request:
    return Request(frozenset(), Window(start, start + minutes * MINUTE), frozenset({metric}))


def fetch(source: Source, *requests: Request, deadline: Duration = LATER) -> list[Answer]:
    found = dict(source.fetch([Order(request, deadline) for request in requests]))
    return [found[request] for request in requests]


def window(query: Query) -> tuple[int, int]:
    start, end = (
        next(int(each.values[0]) for each in query.filters if each.operation is name) for name in (Operation.GTE, Operation.LT)
    )
    return start, end


def an_api(clock: FakeClock, *, conversations: int = 60) -> FakeApi:
    api = FakeApi(clock)
    for number in range(conversations):
        api.add(START - HOUR + number * MINUTE, cqlScore=number)
    return api
