"""The decision records of a group in order, with what lies between them: a closed calendar, an answer without it, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import TypeAlias

from alertd.clock import DAY, MINUTE, Duration, Instant
from alertd.evaluation.ledger import Decided
from alertd.evaluation.schedule import is_open
from alertd.facts import Change, Evidence, State
from alertd.rulebook.rule import Rule
from alertd.rulebook.schedules import Grid

# Due instants of a rule with a calendar that are looked at one by one; what would take more is not counted.
_MOST = 20_000

# How finely and how far ahead a calendar is searched for its next opening.
_STEP: Duration = 5 * MINUTE
_AHEAD: Duration = 60 * DAY


class Cause(Enum):
    """Why there is no record of a group for a time."""

    CLOSED = "closed"  # the rule's calendar: it is not checked then
    ABSENT = "absent"  # it was checked, and the answer did not have this group
    NOTHING = "nothing"  # no check was written down


@dataclass(frozen=True)
class Gap:
    """A time without a record, from the check before it to the one after it, or to where the search ends.

    `missing` are the checks that were due in it while the calendar was open; None where nobody counted them.
    """

    start: Instant
    end: Instant
    cause: Cause
    missing: int | None


Entry: TypeAlias = Decided | Gap


def due_between(rule: Rule, after: Instant, until: Instant) -> tuple[int, int | None]:
    """How many checks the rule's schedule has between two moments that checks speak of, both excluded.

    All of them, and those at which its calendar is open, None where there are too many to look at.
    """
    start, end = after + rule.delay, until + rule.delay - 1
    if isinstance(rule.schedule, Grid):
        count = max(0, end // rule.every - start // rule.every)
        if rule.calendar is None or count > _MOST:
            return count, count if rule.calendar is None else None
    dues = list(islice(rule.schedule.between(start, end), _MOST + 1))
    return len(dues), sum(is_open(rule, at) for at in dues) if len(dues) <= _MOST else None


def expected(rule: Rule, record: Decided) -> int | None:
    """How many checks the schedule has within the span of a record, its ends included; None if that is not known."""
    if record.evaluations == 1:
        return 1
    inner = due_between(rule, record.first_at, record.last_at)[1]
    return None if inner is None else inner + 2


def gap(rule: Rule | None, after: Instant, until: Instant, others: Callable[[], Sequence[Decided]]) -> Gap | None:
    """What there is between two moments of one group, None if no check was due; `others` are records of all groups then."""
    if rule is None:
        return None
    every, opened = due_between(rule, after, until)
    if not every:
        return None
    if opened == 0:
        return Gap(after, until, Cause.CLOSED, 0)
    seen = any(_surely_within(rule, each, after, until) for each in others())
    return Gap(after, until, Cause.ABSENT if seen else Cause.NOTHING, opened)


def arrange(records: Iterable[Decided], between: Callable[[Instant, Instant], Gap | None]) -> list[Entry]:
    """Records in order of time, with the gaps between them."""
    entries = list[Entry]()
    end: Instant | None = None
    for each in sorted(records, key=lambda each: (each.first_at, each.id)):
        found = between(end, each.first_at) if end is not None and each.first_at > end else None
        entries += [found, each] if found else [each]
        end = each.last_at if end is None else max(end, each.last_at)
    return entries


def newest(own: Decided | None, whole: Decided | None, rule: Rule | None, at: Instant) -> Decided | None:
    """Which of two records tells of the last check up to then: of the group, or of the rule as a whole.

    Spans may overlap, since equal decisions are one record whatever came in between; then the later one to begin is meant.
    """
    due = rule.schedule.newest(at + rule.delay) if rule else None
    last = due - rule.delay if rule and due is not None else at
    found = [each for each in (own, whole) if each]
    return max(found, key=lambda each: (min(each.last_at, last), each.first_at), default=None)


def held(records: Sequence[Decided], rule: Rule, state: State, at: Instant) -> Duration | None:
    """How much known time a group has spent in its state by then, as timers count it (I6); None if its beginning is not there.

    `records` are those of the group up to then, the oldest first.
    """
    run = list[Decided]()
    for each in reversed(records):
        if each.state is not state:
            break
        run.insert(0, each)
        if each.change == Change.STARTED:
            break
    whole = bool(run) and (run[0].change == Change.STARTED or (state is State.RECOVERING and len(run) < len(records)))
    judged = [each for each in run if each.change != Change.KEPT]
    total: Duration = 0
    before: Instant | None = None
    for each in judged:
        last = min(each.last_at, at)
        total += 0 if before is None else min(each.first_at - before, rule.every)
        total += min(max(0, last - each.first_at), (each.evaluations - 1) * rule.every)
        before = last
    return total if whole else None


def next_check(rule: Rule, now: Instant) -> Instant | None:
    """When the rule is due next while its calendar is open; None if that is too far away to tell."""
    at = rule.schedule.following(now)
    if at is None or is_open(rule, at):
        return at
    opens = opening(rule, now)
    start = max(now, opens or now)
    return next((due for due in islice(rule.schedule.between(start, start + _AHEAD), _MOST) if is_open(rule, due)), None)


def opening(rule: Rule, now: Instant) -> Instant | None:
    """When the rule's calendar opens next; None if it is open, there is none, or that is too far away."""
    if rule.calendar is None or rule.calendar.is_open(now):
        return None
    steps = range(now, now + _AHEAD, _STEP)
    spans = (rule.calendar.span(each) for each in steps)
    return next((span[0] for span in spans if span), None)


def is_failure(record: Decided) -> bool:
    """Whether there was no complete answer."""
    return record.evidence in (Evidence.ERROR, Evidence.STALE)


def _surely_within(rule: Rule, record: Decided, after: Instant, until: Instant) -> bool:
    """Whether a record proves a check between the two: it begins or ends there, or no check of its span is missing."""
    inside = after < record.first_at < until or after < record.last_at < until
    return inside or record.evaluations == expected(rule, record)
