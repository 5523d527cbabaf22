"""`alertd sandbox`: a reporting API of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sandbox(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes any free one.")] = 8787,
    token: Annotated[str | None, typer.Option(help="Refuse calls without this token; by default any will do.")] = None,
    seed: Annotated[int, typer.Option(help="The same seed makes the same conversations.")] = 1,
    days: Annotated[float, typer.Option(help="Days of history.")] = 7,
    per_day: Annotated[float, typer.Option(help="Conversations a day, on average.")] = 1000,
    profile: Annotated[str, typer.Option(help="week: busy and quiet hours; flat: any hour like any other.")] = "week",
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="What goes wrong: agent-asleep, nobody-answers, rush, quiet-night, broken-playbook; "
                          "nobody-answers@30s+2m begins in 30 s and lasts 2 min. May be repeated."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(help="How the API itself fails: timeout:0.1, 429:0.05, 500:0.1, cut:0.1, slow:0.2:3s. May be repeated."),
    ] = None,
    conversations: Annotated[Path | None, typer.Option(help="Serve this export (JSON lines or CSV) instead.")] = None,
) -> None:  # fmt: skip
    """Serve Drift's reporting API on this machine, with generated conversations or your own export, until Ctrl-C."""
    from alertd.clock import SystemClock
    from alertd.errors import SettingsError
    from alertd.sandbox.faults import parse_faults
    from alertd.sandbox.serve import Options, serve

    if profile not in ("week", "flat"):
        raise SettingsError(f'--profile is week or flat, not "{profile}"')
    options = Options(
        port=port,
        token=token,
        seed=seed,
        days=days,
        per_day=per_day,
        profile="week" if profile == "week" else "flat",
        scenarios=tuple(scenario or ()),
        faults=tuple(fault or ()),
        conversations=conversations,
    )
    parse_faults(options.faults)  # before the greeting says that it serves
    serve(options, SystemClock())
