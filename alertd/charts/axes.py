"""The axis of a picture: from where to where it goes, its round numbers, and where on it a value lies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from alertd.charts.chart import Scale, within

_TICKS = 5  # at most
_OWN = {10: (1.0, 2.0, 5.0), 12: (1.0, 2.0, 3.0, 6.0, 12.0, 24.0), 60: (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0)}
_AIR = 0.06  # of the axis, beyond the furthest value


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` on a line from `start` to `end` in pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies; what is beyond an end, at the end."""
        part = (within(value) - self.low) / (self.high - self.low)
        return self.start + min(max(part, 0.0), 1.0) * (self.end - self.start)


def span(values: Iterable[float], *, zero: bool) -> tuple[float, float]:
    """From where to where an axis goes, with some air. From zero, unless what moves would then hardly be seen to move."""
    found = [within(each) for each in values] or [0.0]
    low, high = min(found), max(found)
    far = max(abs(low), abs(high))
    if zero or low * high <= 0 or high - low > far / 4 or high - low < far / 100:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low < 1e-9:
        low, high = (low, low + 1.0) if high >= 0 else (high - 1.0, high)
    air = (high - low) * _AIR
    return low - air * (low != 0), high + air * (high != 0)


def ticks(low: float, high: float, scale: Scale) -> Sequence[tuple[float, str]]:
    """The round numbers between the two, and how they are written."""
    first, last = low / scale.size, high / scale.size
    step = next(each for each in _steps((last - first) / _TICKS, scale.base) if last // each - -(-first // each) < _TICKS)
    numbers = range(math.ceil(first / step), math.floor(last / step) + 1)
    return [(number * step * scale.size, _written(number * step, step, scale)) for number in numbers]


def _steps(least: float, base: int) -> Iterator[float]:
    """Round numbers, the smallest first: from about `least` on, or sooner. From 1 on minutes have their own."""
    own = _OWN[base]
    for power in itertools.count(min(math.floor(math.log10(least)), 0)):
        for step in (10.0**power, 2 * 10.0**power, 5 * 10.0**power):
            if step < 1 or step > own[-1]:
                yield step
        if power == 0:
            yield from own


def _written(number: float, step: float, scale: Scale) -> str:
    if abs(number) < step / 2:
        return "0"
    places = min(max(-math.floor(math.log10(step) + 1e-9), 0), 9)
    return f"{number:,.{places}f} {scale.sign}".rstrip() if abs(number) < 1e9 else f"{number:.3g} {scale.sign}".rstrip()
