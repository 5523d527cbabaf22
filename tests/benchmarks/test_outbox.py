"""How many deliveries a second the outbox makes when each is on disk before it counts. Prints; asserts nothing about time."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from alertd.channels.base import Access
from alertd.clock import SystemClock
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.incidents import Incident, save_incident
from alertd.notices.outbox import Outbox
from alertd.notices.telling import tell
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel, a_notice, a_rulebook
from tests import postgresql

INCIDENTS, RECEIVERS = 50, 20
DELIVERIES = INCIDENTS * RECEIVERS
NAMES = tuple(f"receiver-{number}" for number in range(RECEIVERS))


def words(_kind: str, notice: Notice) -> Mapping[str, str]:
    return {"news": notice.title}


def fill(database: Database, now: int) -> None:
    """Each receiver is to be told of each incident."""
    with database.write() as transaction:
        for _ in range(INCIDENTS):
            number = save_incident(transaction, Incident("slow", now, Level.WARNING, Level.WARNING))
            tell(transaction, a_notice(incident=number), dict.fromkeys(NAMES, Kind.OPENED), {}, now)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def drain(outbox: Outbox, channels: Mapping[str, FakeChannel], threads: int) -> None:
    """Send until all is sent; a thread that finds every receiver busy asks again."""

    def send() -> None:
        while sum(len(each.taken.messages) for each in channels.values()) < DELIVERIES:
            if not outbox.step():
                time.sleep(0.001)

    senders = [threading.Thread(target=send) for _ in range(threads)]
    for each in senders:
        each.start()
    for each in senders:
        each.join()


def sqlite_commits(path: Path) -> float:
    """Seconds for as many commits of one small row, with the store's own settings and nothing else."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = TRUNCATE")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE sent (id INTEGER PRIMARY KEY, state TEXT)")

        def commit() -> None:
            for number in range(DELIVERIES):
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO sent (id, state) VALUES (?, 'sent')", (number,))
                connection.execute("COMMIT")

        return seconds(commit)


def durable(server: postgresql.Server) -> str:
    """A new store on a server that, other than in tests, waits for its disk."""
    server.execute("ALTER SYSTEM SET fsync = on", "ALTER SYSTEM SET full_page_writes = on", "SELECT pg_reload_conf()")
    return server.new_store()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db" if request.param == "sqlite" else durable(request.getfixturevalue("server"))


@pytest.mark.parametrize("threads", [1, 4])
def test_deliveries_a_second(url: str, threads: int, tmp_path: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # what is logged is no part of the figure
    channels = {name: FakeChannel() for name in NAMES}
    book, clock = a_rulebook(receivers=channels), SystemClock()
    with closing(open_database(url)) as database:
        fill(database, clock.now())
        outbox = Outbox(database, clock, lambda: book, Access(), words)
        before = sqlite_commits(tmp_path / "before.db")
        took = seconds(lambda: drain(outbox, channels, threads))
        with database.read() as transaction:
            states = transaction.exec_driver_sql("SELECT state, count(*) FROM deliveries GROUP BY state").all()
    plain = (before + sqlite_commits(tmp_path / "after.db")) / 2  # the disk is not equally busy at all times
    store, said = url.partition(":")[0], f"{threads} {'thread ' if threads == 1 else 'threads'}"
    print(f"\n{DELIVERIES:,} deliveries, {store:<10} {said}: {DELIVERIES / took:>6,.0f} a second", end="")
    print(f"; plain SQLite commits: {DELIVERIES / plain:>6,.0f} a second; one delivery = {took / plain:.1f} commits", end="")
    assert [tuple(row) for row in states] == [("sent", DELIVERIES)]
    assert all(len(each.taken.messages) == INCIDENTS for each in channels.values())
    structlog.reset_defaults()
