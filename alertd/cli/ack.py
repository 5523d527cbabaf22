"""`alertd ack`: somebody says "I have it", or looks what nobody has yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Json, load_settings, print_json, say
from alertd.cli.people import incident_line, open_store, whoever

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from alertd.clock import Instant
    from alertd.notices.incidents import Incident


def ack(
    incident: Annotated[
        list[int] | None,
        typer.Argument(help="Numbers of open incidents; without any, they are listed.", show_default=False),
    ] = None,
    rule: Annotated[str | None, typer.Option(help="The open incident of that rule.", show_default=False)] = None,
    by: Annotated[str | None, typer.Option(help="Who has it; else your login name.", show_default=False)] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Nobody has it any more.")] = False,
    as_json: Json = False,
) -> None:
    """Acknowledge incidents: no reminders and no escalation until they get worse. Without arguments, list what is open."""
    from alertd.clock import SystemClock
    from alertd.errors import SettingsError
    from alertd.overview import incident_to_json, open_incidents

    named = bool(incident) or rule is not None
    if not named and (undo or by is not None):
        raise SettingsError("name the incident by its number or with --rule; `alertd ack` lists those that are open")
    who = whoever(by) if named and not undo else None
    settings, _ = load_settings()
    database, now = open_store(settings), SystemClock().now()
    with database.write() if named else database.read() as transaction:
        found = open_incidents(transaction)
        if named:
            found = tuple(_write(transaction, each, who, now) for each in _chosen(found, incident or [], rule))
    if as_json:
        print_json({"incidents": [incident_to_json(each) for each in found]})
        return
    for each in found:
        typer.echo(_done(each) if named else incident_line(each))
    if not found:
        say("No incident is open.")


def _chosen(found: Sequence[Incident], numbers: Sequence[int], rule: str | None) -> list[Incident]:
    """The open incidents that were named; SettingsError if one of them is not open: then nothing is written."""
    from alertd.errors import SettingsError
    from alertd.reporting.properties import suggest

    by_number = {each.id: each for each in found}
    by_rule = {each.rule: each for each in found}
    are = "open: " + (", ".join(f"{each.id} ({each.rule})" for each in found) or "none")
    for number in numbers:
        if number not in by_number:
            raise SettingsError(f"there is no open incident {number}; {are}")
    if rule is not None and rule not in by_rule:
        meant = suggest(rule, by_rule)
        raise SettingsError(f'rule "{rule}" has no open incident; {f"did you mean {meant}? " if meant else ""}{are}')
    named = [by_number[number] for number in numbers] + ([by_rule[rule]] if rule is not None else [])
    return list({each.id: each for each in named}.values())


def _write(transaction: Connection, incident: Incident, who: str | None, at: Instant) -> Incident:
    """Write who has it from now on, and return it as it is then."""
    from dataclasses import replace

    from alertd.notices.incidents import acknowledge, unacknowledge

    number = incident.id or 0  # it comes from the store, so it has one
    if who is None:
        unacknowledge(transaction, number)
        return replace(incident, acknowledged_at=None, acknowledged_by=None)
    acknowledge(transaction, number, who, at)
    return replace(incident, acknowledged_at=at, acknowledged_by=who)


def _done(incident: Incident) -> str:
    what = f"incident {incident.id} ({incident.rule}, {incident.level})"
    if incident.acknowledged_by is None:
        return f"{what}: nobody has it any more; reminders and escalation go on"
    return f"{what}: acknowledged by {incident.acknowledged_by}; no reminders, no escalation until it gets worse"
