"""The values of a rule file that have to do with time: durations, windows, schedules, time zones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import PlainValidator

from alertd.clock import DAY, SECOND, Duration
from alertd.durations import format_duration, parse_duration
from alertd.reporting.properties import PROPERTIES, Kind, suggest
from alertd.rulebook import shapes
from alertd.rulebook.lookback import KEYS, CalendarWindow, parse_lookback
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.schedules import Cron, parse_cron
from alertd.rulebook.shapes import Shape
from alertd.rulebook.zones import read_zone

LONGEST = 366 * DAY
_SPOKEN = {
    **{key: f"{{{key}: -1}}" for key in KEYS},
    **{f"last {unit}": f"{{{key}: -1}}" for key, unit in KEYS.items()},
    **{f"this {unit}": f"{{{key}: 0}}" for key, unit in KEYS.items()},
    "yesterday": "{calendar_day: -1}",
    "today": "{calendar_day: 0}",
}
TIMES = tuple(each.name for each in PROPERTIES.values() if each.kind is Kind.TIME)

_SPELLED = re.compile(r"(?<=\d)(w|d|h|m|s)(?:eeks?|ays?|ours?|rs?|in(?:ute)?s?|ec(?:ond)?s?)?(?=\d|$)")


def intended_duration(raw: object) -> str | None:
    """The duration that `5 minutes` or `1H` is meant to be, in our spelling."""
    if not isinstance(raw, str) or len(raw) > 60:
        return None
    text = _SPELLED.sub(r"\1", "".join(raw.lower().split()))
    try:
        return text if text != raw and parse_duration(text) else None
    except ValueError:
        return None


def _duration(least: Duration = 0, most: Duration = LONGEST) -> Callable[[object], Duration]:
    def read(raw: object) -> Duration:
        if isinstance(raw, bool) or not isinstance(raw, str | int | float):
            raise Misfit(f"a duration is written like 90s, 5m, 1h30m or 7d, not {show(raw)}")
        try:
            value = parse_duration(raw[:60] if isinstance(raw, str) else str(raw))
        except ValueError as problem:
            raise Misfit(str(problem), suggestion=intended_duration(raw)) from None
        if not least <= value <= most:
            bound = f"at least {format_duration(least)}" if value < least else f"at most {format_duration(most)}"
            raise Misfit(f"{raw} does not fit: it must be {bound}")
        if value % SECOND:
            raise Misfit(f"{raw} is not in whole seconds")
        return value

    return read


Lookback: TypeAlias = Duration | CalendarWindow


def _window(raw: object) -> Lookback:
    meant = _SPOKEN.get(raw.casefold()) if isinstance(raw, str) else None
    if meant:
        message = f"{show(raw)} is not a duration; whole hours, days and weeks of the calendar are written like {meant}"
        raise Misfit(message, suggestion=meant)
    if not isinstance(raw, dict):
        return _duration(10 * SECOND)(raw)
    return parse_lookback(raw, "UTC")  # the rule's own zone is known only with its other keys


def _cron(raw: object) -> Cron:
    return parse_cron(raw, "UTC")


def _timestamp(raw: object) -> str:
    if isinstance(raw, str) and raw in TIMES:
        return raw
    message = f"a window is cut by a moment, not by {show(raw)}; possible are {', '.join(TIMES)}"
    raise Misfit(message, suggestion=suggest(raw, TIMES))


Every = Annotated[Duration, PlainValidator(_duration(10 * SECOND)), Shape(shapes.duration, "duration")]
Span = Annotated[Duration, PlainValidator(_duration()), Shape(shapes.duration, "duration")]
WindowOf = Annotated[Lookback, PlainValidator(_window), Shape(shapes.window, "duration or calendar window")]
CronText = Annotated[Cron, PlainValidator(_cron), Shape(shapes.cron, "cron expression")]
Zone = Annotated[str, PlainValidator(read_zone), Shape(shapes.text(64), "time zone")]
Timestamp = Annotated[str, PlainValidator(_timestamp), Shape(shapes.choice(TIMES), "a property that is a moment")]
