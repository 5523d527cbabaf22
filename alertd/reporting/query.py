"""Filters and queries, checked when they are built ("Structuring the Query" in the API's document)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, TypeAlias

from alertd.errors import QueryError
from alertd.reporting.properties import Kind, Property, find_metric, find_property, suggest

Value: TypeAlias = str | int | float | bool

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Operation(StrEnum):
    """The thirteen operations of the document."""

    EQ = "EQ"
    NOT_EQ = "NOT_EQ"
    GT = "GT"
    GTE = "GTE"
    LT = "LT"
    LTE = "LTE"
    IN = "IN"
    NOT_IN = "NOT_IN"
    BETWEEN = "BETWEEN"
    HAS_PROPERTY = "HAS_PROPERTY"
    NOT_HAS_PROPERTY = "NOT_HAS_PROPERTY"
    CONTAINS = "CONTAINS"
    NOT_CONTAINS = "NOT_CONTAINS"


# How many values an operation takes: (at least, at most).
_ARITY: dict[Operation, tuple[int, float]] = dict.fromkeys(Operation, (1, 1)) | {
    Operation.IN: (1, math.inf),
    Operation.NOT_IN: (1, math.inf),
    Operation.BETWEEN: (2, 2),
    Operation.HAS_PROPERTY: (0, 0),
    Operation.NOT_HAS_PROPERTY: (0, 0),
}

# What other languages call them: letter by letter some of these are closest to their opposite.
_OTHER_WORDS = {
    "NEQ": "NOT_EQ", "NE": "NOT_EQ", "!=": "NOT_EQ", "<>": "NOT_EQ", "EQUALS": "EQ", "=": "EQ", "==": "EQ",
    ">": "GT", ">=": "GTE", "<": "LT", "<=": "LTE", "EXISTS": "HAS_PROPERTY", "NOT_EXISTS": "NOT_HAS_PROPERTY",
}  # fmt: skip

# The value is a part of the property's values here, so an enumeration does not bind it.
_PARTIAL = frozenset({Operation.CONTAINS, Operation.NOT_CONTAINS})


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition on one property. Raises QueryError when the document does not allow it."""

    property: str
    operation: Operation
    values: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        found = find_property(self.property)
        _check_count(self.operation, self.values)
        for index, value in enumerate(self.values):
            _check_value(found, self.operation, value, ("values", index))

    def to_json(self) -> dict[str, Any]:
        """The filter as the API wants it."""
        body: dict[str, Any] = {"property": self.property, "operation": self.operation.value}
        return body | {"values": list(self.values)} if self.values else body


@dataclass(frozen=True, slots=True)
class Query:
    """Filters, all of which must hold, and the numeric properties to return. Raises QueryError where it must."""

    filters: tuple[Filter, ...]
    metrics: tuple[str, ...]

    def __post_init__(self) -> None:
        for index, name in enumerate(self.metrics):
            find_metric(name, ("metrics", index))

    def to_json(self) -> dict[str, Any]:
        """The request body."""
        return {"filters": [each.to_json() for each in self.filters], "metrics": list(self.metrics)}


def parse_filter(raw: object) -> Filter:
    """Build a filter from plain data (YAML or JSON); QueryError with the path to what is wrong."""
    if not isinstance(raw, Mapping):
        raise QueryError("a filter looks like {property: status, operation: EQ, values: [open]}")
    for key in raw:
        if key not in ("property", "operation", "values"):
            known = ("property", "operation", "values")
            raise QueryError(f'a filter has no key "{key}"', (str(key),), suggest(key, known))
    for key in ("property", "operation"):
        if not isinstance(raw.get(key), str):
            raise QueryError(f"a filter needs a {key}", (key,) if key in raw else ())
    values = raw.get("values")
    values = [] if values is None else values
    if not isinstance(values, list | tuple):
        raise QueryError(f"values is a list: [{values}]", ("values",))
    return Filter(raw["property"], parse_operation(raw["operation"]), tuple(values))


def parse_operation(name: str) -> Operation:
    """Look an operation up; QueryError with a suggestion where there is none."""
    try:
        return Operation(name)
    except ValueError:
        meant = _OTHER_WORDS.get(name.upper()) or suggest(name, Operation)
        known = "" if meant else f"; there are {', '.join(Operation)}"
        raise QueryError(f'there is no operation "{name}"{known}', ("operation",), meant) from None


def _check_count(operation: Operation, values: tuple[Value, ...]) -> None:
    least, most = _ARITY[operation]
    if least <= len(values) <= most:
        return
    wants = {0: "no values", 1: "one value", 2: "two values"}[least]
    wants = "at least one value" if most == math.inf else wants
    path: tuple[str | int, ...] = ("values", int(most)) if len(values) > most else ("values",) if values else ()
    raise QueryError(f"{operation} takes {wants}, not {len(values)}", path)


def _check_value(found: Property, operation: Operation, value: object, path: tuple[str | int, ...]) -> None:
    problem = _problem(found, value)
    if problem:
        raise QueryError(f"{found.name} {problem}, not {_show(value)}", path)
    if found.values and operation not in _PARTIAL and value not in found.values:
        message = f"{found.name} is one of {', '.join(found.values)}, not {_show(value)}"
        raise QueryError(message, path, suggest(value, found.values))


def _problem(found: Property, value: object) -> str | None:
    """What a value of that property should have been, or None if this is one."""
    boolean, number = isinstance(value, bool), isinstance(value, int | float)
    if found.kind is Kind.BOOLEAN:
        return None if boolean else "is true or false"
    if found.kind in (Kind.TEXT, Kind.TAGS):
        return None if isinstance(value, str) else "takes texts"
    if isinstance(value, float) and not math.isfinite(value):
        return "takes finite numbers"
    if number and not boolean:
        return None
    if found.kind is Kind.TIME:
        return None if _is_date(value) else "takes epoch milliseconds or a date like 2026-11-02"
    return "takes numbers"


def _is_date(value: object) -> bool:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return False
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def _show(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool | None) else str(value)
