"""The chart of a message as Slack draws it: https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

from alertd.channels.base import Message
from alertd.channels.slack.blocks import Block, plain
from alertd.charts import Chart, readable

TITLE, LABEL, POINTS = 50, 20, 20

Points: TypeAlias = Sequence[tuple[str, float]]


def picture(message: Message) -> Block | None:
    """The chart that the template wants (its part `chart` is the title); None if it wants none, or there is nothing to draw."""
    title = plain(message.parts.get("chart", ""), TITLE)
    chart = message.chart
    if chart is None or not title:
        return None
    scaled = zip(chart.labels, readable(chart).values, strict=False)
    points = [(label, value) for label, value in scaled if math.isfinite(value)]
    return _drawn(chart, title, _few(points, bars=chart.bars)) if points else None


def _drawn(chart: Chart, title: str, points: Points) -> Block:
    shown = readable(chart)
    labels = _different([label for label, _ in points])
    curves = [(chart.name, [value for _, value in points])]
    if chart.limits and shown.limit is not None:
        curves += [(chart.limit_name, [shown.limit] * len(labels))]
    if len(chart.limits) > 1 and shown.limit is not None:
        curves += [(f"-{chart.limit_name}", [-shown.limit] * len(labels))]
    names = _different([name for name, _ in curves])
    series = [
        {"name": name, "data": [{"label": label, "value": value} for label, value in zip(labels, values, strict=True)]}
        for name, (_, values) in zip(names, curves, strict=True)
    ]
    axis = {"categories": labels} | ({"y_label": shown.y_label} if shown.y_label else {})
    kind = "bar" if chart.bars else "line"
    return {"type": "data_visualization", "title": title, "chart": {"type": kind, "series": series, "axis_config": axis}}


def _few(points: Points, *, bars: bool) -> Points:
    """As many as Slack draws: of bars the first, which are the worst; of a line evenly many, with the newest."""
    if bars or len(points) <= POINTS:
        return points[:POINTS]
    step = -(-len(points) // POINTS)
    return points[::-1][::step][::-1]


def _different(labels: Sequence[str]) -> list[str]:
    """The labels, cut to what Slack takes; a number behind those that would be the same."""
    given: list[str] = []
    for each in labels:
        label, number = plain(each, LABEL) or "–", 2
        while label in given:
            tail = f" ({number})"
            label, number = (plain(each, LABEL - len(tail)) or "–") + tail, number + 1
        given.append(label)
    return given
