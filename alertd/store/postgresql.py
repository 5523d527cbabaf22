"""PostgreSQL, for a store on another machine or shared by several.

Writers are serial as they are on SQLite: each takes one advisory lock first, so that all code above means the same on both.
The lock belongs to the transaction, which also works through a pooler such as PgBouncer; nothing else is left in a session.
Each store needs a database of its own. A commit during which the connection breaks counts as failed, yet may have happened.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import sqlalchemy as sa

from alertd.clock import SECOND, Duration
from alertd.errors import StoreDown, StoreError

# The two halves of an advisory lock's key: one number for alertd ("aler"), one for what the lock is about.
OURS = 0x616C6572
WRITING, DAEMON = 1, 2

# No transaction of ours works for so long, or leaves the server waiting for so long: a process that was stopped within one
# must not hold up all others.
_STATEMENT: Duration = 30 * SECOND
_IDLE: Duration = 30 * SECOND

# A server that no longer answers is given up by the network after this long, at either end.
_CONNECT: Duration = 10 * SECOND
_NETWORK: dict[str, object] = {
    "connect_timeout": _CONNECT // SECOND,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30 * SECOND,
}

_TEXT = 300


@dataclass(frozen=True)
class Server:
    """A store on a PostgreSQL server. As text it names the database and the host, and nothing secret."""

    url: sa.URL = field(repr=False)

    def __str__(self) -> str:
        host = self.url.host or self.url.query.get("host") or "this machine"
        return f"the database {self.url.database or 'of ALERTD_STORE__URL'} on {host}"

    def exists(self) -> bool:
        """Whether it can be looked at: nobody knows before having connected, so one tries."""
        return True


def place_of(url: sa.URL) -> Server:
    """The server of a store."""
    return Server(url.set(drivername="postgresql+psycopg"))


def create(url: sa.URL, busy: Duration) -> sa.Engine:
    """Connections to that server; writers wait for `busy` before they give up."""
    engine = _engine(place_of(url), f"alertd {os.getpid()}", pool_pre_ping=True)

    def begin(connection: sa.Connection) -> None:
        options = connection.get_execution_options()
        connection.exec_driver_sql(_beginning(busy, reads=options.get("reads", False), long=options.get("migrates", False)))

    sa.event.listen(engine, "begin", begin)
    return engine


def connect_alone(server: Server, name: str) -> sa.Connection:
    """A connection of its own, outside of any transaction, that calls itself `name` in pg_stat_activity."""
    return _engine(server, name, poolclass=sa.pool.NullPool).connect()


def explain(problem: BaseException) -> str:
    """What the server or the way there said, without the values of a row, and what to do about it."""
    state = getattr(problem, "sqlstate", None)
    # The whole text would go on with "Key (rule)=(…) already exists".
    told = getattr(getattr(problem, "diag", None), "message_primary", None) or str(problem)
    text = " ".join(told.split())
    words = (advice for sign, advice in _BY_TEXT if sign in text)
    return text[:_TEXT] + (_BY_STATE.get(state, "") if state else next(words, _OTHERWISE))


def sort(problem: BaseException) -> type[StoreError]:
    """Whether it is about the server or the way there, and may pass, or about what was asked."""
    # By its name: importing psycopg takes time, also for those who have no server.
    return StoreDown if any(each.__name__ == "OperationalError" for each in type(problem).__mro__) else StoreError


def prove(_connection: sa.Connection) -> None:
    """Nothing: what keeps a server from writing keeps it from beginning to."""


_GONE = "; the server was stopped or the connection cut: what was not committed is undone, and the next try connects again"
_RIGHTS = "; make the user of ALERTD_STORE__URL the owner of its database, or grant it all rights on the schema public"
_READ_ONLY = "; alertd needs to write: ALERTD_STORE__URL must name the primary, and its database must not be read-only"
_CLOGGED = "; another program holds the store, see who waits and who works in pg_stat_activity"
_FULL = "; the server has no connection left: see pg_stat_activity for whose they are, or raise max_connections"
_NOBODY = "; check that the server runs, and the host and port in ALERTD_STORE__URL"
_LOGIN = "; check the user and the password in ALERTD_STORE__URL (in a password write @ as %40, / as %2F)"
_MISSING = "; create it on the server (createdb), or correct its name in ALERTD_STORE__URL"
_OTHERWISE = "; check ALERTD_STORE__URL, and the server's own log"

# By SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_BY_STATE = {
    "25006": _READ_ONLY,
    "25P03": "; the process stood still for too long within a transaction, which was undone",
    "42501": _RIGHTS,
    "53100": "; free some space on the server's disk",
    "53300": _FULL,
    "55P03": _CLOGGED,
    "57014": "; the server took too long, see its load and its locks",
    "57P01": _GONE,
    "57P02": _GONE,
    "57P03": _GONE,
}

# What fails before there is a connection has no SQLSTATE, only words; the server's may be in another language.
_BY_TEXT = (
    ("authentication failed", _LOGIN),
    ("no password supplied", _LOGIN),
    ("pg_hba.conf", "; the server admits no such connection, see its pg_hba.conf"),
    ("too many clients", _FULL),
    ("connection slots", _FULL),
    ("database system is", "; the server is starting or stopping, the next try may find it ready"),
    ("closed", _GONE),
    ("terminat", _GONE),
    ("connection is lost", _GONE),
    ("Connection refused", _NOBODY),
    ("No such file", _NOBODY),
    ("resolve host", _NOBODY),
    ("timeout", _NOBODY),
    ("No route", _NOBODY),
    ('role "', _LOGIN),
    ("does not exist", _MISSING),
)


def _engine(server: Server, name: str, **how: object) -> sa.Engine:
    # Every transaction begins with a statement of ours, hence autocommit; prepared statements would be left in the session.
    ours = {"autocommit": True, "prepare_threshold": None, "application_name": name}
    network = {key: value for key, value in _NETWORK.items() if key not in server.url.query}
    return sa.create_engine(server.url, connect_args=network | ours, use_native_hstore=False, hide_parameters=True, **how)


def _beginning(busy: Duration, *, reads: bool, long: bool) -> str:
    """Begin a transaction in one message. A writer sees what the one before it wrote: it looks after it has the lock."""
    statements = [
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if reads else "BEGIN ISOLATION LEVEL READ COMMITTED",
        f"SET LOCAL lock_timeout = {busy}",
        f"SET LOCAL statement_timeout = {0 if long else max(_STATEMENT, 2 * busy)}",
        f"SET LOCAL idle_in_transaction_session_timeout = {0 if long else _IDLE}",
        *([] if reads else [f"SELECT pg_advisory_xact_lock({OURS}, {WRITING})"]),
    ]
    return "; ".join(statements)
