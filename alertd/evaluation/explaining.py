"""Why a rule did or did not fire at a moment, and what was told: all that the store knows of it, in one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from alertd.clock import MINUTE, Duration, Instant
from alertd.errors import AlertdError
from alertd.evaluation import ledger, timeline
from alertd.evaluation.episodes import Episode, load_episode, load_reports
from alertd.evaluation.finding import Question, Shelf, Source, choose_group, require_rule
from alertd.evaluation.ledger import Checked, Decided
from alertd.evaluation.timeline import Entry, Gap
from alertd.facts import CONVERSATION, Alert, Group, Level, State
from alertd.notices import silences
from alertd.notices.muting import rules_firing
from alertd.notices.silences import Silence
from alertd.rulebook.rule import Rule, Rulebook

# Records that are read to see for how long a state has lasted, and others that may prove a check.
_BACK = 60
_PROOFS = 50

# A check that was due so recently may be under way.
_UNDER_WAY: Duration = MINUTE


@dataclass(frozen=True)
class Standing:
    """A group of a rule with its newest record up to then."""

    record: Decided
    alert: Alert | None  # as it is now, if it is not inactive


@dataclass(frozen=True)
class Explanation:
    """What the store tells of one group of a rule at a moment; or of the rule with all its groups, where `group` is None."""

    question: Question
    rule: Rule | None
    book: Rulebook | None
    source: Source
    now: Instant
    at: Instant
    daemon: str | None  # the process that runs, if one does
    checked: Checked | None  # the rule's last check, whenever that was
    group: Group | None
    standings: tuple[Standing, ...]  # every group with a record, where there is more than one to choose from
    record: Decided | None  # the last decision up to then; of the rule as a whole, where that says something of the group
    state: State | None  # of the group at that moment; None for all of them
    before: State | None  # of the group, before the record
    since: Gap | None  # from the record to that moment, where checks are missing
    held: Duration | None  # known time in the state that it has, towards `for` or `keep_firing`
    alert: Alert | None  # as it is now
    episode: Episode | None
    silences: tuple[Silence, ...]  # that matched at that moment
    quiet: tuple[str, ...]  # rules that fire now, during which this one is not told
    timeline: tuple[Entry, ...]
    next_check: Instant | None
    opens: Instant | None  # when the calendar does, where it is closed now

    @property
    def past(self) -> bool:
        """Whether it is about a moment that somebody named."""
        return self.question.at is not None


def explain(
    transaction: sa.Connection, question: Question, shelf: Shelf, now: Instant, daemon: str | None = None
) -> Explanation:
    """Read all that is known. AlertdError where there is no such rule or group, with what was probably meant."""
    if question.at is not None and question.at > now:
        raise AlertdError("that time lies in the future, and nothing is decided ahead; name one that is over")
    book, source = shelf.find(question.rule)
    rule = book.rules[question.rule] if book else None
    if rule is None:
        require_rule(transaction, question.rule, shelf)
    at = question.at if question.at is not None else now
    newest = ledger.newest_decided(transaction, question.rule, question.at)
    alerts = ledger.load_alerts(transaction, question.rule)
    group = choose_group(transaction, question, rule, newest, alerts)
    found = _Found(transaction, question, rule, group, now, at)
    records = found.own()
    record = found.last(records[-1] if records else None, found.whole(newest))
    return Explanation(
        question=question,
        rule=rule,
        book=book,
        source=source,
        now=now,
        at=at,
        daemon=daemon,
        checked=ledger.load_checked(transaction, question.rule).get(question.rule),
        group=group,
        record=record,
        standings=_standings(newest, alerts, rule) if group is None else (),
        state=None if group is None else records[-1].state if records else State.INACTIVE,
        before=_before(records, record),
        since=found.since(record),
        held=_held(records, record, rule, at),
        alert=next((each for each in alerts if each.group == group), None),
        episode=_episode(transaction, question, rule, at),
        silences=_silences(transaction, question.rule, rule, group, at),
        quiet=tuple(sorted(rules_firing(transaction, rule.quiet_while))) if rule and question.at is None else (),
        timeline=found.entries(records),
        next_check=timeline.next_check(rule, now) if rule else None,
        opens=timeline.opening(rule, now) if rule else None,
    )  # fmt: skip - what is only passed on needs no lines of its own


@dataclass(frozen=True)
class _Found:
    """Looks up records of what is asked for."""

    transaction: sa.Connection
    question: Question
    rule: Rule | None
    group: Group | None
    now: Instant
    at: Instant

    def own(self) -> list[Decided]:
        """The last records of the group, or those of the rule as a whole."""
        key = self.group.key if self.group else ""
        count = max(_BACK, self.question.last)
        return ledger.load_decided(self.transaction, self.question.rule, [key], self.question.at, count)

    def whole(self, newest: Sequence[Decided]) -> Decided | None:
        """The newest record of the rule as a whole, where it says something of the group too."""
        if self.group is None or self.group.by is None:
            return None
        mine = next((each for each in newest if each.group == self.group), None)
        found = next((each for each in newest if each.group.by is None), None)
        if self.group.by == CONVERSATION and (mine is None or mine.state is State.INACTIVE):
            return None
        return found

    def last(self, own: Decided | None, whole: Decided | None) -> Decided | None:
        """The last decision on the group: that of the rule as a whole only if no check came after it."""
        record = timeline.newest(own, whole, self.rule, self.at)
        return own if own and record is whole and self.since(whole) else record

    def since(self, record: Decided | None) -> Gap | None:
        """From the last record to that moment."""
        if record is None or self.rule is None:
            return None
        last = record.last_at
        if self.group is None:
            last = max([last, *(each.last_at for each in ledger.newest_decided(self.transaction, record.rule, self.at))])
        over = self.now - min(self.rule.every, _UNDER_WAY) - self.rule.delay
        found = self._gap(last, min(self.at, over) + 1)
        return replace(found, end=self.at) if found else None

    def entries(self, own: Sequence[Decided]) -> tuple[Entry, ...]:
        """The last records of the group in order, with those of the rule as a whole that fall between them, and gaps."""
        shown = list(own[-self.question.last :])
        if shown and self.group and self.group.by is not None:
            whole = ledger.load_decided(self.transaction, self.question.rule, [""], self.question.at, self.question.last)
            single = self.group.by == CONVERSATION
            shown += [each for each in whole if each.last_at >= shown[0].first_at and (not single or timeline.is_failure(each))]
        return tuple(timeline.arrange(_newest(shown, self.question.last), self._gap))

    def _gap(self, after: Instant, until: Instant) -> Gap | None:
        def others() -> list[Decided]:
            if self.rule is None or self.rule.by is None:
                return []
            return ledger.decided_between(self.transaction, self.question.rule, after, until, _PROOFS)

        return timeline.gap(self.rule, after, until, others)


def _newest(records: Sequence[Decided], count: int) -> list[Decided]:
    return sorted(records, key=lambda each: (each.first_at, each.id))[-count:]


def _before(records: Sequence[Decided], record: Decided | None) -> State | None:
    """The state before the last check of a record; of the rule as a whole nothing is to be said."""
    if record is None or record not in records:
        return None
    if record.evaluations > 1:
        return record.state
    place = records.index(record)
    return records[place - 1].state if place else State.INACTIVE


def _held(records: Sequence[Decided], record: Decided | None, rule: Rule | None, at: Instant) -> Duration | None:
    own = records[-1] if records else None
    if own is None or record is None or rule is None or own.state not in (State.PENDING, State.RECOVERING):
        return None
    return timeline.held(records, rule, own.state, at)


def _episode(transaction: sa.Connection, question: Question, rule: Rule | None, at: Instant) -> Episode | None:
    reports = load_reports(transaction, question.rule, at, question.last) if rule is None or rule.report else None
    return reports or load_episode(transaction, question.rule, at)


def _silences(
    transaction: sa.Connection, name: str, rule: Rule | None, group: Group | None, at: Instant
) -> tuple[Silence, ...]:
    found = silences.active(transaction, at)
    if rule is None:
        return tuple(each for each in found if each.rule == name or (each.rule is None and not each.labels))
    whole = [replace(each, group=None) if group is None else each for each in found]
    levels = [each.level for each in rule.limits] or [Level.OK]
    return tuple(each for each in whole if any(each.matches(rule, group or Group(), level) for level in levels))


_STATES = (State.FIRING, State.RECOVERING, State.PENDING, State.INACTIVE)


def _standings(newest: Sequence[Decided], alerts: Sequence[Alert], rule: Rule | None) -> tuple[Standing, ...]:
    """The groups, the worst first; of those that are alike the newest."""
    by_group = {each.group: each for each in alerts}

    def worst(each: Standing) -> tuple[float, ...]:
        record = each.record
        level = record.level.rank if record.level else 0
        bad = rule.badness(record.value) if rule and record.value is not None else float("-inf")
        return _STATES.index(record.state), -level, -bad, -record.last_at

    found = [Standing(each, by_group.get(each.group)) for each in newest if each.group.by is not None]
    return tuple(sorted(found, key=worst))
