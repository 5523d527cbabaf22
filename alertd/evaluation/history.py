"""What rules measured in windows that are over: asked of the API once, kept while a comparison may look back at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

from alertd.clock import Duration, Instant
from alertd.facts import Window
from alertd.planning.needs import compared_with
from alertd.rulebook.rule import Rule
from alertd.store.tables import history

# Windows that are looked up at once: SQLite takes some thousand parameters a statement.
_BATCH = 500

# Statements are put together once: that takes SQLAlchemy longer than running them.
_ENDED = history.c.window_end.in_(sa.bindparam("of_ends", type_=sa.BigInteger, expanding=True))
_OF_ANY = sa.select(history).where(_ENDED)
_KNOWN = (
    sa.select(history.c.window_start, history.c.window_end)
    .where(history.c.rule == sa.bindparam("of_rule", type_=sa.String))
    .where(history.c.asked == sa.bindparam("of_asked", type_=sa.String))
    .where(_ENDED)
)
_NEW = sa.insert(history)


@dataclass(frozen=True, slots=True)
class Figure:
    """What one group measured in one window: its value, None where it had none; of how many; whether its alert fired."""

    value: float | None
    entered: int
    fired: bool = False


Figures: TypeAlias = Mapping[str, Figure]  # by the group's key
Memory: TypeAlias = Mapping[Window, Figures]


def looks_back(rule: Rule) -> bool:
    """Whether the rule is compared with windows that were over before."""
    return rule.compare.reach > 0


def recall(transaction: sa.Connection, rules: Iterable[tuple[Rule, Instant]]) -> dict[str, Memory]:
    """What is remembered of the windows that rules, each judged as of an instant, are compared with; by rule."""
    wanted = {
        (rule.id, rule.asked, window.start, window.end): window
        for rule, as_of in rules
        if looks_back(rule)
        for window in compared_with(rule, rule.window_at(as_of))
    }
    found: dict[str, dict[Window, Figures]] = {rule: {} for rule, *_ in wanted}
    ends = sorted({end for *_, end in wanted})
    for start in range(0, len(ends), _BATCH):
        few = ends[start : start + _BATCH]
        for row in transaction.execute(_OF_ANY, {"of_ends": few}):
            window = wanted.get((row.rule, row.asked, row.window_start, row.window_end))
            if window is not None:
                found[row.rule][window] = {key: Figure(*figure) for key, figure in row.figures.items()}
    return dict(found)


def remember(transaction: sa.Connection, rule: Rule, windows: Memory) -> None:
    """Keep what a rule measured in these windows; what is known of a window already stays as it was when asked."""
    if not windows:
        return
    mine = {"of_rule": rule.id, "of_asked": rule.asked, "of_ends": [window.end for window in windows]}
    known = {(row.window_start, row.window_end) for row in transaction.execute(_KNOWN, mine)}
    rows = [
        {
            "rule": rule.id,
            "asked": rule.asked,
            "window_start": window.start,
            "window_end": window.end,
            "figures": {key: [each.value, each.entered, each.fired] for key, each in figures.items()},
        }
        for window, figures in windows.items()
        if (window.start, window.end) not in known
    ]
    if rows:
        transaction.execute(_NEW, rows)


def forget(transaction: sa.Connection, rules: Iterable[Rule], now: Instant) -> int:
    """Drop what no comparison of these rules looks back at any more. Returns how many windows."""
    gone = 0
    kept = {rule.id: rule for rule in rules if looks_back(rule)}
    for name in transaction.scalars(sa.select(history.c.rule).distinct()).all():
        mine, rule = history.c.rule == name, kept.get(name)
        if rule is not None:
            mine &= (history.c.asked != rule.asked) | (history.c.window_end < now - rule.compare.reach - _depth(rule))
        gone += transaction.execute(sa.delete(history).where(mine)).rowcount
    return gone


def _depth(rule: Rule) -> Duration:
    """How far back the rule's own window begins, at most."""
    return rule.window if rule.lookback is None else rule.window * (abs(rule.lookback.back) + 2)
