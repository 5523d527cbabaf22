"""The store: transactions, migrations, and what is said when it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from traceback import format_exception

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from alertd.errors import StoreError
from alertd.store.database import Database, open_database, path_of
from alertd.store.migrations import scripts
from alertd.store.tables import METADATA, REVISION, incidents, notices, rules


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@contextmanager
def opened(place: Path | str, busy: int = 10_000) -> Iterator[Database]:
    database = open_database(place if isinstance(place, str) else f"sqlite:///{place}", busy=busy)
    try:
        yield database
    finally:
        database.close()


def a_check(name: str) -> dict[str, object]:
    return {"rule": name, "due_at": 1, "as_of": 1, "question": "", "evidence": "ok", "reason": "", "missed": 0}


def test_the_migrations_make_the_tables_that_the_code_knows(new_url: str) -> None:
    with opened(new_url) as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []
        constraints = sa.inspect(connection).get_unique_constraints("deliveries")
        assert [each["column_names"] for each in constraints] == [["notice", "receiver"]]


def test_the_newest_migration_is_the_one_that_the_code_expects() -> None:
    assert scripts().get_current_head() == REVISION


def test_a_store_that_is_up_to_date_is_opened_without_alembic(path: Path) -> None:
    with opened(path):
        pass
    code = f"""
import sys
from alertd.store.database import open_database
open_database("sqlite:///{path}").close()
assert "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_what_was_written_is_there_after_opening_again(new_url: str) -> None:
    with opened(new_url) as database, database.write() as transaction:
        transaction.execute(sa.insert(rules).values(a_check("slow")))
    with opened(new_url) as database, database.read() as transaction:
        assert transaction.scalar(sa.select(rules.c.rule)) == "slow"


def test_two_that_open_a_new_store_at_once_both_succeed(new_url: str) -> None:
    code = f'from alertd.store.database import open_database; open_database("{new_url}").close()'
    both = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [each.wait() for each in both] == [0, 0]
    with opened(new_url):
        pass


def test_a_migration_that_breaks_leaves_nothing_behind(new_url: str) -> None:
    left = [0]

    def cut(*_: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise ZeroDivisionError

    sa.event.listen(sa.Engine, "before_cursor_execute", cut)
    try:
        statements = 0
        while not tables(new_url):
            statements += 5
            left[0] = statements
            broke = False
            try:
                open_database(new_url).close()
            except ZeroDivisionError:
                broke = True
            left[0] = 0
            assert not broke or tables(new_url) == set()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", cut)
    assert statements > 15
    assert tables(new_url) >= set(METADATA.tables)


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    return set(sa.inspect(engine).get_table_names())


def test_a_commit_survives_a_power_cut(path: Path) -> None:
    with opened(path) as database:
        for transaction in (database.read, database.write):
            with transaction() as connection:
                found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
                assert found == ["truncate", 2]
                assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_the_journal_mode_of_an_older_store_is_changed(path: Path) -> None:
    with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with opened(path) as database, database.read() as transaction:
        assert transaction.exec_driver_sql("PRAGMA journal_mode").scalar() == "truncate"


def test_what_raises_inside_a_transaction_changes_nothing(new_url: str) -> None:
    def fail(transaction: sa.Connection) -> None:
        transaction.execute(sa.insert(rules).values(a_check("slow")))
        raise ZeroDivisionError

    with opened(new_url) as database:
        with pytest.raises(ZeroDivisionError), database.write() as transaction:
            fail(transaction)
        with database.read() as transaction:
            assert transaction.scalar(sa.select(sa.func.count()).select_from(rules)) == 0


def test_a_notice_needs_its_incident_and_goes_with_it(new_url: str) -> None:
    with opened(new_url) as database:
        with pytest.raises(StoreError, match=r"(?i)foreign key"), database.write() as transaction:
            transaction.execute(sa.insert(notices).values(incident=7, kind="opened", at=1, body="{}"))
        with database.write() as transaction:
            transaction.execute(sa.insert(incidents).values(id=7, rule="slow", opened_at=1, level="warning", worst="warning"))
            transaction.execute(sa.insert(notices).values(incident=7, kind="opened", at=1, body="{}"))
            transaction.execute(sa.delete(incidents))
            assert transaction.scalar(sa.select(sa.func.count()).select_from(notices)) == 0


def test_the_number_of_an_incident_is_never_used_again(new_url: str) -> None:
    row = {"rule": "slow", "opened_at": 1, "level": "warning", "worst": "warning"}
    with opened(new_url) as database, database.write() as transaction:
        first = transaction.execute(sa.insert(incidents).values(row)).inserted_primary_key
        transaction.execute(sa.delete(incidents))
        second = transaction.execute(sa.insert(incidents).values(row)).inserted_primary_key
    assert first is not None
    assert second is not None
    assert second[0] > first[0]


def test_a_newer_store_is_left_alone(path: Path) -> None:
    with opened(path) as database, database.write() as transaction:
        transaction.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"written by a newer alertd \(schema 9999\); use that one"), opened(path):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_something_else_is_said_to_be(path: Path) -> None:
    path.write_text("rules:\n" * 1000)
    with pytest.raises(StoreError, match="names a file that is something else"), opened(path):
        pass
    assert path.read_text().startswith("rules:")


def test_a_damaged_store_is_said_to_be(path: Path) -> None:
    with opened(path):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 4096 + whole[8192:])
    everything = sa.text(" UNION ALL ".join(f"SELECT count(*) FROM {name}" for name in METADATA.tables))
    with (
        pytest.raises(StoreError, match="it is damaged; `alertd run` moves it aside"),
        opened(path) as database,
        database.read() as transaction,
    ):
        transaction.execute(everything)


def test_a_folder_in_place_of_the_file_is_said_to_be_unusable(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="names a file that alertd may create and write"), opened(path):
        pass


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"the folder .*/nowhere of ALERTD_STORE__URL does not exist"):
        open_database(f"sqlite:///{tmp_path}/nowhere/store.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes whatever it likes")
def test_a_folder_that_cannot_be_written_is_said_to_be(tmp_path: Path, path: Path) -> None:
    with opened(path):
        pass
    path.chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with (
            pytest.raises(StoreError, match="needs to write the file"),
            opened(path) as database,
            database.write() as connection,
        ):
            connection.execute(sa.delete(rules))
    finally:
        tmp_path.chmod(0o700)


def test_a_store_that_may_only_be_read_says_what_alertd_needs(path: Path) -> None:
    with opened(path) as database:
        with database.read() as transaction:
            transaction.exec_driver_sql("PRAGMA query_only = ON")
        with pytest.raises(StoreError, match="needs to write the file and its folder"), database.write() as transaction:
            transaction.execute(sa.delete(rules))


@pytest.mark.parametrize("scheme", ["mysql", "postgres", "postgresql+psycopg2", "postgresql+asyncpg", "sqlite+aiosqlite"])
def test_another_database_is_refused_without_its_password(scheme: str) -> None:
    with pytest.raises(StoreError, match="must start with sqlite:/// or postgresql://, not with") as caught:
        open_database(f"{scheme}://alertd:geheim@db/alertd")
    assert "geheim" not in str(caught.value)


def test_what_is_no_url_is_not_repeated() -> None:
    with pytest.raises(StoreError, match="is not the URL of a store; write it like") as caught:
        open_database("geheim")
    assert "geheim" not in str(caught.value)


def test_whoever_waits_too_long_for_another_process_is_told(path: Path) -> None:
    with opened(path, busy=50) as database, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another program holds it, see who has the file open"), database.write():
            pass
        with database.read() as transaction:  # reading goes on beside a writer
            transaction.execute(sa.select(rules)).all()
        other.execute("ROLLBACK")
        with database.write():
            pass


def test_errors_tell_no_values(new_url: str) -> None:
    with opened(new_url) as database, pytest.raises(StoreError) as caught, database.write() as transaction:
        transaction.execute(sa.insert(rules).values([a_check("a visitor's words")] * 2))
    assert "unique" in str(caught.value).lower()
    assert "visitor" not in "".join(format_exception(caught.value))  # nor in what a log would show of it


def test_the_file_of_a_store_in_memory_is_none() -> None:
    assert path_of("sqlite://") is None
    assert path_of("sqlite:///:memory:") is None
    assert path_of("sqlite:///a/b.db") == Path("a/b.db")


def test_several_threads_share_a_store_in_memory() -> None:
    from concurrent.futures import ThreadPoolExecutor

    database = open_database("sqlite://")

    def work(number: int) -> int:
        with database.write() as transaction:
            transaction.execute(sa.insert(rules).values(a_check(str(number))))
        with database.read() as transaction:
            return len(transaction.execute(sa.select(rules)).all())

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(40))) == 40
    database.close()
