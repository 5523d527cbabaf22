"""`alertd explain`: why a rule did or did not fire, and what was or was not told of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Json, Rules, load_settings, print_json, read_at, say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from alertd.evaluation.finding import Shelf
    from alertd.rulebook.rule import Rulebook
    from alertd.store.database import Database

# Beyond this many columns lines are hard to read.
_WIDEST = 100


def explain(
    rule: Annotated[str, typer.Argument(help="The id of a rule.", show_default=False)],
    group: Annotated[
        str | None, typer.Option(help="One group of it: lastAgentId=671, or the id alone.", show_default=False)
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="A time: 2026-11-02T09:00 (UTC), with an offset, or -2h for two hours ago; else now.", show_default=False
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=1000, help="How many decisions to list.")] = 10,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Tell why a rule did or did not fire, and what was told of it and what was not. Asks nothing of the API."""
    from alertd.clock import SystemClock
    from alertd.errors import StoreError
    from alertd.evaluation.explained import to_text
    from alertd.evaluation.explained_data import to_json
    from alertd.evaluation.explaining import explain as explain_rule
    from alertd.evaluation.finding import Question
    from alertd.store.database import open_database, path_of
    from alertd.store.lock import holder

    settings, _ = load_settings(rules)
    now = SystemClock().now()
    question = Question(rule, group, read_at(at, now) if at else None, last)
    path = path_of(settings.store.url)
    if isinstance(path, Path) and not path.exists():
        raise StoreError(f"there is no store at {path}; no daemon has run here yet (or ALERTD_STORE__URL names another place)")
    database = open_database(settings.store.url)
    shelf, daemon = _shelf(database, rule, settings.rules), holder(path)
    with database.read() as transaction:
        found = explain_rule(transaction, question, shelf, now, daemon)
    if as_json:
        print_json(to_json(found))
    else:
        typer.echo(to_text(found, min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)))


def _shelf(database: Database, rule: str, folder: Path) -> Shelf:
    """The rulebook that was taken last, as the store has it; where it has not this rule, that of the files as well."""
    from alertd.evaluation.finding import Shelf
    from alertd.rulebook.keeping import load_kept

    kept = load_kept(database)
    running = _kept(kept.files, kept.revision) if kept else None
    if running and rule in running.rules:
        return Shelf(running)
    return Shelf(running, _files(folder, said=running is None))


def _kept(files: Mapping[str, str], revision: str | None) -> Rulebook | None:
    from alertd.errors import RulebookError
    from alertd.rulebook.files import recall
    from alertd.rulebook.loader import build

    try:
        return build(recall(files), revision)
    except RulebookError as problem:
        say(f"alertd: the rulebook that the store keeps cannot be read by this version: {problem}")
        return None


def _files(folder: Path, *, said: bool) -> Rulebook | None:
    from alertd.errors import RulebookError
    from alertd.rulebook.loader import load

    try:
        return load(folder)
    except RulebookError as problem:
        if said:
            say(f"alertd: {problem}")
        return None
