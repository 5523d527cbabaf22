"""SQLite, the embedded default.

Journal mode TRUNCATE with synchronous FULL, because a commit that was acknowledged must survive a power cut (WAL with NORMAL
lost some, DELETE does not sync the folder, and SQLite before 3.51.3 can corrupt a WAL).
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alertd.clock import SECOND, Duration
from alertd.errors import StoreDamaged, StoreDown, StoreError


def place_of(url: sa.URL) -> Path | None:
    """The file of a store, None for one in memory."""
    return None if url.database in (None, "", ":memory:") else Path(str(url.database))


def create(url: sa.URL, busy: Duration) -> sa.Engine:
    """Connections to that file; writers wait for `busy` before they give up."""
    path = place_of(url)
    if path and not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of ALERTD_STORE__URL does not exist; create it or name another")
    if path and "uri" not in url.query:  # which may name something else than a file
        _make(path)
    memory = {} if path else {"poolclass": sa.pool.StaticPool}
    how = {"timeout": busy / SECOND, "check_same_thread": False, "isolation_level": None}
    engine = sa.create_engine(url, connect_args=how, hide_parameters=True, json_deserializer=_from_json, **memory)
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine


def explain(problem: BaseException) -> str:
    """What is wrong, and what to do about it."""
    text = str(problem)
    return next((advice for sign, _, advice in _KNOWN if sign in text), text)


def sort(problem: BaseException) -> type[StoreError]:
    """Whether it passes, or is about the file as a whole, or about what was asked."""
    return next((kind for sign, kind, _ in _KNOWN if sign in str(problem)), StoreError)


def prove(connection: sa.Connection) -> None:
    """Change a page of the file, to the same, so that a commit shows whether it can be written."""
    version = connection.exec_driver_sql("PRAGMA user_version").scalar()
    connection.exec_driver_sql(f"PRAGMA user_version = {version}")


_DAMAGED = "it is damaged; `alertd run` moves it aside when it starts, and begins a new one; or put a backup in its place"

# SQLite's own words for what it has codes for: https://www.sqlite.org/rescode.html
_KNOWN: tuple[tuple[str, type[StoreError], str], ...] = (
    ("database is locked", StoreDown, "it is locked; another program holds it, see who has the file open"),
    ("disk is full", StoreDown, "its disk is full; free some space there"),
    ("readonly database", StoreDown, "it is read-only; alertd needs to write the file and its folder"),
    ("disk I/O error", StoreDown, "its disk is read-only or has a fault (disk I/O error); the system's log says which"),
    (
        "unable to open database",
        StoreDown,
        "it cannot be opened; check that ALERTD_STORE__URL names a file that alertd may create and write, and its folder too",
    ),
    ("malformed", StoreDamaged, _DAMAGED),
    ("Could not decode to UTF-8", StoreDamaged, _DAMAGED),  # which would go on with the row's own text
    (
        "not a database",
        StoreDamaged,
        "it is no SQLite file; ALERTD_STORE__URL names a file that is something else, or its beginning was overwritten",
    ),
)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # whose text has the row's own
        raise StoreDamaged(f"the store cannot be used: {_DAMAGED}") from None


def _make(path: Path) -> None:
    """Make the file, so that nobody else may read it; SQLite gives its journal the same rights."""
    with suppress(OSError):  # if it cannot be made, SQLite says so
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _set_up(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
