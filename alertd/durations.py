"""Durations as people write them (`90s`, `5m`, `1h30m`, `7d`) and as people read them."""

from __future__ import annotations

import re

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration

UNITS: dict[str, Duration] = {"w": 7 * DAY, "d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND, "ms": 1}

_TEXT = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?(?:(\d{1,12})ms)?", re.ASCII)


def parse_duration(text: str) -> Duration:
    """Read `1w2d3h4m5s` (any of them, in that order) as milliseconds; ValueError says what was meant."""
    match = _TEXT.fullmatch(text)
    if text and match:
        counts = (int(count or 0) for count in match.groups())
        return sum(count * unit for count, unit in zip(counts, UNITS.values(), strict=True))
    if re.fullmatch(r"\d+", text, re.ASCII):
        raise ValueError(f'"{text}" has no unit; write {text}s, {text}m, {text}h or {text}d')
    raise ValueError(f'"{text}" is not a duration; write it like 90s, 5m, 1h30m or 7d')


def format_duration(value: Duration) -> str:
    """Write milliseconds the way rule files do: `1h30m`, `0s`."""
    parts, rest = [], abs(value)
    for unit, size in UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if value < 0 else "") + ("".join(parts) or "0s")


def spell_duration(value: float) -> str:
    """Write milliseconds for people, in two units at most: `7 min 12 s`, `2 h 5 min`, `3 d`."""
    if abs(round(value)) < SECOND:
        return f"{round(value)} ms" if round(value) else "0 s"
    # Rounded once to the smaller of the two units shown, so that 59.9 s reads 1 min and not 60 s.
    sign, rest = ("-" if value < 0 else ""), abs(value)
    smallest = SECOND if rest < HOUR else MINUTE if rest < DAY else HOUR
    rest = round(rest / smallest) * smallest
    parts = []
    for name, size in (("d", DAY), ("h", HOUR), ("min", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{int(count)} {name}")
    return sign + " ".join(parts)
