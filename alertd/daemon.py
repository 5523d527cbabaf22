"""The always-on process: APScheduler, threads and signals. Wiring and nothing else."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from alertd.assembly import Reporting, open_reporting, renderer
from alertd.clock import DAY, MINUTE, SECOND, Clock, Instant, iso
from alertd.errors import AlertdError, RulebookError, StoreError
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due, all_due, next_instant
from alertd.evaluation.tick import Judged, retire, tick
from alertd.facts import Evidence, Kind
from alertd.notices.outbox import Outbox
from alertd.planning.fetching import Source
from alertd.reporting.budget import BudgetState
from alertd.rulebook.loader import load
from alertd.rulebook.rule import Rulebook
from alertd.settings import Secrets, Settings, access
from alertd.store.database import Database, open_database, path_of
from alertd.store.lock import hold
from alertd.store.pruning import prune
from alertd.watching import Watch
from alertd.web.health import create_app
from alertd.web.metrics import Metrics
from alertd.web.serving import Server, listen

_log = structlog.get_logger()

# Threads that send: one receiver that hangs must not hold up the others.
_SENDERS = 4

# How long the outbox sleeps when nothing is due and nobody wakes it.
_IDLE = 1.0

# A wall clock that moves by more than this against the uptime was set.
_STEP = 2 * SECOND

# How long a stop may take before threads that still work are left behind; what they do is repeated at the next start.
_STOP = 8.0


class Daemon:
    """One running alertd. `run` blocks until `stop` is called or the process is told to end."""

    def __init__(self, settings: Settings, secrets: Secrets, clock: Clock) -> None:
        self._settings, self._secrets, self._clock = settings, secrets, clock
        self.metrics = Metrics()
        self.stopping = threading.Event()
        self._mail = threading.Event()  # set when there may be something to send
        self._guard = threading.Lock()
        self._in_flight: set[str] = set()
        self._last_due: dict[str, Instant] = {}
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(20)}, timezone=UTC)
        self.book = Rulebook({}, {})
        self.watch = Watch(clock)
        self.address = ""
        self._reporting: Reporting | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start every part, call `ready`, wait for the end, and stop in order. Raises AlertdError if it cannot start."""
        with ExitStack() as parts:
            parts.enter_context(hold(path_of(self._settings.store.url)))
            database = open_database(self._settings.store.url)
            parts.callback(database.close)
            self.book = load(self._settings.rules)
            reporting = parts.enter_context(
                open_reporting(
                    self._settings, self._secrets, database, self._clock, stopping=self.stopping, count=self._count_call
                )
            )
            outbox = self._outbox(database, reporting)
            server = self._server(database)
            parts.callback(server.stop)
            self._database, self._reporting = database, reporting
            self._start(database, outbox)
            server.start()
            self.address = server.address
            _log.info("running", rules=len(self.book.rules), revision=self.book.revision, health=self.address + "/readyz")
            ready()
            self.stopping.wait()
            self._stop()

    def stop(self) -> None:
        """End `run`; safe to call from a signal handler and from any thread."""
        self.stopping.set()
        self._mail.set()

    @property
    def budget(self) -> BudgetState | None:
        """What the budget looks like now; None before the start."""
        return self._reporting.source.budget.state() if self._reporting else None

    def name(self, by: str, id: int) -> str | None:  # noqa: A002 - the words of the API
        """The name of a person or playbook, if it is known."""
        return self._reporting.directory.name(by, id) if self._reporting else None

    def handle_signals(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP reloads. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGHUP, lambda *_: self._scheduler.add_job(self.reload, max_instances=10, misfire_grace_time=None))

    def reload(self) -> None:
        """Load the rule files again; if they are wrong the rulebook that runs stays."""
        try:
            book = load(self._settings.rules)
        except RulebookError as problem:
            self.watch.reload_failed(str(problem))
            self.metrics.reload_ok.set(0)
            _log.error("rule files not loaded, the last good ones stay", error=str(problem))
            return
        self._take(book)
        _log.info("rule files loaded", rules=len(book.rules), revision=book.revision)
        self._schedule()

    def _start(self, database: Database, outbox: Outbox) -> None:
        self._started = self._clock.now()
        with database.read() as transaction:
            checked = ledger.load_checked(transaction)
        self._last_due = {rule: each.due_at for rule, each in checked.items()}
        if taken_up := outbox.recover():
            _log.warning("sending again what a killed daemon was sending", deliveries=taken_up)
        self._take(self.book)
        self._warn_about_receivers()
        self._senders = [threading.Thread(target=self._send, args=(outbox,), name=f"send-{n}") for n in range(_SENDERS)]
        self._watcher = threading.Thread(target=self._watch_clock, name="clock", daemon=True)
        for thread in (*self._senders, self._watcher):
            thread.start()
        self._scheduler.add_job(self._prune, "interval", days=1, next_run_time=_moment(self._started + MINUTE))
        self._scheduler.start()
        self._schedule()

    def _stop(self) -> None:
        """In order: no new tick, calls that wait for a slot give up, what is being sent is finished."""
        until = time.monotonic() + _STOP
        self._scheduler.shutdown(wait=False)
        for thread in self._senders:
            thread.join(max(0.0, until - time.monotonic()))
        while self._in_flight and time.monotonic() < until:
            time.sleep(0.05)
        _log.info("stopped")

    def _take(self, book: Rulebook) -> None:
        """Make this rulebook the one that runs, and end what rules left behind that it no longer has."""
        with self._guard:
            self.book = book
        self.metrics.rules.set(len(book.rules))
        self.metrics.reload_ok.set(1)
        self.watch.reloaded()
        with self._database.write() as transaction:
            gone = retire(transaction, book, self._clock.now())
        if gone:
            _log.info("rules removed", rules=gone)
            self._mail.set()

    def _schedule(self) -> None:
        """One-shot jobs for the next due instant: a ticking interval would enumerate every second that a clock jumps over."""
        at = next_instant(self.book.rules.values(), self._clock.now())
        if at is not None and self._reporting and not self.stopping.is_set():
            self.watch.expects(at)
            self._scheduler.add_job(
                self._tick, "date", run_date=_moment(at), args=(self._reporting.source,), id="tick", replace_existing=True,
                misfire_grace_time=None, coalesce=True, max_instances=100,
            )  # fmt: skip

    def _tick(self, source: Source) -> None:
        self._schedule()
        dues, book = self._claim()
        started = time.monotonic()
        try:
            problems: Counter[str] = Counter()
            for judged, kind in tick(dues, book, source, self._database, self._clock.now):
                self._settled(judged, kind)
                if judged.evidence in (Evidence.ERROR, Evidence.STALE):
                    problems[judged.verdicts[0].reason] += 1
            self.watch.ticked(problems, len(dues))
        finally:
            with self._guard:
                self._in_flight -= {each.rule.id for each in dues}
            if dues:
                self.metrics.tick.observe(time.monotonic() - started)

    def _claim(self) -> tuple[tuple[Due, ...], Rulebook]:
        """The rules that are due and not being checked already: no rule is ever evaluated twice at once."""
        with self._guard:
            book = self.book
            idle = {name: rule for name, rule in book.rules.items() if name not in self._in_flight}
            dues = all_due(idle, self._last_due, self._started, self._clock.now())
            self._in_flight |= {each.rule.id for each in dues}
            self._last_due |= {each.rule.id: each.at for each in dues}
        self.metrics.missed.inc(sum(each.missed for each in dues))
        return dues, book

    def _settled(self, judged: Judged, kind: Kind | None) -> None:
        self.metrics.evaluations.labels(judged.evidence.value).inc()
        if kind:
            self.metrics.notices.labels(kind.value).inc()
            _log.info("notice", rule=judged.due.rule.id, kind=kind.value)
            self._mail.set()
        with self._guard:
            self._in_flight.discard(judged.due.rule.id)

    def _outbox(self, database: Database, reporting: Reporting) -> Outbox:
        return Outbox(
            database=database,
            clock=self._clock,
            book=lambda: self.book,
            access=access(self._settings, self._secrets),
            render=renderer(self._settings, reporting.directory),
            told=lambda channel, outcome: self.metrics.deliveries.labels(channel, outcome).inc(),
        )

    def _send(self, outbox: Outbox) -> None:
        while not self.stopping.is_set():
            try:
                busy = outbox.step()
            except StoreError as problem:
                _log.error("outbox cannot be read", error=str(problem))
                busy = False
            if not busy:
                self._mail.wait(_IDLE)
                self._mail.clear()

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
        gone = prune(self._database, self._clock.now() - self._settings.store.retention)
        _log.info("history pruned", rows=gone, older_than=f"{self._settings.store.retention // DAY} d")

    def _server(self, database: Database) -> Server:
        web = self._settings.web
        app = create_app(lambda: self.watch.checks(database), self.metrics.registry)
        return Server(app, listen(web.host, web.port, "ALERTD_WEB__PORT"))

    def _count_call(self, outcome: str) -> None:
        self.metrics.calls.labels(outcome).inc()

    def _warn_about_receivers(self) -> None:
        what = access(self._settings, self._secrets)
        for receiver in self.book.receivers.values():
            try:
                lack = receiver.channel.missing(what)
            except AlertdError as problem:
                lack = str(problem)
            if lack:
                instead = f"; its notices go to {self.book.fallback}" if self.book.fallback not in (None, receiver.name) else ""
                _log.error("receiver cannot be used", receiver=receiver.name, error=lack + instead)


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)
