"""What a measured number is a number of: how it is read from a rule file and how it is written for people."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from enum import StrEnum

from alertd.clock import SECOND
from alertd.durations import format_duration, parse_duration, spell_duration


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


def probably_milliseconds(number: int) -> bool:
    """Whether a number without a unit is probably one of milliseconds, as the API has them: whole seconds, 10 at least."""
    return number >= 10 * SECOND and number % SECOND == 0


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
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        meant = f"{raw}s, {raw}m or {raw}h"
        if probably_milliseconds(raw):
            meant = f"{format_duration(raw)}, or {raw}ms, if these are milliseconds"
        raise ValueError(f"this measure is a duration: {raw} has no unit; write {meant}")
    raise ValueError(f'this measure is a duration; write it like 90s, 5m or 1h30m instead of "{raw}"')


def _fraction(raw: object) -> float:
    if isinstance(raw, str) and (match := _PERCENT.fullmatch(raw)):
        # Decimal: 0.7 / 100 is a little less than 7 / 1000, and a limit is exclusive.
        return float(Decimal(match[1]) / 100)
    number = _finite(raw)
    if number is not None:
        meant = f"{number * 100 if abs(number) < 1 else number:.6g}%"
        raise ValueError(f"this measure is a share: {raw} has no unit; write {meant}")
    raise ValueError(f'this measure is a share; write it like 20% instead of "{raw}"')


def _number(raw: object) -> float:
    number = _finite(raw)
    if number is not None:
        return number
    raise ValueError(f'this measure is a plain number without a unit; write it like 20 instead of "{raw}"')


def _finite(raw: object) -> float | None:
    if not isinstance(raw, int | float) or isinstance(raw, bool):
        return None
    try:
        return float(raw) if math.isfinite(raw) else None
    except OverflowError:  # a whole number beyond any float
        return None


def _plain(value: float, places: int) -> str:
    text = f"{value:z,.{places}f}"  # z: nobody wants to read -0
    return text.rstrip("0").rstrip(".") if "." in text else text
