"""A store on PostgreSQL: what only a server can do to us, and what is said of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from traceback import format_exception
from typing import Any

import pytest
import sqlalchemy as sa

from alertd.errors import StoreError
from alertd.store.database import Database, open_database, path_of
from alertd.store.tables import METADATA, rules
from tests.postgresql import Server, rows

CHECK: dict[str, Any] = {"rule": "slow", "due_at": 1, "as_of": 1, "question": "", "evidence": "ok", "reason": "", "missed": 0}


@pytest.fixture
def url(server: Server) -> str:
    return server.new_store()


@contextmanager
def opened(url: str, busy: int = 10_000) -> Iterator[Database]:
    database = open_database(url, busy=busy)
    try:
        yield database
    finally:
        database.close()


def checks(database: Database) -> int:
    with database.read() as transaction:
        return len(transaction.execute(sa.select(rules)).all())


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_both_ways_of_writing_the_scheme_mean_the_same(url: str, scheme: str) -> None:
    with opened(url.replace("postgresql", scheme)) as database, database.write() as transaction:
        transaction.execute(sa.insert(rules).values(CHECK))
    with opened(url) as database:
        assert checks(database) == 1


def test_many_that_open_a_new_store_at_once_all_succeed_and_one_migrates(server: Server) -> None:
    url = server.new_database()
    code = "import sys; from alertd.store.database import open_database; sys.stdin.read(); open_database(sys.argv[1]).close()"
    command = [sys.executable, "-c", code, url]
    all_of_them = [subprocess.Popen(command, stdin=subprocess.PIPE) for _ in range(4)]
    for each in all_of_them:
        assert each.stdin
        each.stdin.close()
    assert [each.wait() for each in all_of_them] == [0] * 4
    assert rows(url, "SELECT count(*) FROM alembic_version") == [(1,)]


def test_a_newer_store_is_left_alone(url: str) -> None:
    with opened(url) as database, database.write() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"written by a newer alertd \(schema 9999\); use that one"), opened(url):
        pass
    assert rows(url, "SELECT version_num FROM alembic_version") == [("9999",)]


def test_a_store_that_became_newer_while_we_waited_is_left_alone_too(server: Server) -> None:
    """Two versions start at once on a new store, and the newer one migrates first."""
    url = server.new_database()
    newer = sa.create_engine(url, poolclass=sa.pool.NullPool)
    found: list[str] = []

    def older() -> None:
        with pytest.raises(StoreError) as caught, opened(url):
            pass
        found.append(str(caught.value))

    with newer.connect() as connection, connection.begin():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({0x616C6572}, 1)")
        waiting = Thread(target=older)
        waiting.start()
        while waiting.is_alive() and not rows(url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            pass
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num varchar(32))")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('9999')")
    waiting.join()
    assert "written by a newer alertd (schema 9999)" in found[0]


def test_whoever_only_reads_sees_one_moment_and_cannot_write(url: str) -> None:
    with opened(url) as database:
        with database.read() as transaction:
            before = transaction.execute(sa.select(rules)).all()
            with database.write() as other:
                other.execute(sa.insert(rules).values(CHECK))
            assert transaction.execute(sa.select(rules)).all() == before == []
        with pytest.raises(StoreError, match="read-only transaction; alertd needs to write"), database.read() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK | {"rule": "other"}))
        assert checks(database) == 1


def test_writers_are_in_turn_and_each_sees_what_the_one_before_wrote(url: str) -> None:
    with opened(url) as one, opened(url) as other:
        with one.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK | {"missed": 0}))

        def count(database: Database) -> None:
            for _ in range(50):
                with database.write() as transaction:
                    missed = transaction.scalar(sa.select(rules.c.missed)) or 0
                    transaction.execute(sa.update(rules).values(missed=missed + 1))

        threads = [Thread(target=count, args=(each,)) for each in (one, other, one, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with one.read() as transaction:
            assert transaction.scalar(sa.select(rules.c.missed)) == 200


def test_whoever_waits_too_long_for_another_process_is_told(url: str) -> None:
    with opened(url, busy=50) as database, opened(url) as other:
        with other.write():
            with pytest.raises(StoreError, match="another program holds the store, see who waits"), database.write():
                pass
            assert checks(database) == 0  # reading goes on beside a writer
        with database.write():
            pass


def stand_still(transaction: sa.Connection, url: str) -> None:
    """Do nothing within a transaction until the server has had enough of it."""
    transaction.execute(sa.insert(rules).values(CHECK))
    transaction.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 1"))
    while rows(url, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"):
        pass
    transaction.execute(sa.select(rules))


def test_a_process_that_stands_still_within_a_transaction_does_not_hold_up_the_others_for_ever(url: str) -> None:
    with opened(url) as database:
        with database.write() as transaction:
            assert transaction.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "30s"
        # The server's reason, or only that the connection is gone: whichever is noticed first.
        with pytest.raises(StoreError, match=r"stood still for too long|connection cut"), database.write() as transaction:
            stand_still(transaction, url)
        assert checks(database) == 0
        with database.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK))
        assert checks(database) == 1


def sleep(transaction: sa.Connection) -> None:
    transaction.execute(sa.text("SET LOCAL statement_timeout = 1"))
    transaction.execute(sa.text("SELECT pg_sleep(600)"))


def test_a_statement_that_takes_too_long_is_given_up(url: str) -> None:
    with opened(url) as database:
        with database.read() as transaction:
            assert transaction.scalar(sa.text("SHOW statement_timeout")) == "30s"
        with pytest.raises(StoreError, match="the server took too long"), database.read() as transaction:
            sleep(transaction)
        assert checks(database) == 0


def test_no_setting_and_no_lock_is_left_in_the_session(url: str) -> None:
    """A pooler may hand the session to somebody else."""
    with opened(url) as database:
        with database.write():
            pass
        with database._engine.connect() as connection:
            raw: Any = connection.connection.dbapi_connection
            assert raw.execute("SHOW statement_timeout").fetchone() == ("0",)
            assert raw.execute("SHOW lock_timeout").fetchone() == ("0",)
            assert raw.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
            assert raw.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


WRITE = """
import sys
import sqlalchemy as sa
from alertd.store.database import open_database
from alertd.store.tables import rules
database = open_database(sys.argv[1])
with database.write() as transaction:
    row = dict(rule="slow", due_at=1, as_of=1, question="", evidence="ok", reason="", missed=0)
    transaction.execute(sa.insert(rules).values(row))
    print("written", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_within_a_transaction_changes_nothing_and_blocks_nobody(url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", WRITE, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "written\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    with opened(url) as database:
        with database.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK))
        assert checks(database) == 1


def write_and(transaction: sa.Connection, disturb: Callable[[], None]) -> None:
    transaction.execute(sa.insert(rules).values(CHECK))
    disturb()


def test_a_server_that_was_stopped_is_said_to_be_gone_and_used_again_when_it_is_back(server: Server, url: str) -> None:
    with opened(url) as database:
        assert checks(database) == 0
        try:
            with pytest.raises(StoreError, match="what was not committed is undone"), database.write() as transaction:
                write_and(transaction, server.stop)
            for transaction_of in (database.read, database.write):
                with pytest.raises(StoreError, match="check that the server runs"), transaction_of():
                    pass
        finally:
            server.start()
        assert checks(database) == 0
        with database.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK))
    with opened(url) as database:
        assert checks(database) == 1


def test_a_server_that_was_restarted_between_two_transactions_is_not_noticed(server: Server, url: str) -> None:
    with opened(url) as database:
        with database.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK))
        server.stop()
        server.start()
        assert checks(database) == 1


def test_a_connection_that_is_ended_by_hand_loses_only_its_transaction(server: Server, url: str) -> None:
    end = "SELECT pg_terminate_backend({})"
    with opened(url) as database:
        with pytest.raises(StoreError, match="the next try connects again"), database.write() as transaction:
            write_and(transaction, lambda: server.execute(end.format(transaction.scalar(sa.text("SELECT pg_backend_pid()")))))
        assert checks(database) == 0


def test_a_database_that_must_not_be_written_says_what_alertd_needs(server: Server, url: str) -> None:
    server.execute(f"ALTER DATABASE {url.split('/')[3].partition('?')[0]} SET default_transaction_read_only = on")
    with opened(url) as database:
        assert checks(database) == 0
        with pytest.raises(StoreError, match="must name the primary"), database.write() as transaction:
            transaction.execute(sa.insert(rules).values(CHECK))


def test_a_user_without_rights_is_told_which_it_needs(server: Server) -> None:
    url = server.new_database().replace("postgres@", "stranger:geheim@")
    with pytest.raises(StoreError, match="make the user of ALERTD_STORE__URL the owner") as caught, opened(url):
        pass
    assert "geheim" not in str(caught.value)


def test_a_user_that_owns_its_database_and_nothing_else_is_enough(server: Server) -> None:
    url = server.new_database("OWNER stranger").replace("postgres@", "stranger:geheim@")
    with opened(url) as database, database.write() as transaction:
        transaction.execute(sa.insert(rules).values(CHECK))


@pytest.mark.parametrize(
    ("login", "name", "advice"),
    [
        ("stranger:geheim1", "postgres", 'failed for user "stranger"; check the user and the password'),
        ("stranger", "postgres", "no password supplied; check the user and the password"),
        ("nobody:geheim1", "postgres", 'role "nobody" does not exist; check the user'),
        ("postgres:geheim1", "nowhere", 'database "nowhere" does not exist; create it on the server'),
    ],
)
def test_who_cannot_log_in_is_told_why_without_the_password(server: Server, login: str, name: str, advice: str) -> None:
    with pytest.raises(StoreError, match=advice) as caught:
        open_database(server.url(name, login))
    assert said_nothing_secret(caught.value)


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("postgresql://alertd:geheim1@127.0.0.1:1/alertd", "Connection refused.*; check that the server runs, and the host"),
        ("postgresql://alertd:geheim1@/alertd?host=/nowhere", "No such file.*; check that the server runs"),
        ("postgresql://alertd:geheim1@nowhere.invalid/alertd", "nowhere.invalid.*; check that the server runs"),
        ("postgresql://alertd:geheim1@127.0.0.1/alertd?sslmode=much", "; check ALERTD_STORE__URL"),
        ("postgresql://alertd:geh@im1@db/alertd", "has an @ in it; write it as %40"),
        ("postgresql://alertd:g@eheim1/2@db/alertd", "has an @ in it; write it as %40"),
        ("postgresql://alertd:g@eheim1?2@db/alertd", "has an @ in it; write it as %40"),
        ("postgresql://alertd:geheim1", "is not the URL of a store; write it like"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told_of_without_the_password(url: str, advice: str) -> None:
    with pytest.raises(StoreError, match=advice) as caught:
        open_database(url)
    assert said_nothing_secret(caught.value)


def said_nothing_secret(problem: BaseException) -> bool:
    """Neither in the message nor in what a log would print with it, causes included."""
    return "heim" not in "".join(format_exception(problem))


def test_a_server_as_text_names_no_password() -> None:
    place = path_of("postgresql://alertd:geheim@db.example.com/alerts?password=geheim")
    assert str(place) == "the database alerts on db.example.com"
    assert "geheim" not in repr(place)


def test_a_full_server_says_whose_fault_it_is(server: Server, url: str) -> None:
    engine = sa.create_engine(server.url(login="stranger:geheim"), poolclass=sa.pool.NullPool)
    taken: list[sa.Connection] = []
    with suppress(sa.exc.OperationalError):
        while len(taken) < 1000:
            taken.append(engine.connect())
    try:
        with pytest.raises(StoreError, match="the server has no connection left"):
            open_database(url.replace("postgres@", "stranger:geheim@"))
    finally:
        for each in taken:
            each.close()


def test_the_tables_are_all_there_and_of_the_right_kind(url: str) -> None:
    found = rows(url, "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'")
    kinds = {(table, column): kind for table, column, kind in found}
    assert {table for table, _ in kinds} == {*METADATA.tables, "alembic_version"}
    assert kinds["alerts", "group"] == "character varying"
    assert kinds["alerts", "examples"] == "json"
    assert kinds["alerts", "value"] == "double precision"
    assert kinds["deliveries", "ambiguous"] == "boolean"
    assert kinds["slots", "free_at"] == "bigint"


def test_several_threads_share_a_store(url: str) -> None:
    """More readers than the pool has connections, beside writers; nobody waits for a connection that waits for the lock."""
    over = Event()
    with opened(url) as database:

        def read() -> None:
            while not over.is_set():
                checks(database)

        readers = [Thread(target=read) for _ in range(12)]
        for thread in readers:
            thread.start()
        for number in range(50):
            with database.write() as transaction:
                transaction.execute(sa.insert(rules).values(CHECK | {"rule": str(number)}))
        over.set()
        for thread in readers:
            thread.join()
        assert checks(database) == 50


def test_connections_say_whose_they_are(url: str) -> None:
    with opened(url) as database, database.read() as transaction:
        assert transaction.scalar(sa.text("SHOW application_name")) == f"alertd {os.getpid()}"
