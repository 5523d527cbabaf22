"""`{usual: {weeks: 4, at_least: 15}}`: how far the number is from what is usual at this hour of the week."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration
from alertd.comparisons import options
from alertd.comparisons.base import Comparison, Figures, Option, Related, nothing
from alertd.comparisons.wallclock import SLACK, into_hour, moved
from alertd.facts import Window
from alertd.reporting.table import Column, Mask
from alertd.units import Unit, spell_value

# Of the median absolute deviation, to make it comparable with a standard deviation (it is, for normal scatter).
_MAD = 1.4826

# Windows closer than that have nearly the same conversations in them.
_STEP = 15 * MINUTE

# Fewer windows say nothing about scatter; two weeks may have no more than two.
_FEWEST = 3

_Table: TypeAlias = NDArray[np.float64]  # a row a window, a column a group
_Counts: TypeAlias = NDArray[np.intp]


@dataclass(frozen=True)
class Usual(Comparison):
    """(x - median) / scatter over the same hour of the last weeks, in the rule's time zone: a signed number of deviations.

    The scatter is 1.4826 MAD (the spread that half of the windows keep within; one odd week does not widen it), but at least
    what chance brings about even where a few quiet weeks were all alike:

    - counts scatter by their square root, as independent arrivals do; at least 1.
    - shares of n conversations scatter by sqrt(p (1 - p) / n), with p a little off 0 and 1 (Laplace's rule of succession: what
      never happened may yet happen); at least 1 percentage point.
    - the square root of milliseconds is no duration, and of a mean it depends on what is counted: there 5 % of the usual, which
      nobody calls unusual; at least 1 s, or 0.1 of a plain number.

    Weeks before the first that has any conversation are not known: nobody was counting then. Where all of them are without one,
    that is what is usual.

    Windows in which the alert fired are left out, unless too few are left: what has gone on for most of the weeks is the usual.
    """

    weeks: int = 4
    at_least: float = 0.0
    of: Unit = Unit.NUMBER  # the measure's
    counts: bool = False
    names: ClassVar[tuple[str, ...]] = ("usual",)
    example: ClassVar[str] = "{usual: {weeks: 4, at_least: 15}}"
    about: ClassVar[str] = "Robust deviations from the usual value at this hour of the week, with their sign."
    options: ClassVar[tuple[Option, ...]] = (
        Option("weeks", "How many weeks are looked at, 2 to 12; 4 where it is left out.", "4"),
        Option("at_least", "Smaller moves than that count as none; 0 where it is left out.", "15"),
    )
    own_unit: ClassVar[Unit | None] = Unit.NUMBER

    @classmethod
    def parse(cls, argument: object, unit: Unit, *, counts: bool) -> Self:
        given = options.read(cls, argument)
        weeks = options.whole("weeks", given.get("weeks", 4), 2, 12)
        at_least = options.amount("at_least", given["at_least"], unit) if "at_least" in given else 0.0
        return cls(weeks, at_least, unit, counts)

    @property
    def reach(self) -> Duration:
        return self.weeks * 7 * DAY + SLACK

    def windows(self, window: Window, timezone: str, every: Duration) -> tuple[Window, ...]:
        """Windows that end in the same hour of each week, the last week first; each is one that the rule itself had then."""
        zone = ZoneInfo(timezone)
        shifts = [end - window.end for end in _ends(window.end, zone, every)]
        hour = [replace(window, start=window.start + shift, end=window.end + shift) for shift in shifts]
        return tuple(moved(each, 7 * week, zone) for week in range(1, self.weeks + 1) for each in hour)

    def keeps(self, window: Window, timezone: str, every: Duration) -> bool:
        return window.end in _ends(window.end, ZoneInfo(timezone), every)

    def relate(self, now: Figures, earlier: Sequence[Figures | None]) -> Related:
        earlier = self._since_the_beginning(earlier)
        known = np.stack([nothing(len(now)) if each is None else each.values for each in earlier])
        fired = np.stack([np.zeros(len(now), np.bool_) if each is None else each.fired for each in earlier])
        calm = np.where(fired, np.nan, known)
        samples = np.where(self._enough(*self._extent(calm)), calm, known)
        median = _median(samples)
        scatter = np.maximum(_MAD * _median(np.abs(samples - median)), self._chance(median, now.entered))
        move = now.values - median
        deviations = np.where(np.abs(move) < self.at_least, 0.0, move / scatter)
        extent = self._extent(samples)
        values = np.where(self._enough(*extent), deviations, np.nan)
        return Related(values, median, self._lacks(np.isnan(values) & ~np.isnan(now.values), *extent))

    def describe(self, measure: str) -> str:
        return f"{measure} against the usual at this hour of the week"

    def spell(self, value: float, measured: float, reference: float, unit: Unit) -> str:
        now, usual = spell_value(measured, unit), spell_value(reference, unit)
        count = spell_value(abs(value), Unit.NUMBER)
        if count == "0":
            return f"about the usual {usual} (now {now})"
        side = "above" if value > 0 else "below"
        return f"{count} deviation{'' if count == '1' else 's'} {side} the usual {usual} (now {now})"

    def spell_alone(self, value: float) -> str:
        count = spell_value(abs(value), Unit.NUMBER)
        return f"{count} deviation{'' if count == '1' else 's'} {'above' if value > 0 else 'below'} the usual"

    def _since_the_beginning(self, earlier: Sequence[Figures | None]) -> list[Figures | None]:
        """Without the oldest weeks that have no conversation at all, if a later one has."""
        size = len(earlier) // self.weeks
        weeks = [earlier[start : start + size] for start in range(0, len(earlier), size)]  # the last one first
        busy = [any(each is not None and each.entered.any() for each in week) for week in weeks]
        first = max((place for place, each in enumerate(busy) if each), default=self.weeks - 1)
        return [each if place <= first else None for place, week in enumerate(weeks) for each in week]

    def _chance(self, usual: Column, entered: NDArray[np.intp]) -> Column:
        """How far a number like this scatters by chance alone, in its own unit."""
        if self.counts:
            return np.sqrt(np.maximum(usual, 1))
        match self.of:
            case Unit.FRACTION:
                odds = (usual * entered + 1) / (entered + 2)
                return np.maximum(np.sqrt(np.maximum(odds * (1 - odds), 0) / np.maximum(entered, 1)), 0.01)
            case Unit.DURATION:
                return np.maximum(np.abs(usual) * 0.05, SECOND)
            case Unit.NUMBER:
                return np.maximum(np.abs(usual) * 0.05, 0.1)

    @property
    def _needed(self) -> int:
        """How many weeks must be known: half of them, and not one alone."""
        return max(2, math.ceil(self.weeks / 2))

    def _extent(self, samples: _Table) -> tuple[_Counts, _Counts]:
        """How many weeks and how many windows each group has."""
        known = ~np.isnan(samples)
        weeks = known.reshape(self.weeks, len(samples) // self.weeks, samples.shape[1]).any(axis=1)
        return weeks.sum(axis=0), known.sum(axis=0)

    def _enough(self, weeks: _Counts, windows: _Counts) -> Mask:
        """Whether that is enough to know what is usual."""
        return (weeks >= self._needed) & (windows >= min(_FEWEST, self.weeks))

    def _lacks(self, lacking: Mask, weeks: _Counts, windows: _Counts) -> tuple[str | None, ...]:
        triples = zip(lacking.tolist(), weeks.tolist(), windows.tolist(), strict=True)
        return tuple(self._lack(*known) if lacks else None for lacks, *known in triples)

    def _lack(self, weeks: int, windows: int) -> str:
        if weeks < self._needed:
            known = f"{weeks} of the last {self.weeks} weeks {'is' if weeks == 1 else 'are'} known at this hour"
            return f"{known}; {self._needed} are needed to know what is usual"
        return (
            f"{windows} windows of the last {self.weeks} weeks are known at this hour; {_FEWEST} are needed to know the usual"
        )


def _ends(end: int, zone: ZoneInfo, every: Duration) -> range:
    """Ends of the rule's windows in the hour in which its window ends, 15 minutes apart or more.

    They belong to checks of the rule itself (its windows may end a delay before the instant of the check), so that what it
    measured then can be used, and all its checks of an hour share them. A rule that is checked hourly or less has just one.
    """
    step = -(-_STEP // every) * every
    if step >= HOUR:
        return range(end, end + 1)
    first, delay = end - into_hour(end, zone), -end % every
    return range(first + -(first + delay) % step, first + HOUR, step)


def _median(samples: _Table) -> Column:
    """The median of each column without its NaNs; NaN where there is nothing else."""
    ordered = np.sort(samples, axis=0)  # NaNs last
    count = (~np.isnan(samples)).sum(axis=0)
    middle = np.stack([np.maximum(count - 1, 0) // 2, count // 2])
    found: Column = np.take_along_axis(ordered, middle, axis=0).mean(axis=0)
    return found


COMPARISON = Usual
