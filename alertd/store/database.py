"""Connections and transactions.

SQLite is the embedded default, PostgreSQL the store on a server. On both any process may write, in short transactions that
take the one write lock at once; reading waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from alertd.clock import SECOND, Duration
from alertd.errors import StoreError
from alertd.store import postgresql, sqlite
from alertd.store.tables import REVISION

BUSY: Duration = 10 * SECOND


class _Kind(Protocol):
    """What each kind of database does in its own way."""

    @property
    def place_of(self) -> Callable[[sa.URL], Path | postgresql.Server | None]: ...
    @property
    def create(self) -> Callable[[sa.URL, Duration], sa.Engine]: ...
    @property
    def explain(self) -> Callable[[BaseException], str]: ...


_KINDS: dict[str, _Kind] = {
    "sqlite": sqlite,
    "sqlite+pysqlite": sqlite,
    "postgresql": postgresql,
    "postgresql+psycopg": postgresql,
}


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

    @property
    def on_server(self) -> bool:
        """Whether it is on a server, which has a clock of its own."""
        return self._engine.dialect.name == "postgresql"

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may change rows; commits at its end, or changes nothing if it raises."""
        with self._writing, translated(self._explain), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with (
            self._turn,
            translated(self._explain),
            self._engine.connect().execution_options(reads=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @property
    def _explain(self) -> Callable[[BaseException], str]:
        return _KINDS[self._engine.dialect.name].explain


def open_database(url: str, *, busy: Duration = BUSY) -> Database:
    """Open the store at an SQLAlchemy URL and bring its tables up to date; StoreError says what is wrong.

    A transaction waits for `busy` for another process before it gives up.

    `sqlite:///alertd.db` is a file in the working folder, `sqlite://` lives in memory (tests),
    `postgresql://alertd@db.example.com/alertd` is a database on a server.
    """
    kind, parsed = _parsed(url)
    with translated(kind.explain):
        engine = kind.create(parsed, busy)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return Database(engine)


def path_of(url: str) -> Path | postgresql.Server | None:
    """Where a store is: its file or its server; None for one in memory."""
    kind, parsed = _parsed(url)
    return kind.place_of(parsed)


@contextmanager
def translated(explain: Callable[[BaseException], str]) -> Iterator[None]:
    """The one place where the database's own errors become ours.

    Without their cause: its text has the values of rows and visitors, and those stay out of logs.
    """
    try:
        yield
    except DBAPIError as problem:
        raise StoreError(f"the store cannot be used: {explain(problem.orig or problem)}") from None
    except SQLAlchemyError as problem:
        raise StoreError(f"the store cannot be used: {type(problem).__name__}: {problem}") from None


def _parsed(url: str) -> tuple[_Kind, sa.URL]:
    try:
        found = sa.make_url(url)
    except (ArgumentError, ValueError):  # whose text may have part of a password
        raise StoreError(
            "ALERTD_STORE__URL is not the URL of a store; write it like sqlite:////var/lib/alertd/alertd.db "
            "or postgresql://USER:PASSWORD@HOST/DATABASE (in a password @ as %40, / as %2F, : as %3A)"
        ) from None
    if found.drivername not in _KINDS:
        raise StoreError(f"ALERTD_STORE__URL must start with sqlite:/// or postgresql://, not with {found.drivername}:")
    if found.password and url.count("@") > 1:  # then part of the password passes for the host
        raise StoreError("the password in ALERTD_STORE__URL has an @ in it; write it as %40 (and / as %2F, : as %3A)")
    return _KINDS[found.drivername], found


def _migrate(engine: sa.Engine) -> None:
    if _revision(engine) == REVISION:
        return
    # Alembic takes a second to import: only a store that needs it pays.
    from alertd.store.migrations import upgrade  # noqa: PLC0415

    upgrade(engine)


def _revision(engine: sa.Engine) -> str | None:
    with engine.connect().execution_options(reads=True) as connection, connection.begin():
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return found
