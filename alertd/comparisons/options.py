"""The options of a comparison, read from a rule file. Every QueryError has the path from the comparison's name on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from alertd.clock import SECOND, Duration
from alertd.comparisons.base import Comparison
from alertd.durations import format_duration, parse_duration
from alertd.errors import QueryError
from alertd.reporting.properties import suggest
from alertd.units import Unit, parse_value

# How long ago something is that people say without a number.
_SPOKEN = {f"{word}{unit}": f"1{unit[0]}" for unit in ("hour", "day") for word in ("last ", "a ", "an ", "previous ", "")}
_SPOKEN |= {f"{word}week": "7d" for word in ("last ", "a ", "previous ", "")} | {"yesterday": "1d"}


def read(kind: type[Comparison], argument: object) -> Mapping[str, Any]:
    """The options that are given; only such as there are, and all that must be."""
    given = {} if argument is None else argument
    if not isinstance(given, Mapping):
        raise QueryError(f"{kind.names[0]} takes options, such as compare: {kind.example}")
    known = [each.name for each in kind.options]
    for key in given:
        if key not in known:
            raise QueryError(f'{kind.names[0]} has no "{key}"; it has {", ".join(known)}', (str(key),), suggest(key, known))
    for each in kind.options:
        if each.required and each.name not in given:
            raise QueryError(f'{kind.names[0]} needs "{each.name}", such as {each.name}: {each.example}')
    return given


def duration(name: str, raw: object, least: Duration, most: Duration) -> Duration:
    """A duration in whole seconds, from `least` to `most`."""
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise QueryError(f'a duration is written like 1h or 7d, not "{raw}"', (name,))
    try:
        value = parse_duration(str(raw))
    except ValueError as problem:
        raise QueryError(str(problem), (name,), _SPOKEN.get(str(raw).casefold())) from None
    if not least <= value <= most:
        raise QueryError(f"{raw} does not fit: it must be from {format_duration(least)} to {format_duration(most)}", (name,))
    if value % SECOND:
        raise QueryError(f"{raw} is not in whole seconds", (name,))
    return value


def amount(name: str, raw: object, unit: Unit) -> float:
    """A number of the measure's unit, 0 or more."""
    try:
        value = parse_value(raw, unit)
    except ValueError as problem:
        raise QueryError(str(problem), (name,)) from None
    if not 0 <= value < math.inf:
        raise QueryError(f"{raw} does not fit: it must be 0 or more", (name,))
    return value


def whole(name: str, raw: object, least: int, most: int) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
        raise QueryError(f"{name} is a whole number from {least} to {most}, not {raw}", (name,))
    return raw
