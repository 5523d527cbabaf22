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
from alertd.errors import StoreDamaged, StoreDown, StoreError
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
    @property
    def sort(self) -> Callable[[BaseException], type[StoreError]]: ...
    @property
    def prove(self) -> Callable[[sa.Connection], None]: ...


_KINDS: dict[str, _Kind] = {
    "sqlite": sqlite,
    "sqlite+pysqlite": sqlite,
    "postgresql": postgresql,
    "postgresql+psycopg": postgresql,
}


class Database:
    """A migrated store. `write()` and `read()` are one transaction each.

    `down` is why nothing can be written at present, None while all is well; `failures` counts how often that was found, and
    `failure` is the last of them. `lost` is why the store is of no use any more.
    """

    def __init__(self, engine: sa.Engine, place: Path | postgresql.Server | None = None) -> None:
        self._engine, self._kind = engine, _KINDS[engine.dialect.name]
        # SQLite's own waiting is a poll with sleeps; within the process a lock is fair and wakes at once.
        self._writing = threading.RLock()
        # A store in memory has one connection for all threads: there, reading is in turn with writing too.
        self._turn: AbstractContextManager[object] = (
            self._writing if isinstance(engine.pool, sa.pool.StaticPool) else nullcontext()
        )
        self.down: str | None = None
        self.failure: str | None = None
        self.failures = 0
        self._damage: str | None = None
        self._guard = threading.Lock()
        self._file = place if isinstance(place, Path) else None
        self._inode = _inode_of(self._file)

    @property
    def on_server(self) -> bool:
        """Whether it is on a server, which has a clock of its own."""
        return self._engine.dialect.name == "postgresql"

    @property
    def damaged(self) -> bool:
        """Whether the file was found to be damaged."""
        return self._damage is not None

    @property
    def lost(self) -> str | None:
        """Why nothing that is written here from now on would be found again: the file is damaged, gone or another one."""
        if self._damage or self._file is None:
            return self._damage
        try:
            now = _inode_of(self._file)
        except OSError:  # its disk or its folder has a trouble, which says nothing of the file
            return None
        if now == self._inode:
            return None
        what = "was deleted, moved or emptied" if now is None else "was replaced by another one"
        return f"the file {self._file} {what} while alertd was running; stop alertd before you touch it"

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction that may change rows; commits at its end, or changes nothing if it raises."""
        with self._writing, self._watched(writes=True), self._engine.connect() as connection, connection.begin():
            if self.down:  # who writes nothing would take it for well
                self._kind.prove(connection)
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A transaction that only reads."""
        with (
            self._turn,
            self._watched(writes=False),
            self._engine.connect().execution_options(reads=True) as connection,
            connection.begin(),
        ):
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        self._engine.dispose()

    @contextmanager
    def _watched(self, *, writes: bool) -> Iterator[None]:
        """Remember how it went, and raise only errors of ours."""
        try:
            with translated(self._kind.explain, self._kind.sort):
                yield
        except StoreDown as problem:
            with self._guard:
                self.down = self.failure = str(problem)
                self.failures += 1
            raise
        except StoreDamaged as problem:
            self._damage = str(problem)
            raise
        if writes:
            self.down = None


def open_database(url: str, *, busy: Duration = BUSY) -> Database:
    """Open the store at an SQLAlchemy URL and bring its tables up to date; StoreError says what is wrong.

    A transaction waits for `busy` for another process before it gives up.

    `sqlite:///alertd.db` is a file in the working folder, `sqlite://` lives in memory (tests),
    `postgresql://alertd@db.example.com/alertd` is a database on a server.
    """
    kind, parsed = _parsed(url)
    with translated(kind.explain, kind.sort):
        engine = kind.create(parsed, busy)
        try:
            _migrate(engine)
        except BaseException:
            engine.dispose()
            raise
    return Database(engine, kind.place_of(parsed))


def path_of(url: str) -> Path | postgresql.Server | None:
    """Where a store is: its file or its server; None for one in memory."""
    kind, parsed = _parsed(url)
    return kind.place_of(parsed)


@contextmanager
def translated(
    explain: Callable[[BaseException], str], sort: Callable[[BaseException], type[StoreError]] = lambda _: StoreError
) -> Iterator[None]:
    """The one place where the database's own errors become ours; `sort` says which.

    Without their cause: its text has the values of rows and visitors, and those stay out of logs.
    """
    try:
        yield
    except DBAPIError as problem:
        cause = problem.orig or problem
        raise sort(cause)(f"the store cannot be used: {explain(cause)}") from None
    except SQLAlchemyError as problem:
        raise StoreError(f"the store cannot be used: {type(problem).__name__}: {problem}") from None


def _inode_of(file: Path | None) -> tuple[int, int] | None:
    """Which file it is; None where there is none, or nothing in it."""
    try:
        found = file.stat() if file else None
    except FileNotFoundError:
        return None
    return (found.st_dev, found.st_ino) if found and found.st_size else None


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
