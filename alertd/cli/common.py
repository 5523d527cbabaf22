"""What several verbs share."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from alertd.clock import Instant
    from alertd.rulebook.rule import Rulebook
    from alertd.settings import Secrets, Settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rules = Annotated[
    Path | None, typer.Option("--rules", help="Folder with the rule files; else ALERTD_RULES.", show_default=False)
]


def print_json(data: Any) -> None:
    """Print data as JSON on stdout."""
    sys.stdout.write(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """Talk to the person at the terminal, on stderr."""
    sys.stderr.write(text + "\n")


def load_settings(rules: Path | None = None) -> tuple[Settings, Secrets]:
    """Settings and secrets; a variable that looks like a setting and is none is worth a word."""
    from alertd import settings as reading

    variables = reading.environment()
    for name, meant in reading.unknown_names(variables).items():
        say(f"alertd: {name} is not a setting" + (f"; did you mean {meant}?" if meant else ""))
    found = reading.load()
    if rules is not None:
        found = found.model_copy(update={"rules": rules})
    return found, reading.Secrets(variables)


def read_at(text: str, now: Instant) -> Instant:
    """The moment that `--at` means: a time since 1970, or how long ago, such as -2h."""
    from alertd.clock import LAST, parse_instant
    from alertd.durations import parse_duration
    from alertd.errors import SettingsError

    try:
        found = now - parse_duration(text[1:]) if text.startswith("-") else parse_instant(text)
    except (ValueError, OverflowError) as problem:
        raise SettingsError(f"--at: {problem}") from None
    if not 0 <= found <= LAST:
        raise SettingsError(f'--at: "{text}" is not a time that conversations can have; write it like 2026-11-02T09:00:00Z')
    return found


def require_token(secrets: Secrets) -> None:
    """Say how to set the API's token if it is not set."""
    from alertd.errors import SettingsError
    from alertd.settings import TOKEN

    if secrets.read(TOKEN) is None:
        raise SettingsError(
            f"{TOKEN} is not set.\n"
            f"Put Drift's API token into the environment, into .env as {TOKEN}=..., or into a file that {TOKEN}_FILE names.\n"
            "To try alertd without a token: `make demo`, or `alertd sandbox` and ALERTD_REPORTING__URL set to its address."
        )


def load_rulebook(folder: Path) -> Rulebook:
    """The rulebook; its findings go to stderr and the program ends with 1 if it cannot be loaded."""
    from alertd.errors import RulebookError
    from alertd.rulebook.loader import load

    try:
        return load(folder)
    except RulebookError as problem:
        show_rulebook_error(problem)
        raise typer.Exit(1) from None


def leave(code: int) -> NoReturn:
    """End now, also if a thread still waits for a call that hangs: what it would have brought is asked again next time."""
    logging.shutdown()  # what was logged and is not written yet
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody is there to read it
            if stream is not None:
                stream.flush()
    os._exit(code)


def show_rulebook_error(problem: Exception) -> None:
    """Show what is wrong with the rule files, with places and suggestions."""
    from alertd.rulebook.findings import Finding, render_text

    findings = [each for each in getattr(problem, "findings", ()) if isinstance(each, Finding)]
    if findings:
        say(render_text(findings))
    say(f"alertd: {problem}")
