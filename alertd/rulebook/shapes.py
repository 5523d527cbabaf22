"""The values of a rule file in JSON Schema's terms. Built when a schema is asked for, from the registries."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from alertd import comparisons, measures
from alertd.comparisons.base import Comparison, Option
from alertd.errors import QueryError
from alertd.measures.base import Measure
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Operation
from alertd.rulebook.located import compose
from alertd.rulebook.lookback import FURTHEST, KEYS

Schema: TypeAlias = dict[str, Any]

NAME = "[a-z0-9]+(-[a-z0-9]+)*"
LABEL = "[A-Za-z][A-Za-z0-9_-]*"
DURATION = r"(?=.)(\d{1,9}w)?(\d{1,6}d)?(\d{1,6}h)?(\d{1,6}m)?(\d{1,9}s)?(\d{1,12}ms)?"
CRON = r"\s*\S+(\s+\S+){4}\s*"
PERCENT = r"-?\d+(\.\d+)?\s*%"


@dataclass(frozen=True)
class Shape:
    """Gives a pydantic field its JSON Schema, and says in words what is written there."""

    make: Callable[[], Schema]
    words: str

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        return self.make()


def name() -> Schema:
    """An id, or the name of a receiver."""
    return {"type": "string", "pattern": f"^{NAME}$", "maxLength": 64}


def text(most: int) -> Callable[[], Schema]:
    """Text that is not empty."""
    return lambda: {"type": "string", "pattern": r"\S", "maxLength": most}


def web_address() -> Schema:
    """http or https."""
    return {"type": "string", "pattern": "^https?://", "maxLength": 2000}


def duration() -> Schema:
    """A duration with its unit."""
    return {"type": "string", "pattern": f"^{DURATION}$"}


def whole(least: int, most: int) -> Callable[[], Schema]:
    """A whole number between bounds, both included."""
    return lambda: {"type": "integer", "minimum": least, "maximum": most}


def choice(names: Iterable[str]) -> Callable[[], Schema]:
    """One of these words."""
    return lambda: {"enum": list(names)}


def limit() -> Schema:
    """A limit in the measure's unit."""
    return {"type": ["string", "number"]}


def names() -> Schema:
    """One name, or several."""
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}


def ids() -> Schema:
    """Whole numbers."""
    return {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def window() -> Schema:
    """A duration, or a calendar's unit counted backwards from now."""
    units = {
        key: {
            "type": "integer",
            "minimum": -FURTHEST[unit],
            "maximum": 0,
            "description": f"0 is the current {unit} up to now, -1 the last whole one.",
            "examples": [-1],
        }
        for key, unit in KEYS.items()
    }
    return {"anyOf": [duration(), _one_of(units)]}


def cron() -> Schema:
    """Five fields. What they may be is more than a pattern can say."""
    return {"type": "string", "pattern": f"^{CRON}$", "maxLength": 200}


def flag() -> Schema:
    """True or false."""
    return {"type": "boolean"}


def comparison() -> Schema:
    """A comparison's name, or the name with its options."""
    bare: list[Schema] = []
    optioned: dict[str, Schema] = {}
    for found in map(comparisons.load, comparisons.modules()):
        if not any(each.required for each in found.options):
            bare += [{"const": name, "description": found.about} for name in found.names]
        optioned |= {name: _options(found) if found.options else _nothing(found.about) for name in found.names}
    return {"anyOf": [_one_of(optioned), *bare]}  # editors say what is wrong in the first


def _nothing(about: str) -> Schema:
    """What can stand after a name that takes nothing."""
    return {"type": "null", "description": about}


def _options(found: type[Comparison]) -> Schema:
    required = [each.name for each in found.options if each.required]
    made: Schema = {
        "type": "object" if required else ["object", "null"],
        "description": found.about,
        "examples": [{each.name: _written(each.example) for each in found.options}],
        "properties": {each.name: _option(each) for each in found.options},
        "additionalProperties": False,
    }
    return made | {"required": required} if required else made


def _option(option: Option) -> Schema:
    """What its example is one of: a duration, a percentage, a word; a number may be a limit in the measure's unit."""
    example, shape = _written(option.example), limit()
    if isinstance(example, str):
        shape = next((each for each in (duration(), percentage()) if re.search(each["pattern"], example)), {"type": "string"})
    return {**shape, "description": option.about, "examples": [example]}


def percentage() -> Schema:
    """A share or a change."""
    return {"type": "string", "pattern": f"^{PERCENT}$"}


def _written(example: str) -> Any:
    """An example as it is read from a file."""
    document, _ = compose(example, "example")
    return document.data if document else None


def _one_of(properties: Schema) -> Schema:
    """A mapping with one of these keys.

    Said so, and not by `maxProperties` and `minProperties`: with those the YAML language server offers no key at all.
    """
    return {"type": "object", "properties": properties, "not": {"minProperties": 2}, "additionalProperties": False}


def labels() -> Schema:
    """Names with texts."""
    value = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"type": "object", "propertyNames": {"pattern": f"^{LABEL}$", "maxLength": 64}, "additionalProperties": value}


def matcher() -> Schema:
    """What a route goes by: labels, and three things that every incident has."""
    own = {
        "level": {"enum": ["warning", "critical"], "description": "The level of the incident."},
        "rule": {"type": "string", "description": "The id of the rule."},
        "owner": {"type": "string", "description": "The owner of the rule."},
    }
    return {**labels(), "properties": own, "minProperties": 1}


def notify() -> Schema:
    """One receiver, several, or either by level."""
    some = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    levels = {"warning": some, "critical": some}
    return {"anyOf": [*some["anyOf"], {"type": "object", "properties": levels, "additionalProperties": False}]}


def condition() -> Schema:
    """One filter, as the API has it."""
    properties = {
        "property": {"enum": list(PROPERTIES), "description": "A property of conversations, as the API calls it."},
        "operation": {"enum": [each.value for each in Operation], "description": "How it is compared with the values."},
        "values": {
            "type": ["array", "null"],
            "items": {"type": ["string", "number", "boolean"]},
            "description": "One value; several for IN and NOT_IN, two for BETWEEN, none for HAS_PROPERTY.",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["property", "operation"],
        "additionalProperties": False,
        "allOf": [_enumerated(each.name, each.values) for each in PROPERTIES.values() if each.values],
    }


def _enumerated(name: str, values: Iterable[str]) -> Schema:
    """Where the property has its own few values, they are all that can stand there, unless a part of one is meant."""
    whole = {"not": {"enum": ["CONTAINS", "NOT_CONTAINS"]}}
    this = {"properties": {"property": {"const": name}, "operation": whole}, "required": ["property"]}
    return {"if": this, "then": {"properties": {"values": {"items": {"enum": list(values)}}}}}


def measure() -> Schema:
    """A measure's name, or the name with its property or filters."""
    bare: list[Schema] = []
    arguments: dict[str, Schema] = {}
    for found in map(measures.load, measures.modules()):
        if found.argument is None:
            bare += [{"const": name, "description": found.about} for name in found.names]
            arguments |= {name: _nothing(found.about) for name in found.names}
        else:
            shape = _measurable(found) if found.argument == "property" else _conditions()
            (example,) = _written(found.example).values()
            about = {"description": found.about, "examples": [example]}
            arguments |= {name: {**shape, **about} for name in found.names}
    return {"anyOf": [_one_of(arguments), *bare]}  # editors say what is wrong in the first


def _conditions() -> Schema:
    return {"anyOf": [condition(), {"type": "array", "items": condition(), "minItems": 1}]}


def _measurable(found: type[Measure]) -> Schema:
    return {"enum": [each for each in PROPERTIES if _takes(found, each)]}


def _takes(found: type[Measure], name: str) -> bool:
    try:
        return bool(found.parse(found.names[0], name))
    except QueryError:
        return False
