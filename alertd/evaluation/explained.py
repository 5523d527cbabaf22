"""An explanation as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from alertd.clock import MINUTE, SECOND, Instant, iso
from alertd.durations import spell_duration
from alertd.evaluation import reasons, timeline
from alertd.evaluation.explaining import Explanation, Standing
from alertd.evaluation.ledger import Decided
from alertd.evaluation.reasons import ago, moment, named
from alertd.evaluation.retelling import INDENT, retold, wrapped
from alertd.evaluation.timeline import Cause, Entry, Gap
from alertd.facts import CONVERSATION, Change, Kind
from alertd.notices.wording import counted
from alertd.rulebook.rule import Rule
from alertd.units import spell_value

_GROUPS = 20  # of a rule, listed
_LABEL = 15
_AGE = len("59 min 59 s ago")


def to_text(found: Explanation, width: int = 80) -> str:
    """For a person: what the rule is, why it fires or not, the figures, what was told, and how it came to that."""
    parts = [_title(found, width), _answer(found, width)]
    parts += [_figures(found, width) if found.group is not None else _table(found, width)]
    parts += [retold(found, width), _timeline(found, width)]
    return "\n\n".join("\n".join(part) for part in parts if part)


def _title(found: Explanation, width: int) -> list[str]:
    rule = found.rule
    if rule is None:
        return [found.question.rule]
    place = f"{rule.file}:{rule.line}" if rule.file else ""
    owner = f"owner {rule.owner}" if rule.owner else "no owner"
    commit = f"commit {found.book.revision}" if found.book and found.book.revision else "no commit"
    facts = ", ".join(part for part in (place, owner, commit) if part)
    return [f"{rule.id}: {rule.title}", *wrapped(reasons.about(rule), width), *wrapped(facts, width)]


def _answer(found: Explanation, width: int) -> list[str]:
    who = "All groups" if found.group is None else named(found.group)
    when = f"at {moment(found.at)} ({ago(found.at, found.now)})" if found.past else f"now ({moment(found.now)})"
    said = [reasons.headline(found), *reasons.notes(found)]
    return [f"{who[:1].upper()}{who[1:]} {when}" if found.group and not found.group.by else f"{who} {when}"] + [
        line for each in said if each for line in wrapped(each, width)
    ]


def _figures(found: Explanation, width: int) -> list[str]:
    record = found.record
    if record is None:
        return []
    return [line for name, text in _facts(found, record) if text for line in _fact(name, text, width)]


def _facts(found: Explanation, record: Decided) -> Iterator[tuple[str, str]]:
    start, end = record.window.start, record.window.end
    rule = found.rule
    yield "decided", _when(found, record)
    yield "window", f"{moment(start)} to {moment(end)} ({spell_duration(end - start)})"
    if not timeline.is_failure(record) and record.change not in (Change.LEFT, Change.UNOBSERVED):
        yield "conversations", f"{record.conversations:,}, of which {counted(record.entered, 'value')} entered the measure"
    yield "value", _value(record, rule)
    yield "evidence", record.evidence.value
    yield "level", record.level.value if record.level else "none, so nothing moves" if record.change == Change.KEPT else ""
    yield "reason", record.reason
    yield "state", reasons.state(found)
    yield "commit", record.revision or ""
    if found.alert and found.alert.examples and not found.past:
        yield "stand out", "conversations " + ", ".join(str(each) for each in found.alert.examples)


def _value(record: Decided, rule: Rule | None) -> str:
    if rule is None:
        return f"{record.value:g} (its unit is not known)" if record.value is not None else ""
    value = spell_value(record.value, rule.unit) if record.value is not None else "none"
    return f"{value}; limits: {', '.join(reasons.bound(each, rule) for each in rule.limits) or 'none'}"


def _when(found: Explanation, record: Decided) -> str:
    text = f"{moment(record.last_at)} ({ago(record.last_at, found.now)})"
    if record.evaluations == 1:
        return text
    checks = _checks(record, found.rule)
    if record.last_at > found.at:
        span = f"from {moment(record.first_at)} to {moment(record.last_at)}"
        return f"{span}, {checks} that came to the same; the figures are the last one's"
    return f"{text}, the last of {checks} that came to the same since {moment(record.first_at)}"


def _table(found: Explanation, width: int) -> list[str]:
    if not found.standings:
        return []
    shown = found.standings[:_GROUPS]
    longest = max(len(named(each.record.group)) for each in shown)
    lines = [line for each in shown for line in _row(each, found, longest, width)]
    more = len(found.standings) - _GROUPS
    lines += [f"{INDENT}and {counted(more, 'group')} more; --json has them all"] if more > 0 else []
    at = f" --at {iso(found.at)}" if found.past else ""
    return [*lines, f"{INDENT}More: alertd explain {found.question.rule} --group {shown[0].record.group.id}{at}"]


def _row(standing: Standing, found: Explanation, longest: int, width: int) -> list[str]:
    record = standing.record
    left = f"{INDENT}{named(record.group):<{longest}}  {ago(record.last_at, found.at):<{_AGE}}  "
    return textwrap.wrap(
        reasons.brief(record, found.rule), max(60, width), initial_indent=left, subsequent_indent=" " * len(left)
    )


def _timeline(found: Explanation, width: int) -> list[str]:
    entries = [*found.timeline, *_trailing(found)]
    if not entries:
        return []
    seconds = any(at % MINUTE for each in entries for at in _ends(each))
    what = "of the rule as a whole" if found.group is None else ""
    lines = [f"Timeline {what}".rstrip() + " (UTC)"]
    for date, some in groupby(entries, key=lambda each: iso(_ends(each)[0])[:10]):
        lines.append(INDENT + date)
        lines += [line for each in some for line in _entry(each, found, width, seconds=seconds)]
    return lines


def _trailing(found: Explanation) -> list[Gap]:
    """What came after the last entry; of a rule with many groups other records tell that."""
    if found.since is None or found.group is None:
        return []
    start = max([found.since.start, *(_ends(each)[1] for each in found.timeline)])
    return [replace(found.since, start=start)] if start < found.since.end else []


def _ends(entry: Entry) -> tuple[Instant, Instant]:
    return (entry.first_at, entry.last_at) if isinstance(entry, Decided) else (entry.start, entry.end)


def _entry(entry: Entry, found: Explanation, width: int, *, seconds: bool) -> list[str]:
    if isinstance(entry, Gap):
        span, text = _span(entry.start, entry.end, seconds=seconds), _nothing(entry, found)
        return _row_of(span, "", text, width, seconds=seconds)
    told = f"; told: {entry.told}" if entry.told and entry.told != Kind.REFRESHED.value else ""
    untold = f"; not told: {entry.untold}" if entry.untold else ""
    text = reasons.brief(entry, found.rule) + told + untold
    span = _span(entry.first_at, entry.last_at, seconds=seconds)
    return _row_of(span, _checks(entry, found.rule), text, width, seconds=seconds)


def _row_of(span: str, checks: str, text: str, width: int, *, seconds: bool) -> list[str]:
    left = f"{INDENT}{span:<{17 if seconds else 11}}  {checks:<10}  "
    return textwrap.wrap(text, max(40, width), initial_indent=left, subsequent_indent=" " * (33 if seconds else 27))


def _span(start: Instant, end: Instant, *, seconds: bool) -> str:
    cut = 19 if seconds else 16
    first, last = iso(start - start % SECOND), iso(end - end % SECOND)
    if first[:cut] == last[:cut]:
        return first[11:cut]
    return f"{first[11:cut]}-{last[11:cut] if first[:10] == last[:10] else last[:cut].replace('T', ' ')}"


def _checks(record: Decided, rule: Rule | None) -> str:
    due = timeline.expected(rule, record) if rule else None
    missing = due is not None and due > record.evaluations
    return f"{record.evaluations:,} of {due:,} checks" if missing else counted(record.evaluations, "check")


def _nothing(found: Gap, of: Explanation) -> str:
    match found.cause:
        case Cause.CLOSED:
            return "no record: the calendar is closed"
        case Cause.ABSENT if of.group and of.group.by == CONVERSATION:
            return "no record: checked, and not over the limit"
        case Cause.ABSENT:
            return (
                "no record: checked, without a conversation of it"
                if of.group and of.group.by
                else "checked: the groups have their own"
            )
        case Cause.NOTHING:
            return f"no record: {counted(found.missing, 'check')} missing" if found.missing else "no record"


def _fact(name: str, text: str, width: int) -> list[str]:
    left = f"{INDENT}{name:<{_LABEL}}"
    return textwrap.wrap(
        text, width, initial_indent=left, subsequent_indent=" " * len(left), break_long_words=False, break_on_hyphens=False
    )
