"""A store that is damaged or gone: what is moved aside, and what is left alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alertd.errors import StoreDamaged, StoreDown, StoreError
from alertd.store.database import Database, open_database
from alertd.store.lock import hold
from alertd.store.rescue import Loss, _lack, note, rescue, suspect, told, untold, was_here
from alertd.store.tables import rules
from alertd.store.trouble import CALM, Change, Trouble

NOW = 1_793_610_000_123
STAMP = "20261102T090000Z"
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound store with something in it."""
    made = tmp_path / "alertd.db"
    database = open_database(f"sqlite:///{made}")
    with database.write() as transaction:
        row = {"rule": "slow", "due_at": 1, "as_of": 1, "question": "", "evidence": "ok", "reason": "", "missed": 0}
        transaction.execute(sa.insert(rules).values(row | {"trail": [[1, 2.0]]}))
    database.close()
    return made


def zero_the_header(whole: bytes) -> bytes:
    return bytes(100) + whole[100:]


def cut_off(whole: bytes) -> bytes:
    return whole[: 3 * PAGE]


def overwrite_a_page(whole: bytes) -> bytes:
    return whole[:PAGE] + b"\xff" * PAGE + whole[2 * PAGE :]


def rename_a_column(whole: bytes) -> bytes:
    return whole.replace(b"failing_since BIGINT", b"fbiling_since BIGINT")


@pytest.mark.parametrize("hurt", [zero_the_header, cut_off, overwrite_a_page, rename_a_column])
def test_a_damaged_store_is_moved_aside_as_it_is_with_its_journal(path: Path, hurt: Callable[[bytes], bytes]) -> None:
    hurt_store = hurt(path.read_bytes())
    path.write_bytes(hurt_store)
    journal = path.with_name("alertd.db-journal")
    journal.write_bytes(b"garbage")
    loss = rescue(path, NOW)
    assert loss is not None
    assert loss.kept == path.with_name(f"alertd.db.damaged-{STAMP}")
    assert loss.kept.read_bytes() == hurt_store
    assert not path.exists()
    assert not journal.exists()
    open_database(f"sqlite:///{path}").close()
    assert rescue(path, NOW) is None


def test_a_sound_store_is_left_where_it_is_whatever_stands_in_its_journal(path: Path) -> None:
    path.with_name("alertd.db-journal").write_bytes(b"garbage" * 1000)
    assert rescue(path, NOW) is None
    assert path.exists()


@pytest.mark.parametrize("content", [b"x", b"rules:\n" * 1000, b"SQLite format 4\0" + bytes(5000)])
def test_a_file_that_never_was_a_store_is_refused_and_stays(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is no store of alertd, and is left as it is"):
        rescue(path, NOW)
    assert path.read_bytes() == content


@pytest.mark.parametrize("content", [None, b""])
def test_where_there_is_nothing_there_is_nothing_to_rescue(path: Path, content: bytes | None) -> None:
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert rescue(path, NOW) is None


def test_an_older_store_is_left_to_its_migration(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
        connection.execute("DROP TABLE decisions")
        connection.commit()
    assert rescue(path, NOW) is None


def test_rows_that_cannot_be_read_make_a_store_suspect_and_the_next_rescue_moves_it_aside(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE rules SET trail = '[[1,'")
        connection.commit()
    assert rescue(path, NOW) is None  # no check of SQLite's sees it
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(StoreDamaged, match="it is damaged") as caught, database.read() as transaction:
        transaction.execute(sa.select(rules)).all()
    assert "[[1," not in str(caught.value)
    assert database.damaged
    assert database.lost == str(caught.value)
    database.close()
    suspect(path)
    loss = rescue(path, NOW)
    assert loss == Loss("was damaged (rows could not be read)", path.with_name(f"alertd.db.damaged-{STAMP}"))
    assert rescue(path, NOW) is None


def test_text_that_is_no_text_is_damage_and_is_not_shown(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE rules SET reason = CAST(x'76697369746F72FF' AS TEXT)")
        connection.commit()
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(StoreDamaged) as caught, database.read() as transaction:
        transaction.execute(sa.select(rules)).all()
    assert "visitor" not in str(caught.value)
    database.close()


def test_a_store_that_was_deleted_is_known_by_what_held_it(path: Path) -> None:
    path.unlink()
    assert not was_here(path)
    with hold(path):
        pass
    assert was_here(path)
    open_database(f"sqlite:///{path}").close()
    assert not was_here(path)


def why(database: Database) -> str:
    return database.lost or ""


def test_a_file_that_is_deleted_or_replaced_while_it_is_open_is_lost(path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    assert why(database) == ""
    whole = path.read_bytes()
    path.unlink()
    assert "was deleted, moved or emptied while alertd was running" in why(database)
    path.write_bytes(whole)
    assert "was replaced by another one" in why(database)
    database.close()


def test_a_file_that_is_emptied_while_it_is_open_is_lost_and_known_to_have_been_one_at_the_next_start(path: Path) -> None:
    with hold(path):
        database = open_database(f"sqlite:///{path}")
        path.write_bytes(b"")
        assert "emptied while alertd was running" in why(database)
        database.close()
    assert was_here(path)


def test_a_start_that_failed_before_it_held_anything_left_no_store_behind(tmp_path: Path) -> None:
    place = tmp_path / "alertd.db"
    (tmp_path / "alertd.db.lock").touch()
    assert not was_here(place)


def test_only_its_owner_may_read_a_store_and_its_journal(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/new.db")
    with database.write() as transaction:
        transaction.execute(sa.delete(rules))
        transaction.exec_driver_sql("PRAGMA user_version = 7")
        modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    assert modes == {"new.db": 0o600, "new.db-journal": 0o600}
    database.close()


def test_a_store_that_cannot_be_written_is_down_until_a_write_succeeds_and_over_when_none_fails(path: Path) -> None:
    database = open_database(f"sqlite:///{path}", busy=1)
    trouble = Trouble(database)
    assert trouble.look() is None
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreDown, match="another program holds it"), database.write():
            pass
        assert trouble.look() is Change.BEGUN
        assert trouble.text == database.down
        with pytest.raises(StoreDown), database.write():
            pass
        assert trouble.look() is None
        with database.read():  # who reads proves nothing
            pass
        assert "another program" in str(database.down)
        other.execute("ROLLBACK")
    with database.write():
        pass
    assert str(database.down) == "None"
    looks = [trouble.look() for _ in range(CALM)]
    assert looks == [None] * (CALM - 1) + [Change.OVER]
    assert trouble.text is None
    database.close()


def test_while_a_store_is_down_even_who_changes_nothing_has_to_prove_that_it_can_be_written(path: Path) -> None:
    database = open_database(f"sqlite:///{path}")
    with database.read() as transaction:
        transaction.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StoreDown, match="it is read-only"), database.write() as transaction:
        transaction.execute(sa.delete(rules))
    with pytest.raises(StoreDown, match="it is read-only"), database.write():
        pass
    database.close()


class _Interrupted(sqlite3.Connection):
    """A connection beside which another process takes the store for itself, before the statement of that number."""

    left = 5

    def execute(self, sql: str, /, *values: Any) -> sqlite3.Cursor:
        self.left -= 1
        if not self.left:
            (file,) = [row[2] for row in super().execute("PRAGMA database_list")]
            self.other = sqlite3.connect(file, isolation_level=None)
            self.other.execute("BEGIN EXCLUSIVE")
        return super().execute(sql, *values)


def test_a_store_that_another_process_locks_meanwhile_is_not_damaged(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=0, factory=_Interrupted)) as connection:
        connection.left = 4  # within the tables
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            _lack(connection)
        connection.other.close()


def test_a_loss_is_known_until_it_has_been_told(path: Path) -> None:
    loss = Loss("was damaged (x)", path.with_name("kept"))
    assert untold(path) is None
    note(path, loss)
    assert untold(path) == loss
    told(path)
    assert untold(path) is None
