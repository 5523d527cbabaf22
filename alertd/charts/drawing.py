"""Drawing a chart: as SVG, and as PNG for mail programs, which show no SVG. The same chart makes the same bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from alertd.charts import bars, lines
from alertd.charts.chart import Chart, facts
from alertd.charts.ink import DARK, LIGHT, Ink, escaped, fitting, written

WIDTH = 552  # what a mail of 600 pixels has room for
FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_FONTS = "system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif"
_EMPTY = 96  # the height of a picture of nothing
_HEADING = 13
_EDGE = 10
# Emoji and what joins them, which the font does not have: without them a name reads better than with boxes.
_PICTURES = re.compile("[\u200d\u2600-\u27bf\ufe0f\U0001f000-\U0001faff\U000e0020-\U000e007f]")


def svg(chart: Chart, *, width: int = WIDTH, dark: bool = False) -> str:
    """The chart as an SVG picture that stands for itself: no script, no style sheet, nothing from elsewhere."""
    width, ink = min(max(width, 280), 2_000), DARK if dark else LIGHT
    height, drawn = _drawn(chart, ink, width)
    title = fitting(chart.title, width - 2 * _EDGE, _HEADING)
    return "".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}"',
            f' viewBox="0 0 {width} {height}" font-family="{_FONTS}" font-size="11">',
            f"<title>{escaped(chart.title)}</title><desc>{escaped(facts(chart), 1_000)}</desc>",
            f'<rect width="{width}" height="{height}" fill="{ink.paper}"/>',
            written(_EDGE, 20, title, ink.text, size=_HEADING, weight=600),
            *drawn,
            "</svg>",
        )
    )


def png(chart: Chart, *, width: int = WIDTH, dark: bool = False) -> bytes:
    """The chart as a PNG picture of twice that width, for sharp screens."""
    import resvg_py  # noqa: PLC0415 - most verbs draw nothing, and would start later

    return resvg_py.svg_to_bytes(
        svg_string=_PICTURES.sub("", svg(chart, width=width, dark=dark)),
        zoom=2,
        # Where a system has no fonts it would draw no text, and say nothing of it; and each system has others.
        skip_system_fonts=True,
        font_files=[str(FONT)],
        font_family="DejaVu Sans",
        sans_serif_family="DejaVu Sans",
    )


def _drawn(chart: Chart, ink: Ink, width: int) -> tuple[int, Iterator[str]]:
    """How high the picture is, and the elements of it."""
    points = chart.points
    if not points:
        return _EMPTY, iter([written(width / 2, _EMPTY / 2 + 12, "nothing was measured", ink.soft, anchor="middle")])
    if chart.bars:
        few = points[: bars.MOST]
        return bars.height(chart, len(few)), bars.draw(chart, few, ink, width)
    return lines.HEIGHT, lines.draw(chart, points[-lines.MOST :], ink, width)
