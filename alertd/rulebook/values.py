"""The values of a rule file: how each is read, and how the JSON Schema describes it.

A reader takes plain data and gives the typed value, or raises Misfit in words for the person who wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import PlainValidator

from alertd import measures
from alertd.clock import DAY, SECOND, Duration
from alertd.durations import format_duration, parse_duration
from alertd.errors import QueryError
from alertd.facts import CONVERSATION, Level
from alertd.measures.base import Measure
from alertd.reporting.properties import PROPERTIES, Kind, suggest
from alertd.reporting.query import Filter, parse_filter
from alertd.rulebook import shapes
from alertd.rulebook.shapes import Shape

LONGEST = 366 * DAY
LEVELS = (Level.WARNING, Level.CRITICAL)
IDS = tuple(each.name for each in PROPERTIES.values() if each.kind is Kind.ID and each.name != "id")
TIMES = tuple(each.name for each in PROPERTIES.values() if each.kind is Kind.TIME)

_NAME = re.compile(shapes.NAME)
_SPELLED = re.compile(r"(?<=\d)(w|d|h|m|s)(?:eeks?|ays?|ours?|rs?|in(?:ute)?s?|ec(?:ond)?s?)?(?=\d|$)")


class Misfit(ValueError):
    """A value that does not fit. `trail` leads from it to the part that is wrong; `at_key`: the key itself is."""

    def __init__(
        self, message: str, trail: tuple[str | int, ...] = (), *, suggestion: str | None = None, at_key: bool = False
    ) -> None:
        super().__init__(message)
        self.trail = trail
        self.suggestion = suggestion
        self.at_key = at_key


def show(value: object) -> str:
    """A value from a file, short, as it is quoted in a message."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "keys with values"
    text = str(value)
    text = text if len(text) <= 60 else text[:59] + "…"
    return f'"{text}"' if isinstance(value, str) else text


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


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int):
            raise Misfit(f"a whole number is expected here, not {show(raw)}")
        if not least <= raw <= most:
            raise Misfit(f"{raw} does not fit: it must be from {least:,} to {most:,}")
        return raw

    return read


def _text(most: int, *, lines: bool = False) -> Callable[[object], str]:
    def read(raw: object) -> str:
        if isinstance(raw, bool | int | float):
            raise Misfit(f"text is expected here; put it in quotes: {show(str(raw).lower())}")
        if not isinstance(raw, str):
            raise Misfit(f"text is expected here, not {show(raw)}")
        text = raw.strip()
        if not text:
            raise Misfit("this text is empty; write something or leave the key out")
        if len(text) > most:
            raise Misfit(f"this text has {len(text):,} characters; at most {most:,} can be shown")
        if not lines and "\n" in text:
            raise Misfit("this text must be on one line")
        return text

    return read


def read_name(raw: object) -> str:
    """A name of the rule author's own making: lower case letters, digits, dashes."""
    text = _text(2000)(raw)
    if _NAME.fullmatch(text) and len(text) <= 64:
        return text
    meant = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:64].strip("-")
    allowed = "at most 64" if _NAME.fullmatch(text) else "lower case letters, digits and single dashes"
    raise Misfit(f"{show(text)} is not a name; use {allowed}", suggestion=meant or None)


def _id(raw: object) -> str:
    text = read_name(raw)
    if text.startswith("alertd"):
        raise Misfit('ids that begin with "alertd" are its own; choose another')
    return text


def _web_address(raw: object) -> str:
    text = _text(2000)(raw)
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", text)
    except ValueError:
        fine = False
    if not fine:
        raise Misfit(f"{show(text)} is not a web address; write it like https://wiki.example.com/slow-first-answer")
    return text


def _by(raw: object) -> str:
    if raw == "conversation":
        return CONVERSATION
    if raw in ("id", CONVERSATION):
        raise Misfit("each conversation by itself is called conversation here", suggestion="conversation")
    if isinstance(raw, str) and raw in IDS:
        return raw
    possible = ("conversation", *IDS)
    known = PROPERTIES.get(raw) if isinstance(raw, str) else None
    if known:
        raise Misfit(f"groups are made by ids, and {known.name} is {known.kind.value}; possible are {', '.join(possible)}")
    raise Misfit(f"groups cannot be made by {show(raw)}; possible are {', '.join(possible)}", suggestion=suggest(raw, possible))


def _timestamp(raw: object) -> str:
    if isinstance(raw, str) and raw in TIMES:
        return raw
    message = f"a window is cut by a moment, not by {show(raw)}; possible are {', '.join(TIMES)}"
    raise Misfit(message, suggestion=suggest(raw, TIMES))


def _unanswered(raw: object) -> bool:
    if raw in ("as_waited", "ignore"):
        return raw == "as_waited"
    choices = ("as_waited", "ignore")
    raise Misfit(f"it is as_waited or ignore, not {show(raw)}", suggestion=suggest(raw, choices))


def _measure(raw: object) -> Measure:
    try:
        return measures.build(raw)
    except QueryError as problem:
        raise _misfit(problem) from problem


def _filter(raw: object) -> Filter:
    try:
        return parse_filter(raw)
    except QueryError as problem:
        raise _misfit(problem) from problem


def _misfit(problem: QueryError) -> Misfit:
    """The same in our terms. A path that ends in a name which nobody knows means that name, not what stands under it."""
    last = problem.path[-1] if problem.path else 0
    known = ("property", "operation", "values", *measures.names())
    at_key = isinstance(last, str) and last not in known
    return Misfit(str(problem), problem.path, suggestion=problem.suggestion, at_key=at_key)


Receivers: TypeAlias = tuple[str, ...]


def _receivers(raw: object, trail: tuple[str | int, ...] = ()) -> Receivers:
    names = raw if isinstance(raw, list) else [raw]
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise Misfit(f"the name of a receiver is expected here, not {show(name)}", (*trail, index))
    return tuple(names)


def _notify(raw: object) -> Receivers | Mapping[Level, Receivers]:
    if not isinstance(raw, dict):
        return _receivers(raw)
    for key in raw:
        if key not in LEVELS:
            message = f'"{key}" is not a level; receivers can be named for warning and critical'
            raise Misfit(message, (key,), suggestion=suggest(key, LEVELS), at_key=True)
    return {Level(key): _receivers(value, (key,)) for key, value in raw.items()}


def _labels(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict):
        raise Misfit(f"names with texts are expected here, such as {{team: support}}, not {show(raw)}")
    return {_label(key): _under(key, value) for key, value in raw.items()}


def _label(key: str) -> str:
    if re.fullmatch(shapes.LABEL, key) and len(key) <= 64:
        return key
    raise Misfit("a label's name has letters, digits, _ and -, and begins with a letter", (key,), at_key=True)


def _under(key: str, value: object) -> str:
    try:
        return _text(200)(value)
    except Misfit as problem:
        raise Misfit(str(problem), (key, *problem.trail)) from None


@dataclass(frozen=True)
class Scalar:
    """A limit as it stands in the file; its unit is known only with the measure."""

    raw: Any


def _scalar(raw: object) -> Scalar:
    if isinstance(raw, list | dict) or raw is None:
        raise Misfit(f"a limit is written like 5m, 20% or 3, not {show(raw)}")
    return Scalar(raw)


Id = Annotated[str, PlainValidator(_id), Shape(shapes.name)]
Line = Annotated[str, PlainValidator(_text(150)), Shape(shapes.text(150))]
Prose = Annotated[str, PlainValidator(_text(2000, lines=True)), Shape(shapes.text(2000))]
WebAddress = Annotated[str, PlainValidator(_web_address), Shape(shapes.web_address)]
Every = Annotated[Duration, PlainValidator(_duration(10 * SECOND)), Shape(shapes.duration)]
WindowLength = Annotated[Duration, PlainValidator(_duration(10 * SECOND)), Shape(shapes.duration)]
Span = Annotated[Duration, PlainValidator(_duration()), Shape(shapes.duration)]
Conversations = Annotated[int, PlainValidator(_whole(0, 1_000_000)), Shape(shapes.whole(0, 1_000_000))]
Groups = Annotated[int, PlainValidator(_whole(1, 10_000)), Shape(shapes.whole(1, 10_000))]
By = Annotated[str, PlainValidator(_by), Shape(shapes.choice(("conversation", *IDS)))]
Timestamp = Annotated[str, PlainValidator(_timestamp), Shape(shapes.choice(TIMES))]
Unanswered = Annotated[bool, PlainValidator(_unanswered), Shape(shapes.choice(("as_waited", "ignore")))]
MeasureOf = Annotated[Measure, PlainValidator(_measure), Shape(shapes.measure)]
FilterOf = Annotated[Filter, PlainValidator(_filter), Shape(shapes.condition)]
Notify = Annotated[Receivers | Mapping[Level, Receivers], PlainValidator(_notify), Shape(shapes.notify)]
Labels = Annotated[dict[str, str], PlainValidator(_labels), Shape(shapes.labels)]
LimitValue = Annotated[Scalar, PlainValidator(_scalar), Shape(shapes.limit)]
