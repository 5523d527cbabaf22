"""One daemon at a time holds a store.

Beside an SQLite file it is an advisory lock on a file, on PostgreSQL an advisory lock of a session: the system or the server
lets go of it when the process ends, however it ends. It keeps a second daemon from starting and is no fence: a holder may lose
it, because the connection broke or somebody removed the file, and another take it. So a holder looks again and again, and
between two looks there may be two. A session needs a direct connection to the server, not one through a pooler that shares
them out by transaction.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa
import structlog

from alertd.errors import StoreError, StoreHeld
from alertd.store.database import translated
from alertd.store.postgresql import DAEMON, OURS, Server, connect_alone, explain

_log = structlog.get_logger()

# How the daemon's connection calls itself, followed by "1234 on HOST"; PostgreSQL keeps 63 bytes.
_NAME = "alertd daemon: "

# If the machine of a holder vanishes from the network, its lock is free after 25 s rather than two hours.
_ALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class Lock(Protocol):
    """A store that is held. For one thread at a time."""

    def look(self) -> None:
        """See whether it still is; if it was lost, take it again.

        StoreHeld: another daemon has it since, this one has to end. StoreError: not to be known now, look again later.
        """


def held_before(place: Path | Server | None) -> bool:
    """Whether a daemon has held a store there, now or earlier; of a server nobody knows."""
    mark = _beside(place) if isinstance(place, Path) else None
    return mark is not None and mark.exists() and mark.stat().st_size > 0  # an empty one is of a start that failed


@contextmanager
def hold(place: Path | Server | None) -> Iterator[Lock]:
    """Hold the store there (None: in memory, nothing to hold). StoreHeld names the other daemon's process."""
    lock = _lock(place)
    try:
        lock.take()
        yield lock
    finally:
        lock.close()


def holder(place: Path | Server | None) -> str | None:
    """The process that holds a store at this moment; None if none does."""
    if place is None:
        return None
    return _holder_on_server(place) if isinstance(place, Server) else _holder_of_file(place)


def _lock(place: Path | Server | None) -> _Nothing | _OfFile | _OnServer:
    if place is None:
        return _Nothing()
    return _OnServer(place) if isinstance(place, Server) else _OfFile(place)


class _Nothing:
    def take(self) -> None: ...

    def look(self) -> None: ...

    def close(self) -> None: ...


class _OfFile:
    def __init__(self, path: Path) -> None:
        self._path, self._place = path, _beside(path)
        self._handle: int | None = None

    def take(self) -> None:
        try:
            handle = os.open(self._place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                _lock_file(handle, self._path)
            except BaseException:
                os.close(handle)
                raise
        except OSError as problem:
            why = f"cannot write {self._place}: {problem.strerror}; alertd needs to write the store's folder"
            raise StoreError(why) from problem
        self.close()
        self._handle = handle

    def look(self) -> None:
        if not self._there():
            _take_again(self)
            _log.warning("the file that locks the store was removed, and is there again", file=str(self._place))

    def close(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _there(self) -> bool:
        """Whether what others would have to lock is what we have locked."""
        try:
            return self._handle is not None and os.path.samestat(os.fstat(self._handle), self._place.stat())
        except OSError:
            return False


def _holder_of_file(path: Path) -> str | None:
    place = _beside(path)
    if not place.exists():
        return None
    with place.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(20).decode("ascii", "replace").strip() or "unknown"
    return None


def _beside(path: Path) -> Path:
    """The lock file beside the store itself, whatever links lead there."""
    real = path.resolve()
    return real.with_name(real.name + ".lock")


def _lock_file(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        raise _held(holder, path) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)


class _OnServer:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: sa.Connection | None = None
        self._session = ""  # which one that is, or was: it may live on at the server for a while

    def take(self) -> None:
        with translated(explain):
            connection = connect_alone(self._server, f"{_NAME}{os.getpid()} on {os.uname().nodename}"[:63])
            try:
                self._session = _lock_server(connection, self._server, mine=self._session)
            except BaseException:
                _let_go(connection)
                raise
        self._connection = connection

    def look(self) -> None:
        if self._alive():
            return
        self.close()
        _take_again(self)
        _log.warning("the connection that held the store was lost, and another one holds it since")

    def close(self) -> None:
        if self._connection is not None:
            _let_go(self._connection)
            self._connection = None

    def _alive(self) -> bool:
        """Whether the session is still there, and its lock with it."""
        if self._connection is None:
            return False
        try:
            self._connection.exec_driver_sql("SELECT 1")
        except sa.exc.SQLAlchemyError:
            return False
        return True


def _let_go(connection: sa.Connection) -> None:
    with suppress(sa.exc.SQLAlchemyError):  # it may be broken, and the lock gone with it
        connection.close()


def _lock_server(connection: sa.Connection, server: Server, mine: str) -> str:
    """Take the lock; the session that has it. StoreError while `mine`, an earlier one of ours, has it still."""
    for name, value in _ALIVE.items():
        connection.exec_driver_sql(f"SET {name} = {value}")
    if connection.scalar(sa.select(sa.func.pg_try_advisory_lock(OURS, DAEMON))):
        return _holding(connection)[1]
    name, session = _holding(connection)
    if session and session == mine:
        raise StoreError(f"{server} has not noticed yet that this daemon's own connection is lost; it will within 25 s")
    raise _held(name or "one that has just ended", server)


def _holder_on_server(server: Server) -> str | None:
    with translated(explain), connect_alone(server, f"alertd {os.getpid()}") as connection:
        name, session = _holding(connection)
        return name or "unknown" if session else None


def _holding(connection: sa.Connection) -> tuple[str, str]:
    """Who has the lock, by the name of its connection, and which session that is; nothing if nobody has it."""
    found = connection.execute(
        sa.text(
            "SELECT coalesce(application_name, ''), pid || ' since ' || coalesce(backend_start::text, '')"
            " FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = :ours AND objid::bigint = :daemon"
            " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"ours": OURS, "daemon": DAEMON},
    ).first()
    return (str(found[0]).removeprefix(_NAME), str(found[1])) if found else ("", "")


def _take_again(lock: _OfFile | _OnServer) -> None:
    try:
        lock.take()
    except StoreHeld as problem:
        raise StoreHeld(f"the store was lost for a moment, and now {problem}") from None


def _held(holder: str, place: Path | Server) -> StoreHeld:
    return StoreHeld(f"another daemon (process {holder}) holds {place}; stop it, or give this one its own ALERTD_STORE__URL")
