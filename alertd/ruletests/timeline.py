"""What happened in a test, in order: what alerts did, what receivers were told, what the test did to alertd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from alertd.clock import Duration
from alertd.durations import format_duration
from alertd.facts import Change, Evidence, Level, State
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.case import OUTAGES, Event, Happening
from alertd.ruletests.running import Run

# Changes that may go on from check to check.
_LASTING = (Change.QUIET, Change.WAITS, Change.CONTINUES, Change.CLEARING, Change.KEPT)

# Lines that are shown around the first failure.
SHOWN = 24


@dataclass(frozen=True)
class Entry:
    """Something that happened at a time of the test."""

    at: Duration
    text: str


def timeline(run: Run, book: Rulebook) -> tuple[Entry, ...]:
    """Everything that moved or was told, in order."""
    entries = [*_events(run), *_hours(run, book), *_decisions(run, book), *_told(run)]
    return tuple(sorted(entries, key=lambda each: each.at))  # stable: of one moment first events, then alerts, then notices


def around(entries: Sequence[Entry], at: Duration | None, most: int = SHOWN) -> tuple[int, Sequence[Entry]]:
    """As many entries as are worth showing, those before `at` rather than after; and how many come before them."""
    if len(entries) <= most:
        return 0, entries
    upto = len(entries) if at is None else sum(each.at <= at for each in entries)
    start = max(0, min(upto - most * 2 // 3, len(entries) - most))
    return start, entries[start : start + most]


def _events(run: Run) -> Iterator[Entry]:
    for each in run.case.during:
        yield Entry(each.at, f"! {_said(each)}")
        if each.what in (*OUTAGES, Happening.RESTART, Happening.SILENCE) and each.lasts:
            yield Entry(each.over, f"! {each.what.value.replace('_', ' ')} is over")


def _said(event: Event) -> str:
    name, lasts = event.what.value.replace("_", " "), format_duration(event.lasts)
    if event.what is Happening.LATE_ROWS:
        return f"rows created from now on come {lasts} late"
    scope = [event.rule, event.group, *(f"{key}={value}" for key, value in event.labels.items())]
    whom = "".join(f" {each}" for each in scope if each)
    return f"{name}{whom} for {lasts}" if event.lasts else f"{name}{whom}"


def _hours(run: Run, book: Rulebook) -> Iterator[Entry]:
    for each in run.hours:
        if calendar := book.rules[each.rule].calendar:
            what = "is not checked while" if each.closed else "is checked again:"
            state = "closed" if each.closed else "open"
            yield Entry(each.at - run.case.start, f"{each.rule} {what} {calendar.name} is {state}")


def _decisions(run: Run, book: Rulebook) -> Iterator[Entry]:
    """What each group came to whenever that was something else. Where it lasted, the last reason is known."""
    before: dict[tuple[str, str], tuple[str, str | None, str]] = {}
    for row in run.decisions:
        now = (row.state, row.level, row.evidence)
        if before.get((row.rule, row.group)) == now and row.change in _LASTING:
            continue
        before[row.rule, row.group] = now
        delay = book.rules[row.rule].delay - run.case.start
        name = f"{row.rule} {row.group}" if row.group else row.rule
        trouble = "" if row.evidence in (Evidence.OK, Evidence.NO_DATA) else f"{row.evidence}: "
        last = f" at {format_duration(row.last_at + delay)}, {row.evaluations} checks" if row.evaluations > 1 else ""
        reason = "" if row.reason == row.change else f" ({trouble}{row.reason}{last})"
        untold = f"; not told: {row.untold}" if row.untold else ""
        moved = "reported" if book.rules[row.rule].report else _moved(row)
        yield Entry(row.first_at + delay, f"{name}: {moved}{reason}{untold}")


def _moved(row: sa.Row[Any]) -> str:
    """`firing warning, over the limit for long enough`.

    A record has the level of what was measured. Where the alert keeps another one, because it has not recovered, none is told.
    """
    if row.change in (Change.CONTINUES, Change.RELAPSED):
        return f"{row.state}, {'not recovered yet' if row.level == Level.OK else row.change}"
    level = Level.WARNING.value if row.change == Change.EASED else row.level
    state = f"{row.state} {level}" if level and row.state in (State.PENDING, State.FIRING) else row.state
    return f"{state}, {row.change}"


def _told(run: Run) -> Iterator[Entry]:
    for each in run.told:
        text = f"-> {each.receiver}: {each.kind.value}{each.graded}"
        yield Entry(each.at - run.case.start, f"{text}, {each.rule} {each.value}".rstrip())
