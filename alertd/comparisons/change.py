"""`{change: {to: 7d, minimum: 20}}`: by how many percent the number differs from that of an earlier window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self
from zoneinfo import ZoneInfo

import numpy as np

from alertd.clock import DAY, MINUTE, Duration
from alertd.comparisons import options
from alertd.comparisons.base import Comparison, Figures, Option, Related, nothing
from alertd.comparisons.wallclock import SLACK, moved
from alertd.durations import spell_duration
from alertd.facts import Window
from alertd.reporting.table import Column
from alertd.units import Unit, spell_value


@dataclass(frozen=True)
class Change(Comparison):
    """(now - before) / before: a fraction of 1 with its sign, -0.5 for half as much.

    Whole days back are days of the rule's time zone, so that 09:00 is held against 09:00 across daylight saving.
    """

    to: Duration
    minimum: float = 0.0
    of: Unit = Unit.NUMBER  # the measure's, for words about the minimum
    names: ClassVar[tuple[str, ...]] = ("change",)
    example: ClassVar[str] = "{change: {to: 7d, minimum: 20}}"
    about: ClassVar[str] = "Change in percent from an earlier window of the same length, with its sign."
    options: ClassVar[tuple[Option, ...]] = (
        Option("to", "How long before: 1m to 366d; whole days are days of the rule's time zone.", "7d", required=True),
        Option("minimum", "If it was less than that then, nothing is concluded; 0 where it is left out.", "20"),
    )
    own_unit: ClassVar[Unit | None] = Unit.FRACTION

    @classmethod
    def parse(cls, argument: object, unit: Unit, *, counts: bool) -> Self:  # noqa: ARG003 - for percentages it does not matter
        given = options.read(cls, argument)
        to = options.duration("to", given["to"], MINUTE, 366 * DAY)
        return cls(to, options.amount("minimum", given["minimum"], unit) if "minimum" in given else 0.0, unit)

    @property
    def reach(self) -> Duration:
        return self.to + (0 if self.to % DAY else SLACK)

    def windows(self, window: Window, timezone: str, every: Duration) -> tuple[Window, ...]:  # noqa: ARG002 - one is enough
        if self.to % DAY:
            return (replace(window, start=window.start - self.to, end=window.end - self.to),)
        return (moved(window, self.to // DAY, ZoneInfo(timezone)),)

    def relate(self, now: Figures, earlier: Sequence[Figures | None]) -> Related:
        then = earlier[0]
        before = nothing(len(now)) if then is None else then.values
        usable = (before >= self.minimum) & (before > 0)
        change = nothing(len(now))
        np.divide(now.values - before, before, out=change, where=usable)
        return Related(change, before, self._lacks(now.values, before, known=then is not None))

    def describe(self, measure: str) -> str:
        return f"{measure} against {self._ago}" if self.to % DAY else f"{measure} against the same time {self._ago}"

    def spell(self, value: float, measured: float, reference: float, unit: Unit) -> str:
        text = spell_value(value, Unit.FRACTION)
        sign = "+" if value > 0 and text != "0 %" else ""
        return f"{sign}{text} ({spell_value(measured, unit)} now, {spell_value(reference, unit)} {self._ago})"

    def _lacks(self, now: Column, before: Column, *, known: bool) -> tuple[str | None, ...]:
        pairs = zip(now.tolist(), before.tolist(), strict=True)
        return tuple(None if math.isnan(value) else self._lack(then, known=known) for value, then in pairs)

    def _lack(self, before: float, *, known: bool) -> str | None:
        if not known:
            return f"what it was {self._ago} is not known"
        if math.isnan(before):
            return f"there was nothing to measure {self._ago}"
        if before < self.minimum:
            minimum = spell_value(self.minimum, self.of)
            return f"{spell_value(before, self.of)} {self._ago} is less than the minimum of {minimum} for a comparison"
        if before <= 0:
            return f"it was {spell_value(before, self.of)} {self._ago}, and of that there is no percentage"
        return None

    @property
    def _ago(self) -> str:
        for size, one, many in ((7 * DAY, "a week", "weeks"), (DAY, "a day", "days")):
            if self.to % size == 0:
                return f"{one} ago" if self.to == size else f"{self.to // size} {many} ago"
        return f"{spell_duration(self.to)} ago"


COMPARISON = Change
