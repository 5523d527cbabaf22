"""Settling: what judged rules mean, written in one transaction: alerts, incidents, notices, deliveries, decision records.

What the store knows of all of them is read at once, and so is written what they come to; deciding is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.evaluation import history, ledger
from alertd.evaluation.history import Memory
from alertd.evaluation.ledger import Checked, Record
from alertd.evaluation.machine import restart, step, step_absent
from alertd.evaluation.schedule import Due
from alertd.facts import Alert, Change, Evidence, Kind, State, Transition, Verdict
from alertd.notices import trails
from alertd.notices.muting import hushes, mutes
from alertd.notices.recording import Outcome, Situation, close_removed, load_situations, record
from alertd.notices.reports import report
from alertd.rulebook.rule import Rule, Rulebook


@dataclass(frozen=True)
class Judged:
    """What became of one due rule."""

    due: Due
    verdicts: tuple[Verdict, ...]
    measured: Memory = field(default_factory=dict)  # in windows that the rule may be compared with later

    @property
    def rule(self) -> Rule:
        """The rule that was due."""
        return self.due.rule

    @property
    def as_of(self) -> Instant:
        """The moment the data speak of."""
        return self.due.at - self.due.rule.delay

    @cached_property
    def question(self) -> str:
        """What the rule asks, as a hash: made once, for it takes a while."""
        return self.rule.question

    @cached_property  # asked a dozen times
    def evidence(self) -> Evidence:
        """The evidence of the rule as a whole: that of its groups where they agree, ok where any is ok."""
        found = {verdict.evidence for verdict in self.verdicts}
        return found.pop() if len(found) == 1 else Evidence.OK if Evidence.OK in found else min(found)

    @property
    def failed(self) -> bool:
        """Whether there was no complete answer: then nothing moves (I3)."""
        return self.evidence in (Evidence.ERROR, Evidence.STALE)


def settle(transaction: sa.Connection, judged: Judged, book: Rulebook, now: Instant) -> Kind | None:
    """Move the rule's alerts by its verdicts and write all that follows: alerts, incident, notice, deliveries, history."""
    return settle_all(transaction, [judged], book, now)[0]


def settle_all(transaction: sa.Connection, checks: Sequence[Judged], book: Rulebook, now: Instant) -> list[Kind | None]:
    """The same of different rules: what the store knows of them is read at once, and so is written what they come to.

    None of them may be quiet while one that comes after it fires.
    """
    names = [each.due.rule.id for each in checks]
    before, stored = ledger.load_checked(transaction, *names), dict[str, dict[str, Alert]]()
    for alert in ledger.load_alerts(transaction, *names):
        stored.setdefault(alert.rule, {})[alert.group.key] = alert
    moved = [_moved(each, before.get(each.rule.id), stored.get(each.rule.id, {})) for each in checks]
    ledger.save_checked(transaction, (_checked(each, before.get(each.judged.rule.id)) for each in moved), before)
    ledger.save_alerts(transaction, (move for each in moved for move in (*each.moves.values(), *each.dropped)))
    told = _tell_all(transaction, moved, book, now)
    for each in moved:
        history.remember(transaction, each.judged.rule, _remembered(each))
    ledger.record(transaction, (one for each, said in zip(moved, told, strict=True) for one in _records(each, said, book)))
    return [each.outcome.kind for each in told]


@dataclass(frozen=True)
class _Moved:
    """A judged rule and every alert of it after this check, by group: those that were there, and those that verdicts start."""

    judged: Judged
    moves: Mapping[str, Transition]
    dropped: tuple[Transition, ...] = ()  # what a report left behind that was a rule before
    anew: bool = False  # the rule's question has changed since
    trail: str | None = None  # what the rule measured lately, this check included

    @property
    def telling(self) -> bool:
        """Whether it is known how things stand: a verdict that may move an alert, or an alert that ended without one."""
        moved = any(move.before.state is not move.after.state for move in self.moves.values())
        return moved or any(verdict.level is not None for verdict in self.judged.verdicts)

    @property
    def firing(self) -> list[Alert]:
        """The alerts that fire now; none without evidence: then nobody is told anything (I3)."""
        return [] if self.judged.failed else [move.after for move in self.moves.values() if move.after.fires]


def _moved(judged: Judged, before: Checked | None, stored: Mapping[str, Alert]) -> _Moved:
    rule, trail = judged.rule, _trail(judged, before)
    if rule.report:
        dropped = tuple(Transition(each, Alert(rule.id, each.group), Change.REMOVED) for each in stored.values())
        return _Moved(judged, {}, dropped, trail=trail)
    if judged.failed:
        return _Moved(judged, {key: Transition(alert, alert, Change.KEPT) for key, alert in stored.items()}, trail=trail)
    anew = before is not None and before.question != judged.question
    alerts = {key: restart(alert) if anew else alert for key, alert in stored.items()}
    verdicts = {verdict.group.key: verdict for verdict in judged.verdicts if verdict.group.by == rule.by}
    moves = {key: step_absent(alert, rule, judged.as_of) for key, alert in alerts.items() if key not in verdicts}
    for key, verdict in verdicts.items():
        moves[key] = step(alerts.get(key, Alert(rule.id, verdict.group)), verdict, rule)
    moves = {key: replace(move, before=stored.get(key, move.before)) for key, move in moves.items()}
    return _Moved(judged, moves, anew=anew, trail=trail)


def _trail(judged: Judged, before: Checked | None) -> str | None:
    """What a rule without groups measured lately, and now. An answer to another question is no part of it."""
    rule, known = judged.rule, before.trail if before else None
    if judged.failed:
        return known
    if rule.by is not None or (before and before.question != judged.question):
        known = None
    value = judged.verdicts[0].value if rule.by is None and judged.evidence is Evidence.OK else None
    return known if value is None else trails.extend(known, judged.as_of, value)


def _remembered(moved: _Moved) -> Memory:
    """What was measured, with the note which alerts fired: an incident is no measure of what is usual."""
    own = moved.judged.rule.window_at(moved.judged.as_of)
    fired = {key for key, move in moved.moves.items() if move.after.fires}
    return {
        window: {key: replace(each, fired=window == own and key in fired) for key, each in figures.items()}
        for window, figures in moved.judged.measured.items()
    }


@dataclass(frozen=True)
class _Told:
    """What people were told after a check, and of which firing groups they were not, by key and with the reason."""

    outcome: Outcome = field(default_factory=Outcome)
    muted: Mapping[str, str] = field(default_factory=dict)


def _tell_all(transaction: sa.Connection, moved: Sequence[_Moved], book: Rulebook, now: Instant) -> list[_Told]:
    """Write what moved alerts mean for incidents and their receivers, and reports."""
    firing = {each.judged.rule.id: each.judged.rule for each in moved if each.firing}
    answered = [each.judged.rule.id for each in moved if each.judged.rule.report or not each.judged.failed]
    situations = load_situations(transaction, answered, firing.keys()) if answered else {}
    hush, told = hushes(transaction, firing.values(), now), list[_Told]()
    for each in moved:
        rule = each.judged.rule
        situation = situations.get(rule.id, Situation())
        if rule.report:
            told.append(_report(transaction, each, situation, book, now))
        elif each.judged.failed or (each.firing and not each.telling):
            told.append(_Told())
        else:
            if each.anew and situation.incident:  # the worst of the old question is no number of the new one
                situation = replace(situation, incident=replace(situation.incident, peak=None))
            situation = replace(situation, mutes=mutes(rule, each.firing, now, hush), trail=each.trail)
            moves = list(each.moves.values())
            told.append(
                _Told(record(transaction, rule, moves, book, situation, at=each.judged.as_of, now=now), situation.mutes)
            )
    return told


def _report(transaction: sa.Connection, moved: _Moved, situation: Situation, book: Rulebook, now: Instant) -> _Told:
    """Write a report, with or without evidence. What a rule left behind that was none before is ended first."""
    judged, rule, as_of = moved.judged, moved.judged.rule, moved.judged.as_of
    if situation.incident is not None:
        close_removed(transaction, rule.id, book, at=as_of, now=now, reason="the rule has become a report")
    return _Told(report(transaction, rule, judged.verdicts, book, at=as_of, now=now, trail=moved.trail))


def _records(moved: _Moved, told: _Told, book: Rulebook) -> Iterator[Record]:
    """Decision records: one for each verdict, and for each alert that ended without one.

    Of single conversations only those that are or were over the limit.
    """
    judged, moves, outcome, revision = moved.judged, moved.moves, told.outcome, book.revision
    for verdict in judged.verdicts:
        move = moves.get(verdict.group.key)
        if move is None:
            change = Change.QUIET if judged.rule.report and not judged.failed else Change.KEPT
            yield Record(verdict, State.INACTIVE, change, outcome.kind, revision, outcome.untold if not moves else None)
        elif not judged.rule.single or {move.before.state, move.after.state} != {State.INACTIVE}:
            yield _record(verdict, move, told, revision)
    for move in moves.values():
        if move.change in (Change.LEFT, Change.UNOBSERVED):
            yield _record(_gone(judged, move), move, told, revision)


def _record(verdict: Verdict, move: Transition, told: _Told, revision: str | None) -> Record:
    """The decision record of one group: of a muted one nobody was told, whatever was told of the others."""
    reason = told.muted.get(verdict.group.key)
    concerned = move.before.fires or move.after.fires
    untold = reason or (told.outcome.untold if concerned else None)
    kind = told.outcome.kind if concerned and not reason else None
    return Record(verdict, move.after.state, move.change, kind, revision, untold)


def _gone(judged: Judged, move: Transition) -> Verdict:
    """What a complete answer says of a group that it no longer contains."""
    window, as_of, reason = judged.verdicts[0].window, judged.verdicts[0].as_of, move.change.value
    return Verdict(judged.rule.id, move.after.group, Evidence.NO_DATA, None, None, 0, 0, window, as_of, reason)


def _checked(moved: _Moved, before: Checked | None) -> Checked:
    judged, evidence = moved.judged, moved.judged.evidence
    # What was measured before stays comparable with the old question until the new one has been answered.
    question = before.question if before and judged.failed else judged.question
    since = before.failing_since if before and before.failing_since is not None else judged.as_of
    telling = [each for each in judged.verdicts if each.evidence is evidence]
    return Checked(
        rule=judged.rule.id,
        due_at=judged.due.at,
        as_of=judged.as_of,
        question=question,
        evidence=evidence,
        reason=max(telling, key=lambda each: each.level.rank if each.level else 0).reason if telling else "no group",
        missed=(before.missed if before else 0) + judged.due.missed,
        failing_since=since if judged.failed else None,
        trail=moved.trail,
    )
