"""The always-on process: APScheduler, threads and signals. Wiring and nothing else."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue

import sqlalchemy as sa
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from alertd.assembly import Reporting, open_looks, open_outbox, open_reporting
from alertd.clock import DAY, MINUTE, SECOND, Clock, Duration, Instant, iso
from alertd.errors import StoreError
from alertd.evaluation import history, ledger
from alertd.evaluation.schedule import Due, all_due, next_instant
from alertd.evaluation.settling import Judged
from alertd.evaluation.tick import retire, tick
from alertd.facts import Kind
from alertd.heartbeat import Heartbeat
from alertd.notices.outbox import Outbox
from alertd.overview import look
from alertd.planning.fetching import Source
from alertd.pressing import Buttons
from alertd.reloading import EVERY, Loaded, Rejected, Reloading
from alertd.reporting.budget import BudgetState
from alertd.rulebook.keeping import keep
from alertd.rulebook.rule import Rulebook
from alertd.sending import Sending
from alertd.settings import HEARTBEAT, Secrets, Settings, access
from alertd.steering import CLAIM, Steering
from alertd.store.database import Database, open_database, path_of
from alertd.store.lock import hold
from alertd.store.pruning import prune
from alertd.troubles import find_lacks, tell_loaded, tell_rejected, tell_unanswered, warn_about_receivers
from alertd.watching import Lacks, Watch
from alertd.web.health import Check, create_app
from alertd.web.metrics import Metrics
from alertd.web.serving import Server, listen

_log = structlog.get_logger()

# A wall clock that moves by more than this against the uptime was set.
_STEP = 2 * SECOND

# Seconds that a stop waits for threads that still work; what they do is repeated at the next start. Containers get ten in all.
_STOP = 6.0


class Order(Enum):
    """What a signal or another thread may ask of the daemon."""

    STOP = auto()
    LOOK = auto()


class Daemon:
    """One running alertd. `run` blocks until `stop` is called or the process is told to end."""

    def __init__(self, settings: Settings, secrets: Secrets, clock: Clock) -> None:
        self._settings, self._secrets, self._clock = settings, secrets, clock
        self.metrics = Metrics()
        self.stopping = threading.Event()
        self._orders: SimpleQueue[Order] = SimpleQueue()  # its put() may be called from a signal handler, an Event's set() not
        self._guard = threading.Lock()
        self._in_flight: set[str] = set()
        self._last_due: dict[str, Instant] = {}
        self._known_since: dict[str, Instant] = {}
        self._sending: Sending | None = None
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(20)}, timezone=UTC)
        self.book = Rulebook({}, {})
        self._taken: Rulebook | None = None
        self.watch = Watch(clock)
        self.metrics.reload_ok.set_function(lambda: self.watch.newest_rules_run)
        self.address = ""
        self._reporting: Reporting | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start every part, call `ready`, wait for the end, and stop in order. Raises AlertdError if it cannot start."""
        with ExitStack() as parts:
            parts.enter_context(hold(path_of(self._settings.store.url)))
            database = open_database(self._settings.store.url)
            parts.callback(database.close)
            self._reloading = Reloading(
                self._settings.rules, database, self._clock, take=self._take, told=self._rejected, mended=self._mended
            )
            loaded = self._reloading.begin(lambda wait: time.sleep(wait / SECOND))
            self.book = loaded.book
            reporting = parts.enter_context(
                open_reporting(self._settings, self._secrets, database, self._clock, count=self._count_call)
            )
            self._buttons = Buttons(
                access(self._settings, self._secrets).slack, database, self._clock, lambda: self.book, self._wake
            )
            server = self._server(database, reporting)
            parts.callback(server.stop)
            parts.callback(self._stop)
            self._database, self._reporting = database, reporting
            self._steering = Steering(reporting.source, database, self._clock, self.metrics.plan)
            self._start(loaded, reporting)
            server.start()
            self.address = server.address
            _log.info("running", rules=len(self.book.rules), revision=self.book.revision, health=self.address + "/readyz")
            ready()
            self._obey()

    def stop(self) -> None:
        """End `run`; safe to call from a signal handler and from any thread."""
        self._orders.put(Order.STOP)

    @property
    def budget(self) -> BudgetState | None:
        """What the budget looks like now; None before the start."""
        return self._reporting.source.budget.state() if self._reporting else None

    def name(self, by: str, id: int) -> str | None:  # noqa: A002 - the words of the API
        """The name of a person or playbook, if it is known."""
        return self._reporting.directory.name(by, id) if self._reporting else None

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP looks at the rule files. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, lambda *_: self.look_again())

    def look_again(self) -> None:
        """Look at the rule files now; safe to call from a signal handler and from any thread."""
        self._orders.put(Order.LOOK)

    def _obey(self) -> None:
        """Do what is asked for, one at a time, until it is the end; look at the rule files in between."""
        wait = EVERY
        while (order := self._next_order(wait)) is not Order.STOP:
            wait = self._reloading.look(asked=order is Order.LOOK)

    def _next_order(self, wait: Duration) -> Order | None:
        try:
            return self._orders.get(timeout=wait / SECOND)
        except Empty:
            return None

    def _rejected(self, rejected: Rejected) -> None:
        """New rule files are wrong: whoever has to know is told of it, once."""
        self.watch.reload_failed(rejected.message)
        self._post(tell_rejected(self._database, rejected, self.book, self._clock.now()))

    def _mended(self) -> None:
        self.watch.mended()
        self._post(tell_loaded(self._database, self.book, self._clock.now()))

    def _post(self, something: bool) -> None:  # noqa: FBT001 - whether there is mail is all that it is told
        if something:
            self._wake()

    def _wake(self) -> None:
        if self._sending:
            self._sending.wake()

    def _start(self, loaded: Loaded, reporting: Reporting) -> None:
        started = self._clock.now()
        with self._database.read() as transaction:
            checked = ledger.load_checked(transaction)
        self._last_due = {rule: each.due_at for rule, each in checked.items()}
        self._sending = sending = Sending(self._outbox(reporting), self._heartbeat(), self.watch, self.stopping)
        self._take(loaded)
        self._reloading.tell()
        dues = all_due(self.book.rules, self._last_due, self._known_since, started)
        sending.gather(max(self._last_due.values(), default=None), dues, started)
        sending.start()
        self._buttons.start()
        self.metrics.look_at(sending.last_beat, self._buttons.connected)
        self._watcher = threading.Thread(target=self._watch_clock, name="clock", daemon=True)
        self._watcher.start()
        first = _moment(started + MINUTE)
        self._scheduler.add_job(self._prune, "interval", days=1, next_run_time=first, misfire_grace_time=None, coalesce=True)
        self._scheduler.add_job(self._steering.claim, "interval", seconds=CLAIM // SECOND // 2, misfire_grace_time=None)
        self._scheduler.start()

    def _stop(self) -> None:
        """In order: no new tick, calls that wait for a slot give up, what is being sent is finished."""
        until = time.monotonic() + _STOP
        self.stopping.set()
        if self._reporting:
            self._reporting.source.close()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        self._buttons.stop()
        if self._sending:
            self._sending.stop(until)
        while self._in_flight and time.monotonic() < until:
            time.sleep(0.05)
        _log.info("stopped")

    def _take(self, loaded: Loaded) -> None:
        """Make this rulebook the one that runs, and end what rules left behind that it no longer has. Raises StoreError."""
        book, now = loaded.book, self._clock.now()
        self._retire(book, lambda transaction: keep(transaction, book.revision, loaded.files, now))
        with self._guard:
            self.book = book
            self._known_since = {name: self._known_since.get(name, now) for name in book.rules}
            self._last_due = {name: at for name, at in self._last_due.items() if name in book.rules}
        self.metrics.rules.set(len(book.rules))
        self.watch.reloaded(book.rules)
        before, self._taken = self._taken, book
        if before is None or before.rules != book.rules:
            self._steering.new_rulebook(book)
        if before is None or before.receivers != book.receivers:
            warn_about_receivers(self._lacks())
        self._schedule()

    def _retire(self, book: Rulebook, also: Callable[[sa.Connection], None] = lambda _transaction: None) -> None:
        with self._database.write() as transaction:
            gone = retire(transaction, book, self._clock.now())
            also(transaction)
        if gone:
            _log.info("rules removed", rules=gone)
            self._wake()

    def _schedule(self) -> None:
        """One-shot jobs for the next due instant: a ticking interval would enumerate every second that a clock jumps over."""
        at = next_instant(self.book.rules.values(), self._clock.now())
        self.watch.expects(at)
        if at is not None and self._reporting and not self.stopping.is_set():
            self._scheduler.add_job(
                self._tick, "date", run_date=_moment(at), args=(self._reporting.source,), id="tick", replace_existing=True,
                misfire_grace_time=None, coalesce=True, max_instances=100,
            )  # fmt: skip

    def _tick(self, source: Source) -> None:
        try:
            self._schedule()
            self._check(source)
        except Exception as problem:  # noqa: BLE001 - it is seen in the log and in /readyz, and the next tick is tried all the same
            self.watch.broke_off(problem)

    def _check(self, source: Source) -> None:
        """Check the rules that are due. The next instant has been scheduled: nothing that goes wrong here stops the rules."""
        dues, book = self._claim()
        if not dues:
            return
        started, settled = time.monotonic(), dict[str, str | None]()
        try:
            after = partial(self._steering.look_back, asked_at=self._clock.now())
            for judged, kind in tick(dues, book, source, self._database, self._clock.now, after=after):
                self._settled(judged, kind)
                settled[judged.due.rule.id] = _trouble(judged)
            self.watch.ticked(settled, len(dues))
            self._post(tell_unanswered(self._database, self.book, self._clock.now()))
        finally:
            with self._guard:
                # Settled ones were let go before, and a later tick may have claimed them since.
                self._in_flight -= {each.rule.id for each in dues} - settled.keys()
            self.metrics.tick.observe(time.monotonic() - started)
            if self._sending:
                self._sending.release()
        if book is not self.book:  # a rule that was removed meanwhile may have left something behind again
            self._retire(self.book)

    def _claim(self) -> tuple[tuple[Due, ...], Rulebook]:
        """The rules that are due and not being checked already: no rule is ever evaluated twice at once."""
        with self._guard:
            book = self.book
            idle = {name: rule for name, rule in book.rules.items() if name not in self._in_flight}
            dues = all_due(idle, self._last_due, self._known_since, self._clock.now())
            # What was missed before a calendar closed is counted at the first check after it has opened.
            self._last_due |= {each.rule.id: each.at for each in dues if not (each.closed and each.missed)}
            dues = tuple(each for each in dues if not each.closed)
            self._in_flight |= {each.rule.id for each in dues}
        self.metrics.missed.inc(sum(each.missed for each in dues))
        return dues, book

    def _settled(self, judged: Judged, kind: Kind | None) -> None:
        self.metrics.evaluations.labels(judged.evidence.value).inc()
        if kind:
            self.metrics.notices.labels(kind.value).inc()
            _log.info("notice", rule=judged.due.rule.id, kind=kind.value)
            self._wake()
        with self._guard:
            self._in_flight.discard(judged.due.rule.id)

    def _outbox(self, reporting: Reporting) -> Outbox:
        looks, reach = open_looks(self._settings, reporting.directory), access(self._settings, self._secrets)
        told = self.metrics.delivered
        return open_outbox(self._database, self._clock, lambda: self.book, access=reach, looks=looks, told=told)

    def _heartbeat(self) -> Heartbeat:
        every = self._settings.heartbeat.every
        return Heartbeat(lambda: self._secrets.read(HEARTBEAT), every, self._clock, self._ailment)

    def _ailment(self) -> str | None:
        """What keeps alertd from its work; rule files that are wrong do not, for the last good ones run."""
        parts = self.watch.checks(self._database, self._lacks())
        return "; ".join(check.text for name, check in parts.items() if not check.ok and name != "rulebook") or None

    def _checks(self) -> dict[str, Check]:
        """Every part that can stop."""
        more = self._sending.checks() if self._sending else {}
        return self.watch.checks(self._database, self._lacks()) | more | self._buttons.checks()

    def _watch_clock(self) -> None:
        """Notice a wall clock that was set: APScheduler would sleep on until its old hour comes round again."""
        offset = self._clock.now() - self._clock.uptime()
        while not self.stopping.wait(1):
            now_offset = self._clock.now() - self._clock.uptime()
            if abs(now_offset - offset) > _STEP:
                _log.warning("the clock was set", by=f"{(now_offset - offset) / SECOND:+.0f} s", now=iso(self._clock.now()))
                self._schedule()
            offset = now_offset

    def _prune(self) -> None:
        try:
            gone = prune(self._database, self._clock.now() - self._settings.store.retention)
            self._steering.forget()
            with self._database.write() as transaction:
                gone += history.forget(transaction, self.book.rules.values(), self._clock.now())
        except StoreError as problem:
            _log.error("history not pruned, tomorrow again", error=str(problem))
            return
        _log.info("history pruned", rows=gone, older_than=f"{self._settings.store.retention // DAY} d")

    def _server(self, database: Database, reporting: Reporting) -> Server:
        web = self._settings.web
        figures = self.metrics.collect(lambda: look(database, reporting.source.budget.state(), None, self._clock.now()))
        app = create_app(self._checks, figures)
        return Server(app, listen(web.host, web.port, "ALERTD_WEB__PORT"))

    def _lacks(self) -> Lacks:
        return find_lacks(self.book, access(self._settings, self._secrets))

    def _count_call(self, outcome: str) -> None:
        self.metrics.calls.labels(outcome).inc()
        self.watch.called(outcome)


def _trouble(judged: Judged) -> str | None:
    """Why there is no evidence; None if there is."""
    return judged.verdicts[0].reason if judged.failed else None


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)
