"""SQLite, the embedded default.

Journal mode TRUNCATE with synchronous FULL, because a commit that was acknowledged must survive a power cut (WAL with NORMAL
lost some, DELETE does not sync the folder, and SQLite before 3.51.3 can corrupt a WAL).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alertd.clock import SECOND, Duration
from alertd.errors import StoreError


def place_of(url: sa.URL) -> Path | None:
    """The file of a store, None for one in memory."""
    return None if url.database in (None, "", ":memory:") else Path(str(url.database))


def create(url: sa.URL, busy: Duration) -> sa.Engine:
    """Connections to that file; writers wait for `busy` before they give up."""
    path = place_of(url)
    if path and not path.parent.is_dir():
        raise StoreError(f"the folder {path.parent} of ALERTD_STORE__URL does not exist; create it or name another")
    memory = {} if path else {"poolclass": sa.pool.StaticPool}
    how = {"timeout": busy / SECOND, "check_same_thread": False, "isolation_level": None}
    engine = sa.create_engine(url, connect_args=how, hide_parameters=True, **memory)
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine


def explain(problem: BaseException) -> str:
    """What SQLite said, and what to do about it."""
    text = str(problem)
    return text + next((advice for sign, advice in _ADVICE if sign in text), "")


_ADVICE = (
    ("locked", "; another program holds it, see who has the file open"),
    ("full", "; free some space on its disk"),
    ("readonly", "; alertd needs to write the file and its folder"),
    ("unable to open", "; check that ALERTD_STORE__URL names a file that alertd may create and write"),
    ("malformed", "; it is damaged: move it aside and restore a backup"),
    ("not a database", "; ALERTD_STORE__URL names a file that is something else"),
)


def _set_up(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = TRUNCATE", "synchronous = FULL", "foreign_keys = ON", "trusted_schema = OFF"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    reads = connection.get_execution_options().get("reads")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
