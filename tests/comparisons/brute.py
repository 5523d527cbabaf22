"""Figures for comparisons, and local times as people read them off a clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import strategies as st

from alertd.comparisons.base import Figures, Related
from alertd.facts import Window

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def figures(*values: float | None, entered: int | Sequence[int] = 100, fired: Sequence[int] = ()) -> Figures:
    """One value a group, None where there is none; `fired` are the places of groups whose alert fired."""
    column = np.array([math.nan if each is None else each for each in values], float)
    counts = np.broadcast_to(np.array(entered, np.intp), column.shape)
    return Figures(column, counts, np.isin(np.arange(len(values)), list(fired)))


def plain(column: Any) -> list[float | None]:
    """A column with None where there is no value."""
    return [None if math.isnan(each) else each for each in column.tolist()]


def only(found: Related) -> float | None:
    """The value of the only group."""
    (value,) = plain(found.values)
    return value


def at(text: str, zone: str, *, second: bool = False) -> int:
    """The instant of a local time such as 2026-11-02 09:00; `second`: of a time that comes twice, the later one."""
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=int(second))
    return (local - _EPOCH) // timedelta(milliseconds=1)


def shown(instant: int, zone: str) -> str:
    """What a clock on the wall shows, with the weekday."""
    local = (_EPOCH + timedelta(milliseconds=instant)).astimezone(ZoneInfo(zone))
    return local.strftime("%a %Y-%m-%d %H:%M" + (":%S" if instant % 60_000 else ""))


def times(window: Window, zone: str) -> str:
    """A window as a clock on the wall shows its ends."""
    return f"{shown(window.start, zone)} to {shown(window.end, zone)}"


def tables(values: st.SearchStrategy[float], *, windows: st.SearchStrategy[int], most: int = 4) -> st.SearchStrategy[Any]:
    """Figures of now and of that many earlier windows (None: not known), with the same groups."""
    return st.tuples(st.integers(0, most), windows).flatmap(lambda size: _table(values, *size))


def _table(values: st.SearchStrategy[float], groups: int, windows: int) -> st.SearchStrategy[Any]:
    column = st.lists(st.none() | values, min_size=groups, max_size=groups)
    counts = st.lists(st.integers(0, 1000), min_size=groups, max_size=groups)
    fired = st.lists(st.sampled_from(range(groups)), max_size=groups) if groups else st.just([])
    one = st.builds(lambda cells, entered, then: figures(*cells, entered=entered, fired=then), column, counts, fired)
    return st.tuples(one, st.lists(st.none() | one, min_size=windows, max_size=windows))
