"""The picture of a message: what it shows, in which units people read it, and how it is drawn."""

from __future__ import annotations

from alertd.charts.chart import Chart, Readable, facts, readable
from alertd.charts.drawing import png, svg

__all__ = ["Chart", "Readable", "facts", "png", "readable", "svg"]
