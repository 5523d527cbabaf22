"""`alertd demo`: everything at once, to look at."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from alertd.cli.common import leave, say


def demo(
    port: Annotated[
        int | None, typer.Option(help="Port of the inbox; 0 takes any free one. [default: 8025, or 0 with --until-resolved]")
    ] = None,
    until_resolved: Annotated[
        bool, typer.Option(help="For scripts: end with 0 once an incident was opened and resolved in both channels.")
    ] = False,
    timeout: Annotated[str, typer.Option(help="With --until-resolved: end with 1 if it was not by then.")] = "5m",
) -> None:
    """Run alertd on generated traffic, with an inbox for the Slack messages and mails it sends. Needs no account."""
    from alertd import logs
    from alertd.clock import SystemClock
    from alertd.demo import open_demo, wait_until_resolved
    from alertd.durations import parse_duration
    from alertd.errors import SettingsError

    try:
        patience = parse_duration(timeout)
    except ValueError as problem:
        raise SettingsError(f"--timeout: {problem}") from None
    logs.set_up("warning", "auto", set)
    clock = SystemClock()
    default = 0 if until_resolved else 8025
    with open_demo(clock, default if port is None else port) as running:
        running.daemon.handle_signals()
        typer.echo(f"The inbox: {running.address}")
        sys.stdout.flush()
        if until_resolved:
            resolved = wait_until_resolved(running, clock, patience, say)
        else:
            say("Within half a minute something goes wrong; a minute later you are told; then it is over. Ctrl-C ends it.")
            running.daemon.stopping.wait()
            say("Stopping ...")
    if until_resolved and not resolved:
        say(f"alertd: no incident was opened and resolved in both channels within {timeout}")
    leave(1 if until_resolved and not resolved else 0)
