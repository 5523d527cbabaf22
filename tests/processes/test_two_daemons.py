"""Two daemons on a store that is on a server: the second says so and leaves, and so does a first that has lost it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from alertd.store.postgresql import DAEMON, OURS
from tests import postgresql
from tests.cli.shell import alertd, until
from tests.processes.stage import Stage

LOSE = """\
SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND starts_with(application_name, 'alertd daemon: ')
"""
LOST = "the connection that held the store was lost, and another one holds it since"
WAITING = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@pytest.fixture
def url(server: postgresql.Server) -> str:
    return server.new_store()


@pytest.fixture
def stage(tmp_path: Path, url: str) -> Iterator[Stage]:
    """A stage whose daemons have their store on a server."""
    found = Stage(tmp_path)
    found.open()
    found.variables |= {"ALERTD_STORE__URL": url, "ALERTD_SLACK__APP_TOKEN": ""}
    try:
        yield found
    finally:
        found.close()


def wait_for_the_store(other: sa.Connection) -> threading.Thread:
    """Stand in line for the store, so that nobody can be faster when it is free."""
    lock = sa.select(sa.func.pg_advisory_lock(OURS, DAEMON))
    waiting = threading.Thread(target=other.execute, args=(lock,))
    waiting.start()
    return waiting


def test_a_daemon_whose_connection_is_lost_holds_the_store_again_and_refuses_a_second(
    stage: Stage, server: postgresql.Server
) -> None:
    daemon = stage.start()
    server.execute(LOSE)
    daemon.says(LOST)
    ran = alertd(stage.folder, "run", **stage.variables)
    assert ran.code == 2
    assert f"another daemon (process {daemon.process.pid} on " in ran.err
    server.stop()
    server.start()
    until(lambda: daemon.text.count(LOST) == 2, "the store, held again after a restart of the server")
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0, daemon.text


def test_a_daemon_that_has_lost_the_store_to_another_says_so_and_leaves(
    stage: Stage, url: str, server: postgresql.Server
) -> None:
    daemon = stage.start()
    engine = sa.create_engine(f"{url}&application_name=alertd daemon: 7 on elsewhere", poolclass=sa.pool.NullPool)
    with closing(engine.connect()) as other:
        waiting = wait_for_the_store(other)
        until(lambda: postgresql.rows(url, WAITING), "somebody who waits for the store")
        server.execute(LOSE)
        waiting.join()
        code = daemon.end()
    assert code == 2, daemon.text
    assert "the store was lost for a moment, and now another daemon (process 7 on elsewhere) holds the database" in daemon.text
    assert '"event": "stopped"' in daemon.text
