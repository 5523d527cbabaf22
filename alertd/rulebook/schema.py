"""JSON Schema (draft 2020-12) of rule files and of receivers.yaml, for editors; made from the same models and registries."""

from __future__ import annotations

from typing import Any

from alertd import channels
from alertd.rulebook import shapes
from alertd.rulebook.model import Entry, ReceiversFile, RuleFile
from alertd.rulebook.receivers import SEND_RESOLVED

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """What a rule file may look like."""
    found = _of(RuleFile, "alertd rule file")
    definitions = found["$defs"]
    definitions["LimitEntry"]["oneOf"] = [{"required": ["above"]}, {"required": ["below"]}]
    definitions["RuleEntry"]["anyOf"] = [{"required": ["warning"]}, {"required": ["critical"]}]
    return found | {"required": ["rules"]}


def receivers_schema() -> dict[str, Any]:
    """What receivers.yaml may look like."""
    found, definitions = _of(ReceiversFile, "alertd receivers"), dict[str, Any]()
    kinds = {kind: _channel(kind, definitions) for kind in channels.names()}
    one = {"type": "object", "properties": kinds, "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    about = found["properties"]["receivers"].get("description", "")
    receivers = {"type": "object", "description": about, "propertyNames": shapes.name(), "additionalProperties": one}
    found["properties"]["receivers"] = receivers
    return found | {"required": ["receivers"], "$defs": definitions}


def _of(model: type[Entry], title: str) -> dict[str, Any]:
    made: dict[str, Any] = _tidy(model.model_json_schema(by_alias=True))
    return {"$schema": _DIALECT, **made, "title": title}


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
