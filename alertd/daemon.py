"""The always-on process: APScheduler, threads and signals. Wiring and nothing else."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue

import structlog
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from alertd.assembly import Reporting, open_looks, open_outbox, open_reporting
from alertd.clock import DAY, MINUTE, SECOND, Clock, Duration, Instant, iso
from alertd.engine import Engine, Parts
from alertd.errors import AlertdError, StoreDamaged, StoreError, StoreHeld
from alertd.heartbeat import Heartbeat
from alertd.notices.outbox import Outbox
from alertd.overview import look
from alertd.planning.fetching import CONCURRENT_CALLS
from alertd.pressing import Buttons
from alertd.reloading import EVERY
from alertd.reporting.budget import BudgetState
from alertd.rulebook.rule import Rulebook
from alertd.sending import Sending
from alertd.settings import HEARTBEAT, Secrets, Settings, access
from alertd.store.database import Database, open_database, path_of
from alertd.store.lock import Lock, hold
from alertd.store.rescue import find_loss, suspect, told, was_here
from alertd.store.trouble import Change, Trouble
from alertd.troubles import tell_lost
from alertd.watching import Watch
from alertd.watching.threads import ended, threads
from alertd.web.health import Check, create_app
from alertd.web.metrics import Metrics
from alertd.web.serving import Server, listen

_log = structlog.get_logger()

_STEP = 2 * SECOND  # a wall clock that moves by more than this against the uptime was set
_LOOK: Duration = MINUTE  # how often alertd looks at itself
_TICKS = 100  # checks that may be under way at once: each may wait long for its calls

# Parts that may be wrong while alertd does its work: the last good rules run, and it goes on with fewer calls or no buttons.
_WORKS = frozenset({"rulebook", "budget", "pruning", "buttons", "heartbeat"})

# Threads that run for as long as alertd does. Those that send are looked at where they are.
_THREADS = ("APScheduler", "clock", "lock", "observe", "web", *(f"call-{number}" for number in range(CONCURRENT_CALLS)))

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
        # Its put() may be called from a signal handler, an Event's set() not.
        self._orders: SimpleQueue[Order | AlertdError] = SimpleQueue()
        self._sending: Sending | None = None
        self._buttons: Buttons | None = None
        self._scheduler = BackgroundScheduler(executors={"default": ThreadPoolExecutor(_TICKS)}, timezone=UTC)
        self._engine: Engine | None = None
        self.watch = Watch(clock)
        self._threads: tuple[str, ...] = ()  # that run for as long as alertd does
        self.address = ""
        self._lost = False  # the store is of no use any more
        self._reporting: Reporting | None = None

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """Start every part, call `ready`, wait for the end, and stop in order.

        Raises AlertdError if it cannot start, StoreHeld when another daemon has taken the store since, and StoreDamaged when it
        is of no use any more: started again it begins with another one.
        """
        with ExitStack() as parts:
            place = path_of(self._settings.store.url)
            gone = was_here(place)
            lock = parts.enter_context(hold(place))
            loss = find_loss(place, self._clock.now(), gone=gone)
            database = open_database(self._settings.store.url)
            parts.callback(lambda: suspect(place) if database.damaged else None)
            parts.callback(database.close)
            opened = open_reporting(
                self._settings, self._secrets, database, self._clock, count=self._count_call, took=self.metrics.took
            )
            self._database, self._trouble, self._reporting = database, Trouble(database), parts.enter_context(opened)
            self._engine = engine = self._make(self._reporting)
            if loss:
                _log.error("the store was lost, a new one begins", reason=loss.reason, kept=loss.kept and str(loss.kept))
                self._reporting.source.budget.count_all()
            engine.begin(lambda wait: time.sleep(wait / SECOND))
            if loss:
                tell_lost(database, loss, engine.book, self._clock.now())
                told(place)
            server = self._server(database, engine)
            parts.callback(server.stop)
            parts.callback(self._watched(lock).join, 1)
            parts.callback(self._stop)
            self._start(engine)
            server.start()
            self._threads = (*_THREADS, *(self._buttons.threads if self._buttons else ()))
            self.address = server.address
            _log.info("running", rules=len(self.book.rules), revision=self.book.revision, health=self.address + "/readyz")
            ready()
            self._obey(engine)

    def stop(self) -> None:
        """End `run`; safe to call from a signal handler and from any thread."""
        self._orders.put(Order.STOP)

    @property
    def book(self) -> Rulebook:
        """The rulebook that runs."""
        return self._engine.book if self._engine else Rulebook({}, {})

    @property
    def budget(self) -> BudgetState | None:
        """What the budget looks like now; None before the start."""
        return self._engine.budget if self._engine else None

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

    def _obey(self, engine: Engine) -> None:
        """Do what is asked for, one at a time, until it is the end; look at the rule files in between."""
        wait = EVERY
        self.watch.beats("reload")
        while (order := self._next_order(wait)) is not Order.STOP:
            self.watch.beats("reload")
            before = engine.book
            wait = engine.look(asked=order is Order.LOOK)
            if engine.book is not before:
                self._check_now()

    def _next_order(self, wait: Duration) -> Order | None:
        for _ in range(max(1, wait // SECOND)):  # in steps: a signal that comes right before a wait is handled after it
            with suppress(Empty):
                order = self._orders.get(timeout=min(wait, SECOND) / SECOND)
                if isinstance(order, AlertdError):
                    raise order
                return order
        return None

    def _wake(self) -> None:
        if self._sending:
            self._sending.wake()

    def _make(self, reporting: Reporting) -> Engine:
        reach = access(self._settings, self._secrets)
        looks, told = open_looks(self._settings, reporting.directory), self.metrics.delivered

        def outbox(book: Callable[[], Rulebook]) -> Outbox:
            return open_outbox(self._database, self._clock, book, access=reach, looks=looks, told=told)

        made = Parts(self._database, self._clock, reporting.source, outbox, reach)
        return Engine(made, self._settings.rules, self.watch, self._wake, self.metrics)

    def _start(self, engine: Engine) -> None:
        """Begin all that goes on by itself."""
        self._buttons = Buttons(
            access(self._settings, self._secrets).slack, self._database, self._clock, lambda: engine.book, self._wake
        )
        self._sending = sending = Sending(engine.outbox, self._heartbeat(engine), self.watch, self.stopping)
        sending.start()
        self._buttons.start()
        self.metrics.look_at(sending.last_beat, self._buttons.connected)
        for name, work in (("clock", self._watch_clock), ("observe", partial(self._observe, engine))):
            threading.Thread(target=work, name=name, daemon=True).start()
        first = _moment(self._clock.now() + MINUTE)
        self._scheduler.add_job(
            self._prune, "interval", args=(engine,), days=1, next_run_time=first, misfire_grace_time=None, coalesce=True
        )
        self._check_now()
        self._scheduler.start()

    def _stop(self) -> None:
        """In order: no new tick, calls that wait for a slot give up, what is being sent is finished."""
        until = time.monotonic() + _STOP
        self.stopping.set()
        if self._reporting:
            self._reporting.source.close()
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        if self._buttons:
            self._buttons.stop()
        if self._sending:
            self._sending.stop(until)
        while self._engine and self._engine.busy and time.monotonic() < until:
            time.sleep(0.05)
        _log.info("stopped")

    def _check_now(self) -> None:
        """Check what is due and go on from there: the rules are others than before, or the clock is."""
        self._schedule(self._clock.now())

    def _schedule(self, at: Instant | None) -> None:
        """One-shot jobs for the next due instant: a ticking interval would enumerate every second that a clock jumps over."""
        self.watch.expects(at)
        if at is not None and not self.stopping.is_set():
            self._scheduler.add_job(
                self._tick, "date", run_date=_moment(at), id="tick", replace_existing=True,
                misfire_grace_time=None, coalesce=True, max_instances=_TICKS,
            )  # fmt: skip

    def _tick(self) -> None:
        """Check what is due. The next instant is scheduled first: nothing that goes wrong here stops the rules."""
        if self._engine is None:
            return
        try:
            self._schedule(self._engine.next_instant())
            if (claimed := self._engine.claim()).dues:
                with self.metrics.tick.time():
                    deque(self._engine.check(claimed), maxlen=0)
        except Exception as problem:  # noqa: BLE001 - it is seen in the log and in /readyz, and the next tick is tried all the same
            self.watch.broke_off(problem)
        if self._engine.owes:
            self._schedule(self._engine.next_instant())

    def _heartbeat(self, engine: Engine) -> Heartbeat:
        every = self._settings.heartbeat.every
        return Heartbeat(lambda: self._secrets.read(HEARTBEAT), every, self._clock, partial(self._ailment, engine))

    def _ailment(self, engine: Engine) -> str | None:
        """What keeps alertd from its work."""
        parts = self._checks(engine)
        return "; ".join(check.text for name, check in parts.items() if not check.ok and name not in _WORKS) or None

    def _checks(self, engine: Engine) -> dict[str, Check]:
        """Every part that can stop."""
        found = self.watch.checks(self._database, engine.lacks(), lambda: engine.budget)
        if found["store"].ok and (wrong := self._database.lost or self._trouble.text):  # which is known earlier than by a trial
            found["store"] = Check(ok=False, text=wrong)
        for part in (self._sending, self._buttons):
            found |= part.checks() if part else {}
        return found | {"threads": threads(self._ended())}

    def _ended(self) -> str | None:
        """That a thread has ended which runs for as long as alertd does; None while all do."""
        return None if self.stopping.is_set() else ended(self._threads)

    def _observe(self, engine: Engine) -> None:
        """Look at alertd itself, again and again."""
        while True:
            try:
                engine.observe(partial(self._checks, engine))
            except Exception as problem:  # noqa: BLE001 - the next look is tried all the same; /readyz says that this one was missed
                _log.error("alertd cannot look at itself", exc_info=problem)
            if self.stopping.wait(_LOOK / SECOND):
                return

    def _watch_clock(self) -> None:
        """Notice a clock that was set, or a machine that slept: APScheduler would sleep on for as long as it had meant to."""
        uptime = self._clock.uptime()
        offset = self._clock.now() - uptime
        while not self.stopping.wait(1):
            self.watch.beats("clock")
            before, uptime = uptime, self._clock.uptime()
            now_offset = self._clock.now() - uptime
            if abs(now_offset - offset) > _STEP:
                _log.warning("the clock was set", by=f"{(now_offset - offset) / SECOND:+.0f} s", now=iso(self._clock.now()))
            if abs(now_offset - offset) > _STEP or uptime - before > 10 * SECOND:
                self._check_now()
            offset = now_offset
            self._look_at_store()

    def _look_at_store(self) -> None:
        """Say when it cannot be written and when it can. End if it is lost: whatever restarts alertd then mends it."""
        match self._trouble.look():
            case Change.BEGUN:
                text = "nothing can be written, so that no rule is checked and nothing is sent until it can"
                _log.error(text, error=self._trouble.text)
            case Change.OVER:
                _log.info("the store can be written again")
        if not self._lost and (lost := self._database.lost):
            self._lost = True
            _log.error("the store is lost, alertd ends; started again it mends that", error=lost)
            self._orders.put(StoreDamaged(lost))

    def _watched(self, lock: Lock) -> threading.Thread:
        watcher = threading.Thread(target=self._watch_lock, args=(lock,), name="lock", daemon=True)
        watcher.start()
        return watcher

    def _watch_lock(self, lock: Lock) -> None:
        """End, and say why, where another daemon has the store: two would tell people everything twice."""
        while not self.stopping.wait(1):
            try:
                lock.look()
            except StoreHeld as problem:
                self._orders.put(problem)
                return
            except StoreError:
                continue  # whoever works with the store meets it too, and says so

    def _prune(self, engine: Engine) -> None:
        try:
            gone = engine.prune(self._settings.store.retention)
        except StoreError as problem:
            _log.error("history not pruned, tomorrow again", error=str(problem))
            self.watch.pruned(problem)
            return
        self.watch.pruned(None)
        _log.info("history pruned", rows=gone, older_than=f"{self._settings.store.retention // DAY} d")

    def _server(self, database: Database, engine: Engine) -> Server:
        web = self._settings.web
        checks = partial(self._checks, engine)
        figures = self.metrics.collect(
            lambda: look(database, engine.budget, None, self._clock.now()), checks, partial(self.watch.figures, database)
        )
        app = create_app(checks, figures, lambda: self.watch.wedged() or self._ended())
        return Server(app, listen(web.host, web.port, "ALERTD_WEB__PORT"))

    def _count_call(self, outcome: str) -> None:
        self.metrics.calls.labels(outcome).inc()
        self.watch.called(outcome)


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(instant / 1000, UTC)
