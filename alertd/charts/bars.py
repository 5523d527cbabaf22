"""A bar for each group, one below the other: names have room there, and their values stand in a column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from alertd.charts.axes import Axis, span, ticks
from alertd.charts.chart import Chart, scale_for, spell, spell_limit
from alertd.charts.ink import LINE, Ink, fitting, pixels, stroke, wide, written

MOST = 20  # bars
_ROW, _THICK = 22, 12
_TITLE, _BOTTOM, _EDGE, _GAP = 32, 26, 10.0, 8.0


def height(chart: Chart, count: int) -> int:
    """How high the picture of a chart is of which so many bars are drawn."""
    return _top(chart) + _ROW * count + _BOTTOM


def draw(chart: Chart, points: Sequence[tuple[str, float]], ink: Ink, width: float) -> Iterator[str]:
    """The elements of the picture."""
    texts = [spell(value, chart.unit) for _, value in points]
    left = _EDGE + _GAP + min(max(wide(label) for label, _ in points), width * 0.4)
    right = width - _EDGE - _GAP - min(max(map(wide, texts)), width * 0.25)
    low, high = span([*(value for _, value in points), *chart.limits], zero=True)
    axis, bottom = Axis(low, high, left, right), height(chart, len(points)) - _BOTTOM
    yield from _scale(chart, axis, ink, bottom)
    for number, ((label, value), text) in enumerate(zip(points, texts, strict=True)):
        middle = _top(chart) + _ROW * (number + 0.5)
        yield written(left - _GAP, middle + 4, fitting(label, left - _GAP - 4), ink.text, anchor="end")
        yield from _bar(chart, value, axis, middle, ink)
        colour = ink.bad if chart.bad(value) else ink.text
        yield written(width - _EDGE, middle + 4, fitting(text, width - right - _GAP), colour, anchor="end")
    yield from _limits(chart, axis, ink, bottom, width)


def _bar(chart: Chart, value: float, axis: Axis, middle: float, ink: Ink) -> Iterator[str]:
    """From zero to the value; what of it is over the limit in the other colour."""
    yield _box(axis.at(0), axis.at(value), middle, ink.fine)
    for limit in chart.limits:
        above = chart.bad_above(limit)
        if value > limit if above else value < limit:
            # Of a value below its minimum that is all of it.
            begins = max(limit, min(0.0, value)) if above else min(limit, max(0.0, value))
            yield _box(axis.at(begins), axis.at(value if begins != value else 0), middle, ink.bad)


def _box(start: float, end: float, middle: float, colour: str) -> str:
    x, long = min(start, end), max(abs(end - start), 1)  # a value of nothing is a hair
    return f'<rect x="{pixels(x)}" y="{pixels(middle - _THICK / 2)}" width="{pixels(long)}" height="{_THICK}" fill="{colour}"/>'


def _scale(chart: Chart, axis: Axis, ink: Ink, bottom: int) -> Iterator[str]:
    """Round numbers below, those that have room."""
    free = 0.0
    for value, text in ticks(axis.low, axis.high, scale_for(chart.unit, [axis.low, axis.high])):
        x, half = axis.at(value), wide(text) / 2
        yield stroke([(x, _top(chart)), (x, bottom)], ink.grid)
        if x - half >= free:
            yield written(x, bottom + 16, text, ink.soft, anchor="middle")
            free = x + half + _GAP


def _limits(chart: Chart, axis: Axis, ink: Ink, bottom: int, width: float) -> Iterator[str]:
    for limit in chart.limits:
        x = axis.at(limit)
        yield stroke([(x, _top(chart) - 2), (x, bottom)], ink.bad, dashed=True)
    if chart.limits:
        half = wide(spell_limit(chart)) / 2
        x = min(max(axis.at(chart.limits[-1]), _EDGE + half), width - _EDGE - half)
        yield written(x, _top(chart) - 8, spell_limit(chart), ink.bad, anchor="middle")


def _top(chart: Chart) -> int:
    """Where the first bar begins: below the title, and below the limit's name."""
    return _TITLE + (LINE if chart.limits else 0)
