"""All that a daemon does, without threads: it begins, looks at its rule files, checks what is due, tidies up.

Whoever has one says when. `alertd run` does so from its threads, the simulation step by step.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import sqlalchemy as sa
import structlog

from alertd.channels.base import Access
from alertd.clock import MINUTE, SECOND, Clock, Duration, Instant
from alertd.errors import StoreDown, StoreError
from alertd.evaluation import history, ledger
from alertd.evaluation.schedule import Due, all_due, next_instant
from alertd.evaluation.settling import Judged
from alertd.evaluation.tick import retire, tick
from alertd.facts import Kind
from alertd.notices.markup import utc
from alertd.notices.outbox import Outbox
from alertd.planning.fetching import Source
from alertd.planning.forecast import Forecast
from alertd.reloading import Loaded, Rejected, Reloading
from alertd.reporting.budget import BudgetState
from alertd.rulebook.keeping import keep
from alertd.rulebook.rule import Rulebook
from alertd.steering import CLAIM, Steering
from alertd.store.database import Database
from alertd.store.pruning import prune
from alertd.troubles import Complaints, Sight, find_lacks, tell_loaded, tell_rejected, tell_unanswered, warn_about_receivers
from alertd.watching import Lacks, Watch
from alertd.web.health import Check
from alertd.web.metrics import Metrics

_log = structlog.get_logger()

# So long at least alertd was not running for what follows to be told as a summary.
DOWN: Duration = 10 * MINUTE

# What is gathered after a downtime waits for the first checks, and no longer than this.
GATHERING: Duration = 2 * MINUTE


# How soon what the store did not take is tried again.
AGAIN: Duration = 30 * SECOND


@dataclass(frozen=True)
class Parts:
    """What an engine works with. `outbox` is made for whoever knows the rulebook that runs."""

    database: Database
    clock: Clock
    source: Source
    outbox: Callable[[Callable[[], Rulebook]], Outbox]
    access: Access
    chance: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True)
class Claimed:
    """Rules that are due and that nobody else checks meanwhile, of that rulebook."""

    dues: tuple[Due, ...]
    book: Rulebook
    before: Mapping[str, Instant | None]  # when each had been due last


class Engine:
    """One alertd at work. Thread-safe, but `begin` and `look` are for one thread. `wake`: there may be something to send."""

    def __init__(
        self, parts: Parts, rules: Path, watch: Watch, wake: Callable[[], None], metrics: Metrics | None = None
    ) -> None:
        self._database, self._clock, self._source, self._access = parts.database, parts.clock, parts.source, parts.access
        self._metrics, self._watch, self._wake = metrics or Metrics(), watch, wake
        self.book = Rulebook({}, {})
        self.outbox = parts.outbox(lambda: self.book)
        self.steering = Steering(parts.source, parts.database, parts.clock, self._planned, parts.chance)
        self._reloading = Reloading(
            rules, parts.database, parts.clock, take=self.take, told=self._rejected, mended=self._mended
        )
        self._complaints = Complaints(parts.database, parts.clock)
        self._guard = threading.Lock()
        self._in_flight: set[str] = set()
        self._owed: set[str] = set()
        self._last_due: dict[str, Instant] = {}
        self._known_since: dict[str, Instant] = {}
        self._taken: Rulebook | None = None

    def begin(self, pause: Callable[[Duration], None]) -> None:
        """Load the rules and take up what the last process has left. `pause` waits. Raises AlertdError if it cannot begin."""
        started = self._clock.now()
        loaded = self._reloading.begin(pause)
        with self._database.read() as transaction:
            self._last_due = {rule: each.due_at for rule, each in ledger.load_checked(transaction).items()}
        last = max(self._last_due.values(), default=None)
        self.take(loaded)
        self._reloading.tell()
        if self._watch.newest_rules_run:  # an earlier process may have told that they were wrong
            self._mended()
        self._gather(last, started)
        if again := self.outbox.revive():
            _log.info("telling again what reached nobody and still goes on", deliveries=again)
        if taken_up := self.outbox.recover():
            _log.warning("sending again what a killed daemon was sending", deliveries=taken_up)

    def look(self, *, asked: bool = False) -> Duration:
        """Look at the rule files; the time until the next look."""
        return self._reloading.look(asked=asked)

    def take(self, loaded: Loaded) -> None:
        """Make this rulebook the one that runs, and end what rules left behind that it no longer has. Raises StoreError."""
        book, now = loaded.book, self._clock.now()
        self._retire(book, lambda transaction: keep(transaction, book.revision, loaded.files, now))
        with self._guard:
            self.book = book
            self._known_since = {name: self._known_since.get(name, now) for name in book.rules}
            self._last_due = {name: at for name, at in self._last_due.items() if name in book.rules}
            self._owed &= book.rules.keys()
        self._metrics.rules.set(len(book.rules))
        self._watch.reloaded(book.rules)
        before, self._taken = self._taken, book
        if before is None or before.rules != book.rules:
            self.steering.new_rulebook(book)
        if before is None or before.receivers != book.receivers:
            warn_about_receivers(self.lacks())

    def next_instant(self) -> Instant | None:
        """When rules are due next; None without rules. What the store did not take is tried again soon."""
        now = self._clock.now()
        at = next_instant(self.book.rules.values(), now)
        return min(at, now + AGAIN) if at is not None and self.owes else at

    @property
    def owes(self) -> bool:
        """Whether there are rules whose last result the store did not take."""
        return bool(self._owed)

    @property
    def budget(self) -> BudgetState:
        """What the budget looks like now."""
        return self._source.budget.state()

    @property
    def known_since(self) -> Mapping[str, Instant]:
        """When each rule became known."""
        return self._known_since

    @property
    def busy(self) -> bool:
        """Whether rules are being checked."""
        return bool(self._in_flight)

    def claim(self) -> Claimed:
        """Take on the rules that are due and not being checked already: no rule is ever evaluated twice at once."""
        with self._guard:
            book = self.book
            idle = {name: rule for name, rule in book.rules.items() if name not in self._in_flight}
            dues = all_due(idle, self._last_due, self._known_since, self._clock.now())
            before = {each.rule.id: self._last_due.get(each.rule.id) for each in dues}
            # What was missed before a calendar closed is counted at the first check after it has opened.
            self._last_due |= {each.rule.id: each.at for each in dues if not (each.closed and each.missed)}
            dues = tuple(each for each in dues if not each.closed)
            self._in_flight |= {each.rule.id for each in dues}
        self._watch.begins({each.rule.id: each.rule.every for each in dues})
        self._metrics.missed.inc(sum(each.missed for each in dues))
        return Claimed(dues, book, before)

    def check(self, claimed: Claimed) -> Iterator[tuple[Judged, Kind | None]]:
        """Check what was claimed. Yields each rule as it is settled, with the kind of notice that came of it.

        Rules whose result the store does not take are due again: once, where the store is not down as a whole, because then it
        is about the rule and would cost calls for ever. Raises StoreError.
        """
        names, settled, again = {each.rule.id for each in claimed.dues}, dict[str, str | None](), set[str]()

        def unsettled(judged: Judged, problem: Exception) -> None:
            if isinstance(problem, StoreDown) or (isinstance(problem, StoreError) and judged.due.rule.id not in self._owed):
                again.add(judged.due.rule.id)

        after = partial(self.steering.look_back, asked_at=self._clock.now())
        try:
            for judged, kind in tick(
                claimed.dues, claimed.book, self._source, self._database, self._clock.now, after=after, unsettled=unsettled
            ):
                settled[judged.due.rule.id] = _trouble(judged)
                self._settled(judged, kind)
                yield judged, kind
            self._watch.ticked(settled, len(names))
            self._post(tell_unanswered(self._database, self.book, self._clock.now()))
        except StoreError:
            again |= names - settled.keys()
            raise
        finally:
            self._let_go(names - settled.keys(), {name: claimed.before[name] for name in again})
            self.outbox.release()
        if claimed.book is not self.book:  # a rule that was removed meanwhile may have left something behind again
            self._retire(self.book)

    def prune(self, older_than: Duration) -> int:
        """Forget what is older; how many rows. Raises StoreError."""
        now = self._clock.now()
        gone = prune(self._database, now - older_than)
        self.steering.forget()
        with self._database.write() as transaction:
            return gone + history.forget(transaction, self.book.rules.values(), now)

    def observe(self, checks: Callable[[], Mapping[str, Check]]) -> None:
        """Look at alertd itself, once a minute: does the store take what is written, and what are people to be told?

        `checks` looks at every part that can stop.
        """
        self._try_writing()
        sight = Sight(checks(), self.lacks(), forecast=self._watch.forecast)
        self._post(self._complaints.look(sight, self.book))
        self._watch.beats("observation")

    def lacks(self) -> Lacks:
        """What receivers lack now."""
        return find_lacks(self.book, self._access)

    def _let_go(self, unsettled: AbstractSet[str], again: Mapping[str, Instant | None]) -> None:
        """These are not being checked any more. Settled ones were let go before; a later tick may have claimed them since."""
        self._watch.ends(unsettled)
        with self._guard:
            self._in_flight -= unsettled
            self._owed = (self._owed - unsettled) | (again.keys() & self.book.rules.keys())
            last = {name: at for name, at in again.items() if at is not None}
            self._last_due = {name: at for name, at in self._last_due.items() if name not in again} | last

    def _settled(self, judged: Judged, kind: Kind | None) -> None:
        self._metrics.evaluations.labels(judged.evidence.value).inc()
        if self._clock.now() - judged.due.at > MINUTE:
            self._metrics.late.inc()
        if kind:
            self._metrics.notices.labels(kind.value).inc()
            _log.info("notice", rule=judged.due.rule.id, kind=kind.value)
            self._wake()
        self._watch.ends((judged.due.rule.id,))
        with self._guard:
            self._in_flight.discard(judged.due.rule.id)
            self._owed.discard(judged.due.rule.id)

    def _gather(self, last: Instant | None, started: Instant) -> None:
        """After a downtime: one message for what comes of the first checks, if rules should have been checked and were not."""
        dues = all_due(self.book.rules, self._last_due, self._known_since, started)
        if (reason := downtime(last, dues, started)) is not None:
            self.outbox.gather(GATHERING, reason)

    def _planned(self, found: Forecast) -> None:
        self._metrics.plan(found)
        self._watch.planned(found)

    def _try_writing(self) -> None:
        """What is written is of use: it keeps calls for critical rules, as long as it is renewed."""
        found, budget = self._watch.forecast, self._source.budget
        try:
            budget.claim(min(found.critical_minute, budget.usable) if found else 0, CLAIM)
        except StoreError as problem:
            self._metrics.store_failures.inc()
            self._watch.wrote(problem)
        else:
            self._watch.wrote(None)

    def _retire(self, book: Rulebook, also: Callable[[sa.Connection], None] = lambda _transaction: None) -> None:
        with self._database.write() as transaction:
            gone = retire(transaction, book, self._clock.now())
            also(transaction)
        if gone:
            _log.info("rules removed", rules=gone)
            self._wake()

    def _rejected(self, rejected: Rejected) -> None:
        """New rule files are wrong: whoever has to know is told of it, once."""
        self._watch.reload_failed(rejected.message)
        self._post(tell_rejected(self._database, rejected, self.book, self._clock.now()))
        self._metrics.rejected.inc()

    def _mended(self) -> None:
        self._watch.mended()
        self._post(tell_loaded(self._database, self.book, self._clock.now()))

    def _post(self, something: bool) -> None:  # noqa: FBT001 - whether there is mail is all that it is told
        if something:
            self._wake()


def downtime(last: Instant | None, dues: Iterable[Due], started: Instant) -> str | None:
    """That alertd was down and since when, in a sentence, where rules should have been checked since the last check."""
    if last is None or started - last < DOWN or not any(each.missed for each in dues):
        return None
    return f"alertd was not running from {utc(last, started)} to {utc(started, started)}"


def _trouble(judged: Judged) -> str | None:
    """Why there is no evidence; None if there is."""
    return judged.verdicts[0].reason if judged.failed else None
