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
from alertd.durations import parse_duration
from alertd.errors import QueryError
from alertd.facts import CONVERSATION, Level
from alertd.measures.base import Measure
from alertd.reporting.properties import PROPERTIES, Kind, suggest
from alertd.reporting.query import Filter, parse_filter
from alertd.rulebook import shapes
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.shapes import Shape

LEVELS = (Level.WARNING, Level.CRITICAL)
IDS = tuple(each.name for each in PROPERTIES.values() if each.kind is Kind.ID and each.name != "id")

# What people write who know percentiles, or functions, from elsewhere.
_PERCENTILE = re.compile(r"p\d|perc|pct|quantile|\d+th")
_CALLED = re.compile(r"(\w+)\((\w+)\)")
_NAME = re.compile(shapes.NAME)
_LARGEST_ID = 2**53  # up to which a float tells whole numbers apart


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


def _unanswered(raw: object) -> bool:
    if raw in ("as_waited", "ignore"):
        return raw == "as_waited"
    choices = ("as_waited", "ignore")
    raise Misfit(f"it is as_waited or ignore, not {show(raw)}", suggestion=suggest(raw, choices))


def _measure(raw: object) -> Measure:
    if not isinstance(raw, str | dict) or (isinstance(raw, dict) and len(raw) != 1):
        raise Misfit(f"one measure stands here, such as count or {{median: timeToAgentResponseMillis}}, not {_some(raw)}")
    try:
        return measures.build(raw)
    except QueryError as problem:
        if str(problem).startswith("there is no measure"):
            raise _no_measure(problem, raw) from problem
        raise _misfit(problem, raw) from problem


def _no_measure(problem: QueryError, raw: str | dict[str, Any]) -> Misfit:
    """The same with the measures that there are, or how the one is written that was probably meant."""
    name = str(raw if isinstance(raw, str) else next(iter(raw)))
    called = _CALLED.fullmatch(name)
    if called and called[1] in measures.names():
        return Misfit(str(problem), problem.path, suggestion=f"{{{called[1]}: {called[2]}}}", at_key=bool(problem.path))
    if _PERCENTILE.match(name.casefold()):
        message = f"{problem}; percentiles are p50 to p99, such as {{p90: timeToAgentResponseMillis}}"
        return Misfit(message, problem.path, at_key=bool(problem.path))
    meant = {"average": "mean", "avg": "mean"}.get(name.casefold(), problem.suggestion)
    there = [each for each in measures.names() if not re.fullmatch(r"p\d\d", each)]
    listed = "" if meant else f"; there are {', '.join(sorted([*there, 'p50 to p99']))}"
    return Misfit(f"{problem}{listed}", problem.path, suggestion=meant, at_key=bool(problem.path))


def _filter(raw: object) -> Filter:
    try:
        return parse_filter(raw)
    except QueryError as problem:
        raise _misfit(problem, raw) from problem


def _misfit(problem: QueryError, raw: object) -> Misfit:
    """The same in our terms. A path that ends in a name which nobody knows means that name, not what stands under it."""
    last = problem.path[-1] if problem.path else 0
    if "takes numbers" in str(problem) and (meant := _milliseconds(raw, problem.path)):
        return Misfit(f"{problem}; the API counts in milliseconds, which are {meant}", problem.path, suggestion=meant)
    known = ("property", "operation", "values", *measures.names())
    at_key = isinstance(last, str) and last not in known
    return Misfit(str(problem), problem.path, suggestion=problem.suggestion, at_key=at_key)


def _milliseconds(raw: Any, path: tuple[str | int, ...]) -> str | None:
    """The milliseconds of a duration that stands at the end of a path, which leads there."""
    for step in path:
        raw = raw[step]
    try:
        return str(parse_duration(raw)) if isinstance(raw, str) else None
    except ValueError:
        return None


def _comparison(raw: object) -> Raw:
    if not isinstance(raw, str | dict) or (isinstance(raw, dict) and len(raw) != 1):
        raise Misfit(f"one comparison stands here, such as usual or {{change: {{to: 7d}}}}, not {_some(raw)}")
    return Raw(raw)


def _some(raw: object) -> str:
    return f"{len(raw) or 'no'} keys" if isinstance(raw, dict) else show(raw)


NO_DATA = ("keep", *(level.value for level in Level))


def _no_data(raw: object) -> NoDataChoice:
    if isinstance(raw, str) and raw in NO_DATA:
        return NoDataChoice(None if raw == "keep" else Level(raw))
    raise Misfit(f"it is keep, ok, warning or critical, not {show(raw)}", suggestion=suggest(raw, NO_DATA))


def _expected(raw: object) -> tuple[int, ...]:
    if isinstance(raw, list) and raw:
        return tuple(dict.fromkeys(_expected_id(index, each) for index, each in enumerate(raw)))
    what = "an empty list" if isinstance(raw, list) else show(raw)
    meant = f"[{raw}]" if isinstance(raw, int) and not isinstance(raw, bool) else None
    raise Misfit(f"a list of ids is expected here, such as [671581, 671590], not {what}", suggestion=meant)


def _expected_id(index: int, raw: object) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw <= _LARGEST_ID:
        return raw
    meant = raw if isinstance(raw, str) and raw.isdecimal() else None
    raise Misfit(f"an id is a whole number, not {show(raw)}", (index,), suggestion=meant)


def _rule_ids(raw: object) -> tuple[str, ...]:
    names = raw if isinstance(raw, list) else [raw]
    for index, name in enumerate(names):
        if not isinstance(name, str) or not name:
            raise Misfit(f"the id of a rule is expected here, not {show(name)}", (index,) if isinstance(raw, list) else ())
    return tuple(dict.fromkeys(names))


def _matcher(raw: object) -> dict[str, str]:
    if not isinstance(raw, dict) or not raw:
        raise Misfit(f"labels, rule, owner or level are expected here, such as {{team: support}}, not {show(raw)}")
    level = raw.get("level")
    if level is not None and level not in LEVELS:
        raise Misfit(f"level is warning or critical, not {show(level)}", ("level",), suggestion=suggest(level, LEVELS))
    return {_label(key): _under(key, value) for key, value in raw.items()}


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
class Raw:
    """A comparison as it stands in the file; what its options mean is known only with the measure."""

    raw: Any


@dataclass(frozen=True)
class NoDataChoice:
    """What a measure without a value amounts to; None: nothing changes."""

    level: Level | None


@dataclass(frozen=True)
class Scalar:
    """A limit as it stands in the file; its unit is known only with the measure."""

    raw: Any


def _scalar(raw: object) -> Scalar:
    if isinstance(raw, list | dict) or raw is None:
        raise Misfit(f"a limit is written like 5m, 20% or 3, not {show(raw)}")
    return Scalar(raw)


def _flag(raw: object) -> bool:
    """YAML's yes and no are texts here, as they are everywhere in these files."""
    if isinstance(raw, bool):
        return raw
    meant = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}
    raise Misfit(f"true or false is expected here, not {show(raw)}", suggestion=meant.get(str(raw).casefold()))


_WHOLE = "whole number"
_BY = ("conversation", *IDS)

Id = Annotated[str, PlainValidator(_id), Shape(shapes.name, "name")]
Line = Annotated[str, PlainValidator(_text(150)), Shape(shapes.text(150), "text, one line")]
Prose = Annotated[str, PlainValidator(_text(2000, lines=True)), Shape(shapes.text(2000), "text")]
WebAddress = Annotated[str, PlainValidator(_web_address), Shape(shapes.web_address, "web address")]
Conversations = Annotated[int, PlainValidator(_whole(0, 1_000_000)), Shape(shapes.whole(0, 1_000_000), _WHOLE)]
Groups = Annotated[int, PlainValidator(_whole(1, 10_000)), Shape(shapes.whole(1, 10_000), _WHOLE)]
By = Annotated[str, PlainValidator(_by), Shape(shapes.choice(_BY), "conversation or an id property")]
Unanswered = Annotated[bool, PlainValidator(_unanswered), Shape(shapes.choice(("as_waited", "ignore")), "as_waited or ignore")]
MeasureOf = Annotated[Measure, PlainValidator(_measure), Shape(shapes.measure, "a [measure](#measures)")]
FilterOf = Annotated[Filter, PlainValidator(_filter), Shape(shapes.condition, "list of [filters](#filters)")]
Notify = Annotated[
    Receivers | Mapping[Level, Receivers], PlainValidator(_notify), Shape(shapes.notify, "receiver, list, or either by level")
]
Labels = Annotated[dict[str, str], PlainValidator(_labels), Shape(shapes.labels, "names with texts")]
LimitValue = Annotated[Scalar, PlainValidator(_scalar), Shape(shapes.limit, "value in the measure's unit")]
ReceiverNames = Annotated[Receivers, PlainValidator(_receivers), Shape(shapes.names, "receiver or list")]
RuleIds = Annotated[tuple[str, ...], PlainValidator(_rule_ids), Shape(shapes.names, "rule id or list")]
Matcher = Annotated[dict[str, str], PlainValidator(_matcher), Shape(shapes.matcher, "labels, level, rule, owner")]
Expected = Annotated[tuple[int, ...], PlainValidator(_expected), Shape(shapes.ids, "list of ids")]
NoData = Annotated[NoDataChoice, PlainValidator(_no_data), Shape(shapes.choice(NO_DATA), "keep, ok, warning or critical")]
TemplateName = Annotated[str, PlainValidator(read_name), Shape(shapes.name, "name")]
CalendarName = Annotated[str, PlainValidator(read_name), Shape(shapes.name, "calendar")]
CompareWith = Annotated[Raw, PlainValidator(_comparison), Shape(shapes.comparison, "a [comparison](#comparisons)")]
Flag = Annotated[bool, PlainValidator(_flag), Shape(shapes.flag, "true or false")]
