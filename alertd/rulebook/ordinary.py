"""What a key of a rule amounts to where it is left out, written as in a rule file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from alertd import comparisons
from alertd.durations import format_duration
from alertd.rulebook.model import RuleEntry
from alertd.rulebook.rule import Rule

# Where the rule keeps it as something else than what is written.
_WRITTEN: Mapping[str, Mapping[Any, str]] = {
    "as_waited": {False: "ignore"},
    "no_data": {None: "keep"},
    "compare": {comparisons.VALUE: "value"},
    "report": {False: "false"},
}
_DURATIONS = frozenset({"delay", "hold", "keep_firing", "reopen_within"})


def ordinary() -> Mapping[str, str]:
    """Keys that have an ordinary value, and the value."""
    names = {name: field.alias or name for name, field in RuleEntry.model_fields.items()}
    found = {each.name: _spell(each.name, each.default) for each in fields(Rule) if each.name in names}
    return {names[name]: value for name, value in found.items() if value is not None}


def _spell(name: str, value: Any) -> str | None:
    if name in _WRITTEN:
        return _WRITTEN[name].get(value)
    if name in _DURATIONS:
        return format_duration(value)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
