"""JSON Schema (draft 2020-12) of the files of a rulebook, for editors; made from the same models and registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from alertd import channels, comparisons
from alertd.rulebook import shapes
from alertd.rulebook.calendars import DAYS
from alertd.rulebook.calendars_file import CalendarsFile
from alertd.rulebook.flow import written
from alertd.rulebook.model import Entry, ReceiversFile, RuleFile
from alertd.rulebook.ordinary import ordinary
from alertd.rulebook.receivers import SEND_RESOLVED

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_HOURS = r"\d{1,2}:\d\d ?- ?\d{1,2}:\d\d"
_DATE = r"^\d{4}-\d\d-\d\d$"


def schema() -> dict[str, Any]:
    """What a rule file may look like."""
    found = schema_of(RuleFile, "alertd rule file")
    definitions = found["$defs"]
    definitions["LimitEntry"]["oneOf"] = [{"required": [each]} for each in ("above", "below", "outside")]
    definitions["RuleEntry"]["anyOf"] = list(_judged())
    for name in ("RuleEntry", "Defaults"):
        definitions[name]["not"] = {"required": ["every", "cron"]}
        _say_ordinary(definitions[name]["properties"])
    illustrated: dict[str, Any] = _illustrated(found | {"required": ["rules"]})
    return illustrated


def receivers_schema() -> dict[str, Any]:
    """What receivers.yaml may look like."""
    found = schema_of(ReceiversFile, "alertd receivers")
    definitions = found.setdefault("$defs", {})
    kinds = {kind: _channel(kind, definitions) for kind in channels.names()}
    one = {"type": "object", "properties": kinds, "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    return _named(found, "receivers", one)


def calendars_schema() -> dict[str, Any]:
    """What calendars.yaml may look like."""
    found = schema_of(CalendarsFile, "alertd calendars")
    entry = found["$defs"]["CalendarEntry"]
    entry["required"] = ["timezone", "weekly"]
    hours = _some({"type": "string", "pattern": rf"^\s*{_HOURS}(\s*,\s*{_HOURS})*\s*$"})
    entry["properties"]["weekly"] |= {"propertyNames": {"pattern": _days()}, "additionalProperties": hours, "minProperties": 1}
    entry["properties"]["except"] |= _some({"type": "string", "pattern": _DATE})
    return _named(found, "calendars", {"$ref": "#/$defs/CalendarEntry"})


def schema_of(model: type[Entry], title: str) -> dict[str, Any]:
    """The schema of a file whose keys are those of the model."""
    made: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True, schema_generator=_InOrder))
    return {"$schema": _DIALECT, **made, "title": title}


class _InOrder(GenerateJsonSchema):
    """Keys in the order in which people write them."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002 - as it is called
        return value


def _illustrated(node: Any, key: str | None = None) -> Any:
    """The same with examples that are lists or keys with values in the words of the description.

    The YAML language server would offer them as "[object Object]".
    """
    if isinstance(node, list):
        return [_illustrated(each) for each in node]
    if not isinstance(node, dict):
        return node
    shown = {name: _illustrated(value) for name, value in node.items() if name not in ("properties", "examples")}
    if "properties" in node:
        shown["properties"] = {name: _illustrated(value, name) for name, value in node["properties"].items()}
    return shown | (_examples(node, key) if key and isinstance(node.get("examples"), list) else {})


def _examples(node: Mapping[str, Any], key: str) -> dict[str, Any]:
    plain = [each for each in node["examples"] if not isinstance(each, list | dict)]
    others = [f"{key}: {written(each)}" for each in node["examples"] if isinstance(each, list | dict)]
    told = f" Example: {'; '.join(others)}" if others else ""
    return ({"examples": plain} if plain else {}) | {"description": node["description"] + told}


def _judged() -> Iterator[Mapping[str, Any]]:
    """What a rule is judged by: levels, a comparison that brings its own, or nothing, for it is a report."""
    yield from ({"required": [level]} for level in ("warning", "critical"))
    yield {"required": ["report"], "properties": {"report": {"const": True}}}
    for found in map(comparisons.load, comparisons.modules()):
        if found.own_limits:
            named = {"type": "object", "required": [found.names[0]]}
            yield {"required": ["compare"], "properties": {"compare": named}}


def _say_ordinary(properties: dict[str, Any]) -> None:
    """Say in the descriptions what the keys amount to where they are left out."""
    for key, value in ordinary().items():
        if key in properties:
            properties[key]["description"] += f" Default: {value}."


def _named(found: dict[str, Any], key: str, one: dict[str, Any]) -> dict[str, Any]:
    """The same with names under that key, each with one of these; it must be there."""
    about = found["properties"][key]["description"]
    found["properties"][key] = {
        "type": "object",
        "description": about,
        "propertyNames": shapes.name(),
        "additionalProperties": one,
    }
    illustrated: dict[str, Any] = _illustrated(found | {"required": [key]})
    return illustrated


def _some(one: dict[str, Any]) -> dict[str, Any]:
    """One of these or a list of them."""
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _days() -> str:
    """Days, ranges and lists of them, in any letter case."""
    day = "|".join("".join(f"[{letter}{letter.upper()}]" for letter in each) for each in DAYS)
    part = rf"\s*({day})\s*(-\s*({day})\s*)?"
    return f"^{part}(,{part})*$"


def _channel(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """A channel's options, and the one that all channels have. What its schema defines moves to the top."""
    found = channels.find(kind)
    made: dict[str, Any] = _tidy(found.model_json_schema(ref_template=f"#/$defs/{kind}.{{model}}"))
    definitions |= {f"{kind}.{name}": each for name, each in made.pop("$defs", {}).items()}
    told = {"type": "boolean", "default": True, "description": "Whether it is told when things are good again."}
    made["properties"] = {**made.get("properties", {}), SEND_RESOLVED: told}
    return made


def _tidy(node: Any) -> Any:
    """Without what only Python needs: nulls (a key with nothing under it is an error) and titles made from names."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    shown = {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}
    options = [each for each in shown.get("anyOf", []) if each != {"type": "null"}]
    if len(options) == 1 and "anyOf" in shown:
        del shown["anyOf"]
        return options[0] | shown
    return shown | {"anyOf": options} if options else shown


def _is_noise(key: str, value: object) -> bool:
    return (key == "default" and value is None) or (key == "title" and isinstance(value, str))
