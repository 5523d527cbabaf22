"""The budget: at most so many calls arrive at the API in any 60 seconds, over all processes that share the store (I1).

A call borrows a slot, a row of the store, and gives it back 60 s after its answer came. Each call that arrives within some
60 s holds a slot until that minute is over, so as many slots as are in use at its end have arrived in it, and no more slots
than the limit are ever in use. Stamping a slot when the call is sent would not do: what counts is when calls arrive.

All times here are those of the store's meter: a clock that nobody sets, with the boot it counts from. On SQLite that is
`Clock.uptime`, on PostgreSQL the server's time, guarded against jumps as far as `alertd.store.meter` says. `Slot.send_before`
alone is always the uptime of the machine that sends.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from alertd.clock import SECOND, Clock, Duration
from alertd.store.database import Database
from alertd.store.meter import Meter, Reading, meter_of
from alertd.store.tables import claims, refusals, slots

_log = structlog.get_logger()

MINUTE = 60 * SECOND

# A request does not travel for longer than this after its sender has given up: the one assumption of I1.
TRAVEL = 30 * SECOND

# One slot comes back into use this often after a 429 took it out.
_RETURN_EVERY = 60 * SECOND


# Statements are put together once: that takes SQLAlchemy longer than running them.
_AT = sa.bindparam("now", type_=sa.BigInteger)
_BOOT = sa.bindparam("boot", type_=sa.String)
_SLOTS = sa.select(sa.func.count(slots.c.id))
_IN_USE = _SLOTS.where((slots.c.free_at > _AT) | (slots.c.boot != _BOOT))
_CLAIMED = sa.select(claims.c.calls).where((claims.c.boot == _BOOT) & (claims.c.until > _AT))
_LEARNT = [
    sa.select(column).where(refusals.c.boot == _BOOT).scalar_subquery().label(column.name)
    for column in (refusals.c.withheld, refusals.c.withheld_at, refusals.c.blocked_until)
]
# All that there is to know in one statement: a server may be far away, and everybody waits for whoever has the lock.
_STATE, _STATE_AFTER_JUMP = (
    sa.select(used.scalar_subquery().label("in_use"), _CLAIMED.scalar_subquery().label("claimed"), *_LEARNT)
    for used in (_IN_USE, _SLOTS)
)
_OVER = sa.delete(refusals)
_NEXT_FREE = sa.select(sa.func.min(slots.c.free_at)).where(slots.c.free_at > _AT)
_LEND = sa.update(slots).where(slots.c.id == sa.select(slots.c.id).where(slots.c.free_at <= _AT).limit(1).scalar_subquery())
_NEW = sa.insert(slots)
_RETURN = sa.update(slots).where(slots.c.loan == sa.bindparam("of"))


@dataclass(frozen=True)
class Slot:
    """The permission for one call, to be sent before `send_before` (uptime)."""

    loan: str
    send_before: Duration


@dataclass(frozen=True)
class BudgetState:
    """What the budget looks like at a moment, for `status`, `/metrics` and forecasts."""

    calls_per_minute: int
    reserve: int
    in_use: int
    withheld: int
    blocked_for: Duration
    claimed: int = 0  # calls that background work leaves to rules that may be due

    @property
    def free(self) -> int:
        """Calls that could be made at once."""
        return 0 if self.blocked_for else max(0, self.calls_per_minute - self.reserve - self.withheld - self.in_use)


class Budget:
    """Slots in the store. `reserve` calls a minute are left to others who hold the same token."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        calls_per_minute: int = 60,
        reserve: int = 6,
        meter: Meter | None = None,
    ) -> None:
        self._database = database
        self._limit = calls_per_minute
        self._reserve = reserve
        self._meter = meter or meter_of(database, clock)
        self._minute = MINUTE + self._meter.slack
        self._carried: str | None = None  # the boot for which old times have been dealt with

    @property
    def usable(self) -> int:
        """Calls a minute that are ours while the API refuses none."""
        return self._limit - self._reserve

    def borrow(self, patience: Duration, *, background: bool = False) -> Slot | Duration:
        """Borrow a slot for a call that is given up after `patience`; if none is free, how long until one may be.

        What is written first is the latest possible return: a process that is killed returns its slots by itself. Background
        work leaves as many slots as the daemon has claimed for its critical rules.
        """
        with self._writing() as (transaction, reading):
            state = self._look(transaction, reading)
            if state.free <= (state.claimed if background else 0):
                return self._wait(transaction, state, reading.now)
            loan = uuid.uuid4().hex
            self._lend(transaction, loan, reading, 2 * patience + TRAVEL + self._minute)
            return Slot(loan, reading.uptime + patience)

    def give_back(self, slot: Slot, *, answered: bool = True, used: bool = True) -> None:
        """Return a slot: at once if nothing was sent on it, in 60 s after an answer, `TRAVEL` later if none came."""
        with self._writing() as (transaction, reading):
            rest = self._minute + (0 if answered else TRAVEL) if used else 0
            transaction.execute(_RETURN, {"of": slot.loan, "free_at": reading.now + rest})

    def refused(self, retry_after: Duration | None) -> None:
        """Learn from a 429: nothing is sent for `retry_after` (or 60 s), and half of the slots stay out of use for a while."""
        with self._writing() as (transaction, reading):
            state = self._look(transaction, reading)
            usable = self._limit - self._reserve - state.withheld
            block = max(MINUTE if retry_after is None else retry_after, state.blocked_for)
            transaction.execute(sa.delete(refusals))
            # Calls that were under way when the first one was refused say nothing new: the block grows, not the loss.
            withheld = state.withheld + (0 if state.blocked_for else usable // 2)
            row = {"id": 1, "boot": reading.boot, "withheld": withheld}
            until = reading.now + block
            transaction.execute(sa.insert(refusals).values(row | {"blocked_until": until, "withheld_at": until}))

    def claim(self, calls: int, lasts: Duration) -> None:
        """Keep that many calls from background work of all processes, for so long: what critical rules need in a minute."""
        with self._writing() as (transaction, reading):
            transaction.execute(sa.delete(claims))
            row = {"id": 1, "boot": reading.boot, "calls": calls, "until": reading.now + lasts}
            transaction.execute(sa.insert(claims).values(row))

    def count_all(self) -> None:
        """Count every call as just made: how many were is not known, because the store that knew is lost."""
        with self._writing() as (transaction, reading):
            row = {"boot": reading.boot, "free_at": reading.now + self._minute + TRAVEL, "loan": ""}
            transaction.execute(_NEW, [row] * self._limit)

    def state(self) -> BudgetState:
        """Look without changing anything."""
        with self._database.read() as transaction:
            return self._look(transaction, self._meter.read(transaction))

    @contextmanager
    def _writing(self) -> Iterator[tuple[sa.Connection, Reading]]:
        """A transaction with the time, read under the lock, so that no process sees an older one than the one before it."""
        with self._database.write() as transaction:
            reading = self._meter.read(transaction)
            if reading.jumped:
                _log.warning("the clock of the database's server was set, all calls wait as if they had just been made")
            if reading.jumped or reading.boot != self._carried:
                _carry_over(transaction, reading, self._minute)
            yield transaction, reading
        self._carried = reading.boot  # only now has it been written

    def _look(self, transaction: sa.Connection, reading: Reading) -> BudgetState:
        now, boot = reading.now, reading.boot
        # Who only looks sees what the next one to write will make of a jump.
        unsure = reading.jumped and transaction.get_execution_options().get("reads", False)
        row = transaction.execute(_STATE_AFTER_JUMP if unsure else _STATE, {"now": now, "boot": boot}).one()
        withheld, blocked_for = 0, 0
        if row.withheld is not None:
            returned = max(0, now - row.withheld_at) // _RETURN_EVERY
            most = max(0, self._limit - self._reserve - 1)  # one call a minute finds out whether it is over
            withheld, blocked_for = max(0, min(row.withheld, most) - returned), max(0, row.blocked_until - now)
            over = returned >= row.withheld and not blocked_for
            if over and not transaction.get_execution_options().get("reads", False):
                transaction.execute(_OVER)  # after the next boot nobody would know that it has been over for long
        return BudgetState(self._limit, self._reserve, row.in_use, withheld, blocked_for, row.claimed or 0)

    def _wait(self, transaction: sa.Connection, state: BudgetState, now: Duration) -> Duration:
        """How long until the next slot may be free: at least a millisecond, at most a second, then look again."""
        next_free = transaction.scalar(_NEXT_FREE, {"now": now})
        until_free = state.blocked_for or (next_free - now if next_free else SECOND)
        return max(1, min(until_free, SECOND))

    def _lend(self, transaction: sa.Connection, loan: str, reading: Reading, lasts: Duration) -> None:
        values = {"boot": reading.boot, "free_at": reading.now + lasts, "loan": loan}
        if not transaction.execute(_LEND, values | {"now": reading.now}).rowcount:  # none is free: there are more to be had
            transaction.execute(_NEW, values)


def _carry_over(transaction: sa.Connection, reading: Reading, minute: Duration) -> None:
    """After a new boot or a jump old times mean nothing: every slot starts used, a block starts anew, a claim is over."""
    now, boot = reading.now, reading.boot
    used, blocked = {"free_at": now + minute + TRAVEL}, {"blocked_until": now + MINUTE, "withheld_at": now + MINUTE}
    stale: dict[sa.Table, sa.ColumnElement[bool]] = {
        table: sa.true() if reading.jumped else table.c.boot != boot for table in (slots, refusals, claims)
    }
    transaction.execute(sa.update(slots).where(stale[slots]).values(used | {"boot": boot}))
    transaction.execute(sa.update(refusals).where(stale[refusals]).values(blocked | {"boot": boot}))
    transaction.execute(sa.delete(claims).where(stale[claims]))
