"""When rules are due: each due instant once, and with a calendar only while it is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alertd.clock import DAY, Duration, Instant
from alertd.rulebook.rule import Rule
from alertd.rulebook.schedules import Grid

# Instants of a calendar or a cron expression are counted one by one; older ones than that are not.
_COUNTED: Duration = 7 * DAY


@dataclass(frozen=True)
class Due:
    """A rule at the due instant `at`; `missed` earlier instants are taken together with it (I10).

    While its calendar is closed there is nothing to check; the instant has passed all the same.
    """

    rule: Rule
    at: Instant
    missed: int = 0
    closed: bool = False


def due(rule: Rule, last: Instant | None, started: Instant, now: Instant) -> Due | None:
    """Whether the rule is due: at its newest instant up to now, if that was not run yet.

    `last` is the due instant that was run last; a rule that never ran waits for the first one after `started`, when it became
    known. If the clock was set back, either lies ahead, and the instants of that time are run, once more or at last.
    """
    newest, since = rule.schedule.newest(now), started if last is None else last
    if newest is None or newest <= since <= now:
        return None
    missed = 0 if last is None or last > now else _missed(rule, last, newest)
    return Due(rule, newest, missed, closed=not is_open(rule, newest))


def is_open(rule: Rule, at: Instant) -> bool:
    """Whether the rule is checked at that due instant, as far as its calendar says."""
    if rule.calendar is None:
        return True
    window = rule.window_at(at - rule.delay)
    return rule.calendar.admits(window.start, window.end)


def next_instant(rules: Iterable[Rule], now: Instant) -> Instant | None:
    """The next instant after now at which any of the rules is due; None without rules."""
    following = (schedule.following(now) for schedule in {rule.schedule for rule in rules})
    return min((at for at in following if at is not None), default=None)


def all_due(
    rules: Mapping[str, Rule], last: Mapping[str, Instant], known_since: Instant | Mapping[str, Instant], now: Instant
) -> tuple[Due, ...]:
    """Every rule that is due now. `known_since`: when each rule became known, or one instant for all; without, only now."""
    since = known_since if isinstance(known_since, Mapping) else dict.fromkeys(rules, known_since)
    found = (due(rule, last.get(rule.id), since.get(rule.id, now), now) for rule in rules.values())
    return tuple(each for each in found if each)


def _missed(rule: Rule, last: Instant, newest: Instant) -> int:
    """How many instants between the two it should have been checked at. `last` may stand on another grid."""
    if rule.calendar is None and isinstance(rule.schedule, Grid):
        return newest // rule.every - last // rule.every - 1
    return sum(is_open(rule, at) for at in rule.schedule.between(max(last, newest - _COUNTED), newest - 1))
