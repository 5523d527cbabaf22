"""One rule's answer is a bomb, a drip or an endless flood: the other rules are judged all the same, in the same check."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from alertd.clock import SECOND
from alertd.errors import ReportingError
from alertd.facts import Evidence, Kind
from alertd.reporting.client import ReportingClient
from alertd.reporting.http import Http
from alertd.reporting.query import Query, parse_filter
from alertd.store.database import Database, open_database
from alertd.testing import a_source
from tests.evaluation.world import World, scored
from tests.hostile.fuzzing import TOKEN, deep, little_memory
from tests.reporting.hostile import (
    Behaviour,
    Hostile,
    Talk,
    answers,
    drips,
    floods,
    gzip_bomb,
    hangs_up,
    is_silent,
    resets,
    says,
)

PENDING = parse_filter({"property": "status", "operation": "EQ", "values": ["pending"]})
SHORT = SECOND // 2  # what a call may take here; of a server that never ends the test waits for that
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"

HOSTILE: dict[str, Behaviour] = {
    "a gzip bomb": answers(gzip_bomb(100), headers="Content-Encoding: gzip\r\n"),
    "a flood": floods(JSON + b"\r\n", b'{"count": 1, "data": [' + b" " * 65_536, 100),
    "an endless number": floods(JSON + b'\r\n{"count": ', b"9" * 65_536, 100),
    "deep JSON": answers(deep(1_000_000)),
    "a count that lies": answers(b'{"count": 9000000000000000000, "data": []}'),
    "HTML": answers(b"<html>" * 1000),
    "dripping headers": drips(b"HTTP/1.1 200 OK\r\n", forever=b"X: y\r\n"),
    "a dripping body": drips(JSON + b"Content-Length: 100000\r\n\r\n", forever=b" "),
    "silence": is_silent,
    "no answer": hangs_up,
    "a cut answer": resets,
    "429 for ever": answers(status=429, headers="Retry-After: 99999999999999999999\r\n"),
}
ENDLESS = ("dripping headers", "a dripping body", "silence")


def proper(body: bytes) -> bytes:
    """The answer to a query: twenty conversations whose every metric is 20."""
    metrics = json.loads(body)["metrics"]
    rows = [{"conversationId": number, "metrics": [20] * len(metrics)} for number in range(20)]
    return json.dumps({"count": 20, "data": rows}).encode()


def hostile_to(words: bytes, behaviour: Behaviour, requests: Callable[[], list[bytes]]) -> Behaviour:
    """An API that answers all queries as it should but those in which these words are."""

    def behave(talk: Talk) -> bool:
        request = requests()[-1]
        return behaviour(talk) if words in request else answers(proper(request.partition(b"\r\n\r\n")[2]))(talk)

    return behave


@pytest.fixture
def store() -> Database:
    return open_database("sqlite://")


@pytest.mark.parametrize("how", [pytest.param(how, marks=[pytest.mark.long] if how in ENDLESS else []) for how in HOSTILE])
def test_an_answer_that_is_an_attack_costs_only_its_rule(store: Database, how: str) -> None:
    server = Hostile(hostile_to(b'"pending"', HOSTILE[how], lambda: server.requests))
    with server, Http() as http:
        client = ReportingClient(http, lambda: TOKEN, base_url=server.url, deadline=SHORT, most_bytes=8 * 2**20)
        hit, peaks = scored(id="hit", filters=(PENDING,)), scored(id="peaks", measure={"max": "cqlScore"})
        world = World.of(store, scored(id="before"), hit, peaks)
        world.source = a_source(client.ask, store, world.clock)
        found = world.check()
    evidence, told = found.pop("hit")
    assert found == {"before": (Evidence.OK, Kind.OPENED), "peaks": (Evidence.OK, Kind.OPENED)}
    assert evidence is not Evidence.OK
    assert told is None
    assert [alert.rule for alert in world.alerts] == ["before", "peaks"]
    assert all(TOKEN not in str(row) for rows in world.dump().values() for row in rows)


@pytest.mark.parametrize("body", [b" " * 2**22, b'{"count": 1, "data": [' + b" " * 2**22 + b"x", gzip_bomb(8)])
def test_an_error_that_is_kept_does_not_keep_the_answer(body: bytes) -> None:
    packed = "Content-Encoding: gzip\r\n" if body.startswith(b"\x1f") else ""
    behaviours = [answers(body, status, packed) for status in (200, 500, 404)] + [
        says(JSON + b"Content-Length: 9999999\r\n\r\n" + body)
    ]
    kept = []
    with Hostile(*behaviours * 6) as server, Http() as http, little_memory(48):
        client = ReportingClient(http, lambda: TOKEN, base_url=server.url, most_bytes=6 * 2**20)
        for _ in range(24):
            with pytest.raises(ReportingError) as caught:
                client.ask(Query((PENDING,), ("cqlScore",)))
            kept.append(caught.value)
    assert len(kept) == 24
