"""`alertd check`: whether the rule files can be loaded, and what to do about it if not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Rules, load_settings, print_json, say

if TYPE_CHECKING:
    from alertd.notices.trying import Failure
    from alertd.rulebook.findings import Finding
    from alertd.rulebook.rule import Rulebook


def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="Folders or files; else ALERTD_RULES.", show_default=False)] = None,
    form: Annotated[str, typer.Option("--format", help="text, github (annotations) or json.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    strict: Annotated[bool, typer.Option(help="End with 3 if there are warnings.")] = False,
    rules: Rules = None,
) -> None:
    """Check rule files: all that is wrong at once, with its place and what was probably meant. Needs no token."""
    from alertd.errors import SettingsError
    from alertd.rulebook.findings import errors, render_github, render_json, render_text
    from alertd.rulebook.loader import inspect

    form = "json" if as_json else form
    if form not in ("text", "github", "json"):
        raise SettingsError(f'--format is text, github or json, not "{form}"')
    where = paths or [load_settings(rules)[0].rules]
    book, findings = inspect(where, upwards=bool(paths))
    findings = (*findings, *_templates(book, where), *_renderings(book, where), *_budget(book, where)) if book else findings
    wrong = len(errors(findings))
    if form == "json":
        print_json({"findings": json.loads(render_json(findings)), "rules": len(book.rules) if book else None})
    elif findings:
        typer.echo(render_github(findings) if form == "github" else render_text(findings))
    if form != "json":
        say(_summary(len(book.rules) if book else None, wrong, len(findings) - wrong))
    raise typer.Exit(1 if wrong or book is None else 3 if findings and strict else 0)


def _budget(book: Rulebook, where: list[Path]) -> tuple[Finding, ...]:
    """Whether every request of the rules gets its turn; a finding for each rule that does not."""
    from dataclasses import replace

    from alertd.planning.forecast import Terms, forecast
    from alertd.planning.reports import findings
    from alertd.settings import load

    budget = load().budget
    found = findings(forecast(book.rules.values(), terms=Terms(usable=budget.calls_per_minute - budget.reserve)), book)
    return tuple(replace(each, file=str(_folder(where) / each.file)) for each in found)


def _templates(book: Rulebook, where: list[Path]) -> tuple[Finding, ...]:
    """Rules that name a template which there is not; their messages would have the ordinary look."""
    naming = [rule for rule in book.rules.values() if rule.template]
    if not naming:
        return ()  # before anything that makes messages is loaded
    from alertd.notices.rendering import template_names
    from alertd.reporting.properties import suggest
    from alertd.rulebook.findings import Finding
    from alertd.settings import load
    from alertd.shipped import shipped

    own = load().templates
    names = template_names([*([own] if own else []), shipped("templates")])
    there = ", ".join(sorted(names))
    return tuple(
        Finding(
            "error",
            f'there is no template "{rule.template}"; there are {there}, and those of your own in ALERTD_TEMPLATES',
            str(_folder(where) / rule.file),
            rule.line,
            suggestion=suggest(rule.template, names),
            rule=rule.id,
        )
        for rule in naming
        if rule.template not in names
    )


def _renderings(book: Rulebook, where: list[Path]) -> tuple[Finding, ...]:
    """Whether templates of one's own work for every rule; those that ship are tested where they are made."""
    from alertd.settings import load

    own = load().templates
    if own is None or not own.is_dir():
        return ()  # before anything that makes messages is loaded
    from alertd.clock import SystemClock
    from alertd.notices.trying import try_templates
    from alertd.shipped import shipped

    failures = try_templates(book, own, shipped("templates"), SystemClock().now())
    return tuple(_failing(book, each, where, own) for each in failures)


def _failing(book: Rulebook, failure: Failure, where: list[Path], own: Path) -> Finding:
    """The finding stands at the first rule that it is about; what is wrong with digests at the templates."""
    from alertd.rulebook.findings import Finding

    told = f"a {failure.kind}" if failure.kind.value in ("report", "digest") else f'"{failure.kind}"'
    message = f"the template fails for {told} by {failure.channel}: {failure.message}"
    if not failure.rules:
        return Finding("error", message, str(own / "digest"))
    rule, more = book.rules[failure.rules[0]], len(failure.rules) - 1
    others = f"; the same for {more:,} other rule{'' if more == 1 else 's'}" if more else ""
    return Finding("error", f"{message}{others}", str(_folder(where) / rule.file), rule.line, rule=rule.id)


def _folder(where: list[Path]) -> Path:
    return where[0] if len(where) == 1 and where[0].is_dir() else Path()


def _summary(rules: int | None, errors: int, warnings: int) -> str:
    counts = f"{errors} error{'' if errors == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}"
    return counts if rules is None else f"{rules} rule{'' if rules == 1 else 's'}: {counts}"
