"""What the daemon knows about its own parts, for `/readyz` and the log; a trouble is logged when it begins and ends."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import sqlalchemy as sa
import structlog

from alertd.clock import MINUTE, SECOND, Clock, Instant, iso
from alertd.durations import spell_duration
from alertd.errors import StoreError
from alertd.store.database import Database
from alertd.store.tables import deliveries
from alertd.web.health import Check

_log = structlog.get_logger()

# A tick that has not begun this long after its instant will not begin by itself.
_LATE = 30 * SECOND

# A delivery that has waited this long means that sending does not work.
_STUCK = 10 * MINUTE


class Watch:
    """Remembers what each part did last. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: Instant | None = None
        self._last_tick: Instant | None = None
        self._problems: dict[str, int] = {}
        self._judged = 0
        self._reload_error: str | None = None

    def expects(self, at: Instant) -> None:
        """The next tick is due then."""
        with self._lock:
            self._expected = at

    def ticked(self, problems: Mapping[str, int], rules: int) -> None:
        """A tick is over: how many rules it checked, and for how many it got no evidence, by reason."""
        if not rules:
            return
        with self._lock:
            before, self._problems = self._problems, dict(problems)
            self._judged, self._last_tick = rules, self._clock.now()
        for reason in problems.keys() - before.keys():
            _log.warning("rules cannot be judged, nothing changes for them", rules=problems[reason], reason=reason)
        if before and not problems:
            _log.info("all rules are judged again")

    def reload_failed(self, error: str) -> None:
        """The newest rule files were wrong."""
        with self._lock:
            self._reload_error = error

    def reloaded(self) -> None:
        """The newest rule files run."""
        with self._lock:
            self._reload_error = None

    def checks(self, database: Database) -> dict[str, Check]:
        """Every part that can stop, and whether it works."""
        store, delivery = self._store(database)
        with self._lock:
            return {
                "rulebook": self._rulebook(),
                "evaluation": self._evaluation(),
                "source": self._source(),
                "store": store,
                "delivery": delivery,
            }

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
        last = f"last checked {iso(self._last_tick)}, " if self._last_tick is not None else ""
        return Check(ok=True, text=f"{last}next at {iso(self._expected)}")

    def _source(self) -> Check:
        failing = sum(self._problems.values())
        reasons = "; ".join(f"{count} of {self._judged} rules: {reason}" for reason, count in self._problems.items())
        if failing and failing == self._judged:
            return Check(ok=False, text=reasons)
        return Check(ok=True, text=reasons or "every rule got its answer")

    def _store(self, database: Database) -> tuple[Check, Check]:
        queued = deliveries.c.state.in_(("queued", "sending"))
        oldest = sa.select(sa.func.min(deliveries.c.queued_at), sa.func.count()).where(queued)
        try:
            with database.read() as transaction:
                since, count = transaction.execute(oldest).one()
        except StoreError as problem:
            return Check(ok=False, text=str(problem)), Check(ok=False, text="the outbox cannot be read")
        waited = self._clock.now() - since if since is not None else 0
        text = f"{count} to send, the oldest for {spell_duration(waited)}" if count else "nothing to send"
        return Check(ok=True, text="it answers"), Check(ok=waited < _STUCK, text=text)
