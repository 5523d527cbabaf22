"""What a rule may be and yet hardly be meant: each lint says why, and what to do. They warn and keep nothing from running.

A lint that is wrong once is not believed again: where it may be meant, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from alertd import comparisons
from alertd.clock import DAY, HOUR, Instant
from alertd.durations import format_duration, spell_duration
from alertd.facts import Level
from alertd.rulebook.audience import unheard
from alertd.rulebook.checks import Draft
from alertd.rulebook.located import Trail
from alertd.rulebook.problems import Problem
from alertd.rulebook.relations import Known
from alertd.rulebook.rule import Limit, Rule
from alertd.units import Unit, spell_value

_AVERAGES = re.compile(r"mean|median|p\d\d")
_AGES = re.compile(r"mean|median|p\d\d|min|max|waiting")  # of durations they are never longer than the longest of them
_OVERLAP = 20  # windows in which one conversation counts; with more of them a value hovers rather than moves
_MONDAY: Instant = 20_458 * DAY  # 2026-01-05
_DUES = 3_000  # due instants after which a calendar that was open at none will not be


def lint(draft: Draft, rule: Rule, known: Known) -> Iterator[Problem]:
    """Everything that is odd about a rule that can be loaded."""
    yield from unheard(draft, rule, known.routes)
    yield from _too_few(draft, rule)
    yield from _hidden(draft, rule)
    yield from _hovering(draft, rule)
    yield from _gaps(draft, rule)
    yield from _rounded(draft, rule)
    yield from _every_minute(draft, rule)
    yield from _too_old(draft, rule)
    yield from _beyond(draft, rule)
    yield from _unchanged(draft, rule)
    yield from _idle(draft, rule)
    yield from _expecting(draft, rule)
    yield from _escalating(draft, rule)
    yield from _never_open(draft, rule)


def _warning(message: str, trail: Trail, suggestion: str | None = None, *, at_key: bool = False) -> Problem:
    return Problem(message, trail, suggestion, at_key=at_key, severity="warning")


def _name(rule: Rule) -> str:
    return rule.measure.names[0]


def _always_has_a_value(rule: Rule) -> bool:
    return rule.measure.counts or _name(rule) == "waiting"


def _plain(rule: Rule) -> bool:
    """Whether its limits are held against the measured number itself."""
    return rule.compare == comparisons.VALUE


def _level(draft: Draft, limit: Limit, *steps: str) -> Trail:
    return ("rules", draft.index, limit.level.value, *steps)


def _too_few(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A share or an average of hardly anything is chance: one conversation decides."""
    if draft.entry.min_conversations is not None or rule.single or rule.report:
        return
    if not _plain(rule) and rule.compare.names[0] != "change":
        return  # others know how far few conversations scatter
    if rule.measure.unit is Unit.FRACTION:
        message = "with 3 conversations in the window, one is 33 %: a quiet hour fires by chance; add min_conversations: 20"
        yield _warning(message, draft.trail("measure"))
    elif _AVERAGES.fullmatch(_name(rule)) and (rule.by or rule.worst is Level.CRITICAL):
        whose = "of a group with few conversations" if rule.by else "of a quiet hour"
        message = f"one slow conversation {whose} is enough to fire; add min_conversations: 5, or more"
        yield _warning(message, draft.trail("measure"))


def _hidden(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """`min_conversations` where it hides just what the rule looks for."""
    least = rule.min_conversations
    if least <= 0 or rule.report or rule.compare.own_window is not None:
        return
    own = "min_conversations" in draft.given
    trail = draft.trail("min_conversations") if own else draft.trail("measure")
    from_defaults = "" if own else f" (min_conversations: {least} comes from defaults; 0 here switches it off)"
    if rule.single and least > 1:
        message = f"each conversation is a group by itself, so there are never {least} and nothing is ever judged; remove it"
        yield _warning(message + from_defaults, trail, at_key=own)
    elif rule.measure.counts and (rule.direction != "above" or not _plain(rule)):
        message = f"a number below {least} is not judged at all, so the worst drop goes unseen; remove min_conversations"
        yield _warning(message + from_defaults, trail, at_key=own)
    elif _name(rule) == "waiting" and not rule.single and least > 1:
        message = "one visitor who waits is enough, and fewer than that are not judged; remove min_conversations"
        yield _warning(message + from_defaults, trail, at_key=own)
    elif rule.measure.counts and rule.limits[-1].value + 1 < least:
        message = f"numbers from {spell_value(rule.limits[-1].value, rule.unit)} to {least} are over the limit and not judged"
        yield _warning(f"{message}; remove min_conversations{from_defaults}", trail, at_key=own)


def _hovering(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A limit that a value near it crosses again and again, and nothing that steadies it."""
    bare = [limit for limit in rule.limits if limit.recover == limit.value]
    steadied = rule.hold or rule.keep_firing or rule.single or _always_has_a_value(rule) or rule.compare.own_limits
    if not bare or steadied:
        return
    if "reopen_within" in draft.given and rule.reopen_within <= rule.every:
        message = (
            f"each time the value crosses this, a new incident is told, for {format_duration(rule.reopen_within)} of "
            "reopen_within is over by the next check; add recover (a little better than the limit), for or keep_firing"
        )
        yield _warning(message, _level(draft, bare[0]), at_key=True)
    elif bare[0].level is Level.CRITICAL and rule.lookback is None and rule.window > _OVERLAP * rule.every:
        message = (
            f"from one check to the next only {spell_duration(rule.every)} of {spell_duration(rule.window)} are new, so a "
            "value near this limit goes to and fro; add recover (a little better than the limit), for or keep_firing"
        )
        yield _warning(message, _level(draft, bare[0]), at_key=True)


def _gaps(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """Conversations that no check ever sees."""
    pause = rule.every
    if rule.lookback is not None or rule.compare.own_window is not None or rule.window >= pause:
        return
    if rule.cron is not None and pause > HOUR:
        return  # "the hour before nine" may be meant
    message = (
        f"it is checked every {format_duration(pause)} and looks {format_duration(rule.window)} back, so conversations "
        f"between are never seen; write window: {format_duration(pause)} or longer"
    )
    yield _warning(message, draft.trail("window"))


def _rounded(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A `for` that is over only at a check later than it says."""
    if not rule.report and 0 < rule.hold < rule.every:
        every = format_duration(rule.every)
        message = f"it is checked every {every}, so this fires at the second check, as for: {every} would; check more often"
        yield _warning(f"{message}, or write for: {every}", draft.trail("for"), every)


def _every_minute(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A report that was meant once."""
    minute, _, rest = rule.cron.expression.partition(" ") if rule.cron else ("", "", "")
    if rule.report and minute in ("*", "*/1"):
        message = f'this report is told every minute of the hours that it names; once an hour is written "0 {rest}"'
        yield _warning(message, draft.trail("cron"), f"0 {rest}")


def _too_old(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A limit that nothing in the window can be old enough to pass."""
    if rule.timestamp != "createdAt" or rule.lookback is not None or not _plain(rule) or rule.direction != "above":
        return
    if rule.unit is not Unit.DURATION or not _AGES.fullmatch(_name(rule)):
        return
    # What happens while the check waits for its call is still in the answer.
    oldest = rule.window if _name(rule) == "waiting" else rule.window + rule.delay + rule.every
    held = rule.hold if rule.single else 0
    window = format_duration(rule.window)
    for limit in rule.limits:
        if limit.value + held >= oldest:
            passed = f"{format_duration(int(limit.value))} and for: {format_duration(held)}" if held else "this limit"
            message = f"conversations are in the window for {window} only, so {passed} cannot be passed; make window longer"
            yield _warning(message, _level(draft, limit, limit.direction))


def _beyond(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A limit that every value passes, or none."""
    lowest, highest = _bounds(rule)
    for limit in rule.limits if not rule.compare.own_limits else ():
        trail, value = _level(draft, limit, limit.direction), spell_value(limit.value, rule.unit)
        if limit.direction == "above" and limit.value >= highest:
            yield _warning(f"it is never above {spell_value(highest, rule.unit)}, so this never fires", trail)
        elif limit.direction == "below" and limit.value <= lowest:
            meant = "1" if rule.measure.counts and _plain(rule) else None
            yield _warning(f"it is never below {spell_value(lowest, rule.unit)}, so this never fires", trail, meant)
        elif limit.direction == "above" and limit.value < lowest:
            yield _warning(f"it is always above {value}, so this always fires", trail)
        elif limit.direction == "below" and limit.value > highest:
            yield _warning(f"it is always below {value}, so this always fires", trail)


def _bounds(rule: Rule) -> tuple[float, float]:
    """Between which values it always lies."""
    if getattr(rule.measure, "of", "") == "cqlScore" and not rule.measure.counts:
        return float("-inf"), float("inf")  # disqualified is -1
    if _plain(rule):
        return 0.0, 1.0 if rule.unit is Unit.FRACTION else float("inf")
    return (-1.0 if rule.compare.names[0] == "change" else float("-inf")), float("inf")


def _unchanged(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A limit on a change that is passed where nothing has changed: its sign was forgotten, or is one too many."""
    for limit in rule.limits if rule.compare.names[0] == "change" else ():
        passed = limit.value > 0 if limit.direction == "below" else -1 <= limit.value < 0
        if passed and limit.direction != "outside":
            said = f"{limit.direction} {spell_value(limit.value, Unit.FRACTION)} holds also when nothing has changed (0 %)"
            meant = f"{-limit.value * 100:.6g}%" if abs(limit.value) < 1 else None
            advice = f"for {_amount(limit, rule)} write {limit.direction}: {meant}" if meant else "a fall has a minus: -50%"
            yield _warning(f"{said}; {advice}", _level(draft, limit, limit.direction), meant)


def _amount(limit: Limit, rule: Rule) -> str:
    """How far a change goes, sign aside: `half as many`, `30 % more`."""
    if limit.direction == "below" and limit.value == 0.5:
        return "half as many" if rule.measure.counts else "half as much"
    less = "fewer" if rule.measure.counts else "less"
    return f"{spell_value(abs(limit.value), Unit.FRACTION)} {less if limit.direction == 'below' else 'more'}"


def _idle(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """Keys that change nothing."""
    if "no_data" in draft.given and rule.no_data is not None and _always_has_a_value(rule):
        message = f"{rule.measure.describe()} is 0 without conversations, never without a value; use a limit, or remove no_data"
        yield _warning(message, draft.trail("no_data"), at_key=True)
    looks_back = rule.cron or rule.lookback or rule.compare.names[0] in ("change", "usual")
    if "timezone" in draft.given and not looks_back:
        message = "nothing in this rule goes by a time zone: neither cron nor a calendar window nor a comparison; remove it"
        if rule.calendar is not None:
            message += f" ({rule.calendar.name} brings its own, {rule.calendar.timezone})"
        yield _warning(message, draft.trail("timezone"), at_key=True)


def _expecting(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """Groups that must be there, in a rule that does not mind when they are not."""
    if not rule.expect or rule.report or not _plain(rule):
        return
    if not _always_has_a_value(rule) and draft.entry.no_data is None:
        message = (
            f"without conversations there is no {rule.measure.describe()}, and then nothing changes: "
            "a group that is missing is not told of; add no_data: warning"
        )
        yield _warning(message, draft.trail("expect"), at_key=True)
    elif _always_has_a_value(rule) and rule.direction == "above":
        message = "a group that is missing has 0, which is never above a limit; expect goes with a limit such as {below: 1}"
        yield _warning(message, draft.trail("expect"), at_key=True)


def _escalating(draft: Draft, rule: Rule) -> Iterator[Problem]:
    if rule.escalate is None or rule.report:
        return
    told = [set(names) for names in rule.notify.values()]
    if told and all(set(rule.escalate.to) <= each for each in told):
        message = "whoever is named here has been told already when it opened; name somebody else, or use remind"
        yield _warning(message, draft.trail("escalate", "notify"))


def _never_open(draft: Draft, rule: Rule) -> Iterator[Problem]:
    """A calendar that is closed whenever the rule is due, or whenever its window ends."""
    calendar = rule.calendar
    if calendar is None or (rule.cron is None and rule.lookback is None):
        return
    windows = (rule.window_at(due - rule.delay) for due in islice(rule.schedule.between(_MONDAY, _MONDAY + 366 * DAY), _DUES))
    if not any(calendar.admits(each.start, each.end) for each in windows):
        message = (
            f"{calendar.name} is never open at both ends of its window when this rule is due, so it is never checked; "
            "remove calendar, or choose other times"
        )
        yield _warning(message, draft.trail("calendar"))
