"""How soon the embedded API is ready, and how long its slowest query takes. Prints figures, asserts nothing about time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from alertd.clock import DAY
from alertd.sandbox.answer import answer, parse_query
from alertd.sandbox.traffic import Generated, Traffic

NOW = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
CONVERSATIONS = 100_000
DAYS = 30

NUMBERS = ["createdAt", "updatedAt", "lastAgentId", "firstAgentMessageAt", "firstCloseAt", "timeToAgentResponseMillis"]
NUMBERS += ["numEndUserMessages", "endUserId"]
QUERIES: dict[str, dict[str, Any]] = {
    "all, 8 metrics": {"filters": [], "metrics": NUMBERS},
    "all, 1 metric": {"filters": [], "metrics": ["timeToCloseMillis"]},
    "last 15 minutes": {
        "filters": [{"property": "createdAt", "operation": "GTE", "values": [NOW - DAY // 96]}],
        "metrics": NUMBERS,
    },
    "six filters": {
        "filters": [
            {"property": "pageUrl", "operation": "CONTAINS", "values": ["pricing"]},
            {"property": "tags", "operation": "NOT_CONTAINS", "values": ["vip"]},
            {"property": "status", "operation": "NOT_IN", "values": ["archived", "pending"]},
            {"property": "updatedAt", "operation": "BETWEEN", "values": ["2026-10-01", "2026-11-02"]},
            {"property": "botStatus", "operation": "NOT_EQ", "values": ["BOT_ONLY"]},
            {"property": "lastAgentId", "operation": "HAS_PROPERTY"},
        ],
        "metrics": NUMBERS,
    },
}


def best_of(times: int, work: Callable[[], object]) -> tuple[float, float]:
    """The quickest and the slowest run, in milliseconds."""
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append((time.perf_counter() - start) * 1000)
    return min(took), max(took)


def ask(world: Generated, body: bytes) -> bytes:
    return answer(world.at(NOW), parse_query(body))


def test_ready_and_queries() -> None:
    start = time.perf_counter()
    world = Generated(Traffic(per_day=CONVERSATIONS / DAYS * 1.02), NOW, days=DAYS)
    ready = time.perf_counter() - start
    print(f"\n{len(world.at(NOW).ids):,} conversations ready in {ready:.2f} s")
    for name, query in QUERIES.items():
        body = msgspec.json.encode(query)
        quick, slow = best_of(7, partial(ask, world, body))
        print(f"{name:>16}: {quick:6.1f} ms, slowest of 7 {slow:6.1f} ms")
    assert len(world.at(NOW).ids) > 0.9 * CONVERSATIONS
