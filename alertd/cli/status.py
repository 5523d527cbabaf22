"""`alertd status`: how things stand, read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from alertd.cli.common import Json, load_settings, print_json

if TYPE_CHECKING:
    from alertd.overview import Overview, Taken


def status(as_json: Json = False) -> None:
    """Show what fires, which rules cannot be judged, what is still to be sent, and what is left of the budget."""
    from alertd.clock import SystemClock
    from alertd.errors import StoreError
    from alertd.overview import look, to_json
    from alertd.reloading import newest
    from alertd.reporting.budget import Budget
    from alertd.rulebook.keeping import load_kept
    from alertd.store.database import open_database, path_of
    from alertd.store.lock import holder

    settings, _ = load_settings()
    path = path_of(settings.store.url)
    if path and not path.exists():
        raise StoreError(f"there is no store at {path}; no daemon has run here yet (or ALERTD_STORE__URL names another place)")
    database = open_database(settings.store.url)
    limits = settings.budget
    budget = Budget(database, SystemClock(), calls_per_minute=limits.calls_per_minute, reserve=limits.reserve)
    overview = look(database, budget.state(), holder(path))
    good, files = newest(settings.rules, load_kept(database))
    if as_json:
        print_json(to_json(overview) | {"rule_files": {"ok": good, "text": files}})
    else:
        _show(overview, files)


def _show(found: Overview, files: str) -> None:
    from alertd.clock import iso

    running = f"running (process {found.daemon})" if found.daemon else "not running"
    budget = found.budget
    typer.echo(f"daemon    {running}")
    typer.echo(f"rulebook  {_taken(found.rulebook)}; {files}")
    typer.echo(f"rules     {len(found.rules)} checked, {len(found.failing)} without evidence")
    typer.echo(f"budget    {budget.free} of {budget.calls_per_minute} calls free, {budget.reserve} left to others")
    typer.echo(f"outbox    {found.queued} to send, {found.dead} dead")
    typer.echo(f"alerts    {len(found.firing)} firing, {len(found.pending)} pending")
    for alert in (*found.firing, *found.pending):
        since = f" since {iso(alert.since)}" if alert.since is not None else ""
        group = f" {alert.group.key}" if alert.group.key else ""
        typer.echo(f"  {alert.state.value:<10} {alert.level.value:<8} {alert.rule}{group}{since}")
    for checked in found.failing:
        typer.echo(f"  {checked.evidence.value:<10} {checked.rule}: {checked.reason}")
    for delivery in found.dead_letters:
        typer.echo(f"  dead       {_dead(delivery)}")


def _taken(rulebook: Taken | None) -> str:
    from alertd.clock import iso

    if rulebook is None:
        return "none was taken yet"
    return f"{rulebook.revision or 'no commit'}, taken {iso(rulebook.at)}"


def _dead(delivery: dict[str, Any]) -> str:
    return f"{delivery['kind']} to {delivery['receiver']} (incident {delivery['incident']}): {delivery['error']}"
