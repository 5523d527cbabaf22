"""How much room the store takes."""

from __future__ import annotations

import sqlalchemy as sa

from alertd.store.database import Database

_ON_SERVER = sa.text("SELECT pg_database_size(current_database())")
_IN_FILE = sa.text("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()")


def size_of(database: Database) -> int:
    """Bytes of the store, what is free inside of it included. Raises StoreError."""
    with database.read() as transaction:
        return int(transaction.scalar(_ON_SERVER if database.on_server else _IN_FILE) or 0)
