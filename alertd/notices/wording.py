"""The sentences of a notice, in plain text. A tired person reads them on a phone: what, how much, how bad, for how long.

No clock times in here: each kind of message writes those in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from alertd.clock import MINUTE, Duration
from alertd.durations import spell_duration
from alertd.errors import QueryError
from alertd.facts import CONVERSATION, Change, Kind, Level
from alertd.notice import Notice, NoticeGroup
from alertd.notices.periods import spell_period
from alertd.reporting.properties import find_property
from alertd.units import Unit, spell_value

# The name of the person or playbook that has this id, by the property that holds it; None where it is not known.
Names: TypeAlias = Callable[[str, int], str | None]

CONVERSATIONS = "https://app.drift.com/conversations/"
STATUS = {Level.OK: "All right", Level.WARNING: "Warning", Level.CRITICAL: "Critical"}
STATES = {Kind.RESOLVED: "Resolved", Kind.TEST: "Test", Kind.ESCALATED: "Escalated", Kind.REPORT: "Report"}
ICONS = {Level.OK: "✅", Level.WARNING: "⚠️", Level.CRITICAL: "🚨"}
ONES = {"1 min": "minute", "1 h": "hour", "1 d": "day"}
LATE: Duration = 10 * MINUTE  # a message that is not later than that needs no word about it
# Ends that have their own sentence, or need none.
_EXPECTED_ENDS = frozenset({"", Change.RECOVERED, Change.LEFT, Change.UNOBSERVED})


def icon(notice: Notice) -> str:
    """A picture for the state; shapes differ, not only colours."""
    calm = {
        Kind.RESOLVED: "⏹️" if notice.reason == Change.REMOVED else "✅",
        Kind.TEST: "🔔",
        Kind.REPORT: "⚠️" if notice.text else "📊",
    }
    return calm.get(notice.kind) or ICONS[notice.level]


def status(notice: Notice) -> str:
    """The state in a word."""
    if notice.kind is Kind.REMINDER:
        return f"Still {STATUS[notice.level].lower()}"
    return STATES.get(notice.kind) or STATUS[notice.level]


def spelled(value: float | None, unit: Unit) -> str:
    """A value with its unit; nothing where there is no number."""
    return "" if value is None or not math.isfinite(value) else spell_value(value, unit)


def bound(limit: float | None, notice: Notice) -> str:
    """A limit with its unit; `±4` where both sides count."""
    text = spelled(limit, notice.unit)
    return f"±{text}" if text and notice.direction == "outside" else text


def amount(part: Notice | NoticeGroup, unit: Unit) -> str:
    """A value with its unit; one that is compared with something says with what."""
    return part.comparison or spelled(part.value, unit)


def peak(notice: Notice) -> str:
    """The worst value of the incident, in words where the number alone says nothing."""
    return notice.worst or spelled(notice.peak, notice.unit)


def noun(by: str | None, count: int) -> str:
    """What the groups are, in words: agent, agents, conversations."""
    word = _noun(by)
    return word if count == 1 else f"{word}s"


def counted(count: int, word: str) -> str:
    """`1 conversation`, `1,204 conversations`."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def span(window: int) -> str:
    """` over the last hour`, ` over the last 15 min`; nothing where there is no window."""
    text = spell_duration(window)
    return f" over the last {ONES.get(text, text)}" if window > 0 else ""


def group_name(group: NoticeGroup, names: Names) -> str:
    """Who or what the group is: its name, or its id where the name is not known."""
    if group.by is None or group.id is None:
        return "all conversations"
    if group.by == CONVERSATION:
        return f"conversation {group.id}"
    return names(group.by, group.id) or f"{_noun(group.by)} {group.id}"


def began(notice: Notice) -> int:
    """Since when it has been over the limit: the earliest of what fires, or when the incident was opened."""
    return min([notice.opened_at, *(group.since for group in notice.groups if group.since > 0)])


def lasted(notice: Notice) -> str:
    """For how long it has been going on, or went on; nothing where that is less than a second."""
    start = notice.opened_at if notice.kind is Kind.RESOLVED else began(notice)
    length = (notice.resolved_at or notice.at) - start
    return spell_duration(length) if length >= 1000 else ""


def limit_word(notice: Notice) -> str:
    """`limit` for what should stay below it, `minimum` for what should stay above it; a change has a limit either way."""
    return "minimum" if notice.direction == "below" and not notice.comparison else "limit"


def headline(notice: Notice, names: Names) -> str:
    """The whole news in one line: the title, the number, the limit."""
    if notice.kind is Kind.TEST:
        return notice.title
    if notice.kind is Kind.RESOLVED:
        end = "no longer watched" if notice.reason == Change.REMOVED else "resolved"
        return f"{notice.title}: {end} after {lasted(notice)}" if lasted(notice) else f"{notice.title}: {end}"
    if notice.kind is Kind.REPORT:
        return f"{notice.title}: {'could not be made' if notice.text else period(notice)}".removesuffix(": ")
    figure = figures(notice, names)
    return f"{notice.title}: {figure}" if figure else notice.title


def period(notice: Notice) -> str:
    """What a report is about: `Tuesday 3 November 2026`; nothing in other notices."""
    return spell_period(*notice.period, notice.timezone) if notice.period else ""


def figures(notice: Notice, names: Names) -> str:
    """Number and limit: `7 min 12 s (limit 5 min)`, `Priya Shah, 22 min (limit …)`, `3 agents, worst 22 min (limit …)`.

    After a comparison, which has brackets of its own: `-62 % (38 now, 100 a week ago), limit -50 %`.
    """
    value, limit = amount(notice, notice.unit), bound(notice.limit, notice)
    if notice.by and notice.groups_total > 1:
        who = f"{notice.groups_total:,} {noun(notice.by, notice.groups_total)}"
        value = f"{who}, worst {value}" if value else who
    elif notice.by and notice.groups:
        value = ", ".join(filter(None, (group_name(notice.groups[0], names), value)))
    if not value or not limit:
        return value
    if value == limit and not within(notice):  # alike only because they are rounded
        return f"just {'under' if notice.direction == 'below' else 'over'} the {limit_word(notice)} of {limit}"
    return f"{value}, {limit_word(notice)} {limit}" if notice.comparison else f"{value} ({limit_word(notice)} {limit})"


def summary(notice: Notice, names: Names) -> str:
    """What was measured, and how it stands, in two sentences or three."""
    if notice.kind is Kind.TEST:
        return "This is a test of alertd. Nothing is wrong."
    if notice.kind is Kind.RESOLVED:
        return _end(notice)
    if notice.text:
        return notice.text
    if notice.kind is Kind.REPORT:
        return _report(notice)
    stands = _groups(notice, names) if notice.by and notice.groups_total else _whole(notice)
    return f"{_unclaimed(notice)}. {stands}" if notice.kind is Kind.ESCALATED else stands


def news(notice: Notice, names: Names) -> str:
    """What is new in this notice, for a reply below the first message."""
    figure = figures(notice, names)
    if notice.kind is Kind.RESOLVED:
        return " ".join(filter(None, (f"Resolved after {lasted(notice)}." if lasted(notice) else "Resolved.", _worst(notice))))
    if notice.kind is Kind.OPENED:
        return ("It is back: " if notice.reopened else "New: ") + (figure or notice.title) + "."
    if notice.kind is Kind.CHANGED:
        changes = " ".join(filter(None, (_level_change(notice, figure), _arrivals(notice, names))))
        return changes or f"Changed: {figure or notice.title}."
    if notice.kind in (Kind.REMINDER, Kind.ESCALATED):
        return f"{_unclaimed(notice)}: {figure or notice.title}."
    return headline(notice, names)


def worse(notice: Notice) -> bool:
    """Whether somebody should be called: it opens, the level rises, or nobody has taken it up."""
    risen = notice.previous is not None and notice.level.rank > notice.previous.rank
    return notice.kind in (Kind.OPENED, Kind.REMINDER, Kind.ESCALATED) or (notice.kind is Kind.CHANGED and risen)


def followup(notice: Notice) -> bool:
    """Whether people have been told of this incident before; of an escalation the summary says why they are told."""
    return notice.kind in (Kind.CHANGED, Kind.REMINDER, Kind.RESOLVED) or notice.reopened


def delay(notice: Notice) -> str:
    """For how long it could not be sent; nothing where nobody minds."""
    return spell_duration(notice.late) if notice.late > LATE else ""


def goes_on(notice: Notice) -> bool:
    """Whether it is about an incident that is still open."""
    calm = (Kind.RESOLVED, Kind.REPORT, Kind.TEST)
    return bool(notice.incident) and notice.resolved_at is None and notice.kind not in calm


def _noun(by: str | None) -> str:
    if by in (None, CONVERSATION):
        return "conversation"
    try:
        return find_property(str(by)).label
    except QueryError:
        return "group"


def _whole(notice: Notice) -> str:
    """`The median time … was 7 min 12 s over the last 1 h (34 conversations); the limit is 5 min.`"""
    value, limit = spelled(notice.value, notice.unit), bound(notice.limit, notice)
    over, ending = span(notice.window), f"; the {limit_word(notice)} is {limit}" if limit else ""
    if notice.comparison:
        comma = "," if over else ""
        return f"{notice.comparison}{ending}. Measured: {notice.measure}{comma}{over}."
    if not value:
        return f"There was nothing to measure{over}. Measured is: {notice.measure}."
    counts = notice.unit is Unit.NUMBER and notice.value == notice.conversations
    of = "" if counts else f" ({counted(notice.conversations, 'conversation')})"
    yet = " It has not recovered yet." if within(notice) else ""
    return f"The {notice.measure} was {value}{over}{of}{ending}.{yet}"


def _groups(notice: Notice, names: Names) -> str:
    """`3 agents are over the limit of 5 min; the worst is Priya Shah with 22 min. …` or `4 conversations are waiting; …`"""
    count, value = notice.groups_total, amount(notice, notice.unit)
    who, side = counted(count, _noun(notice.by)), _beyond(notice)
    still = within(notice)
    are = ("was" if still else "is") if count == 1 else ("were" if still else "are")
    if notice.by == CONVERSATION and "wait" in notice.measure and value:
        since = f"for {value}" if count == 1 else f"the longest for {value}"
        return f"{who} {are} waiting{' ' if count == 1 else '; '}{since}, {side}."
    over = span(notice.window)
    lead = ": " if count == 1 else "; the worst is "
    worst = f"{lead}{group_name(notice.groups[0], names)} with {value}" if notice.groups and value else ""
    limit = bound(notice.limit, notice)
    which = f" ({limit_word(notice)} {limit})" if worst and limit and limit not in side else ""
    yet = f" and {'has' if count == 1 else 'have'} not recovered yet" if still else ""
    return f"{who} {are} {side}{yet}{worst}{which}. Measured: {notice.measure}{over}."


def within(notice: Notice) -> bool:
    """Whether the worst value is within its limit again: it fires until it has recovered, or for `keep_firing`."""
    value, limit = notice.value, notice.limit
    if value is None or limit is None or notice.kind in (Kind.RESOLVED, Kind.REPORT):
        return False
    return {"below": value >= limit, "outside": abs(value) <= limit}.get(notice.direction, value <= limit)


def _beyond(notice: Notice) -> str:
    """`over the limit of 5 min`, `under the minimum of 80 %`, `outside ±4`; `over a limit` where they differ."""
    limit = bound(notice.limit, notice)
    if any(group.limit != notice.limit for group in notice.groups):  # some are over the lower level's only
        sides = {"below": f"under a {limit_word(notice)}", "outside": "outside a limit"}
        return sides.get(notice.direction, "over a limit")
    if notice.direction == "outside" and limit:
        return f"outside {limit}"
    side = "under" if notice.direction == "below" else "over"
    return f"{side} the {limit_word(notice)}" + (f" of {limit}" if limit else "")


def _report(notice: Notice) -> str:
    """`Median time to the first answer: 12 agents, 340 conversations.` or `Number of conversations: 1,204.`"""
    what = f"{notice.measure[:1].upper()}{notice.measure[1:]}"
    if notice.by and not notice.groups_total:
        return f"There was nothing to report: {_without(notice.by)}."
    if notice.by:
        groups = f"{notice.groups_total:,} {noun(notice.by, notice.groups_total)}"
        return f"{what}: {groups}, {counted(notice.conversations, 'conversation')}."
    note = notice.groups[0].note if notice.groups else ""
    value = amount(notice, notice.unit)
    return f"{what}: {' '.join(filter(None, (value, f'({note})' if value and note else note)))}."


def _without(by: str) -> str:
    """`no conversations with an agent`."""
    word = _noun(by)
    article = "an" if word[0] in "aeio" else "a"
    return "no conversations" if by == CONVERSATION else f"no conversations with {article} {word}"


def _unclaimed(notice: Notice) -> str:
    """`Nobody has acknowledged it, and it has gone on for 2 h`."""
    length = f", and it has gone on for {lasted(notice)}" if lasted(notice) else ""
    also = ", so you are told as well" if notice.kind is Kind.ESCALATED else ""
    return f"Nobody has acknowledged it{length}{also}"


def _end(notice: Notice) -> str:
    """How it ended: `It lasted 34 min; the worst was 9 min 3 s. Now the median time … is 4 min.`"""
    now = "" if notice.by else amount(notice, notice.unit)
    is_now = f"Now: {now}." if notice.comparison else f"Now the {notice.measure} is {now}{span(notice.window)}."
    left = notice.reason == Change.LEFT
    return " ".join(
        filter(
            None,
            (
                f"It lasted {lasted(notice)}." if lasted(notice) else "",
                _worst(notice),
                is_now if now else "",
                f"None matches any more: answered, closed, or older than {spell_duration(notice.window)}." if left else "",
                "No more conversations came to judge it by." if notice.reason == Change.UNOBSERVED else "",
                "" if notice.reason in _EXPECTED_ENDS else f"Reason: {notice.reason}.",
            ),
        )
    )


def _worst(notice: Notice) -> str:
    worst = peak(notice)
    return f"The worst was {worst}." if worst else ""


def _level_change(notice: Notice, figure: str) -> str:
    if notice.previous is None or notice.previous is notice.level:
        return ""
    turn = "Now" if notice.level.rank > notice.previous.rank else "Better, now only a"
    return f"{turn} {notice.level}: {figure}." if figure else f"{turn} {notice.level}."


def _arrivals(notice: Notice, names: Names) -> str:
    """`2 more agents: Priya Shah (22 min), Tom Reed (18 min).`"""
    new = [group for group in notice.groups if group.new]
    shown = [_with_value(group, notice, names) for group in new[:3]]
    rest = [f"{len(new) - 3} more"] if len(new) > 3 else []
    return f"{len(new)} more {noun(notice.by, len(new))}: {', '.join(shown + rest)}." if new and notice.by else ""


def _with_value(group: NoticeGroup, notice: Notice, names: Names) -> str:
    value = amount(group, notice.unit)
    return group_name(group, names) + (f" ({value})" if value else "")
