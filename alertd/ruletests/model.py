"""The keys of test files, each with its type and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, PlainValidator

from alertd.clock import SECOND, Duration, Instant
from alertd.durations import parse_duration
from alertd.facts import Kind, Level
from alertd.reporting.properties import suggest
from alertd.rulebook import shapes
from alertd.rulebook.misfit import Misfit, show
from alertd.rulebook.model import Entry
from alertd.rulebook.moments import LONGEST, Span, intended_duration
from alertd.rulebook.shapes import DURATION, Shape
from alertd.rulebook.values import LEVELS
from alertd.ruletests.case import Happening

MOST_AT_ONCE = 10_000

TELLING = tuple(each for each in Kind if each not in (Kind.REFRESHED, Kind.TEST, Kind.DIGEST))


def _start(raw: object) -> Instant:
    try:
        found = datetime.fromisoformat(raw if isinstance(raw, str) else "")
    except ValueError:
        raise Misfit(f"{show(raw)} is not a moment; write it like 2026-11-02T09:00:00Z") from None
    if found.tzinfo is None:
        raise Misfit(f"{show(raw)} has no time zone; end it with Z for UTC, or with an offset like +01:00")
    if found.microsecond:
        raise Misfit(f"{show(raw)} is not in whole seconds")
    return round(found.timestamp()) * SECOND


def _time(raw: object) -> Duration:
    text = str(raw)[:60]
    size = text.removeprefix("-")
    try:
        found = parse_duration(size)
    except ValueError as problem:
        raise Misfit(str(problem), suggestion=intended_duration(size)) from None
    if found > LONGEST or found % SECOND:
        raise Misfit(f"{show(raw)} does not fit: times are in whole seconds, and at most 366d before the start or after it")
    return found if size == text else -found


def _step(raw: object) -> Duration:
    try:
        found = parse_duration(str(raw)[:60])
    except ValueError as problem:
        raise Misfit(str(problem)) from None
    if found < SECOND:
        raise Misfit(f"{show(raw)} does not fit: conversations come at most every second; several at once have a count")
    return found


def _count(least: int, most: int) -> Callable[[object], int]:
    def read(raw: object) -> int:
        if isinstance(raw, bool) or not isinstance(raw, int) or not least <= raw <= most:
            raise Misfit(f"a whole number from {least:,} to {most:,} is expected here, not {show(raw)}")
        return raw

    return read


def _name(raw: object) -> str:
    if not isinstance(raw, str) or not raw.strip() or len(raw) > 200 or "\n" in raw:
        raise Misfit(f"a name is a line of text that says what must happen, not {show(raw)}")
    return raw.strip()


def _names(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not raw:
        raise Misfit(f"ids of rules are expected here, such as [slow-first-answer], not {show(raw)}")
    for index, name in enumerate(raw):
        if not isinstance(name, str):
            raise Misfit(f"the id of a rule is expected here, not {show(name)}", (index,))
    return tuple(dict.fromkeys(raw))


W = TypeVar("W", bound=StrEnum)


def _word(known: Sequence[W], noun: str) -> Callable[[object], W]:
    def read(raw: object) -> W:
        found = next((each for each in known if each.value == raw), None)
        if found is None:
            raise Misfit(f"there is no {noun} {show(raw)}; there are {', '.join(known)}", suggestion=suggest(raw, known))
        return found

    return read


def _story(raw: object) -> tuple[Kind, ...]:
    if not isinstance(raw, list):
        raise Misfit(f"a list of notices is expected here, such as [opened, resolved], not {show(raw)}")
    found = []
    for index, word in enumerate(raw):
        try:
            found.append(_word(TELLING, "notice")(word))
        except Misfit as problem:
            raise Misfit(str(problem), (index,), suggestion=problem.suggestion) from None
    return tuple(found)


def _notices(raw: object) -> dict[str | None, tuple[Kind, ...]]:
    if not isinstance(raw, dict):
        return {None: _story(raw)}
    found: dict[str | None, tuple[Kind, ...]] = {}
    for name, story in raw.items():
        try:
            found[name] = _story(story)
        except Misfit as problem:
            raise Misfit(str(problem), (name, *problem.trail), suggestion=problem.suggestion) from None
    return found


def _group(raw: object) -> str:
    """The key of the group that `{lastAgentId: 7}` names."""
    if not isinstance(raw, dict) or len(raw) != 1:
        raise Misfit(f"a group is written like {{lastAgentId: 7}}, not {show(raw)}")
    ((by, number),) = raw.items()
    if isinstance(number, bool) or not isinstance(number, int):
        raise Misfit(f"the id of a group is a whole number, not {show(number)}", (by,))
    return f"{'conversationId' if by in ('conversation', 'id') else by}={number}"


def _scalar(raw: object) -> object:
    if isinstance(raw, list | dict | bool):
        raise Misfit(f"a value is written like a limit: 5m, 20% or 3, not {show(raw)}")
    return raw


def _list_of_names() -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "minItems": 1}


def _one_group() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 1, "maxProperties": 1}


def _stories() -> dict[str, Any]:
    story = {"type": "array", "items": {"enum": [each.value for each in TELLING]}}
    return {"anyOf": [story, {"type": "object", "additionalProperties": story}]}


Start = Annotated[Instant, PlainValidator(_start), Shape(shapes.text(60), "moment with its time zone")]
Time = Annotated[
    Duration, PlainValidator(_time), Shape(lambda: {"type": "string", "pattern": f"^-?{DURATION}$"}, "time of the test")
]
Step = Annotated[Duration, PlainValidator(_step), Shape(shapes.duration, "duration")]
AtOnce = Annotated[int, PlainValidator(_count(1, MOST_AT_ONCE)), Shape(shapes.whole(1, MOST_AT_ONCE), "whole number")]
Calls = Annotated[int, PlainValidator(_count(0, 1_000_000)), Shape(shapes.whole(0, 1_000_000), "whole number")]
Name = Annotated[str, PlainValidator(_name), Shape(shapes.text(200), "text, one line")]
RuleIds = Annotated[tuple[str, ...], PlainValidator(_names), Shape(_list_of_names, "list of rule ids")]
Doing = Annotated[
    Happening, PlainValidator(_word(tuple(Happening), "event")), Shape(shapes.choice(Happening), "an [event](#events)")
]
Grade = Annotated[Level, PlainValidator(_word(LEVELS, "level")), Shape(shapes.choice(LEVELS), "warning or critical")]
Stories = Annotated[
    dict[str | None, tuple[Kind, ...]],
    PlainValidator(_notices),
    Shape(_stories, "list of [notices](#notices), or one for each receiver"),
]
GroupKey = Annotated[str, PlainValidator(_group), Shape(_one_group, "property and id")]
Raw = Annotated[Any, PlainValidator(_scalar), Shape(shapes.limit, "value in the rule's unit")]


class SeriesEntry(Entry):
    """Conversations; all other keys of it are properties of the API."""

    noun: ClassVar[str] = "an entry of conversations"

    at: Time | None = Field(
        None, description="The one moment at which they are created; -7d is a week before the start.", examples=["5m"]
    )
    each: Step | None = Field(None, description="One is created that often.", examples=["1m"])
    from_: Time | None = Field(
        None, alias="from", description="The first of them; the start where it is left out.", examples=["0m", "-28d"]
    )
    to: Time | None = Field(None, description="None is created from then on.", examples=["60m"])
    count: AtOnce | None = Field(None, description="So many at once.", examples=[3])


class EventEntry(Entry):
    """Something that happens during the test."""

    noun: ClassVar[str] = "an event"

    at: Span | None = Field(None, description="When it begins.", examples=["80m"])
    do: Doing | None = Field(None, description="What happens.", examples=["restart"])
    for_: Span | None = Field(None, alias="for", description="How long it lasts.", examples=["3m"])
    until: Span | None = Field(None, description="When a silence is over.", examples=["2h"])
    by: Span | None = Field(None, description="How much later rows become visible.", examples=["90s"])
    rule: Name | None = Field(None, description="The rule that is silenced.", examples=["slow-first-answer"])
    group: GroupKey | None = Field(None, description="The group that is silenced.", examples=[{"lastAgentId": 7}])
    labels: dict[str, str] | None = Field(
        None, description="The labels of rules that are silenced.", examples=[{"team": "support"}]
    )


class AlertEntry(Entry):
    """An alert that fires."""

    noun: ClassVar[str] = "an expected alert"

    rule: Name | None = Field(None, description="The id of its rule.", examples=["slow-first-answer"])
    level: Grade | None = Field(None, description="What it fires at.", examples=["warning"])
    group: GroupKey | None = Field(None, description="Its group.", examples=[{"lastAgentId": 7}])
    value: Raw | None = Field(None, description="Its value, written like a limit.", examples=["7m"])


class MomentEntry(Entry):
    """All alerts that fire at one time."""

    noun: ClassVar[str] = "an entry of expect"

    at: Span | None = Field(None, description="After the check of that time.", examples=["60m"])
    alerts: list[Any] | None = Field(None, description="All alerts that fire then.", examples=[[]])


class CaseEntry(Entry):
    """One test."""

    noun: ClassVar[str] = "a test"

    name: Name | None = Field(
        None, description="What must happen, as a sentence. Required.", examples=["fires once and resolves"]
    )
    rules: RuleIds | None = Field(
        None, description="Ids of the rules that are checked; all where it is left out.", examples=[["slow-first-answer"]]
    )
    start: Start | None = Field(
        None, description="When it begins, with the time zone. Required.", examples=["2026-11-02T09:00:00Z"]
    )
    conversations: list[Any] | None = Field(
        None, description="What the API has to tell.", examples=[[{"each": "1m", "from": "0m", "to": "60m"}]]
    )
    during: list[Any] | None = Field(
        None, description="What happens meanwhile.", examples=[[{"at": "80m", "do": "restart", "for": "3m"}]]
    )
    expect: list[Any] | None = Field(None, description="What fires when.", examples=[[{"at": "60m", "alerts": []}]])
    notices: Stories | None = Field(
        None, description="The whole story of each receiver, in order.", examples=[["opened", "resolved"]]
    )
    calls: Calls | None = Field(None, description="So many calls at most.", examples=[48])


class CaseFile(Entry):
    """A file of tests."""

    noun: ClassVar[str] = "a test file"

    tests: list[Any] | None = Field(None, description="The tests.")
