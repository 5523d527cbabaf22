"""The values of a rule file in JSON Schema's terms. Built when a schema is asked for, from the registries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema

from alertd import measures
from alertd.errors import QueryError
from alertd.measures.base import quantity
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Operation

Schema: TypeAlias = dict[str, Any]

NAME = "[a-z0-9]+(-[a-z0-9]+)*"
LABEL = "[A-Za-z][A-Za-z0-9_-]*"
DURATION = r"(?=.)(\d{1,6}w)?(\d{1,6}d)?(\d{1,6}h)?(\d{1,6}m)?(\d{1,9}s)?(\d{1,12}ms)?"


@dataclass(frozen=True)
class Shape:
    """Gives a pydantic field its JSON Schema."""

    make: Callable[[], Schema]

    def __get_pydantic_json_schema__(self, _core: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        return self.make()


def name() -> Schema:
    """An id, or the name of a receiver."""
    return {"type": "string", "pattern": f"^{NAME}$", "maxLength": 64}


def text(most: int) -> Callable[[], Schema]:
    """Text that is not empty."""
    return lambda: {"type": "string", "minLength": 1, "maxLength": most}


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


def labels() -> Schema:
    """Names with texts."""
    value = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"type": "object", "propertyNames": {"pattern": f"^{LABEL}$", "maxLength": 64}, "additionalProperties": value}


def notify() -> Schema:
    """One receiver, several, or either by level."""
    some = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    levels = {"warning": some, "critical": some}
    return {"anyOf": [*some["anyOf"], {"type": "object", "properties": levels, "additionalProperties": False}]}


def condition() -> Schema:
    """One filter, as the API has it."""
    values = {"type": "array", "items": {"type": ["string", "number", "boolean"]}}
    properties = {
        "property": {"enum": list(PROPERTIES)},
        "operation": {"enum": [each.value for each in Operation]},
        "values": values,
    }
    required = ["property", "operation"]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def measure() -> Schema:
    """A measure's name, or the name with its property or filters."""
    bare: list[str] = []
    arguments: dict[str, Schema] = {}
    for module in measures.modules():
        found = measures.load(module)
        about = {"description": found.about, "examples": [found.example]}
        if found.argument is None:
            bare += found.names
        else:
            shape = _quantities() if found.argument == "property" else _conditions()
            arguments |= dict.fromkeys(found.names, shape | about)
    one = {"minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return {"anyOf": [{"enum": bare}, {"type": "object", "properties": arguments, **one}]}


def _conditions() -> Schema:
    return {"anyOf": [condition(), {"type": "array", "items": condition(), "minItems": 1}]}


def _quantities() -> Schema:
    return {"enum": [each for each in PROPERTIES if _is_quantity(each)]}


def _is_quantity(each: str) -> bool:
    try:
        return bool(quantity("median", each))
    except QueryError:
        return False
