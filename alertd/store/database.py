"""Connections and transactions.

SQLite as the embedded default: journal mode TRUNCATE with synchronous FULL, because a commit that was acknowledged must
survive a power cut (WAL with NORMAL lost some, DELETE does not sync the folder, and SQLite before 3.51.3 can corrupt a WAL).
Any process may write, in short transactions that take the write lock at once.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from alertd.clock import SECOND, Duration
from alertd.errors import StoreError
from alertd.store.tables import REVISION

BUSY: Duration = 10 * SECOND


class Database:
    """A migrated store. `write()` and `read()` are one transaction each."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        # SQLite's own waiting is a poll with sleeps; within the process a lock is fair and wakes at once.
        self._writing = threading.RLock()
        # A store in memory has one connection for all threads: there, reading is in turn with writing too.
        self._turn: AbstractContextManager[object] = (
            self._writing if isinstance(engine.pool, sa.pool.StaticPool) else nullcontext()
        )

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may change rows; commits at its end, or changes nothing if it raises."""
        with self._writing, _translated(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with self._turn, _translated(), self._engine.connect().execution_options(reads=True) as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()


def open_database(url: str, *, busy: Duration = BUSY) -> Database:
    """Open the store at an SQLAlchemy URL and bring its tables up to date; StoreError says what is wrong.

    A transaction waits for `busy` for another process before it gives up.

    `sqlite:///alertd.db` is a file in the working folder, `sqlite://` lives in memory (tests).
    """
    with _translated():
        engine = _create(url, busy)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return Database(engine)


def path_of(url: str) -> Path | None:
    """The file of an SQLite store, None for one in memory."""
    name = _parsed(url).database
    return None if name in (None, "", ":memory:") else Path(str(name))


def _parsed(url: str) -> sa.URL:
    try:
        found = sa.make_url(url)
    except ArgumentError:
        raise StoreError(
            "ALERTD_STORE__URL is not the URL of a store; write it like sqlite:////var/lib/alertd/alertd.db"
        ) from None
    if found.get_backend_name() != "sqlite":
        raise StoreError(f"ALERTD_STORE__URL must start with sqlite:/// for now, not with {found.drivername}:")
    return found


def _create(url: str, busy: Duration) -> sa.Engine:
    path = path_of(url)
    if path and not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of ALERTD_STORE__URL does not exist; create it or name another")
    memory = {} if path else {"poolclass": sa.pool.StaticPool}
    engine = sa.create_engine(
        url, connect_args={"timeout": busy / SECOND, "check_same_thread": False, "isolation_level": None}, **memory
    )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _migrate(engine: sa.Engine) -> None:
    found = _revision(engine)
    if found == REVISION:
        return
    # Alembic takes a second to import: only a store that needs it pays.
    from alertd.store.migrations import upgrade  # noqa: PLC0415

    upgrade(engine, found)


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(reads=True) as connection, connection.begin():
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found


@contextmanager
def _translated() -> Iterator[None]:
    """The one place where the database's own errors become ours. Their text has no parameters: rows stay out of logs."""
    try:
        yield
    except DBAPIError as problem:
        raise StoreError(f"the store cannot be used: {problem.orig}{_advice(str(problem.orig))}") from problem
    except SQLAlchemyError as problem:
        raise StoreError(f"the store cannot be used: {type(problem).__name__}: {problem}") from problem


def _advice(text: str) -> str:
    for sign, advice in (
        ("locked", "; another program holds it, see who has the file open"),
        ("full", "; free some space on its disk"),
        ("readonly", "; alertd needs to write the file and its folder"),
        ("unable to open", "; check that ALERTD_STORE__URL names a file that alertd may create and write"),
        ("malformed", "; it is damaged: move it aside and restore a backup"),
        ("not a database", "; ALERTD_STORE__URL names a file that is something else"),
    ):
        if sign in text:
            return advice
    return ""
