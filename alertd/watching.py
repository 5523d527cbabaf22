"""What the daemon knows about its own parts, for `/readyz` and the log; a trouble is logged when it begins and ends."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
import structlog

from alertd.clock import HOUR, MINUTE, SECOND, Clock, Instant, iso
from alertd.durations import spell_duration
from alertd.errors import AlertdError, StoreError
from alertd.notices.letters import given_up
from alertd.store.database import Database
from alertd.store.tables import deliveries
from alertd.web.health import Check

_log = structlog.get_logger()

# A tick that has not begun this long after its instant will not begin by itself.
_LATE = 30 * SECOND

# Messages that reached nobody are a trouble for this long; they stay in `alertd status`.
_RECENT = HOUR

# A delivery that has waited this long means that sending does not work.
_STUCK = 10 * MINUTE

# Calls that failed because of the API itself or of our access to it, whatever was asked.
_DOWN = frozenset({"unauthorised", "unreachable", "refused"})

# Messages that reached nobody, by receiver; not those after which that receiver was sent a later one.
_LATER = sa.alias(deliveries)
_LOST = (
    sa.select(deliveries.c.receiver, sa.func.count(), sa.func.max(deliveries.c.due_at))
    .where((deliveries.c.state == "dead") & ~given_up() & (deliveries.c.due_at > sa.bindparam("since", type_=sa.BigInteger)))
    .where(
        ~sa.exists().where(_LATER.c.receiver == deliveries.c.receiver, _LATER.c.id > deliveries.c.id, _LATER.c.state == "sent")
    )
    .group_by(deliveries.c.receiver)
    .order_by(deliveries.c.receiver)
)
# What a digest has told and only its own message is to be edited for is no trouble.
_QUEUED = sa.select(sa.func.min(deliveries.c.queued_at), sa.func.count()).where(
    deliveries.c.state.in_(("queued", "sending")) & deliveries.c.told_at.is_(None)
)


@dataclass(frozen=True)
class Lacks:
    """What receivers lack at this moment, such as a secret that is not set, and who is told in their place."""

    receivers: Mapping[str, str] = field(default_factory=dict)  # by name, in a sentence
    fallback: str | None = None  # None: there is none that works

    @property
    def texts(self) -> Mapping[str, str]:
        """By name, what is lacking and what becomes of its messages until that is mended."""
        then = f"its messages go to {self.fallback}" if self.fallback else "its messages reach nobody"
        return {name: f"{lack}; until then {then}" for name, lack in self.receivers.items()}

    @property
    def sentences(self) -> list[str]:
        """The same for whoever has not been told what it is about."""
        return [f"{name} cannot be used: {text}" for name, text in self.texts.items()]

    @property
    def silent(self) -> bool:
        """Whether somebody is not told for that."""
        return bool(self.receivers) and self.fallback is None


@dataclass(frozen=True)
class _Outbox:
    """What stands in the outbox: how many are to be sent, the oldest since when, and what of late reached nobody."""

    count: int
    since: Instant | None
    lost: Mapping[str, int]  # by receiver
    until: Instant  # by then it is no longer of late


class Watch:
    """Remembers what each part did last. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: Instant | None = None
        self._last_tick: Instant | None = None
        self._reasons: dict[str, str | None] = {}  # each rule as it was last checked: why there was no evidence, if so
        self._down = False
        self._broken: str | None = None
        self._unsent: str | None = None
        self._reload_error: str | None = None

    def expects(self, at: Instant | None) -> None:
        """The next tick is due then; None where there are no rules."""
        with self._lock:
            self._expected = at

    def called(self, outcome: str) -> None:
        """The API was called, with that outcome."""
        with self._lock:
            self._down = outcome in _DOWN or (self._down and outcome != "ok")

    def ticked(self, settled: Mapping[str, str | None], due: int) -> None:
        """A tick is over that had so many rules due; `settled` says of those it settled why there was no evidence, if so."""
        lost = due - len(settled)
        with self._lock:
            before = self._conditions()
            self._reasons |= settled
            after = self._conditions()
            self._last_tick = self._clock.now()
            self._broken = f"{lost} of {due} rules could not be settled; the log says why" if lost else None
        for condition in after.keys() - before.keys():
            rules, reason = after[condition]
            _log.warning("rules cannot be judged, nothing changes for them", rules=rules, reason=reason)
        if before and not after:
            _log.info("all rules are judged again")

    def broke_off(self, problem: Exception) -> None:
        """A tick ended with a mistake of ours. Call it while the exception is being handled."""
        text = f"the last check broke off ({type(problem).__name__}); the log has the details"
        with self._lock:
            before, self._broken = self._broken, text
        if text != before:
            _log.exception("check broke off")

    def sending_failed(self, problem: Exception) -> None:
        """Nothing could be taken from the outbox. Call it while the exception is being handled."""
        ours = f"alertd made a mistake ({type(problem).__name__}); its log has the details"
        text = str(problem) if isinstance(problem, AlertdError) else ours
        with self._lock:
            before, self._unsent = self._unsent, text
        if text != before:
            _log.error("outbox cannot be read", error=text, exc_info=not isinstance(problem, AlertdError))

    def sending_works(self) -> None:
        """The outbox could be read."""
        with self._lock:
            before, self._unsent = self._unsent, None
        if before:
            _log.info("outbox can be read again")

    def reload_failed(self, error: str) -> None:
        """The newest rule files were wrong."""
        with self._lock:
            self._reload_error = error

    @property
    def newest_rules_run(self) -> bool:
        """Whether the newest rule files were right."""
        with self._lock:
            return self._reload_error is None

    def mended(self) -> None:
        """The rule files are those that run, again."""
        with self._lock:
            self._reload_error = None

    def reloaded(self, rules: Collection[str]) -> None:
        """The newest rule files run; these rules are in them."""
        with self._lock:
            self._reload_error = None
            self._reasons = {rule: reason for rule, reason in self._reasons.items() if rule in rules}

    def checks(self, database: Database, lacks: Lacks = Lacks()) -> dict[str, Check]:
        """Every part that can stop, and whether it works."""
        store, delivery = self._store(database, lacks)
        with self._lock:
            return {
                "rulebook": self._rulebook(),
                "evaluation": self._evaluation(),
                "source": self._source(),
                "store": store,
                "delivery": delivery,
            }

    def _conditions(self) -> dict[str, tuple[int, str]]:
        """Each reason there is, by its words without numbers ("again in 34 s"), with how many rules have it."""
        counts = Counter(reason for reason in self._reasons.values() if reason)
        found: dict[str, tuple[int, str]] = {}
        for reason, count in counts.items():
            words = re.sub(r"\d+", "", reason)
            found[words] = (found[words][0] + count if words in found else count, reason)
        return found

    def _rulebook(self) -> Check:
        if self._reload_error is None:
            return Check(ok=True, text="the newest rule files run")
        return Check(ok=False, text=f"the newest rule files are wrong, the last good ones run: {self._reload_error}")

    def _evaluation(self) -> Check:
        if self._expected is None:
            return Check(ok=True, text="there are no rules")
        late = self._clock.now() - self._expected
        if late > _LATE:
            return Check(ok=False, text=f"rules were to be checked at {iso(self._expected)} and were not; restart alertd")
        if self._broken:
            return Check(ok=False, text=self._broken)
        last = f"last checked {iso(self._last_tick)}, " if self._last_tick is not None else ""
        return Check(ok=True, text=f"{last}next at {iso(self._expected)}")

    def _source(self) -> Check:
        """Not ready when no rule gets evidence, or some do not because of the API itself; one bad rule is not enough (I7)."""
        if not self._reasons:
            return Check(ok=True, text="nothing has been asked yet")
        judged, conditions = len(self._reasons), self._conditions()
        failing = sum(count for count, _ in conditions.values())
        reasons = "; ".join(f"{count} of {judged} rules: {reason}" for count, reason in conditions.values())
        down = failing == judged or (self._down and failing > 0)
        return Check(ok=not down, text=reasons or "every rule got its answer")

    def _store(self, database: Database, lacks: Lacks) -> tuple[Check, Check]:
        try:
            with database.read() as transaction:
                since, count = transaction.execute(_QUEUED).one()
                rows = transaction.execute(_LOST, {"since": self._clock.now() - _RECENT}).all()
        except StoreError as problem:
            return Check(ok=False, text=str(problem)), Check(ok=False, text="the outbox cannot be read")
        until = max((row[2] for row in rows), default=0) + _RECENT
        outbox = _Outbox(count, since, {row.receiver: row[1] for row in rows}, until)
        return Check(ok=True, text="it answers"), self._delivery(outbox, lacks)

    def _delivery(self, outbox: _Outbox, lacks: Lacks) -> Check:
        if self._unsent:
            return Check(ok=False, text=self._unsent)
        now = self._clock.now()
        waited = now - outbox.since if outbox.since is not None else 0
        text = f"{outbox.count} to send, the oldest for {spell_duration(waited)}" if outbox.count else "nothing to send"
        lost = [_lost(outbox, now)] if outbox.lost else []
        ok = waited < _STUCK and not outbox.lost and not lacks.silent
        return Check(ok=ok, text="; ".join([text, *lost, *lacks.sentences]))


def _lost(outbox: _Outbox, now: Instant) -> str:
    """What reached nobody, and when that is no longer a trouble."""
    names, count = " and ".join(outbox.lost), sum(outbox.lost.values())
    return (
        f"{count} of the last hour reached nobody, `alertd status` says why; ready again when that is mended and a later "
        f"message to {names} was sent, or in {spell_duration(min(outbox.until - now, _RECENT))}"
    )
