"""What earlier answers taught: how many rows a minute a query brings, and how long a window the API bears for it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise

from alertd.clock import MINUTE, Duration
from alertd.facts import Window
from alertd.planning.needs import Selection
from alertd.reporting.query import Filter

# What a query brings that was never asked: a busy team's conversations, so that a first plan rather asks too narrowly.
UNKNOWN_RATE = 10.0

# Queries with up to so many of its filters tell what a query may bring.
_TELLING = 3

# A window that failed is tried this much longer again after that many good answers at the length that worked.
_GROW = 1.25
_GOOD_BEFORE_GROWTH = 20

# How much of the old rate stays when a new answer comes: rates follow the hour of the day.
_MEMORY = 0.8


@dataclass(frozen=True)
class Lesson:
    """What is known of one query. `rate` in rows a minute; `bears` the longest window (ms) that it may ask for at once."""

    rate: float | None = None
    bears: Duration | None = None
    good: int = 0  # answers in a row at the length it bears


@dataclass
class Knowledge:
    """Lessons by the filters of the query, and what must stay apart. Thread-safe."""

    lessons: dict[frozenset[Filter], Lesson] = field(default_factory=dict)
    apart: frozenset[Selection] = frozenset()  # selections that must not share a request, until the rulebook changes
    _answers: int = field(default=0, repr=False)  # good answers to any query
    _taught: dict[frozenset[Filter], int] = field(default_factory=dict, repr=False)  # how many there were at the last failure
    _changed: set[frozenset[Filter]] = field(default_factory=set, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def rows(self, filters: frozenset[Filter], window: Window) -> float:
        """How many rows that query will bring, as far as one can tell: one with more filters never brings more."""
        return self._rate(filters) * window.length / MINUTE

    def calls(self, filters: frozenset[Filter], window: Window) -> int:
        """How many calls that query takes."""
        lesson = self.lessons.get(filters)
        return 1 if lesson is None or lesson.bears is None else max(1, math.ceil(window.length / lesson.bears))

    def slices(self, filters: frozenset[Filter], window: Window) -> tuple[Window, ...]:
        """The window in as many equal parts as calls are needed."""
        count = self.calls(filters, window)
        edges = [window.start + window.length * part // count for part in range(count + 1)]
        return tuple(replace(window, start=start, end=end) for start, end in pairwise(edges))

    def take_changes(self) -> dict[frozenset[Filter], Lesson]:
        """The lessons that are new since this was called last."""
        with self._lock:
            changed, self._changed = self._changed, set()
            return {filters: self.lessons[filters] for filters in changed}

    def answered(self, filters: frozenset[Filter], window: Window, rows: int) -> None:
        """Learn from a good answer to that query."""
        self.observed(filters, window, rows)
        with self._lock:
            self._answers += 1
            self._set(filters, _grown(self.lessons[filters], window))

    def observed(self, filters: frozenset[Filter], window: Window, rows: int) -> None:
        """Learn what that query would have brought, from rows that were cut out of another answer."""
        rate = rows * MINUTE / max(window.length, 1)
        with self._lock:
            lesson = self.lessons.get(filters, Lesson())
            known = rate if lesson.rate is None else _MEMORY * lesson.rate + (1 - _MEMORY) * rate
            self._set(filters, replace(lesson, rate=known))

    def failed(self, filters: frozenset[Filter], window: Window) -> None:
        """Learn that a window was too long: half of it is what is asked next time.

        Where nothing at all was answered since the last such lesson, the API is slow rather than the window long.
        """
        with self._lock:
            if self._taught.get(filters) == self._answers:
                return
            self._taught[filters] = self._answers
            lesson = self.lessons.get(filters, Lesson())
            half = window.length // 2
            bears = half if lesson.bears is None else min(half, lesson.bears)
            self._set(filters, replace(lesson, bears=bears, good=0))

    def keep_apart(self, selection: Selection) -> None:
        """Ask this selection by itself from now on: it spoilt a shared request, or was not what its own query brings."""
        with self._lock:
            self.apart |= {selection}

    def new_rulebook(self) -> None:
        """Rules have changed: everything may share requests again."""
        with self._lock:
            self.apart = frozenset()

    def _set(self, filters: frozenset[Filter], lesson: Lesson) -> None:
        self.lessons[filters] = lesson
        self._changed.add(filters)

    def _rate(self, filters: frozenset[Filter]) -> float:
        lesson = self.lessons.get(filters)
        if lesson is not None and lesson.rate is not None:
            return lesson.rate
        return min(self._wider(filters), default=UNKNOWN_RATE)

    def _wider(self, filters: frozenset[Filter]) -> Iterable[float]:
        """The rates of queries with some of these filters only. Filters are few and lessons are many."""
        some = (frozenset(each) for size in range(min(len(filters), _TELLING + 1)) for each in combinations(filters, size))
        return [each.rate for known in some if (each := self.lessons.get(known)) is not None and each.rate is not None]


def _grown(lesson: Lesson, window: Window) -> Lesson:
    if lesson.bears is None or window.length * _GROW < lesson.bears:
        return lesson
    if lesson.good + 1 < _GOOD_BEFORE_GROWTH:
        return replace(lesson, good=lesson.good + 1)
    return replace(lesson, bears=round(lesson.bears * _GROW), good=0)
