"""What a picture shows, and the same in words and in units that people read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter

from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.units import Unit, spell_value


@dataclass(frozen=True)
class Chart:
    """A line over time, or a bar for each group. Values and `limit` are in `unit`; there are as many labels as values."""

    title: str
    labels: tuple[str, ...]
    values: tuple[float, ...]
    unit: Unit
    limit: float | None = None
    bars: bool = False
    name: str = "value"  # what the values are, in a word or two
    direction: str = "above"  # on which side of the limit it is bad; "outside": further from zero, on either side
    limit_name: str = "limit"

    @property
    def limits(self) -> tuple[float, ...]:
        """The limit, and the one on the other side of zero where it holds there too."""
        if self.limit is None or not math.isfinite(self.limit):
            return ()
        limit = within(self.limit)
        both = self.direction == "outside" and limit != 0
        return (-abs(limit), abs(limit)) if both else (limit,)

    @property
    def points(self) -> tuple[tuple[str, float], ...]:
        """Labels and values, as far as there is a value."""
        pairs = zip(self.labels, self.values, strict=False)
        return tuple((label, within(value)) for label, value in pairs if math.isfinite(value))

    def bad_above(self, limit: float) -> bool:
        """On which side of one of its limits it is bad."""
        return self.direction == "above" or (self.direction == "outside" and limit >= 0)

    def bad(self, value: float) -> bool:
        """Whether a value is over the limit."""
        return any(value > limit if self.bad_above(limit) else value < limit for limit in self.limits)


@dataclass(frozen=True)
class Scale:
    """A unit that people read: how much of the chart's unit it is, and what it is called."""

    size: float
    word: str  # on an axis: "minutes"
    sign: str  # behind a number: "min"
    base: int = 10  # what its own round numbers are made of


_DURATIONS = (
    Scale(DAY, "days", "d"),
    Scale(HOUR, "hours", "h", 12),
    Scale(MINUTE, "minutes", "min", 60),
    Scale(SECOND, "seconds", "s", 60),
    Scale(1, "milliseconds", "ms"),
)
_PERCENT = Scale(0.01, "%", "%")
_PLAIN = Scale(1, "", "")
_AT_LEAST = 2  # 90 s rather than 1.5 min


def scale_for(unit: Unit, values: Iterable[float]) -> Scale:
    """The largest unit of which the furthest value is some."""
    if unit is not Unit.DURATION:
        return _PERCENT if unit is Unit.FRACTION else _PLAIN
    furthest = max(map(abs, values), default=0.0)
    if furthest < SECOND:  # a second or so is no reason for thousands
        return _DURATIONS[-1] if furthest else _DURATIONS[-2]
    return next((each for each in _DURATIONS[:-1] if furthest >= _AT_LEAST * each.size), _DURATIONS[-2])


@dataclass(frozen=True)
class Readable:
    """A chart's numbers in a unit that people read, rounded to four digits of the furthest; `y_label` is its name, or empty."""

    values: tuple[float, ...]
    limit: float | None
    y_label: str


def readable(chart: Chart) -> Readable:
    """The chart's numbers for whoever shows them as they are; what is no number stays none."""
    finite = [within(each) for each in (*chart.values, *chart.limits) if math.isfinite(each)]
    scale = scale_for(chart.unit, finite)
    places = _places(max(map(abs, finite), default=0.0) / scale.size)

    def scaled(value: float) -> float:
        return round(within(value) / scale.size, places) + 0.0 if math.isfinite(value) else value  # + 0.0: no minus zero

    limit = scaled(chart.limit) if chart.limit is not None and chart.limits else None
    return Readable(tuple(map(scaled, chart.values)), limit, scale.word)


def _places(furthest: float) -> int:
    """So many decimals that four digits are left of the furthest number."""
    return min(max(3 - math.floor(math.log10(furthest)), 0), 9) if 0 < furthest < math.inf else 0


_FURTHEST = 1e290


def within(value: float) -> float:
    """The value as near as differences of two are numbers too."""
    return min(max(value, -_FURTHEST), _FURTHEST)


def spell(value: float, unit: Unit) -> str:
    """A value for people, in few letters however large it is."""
    if abs(value) < 1e15:
        return spell_value(value, unit)
    scale = scale_for(unit, [value])
    return f"{within(value) / scale.size:.2g} {scale.sign}".rstrip()


def spell_limit(chart: Chart) -> str:
    """`limit 5 min`, `limit ±4`; nothing where there is none."""
    if not chart.limits:
        return ""
    sign = "±" if chart.direction == "outside" else ""
    return f"{chart.limit_name[:20]} {sign}{spell(chart.limits[-1], chart.unit)}"


_NAMED = 5  # bars


def facts(chart: Chart) -> str:
    """What is to be seen, in a sentence or two, for those who cannot see it."""
    points = [(label[:40], value, spell(value, chart.unit)) for label, value in chart.points]
    if not points:
        return "Nothing was measured."
    said = _of_bars(points) if chart.bars else _of_line(points)
    bound = spell_limit(chart)
    return f"{said} {bound[:1].upper()}{bound[1:]}." if bound else said


def _of_bars(points: Sequence[tuple[str, float, str]]) -> str:
    first = ", ".join(f"{label} {spelled}" for label, _, spelled in points[:_NAMED])
    return first + (f" and {len(points) - _NAMED} more." if len(points) > _NAMED else ".")


def _of_line(points: Sequence[tuple[str, float, str]]) -> str:
    (start, _, first), (end, _, last) = points[0], points[-1]
    low, high = min(points, key=itemgetter(1)), max(points, key=itemgetter(1))
    return f"From {first} at {start} to {last} at {end}; lowest {low[2]} at {low[0]}, highest {high[2]} at {high[0]}."
