"""A store in memory, where each statement may be the last that the process comes to, and a disk may be full."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable
from typing import Any, Self
from weakref import WeakSet

import sqlalchemy as sa

from alertd.clock import SECOND
from alertd.store import sqlite
from alertd.store.database import Database
from alertd.store.tables import METADATA

_NUMBERS = itertools.count()


def a_store(before: Callable[[str], None]) -> tuple[Database, sqlite3.Connection]:
    """An empty store, and what keeps it: a kill costs the connection that it hits. `before` is told each statement first."""
    name = f"file:%2Fsimulation{next(_NUMBERS)}"  # SQLite shares what begins with a slash, in this process and memory only
    kept = sqlite3.connect(f"{name}?vfs=memdb", uri=True)
    engine = sqlite.create(sa.URL.create("sqlite", database=name, query={"vfs": "memdb", "uri": "true"}), SECOND)
    METADATA.create_all(engine)
    engine.dispose()
    factory = _connections(before)
    sa.event.listen(engine, "do_connect", lambda _dialect, _record, _args, how: how.update(factory=factory))
    return Database(engine), kept


def _connections(before: Callable[[str], None]) -> type[sqlite3.Connection]:
    """Connections that tell. SQLAlchemy's own events would do, and make every statement a third slower."""

    class Cursor(sqlite3.Cursor):
        def execute(self, statement: str, values: Any = (), /) -> Self:
            before(statement)
            return super().execute(statement, values)

        def executemany(self, statement: str, values: Any, /) -> Self:
            before(statement)
            return super().executemany(statement, values)

    class Connection(sqlite3.Connection):
        def __init__(self, *args: Any, **how: Any) -> None:
            super().__init__(*args, **how)
            self._cursors = WeakSet[Cursor]()

        def cursor(self, *_: Any) -> Any:
            found = super().cursor(Cursor)
            self._cursors.add(found)
            return found

        def commit(self) -> None:
            before("COMMIT")
            super().commit()

        def close(self) -> None:
            """With all that is read from it: else SQLite keeps its locks until they are collected, which is at any time."""
            for cursor in list(self._cursors):
                cursor.close()
            super().close()

    return Connection
