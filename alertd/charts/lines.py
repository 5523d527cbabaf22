"""A line over time: round numbers on the left, times below, the newest value and the limit named on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alertd.charts.axes import Axis, span, ticks
from alertd.charts.chart import Chart, scale_for, spell, spell_limit
from alertd.charts.ink import LINE, Ink, fitting, path_of, pixels, stroke, wide, written

HEIGHT = 220
MOST = 60  # points
_TOP, _BOTTOM, _EDGE, _GAP = 38.0, 26.0, 10.0, 8.0

Places = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Plot:
    """A line's picture as it is laid out. `values` are the points' own, `along` and `across` where they lie."""

    chart: Chart
    labels: Sequence[str]
    values: Sequence[float]
    along: Axis
    across: Axis
    width: float

    def at(self, number: float, value: float) -> tuple[float, float]:
        """Where a point is; `number` may lie between two."""
        return self.along.at(number), self.across.at(value)


def draw(chart: Chart, points: Sequence[tuple[str, float]], ink: Ink, width: float) -> Iterator[str]:
    """The elements of the picture."""
    labels, values = zip(*points, strict=True)
    low, high = span([*values, *chart.limits], zero=False)
    marks = ticks(low, high, scale_for(chart.unit, [low, high]))
    right = max(wide(spell(values[-1], chart.unit)), wide(spell_limit(chart)))
    along = Axis(
        0,
        max(len(values) - 1, 1),
        _EDGE + _GAP + min(max((wide(text) for _, text in marks), default=0), width / 4),
        width - _EDGE - _GAP - min(right, width / 3),
    )
    plot = _Plot(chart, labels, values, along, Axis(low, high, HEIGHT - _BOTTOM, _TOP), width)
    for value, text in marks:
        yield from _mark(plot, value, text, ink)
    yield from _times(plot, ink)
    yield from _curve(plot, ink)
    yield from _names(plot, ink)


def _mark(plot: _Plot, value: float, text: str, ink: Ink) -> Iterator[str]:
    start, y = plot.at(0, value)
    yield stroke([(start, y), (plot.along.end, y)], ink.grid)
    yield written(start - _GAP, y + 4, text, ink.soft, anchor="end")


def _curve(plot: _Plot, ink: Ink) -> Iterator[str]:
    """The line; what is over the limit filled and in the other colour."""
    chart = plot.chart
    beyond = [(limit, run) for limit in chart.limits for run in runs(plot.values, limit, above=chart.bad_above(limit))]
    for limit, run in beyond:
        around = [(run[0][0], limit), *run, (run[-1][0], limit)]
        yield f'<path d="{path_of(plot.at(*each) for each in around)}Z" fill="{ink.bad}" fill-opacity="0.15"/>'
    yield stroke([plot.at(*each) for each in enumerate(plot.values)], ink.fine, width=2)
    for limit in chart.limits:
        yield stroke([plot.at(0, limit), (plot.along.end, plot.across.at(limit))], ink.bad, dashed=True)
    yield from (stroke([plot.at(*each) for each in run], ink.bad, width=2) for _, run in beyond)
    x, y = plot.at(len(plot.values) - 1, plot.values[-1])
    yield f'<circle cx="{pixels(x)}" cy="{pixels(y)}" r="3.5" fill="{_colour(plot, ink)}"/>'


def runs(values: Sequence[float], limit: float, *, above: bool) -> Iterator[list[tuple[float, float]]]:
    """The stretches of a line on one side of a limit: places between the points, counted from 0, and values."""
    run = list[tuple[float, float]]()
    for number, value in enumerate(values):
        bad = value > limit if above else value < limit
        if number and bad != bool(run):
            before = values[number - 1]
            run.append((number - 1 + (limit - before) / (value - before), limit))
        if bad:
            run.append((number, value))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _names(plot: _Plot, ink: Ink) -> Iterator[str]:
    """The newest value and the limit, beside where they are, and yet not on one another."""
    x, now = plot.along.end + _GAP, plot.across.at(plot.values[-1])
    room, value = plot.width - x, spell(plot.values[-1], plot.chart.unit)
    if plot.chart.limits:
        limit = min(plot.chart.limits, key=lambda each: abs(plot.across.at(each) - now))
        bound = plot.across.at(limit)
        now, bound = _apart(now, bound)
        yield written(x, bound + 4, fitting(spell_limit(plot.chart), room), ink.bad)
    yield written(x, now + 4, fitting(value, room), _colour(plot, ink), weight=600)


def _apart(value: float, limit: float) -> tuple[float, float]:
    """Two heights as far apart as texts need, and inside the picture."""
    if abs(value - limit) >= LINE:
        return value, limit
    middle = min(max((value + limit) / 2, _TOP + LINE / 2), HEIGHT - _BOTTOM - LINE / 2)
    half = LINE / 2 if value > limit else -LINE / 2
    return middle + half, middle - half


def _colour(plot: _Plot, ink: Ink) -> str:
    return ink.bad if plot.chart.bad(plot.values[-1]) else ink.text


def _times(plot: _Plot, ink: Ink) -> Iterator[str]:
    """As many labels below as there is room for, four at most, the first and the last among them."""
    last, room = len(plot.labels) - 1, plot.along.end - plot.along.start
    longest = max(map(wide, plot.labels))
    many = max(min(4, last + 1, int(room / (longest + 2 * _GAP)) + 1), 1)
    for number in dict.fromkeys(round(part * last / max(many - 1, 1)) for part in range(many)):
        label = fitting(plot.labels[number], plot.width / 2)
        half = wide(label) / 2
        x = min(max(plot.along.at(number), half + 2), plot.width - half - 2)
        yield written(x, HEIGHT - 8, label, ink.soft, anchor="middle")
