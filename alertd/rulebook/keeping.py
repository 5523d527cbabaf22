"""The last good rulebook in the store: it runs on while the files are wrong, also after a restart (I8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.store.database import Database
from alertd.store.tables import rulebooks

_ONLY = 1  # the id of the one row


@dataclass(frozen=True)
class Kept:
    """The texts of a rulebook that was taken, by name below the rules folder."""

    revision: str | None
    taken_at: Instant
    files: Mapping[str, str]


def load_kept(database: Database) -> Kept | None:
    """The rulebook that was taken last; None if none ever was."""
    with database.read() as transaction:
        row = transaction.execute(sa.select(rulebooks).where(rulebooks.c.id == _ONLY)).one_or_none()
    return None if row is None else Kept(row.revision, row.taken_at, row.files)


def keep(transaction: sa.Connection, revision: str | None, files: Mapping[str, str], now: Instant) -> None:
    """Keep these texts in place of the last ones; what is there already keeps the time at which it was taken."""
    here = rulebooks.c.id == _ONLY
    row = transaction.execute(sa.select(rulebooks.c.revision, rulebooks.c.files).where(here)).one_or_none()
    values = {"revision": revision, "taken_at": now, "files": dict(files)}
    if row is None:
        transaction.execute(sa.insert(rulebooks).values(id=_ONLY, **values))
    elif (row.revision, row.files) != (revision, values["files"]):
        transaction.execute(sa.update(rulebooks).where(here).values(values))
