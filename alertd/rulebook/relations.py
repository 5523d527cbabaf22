"""What the keys about schedule, groups, comparison and telling must have to do with each other and with other files."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from alertd import comparisons
from alertd.comparisons.base import Comparison
from alertd.errors import QueryError
from alertd.facts import CONVERSATION
from alertd.reporting.properties import suggest
from alertd.rulebook.calendars import Calendar
from alertd.rulebook.checks import Draft
from alertd.rulebook.lookback import CalendarWindow
from alertd.rulebook.misfit import show
from alertd.rulebook.model import RuleEntry
from alertd.rulebook.moments import intended_duration
from alertd.rulebook.problems import Problem
from alertd.rulebook.rule import Route, Rule
from alertd.rulebook.values import LEVELS

# What an alert has and a report has not.
_NOT_IN_REPORTS = ("warning", "critical", "for", "keep_firing", "reopen_within", "remind", "escalate", "quiet_while", "no_data")


@dataclass(frozen=True)
class Known:
    """What other files name: None where a file is so wrong that nobody can tell.

    `absent`: which of `receivers` and `calendars` have no file at all, and where it was looked for, in words.
    """

    receivers: Collection[str] | None = ()
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    calendar_names: Collection[str] | None = ()
    routes: tuple[Route, ...] = ()
    absent: Mapping[str, str] = field(default_factory=dict)

    def none(self, what: str) -> str:
        """Why there is not one receiver or calendar."""
        place = self.absent.get(what)
        return f"{what}.yaml names none" if place is None else f"there is no {what}.yaml {place}"


def build_comparison(entry: RuleEntry) -> tuple[Comparison | None, list[Problem]]:
    """The comparison of a rule, and what is wrong with its options; None where that or the measure is wrong."""
    if entry.measure is None:
        return None, []
    if entry.compare is None:
        return comparisons.VALUE, []
    try:
        found = comparisons.build(entry.compare.raw, entry.measure.unit, counts=entry.measure.counts)
    except QueryError as problem:
        return None, [_misbuilt(problem, entry.compare.raw)]
    if entry.by == CONVERSATION and found != comparisons.VALUE:
        message = "a single conversation has no earlier time to be compared with; leave compare out, or use another by"
        return None, [Problem(message, ("compare",), at_key=True)]
    return found, []


def _misbuilt(problem: QueryError, raw: object) -> Problem:
    """The same in our terms: at an option's value, or at the name of a comparison or option that nobody knows."""
    name, option = (*problem.path, None, None)[:2]
    trail, options = ("compare", *problem.path), _options(name)
    if options is not None and option in options:
        value = raw[name][option] if isinstance(raw, dict) else None  # the path leads there
        said = str(problem) if str(option) in str(problem) else f"{option}: {problem}"
        return Problem(f"compare: {said}", trail, problem.suggestion or intended_duration(value))
    unknown = option is not None or (name is not None and options is None)
    return Problem(f"compare: {problem}", trail, problem.suggestion, at_key=unknown)


def _options(name: object) -> tuple[str, ...] | None:
    """The options of the comparison of that name; None where there is none."""
    found = (each for each in map(comparisons.load, comparisons.modules()) if name in each.names)
    return next((tuple(option.name for option in each.options) for each in found), None)


def related(draft: Draft, known: Known) -> Iterator[Problem]:
    """Everything that can be said of one rule once its keys are right one by one."""
    yield from _schedule(draft)
    yield from _window(draft)
    yield from _groups(draft)
    yield from _escalation(draft)
    yield from _calendar(draft, known)
    yield from _itself(draft)
    if draft.entry.report:
        yield from _report(draft)


def _schedule(draft: Draft) -> Iterator[Problem]:
    for given, place in ((draft.given, ("rules", draft.index)), (draft.defaults, ("defaults",))):
        if "every" in given and "cron" in given:
            yield Problem("a rule is checked by every or by cron, not by both; remove one", (*place, "cron"), at_key=True)
            return


def _window(draft: Draft) -> Iterator[Problem]:
    own = draft.compare.own_window if draft.compare else None
    if own is not None and "window" in draft.given and draft.compare:
        message = f"{draft.compare.names[0]} brings its own windows; leave this out"
        yield Problem(message, draft.trail("window"), at_key=True)
    if isinstance(draft.entry.window, CalendarWindow) and draft.compare and draft.compare.names == ("usual",):
        message = "usual compares windows of one length, which days and hours of a calendar have not; write window: 1h"
        yield Problem(message, draft.trail("window"))


def _groups(draft: Draft) -> Iterator[Problem]:
    entry = draft.entry
    if entry.expect and entry.by in (None, CONVERSATION):
        message = "expect lists groups that must be there, so the rule needs by with an id property, such as by: lastAgentId"
        yield Problem(message, draft.trail("expect"), at_key=True)
    most = entry.max_groups or Rule.max_groups
    if entry.expect and len(entry.expect) > most:
        message = f"these are {len(entry.expect)} groups, more than max_groups: {most}; raise it"
        yield Problem(message, draft.trail("expect"), at_key=True)


def _escalation(draft: Draft) -> Iterator[Problem]:
    entry = draft.entry.escalate
    for key, value in (("after", entry.after), ("notify", entry.notify)) if entry else ():
        if value is None:
            yield Problem(f'escalate needs "{key}", as in {{after: 30m, notify: oncall-mail}}', draft.trail("escalate"))


def _calendar(draft: Draft, known: Known) -> Iterator[Problem]:
    name = draft.entry.calendar
    if name is not None and known.calendar_names is not None and name not in known.calendar_names:
        why = "" if known.calendar_names else f"; {known.none('calendars')}"
        meant = suggest(name, known.calendar_names)
        yield Problem(f"there is no calendar {show(name)}{why}", draft.trail("calendar"), meant)


def _itself(draft: Draft) -> Iterator[Problem]:
    for index, name in enumerate(draft.entry.quiet_while or ()):
        if name == draft.entry.id and "quiet_while" in draft.given:
            message = "a rule that is quiet while it fires itself is never told; name other rules"
            yield Problem(message, draft.trail("quiet_while", index))


def _report(draft: Draft) -> Iterator[Problem]:
    for key in _NOT_IN_REPORTS:
        if key in draft.given:
            lacks = "has no levels" if key in LEVELS else f'has no use for "{key}"'
            message = f'a report is told at every check and {lacks}; remove "{key}", or "report: true"'
            yield Problem(message, draft.trail(key), at_key=True)
    if draft.entry.by == CONVERSATION:
        message = "a report is about groups that last, or all together; single conversations are what alerts are for"
        yield Problem(message, draft.trail("by"))
    if draft.compare and draft.compare.own_limits:
        message = f'a report has no levels, and {draft.compare.names[0]} brings its own; remove "compare", or "report: true"'
        yield Problem(message, draft.trail("compare"), at_key=True)
