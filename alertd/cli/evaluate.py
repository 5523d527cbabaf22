"""`alertd evaluate`: ask and judge now, once; changes and sends nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, Rules, load_rulebook, load_settings, print_json, read_at, require_token, say

if TYPE_CHECKING:
    from alertd.clock import Instant
    from alertd.facts import Verdict
    from alertd.planning.fetching import Source
    from alertd.rulebook.rule import Rule, Rulebook
    from alertd.store.database import Database


def evaluate(
    rule: Annotated[list[str] | None, typer.Argument(help="Ids of rules; else all.", show_default=False)] = None,
    at: Annotated[
        str | None,
        typer.Option(
            help="Judge as of this time, as the API knows it today: 2026-11-02T09:00 (UTC), with an offset, or -2h for two "
            "hours ago; else now.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Ask the API what the rules need to know and judge them now, once. No alert moves, nobody is told."""
    from alertd.assembly import open_reporting
    from alertd.clock import SystemClock, iso
    from alertd.evaluation.schedule import is_open
    from alertd.store.database import open_database

    settings, secrets = load_settings(rules)
    require_token(secrets)
    chosen = _chosen(load_rulebook(settings.rules), rule or [])
    clock, outcomes = SystemClock(), list[str]()
    as_of = read_at(at, clock.now()) if at else clock.now() - max((each.delay for each in chosen), default=0)
    database = open_database(settings.store.url)
    with open_reporting(settings, secrets, database, clock, count=outcomes.append) as reporting:
        say(f"Asking for {len(chosen)} rule{'' if len(chosen) == 1 else 's'} as of {iso(as_of)} ...")
        verdicts = _judge(chosen, as_of, reporting.source, database)
    closed = [each for each in chosen if not is_open(each, as_of + each.delay)]
    if as_json:
        names = {each.id for each in closed}
        found = [_to_json(each, closed=each.rule in names) for each in verdicts]
        print_json({"as_of": iso(as_of), "calls": len(outcomes), "verdicts": found})
    else:
        _show(verdicts, {each.id: each for each in chosen}, reporting.directory.name)
        say(f"{len(outcomes)} call{'' if len(outcomes) == 1 else 's'}")
    for each in closed:
        say(_unchecked(each, as_of, "then" if at else "now"))


def _judge(chosen: list[Rule], as_of: Instant, source: Source, database: Database) -> list[Verdict]:
    """The verdicts of these rules in their order, of every group; what the store remembers of earlier windows is not asked."""
    from dataclasses import replace

    from alertd.evaluation.schedule import Due
    from alertd.evaluation.tick import judge_all, know, wanted
    from alertd.planning.asking import Asking
    from alertd.planning.demand import Urgency

    dues = [Due(each, as_of + each.delay) for each in chosen]
    known = {each: replace(found, alive=None) for each, found in know(database, dues).items()}
    judged = judge_all(Asking(source, wanted(dues, Urgency.BACKGROUND, known)), dues, known)
    by_rule = {each.due.rule.id: each.verdicts for each in judged}
    return [verdict for each in chosen for verdict in by_rule[each.id]]


def _chosen(book: Rulebook, names: list[str]) -> list[Rule]:
    from alertd.errors import SettingsError
    from alertd.reporting.properties import suggest
    from alertd.rulebook.misfit import few

    for name in names:
        if name not in book.rules:
            meant = suggest(name, book.rules)
            raise SettingsError(f'there is no rule "{name}"' + (f"; did you mean {meant}?" if meant else few(book.rules)))
    return [book.rules[name] for name in dict.fromkeys(names or book.rules)]


def _unchecked(rule: Rule, as_of: Instant, when: str) -> str:
    """Why the daemon does not check a rule whose calendar is closed at one end of its window, and when it will."""
    from alertd.rulebook.calendars import DAYS
    from alertd.rulebook.zones import wall_clock

    calendar = rule.calendar
    if calendar is None:
        return ""
    window = rule.window_at(as_of)
    if calendar.is_open(window.end - 1):
        return f"{rule.id}: {calendar.name} was not open yet when the window began, so the daemon does not check it {when}"
    said = f"{rule.id}: {calendar.name} is closed {when}, so the daemon does not check it"
    opens = calendar.opens(window.end - 1)
    if opens is None:
        return f"{said}; it does not open within a year"
    wall = wall_clock(opens, calendar.timezone)
    date = f" {wall:%Y-%m-%d}" if opens - as_of > _WEEK else ""
    return f"{said}; it opens {DAYS[wall.weekday()].title()}{date} {wall:%H:%M} ({calendar.timezone})"


def _to_json(verdict: Verdict, *, closed: bool) -> dict[str, Any]:
    return {
        "rule": verdict.rule,
        "group": verdict.group.to_json(),
        "evidence": verdict.evidence.value,
        "value": verdict.value,
        "level": verdict.level.value if verdict.level else None,
        "conversations": verdict.conversations,
        "window": {"from": verdict.window.start, "to": verdict.window.end},
        "reason": verdict.reason,
        "closed": closed,
    }


# Beyond this many groups of one rule a person wants the worst, not all.
_SHOWN = 20
_WEEK = 6 * 86_400_000  # ms; beyond it the name of a day is not enough
_COLUMNS = ("rule", "group", "level", "value", "conversations")
_COLOURS = {"critical": "red", "warning": "yellow", "ok": "green"}
_RIGHT = frozenset({"value", "conversations"})
_ROOM = 30  # columns that a reason needs beside the rest


def _show(verdicts: Iterable[Verdict], rules: dict[str, Rule], names: Any) -> None:
    from alertd.facts import Level

    rows: list[tuple[str, ...]] = []
    shown, fine = dict[str, int](), dict[str, int]()
    for verdict in sorted(verdicts, key=lambda each: _worst_first(each, rules)):
        if rules[verdict.rule].single and verdict.level is Level.OK:
            fine[verdict.rule] = fine.get(verdict.rule, 0) + 1
            continue
        shown[verdict.rule] = shown.get(verdict.rule, 0) + 1
        if shown[verdict.rule] <= _SHOWN:
            rows.append(_row(verdict, rules[verdict.rule], names))
    _print(rows)
    for name, count in shown.items():
        if count > _SHOWN:
            say(f"{name}: {count - _SHOWN} more groups; --json has them all")
    for name, count in fine.items():
        say(f"{name}: {count:,} conversation{' is' if count == 1 else 's are'} ok; --json has them all")


def _worst_first(verdict: Verdict, rules: dict[str, Rule]) -> tuple[int, int, float]:
    rule, value = rules[verdict.rule], verdict.value if verdict.value is not None else 0.0
    rank = verdict.level.rank if verdict.level else 0
    return list(rules).index(verdict.rule), -rank, -rule.badness(value)


def _row(verdict: Verdict, rule: Rule, names: Any) -> tuple[str, ...]:
    from alertd.units import spell_value

    group = verdict.group
    name = "" if group.by is None or group.id is None else names(group.by, group.id) or str(group.id)
    level = verdict.level.value if verdict.level else verdict.evidence.value
    value = spell_value(verdict.value, rule.unit) if verdict.value is not None else "-"
    return verdict.rule, name, level, value, f"{verdict.conversations:,}", verdict.reason


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows in columns; where they are too wide for the terminal, each reason on lines of its own, and so the ids."""
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True)
    heads = (*_COLUMNS, "why")
    widths = [max(len(row[number]) for row in (heads, *rows)) for number in range(len(_COLUMNS))]
    for number, row in enumerate([heads, *rows]):
        text = Text("\n".join(_lines(row, widths, console.width)), style="bold" if number == 0 else "")
        if number:
            text.highlight_words([f"  {row[2]} "], _COLOURS.get(row[2], "magenta"))
        console.print(text)


def _lines(row: tuple[str, ...], widths: Sequence[int], width: int) -> list[str]:
    import textwrap

    *cells, why = row
    sides = [">" if head in _RIGHT else "<" for head in _COLUMNS]
    padded = [f"{cell:{side}{size}}" for cell, side, size in zip(cells, sides, widths, strict=True)]
    whole = "  ".join(padded)
    if len(whole) + _ROOM <= width:
        wrapped = textwrap.wrap(why, width - len(whole) - 2, break_long_words=False, break_on_hyphens=False) or [""]
        return [f"{whole}  {wrapped[0]}".rstrip(), *(" " * (len(whole) + 2) + each for each in wrapped[1:])]
    lines = [whole.rstrip()] if len(whole) <= width else [padded[0].rstrip(), f"  {'  '.join(padded[1:])}".rstrip()]
    wrapped = textwrap.wrap(why, width - 4, break_long_words=False, break_on_hyphens=False)
    return [*lines, *(f"    {each}" for each in wrapped)]
