"""The tables of the page about the rule language, made from the same models and registries as the language itself.

`python -m alertd.rulebook.pages docs/rules.md` (or `make docs`) writes them anew between their marks; the words around them
are the page's own.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from alertd import channels, comparisons, measures
from alertd.reporting.properties import PROPERTIES
from alertd.reporting.query import Operation
from alertd.rulebook.calendars_file import CalendarEntry
from alertd.rulebook.flow import written
from alertd.rulebook.model import Entry, EscalateEntry, LimitEntry, RouteEntry, RuleEntry, Shared
from alertd.rulebook.ordinary import ordinary
from alertd.rulebook.schema import calendars_schema, receivers_schema, schema
from alertd.rulebook.shapes import Shape

_PART = re.compile(r"(<!-- begin (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

# What a key amounts to where it is left out, beside those that have an ordinary value.
_LEFT_OUT = {
    "id": "required",
    "title": "the id in words",
    "measure": "required",
    "every": "required, or `cron`",
    "window": "required, but with `burn`",
}


def renew(page: str, tables: Mapping[str, Callable[[], str]] | None = None) -> str:
    """The page with every table between its marks written anew, by default those below; KeyError for one that there is not."""
    known = TABLES if tables is None else tables
    return _PART.sub(lambda found: f"{found[1]}{known[found['name']]()}{found[3]}", page)


def _keys_of_rules(*, shared: bool) -> str:
    """The keys that can stand in defaults too, or the others."""
    usual, properties = ordinary(), schema()["$defs"]["RuleEntry"]["properties"]
    rows = []
    for name, field in RuleEntry.model_fields.items():
        if (name in Shared.model_fields) == shared:
            key = field.alias or name
            default = _LEFT_OUT.get(key) or _code(usual.get(key))
            rows.append(
                (_code(key), _kind(field, properties[key]), str(field.description), default, _example(key, field.examples))
            )
    return _table(("key", "what stands there", "meaning", "left out", "example"), rows)


def table_of(model: type[Entry], found: Mapping[str, Any]) -> str:
    """The keys of a model, which stands among the `$defs` of a schema or is all of it."""
    properties = found.get("$defs", {}).get(model.__name__, found)["properties"]
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    rows = (
        (_code(key), _kind(field, properties[key]), str(field.description), _example(key, field.examples))
        for key, field in fields.items()
    )
    return _table(("key", "what stands there", "meaning", "example"), rows)


def _kind(field: Any, described: Mapping[str, Any]) -> str:
    """What is written there, in the words of its shape, or as its schema has it."""
    return next((each.words for each in _shapes(field)), None) or _typed(described)


def _shapes(field: Any) -> Iterator[Shape]:
    """The shapes of a field's values, those of what a list holds after its own."""
    parts = [field.annotation]
    yield from (each for each in field.metadata if isinstance(each, Shape))
    for part in parts:
        yield from (each for each in getattr(part, "__metadata__", ()) if isinstance(each, Shape))
        parts += getattr(part, "__args__", ())


def _measures() -> str:
    found = sorted(map(measures.load, measures.modules()), key=lambda each: each.names[0])
    return _table(("measure", "meaning", "example"), ((_names(each.names), each.about, _code(each.example)) for each in found))


def _comparisons() -> str:
    rows: list[Sequence[str]] = []
    for found in map(comparisons.load, comparisons.modules()):
        rows.append((_names(found.names), found.about, _code(found.example)))
        for each in found.options:
            about = each.about + (" Required." if each.required else "")
            rows.append((f"{_names(found.names)}: {_code(each.name)}", about, _code(f"{each.name}: {each.example}")))
    return _table(("comparison", "meaning", "example"), rows)


def _names(names: Sequence[str]) -> str:
    return _code(names[0]) if len(names) == 1 else f"{_code(names[0])} to {_code(names[-1])}"


def _properties() -> str:
    rows = []
    for each in PROPERTIES.values():
        values = f": {', '.join(map(_code, each.values))}" if each.values else ""
        rows.append((_code(each.name), f"{each.kind.value}{values}", each.definition))
    return _table(("property", "what it is", "in the API's words"), rows)


def _operations() -> str:
    return ", ".join(_code(each.value) for each in Operation) + "\n"


def _channels() -> str:
    """Each channel's options; those of mappings and unions in the words of their schema."""
    kinds = receivers_schema()["properties"]["receivers"]["additionalProperties"]["properties"]
    rows = [
        (_code(kind), _code(key), _typed(option), str(option.get("description", "")))
        for kind in channels.names()
        for key, option in kinds[kind]["properties"].items()
    ]
    return _table(("channel", "option", "what stands there", "meaning"), rows)


def _typed(option: Mapping[str, Any]) -> str:
    words = {"string": "text", "boolean": "true or false", "array": "list", "object": "keys with values", "integer": "number"}
    kinds = [words.get(str(each.get("type")), "keys with values") for each in option.get("anyOf", [option])]
    return " or ".join(dict.fromkeys(kinds))


def _example(key: str, examples: Sequence[Any] | None) -> str:
    return _code(f"{key}: {written(examples[0])}") if examples else ""


def _code(text: str | None) -> str:
    return f"`{text}`" if text else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


TABLES: Mapping[str, Callable[[], str]] = {
    "keys of a rule alone": lambda: _keys_of_rules(shared=False),
    "keys of rules and defaults": lambda: _keys_of_rules(shared=True),
    "keys of a limit": lambda: table_of(LimitEntry, schema()),
    "keys of escalate": lambda: table_of(EscalateEntry, schema()),
    "measures": _measures,
    "comparisons": _comparisons,
    "properties": _properties,
    "operations": _operations,
    "keys of a calendar": lambda: table_of(CalendarEntry, calendars_schema()),
    "channels": _channels,
    "keys of a route": lambda: table_of(RouteEntry, receivers_schema()),
}


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(renew(file.read_text(encoding="utf-8")), encoding="utf-8")
