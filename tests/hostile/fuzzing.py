"""What the tests of this folder share: how often they try, what an error may say, and how much memory may be used up."""

from __future__ import annotations

import os
import tracemalloc
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from alertd.errors import AlertdError

# How many times as many examples as in `make test`; the soak sets it.
TIMES = int(os.environ.get("ALERTD_HOSTILE_TIMES", "1"))
LONGEST = 1_500  # letters that an error has at most
TOKEN = "canary-77aa01"  # a secret that nobody may repeat

_CHECKS = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def tried(examples: int) -> Callable[[Any], Any]:
    """So many examples, more in the soak; however slow the machine is."""
    return settings(max_examples=examples * TIMES, deadline=None, suppress_health_check=_CHECKS)


def check(problem: AlertdError) -> str:
    """An error that may be told: it says something, not without end, in characters that move no cursor, and no secret."""
    said = str(problem)
    assert said.strip()
    assert len(said) <= LONGEST, len(said)
    assert all(letter == "\n" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for letter in said), repr(
        said
    )
    assert TOKEN not in said + repr(problem.args)
    return said


@contextmanager
def little_memory(mebibytes: int = 16) -> Iterator[None]:
    """What is done inside needs no more than that at any time."""
    tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - before < mebibytes * 2**20, f"{(peak - before) >> 20} MiB"


numbers = st.integers() | st.floats() | st.sampled_from([2**63, -(2**63) - 1, 10**400, 10**4299])
words = st.text(max_size=20) | st.sampled_from(["", "ok", "\ud800", "\0", "NaN", "xoxb-" + TOKEN, "x" * 10_000])
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=8,
)


def deep(levels: int) -> bytes:
    """JSON that is nested so deep."""
    return b'{"ok": true, "data": ' + b"[" * levels + b"]" * levels + b"}"
