"""`alertd status`: how things stand, read from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from alertd.cli.common import Json, load_settings, print_json
from alertd.cli.people import incident_line, open_store, running_rulebook, silence_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from alertd.clock import Instant
    from alertd.overview import Overview, Taken
    from alertd.rulebook.rule import Rulebook
    from alertd.watching import Lacks


def status(as_json: Json = False) -> None:
    """Show what fires and who has it, what cannot be judged or told, what is silenced, and what is left of the budget."""
    from alertd.clock import SystemClock
    from alertd.overview import look, to_json
    from alertd.reloading import newest
    from alertd.reporting.budget import Budget
    from alertd.rulebook.keeping import load_kept
    from alertd.settings import access
    from alertd.store.database import path_of
    from alertd.store.lock import holder
    from alertd.troubles import find_lacks
    from alertd.watching import Lacks

    settings, secrets = load_settings()
    database, clock = open_store(settings), SystemClock()
    limits = settings.budget
    budget = Budget(database, clock, calls_per_minute=limits.calls_per_minute, reserve=limits.reserve)
    now = clock.now()
    overview = look(database, budget.state(), holder(path_of(settings.store.url)), now)
    good, files = newest(settings.rules, load_kept(database))
    book = running_rulebook(database, settings.rules)
    lacks = find_lacks(book, access(settings, secrets)) if book else Lacks()
    if as_json:
        known = {"rule_files": {"ok": good, "text": files}, "rules_known": len(book.rules) if book else None}
        print_json(to_json(overview) | known | {"receivers_lacking": dict(lacks.receivers)})
    else:
        for line in _lines(overview, now, files, book, lacks):
            typer.echo(line)


def _lines(found: Overview, now: Instant, files: str, book: Rulebook | None, lacks: Lacks) -> Iterator[str]:
    running = f"running (process {found.daemon})" if found.daemon else "not running"
    budget = found.budget
    yield f"daemon    {running}"
    yield f"rulebook  {_taken(found.rulebook)}; {files}"
    yield f"rules     {_checked(found, book)} checked, {len(found.failing)} without evidence{_overdue(found, book, now)}"
    yield f"budget    {budget.free} of {budget.calls_per_minute} calls free, {budget.reserve} left to others"
    more = "; `alertd deliveries list` shows them, `retry` and `drop` settle them" if found.dead else ""
    yield f"outbox    {found.queued} to send, {found.dead} dead{more}"
    yield f"alerts    {len(found.firing)} firing, {len(found.pending)} pending"
    yield from _alerts(found)
    yield from _listed("incidents", "open", [incident_line(each) for each in found.incidents])
    yield from _listed("silences", "in force", [silence_line(each, now) for each in found.silences])
    # The settings are those of whoever asks, and may be others than the daemon's.
    yield from _listed("receivers", "lack something, by the settings here", lacks.sentences)


def _checked(found: Overview, book: Rulebook | None) -> str:
    if book is None:
        return str(len(found.rules))
    return f"{sum(each.rule in book.rules for each in found.rules)} of {len(book.rules)}"


def _overdue(found: Overview, book: Rulebook | None, now: Instant) -> str:
    """When rules were checked last, and that some should have been since."""
    from alertd.clock import MINUTE
    from alertd.durations import spell_duration

    if not found.rules:
        return ""
    last = {each.rule: each.due_at for each in found.rules}
    rules = [rule for rule in book.rules.values() if rule.calendar is None and rule.id in last] if book else []
    late = [rule for rule in rules if (rule.schedule.newest(now - 2 * MINUTE) or 0) > last[rule.id]]
    text = f"; the last {spell_duration(max(0, now - max(last.values())))} ago"
    return f"{text}; {len(late)} OVERDUE, `/readyz` or the log says why" if late else text


def _alerts(found: Overview) -> Iterator[str]:
    from alertd.clock import iso

    for alert in (*found.firing, *found.pending):
        since = f" since {iso(alert.since)}" if alert.since is not None else ""
        group = f" {alert.group.key}" if alert.group.key else ""
        yield f"  {alert.state.value:<10} {alert.level.value:<8} {alert.rule}{group}{since}"
    for checked in found.failing:
        yield f"  {checked.evidence.value:<10} {checked.rule}: {checked.reason}"
    for delivery in found.dead_letters:
        yield f"  dead       {_letter(delivery)}"
    for delivery in found.warnings:
        yield f"  sent, but  {_letter(delivery)}"


def _listed(title: str, what: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"{title:<9} {len(lines)} {what}"
        yield from (f"  {line}" for line in lines)


def _taken(rulebook: Taken | None) -> str:
    from alertd.clock import iso

    if rulebook is None:
        return "none was taken yet"
    return f"{rulebook.revision or 'no commit'}, taken {iso(rulebook.at)}"


def _letter(delivery: dict[str, Any]) -> str:
    to, via, number, more = delivery["receiver"], delivery["via"], delivery["incident"], delivery["alike"] - 1
    where = to if via == to else f"{to}, in its place to {via}"
    what = "" if number is None else f" (incident {number})"
    also = f", and {more} more" if more else ""
    return f"{delivery['kind']} to {where}{what}{also}: {delivery['error']}"
