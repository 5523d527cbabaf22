"""`alertd evaluate`: ask and judge now, once; changes and sends nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, Rules, load_rulebook, load_settings, print_json, require_token, say

if TYPE_CHECKING:
    from alertd.facts import Verdict
    from alertd.rulebook.rule import Rule, Rulebook


def evaluate(
    rule: Annotated[list[str] | None, typer.Argument(help="Ids of rules; else all.", show_default=False)] = None,
    at: Annotated[
        str | None,
        typer.Option(help="Judge as of this time (ISO 8601), as the API knows it today; else now.", show_default=False),
    ] = None,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Ask the API what the rules need to know and judge them now, once. No alert moves, nobody is told."""
    from dataclasses import replace

    from alertd.assembly import open_reporting
    from alertd.clock import SystemClock, iso
    from alertd.evaluation.schedule import Due
    from alertd.evaluation.tick import judge_all, know, wanted
    from alertd.planning.asking import Asking
    from alertd.planning.demand import Urgency
    from alertd.store.database import open_database

    settings, secrets = load_settings(rules)
    require_token(secrets)
    book = load_rulebook(settings.rules)
    chosen = _chosen(book, rule or [])
    clock, outcomes = SystemClock(), list[str]()
    as_of = _instant(at) if at else clock.now() - max((each.delay for each in chosen), default=0)
    database = open_database(settings.store.url)
    with open_reporting(settings, secrets, database, clock, count=outcomes.append) as reporting:
        say(f"Asking for {len(chosen)} rule{'' if len(chosen) == 1 else 's'} as of {iso(as_of)} ...")
        dues = [Due(each, as_of + each.delay) for each in chosen]
        known = {each: replace(found, alive=None) for each, found in know(database, dues).items()}
        asking = Asking(reporting.source, wanted(dues, Urgency.BACKGROUND, known))
        judged = list(judge_all(asking, dues, known))
    order = {each.id: number for number, each in enumerate(chosen)}
    judged.sort(key=lambda each: order[each.due.rule.id])
    verdicts = [verdict for each in judged for verdict in each.verdicts]
    if as_json:
        print_json({"as_of": iso(as_of), "calls": len(outcomes), "verdicts": [_to_json(each) for each in verdicts]})
    else:
        _show(verdicts, {each.id: each for each in chosen}, reporting.directory.name)
        say(f"{len(outcomes)} call{'' if len(outcomes) == 1 else 's'}")


def _chosen(book: Rulebook, names: list[str]) -> list[Rule]:
    from alertd.errors import SettingsError
    from alertd.reporting.properties import suggest

    for name in names:
        if name not in book.rules:
            meant = suggest(name, book.rules)
            raise SettingsError(f'there is no rule "{name}"' + (f"; did you mean {meant}?" if meant else ""))
    return [book.rules[name] for name in dict.fromkeys(names or book.rules)]


def _instant(text: str) -> int:
    from alertd.clock import parse_instant
    from alertd.errors import SettingsError

    try:
        return parse_instant(text)
    except ValueError as problem:
        raise SettingsError(f"--at: {problem}") from None


def _to_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "group": verdict.group.to_json(),
        "evidence": verdict.evidence.value,
        "value": verdict.value,
        "level": verdict.level.value if verdict.level else None,
        "conversations": verdict.conversations,
        "window": {"from": verdict.window.start, "to": verdict.window.end},
        "reason": verdict.reason,
    }


# Beyond this many groups of one rule a person wants the worst, not all.
_SHOWN = 20


def _show(verdicts: Iterable[Verdict], rules: dict[str, Rule], names: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("rule", "group", "level", "value", "conversations", "why"):
        table.add_column(title, overflow="fold", justify="right" if title in ("value", "conversations") else "left")
    shown: dict[str, int] = {}
    for verdict in sorted(verdicts, key=lambda each: _worst_first(each, rules)):
        shown[verdict.rule] = shown.get(verdict.rule, 0) + 1
        if shown[verdict.rule] <= _SHOWN:
            table.add_row(*_row(verdict, rules[verdict.rule], names))
    Console().print(table if table.row_count else "No rules.")
    for name, count in shown.items():
        if count > _SHOWN:
            say(f"{name}: {count - _SHOWN} more groups; --json has them all")


def _worst_first(verdict: Verdict, rules: dict[str, Rule]) -> tuple[int, int, float]:
    rule, value = rules[verdict.rule], verdict.value if verdict.value is not None else 0.0
    rank = verdict.level.rank if verdict.level else 0
    return list(rules).index(verdict.rule), -rank, -rule.badness(value)


def _row(verdict: Verdict, rule: Rule, names: Any) -> tuple[str, ...]:
    from rich.markup import escape

    from alertd.units import spell_value

    group = verdict.group
    name = "" if group.by is None or group.id is None else names(group.by, group.id) or str(group.id)
    level = verdict.level.value if verdict.level else verdict.evidence.value
    colour = {"critical": "red", "warning": "yellow", "ok": "green"}.get(level, "magenta")
    value = spell_value(verdict.value, rule.unit) if verdict.value is not None else "-"
    return verdict.rule, escape(name), f"[{colour}]{level}[/]", value, f"{verdict.conversations:,}", escape(verdict.reason)
