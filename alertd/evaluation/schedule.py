"""When rules are due: on the grid of the clock, each due instant once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alertd.clock import Instant
from alertd.rulebook.rule import Rule


@dataclass(frozen=True)
class Due:
    """A rule to be checked for the instant `at`; `missed` earlier instants are taken together with it (I10)."""

    rule: Rule
    at: Instant
    missed: int = 0


def due(rule: Rule, last: Instant | None, started: Instant, now: Instant) -> Due | None:
    """Whether the rule is due: at its newest instant up to now, if that was not run yet.

    `last` is the due instant that was run last; a rule that never ran waits for the first one after `started`, when it became
    known. If the clock was set back, `last` lies ahead, and the instants of that time are run once more.
    """
    newest = now - now % rule.every
    if last is None:
        return Due(rule, newest) if newest > started else None
    if newest > last:
        return Due(rule, newest, newest // rule.every - last // rule.every - 1)  # `last` may stand on another grid
    return Due(rule, newest) if last > now else None


def next_instant(rules: Iterable[Rule], now: Instant) -> Instant | None:
    """The next instant after now at which any of the rules is due; None without rules."""
    return min((now - now % rule.every + rule.every for rule in rules), default=None)


def all_due(
    rules: Mapping[str, Rule], last: Mapping[str, Instant], known_since: Instant | Mapping[str, Instant], now: Instant
) -> tuple[Due, ...]:
    """Every rule that is due now. `known_since`: when each rule became known, or one instant for all; without, only now."""
    since = known_since if isinstance(known_since, Mapping) else dict.fromkeys(rules, known_since)
    found = (due(rule, last.get(rule.id), since.get(rule.id, now), now) for rule in rules.values())
    return tuple(each for each in found if each)
