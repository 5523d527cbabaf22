"""The tick: everything due at one instant, planned together, judged as the answers come, each rule settled in one transaction.

Rules that one answer serves share theirs: to commit costs more than all that a quiet rule has to write.

Read from top to bottom: `tick` is the way of a fact from "what is due?" to rows in the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa
import structlog

from alertd.clock import Instant
from alertd.errors import AlertdError, StoreDown, StoreError
from alertd.evaluation import history, ledger
from alertd.evaluation.history import Memory
from alertd.evaluation.judging import Judgement, Known, failed, judge
from alertd.evaluation.ledger import Record
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged, settle_all
from alertd.facts import Alert, Change, Evidence, Kind, State, Verdict, Window
from alertd.notices.recording import close_removed
from alertd.planning.asking import Answers, Asking
from alertd.planning.demand import Urgency, Wanted
from alertd.planning.fetching import Source
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database

_log = structlog.get_logger()

# What is settled in one transaction at most. The store is locked meanwhile, and calls are waiting for their slots.
_CHECKS, _VERDICTS = 50, 500


def tick(
    dues: Sequence[Due],
    book: Rulebook,
    source: Source,
    database: Database,
    now: Callable[[], Instant],
    *,
    after: Callable[[Asking], None] = lambda _asking: None,
    unsettled: Callable[[Judged, Exception], None] = lambda _judged, _problem: None,
) -> Iterator[tuple[Judged, Kind | None]]:
    """Check all due rules. Yields each as it is settled, with the kind of notice that came of it.

    A rule whose settling fails is logged, costs only itself, and is given to `unsettled` with the reason. `after` is called at
    the end with all that was asked.
    """
    known = know(database, dues)
    asking = Asking(source, wanted(dues, known=known))
    for ready in _causes_first(_judged_together(asking, dues, known), dues):
        for few in _few(ready):
            yield from _settle_together(database, few, book, now, unsettled)
    after(asking)


def _causes_first(batches: Iterable[Sequence[Judged]], dues: Sequence[Due]) -> Iterator[list[Judged]]:
    """Each as it comes, but a rule that is quiet while others fire only after those of them that are due too."""
    waited_for, held = {each.rule.id for each in dues}, list[Judged]()
    for batch in batches:
        held, ready = [*held, *batch], list[Judged]()
        while fresh := [each for each in held if not waited_for.intersection(each.due.rule.quiet_while)]:
            ready += fresh
            waited_for -= {each.due.rule.id for each in fresh}
            held = [each for each in held if each.due.rule.id in waited_for]
        yield ready
    for each in held:  # whoever it waits for was not judged, or waits for it: then who comes first is told
        yield [each]


def _few(judged: Iterable[Judged]) -> Iterator[list[Judged]]:
    """The same, as many at once as are settled in one transaction."""
    few, verdicts = list[Judged](), 0
    for each in judged:
        if few and (len(few) == _CHECKS or verdicts + len(each.verdicts) > _VERDICTS):
            yield few
            few, verdicts = [], 0
        few.append(each)
        verdicts += len(each.verdicts)
    if few:
        yield few


def _settle_together(
    database: Database,
    checks: Sequence[Judged],
    book: Rulebook,
    now: Callable[[], Instant],
    unsettled: Callable[[Judged, Exception], None],
) -> list[tuple[Judged, Kind | None]]:
    """Settle checks in one transaction. If one of them breaks it, in halves, until that one is alone: it costs only itself."""
    settling = False
    try:
        with database.write() as transaction:
            settling = True
            kinds = settle_all(transaction, checks, book, now())
            settling = False
    except Exception as problem:  # noqa: BLE001 - one rule must not stop the others (I7)
        if settling and len(checks) > 1:
            middle = len(checks) // 2
            halves = (checks[:middle], checks[middle:])
            return [done for half in halves for done in _settle_together(database, half, book, now, unsettled)]
        for each in checks:
            _log_unsettled(each, problem)
            unsettled(each, problem)
        return []
    return list(zip(checks, kinds, strict=True))


def _log_unsettled(judged: Judged, problem: Exception) -> None:
    if isinstance(problem, StoreDown):
        return  # the daemon says so, once for all rules
    if isinstance(problem, StoreError):
        _log.error("rule not settled", rule=judged.rule.id, error=str(problem))
    else:
        _log.error("rule not settled", rule=judged.rule.id, exc_info=problem)


def know(database: Database, dues: Sequence[Due]) -> dict[str, Known]:
    """What the store knows of the due rules before anything is asked; by rule."""
    memory, alive = dict[str, Memory](), dict[str, frozenset[int]]()
    looking_back = [(each.rule, each.at - each.rule.delay) for each in dues if history.looks_back(each.rule)]
    single = [each.rule.id for each in dues if each.rule.single]
    if looking_back or single:
        with database.read() as transaction:
            memory, alive = history.recall(transaction, looking_back), ledger.alive(transaction, single)
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
    for batch in _judged_together(asking, dues, known or {}):
        yield from batch


def _judged_together(asking: Asking, dues: Sequence[Due], known: Mapping[str, Known]) -> Iterator[list[Judged]]:
    """The same, a few at a time of those that one answer was the last for. Nobody waits for another answer."""
    by_rule = {each.rule.id: each for each in dues}
    for served in asking.together():
        for start in range(0, len(served), _CHECKS):
            few = served[start : start + _CHECKS]
            yield [_judge(by_rule[rule], answers, known.get(rule, Known())) for rule, answers in few]


def retire(transaction: sa.Connection, book: Rulebook, now: Instant) -> list[str]:
    """Forget rules that the rulebook no longer has; an incident that is still open ends and says why."""
    gone = sorted(ledger.known_rules(transaction) - set(book.rules))
    for rule in gone:
        close_removed(transaction, rule, book, at=now, now=now)
        ledger.record(transaction, (_removed(alert, now, book) for alert in ledger.load_alerts(transaction, rule)))
        ledger.forget_alerts(transaction, rule)
    return gone


def _removed(alert: Alert, now: Instant, book: Rulebook) -> Record:
    reason = Change.REMOVED.value
    verdict = Verdict(alert.rule, alert.group, Evidence.NO_DATA, None, None, 0, 0, Window(now, now), now, reason)
    return Record(verdict, State.INACTIVE, Change.REMOVED, None, book.revision)


def _judge(due: Due, answers: Answers, known: Known) -> Judged:
    found = _judgement(due, answers, known)
    return Judged(due, found.verdicts, found.measured)


def _judgement(due: Due, answers: Answers, known: Known) -> Judgement:
    as_of = due.at - due.rule.delay
    if isinstance(answers.problem, AlertdError):
        return failed(due.rule, answers.needs, answers.problem, as_of)
    try:
        return judge(due.rule, answers.needs, answers.table, as_of, known)
    except Exception:  # noqa: BLE001 - one rule's arithmetic must not stop the others (I7)
        _log.exception("rule not judged", rule=due.rule.id)
        problem = AlertdError("alertd made a mistake judging this rule; its log has the details")
        return failed(due.rule, answers.needs, problem, as_of)
