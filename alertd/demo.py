"""The whole thing on one machine without any account: generated traffic, the daemon, and an inbox for what it sends."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd.clock import MINUTE, SECOND, Clock, Duration, Instant
from alertd.daemon import Daemon
from alertd.durations import spell_duration
from alertd.evaluation.ledger import load_alerts
from alertd.facts import Alert, Kind, Level, State
from alertd.notices.composing import limit_of
from alertd.rulebook.rule import Rule
from alertd.sandbox.app import create_app
from alertd.sandbox.inbox import AlertRow, Sources, Status, create_inbox
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.scenarios import Scenario, ScenarioKind
from alertd.sandbox.slack import create_slack
from alertd.sandbox.socket import APP_TOKEN, Switchboard
from alertd.sandbox.traffic import Generated, Traffic
from alertd.sandbox.workspace import TOKEN as SLACK
from alertd.sandbox.workspace import Workspace
from alertd.settings import (
    SLACK_APP_TOKEN,
    SLACK_TOKEN,
    TOKEN,
    EmailSettings,
    ReportingSettings,
    Secrets,
    Settings,
    SlackSettings,
    StoreSettings,
    WebSettings,
)
from alertd.shipped import shipped
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries
from alertd.units import spell_value
from alertd.web.serving import Server, listen

# Thirty conversations a minute at any hour: enough to judge windows of a minute.
_PER_DAY = 30 * 60 * 24

# What goes wrong, and when after the start; then again and again, for whoever leaves the page open.
_FIRST: Duration = 20 * SECOND
_LASTS: Duration = 80 * SECOND
_AGAIN: Duration = 8 * MINUTE
_TIMES = 60

_TOKEN = "demo"  # noqa: S105 - opens nothing but the generated traffic


@dataclass(frozen=True)
class Demo:
    """A running demo: its one address, and how to see what happened in it."""

    address: str
    workspace: Workspace
    mailbox: Mailbox
    database: Database
    daemon: Daemon

    def told(self, kind: Kind) -> set[int]:
        """The incidents of which that was told in both channels, as the receiving side saw it."""
        slack = {message.client_msg_id for message in self.workspace.messages}
        mails = " ".join(mail.header("Message-ID") or "" for mail in self.mailbox.mails)
        with self.database.read() as transaction:
            rows = transaction.execute(sa.select(deliveries).where(deliveries.c.kind == kind.value)).all()
        by_slack = {row.incident for row in rows if (row.digest or row.key) in slack}
        return by_slack & {row.incident for row in rows if (row.digest or row.key) in mails}


@contextmanager
def open_demo(clock: Clock, port: int) -> Iterator[Demo]:
    """Start everything; stop it at the end of the block. Port 0 takes any free one."""
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="alertd-demo-")))
        workspace, mailbox, switchboard = Workspace(clock, ["support-alerts"]), Mailbox(clock), Switchboard(clock)
        mailbox.start()
        parts.callback(mailbox.stop)
        started = clock.now()
        listener = listen("127.0.0.1", port, "--port")
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = _settings(address, folder, mailbox)
        database = open_database(settings.store.url)
        parts.callback(database.close)
        daemon = Daemon(settings, Secrets({TOKEN: _TOKEN, SLACK_TOKEN: SLACK, SLACK_APP_TOKEN: APP_TOKEN}), clock)
        view = _View(daemon, database, clock, started)
        inbox = create_inbox(Sources(workspace, mailbox, view.alerts, view.status, clock, switchboard=switchboard))
        server = Server(_app(clock, started, create_slack(workspace, switchboard), inbox), listener)
        server.start()
        parts.callback(server.stop)
        parts.enter_context(_running(daemon))
        yield Demo(address, workspace, mailbox, database, daemon)


def wait_until_resolved(demo: Demo, clock: Clock, timeout: Duration, say: Callable[[str], None]) -> bool:
    """Wait until an incident was opened and resolved in both channels, and say so as it comes; False if not by `timeout`."""
    begun, opened = clock.uptime(), False
    while (passed := clock.uptime() - begun) < timeout:
        if not opened and demo.told(Kind.OPENED):
            opened = True
            say(f"{spell_duration(passed)}: opened, in Slack and by mail")
        if demo.told(Kind.OPENED) & demo.told(Kind.RESOLVED):
            say(f"{spell_duration(passed)}: resolved, in Slack and by mail")
            return True
        if demo.daemon.stopping.wait(0.5):
            break
    return False


@contextmanager
def _running(daemon: Daemon) -> Iterator[None]:
    """The daemon in a thread; what keeps it from starting is raised here."""
    ready, problems = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            daemon.run(ready.set)
        except Exception as problem:  # noqa: BLE001 - raised again where it is waited for
            problems.append(problem)
            ready.set()

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    try:
        ready.wait()
        if problems:
            raise problems[0]
        yield
    finally:
        daemon.stop()
        thread.join()


def _settings(address: str, folder: Path, mailbox: Mailbox) -> Settings:
    return Settings(
        rules=shipped("rules/demo"),
        reporting=ReportingSettings(url=f"{address}/reporting"),
        store=StoreSettings(url=f"sqlite:///{folder / 'alertd.db'}"),
        slack=SlackSettings(url=f"{address}/slack/api/"),
        email=EmailSettings(host=mailbox.host, port=mailbox.port, sender="alertd@example.com", tls="none"),
        web=WebSettings(port=0),
    )


def _app(clock: Clock, started: Instant, slack: Starlette, inbox: Starlette) -> Starlette:
    world = Generated(Traffic(_PER_DAY, profile="flat", scenarios=_scenarios(started)), started, days=0.1)
    api = create_app(world, clock, token=_TOKEN)
    return Starlette(routes=[Mount("/reporting", api), Mount("/slack", slack), Mount("/", inbox)])


def _scenarios(started: Instant) -> tuple[Scenario, ...]:
    begins = (started + _FIRST + number * _AGAIN for number in range(_TIMES))
    return tuple(Scenario(ScenarioKind.NOBODY_ANSWERS, begin, begin + _LASTS) for begin in begins)


@dataclass(frozen=True)
class _View:
    """What the inbox shows of the daemon."""

    daemon: Daemon
    database: Database
    clock: Clock
    started: Instant

    def alerts(self) -> list[AlertRow]:
        """All alerts that are not inactive, and a row for each rule that has none."""
        with self.database.read() as transaction:
            alerts = load_alerts(transaction)
        book = self.daemon.book
        rows = [_row(book.rules[alert.rule], alert, self.daemon.name) for alert in alerts if alert.rule in book.rules]
        calm = set(book.rules) - {alert.rule for alert in alerts}
        return rows + [_calm(book.rules[name]) for name in sorted(calm)]

    def status(self) -> Status:
        """What to expect next."""
        budget = self.daemon.budget
        figures = [("rules", str(len(self.daemon.book.rules)))]
        if budget is not None:
            figures.append(("calls in use", f"{budget.in_use} of {budget.calls_per_minute}"))
        return Status(
            headline="A support team of ten, 30 conversations a minute. The rules are checked every 10 s.",
            quiet=_expectation(self.clock.now() - self.started - _FIRST),
            figures=tuple(figures),
            links=(("What /readyz says", f"{self.daemon.address}/readyz"),) if self.daemon.address else (),
        )


def _expectation(since: Duration) -> str:
    """What to say while nothing fires, `since` the first thing went wrong (negative: until it does)."""
    if since >= 0 and since % _AGAIN < _LASTS:
        return "Since a moment ago nobody answers. The rules will notice soon."
    wait = -since if since < 0 else _AGAIN - since % _AGAIN
    return f"All quiet. Something will go wrong in about {spell_duration(wait)}."


def _row(rule: Rule, alert: Alert, names: Callable[[str, int], str | None]) -> AlertRow:
    group = alert.group
    name = "" if group.by is None or group.id is None else names(group.by, group.id) or str(group.id)
    limit = limit_of(rule, alert.level)
    value = spell_value(alert.value, rule.unit) if alert.value is not None else ""
    words = f"{limit.direction} {spell_value(limit.value, rule.unit)}"
    return AlertRow(rule.id, rule.title, name, alert.state, alert.level, value, words, alert.since)


def _calm(rule: Rule) -> AlertRow:
    limit = rule.limits[-1]
    words = f"{limit.direction} {spell_value(limit.value, rule.unit)}"
    return AlertRow(rule.id, rule.title, "", State.INACTIVE, Level.OK, "", words, None)
