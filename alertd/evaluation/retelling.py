"""What was told of a rule and what was not, in lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from alertd.clock import DAY, Instant
from alertd.evaluation.episodes import Delivered, Episode, Told
from alertd.evaluation.explaining import Explanation
from alertd.evaluation.reasons import ago, moment, named
from alertd.facts import Kind, Level
from alertd.notices.wording import counted

INDENT = "  "
_NOTICES = 12  # of an incident, listed


def retold(found: Explanation, width: int) -> list[str]:
    """The incident with its notices and their deliveries, and what kept people from being told."""
    lines = [line for each in untold(found) for line in wrapped(each, width)]
    episode = found.episode
    if episode is None:
        what = "report" if found.rule and found.rule.report else "incident"
        nothing = f"Nothing: there was no {what} of this rule{' by then' if found.past else ''}."
        return ["What was told", *wrapped(nothing, width), *lines]
    shown = episode.told if episode.number is None or _is_recent(episode, found.at) else ()
    told = [line for each in _few(shown) for line in _notice(each, found, width)]
    return ["What was told", *wrapped(_headed(episode, found), width), *lines, *told]


def _is_recent(episode: Episode, at: Instant) -> bool:
    return episode.closed_at is None or episode.closed_at > at - DAY


def _headed(episode: Episode, found: Explanation) -> str:
    if episode.number is None:
        return "Reports, the newest last:"
    opened = f"open since {moment(episode.opened_at or 0)}"
    if episode.closed_at is not None:
        was = "then open" if episode.goes_on(found.at) else "over"
        opened = f"{was}, from {moment(episode.opened_at or 0)} to {moment(episode.closed_at)}"
        opened += "" if episode.goes_on(found.at) else f" ({ago(episode.closed_at, found.at)})"
    level = "" if episode.closed_at is not None else f", {episode.level}"
    return f"Incident {episode.number}, {opened}{level}{_listing(episode, found)}:"


def _listing(episode: Episode, found: Explanation) -> str:
    """That a group was not among those that people were told of; where a notice lists it, it says so itself."""
    if found.group is None or found.group.by is None or any(each.names(found.group.key) for each in episode.told):
        return ""
    return f"; no notice lists {named(found.group)}"


def untold(found: Explanation) -> Iterator[str]:
    """What was not told, and why."""
    record, episode = found.record, found.episode
    if record and record.untold:
        yield f"Not told at that check: {record.untold}."
    if episode and episode.closed_at is None and episode.number is not None:
        if episode.muted:
            yield f"Nobody is told at present: {episode.muted}."
        if episode.acknowledged_at is not None:
            who = f" by {episode.acknowledged_by}" if episode.acknowledged_by else ""
            yield f"Acknowledged{who} at {moment(episode.acknowledged_at)}: no reminders, no escalation."
        if episode.escalated_at is not None:
            yield f"Escalated at {moment(episode.escalated_at)}."
    for each in found.silences:
        what = ", ".join([*filter(None, (each.rule, each.group)), *(f"{key}={value}" for key, value in each.labels.items())])
        why = f": {each.comment}" if each.comment else ""
        yield f"Silence {each.id} ({what or 'everything'}) by {each.author} until {moment(each.until)}{why}."
    for name in found.quiet:
        yield f"Nobody is told while {name} fires, and it does."
    yield from _nobody(found)


def _nobody(found: Explanation) -> Iterator[str]:
    """Levels at which nobody would be told."""
    if found.rule and found.book:
        levels = [Level.OK] if found.rule.report else [limit.level for limit in found.rule.limits]
        for level in dict.fromkeys(levels):
            if not found.book.told(found.rule, level) and not found.rule.report:
                yield f"No receiver is named for {level}."


def _few(told: Sequence[Told]) -> Iterator[Told | int]:
    """The first and the newest of many notices, and how many lie between; silent edits that went well are counted only."""
    loud = [
        each for each in told if each.notice.kind is not Kind.REFRESHED or any(one.state != "sent" for one in each.deliveries)
    ]
    if len(loud) <= _NOTICES:
        yield from loud
        return
    yield loud[0]
    yield len(loud) - _NOTICES
    yield from loud[-(_NOTICES - 1) :]


def _notice(told: Told | int, found: Explanation, width: int) -> list[str]:
    if isinstance(told, int):
        return [f"{INDENT}... {told} more; --json has them all"]
    notice = told.notice
    listed = found.group and found.group.by and notice.kind is not Kind.RESOLVED and told.names(found.group.key)
    edit = "message edited silently" if notice.kind is Kind.REFRESHED else notice.kind.value
    level = f" {notice.level}" if notice.kind in (Kind.OPENED, Kind.CHANGED, Kind.REMINDER, Kind.ESCALATED) else ""
    again = " again" if notice.reopened and notice.kind is Kind.OPENED else ""
    head = f"{moment(notice.at)}  {edit}{again}{level}{f', lists {named(found.group)}' if listed and found.group else ''}"
    if not told.deliveries:
        return wrapped(f"{head}; told nobody: {notice.muted or 'nobody had to be told'}", width)
    return wrapped(head, width) + [
        line for each in told.deliveries for line in wrapped(_delivery(each, told, found), width, INDENT * 3)
    ]


def _delivery(each: Delivered, told: Told, found: Explanation) -> str:
    where = each.receiver if each.via == each.receiver else f"{each.receiver}, through the fallback {each.via}"
    where += f" (as {each.kind})" if each.kind != told.notice.kind.value else ""
    tried = f" after {counted(each.attempts, 'attempt')}" if each.attempts > 1 else ""
    error = f": {each.error}" if each.error else ""
    match each.state:
        case "sent":
            return f"{where}: sent {moment(each.sent_at or 0)}{tried}"
        case "dead":
            return f"{where}: dead{tried}, nobody was reached{error}"
        case "sending":
            return f"{where}: being sent now, attempt {each.attempts}"
        case _:
            return f"{where}: queued{tried}, {_next_try(each, told, found)}{f'; last error{error}' if error else ''}"


def _next_try(each: Delivered, told: Told, found: Explanation) -> str:
    """When it will be tried: of one story the oldest goes first."""
    before = found.episode.told[: found.episode.told.index(told)] if found.episode and found.episode.number else ()
    earlier = (one for notice in before for one in notice.deliveries if one.state in ("queued", "sending"))
    if any(one.receiver == each.receiver or one.via == each.via for one in earlier):
        return "waits for the message before it"
    return f"next try {moment(each.due_at)} ({ago(each.due_at, found.now)})" if each.due_at > found.now else "due now"


def wrapped(text: str, width: int, indent: str = INDENT) -> list[str]:
    """A paragraph in lines of that width."""
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
