"""`alertd plan`: what the rules will ask of the API, and whether it fits, before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, Rules, load_rulebook, load_settings, print_json, say

if TYPE_CHECKING:
    from alertd.planning.forecast import Forecast
    from alertd.planning.knowledge import Knowledge
    from alertd.rulebook.rule import Rulebook
    from alertd.settings import Settings


def plan(
    path: Annotated[
        Path | None, typer.Argument(help="Folder with the rule files; else ALERTD_RULES.", show_default=False)
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A git revision: what changes compared with its rules.", show_default=False)
    ] = None,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Print how many calls the rules take, for whom, and whether every request gets its turn. Asks nothing, needs no token."""
    from alertd.planning.forecast import forecast
    from alertd.planning.reports import compare, to_json

    settings, _ = load_settings(path or rules)
    book = load_rulebook(settings.rules)
    terms, (knowledge, learned) = _terms(settings), _knowledge(settings)
    found = forecast(book.rules.values(), knowledge, terms)
    before = forecast(_earlier(settings.rules, against).rules.values(), knowledge, terms) if against else None
    if as_json:
        print_json(to_json(found) | ({"against": compare(found, before)} if before else {}))
    else:
        _show(found)
        say(learned)
        if before:
            _show_change(compare(found, before), against or "")
    raise typer.Exit(0 if found.fits else 1)


def _terms(settings: Settings) -> Any:
    from alertd.planning.forecast import Terms

    return Terms(usable=settings.budget.calls_per_minute - settings.budget.reserve)


def _knowledge(settings: Settings) -> tuple[Knowledge, str]:
    """What the store knows of the API, if it is a file here, and whether it knows anything; a forecast needs none."""
    from alertd.planning.knowledge import Knowledge
    from alertd.planning.memory import load_lessons
    from alertd.store.database import open_database, path_of

    place = path_of(settings.store.url)
    nothing = "Counted from the rules alone: nothing is known of the API yet."
    if not isinstance(place, Path) or not place.exists():
        return Knowledge(), nothing
    database = open_database(settings.store.url)
    try:
        lessons = load_lessons(database)
        return Knowledge(lessons), f"Counted with what {place.name} has learned of the API." if lessons else nothing
    finally:
        database.close()


def _earlier(folder: Path, revision: str) -> Rulebook:
    import tempfile

    from alertd.rulebook.revision import check_out

    with tempfile.TemporaryDirectory(prefix="alertd-plan-") as place:
        return load_rulebook(check_out(folder, revision, Path(place)))


def _show(found: Forecast) -> None:
    from rich.console import Console
    from rich.table import Table

    from alertd.durations import format_duration, spell_duration

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("every", "window", "calls", "rules", "asks for"):
        table.add_column(title, overflow="fold", justify="right" if title in ("calls", "rules") else "left")
    for each in sorted(found.requests, key=lambda one: (one.every, -len(one.rules))):
        window = spell_duration(each.request.window.length)
        late = "" if each.fits else "  [red]late[/]"
        table.add_row(format_duration(each.every), window, str(each.calls), str(len(each.rules)), _filters(each) + late)
    Console().print(table)
    typer.echo(
        f"{found.rules} rules in {len(found.requests)} requests: {found.mean_per_minute:.1f} calls a minute on average, "
        f"at most {found.worst_minute} in any 60 s, of {found.usable}; {found.headroom:.1f} a minute are left."
    )
    for owner, cost in sorted(found.cost_by_owner.items(), key=lambda each: -each[1])[:10]:
        typer.echo(f"  {owner:<24} {cost:6.1f} calls a minute")
    if not found.fits:
        from alertd.planning.reports import advice

        for line in advice(found):
            say(line)


def _filters(each: Any) -> str:
    words = [f"{one.property} {one.operation.value} {', '.join(map(str, one.values))}".strip() for one in each.request.filters]
    return "; ".join(sorted(words)) or "all conversations"


def _show_change(change: dict[str, Any], against: str) -> None:
    typer.echo(
        f"Against {against}: {change['rules']:+d} rules, {change['requests']:+d} requests, "
        f"{change['mean_per_minute']:+.1f} calls a minute, {change['worst_minute']:+d} in the worst 60 s."
    )
    for sign, names in (("+", change["added"]), ("-", change["removed"])):
        for name in names:
            typer.echo(f"  {sign} {name}")
