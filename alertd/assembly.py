"""Putting the parts together from the settings, for the daemon and for verbs that need some of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alertd.channels.base import Access
from alertd.charts import Chart
from alertd.clock import SECOND, Clock, Duration
from alertd.errors import Unauthorised
from alertd.notice import Notice
from alertd.notices.charting import chart_of
from alertd.notices.digests import render_digest_or_plain
from alertd.notices.outbox import Outbox
from alertd.notices.rendering import render_or_plain
from alertd.notices.wording import Names
from alertd.planning.fetching import Ask, Source
from alertd.planning.memory import load_lessons
from alertd.reporting.budget import Budget
from alertd.reporting.client import ReportingClient
from alertd.reporting.directory import Directory
from alertd.reporting.gate import Gate
from alertd.reporting.http import Http
from alertd.reporting.query import Query
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rulebook
from alertd.settings import TOKEN, Secrets, Settings
from alertd.shipped import shipped
from alertd.store.database import Database

# A slot is borrowed for the call's own deadline and some time to get going.
_GRACE: Duration = 3_000


@dataclass(frozen=True)
class Reporting:
    """The reporting API, ready to be asked."""

    source: Source
    directory: Directory


@contextmanager
def open_reporting(
    settings: Settings,
    secrets: Secrets,
    database: Database,
    clock: Clock,
    *,
    count: Callable[[str], None] = lambda _outcome: None,
    took: Callable[[Duration], None] = lambda _length: None,
) -> Iterator[Reporting]:
    """The API behind the budget of that store, until the end of the block.

    `count` hears of each call's outcome, `took` how long it lasted.
    """
    reporting = settings.reporting
    with Http(proxy=reporting.proxy, ca_file=reporting.ca_file, allow_plain_http=reporting.allow_plain_http) as http:
        client = ReportingClient(http, lambda: _token(secrets), base_url=reporting.url, deadline=reporting.timeout)
        limits = settings.budget
        source = Source(
            ask=_timed(client.ask, clock, took),
            budget=Budget(database, clock, calls_per_minute=limits.calls_per_minute, reserve=limits.reserve),
            gate=Gate(lambda: secrets.read(TOKEN), clock),
            clock=clock,
            patience=reporting.timeout + _GRACE,
            pause=lambda wait: time.sleep(wait / SECOND),
            count=count,
        )
        source.knowledge.lessons.update(load_lessons(database))
        with source.working():
            yield Reporting(source, Directory(client, clock))


@dataclass(frozen=True)
class Looks:
    """How messages are made of notices, with the templates of the settings before those that ship."""

    names: Names
    folders: Sequence[Path]

    def notice(self, kind: str, notice: Notice) -> Mapping[str, str]:
        """The parts of a message for that kind of channel."""
        return render_or_plain(kind, notice, names=self.names, folders=self.folders)

    def digest(self, kind: str, told: Sequence[Notice], reason: str) -> Mapping[str, str]:
        """The parts of a message that tells of many; `reason` says why they come together."""
        return render_digest_or_plain(kind, told, names=self.names, folders=self.folders, reason=reason)

    def chart(self, notice: Notice) -> Chart | None:
        """The picture of a message, if there is something to draw."""
        return chart_of(notice, self.names)


def open_looks(settings: Settings, directory: Directory) -> Looks:
    """The looks of messages, with the names of people and playbooks as the API knows them."""
    return Looks(directory.name, [*([settings.templates] if settings.templates else []), shipped("templates")])


def open_outbox(
    database: Database,
    clock: Clock,
    book: Callable[[], Rulebook],
    *,
    access: Access,
    looks: Looks,
    told: Callable[[str, str], None],
) -> Outbox:
    """The outbox of that store; `told` hears of each message's channel and outcome."""
    return Outbox(database, clock, book, access, looks.notice, looks.digest, looks.chart, told)


def _timed(ask: Ask, clock: Clock, took: Callable[[Duration], None]) -> Ask:
    def timed(query: Query) -> Table:
        begun = clock.uptime()
        try:
            return ask(query)
        finally:
            took(clock.uptime() - begun)

    return timed


def _token(secrets: Secrets) -> str:
    token = secrets.read(TOKEN)
    if token is None:
        raise Unauthorised(f"{TOKEN} is not set", answered=False)
    return token
