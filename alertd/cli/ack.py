"""`alertd ack`: somebody says "I have it", or looks what nobody has yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Json, load_settings, print_json, say
from alertd.cli.people import incident_line, open_store, running_rulebook, whoever

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from alertd.clock import Instant
    from alertd.notices.acting import Receivers
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
    book = running_rulebook(database, settings.rules) if named else None
    receivers = book.receivers if book else None
    with database.write() if named else database.read() as transaction:
        found, others = open_incidents(transaction), list[str]()
        if named:
            chosen = [each.id for each in _chosen(found, incident or [], rule)]
            others = [text for number in chosen if (text := _write(transaction, number or 0, who, now, receivers))]
            found = tuple(each for each in open_incidents(transaction) if each.id in chosen)
    for text in others:
        say(f"alertd: {text}")
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


def _write(transaction: Connection, number: int, who: str | None, at: Instant, receivers: Receivers | None) -> str | None:
    """Write who has it from now on, as the buttons of messages do; in words what is in the way, if somebody else has it."""
    from alertd.notices.acting import acknowledge, unacknowledge

    if who is None:
        unacknowledge(transaction, number, at, receivers)
        return None
    acted = acknowledge(transaction, number, who, at, receivers)
    return None if acted.done else f"incident {number}: {acted.text}"


def _done(incident: Incident) -> str:
    what = f"incident {incident.id} ({incident.rule}, {incident.level})"
    if incident.acknowledged_by is None:
        return f"{what}: nobody has it any more; reminders and escalation go on"
    return f"{what}: acknowledged by {incident.acknowledged_by}; no reminders, no escalation until it gets worse"
