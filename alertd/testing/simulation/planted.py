"""Bugs to be planted, one at a time: each a small change of behaviour that the simulation must catch.

Most are a part with one method changed; some replace a function for the length of a run.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import Any

import sqlalchemy as sa

from alertd.channels.base import Message, Receipt
from alertd.clock import Duration, Instant
from alertd.engine import Claimed
from alertd.errors import DeliveryError
from alertd.evaluation import machine, schedule, settling, tick
from alertd.evaluation.judging import Judgement
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged
from alertd.facts import Alert, Change, Evidence, Kind, Transition, Verdict
from alertd.notices import builtin, claiming, recording
from alertd.notices.claiming import Batch, Claim
from alertd.notices.delivery import Delivery
from alertd.notices.incidents import Decision
from alertd.notices.outbox import Outbox
from alertd.planning import asking
from alertd.planning.cutting import Cutter
from alertd.planning.needs import Need
from alertd.reloading import Loaded, Rejected
from alertd.reporting.budget import MINUTE, Budget, Slot
from alertd.reporting.table import Table
from alertd.rulebook.rule import Receiver, Rule
from alertd.store.tables import deliveries, slots
from alertd.testing.simulation.process import Process
from alertd.testing.simulation.seams import Seams


@dataclass(frozen=True)
class Bug:
    """A bug, in words, with the invariant that has to catch it."""

    name: str
    invariant: str
    seams: Seams


@contextmanager
def _replaced(module: ModuleType | type, name: str, by: Any) -> Iterator[None]:
    """Another function of that name for the length of the block. `by` is given the real one first."""
    real = getattr(module, name)
    setattr(module, name, partial(by, real) if isinstance(module, ModuleType) else by)
    try:
        yield
    finally:
        setattr(module, name, real)


def _changed(module: ModuleType | type, name: str, by: Callable[..., Any]) -> Seams:
    return Seams(around=lambda: _replaced(module, name, by))


# The budget.


class Forgetful(Budget):
    """Borrows and never gives back."""

    def give_back(self, slot: Slot, *, answered: bool = True, used: bool = True) -> None:
        """Nothing."""


class StampsAtSending(Budget):
    """A slot is free a minute after its call was sent, whenever that arrived."""

    def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
        slot = super().borrow(patience, background=background)
        if isinstance(slot, Slot):
            with self._writing() as (transaction, reading):
                values = {"free_at": reading.now + MINUTE}
                transaction.execute(sa.update(slots).where(slots.c.loan == slot.loan).values(values))
        return slot

    def give_back(self, slot: Slot, *, answered: bool = True, used: bool = True) -> None:
        if not used:
            super().give_back(slot, answered=answered, used=used)


# The outbox.


class MarksBeforeSending(Outbox):
    """A message counts as sent before it is."""

    def _attempt(self, batch: Batch, receiver: Receiver | None) -> Receipt | DeliveryError:
        self._mark(batch, "sent")
        result = super()._attempt(batch, receiver)
        if not isinstance(result, DeliveryError):  # the rest is written as ever
            self._mark(batch, "sending")
        return result

    def _mark(self, batch: Batch, state: str) -> None:
        with self.database.write() as transaction:
            mine = sa.update(deliveries).where(deliveries.c.lease == batch.lease)
            transaction.execute(mine.values(state=state))


class LosesTheThread(Outbox):
    """Each message begins a thread of its own."""

    def _thread(self, delivery: Delivery) -> Receipt | None:
        del delivery
        return None


class RepeatsWithANewKey(Outbox):
    """A second attempt is another message to its receiver."""

    def _message(self, batch: Batch, delivery: Delivery, *rest: Any) -> Message:
        message = super()._message(batch, delivery, *rest)
        return replace(message, key=str(uuid.uuid4())) if delivery.attempts > 1 else message


class MarksMoreThanItTold(Outbox):
    """A digest tells the first of its stories, and all count as told."""

    def _digest(self, batch: Batch, key: str, receiver: Receiver) -> Message:
        return super()._digest(replace(batch, deliveries=batch.stories()[0]), key, receiver)


class ForgetsThatItMayHaveArrived(Outbox):
    """What a killed process was sending is sent again as if for the first time."""

    def recover(self) -> int:
        back = sa.update(deliveries).where(deliveries.c.state == "sending").values(state="queued", lease=None, lease_until=None)
        with self.database.write() as transaction:
            return transaction.execute(back).rowcount


class NeverRecovers(Outbox):
    """What a killed process was sending is lost."""

    def recover(self) -> int:
        with self.database.write() as transaction:
            lost = sa.delete(deliveries).where(deliveries.c.state == "sending")
            return transaction.execute(lost).rowcount


def _out_of_order(real: Callable[[Claim], sa.Select[Any]], terms: Claim) -> sa.Select[Any]:
    """What came last goes first, whatever is before it in its story."""
    del real
    waits = (deliveries.c.state == "queued") & (deliveries.c.due_at <= terms.now) & deliveries.c.via.not_in(list(terms.resting))
    return claiming._SELECT.where(waits).order_by(deliveries.c.id.desc()).limit(1)  # noqa: SLF001 - a bug needs no manners


# What is told.


def _nobody_hears_the_end(real: Callable[..., Mapping[str, Kind]], kind: Kind, *rest: Any) -> Mapping[str, Kind]:
    return {} if kind is Kind.RESOLVED else real(kind, *rest)


def _number_again(real: Callable[..., Decision], rule: Rule, last: Any, *rest: Any) -> Decision:
    found = real(rule, last, *rest)
    if last and found.kind is Kind.OPENED and found.incident:
        return replace(found, incident=replace(found.incident, id=last.id))
    return found


def _acknowledgement_lost(real: Callable[..., Decision], *args: Any) -> Decision:
    found = real(*args)
    if found.incident is None:
        return found
    return replace(found, incident=replace(found.incident, acknowledged_by=None, acknowledged_at=None))


def _no_silence(_real: object, *_: object) -> dict[str, str]:
    return {}


def _says_nothing(_real: object, *_: object) -> dict[str, str]:
    return {"plain": "something happened"}


# Judging.


def _recovers_by_itself(real: Callable[..., Transition], alert: Alert, verdict: Verdict, rule: Rule) -> Transition:
    if verdict.evidence is not Evidence.ERROR:
        return real(alert, verdict, rule)
    return Transition(alert, Alert(alert.rule, alert.group), Change.RECOVERED)


@contextmanager
def _error_is_good_news() -> Iterator[None]:
    failed = property(lambda _judged: False)
    with _replaced(settling, "step", _recovers_by_itself), _replaced(Judged, "failed", failed):
        yield


@contextmanager
def _overtaking() -> Iterator[None]:
    with _replaced(claiming, "_ready", _out_of_order), _replaced(claiming, "_together", _by_itself):
        yield


def _by_itself(_real: object, _transaction: object, head: sa.Row[Any], _terms: object) -> tuple[Sequence[sa.Row[Any]], None]:
    return [head], None


def _downtime_counts(_real: object, alert: Alert, _rule: Rule, as_of: Instant) -> Duration:
    return 0 if alert.judged_at is None else max(0, as_of - alert.judged_at)


def _errors_stop_the_clock(_real: object, alert: Alert, rule: Rule, as_of: Instant) -> Duration:
    """Only an evaluation right after the last one counts."""
    passed = 0 if alert.judged_at is None else as_of - alert.judged_at
    return passed if passed <= rule.every else 0


def _some_groups(real: Callable[..., Judgement], *args: Any) -> Judgement:
    found = real(*args)
    return replace(found, verdicts=found.verdicts[:4])


def _whole_table(self: Cutter, need: Need, **_: Any) -> Table:
    """Whatever the shared request has brought."""
    del need
    return self.table


def _refused_for_all(_real: object, *_: object) -> Iterator[Any]:
    return iter(())


def _waits_for_the_old_hour(
    real: Callable[..., Due | None], rule: Rule, last: Instant | None, started: Instant, now: Instant
) -> Due | None:
    ahead = (started if last is None else last) > now
    return None if ahead else real(rule, last, started, now)


def _nothing_is_left_behind(_real: object, *_: object, **__: object) -> bool:
    return False


class ChecksTwice(Process):
    """Forgets at once what it has claimed."""

    def claim(self) -> Claimed:
        before = dict(self._last_due)
        claimed = super().claim()
        self._last_due = before
        return claimed


class MissesNothing(Process):
    """Does not count what was missed."""

    def claim(self) -> Claimed:
        claimed = super().claim()
        return replace(claimed, dues=tuple(replace(each, missed=0) for each in claimed.dues))


class ForgetsTimers(Process):
    """A reload begins all timers anew."""

    def take(self, loaded: Loaded) -> None:
        super().take(loaded)
        with self._database.write() as transaction:
            transaction.execute(sa.text("UPDATE alerts SET held = 0"))


class StopsAtWrongFiles(Process):
    """Wrong rule files end all rules."""

    def _rejected(self, rejected: Rejected) -> None:
        super()._rejected(rejected)
        self.book = replace(self.book, rules={})


class NobodyHearsThatTheyAreGood(Process):
    """Who was told that rule files are wrong is left with that."""

    def _mended(self) -> None:
        """Nothing."""


class ForgetsWhatWasNotTaken(Process):
    """A check whose result the store refused counts as done."""

    def _let_go(self, unsettled: AbstractSet[str], again: Mapping[str, Instant | None]) -> None:
        del again
        super()._let_go(unsettled, {})


BUGS: Sequence[Bug] = (
    Bug("a slot is not given back", "I1", Seams(budget=Forgetful)),
    Bug("a slot is stamped when its call is sent", "I1", Seams(budget=StampsAtSending)),
    Bug("a shared answer is not cut", "I2", _changed(Cutter, "cut", _whole_table)),
    Bug("a group past the limit is dropped", "I2", _changed(tick, "judge", _some_groups)),
    Bug("an error resolves", "I3", Seams(around=_error_is_good_news)),
    Bug("the thread is lost", "I4", Seams(outbox=LosesTheThread)),
    Bug("an incident's number is used again", "I4", _changed(recording, "decide", _number_again)),
    Bug("nobody hears the end", "I4", _changed(recording, "recipients", _nobody_hears_the_end)),
    Bug("a later message overtakes", "I4", Seams(around=_overtaking)),
    Bug("an acknowledgement is lost", "I4", _changed(recording, "decide", _acknowledgement_lost)),
    Bug("a silence silences nothing", "I4", _changed(settling, "mutes", _no_silence)),
    Bug("a message is marked before it is sent", "I5", Seams(outbox=MarksBeforeSending)),
    Bug("a repeat has a new key", "I5", Seams(outbox=RepeatsWithANewKey)),
    Bug("what a killed process was sending is lost", "I5", Seams(outbox=NeverRecovers)),
    Bug("a repeat does not say so", "I5", Seams(outbox=ForgetsThatItMayHaveArrived)),
    Bug("a digest marks more than it told", "I5", Seams(outbox=MarksMoreThanItTold)),
    Bug("what a removed rule leaves behind stays open", "I5", _changed(tick, "close_removed", _nothing_is_left_behind)),
    Bug("downtime counts towards `for`", "I6", _changed(machine, "_passed", _downtime_counts)),
    Bug("an error begins `for` anew", "I6", _changed(machine, "_passed", _errors_stop_the_clock)),
    Bug("one refused query costs all that share it", "I7", _changed(asking, "_apart", _refused_for_all)),
    Bug("a reload resets timers", "I8", Seams(process=ForgetsTimers)),
    Bug("wrong rule files end the rules", "I8", Seams(process=StopsAtWrongFiles)),
    Bug("nobody hears that rule files are good again", "I8", Seams(process=NobodyHearsThatTheyAreGood)),
    Bug("a check that the store refused is forgotten", "I10", Seams(process=ForgetsWhatWasNotTaken)),
    Bug("a broken template says nothing", "I11", _changed(builtin, "parts", _says_nothing)),
    Bug("an instant is run twice", "I10", Seams(process=ChecksTwice)),
    Bug("missed instants are not counted", "I10", Seams(process=MissesNothing)),
    Bug("a clock set back stops the rules", "I10", _changed(schedule, "due", _waits_for_the_old_hour)),
)
