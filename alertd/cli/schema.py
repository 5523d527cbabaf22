"""`alertd schema`: the JSON Schema of rule files and of those beside them, for editors."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from alertd.cli.common import print_json


def schema(
    receivers: Annotated[bool, typer.Option("--receivers", help="The schema of receivers.yaml instead.")] = False,
    calendars: Annotated[bool, typer.Option("--calendars", help="The schema of calendars.yaml instead.")] = False,
    tests: Annotated[bool, typer.Option("--tests", help="The schema of *.test.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of rule files: completion and hover in an editor with a YAML language server."""
    from alertd.errors import SettingsError

    wanted = [name for name, asked in (("receivers", receivers), ("calendars", calendars), ("tests", tests)) if asked]
    if len(wanted) > 1:
        raise SettingsError(f"one schema at a time: --{wanted[0]} or --{wanted[1]}")
    print_json(schemas()[wanted[0] if wanted else "rules"])


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas of all kinds of files: rules, receivers, calendars, tests."""
    from alertd.rulebook.schema import calendars_schema, receivers_schema
    from alertd.rulebook.schema import schema as rules_schema

    return {
        "rules": rules_schema(),
        "receivers": receivers_schema(),
        "calendars": calendars_schema(),
        "tests": _tests(),
    }


def _tests() -> dict[str, Any]:
    """What a test file may look like. Its lists are read one by one, so that their parts are put together here."""
    from alertd.rulebook.schema import schema_of
    from alertd.ruletests.model import AlertEntry, CaseEntry, CaseFile, EventEntry, MomentEntry, SeriesEntry

    found = schema_of(CaseFile, "alertd tests of rules")
    case, series, event, moment, alert = (
        {key: value for key, value in schema_of(each, "").items() if key not in ("$schema", "title")}
        for each in (CaseEntry, SeriesEntry, EventEntry, MomentEntry, AlertEntry)
    )
    series["properties"] |= _conversation()
    moment["properties"]["alerts"]["items"] = alert
    for key, part in (("conversations", series), ("during", event), ("expect", moment)):
        case["properties"][key]["items"] = part
    case["required"], event["required"], moment["required"] = ["name", "start"], ["at", "do"], ["at", "alerts"]
    found["properties"]["tests"] |= {"items": case, "minItems": 1}
    return found | {"required": ["tests"]}


def _conversation() -> dict[str, Any]:
    """The properties that a test gives its conversations; null takes a value away."""
    from alertd.reporting.properties import PROPERTIES

    found: dict[str, Any] = {}
    for name, each in PROPERTIES.items():
        if name != "createdAt":  # that is what at, each, from and to are for
            few = {"enum": [*each.values, None]} if each.values else {}
            found[name] = {"description": f"{each.definition[:1].upper()}{each.definition[1:]}.", **few}
    return found
