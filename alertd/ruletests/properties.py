"""The properties of conversations as a test file writes them."""

from __future__ import annotations

import re
from typing import Any

from alertd.clock import Instant, parse_instant
from alertd.durations import parse_duration
from alertd.reporting.properties import PROPERTIES, Kind, suggest
from alertd.rulebook.misfit import Misfit, show
from alertd.ruletests.case import Value
from alertd.sandbox.importing import read_value
from alertd.units import Unit, parse_value

_ALIASES = {"conversationId": "id"}


def property_name(key: str, others: tuple[str, ...]) -> str:
    """The property of that name; Misfit with what was probably meant, a property or one of the other keys."""
    name = _ALIASES.get(key, key)
    if name == "createdAt":
        raise Misfit(
            "conversations are created when `at`, or `each` with `from` and `to`, says so; leave this out", at_key=True
        )
    if name not in PROPERTIES:
        message = f"{show(key)} is neither a property of conversations nor a key beside them"
        raise Misfit(message, suggestion=suggest(key, (*others, *PROPERTIES)), at_key=True)
    return name


def property_value(name: str, raw: Any, start: Instant | None) -> Value:
    """A value of that property: durations like 2m, moments relative to `start` like 2m or -2m, or in ISO 8601; Misfit."""
    if raw is None:
        return None
    found = PROPERTIES[name]
    try:
        if found.kind is Kind.DURATION:
            return parse_value(raw, Unit.DURATION)
        if found.kind is Kind.TIME:
            return _moment(raw, start)
        value: Value = read_value(found, raw)
    except ValueError as problem:
        meant = suggest(raw, found.values) if isinstance(raw, str) else None
        raise Misfit(_said(found.kind, str(problem), raw), suggestion=meant) from None
    return value


def _said(kind: Kind, message: str, raw: object) -> str:
    return message.replace("this measure", "this property") if kind is Kind.DURATION else message.replace(repr(raw), show(raw))


def _moment(raw: object, start: Instant | None) -> float:
    text = str(raw)
    if isinstance(raw, str) and re.match(r"\d{4}-", text):
        return float(parse_instant(text))
    try:
        span = parse_duration(text.removeprefix("-"))
        return float((start or 0) + (-span if text.startswith("-") else span))
    except ValueError:
        raise ValueError(f"{show(raw)} is not a moment; write it like 5m after the start, or 2026-11-02T09:05:00Z") from None
