"""What a measured number is a number of: how it is read from a rule file and how it is written for people."""

from __future__ import annotations

import math
import re
from enum import StrEnum

from alertd.durations import parse_duration, spell_duration


class Unit(StrEnum):
    """The unit of a measure. Inside: milliseconds, fractions of 1, plain numbers."""

    DURATION = "duration"
    FRACTION = "fraction"
    NUMBER = "number"


_PERCENT = re.compile(r"(-?\d+(?:\.\d+)?)\s*%")


def parse_value(raw: object, unit: Unit) -> float:
    """Read a limit as a rule file gives it (`5m`, `20%`, `3`) in that unit; ValueError says which unit is meant."""
    match unit:
        case Unit.DURATION:
            return float(_duration(raw))
        case Unit.FRACTION:
            return _fraction(raw)
        case Unit.NUMBER:
            return _number(raw)


def spell_value(value: float, unit: Unit) -> str:
    """Write a value for people: `7 min 12 s`, `23.4 %`, `1,204`, `3.25`."""
    match unit:
        case Unit.DURATION:
            return spell_duration(value)
        case Unit.FRACTION:
            return f"{_plain(value * 100, 1)} %"
        case Unit.NUMBER:
            return _plain(value, 2)


def _duration(raw: object) -> int:
    if isinstance(raw, str) and not _PERCENT.fullmatch(raw):
        return parse_duration(raw)
    if isinstance(raw, str):
        raise ValueError(f"this measure is a duration, not a share; write it like 5m instead of {raw}")
    raise ValueError(f"this measure is a duration: {raw} has no unit; write {raw}s, {raw}m or {raw}h")


def _fraction(raw: object) -> float:
    if isinstance(raw, str) and (match := _PERCENT.fullmatch(raw)):
        return float(match[1]) / 100
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        raise ValueError(f"this measure is a share: {raw} has no unit; write {_plain(raw * 100 if raw < 1 else raw, 2)}%")
    raise ValueError(f'this measure is a share; write it like 20% instead of "{raw}"')


def _number(raw: object) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool) and math.isfinite(raw):
        return float(raw)
    raise ValueError(f'this measure is a plain number without a unit; write it like 20 instead of "{raw}"')


def _plain(value: float, places: int) -> str:
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
