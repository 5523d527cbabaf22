"""A store that is damaged or gone when a daemon starts: it is moved aside, never deleted, and a new one takes its place.

For the daemon that holds the store, and for nobody else: whoever only looks leaves everything where it is.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from alertd.clock import SECOND, Instant, iso
from alertd.errors import StoreError
from alertd.store.database import BUSY
from alertd.store.lock import held_before
from alertd.store.postgresql import Server
from alertd.store.sqlite import explain
from alertd.store.tables import METADATA, REVISION

_MAGIC = b"SQLite format 3\0"

# Beside a file that turned out to be damaged while a daemon ran: no check of SQLite's looks into the values of rows.
_SUSPECT = "-suspect"

# Beside a new file, until people have been told that the one before it was lost.
_UNTOLD = "-lost"

# What SQLite keeps beside a file while somebody writes.
_BESIDE = ("-journal", "-wal", "-shm", _SUSPECT)

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


@dataclass(frozen=True)
class Loss:
    """A store that was lost: what became of it ("was deleted"), and where its file is now; None where there was none."""

    reason: str
    kept: Path | None


GONE = Loss("was deleted or emptied", None)


def was_here(place: Path | Server | None) -> bool:
    """Whether a daemon has held a store there whose file is gone, or empty. To be asked before it is held again."""
    return isinstance(place, Path) and not (place.exists() and place.stat().st_size) and held_before(place)


def rescue(place: Path | Server | None, now: Instant) -> Loss | None:
    """Move a damaged store aside, so that a new one can be made; None if there is nothing to move.

    StoreError where it is no store at all, which stays where it is. Reads the whole file: some 70 MB a second from a slow disk.
    """
    if not isinstance(place, Path) or not place.is_file() or place.stat().st_size == 0:
        return None
    path = place.resolve()
    _refuse_other(path)
    reason = _damage(path)
    return Loss(f"was damaged ({reason})", _set_aside(path, now)) if reason else None


def find_loss(place: Path | Server | None, now: Instant, *, gone: bool) -> Loss | None:
    """What was lost and has not been told; noted until it is. `gone`: `was_here` said so. StoreError as `rescue`."""
    loss = rescue(place, now) or (GONE if gone else None) or untold(place)
    if loss:
        note(place, loss)
    return loss


def note(place: Path | Server | None, loss: Loss) -> None:
    """Remember a loss until it has been told: whoever is killed before, or cannot begin, leaves a store that looks well."""
    if isinstance(place, Path):
        with suppress(OSError):  # it is told all the same, unless this process is killed before
            _beside(place.resolve(), _UNTOLD).write_text(json.dumps([loss.reason, str(loss.kept or "")]), encoding="utf-8")


def untold(place: Path | Server | None) -> Loss | None:
    """The loss that an earlier process has noted and not told."""
    if not isinstance(place, Path) or not (noted := _beside(place.resolve(), _UNTOLD)).exists():
        return None
    try:
        reason, kept = json.loads(noted.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # killed while it was written, or not to be read
        return GONE
    return Loss(str(reason), Path(kept) if kept else None)


def told(place: Path | Server | None) -> None:
    """People have been told of the loss."""
    if isinstance(place, Path):
        with suppress(OSError):  # then it is told again at the next start
            _beside(place.resolve(), _UNTOLD).unlink(missing_ok=True)


def suspect(place: Path | Server | None) -> None:
    """Note that a store is damaged, for the next `rescue`."""
    if isinstance(place, Path):
        with suppress(OSError):  # then the next check has to find out
            _beside(place.resolve(), _SUSPECT).touch(mode=0o600)


def _beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def _refuse_other(path: Path) -> None:
    """StoreError for a file that was never a store. One that begins with zeros may have been: disks leave those behind."""
    with path.open("rb") as file:
        head = file.read(len(_MAGIC))
    if head != _MAGIC and head.strip(b"\0"):
        raise StoreError(
            f"{path} is no store of alertd, and is left as it is: ALERTD_STORE__URL names a file that is something else"
        )


def _damage(path: Path) -> str | None:
    """What is wrong with the file, in SQLite's words."""
    if _beside(path, _SUSPECT).exists():
        return "rows could not be read"
    try:
        with closing(sqlite3.connect(path, timeout=BUSY / SECOND)) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
            return _lack(connection) if found == ["ok"] else found[0]
    except sqlite3.Error as problem:
        if getattr(problem, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            return str(problem)
        raise StoreError(f"the store cannot be used: {explain(problem)}") from None


def _lack(connection: sqlite3.Connection) -> str | None:
    """Which table is not as it was made: their texts are data like any other, and SQLite believes whatever is in them."""
    known = connection.execute("SELECT name FROM sqlite_master WHERE name = 'alembic_version'").fetchone()
    if not known or connection.execute("SELECT version_num FROM alembic_version").fetchone() != (REVISION,):
        return None  # it is still to be made, or migrated
    for table in METADATA.tables.values():
        try:
            connection.execute(str(sa.select(table))).close()
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR:  # locked, no access, a fault of the disk: that may pass
                raise
            return str(problem)
    return None


def _set_aside(path: Path, now: Instant) -> Path:
    """Rename the file and what belongs to it; where it is now."""
    moment = iso(now // SECOND * SECOND).replace("-", "").replace(":", "")
    aside = path.with_name(f"{path.name}.damaged-{moment}")
    # The file first: if we are killed in between, a journal without a file says nothing to SQLite.
    for end in ("", *_BESIDE):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return aside
