"""What the daemon knows about its own parts, for `/readyz` and the log; a trouble is logged when it begins and ends."""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import structlog

from alertd.clock import MINUTE, SECOND, Clock, Duration, Instant, iso
from alertd.durations import spell_duration
from alertd.errors import AlertdError, StoreDown, StoreError
from alertd.notices.unsent import look_at
from alertd.planning.forecast import Forecast
from alertd.reporting.budget import BudgetState
from alertd.store.database import Database
from alertd.store.size import size_of
from alertd.watching.saying import RESTART, Lacks, calls_left, delivery, pruning, second
from alertd.web.health import Check

_log = structlog.get_logger()

# A tick that has not begun this long after its instant will not begin by itself.
_LATE = 30 * SECOND

# Calls that failed because of the API itself or of our access to it, whatever was asked.
_DOWN = frozenset({"unauthorised", "unreachable", "refused"})

# A check may last for half of its rule's `every`, which is how long it waits for calls, and this to make them and to settle.
_CHECKING = 3 * MINUTE

# Main thread or scheduler: if one of them does nothing for so long, only a restart mends it.
_WEDGED = 5 * MINUTE

# What has to be heard of again and again, how often at least, and what it means if it is not.
_PULSES: Mapping[str, tuple[Duration, str]] = {
    "reload": (2 * MINUTE, "the rule files were looked at {ago} ago for the last time: the main thread hangs"),
    "clock": (MINUTE, "the clock was looked at {ago} ago for the last time, so a clock that is set goes unnoticed"),
    "observation": (
        4 * MINUTE,
        "alertd looked at itself {ago} ago for the last time, so nobody is told if it gets into trouble",
    ),
}


_NONE = Lacks()


@dataclass(frozen=True)
class _Expected:
    """When the next tick is to begin, on both clocks."""

    at: Instant
    uptime: Duration


@dataclass(frozen=True)
class _Unwritten:
    """Since when the store takes nothing, and what it said last."""

    since: Instant
    error: str
    down: bool = False  # it is down as a whole, which the daemon says


class Watch:
    """Remembers what each part did last. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._expected: _Expected | None = None
        self._checking: dict[str, Duration] = {}  # rules that are being checked, and the uptime at which that takes too long
        self._pulses: dict[str, Duration] = {}
        self._last_tick: Instant | None = None
        self._reasons: dict[str, str | None] = {}  # each rule as it was last checked: why there was no evidence, if so
        self._down = False
        self._broken: str | None = None
        self._unsent: str | None = None
        self._reload_error: str | None = None
        self._forecast: Forecast | None = None
        self._unwritten: _Unwritten | None = None
        self._written_at: Instant | None = None
        self._unpruned: str | None = None
        self._pruned_at: Instant | None = None

    def beats(self, part: str) -> None:
        """A part of `_PULSES` is alive."""
        uptime = self._clock.uptime()
        with self._lock:
            self._pulses[part] = uptime

    def expects(self, at: Instant | None) -> None:
        """The next tick is due then; None where there are no rules."""
        now, uptime = self._clock.now(), self._clock.uptime()
        with self._lock:
            self._expected = _Expected(at, uptime + max(0, at - now)) if at is not None else None

    def begins(self, rules: Mapping[str, Duration]) -> None:
        """These rules are being checked from now on; each with its `every`."""
        uptime = self._clock.uptime()
        with self._lock:
            self._checking |= {rule: uptime + every // 2 + _CHECKING for rule, every in rules.items()}

    def ends(self, rules: Collection[str]) -> None:
        """These are not being checked any more."""
        with self._lock:
            self._checking = {rule: until for rule, until in self._checking.items() if rule not in rules}

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
        if isinstance(problem, StoreDown):  # `wrote` says so, and the daemon's log
            return
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

    def wrote(self, problem: StoreError | None) -> None:
        """Something was written into the store as a trial; `problem` says why it was not."""
        with self._lock:
            before = self._unwritten
            if problem is None:
                self._unwritten, self._written_at = None, self._clock.now()
            else:
                self._unwritten = _Unwritten(
                    before.since if before else self._clock.now(), str(problem), isinstance(problem, StoreDown)
                )
        if isinstance(problem, StoreDown) or (before and before.down):
            return  # the daemon says both
        if problem and not before:
            _log.error("store cannot be written", error=str(problem))
        elif before and not problem:
            _log.info("store can be written again", since=iso(before.since))

    def pruned(self, problem: StoreError | None) -> None:
        """History was pruned; `problem` says why it was not."""
        with self._lock:
            self._unpruned = str(problem) if problem else None
            self._pruned_at = self._pruned_at if problem else self._clock.now()

    def planned(self, found: Forecast) -> None:
        """What the rulebook that runs will ask."""
        with self._lock:
            self._forecast = found

    @property
    def forecast(self) -> Forecast | None:
        """What the rulebook that runs will ask; None before there is one."""
        with self._lock:
            return self._forecast

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

    def checks(
        self, database: Database, lacks: Lacks = _NONE, budget: Callable[[], BudgetState] | None = None
    ) -> dict[str, Check]:
        """Every part that can stop, and whether it works. `budget` looks at the budget; StoreError."""
        store, sending = self._store(database, lacks)
        calls = _look(budget) if budget else None
        with self._lock:
            found = {
                "rulebook": self._rulebook(),
                "evaluation": self._evaluation(),
                "source": self._source(),
                "store": store,
                "delivery": sending,
            }
            if budget:
                found["budget"] = calls_left(calls, self._forecast)
            if pruned := pruning(self._pruned_at, self._unpruned, self._clock.now()):
                found["pruning"] = pruned
            return found | {part: self._pulse(part) for part in self._pulses}

    def wedged(self) -> str | None:
        """Why only a restart helps: the main thread or the scheduler has done nothing for minutes. None while they work."""
        with self._lock:
            seen, late = self._pulses.get("reload"), self._late()
            if seen is not None and self._clock.uptime() - seen > _WEDGED:
                return f"the main thread has hung for {spell_duration(self._clock.uptime() - seen)}"
            # Checks that wait for calls may take all threads of the scheduler; they end by themselves.
            waits = any(until >= self._clock.uptime() for until in self._checking.values())
            return f"rules should have been checked {spell_duration(late)} ago" if late > _WEDGED and not waits else None

    def figures(self, database: Database) -> dict[str, float]:
        """What is known here, for metrics, by their names. Moments in seconds since 1970; NaN is what is not known."""
        with self._lock:
            found = {
                "alertd_tick_timestamp_seconds": _seconds(self._last_tick),
                "alertd_tick_expected_timestamp_seconds": _seconds(self._expected.at if self._expected else None),
                "alertd_rules_without_evidence": sum(reason is not None for reason in self._reasons.values()),
                "alertd_rules_in_check": len(self._checking),
                "alertd_rulebook_ok": self._reload_error is None,
                "alertd_forecast_fits": self._forecast.fits if self._forecast else math.nan,
                "alertd_store_written_timestamp_seconds": _seconds(self._written_at),
                "alertd_pruned_timestamp_seconds": _seconds(self._pruned_at),
                "alertd_rulebook_looked_timestamp_seconds": _seconds(self._looked()),
            }
        try:
            with database.read() as transaction:
                since = look_at(transaction, self._clock.now()).since
            size = size_of(database)
        except StoreError:  # /readyz says why
            return found | dict.fromkeys(("alertd_outbox_oldest_seconds", "alertd_store_bytes"), math.nan)
        waited = max(0, self._clock.now() - since) if since is not None else 0
        return found | {"alertd_outbox_oldest_seconds": waited / SECOND, "alertd_store_bytes": size}

    def _looked(self) -> Instant | None:
        """When the rule files were looked at last."""
        seen = self._pulses.get("reload")
        return self._clock.now() - (self._clock.uptime() - seen) if seen is not None else None

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

    def _late(self) -> Duration:
        """For how long a tick has been due that has not begun."""
        return max(0, self._clock.uptime() - self._expected.uptime) if self._expected else 0

    def _evaluation(self) -> Check:
        if self._expected is None:
            return Check(ok=True, text="there are no rules")
        if self._late() > _LATE:
            return Check(ok=False, text=f"rules were to be checked at {iso(self._expected.at)} and were not; restart alertd")
        if stuck := sorted(rule for rule, until in self._checking.items() if self._clock.uptime() > until):
            more = f" and {len(stuck) - 1} more" if len(stuck) > 1 else ""
            text = f"the check of {stuck[0]}{more} does not come to its end, so that it is not checked again"
            return Check(ok=False, text=text + RESTART)
        if self._broken:
            return Check(ok=False, text=self._broken)
        last = f"last checked {second(self._last_tick)}, " if self._last_tick is not None else ""
        return Check(ok=True, text=f"{last}next at {iso(self._expected.at)}")

    def _source(self) -> Check:
        """Not ready when no rule gets evidence, or some do not because of the API itself; one bad rule is not enough (I7)."""
        if not self._reasons:
            return Check(ok=True, text="nothing has been asked yet")
        judged, conditions = len(self._reasons), self._conditions()
        failing = sum(count for count, _ in conditions.values())
        reasons = "; ".join(f"{count} of {judged} rules: {reason}" for count, reason in conditions.values())
        down = failing == judged or (self._down and failing > 0)
        return Check(ok=not down, text=reasons or "every rule got its answer")

    def _pulse(self, part: str) -> Check:
        longest, text = _PULSES[part]
        ago = self._clock.uptime() - self._pulses[part]
        since = spell_duration(ago - ago % SECOND or SECOND)
        return Check(ok=ago <= longest, text=text.format(ago=since) + RESTART if ago > longest else f"last seen {since} ago")

    def _store(self, database: Database, lacks: Lacks) -> tuple[Check, Check]:
        try:
            with database.read() as transaction:
                unsent = look_at(transaction, self._clock.now())
        except StoreError as problem:
            return Check(ok=False, text=str(problem)), Check(ok=False, text="the outbox cannot be read")
        with self._lock:
            unwritten, written = self._unwritten, self._written_at
        if unwritten:
            store = Check(ok=False, text=f"nothing could be written since {second(unwritten.since)}: {unwritten.error}")
        else:
            store = Check(ok=True, text=f"last written {second(written)}" if written is not None else "it answers")
        return store, delivery(unsent, lacks, self._clock.now(), self._unsent)


def _look(budget: Callable[[], BudgetState]) -> BudgetState | None:
    try:
        return budget()
    except StoreError:  # the part `store` says why
        return None


def _seconds(moment: Instant | None) -> float:
    return moment / SECOND if moment is not None else math.nan
