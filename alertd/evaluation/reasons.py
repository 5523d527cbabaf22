"""An explanation in plain sentences: why it fires, or why it does not."""

from __future__ import annotations

from alertd.clock import DAY, SECOND, Duration, Instant, iso
from alertd.durations import spell_duration
from alertd.evaluation.explaining import Explanation
from alertd.evaluation.finding import Source
from alertd.evaluation.ledger import Decided
from alertd.evaluation.timeline import Cause
from alertd.facts import CONVERSATION, Change, Evidence, Group, Level, State
from alertd.notices.wording import counted, noun, span
from alertd.rulebook.rule import Limit, Rule
from alertd.units import Unit, spell_value

_NEVER_JUDGED = "Only conversations that are or were over the limit have records"


def about(rule: Rule) -> str:
    """The rule in a sentence or two: measure, window, groups, limits, timers, schedule."""
    measured = rule.compare.describe(rule.measure.describe())
    each = f", for each {noun(rule.by, 1)}" if rule.by else ""
    limits = ", ".join(bound(limit, rule) for limit in rule.limits) or "a report without limits"
    timers = [("for", rule.hold), ("keep_firing", rule.keep_firing)]
    timed = "".join(f", `{name}` {spell_duration(length)}" for name, length in timers if length)
    when = f'by cron "{rule.cron.expression}" ({rule.cron.timezone})' if rule.cron else f"every {spell_duration(rule.every)}"
    calendar = f" while {rule.calendar.name} is open" if rule.calendar else ""
    return f"{measured[:1].upper()}{measured[1:]}{_over(rule)}{each}: {limits}{timed}. Checked {when}{calendar}."


def bound(limit: Limit, rule: Rule) -> str:
    """`warning above 5 min (ends at 4 min)`."""
    value, recover = spell_value(limit.value, rule.unit), spell_value(limit.recover, rule.unit)
    sides = " either way" if limit.direction == "outside" else ""
    return f"{limit.level} {limit.direction} {value}{sides}" + (f" (ends at {recover})" if limit.recover != limit.value else "")


def headline(found: Explanation) -> str:
    """Why it fires or not, the one thing that a person wants to know."""
    if found.record is None and not found.standings:
        return _without_record(found)
    if found.group is not None and found.since and found.since.cause is Cause.ABSENT and found.state not in _FIRING:
        return _absent(found)
    parts = [_gap(found), _several(found) if found.group is None else _verdict(found)]
    return " ".join(part for part in parts if part)


def notes(found: Explanation) -> list[str]:
    """What else is to be known: whether anything is checked at all, and from when the rule is."""
    said = []
    if found.source is Source.STORE:
        said.append("The rule is in no rulebook any more; all of this is from the records.")
    if found.source is Source.FILES:
        said.append("The rule stands in the files, but no daemon has taken it yet; what is said of it is as in the files.")
    revision = found.book.revision if found.book else None
    if found.record and found.source is Source.RUNNING and found.record.revision != revision:
        said.append(f"That was decided by commit {found.record.revision or 'unknown'}; the rule is told as of {revision}.")
    if not found.past:
        said += _present(found)
    return said


def state(found: Explanation) -> str:
    """The state before and after the check, in words."""
    record, after = found.record, found.state
    if record is None or after is None:
        return ""
    before = found.before
    turn = f"{before} -> {after}" if before is not None and before is not after else str(after)
    without = record.change == Change.HELD and found.rule is not None and not found.rule.hold
    return f"{turn}: {_timer(found) or ('over the limit, and the rule has no `for`' if without else record.change)}"


def brief(record: Decided, rule: Rule | None) -> str:
    """A record in a few words, for a list."""
    whole = record.group.by is None and rule is not None and rule.by is not None
    if record.change == Change.KEPT:
        kept = "" if record.evidence is Evidence.OK else f"{_EVIDENCE[record.evidence]}: "
        fires = " (still firing)" if record.state in _FIRING else " (still pending)" if record.state is State.PENDING else ""
        return f"{'all groups: ' if whole else ''}{kept}{record.reason}{fires}"
    value = spell_value(record.value, rule.unit) if rule and record.value is not None else ""
    last = " at the end" if record.evaluations > 1 and value else ""
    return ", ".join(part for part in (_brief_state(record), value + last) if part)


_FIRING = (State.FIRING, State.RECOVERING)
_EVIDENCE = {
    Evidence.OK: "ok",
    Evidence.NO_DATA: "no data",
    Evidence.INSUFFICIENT: "too little to judge by",
    Evidence.ERROR: "no answer",
    Evidence.STALE: "not asked in time",
}
_BRIEF = {
    Change.STARTED: "pending: over the limit",
    Change.WAITS: "pending: over the limit",
    Change.HELD: "fires",
    Change.WORSENED: "firing, now worse",
    Change.EASED: "firing, now better",
    Change.CLEARING: "recovering",
    Change.RELAPSED: "firing again",
    Change.CONTINUES: "firing",
    Change.DROPPED: "within the limit before `for` was reached",
}


def _brief_state(record: Decided) -> str:
    known = next((text for change, text in _BRIEF.items() if change == record.change), record.change)
    if record.state is State.FIRING and record.level is Level.OK:
        return f"{known}, not yet at `recover`"
    return f"{known} ({record.level})" if record.state in (State.FIRING, State.PENDING) and record.level else known


def _over(rule: Rule) -> str:
    if rule.compare.own_window:
        return ""
    if rule.lookback:
        return f" over calendar_{rule.lookback.unit} {rule.lookback.back} ({rule.lookback.timezone})"
    return span(rule.window)


def _without_record(found: Explanation) -> str:
    by = " by then" if found.past else ""
    if found.group and found.group.by == CONVERSATION and (found.checked or found.timeline):
        what = "within the limit, or not among the conversations that the rule looks at (its filters and its window)"
        return f"It did not fire{by}: there is no record of {named(found.group)}. {_NEVER_JUDGED}; so it was {what}."
    if found.group and found.group.by and found.checked:
        return f"It did not fire{by}: no complete answer has had a conversation of {named(found.group)} yet."
    if found.past and found.checked:
        return "Nothing is known of that time: the first check was later, or its record is no longer kept."
    return f"It has not been checked{by or ' yet'}."


def named(group: Group) -> str:
    """`conversation 7`, `lastAgentId=7`, `all conversations`."""
    if group.by == CONVERSATION:
        return f"conversation {group.id}"
    return group.key or "all conversations"


def _gap(found: Explanation) -> str:
    """What there was since the last record."""
    if found.since is None or found.record is None:
        return ""
    then = "at that time" if found.past else "now"
    last = f"What was decided last, {ago(found.record.last_at, found.at)}:"
    match found.since.cause:
        case Cause.CLOSED:
            name = found.rule.calendar.name if found.rule and found.rule.calendar else ""
            return f"The rule is not checked {then}: the calendar {name} is closed. {last}"
        case Cause.ABSENT:
            return f"{_absent(found)} {last}"
        case Cause.NOTHING:
            missing = counted(found.since.missing, "check") if found.since.missing else "checks"
            were = "was" if found.since.missing == 1 else "were"
            return f"Nothing is known {then}: {missing} {were} due since the last record, and none was written. {last}"


def _absent(found: Explanation) -> str:
    who = named(found.group) if found.group else "the group"
    single = found.group is not None and found.group.by == CONVERSATION
    text = f"checked since, and {f'{who} was not over the limit' if single else f'no answer had a conversation of {who}'}."
    if found.state not in _FIRING:
        last = f" The figures are of its last check, {ago(found.record.last_at, found.at)}." if found.record else ""
        return f"It {_does(found)} not fire: it was {text}{last}"
    alert, rule = found.alert, found.rule
    if alert and alert.unseen and rule and not found.past:
        text += f" That is so for {spell_duration(alert.unseen)}; after {spell_duration(rule.forgets_after)} it is over."
    return f"It was {text}"


def _several(found: Explanation) -> str:
    states = [each.record.state for each in found.standings]
    firing, pending = sum(each in _FIRING for each in states), states.count(State.PENDING)
    said = [f"{firing} {'fires' if firing == 1 else 'fire'}"] if firing else []
    said += [f"{pending} {'is' if pending == 1 else 'are'} pending"] if pending else []
    who = counted(len(states), noun(found.rule.by if found.rule else None, 1))
    text = f"Of {who} with a record {' and '.join(said) or 'none fires'}." if states else ""
    record = found.record
    if record and record.last_at >= max((each.record.last_at for each in found.standings), default=0):
        text += f" {_whole(record)}"
    return text.strip()


def _whole(record: Decided) -> str:
    """What the last check came to where it was the same for all groups."""
    match record.evidence:
        case Evidence.ERROR:
            return f"Nothing could be judged at the last check, so nothing moved: {record.reason}."
        case Evidence.STALE:
            return f"It was not asked in time at the last check, so nothing moved: {record.reason}."
        case _:
            return _sentence(record.reason)


def _verdict(found: Explanation) -> str:
    record, rule = found.record, found.rule
    if record is None:
        return ""
    because = _sentence(_why(found, record))
    if rule and rule.report:
        return f"It is a report, told at every check; it never fires. {because}"
    if record.change == Change.KEPT:
        return _unjudged(record, fires=found.state in _FIRING, past=found.past) + _counts(found)
    if found.state is State.RECOVERING:
        return f"It still {_tense(found, 'count')} as firing: {_timer(found)}. {because}"
    if found.state is State.PENDING:
        return f"It {_does(found)} not fire yet: {_timer(found)}. {because}"
    return _firing(found, record) if found.state is State.FIRING else _quiet(found, record)


def _why(found: Explanation, record: Decided) -> str:
    """The reason; of a span it is that of its end, which may be later than what is asked about."""
    return f"{record.reason} (at the end of these checks)" if record.last_at > found.at else record.reason


def _does(found: Explanation) -> str:
    return "did" if found.past else "does"


def _tense(found: Explanation, verb: str) -> str:
    """`fires`, or `fired` at a moment that is over."""
    return verb.removesuffix("e") + "ed" if found.past else verb + "s"


def _firing(found: Explanation, record: Decided) -> str:
    fires, level, why = _tense(found, "fire"), _level(found), _why(found, record)
    at = f" ({level})" if level else ""
    if record.level is Level.OK and found.rule:
        recover = {limit.level: spell_value(limit.recover, found.rule.unit) for limit in found.rule.limits}
        way = recover.get(level, "") if level else " or ".join(recover.values())
        exactly = _exactly(record, found.rule, way)
        return f"It still {fires}{at}: {why}, but it ends only at {way}, which `recover` wants{exactly}."
    return f"It {fires}{at}: {why}."


def _exactly(record: Decided, rule: Rule, way: str) -> str:
    """The value to the millisecond where, rounded, it looks as if it were good enough."""
    if record.value is None or rule.unit is not Unit.DURATION or spell_value(record.value, rule.unit) != way:
        return ""
    return f" (exactly it is {record.value / SECOND:,.3f} s)"


_GONE = (
    "the conversation is no longer among those that the rule looks at. It was answered or closed, or is older than the window."
)
_ENDS = {
    Change.RECOVERED: "it has recovered. ",
    Change.LEFT: _GONE,
    Change.UNOBSERVED: "for too long no complete answer has had a conversation of it.",
}


def _quiet(found: Explanation, record: Decided) -> str:
    why = _why(found, record)
    if record.change == Change.DROPPED:
        return f"It {_does(found)} not fire: it was back within the limit before `for` was reached. {_sentence(why)}"
    ended = next((text for change, text in _ENDS.items() if change == record.change), None)
    if ended is None:
        return f"It {_does(found)} not fire: {why}."
    return f"It no longer {_tense(found, 'fire')}: {ended}{_sentence(why) if record.change == Change.RECOVERED else ''}"


def _unjudged(record: Decided, *, fires: bool, past: bool) -> str:
    """Why a check changed nothing."""
    firing = "It still fired" if past else "It still fires"
    does = firing if fires else "It did not fire" if past else "It does not fire"
    nothing = "nothing is over" if fires else "nothing fires"
    match record.evidence:
        case Evidence.ERROR:
            return f"{does}: there was no complete answer, and without evidence {nothing}. {_sentence(record.reason)}"
        case Evidence.STALE:
            return f"{does}: it was not asked in time, and without evidence {nothing}. {_sentence(record.reason)}"
        case Evidence.INSUFFICIENT:
            return f"{does}: there is too little to judge by. {_sentence(record.reason)}"
        case Evidence.NO_DATA:
            return f"{does}: {record.reason}; then everything stays as it is."
        case Evidence.OK:
            return f"{does}: {record.reason}."


def _counts(found: Explanation) -> str:
    """What has been reached of a timer that stands still for want of evidence."""
    return f" The timer stands still: {_timer(found)}." if found.state is State.PENDING else ""


def _timer(found: Explanation) -> str:
    """`over the limit for 6 min of the 10 min that `for` wants`."""
    if found.rule is None:
        return ""
    known = spell_duration(found.held) if found.held is not None else "an unknown part"
    if found.state is State.PENDING:
        return f"over the limit for {known} of the {spell_duration(found.rule.hold)} that `for` wants"
    if found.state is State.RECOVERING:
        return f"recovered for {known} of the {spell_duration(found.rule.keep_firing)} that `keep_firing` wants"
    return ""


def _level(found: Explanation) -> Level | None:
    """The level at which it fires, which a value between two limits does not tell."""
    record, alert = found.record, found.alert
    if record and alert and alert.judged_at == record.last_at and not found.past:
        return alert.level
    return record.level if record and record.level is not Level.OK else None


def _present(found: Explanation) -> list[str]:
    said = []
    if found.daemon is None:
        said.append("No daemon runs on this store, so nothing is checked and nothing is sent.")
    if found.rule and found.rule.calendar and found.opens is not None:
        opens = f"it opens {moment(found.opens)} ({ago(found.opens, found.now)})"
        said.append(f"The calendar {found.rule.calendar.name} is closed now: {opens}.")
    if found.checked and found.checked.failing_since is not None:
        since = found.checked.failing_since
        said.append(f"The rule has not been judged since {moment(since)} ({ago(since, found.now)}).")
    if found.daemon is not None and found.next_check is not None:
        said.append(f"Next check: {moment(found.next_check)} ({ago(found.next_check, found.now)}).")
    return said


def moment(at: Instant) -> str:
    """ISO 8601 in UTC, to the second."""
    return iso(at - at % SECOND)


def ago(at: Instant, now: Instant) -> str:
    """`3 min ago`, `in 2 h`, `just now`."""
    length: Duration = abs(now - at)
    if length < SECOND:
        return "just now"
    text = f"{length // DAY} d" if length >= 3 * DAY else spell_duration(length // SECOND * SECOND)
    return f"{text} ago" if at <= now else f"in {text}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
