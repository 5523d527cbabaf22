"""The tick: everything due at one instant, planned together, judged as the answers come, each rule settled in one transaction.

Read from top to bottom: `tick` is the way of a fact from "what is due?" to rows in the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import sqlalchemy as sa
import structlog

from alertd.clock import Instant
from alertd.errors import AlertdError, StoreError
from alertd.evaluation import history, ledger
from alertd.evaluation.history import Memory
from alertd.evaluation.judging import Judgement, Known, failed, judge
from alertd.evaluation.ledger import Checked, Record
from alertd.evaluation.machine import restart, step, step_absent
from alertd.evaluation.schedule import Due
from alertd.facts import Alert, Change, Evidence, Kind, State, Transition, Verdict
from alertd.notices.muting import mutes
from alertd.notices.recording import Outcome, close_removed, record
from alertd.notices.reports import report
from alertd.planning.asking import Answers, Asking
from alertd.planning.demand import Urgency, Wanted
from alertd.planning.fetching import Source
from alertd.rulebook.rule import Rule, Rulebook
from alertd.store.database import Database

_log = structlog.get_logger()


@dataclass(frozen=True)
class Judged:
    """What became of one due rule."""

    due: Due
    verdicts: tuple[Verdict, ...]
    measured: Memory = field(default_factory=dict)  # in windows that the rule may be compared with later

    @property
    def evidence(self) -> Evidence:
        """The evidence of the rule as a whole: that of its groups where they agree, ok where any is ok."""
        found = {verdict.evidence for verdict in self.verdicts}
        return found.pop() if len(found) == 1 else Evidence.OK if Evidence.OK in found else min(found)

    @property
    def failed(self) -> bool:
        """Whether there was no complete answer: then nothing moves (I3)."""
        return self.evidence in (Evidence.ERROR, Evidence.STALE)


def tick(
    dues: Sequence[Due],
    book: Rulebook,
    source: Source,
    database: Database,
    now: Callable[[], Instant],
    *,
    after: Callable[[Asking], None] = lambda _asking: None,
) -> Iterator[tuple[Judged, Kind | None]]:
    """Check all due rules. Yields each as it is settled, with the kind of notice that came of it.

    A rule whose settling fails is logged and costs only itself; it is due again at its next instant.
    `after` is called at the end with all that was asked.
    """
    known = know(database, dues)
    asking = Asking(source, wanted(dues, known=known))
    for judged in _causes_first(judge_all(asking, dues, known), dues):
        try:
            with database.write() as transaction:
                kind = settle(transaction, judged, book, now())
        except StoreError as problem:
            _log.error("rule not settled", rule=judged.due.rule.id, error=str(problem))
            continue
        except Exception:  # noqa: BLE001 - one rule must not stop the others (I7)
            _log.exception("rule not settled", rule=judged.due.rule.id)
            continue
        yield judged, kind
    after(asking)


def _causes_first(judged: Iterable[Judged], dues: Sequence[Due]) -> Iterator[Judged]:
    """Each as it comes, but a rule that is quiet while others fire only after those of them that are due too."""
    open_ones, held = {each.rule.id for each in dues}, list[Judged]()
    for each in judged:
        held.append(each)
        while ready := next((one for one in held if not open_ones.intersection(one.due.rule.quiet_while)), None):
            held.remove(ready)
            open_ones.discard(ready.due.rule.id)
            yield ready
    yield from held  # whoever they wait for was not judged


def know(database: Database, dues: Sequence[Due]) -> dict[str, Known]:
    """What the store knows of the due rules before anything is asked; by rule."""
    with database.read() as transaction:
        memory = history.recall(transaction, ((each.rule, each.at - each.rule.delay) for each in dues))
        alive = ledger.alive(transaction, [each.rule.id for each in dues if each.rule.single])
    return {each.rule.id: Known(memory.get(each.rule.id, {}), alive.get(each.rule.id, frozenset())) for each in dues}


def wanted(dues: Sequence[Due], urgency: Urgency | None = None, known: Mapping[str, Known] | None = None) -> list[Wanted]:
    """What the due rules want to know. `urgency` is their place in the queue; by default that of each rule."""
    known = known or {}
    return [
        Wanted(each.rule, each.at, urgency, frozenset(known[each.rule.id].memory) if each.rule.id in known else frozenset())
        for each in dues
    ]


def judge_all(asking: Asking, dues: Sequence[Due], known: Mapping[str, Known] | None = None) -> Iterator[Judged]:
    """Judge each due rule as soon as its answers are there. Without `known`, every single conversation gets its verdict."""
    by_rule = {each.rule.id: each for each in dues}
    for rule, answers in asking.answers():
        found = _judge(by_rule[rule], answers, (known or {}).get(rule, Known()))
        yield Judged(by_rule[rule], found.verdicts, found.measured)


def settle(transaction: sa.Connection, judged: Judged, book: Rulebook, now: Instant) -> Kind | None:
    """Move the rule's alerts by its verdicts and write all that follows: alerts, incident, notice, deliveries, history."""
    rule, as_of = judged.due.rule, judged.due.at - judged.due.rule.delay
    before = ledger.load_checked(transaction, rule.id).get(rule.id)
    moves = {} if rule.report else _moves(transaction, rule, judged, before)
    told = _report(transaction, judged, book, now) if rule.report else _tell(transaction, judged, moves, book, now)
    ledger.save_alerts(transaction, list(moves.values()))
    history.remember(transaction, rule, _remembered(judged, moves))
    ledger.record(transaction, _records(judged, moves, told, book))
    ledger.save_checked(transaction, _checked(judged, before, as_of))
    return told.outcome.kind


def retire(transaction: sa.Connection, book: Rulebook, now: Instant) -> list[str]:
    """Forget rules that the rulebook no longer has; an incident that is still open ends and says why."""
    gone = sorted(ledger.known_rules(transaction) - set(book.rules))
    for rule in gone:
        close_removed(transaction, rule, book, at=now, now=now)
        ledger.forget_alerts(transaction, rule)
    return gone


def _judge(due: Due, answers: Answers, known: Known) -> Judgement:
    as_of = due.at - due.rule.delay
    if isinstance(answers.problem, AlertdError):
        return failed(due.rule, answers.needs, answers.problem, as_of)
    try:
        return judge(due.rule, answers.needs, answers.table, as_of, known)
    except Exception:  # noqa: BLE001 - one rule's arithmetic must not stop the others (I7)
        _log.exception("rule not judged", rule=due.rule.id)
        problem = AlertdError("alertd made a mistake judging this rule; its log has the details")
        return failed(due.rule, answers.needs, problem, as_of)


def _remembered(judged: Judged, moves: Mapping[str, Transition]) -> Memory:
    """What was measured, with the note which alerts fired: an incident is no measure of what is usual."""
    own = judged.due.rule.window_at(judged.due.at - judged.due.rule.delay)
    fired = {key for key, move in moves.items() if move.after.fires}
    return {
        window: {key: replace(each, fired=window == own and key in fired) for key, each in figures.items()}
        for window, figures in judged.measured.items()
    }


def _moves(transaction: sa.Connection, rule: Rule, judged: Judged, before: Checked | None) -> dict[str, Transition]:
    """Every alert of the rule after this check, by group: those that were there, and those that verdicts start."""
    stored = {alert.group.key: alert for alert in ledger.load_alerts(transaction, rule.id)}
    if judged.failed:
        return {key: Transition(alert, alert, Change.KEPT) for key, alert in stored.items()}
    anew = before is not None and before.question != rule.question
    alerts = {key: restart(alert) if anew else alert for key, alert in stored.items()}
    verdicts = {verdict.group.key: verdict for verdict in judged.verdicts if verdict.group.by == rule.by}
    as_of = judged.due.at - rule.delay
    moves = {key: step_absent(alert, rule, as_of) for key, alert in alerts.items() if key not in verdicts}
    for key, verdict in verdicts.items():
        moves[key] = step(alerts.get(key, Alert(rule.id, verdict.group)), verdict, rule)
    return {key: replace(move, before=stored.get(key, move.before)) for key, move in moves.items()}


@dataclass(frozen=True)
class _Told:
    """What people were told after a check, and of which firing groups they were not, by key and with the reason."""

    outcome: Outcome = field(default_factory=Outcome)
    muted: Mapping[str, str] = field(default_factory=dict)


def _tell(transaction: sa.Connection, judged: Judged, moves: Mapping[str, Transition], book: Rulebook, now: Instant) -> _Told:
    """Write what the moved alerts mean for the incident and its receivers; without evidence, nothing (I3)."""
    rule, as_of = judged.due.rule, judged.due.at - judged.due.rule.delay
    if judged.failed:
        return _Told()
    muted = mutes(transaction, rule, (move.after for move in moves.values() if move.after.fires), now)
    return _Told(record(transaction, rule, list(moves.values()), book, at=as_of, now=now, mutes=muted), muted)


def _report(transaction: sa.Connection, judged: Judged, book: Rulebook, now: Instant) -> _Told:
    """Write a report, with or without evidence. What a rule left behind that was none before is ended first."""
    rule, as_of = judged.due.rule, judged.due.at - judged.due.rule.delay
    close_removed(transaction, rule.id, book, at=as_of, now=now, reason="the rule has become a report")
    ledger.forget_alerts(transaction, rule.id)
    return _Told(report(transaction, rule, judged.verdicts, book, at=as_of, now=now))


def _records(judged: Judged, moves: Mapping[str, Transition], told: _Told, book: Rulebook) -> Iterator[Record]:
    """Decision records: one for each verdict, and for each alert that ended without one.

    Of single conversations only those that are or were over the limit.
    """
    single, outcome, revision = judged.due.rule.single, told.outcome, book.revision
    for verdict in judged.verdicts:
        move = moves.get(verdict.group.key)
        if move is None:
            change = Change.QUIET if judged.due.rule.report and not judged.failed else Change.KEPT
            yield Record(verdict, State.INACTIVE, change, outcome.kind, revision, outcome.untold if not moves else None)
        elif not single or {move.before.state, move.after.state} != {State.INACTIVE}:
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
    return Verdict(judged.due.rule.id, move.after.group, Evidence.NO_DATA, None, None, 0, 0, window, as_of, reason)


def _checked(judged: Judged, before: Checked | None, as_of: Instant) -> Checked:
    rule, evidence = judged.due.rule, judged.evidence
    # What was measured before stays comparable with the old question until the new one has been answered.
    question = before.question if before and judged.failed else rule.question
    since = before.failing_since if before and before.failing_since is not None else as_of
    telling = [each for each in judged.verdicts if each.evidence is evidence]
    reason = max(telling, key=lambda each: each.level.rank if each.level else 0).reason if telling else "no group"
    missed = (before.missed if before else 0) + judged.due.missed
    return Checked(rule.id, judged.due.at, as_of, question, evidence, reason, missed, since if judged.failed else None)
