"""How long a large answer takes to become a table. Prints; asserts nothing about time."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from alertd.reporting.decode import decode

ROWS = 100_000
METRICS = tuple("abcdefgh")


def body() -> bytes:
    dice = random.Random(1)
    rows = [
        {
            "conversationId": 852_054_511 + n,
            "metrics": ["NaN" if dice.random() < 0.125 else dice.randrange(10**12) for _ in METRICS],
        }
        for n in range(ROWS)
    ]
    return json.dumps({"count": ROWS, "data": rows}, separators=(",", ":")).encode()


def naive(text: bytes) -> int:
    rows = json.loads(text)["data"]
    np.array([each["conversationId"] for each in rows])
    np.array([[np.nan if value == "NaN" else value for value in each["metrics"]] for each in rows], dtype=float)
    return len(rows)


def milliseconds(todo: Callable[[], object]) -> float:
    times = []
    for _ in range(7):
        start = time.perf_counter()
        todo()
        times.append(time.perf_counter() - start)
    return sorted(times)[3] * 1000


def test_decode_beside_json_loads(capsys: pytest.CaptureFixture[str]) -> None:
    quoted = body()
    bare = quoted.replace(b'"NaN"', b"NaN")
    figures = {
        'decode, "NaN"': milliseconds(lambda: decode(quoted, METRICS)),
        "decode, bare NaN": milliseconds(lambda: decode(bare, METRICS)),
        "json.loads alone": milliseconds(lambda: json.loads(quoted)),
        "json.loads to arrays": milliseconds(lambda: naive(quoted)),
    }
    tracemalloc.start()
    assert len(decode(quoted, METRICS)) == ROWS
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with capsys.disabled():
        print(f"\n{ROWS:,} rows x {len(METRICS)} metrics, {len(quoted) / 1e6:.1f} MB, median of 7")
        for name, figure in figures.items():
            print(f"  {name:22}{figure:8.1f} ms")
        print(f"  {'peak memory':22}{peak / 2**20:8.1f} MiB for {ROWS * (len(METRICS) + 1) * 8 / 2**20:.1f} MiB of numbers")
