"""The tick: everything due at one instant, planned together, judged as the answers come, each rule settled in one transaction.

Read from top to bottom: `tick` is the way of a fact from "what is due?" to rows in the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa
import structlog

from alertd.clock import Instant
from alertd.errors import AlertdError, StoreError
from alertd.evaluation import ledger
from alertd.evaluation.judging import failed, judge
from alertd.evaluation.ledger import Checked, Record
from alertd.evaluation.machine import restart, step, step_absent
from alertd.evaluation.schedule import Due
from alertd.facts import Alert, Change, Evidence, Kind, State, Transition, Verdict
from alertd.notices import incidents
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
    asking = Asking(source, wanted(dues))
    for judged in judge_all(asking, dues):
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


def wanted(dues: Sequence[Due], urgency: Urgency | None = None) -> list[Wanted]:
    """What the due rules want to know. `urgency` is their place in the queue; by default that of each rule."""
    return [Wanted(each.rule, each.at, urgency) for each in dues]


def judge_all(asking: Asking, dues: Sequence[Due]) -> Iterator[Judged]:
    """Judge each due rule as soon as its answers are there."""
    by_rule = {each.rule.id: each for each in dues}
    for rule, answers in asking.answers():
        yield Judged(by_rule[rule], _judge(by_rule[rule], answers))


def settle(transaction: sa.Connection, judged: Judged, book: Rulebook, now: Instant) -> Kind | None:
    """Move the rule's alerts by its verdicts and write all that follows: alerts, incident, notice, deliveries, history."""
    rule, as_of = judged.due.rule, judged.due.at - judged.due.rule.delay
    before = ledger.load_checked(transaction, rule.id).get(rule.id)
    moves = _moves(transaction, rule, judged, before)
    kind = None if judged.failed else incidents.record(transaction, rule, list(moves.values()), book, at=as_of, now=now)
    ledger.save_alerts(transaction, list(moves.values()))
    ledger.record(transaction, _records(judged, moves, kind, book))
    ledger.save_checked(transaction, _checked(judged, before, as_of))
    return kind


def retire(transaction: sa.Connection, book: Rulebook, now: Instant) -> list[str]:
    """Forget rules that the rulebook no longer has; an incident that is still open ends and says why."""
    gone = sorted(ledger.known_rules(transaction) - set(book.rules))
    for rule in gone:
        incidents.close_removed(transaction, rule, book, at=now, now=now)
        ledger.forget_alerts(transaction, rule)
    return gone


def _judge(due: Due, answers: Answers) -> tuple[Verdict, ...]:
    if isinstance(answers.problem, AlertdError):
        return failed(due.rule, answers.needs, answers.problem)
    try:
        return judge(due.rule, answers.needs, answers.selection(), answers.numerator(), due.at - due.rule.delay)
    except Exception:  # noqa: BLE001 - one rule's arithmetic must not stop the others (I7)
        _log.exception("rule not judged", rule=due.rule.id)
        return failed(due.rule, answers.needs, AlertdError("alertd made a mistake judging this rule; its log has the details"))


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


def _records(judged: Judged, moves: Mapping[str, Transition], kind: Kind | None, book: Rulebook) -> Iterator[Record]:
    """Decision records: one for each verdict, and for each alert that ended without one.

    Of single conversations only those that are or were over the limit.
    """
    single = judged.due.rule.single
    for verdict in judged.verdicts:
        move = moves.get(verdict.group.key)
        if move is None:
            yield Record(verdict, State.INACTIVE, Change.KEPT, kind, book.revision)
        elif not single or {move.before.state, move.after.state} != {State.INACTIVE}:
            yield Record(verdict, move.after.state, move.change, kind, book.revision)
    for move in moves.values():
        if move.change in (Change.LEFT, Change.UNOBSERVED):
            yield Record(_gone(judged, move), move.after.state, move.change, kind, book.revision)


def _gone(judged: Judged, move: Transition) -> Verdict:
    """What a complete answer says of a group that it no longer contains."""
    window, reason = judged.verdicts[0].window, move.change.value
    return Verdict(judged.due.rule.id, move.after.group, Evidence.NO_DATA, None, None, 0, 0, window, reason)


def _checked(judged: Judged, before: Checked | None, as_of: Instant) -> Checked:
    rule, evidence = judged.due.rule, judged.evidence
    # What was measured before stays comparable with the old question until the new one has been answered.
    question = before.question if before and judged.failed else rule.question
    since = before.failing_since if before and before.failing_since is not None else as_of
    telling = [each for each in judged.verdicts if each.evidence is evidence]
    reason = max(telling, key=lambda each: each.level.rank if each.level else 0).reason if telling else "no group"
    missed = (before.missed if before else 0) + judged.due.missed
    return Checked(rule.id, judged.due.at, as_of, question, evidence, reason, missed, since if judged.failed else None)
