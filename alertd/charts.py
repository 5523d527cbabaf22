"""The picture of a message: what was measured, and the limit."""

from __future__ import annotations

from dataclasses import dataclass

from alertd.units import Unit


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
