"""One daemon at a time holds a store.

Beside an SQLite file it is an advisory lock on a file, on PostgreSQL an advisory lock of a session: the system or the server
lets go of it when the process ends, however it ends. It keeps a second daemon from starting and is no fence: a daemon that
was stopped, or whose connection to the server broke, does not notice that another one has the lock since. A session needs a
direct connection to the server, not one through a pooler that shares them out by transaction.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa

from alertd.errors import StoreError, StoreHeld
from alertd.store.database import translated
from alertd.store.postgresql import DAEMON, OURS, Server, connect_alone, explain

# How the daemon's connection calls itself, followed by "1234 on HOST"; PostgreSQL keeps 63 bytes.
_NAME = "alertd daemon: "

# If the machine of a holder vanishes from the network, its lock is free after 25 s rather than two hours.
_ALIVE = {"tcp_keepalives_idle": 10, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


@contextmanager
def hold(place: Path | Server | None) -> Iterator[None]:
    """Hold the store there (None: in memory, nothing to hold). StoreHeld names the other daemon's process."""
    if place is None:
        yield
    else:
        with _hold_server(place) if isinstance(place, Server) else _hold_file(place):
            yield


def holder(place: Path | Server | None) -> str | None:
    """The process that holds a store at this moment; None if none does."""
    if place is None:
        return None
    return _holder_on_server(place) if isinstance(place, Server) else _holder_of_file(place)


@contextmanager
def _hold_file(path: Path) -> Iterator[None]:
    place = _beside(path)
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StoreError(f"cannot write {place}: {problem.strerror}; alertd needs to write the store's folder") from problem
    try:
        _lock_file(handle, path)
        yield
    finally:
        os.close(handle)


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


@contextmanager
def _hold_server(server: Server) -> Iterator[None]:
    with translated(explain):
        connection = connect_alone(server, f"{_NAME}{os.getpid()} on {os.uname().nodename}"[:63])
    try:
        with translated(explain):
            _lock_server(connection, server)
        yield
    finally:
        with suppress(sa.exc.SQLAlchemyError):  # it may have broken since, and the lock with it
            connection.close()


def _lock_server(connection: sa.Connection, server: Server) -> None:
    for name, value in _ALIVE.items():
        connection.exec_driver_sql(f"SET {name} = {value}")
    if not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(OURS, DAEMON))):
        raise _held(_who(connection) or "one that has just ended", server)


def _holder_on_server(server: Server) -> str | None:
    with translated(explain), connect_alone(server, f"alertd {os.getpid()}") as connection:
        return _who(connection)


def _who(connection: sa.Connection) -> str | None:
    """Who has the lock, by the name of its connection."""
    name = connection.scalar(
        sa.text(
            "SELECT coalesce(application_name, '') FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = :ours AND objid::bigint = :daemon"
            " AND pg_locks.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        ),
        {"ours": OURS, "daemon": DAEMON},
    )
    return None if name is None else str(name).removeprefix(_NAME) or "unknown"


def _held(holder: str, place: Path | Server) -> StoreHeld:
    return StoreHeld(f"another daemon (process {holder}) holds {place}; stop it, or give this one its own ALERTD_STORE__URL")
