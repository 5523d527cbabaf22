"""The team's queue: first come, first served, by agents with shifts who have a few chats at once."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from alertd.clock import SECOND

Spans: TypeAlias = Sequence[tuple[float, float]]

NOBODY = -1
NEVER = float("nan")


@dataclass(frozen=True, slots=True)
class Shift:
    """When one agent accepts chats, how many at once and how slowly; `absences` are when nothing is answered."""

    agent: int
    start: float
    end: float
    pace: float
    chats: int
    absences: Spans = ()


class Desk:
    """The places at which a chat can be held, as a heap by the time at which each is free.

    Taking visitors in the order of their coming, each by the place that is free first, is exact for such a queue: whoever
    would have to wait longer than their patience lasts leaves, and the place stays for the next.
    """

    def __init__(self, shifts: Iterable[Shift], closed: Spans) -> None:
        self._closed = closed  # when no agent accepts anybody
        seats = ((shift.start, shift) for shift in shifts for _ in range(shift.chats))
        self._free = [(start, turn, shift) for turn, (start, shift) in enumerate(seats)]
        heapq.heapify(self._free)

    def take(self, at: float, patience: float, reaction: float, work: float) -> tuple[int, float, float]:
        """Serve a visitor who comes at `at`: the agent (or NOBODY), the first answer (or NEVER), and when it was over."""
        place = self._place(at)
        start = _after(max(at, place[0]), self._closed) if place else NEVER
        if place is None or start > at + patience:
            return NOBODY, NEVER, at + patience
        _, turn, shift = place
        first = start + reaction * shift.pace
        awake = _after(first, shift.absences)
        answered = first if awake == first else awake + reaction * shift.pace
        leaves = max(at + patience, first)  # whoever has been accepted stays at least till the answer that was on its way
        if answered > leaves:  # accepted and never answered: the chat keeps its place till then
            heapq.heapreplace(self._free, (leaves, turn, shift))
            return NOBODY, NEVER, leaves
        done = answered + max(work * shift.pace, SECOND)
        heapq.heapreplace(self._free, (done, turn, shift))
        return shift.agent, answered, done

    def _place(self, at: float) -> tuple[float, int, Shift] | None:
        """The place that is free first; those whose shift is over by then are cleared away."""
        while self._free:
            free, _, shift = self._free[0]
            if max(at, free) < shift.end:
                return self._free[0]
            heapq.heappop(self._free)
        return None


def _after(moment: float, spans: Spans) -> float:
    for start, end in spans:
        if start <= moment < end:
            return end
    return moment
