"""Conversations of a small cast: good hours, slow ones and awful ones, hours in which nobody writes; late and changed rows."""

from __future__ import annotations

import heapq
import random
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from alertd.clock import HOUR, MINUTE, SECOND, Instant
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.table import Ids
from alertd.sandbox.columns import Values, encode

SCORE = "cqlScore"
AGENT = "lastAgentId"
AGENTS = 6

_MOODS: Mapping[str, float] = {"good": 1.0, "slow": 7.0, "awful": 20.0, "unanswered": 2.0, "nobody": 0.0}
_WEIGHTS = (6, 2, 2, 1, 1)
_KEPT = 6 * HOUR  # longer than any window looks back


class Shown:
    """What the API shows at one moment. A column is made once, however many ask for it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows
        self._columns: dict[str, Values] = {}

    @cached_property
    def ids(self) -> Ids:
        """The conversations' ids."""
        return np.array([row["id"] for row in self._rows], np.int64)

    def column(self, name: str) -> Values:
        """One property of all of them."""
        if name not in self._columns:
            self._columns[name] = self._column(name)
        return self._columns[name]

    def _column(self, name: str) -> Values:
        values = [row.get(name) for row in self._rows]
        if not PROPERTIES[name].numeric:
            return encode(values)
        return np.array([np.nan if each is None else each for each in values], np.float64)


class Traffic:
    """Grows with the time that really is. `version` changes with all that the API shows."""

    def __init__(self, luck: random.Random, now: Instant) -> None:
        self._luck, self._number, self._count = luck, 0, 0
        self._rows: dict[int, dict[str, Any]] = {}
        self._ages: list[tuple[Instant, int]] = []  # when they were created, the oldest first
        self._to_come: list[tuple[Instant, int, int, dict[str, Any]]] = []  # changes of rows, and rows that show late
        self._next = now - HOUR
        self._mood, self._victim, self._mood_until = "good", 0, now + 2 * HOUR
        self.version = 0
        self._shown: Shown | None = None  # as it is now, if anybody has asked
        self.reach(now)

    def reach(self, truth: Instant) -> None:
        """Let all happen that has happened by then."""
        while self._next <= truth:
            self._begin(self._next)
            self._next += round(self._luck.expovariate(1 / (3 * MINUTE))) + SECOND
        while self._to_come and self._to_come[0][0] <= truth:
            at, _, number, values = heapq.heappop(self._to_come)
            if "createdAt" in values:
                self._rows[number] = {}
                heapq.heappush(self._ages, (values["createdAt"], number))
            if number in self._rows:
                self._rows[number].update(values | {"updatedAt": at})
                self.version, self._shown = self.version + 1, None
        while self._ages and self._ages[0][0] < truth - _KEPT:
            del self._rows[heapq.heappop(self._ages)[1]]
            self._shown = None

    def shown(self) -> Shown:
        """What the API shows now."""
        if self._shown is None:
            self._shown = Shown([dict(row) for row in self._rows.values()])
        return self._shown

    def _begin(self, at: Instant) -> None:
        if at >= self._mood_until:
            self._mood = self._luck.choices(list(_MOODS), _WEIGHTS)[0]
            self._victim = self._luck.choice((0, 0, 1, 2, 3, 5, 6))  # 0: everybody has trouble
            self._mood_until = at + self._luck.choice((20, 40, 60, 90, 120)) * MINUTE
        if self._mood == "nobody":
            return
        self._number += 1
        agent = self._luck.randint(1, AGENTS)
        hit = self._victim in (0, agent)
        score = _MOODS[self._mood if hit else "good"] + self._luck.random()
        late = self._luck.choice((20 * SECOND, 2 * MINUTE, 4 * MINUTE)) if self._luck.random() < 0.06 else 0
        row = {"id": self._number, "createdAt": at, "firstEndUserMessageAt": at, "numEndUserMessages": 1}
        self._change(at + late, row | {"status": "open", SCORE: score, AGENT: agent})
        self._go_on(at + late, answered=not (hit and self._mood == "unanswered"))

    def _go_on(self, at: Instant, *, answered: bool) -> None:
        """It is answered, sooner or later, and closed; some scores change afterwards."""
        chance = self._luck
        wait = chance.randint(30, 240) * SECOND if answered else chance.randint(15, 60) * MINUTE
        created = self._next
        self._change(at + wait, {"firstAgentMessageAt": at + wait, "timeToAgentResponseMillis": at + wait - created})
        closed = at + wait + chance.randint(2, 40) * MINUTE
        self._change(closed, {"status": "closed", "firstCloseAt": closed, "timeToCloseMillis": closed - created})
        if chance.random() < 0.05:
            self._change(at + chance.randint(2, 20) * MINUTE, {SCORE: chance.choice((1.0, 7.0, 20.0))})

    def _change(self, at: Instant, values: dict[str, Any]) -> None:
        self._count += 1
        heapq.heappush(self._to_come, (at, self._count, self._number, values))
