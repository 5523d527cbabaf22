"""`alertd test`: whether the rules do what their test files say, without a token and without a clock."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Json, Rules, load_rulebook, load_settings, print_json, say, show_rulebook_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.rulebook.rule import Rulebook
    from alertd.ruletests.case import Case
    from alertd.ruletests.showing import Outcome


def play(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Test files, or folders that have some; else ALERTD_RULES.", show_default=False)
    ] = None,
    words: Annotated[
        str, typer.Option("-k", help="Only tests with all these words in name, file or rules; `not WORD` leaves some out.")
    ] = "",
    junit: Annotated[Path | None, typer.Option(help="Write JUnit's XML there as well.", show_default=False)] = None,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Play test files against the rules: real planner, state machine and outbox, made-up conversations, no waiting.

    The rules are those of --rules; else of ALERTD_RULES if the tests stand in it; else of the first path's folder.
    """
    from alertd import logs
    from alertd.errors import SettingsError
    from alertd.rulebook.findings import render_text
    from alertd.ruletests.files import chosen, find, load_cases

    logs.set_up("error", "auto", set)
    folder = load_settings(rules)[0].rules
    sources = find(paths or [folder])
    book = load_rulebook(folder) if rules or not paths else _beside(paths[0], folder)
    cases, findings = load_cases(sources, book)
    if findings:
        say(render_text(findings))
    if findings and not cases:
        raise SettingsError("the test files cannot be used; nothing was tested")
    wanted = chosen(cases, words)
    if not wanted:
        raise SettingsError(f'none of the {len(cases)} tests has the words "{words}" in its name, file or rules')
    outcomes = _played(wanted, book, shown=not as_json)
    if junit:
        _write(junit, outcomes)
    _conclude(outcomes, as_json=as_json)
    if findings:
        broken = sorted({each.file for each in findings})
        raise SettingsError(f"the tests of {', '.join(broken)} were not played; what is wrong there is told above")
    raise typer.Exit(0 if all(each.passed for each in outcomes) else 1)


def _beside(path: Path, rules: Path) -> Rulebook:
    """The rules that the tests at that path are about; their receivers may stand in a folder above."""
    from alertd.errors import RulebookError
    from alertd.rulebook.loader import load

    try:
        return load(_folder_of(path, rules), upwards=True)
    except RulebookError as problem:
        show_rulebook_error(problem)
        raise typer.Exit(1) from None


def _folder_of(path: Path, rules: Path) -> Path:
    if path.resolve().is_relative_to(rules.resolve()):
        return rules
    return path if path.is_dir() else path.parent


def _played(cases: Sequence[Case], book: Rulebook, *, shown: bool) -> list[Outcome]:
    from alertd.clock import SystemClock
    from alertd.ruletests.running import play_all
    from alertd.ruletests.showing import outcome

    clock, file = SystemClock(), ""
    outcomes: list[Outcome] = []
    _progress(cases, 0)
    began = clock.uptime()
    for done in play_all(cases, book):
        ended = clock.uptime()
        outcomes.append(outcome(done, book, ended - began))
        began = ended
        _progress(cases, -1)
        if shown:
            file = _show(outcomes[-1], file)
        _progress(cases, len(outcomes))
    return outcomes


def _progress(cases: Sequence[Case], done: int) -> None:
    """Which test is being played, on a terminal; nothing after the last one, or where `done` is below 0."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        text = f"{done + 1}/{len(cases)} {cases[done].name}" if 0 <= done < len(cases) else ""
        sys.stderr.write(f"\r\x1b[K{text[:width]}")
        sys.stderr.flush()


def _show(done: Outcome, file: str) -> str:
    """One line for the test, under the name of its file."""
    from alertd.ruletests.showing import headline

    if done.case.file != file:
        _print(done.case.file, "bold")
    _print(f"  {headline(done)}", "green" if done.passed else "red")
    return done.case.file


def _conclude(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    from alertd.ruletests.reports import to_json
    from alertd.ruletests.showing import FAILED, details, summary

    if as_json:
        print_json(to_json(outcomes))
        return
    for each in (each for each in outcomes if not each.passed):
        _print(f"\n{FAILED} {each.case.name}", "bold red")
        for line in details(each, shutil.get_terminal_size((100, 24)).columns):
            _print(line, _COLOURS.get(line[:4], ""))
    if any(not each.passed for each in outcomes):
        _print("\n  - was expected and is missing    + is there and was not expected", "")
    say(summary(outcomes))


_COLOURS = {"  - ": "red", "  + ": "green"}


def _print(text: str, style: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True).print(Text(text, style=style))


def _write(file: Path, outcomes: Sequence[Outcome]) -> None:
    from alertd.errors import SettingsError
    from alertd.ruletests.reports import junit

    try:
        file.write_bytes(junit(outcomes))
    except OSError as problem:
        raise SettingsError(f"--junit: {file} cannot be written: {problem.strerror}") from None
