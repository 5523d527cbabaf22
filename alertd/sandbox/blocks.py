"""What the inbox needs to draw Block Kit: charts as points, tables as words, colours that are colours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alertd.sandbox.workspace import Block

WIDTH, HEIGHT = 480, 150  # the picture's own units
LEFT, RIGHT, TOP, BOTTOM = 44, 8, 8, 22  # room for the labels

_COLOURS: Mapping[str, str] = {"good": "#2eb67d", "warning": "#ecb22e", "danger": "#e01e5a"}


@dataclass(frozen=True)
class Curve:
    """One series of a chart: its corners in the picture's units and its last value in words."""

    name: str
    corners: tuple[tuple[float, float], ...]
    last: str

    @property
    def path(self) -> str:
        """The corners as SVG writes them."""
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in self.corners)


@dataclass(frozen=True)
class Chart:
    """A line, area or bar chart, laid out. Labels are pairs of a place and its words."""

    title: str
    kind: str
    curves: tuple[Curve, ...]
    heights: tuple[tuple[float, str], ...]
    times: tuple[tuple[float, str], ...]
    floor: float
    bar: float  # how wide one bar is

    @property
    def summary(self) -> str:
        """The chart in a sentence, for those who do not see it."""
        return f"Chart: {self.title}. Last values: " + ", ".join(f"{curve.name} {curve.last}" for curve in self.curves)


def chart(block: Block) -> Chart | None:
    """Lay out a `data_visualization` block; None for a pie, which is better read as a table."""
    given = block["chart"]
    if given["type"] == "pie":
        return None
    series = [[float(point["value"]) for point in line["data"]] for line in given["series"]]
    low, high = _range(series)
    categories = given["axis_config"]["categories"]
    across = _across(len(categories), bars=given["type"] == "bar")
    return Chart(
        title=block["title"],
        kind=given["type"],
        curves=tuple(
            Curve(
                line["name"], tuple(zip(across, (_y(value, low, high) for value in values), strict=True)), _number(values[-1])
            )
            for line, values in zip(given["series"], series, strict=True)
        ),
        heights=tuple((_y(value, low, high), _number(value)) for value in _ticks(low, high)),
        times=_some(across, categories),
        floor=_y(max(low, 0), low, high),
        bar=(WIDTH - LEFT - RIGHT) / len(categories) * 0.7 / len(series),
    )


def segments(block: Block) -> Sequence[tuple[str, str]]:
    """A pie's slices: name and value."""
    return [(part["label"], _number(part["value"])) for part in block["chart"].get("segments", ())]


def cell(value: object) -> str:
    """The words of a table's cell or of rich text."""
    if isinstance(value, Mapping):
        own = next((str(value[name]) for name in ("text", "url", "name") if isinstance(value.get(name), str)), "")
        return own or cell(value.get("elements") or value.get("text") or ())
    return "".join(cell(part) for part in value) if isinstance(value, list | tuple) else str(value)


def colour(value: Any) -> str:
    """An attachment's colour, if it is one; grey otherwise."""
    named = _COLOURS.get(str(value), str(value))
    found = re.fullmatch(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})", named)
    return f"#{found[1]}" if found else "#9a9a9a"


def _range(series: Sequence[Sequence[float]]) -> tuple[float, float]:
    """From 0, or from the least value below it, to a little over the greatest."""
    low, high = min(0.0, *map(min, series)), max(0.0, *map(max, series))
    return low, high + (high - low) * 0.08 if high > low else low + 1


def _ticks(low: float, high: float) -> tuple[float, ...]:
    """Round values between both ends, three to six of them."""
    size = 10.0 ** math.floor(math.log10(high - low))
    step = next(size * part for part in (0.2, 0.5, 1, 2) if (high - low) / (size * part) <= 5.5)
    return tuple(step * count for count in range(math.ceil(low / step), math.floor(high / step) + 1))


def _across(count: int, *, bars: bool) -> tuple[float, ...]:
    room = WIDTH - LEFT - RIGHT
    if bars or count == 1:
        return tuple(LEFT + room * (place + 0.5) / count for place in range(count))
    return tuple(LEFT + room * place / (count - 1) for place in range(count))


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def _some(across: Sequence[float], categories: Sequence[str]) -> tuple[tuple[float, str], ...]:
    """At most five labels, the last among them, so that they do not run into each other."""
    step = max(1, -(-len(categories) // 5))
    return tuple(zip(across, categories, strict=True))[::-1][::step][::-1]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
