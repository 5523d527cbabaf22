"""Forgetting: history older than the retention goes; the last state stays for ever."""

from __future__ import annotations

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.store.database import Database
from alertd.store.tables import decisions, deliveries, incidents

# Rows per transaction: others must be able to write in between.
_BATCH = 1_000


def prune(database: Database, before: Instant) -> int:
    """Delete decision records and closed incidents, with their notices and deliveries, that ended before that instant.

    The newest record of each group stays, and so does an incident of which something is still to be sent.
    """
    newest = sa.select(sa.func.max(decisions.c.id)).group_by(decisions.c.rule, decisions.c.group).scalar_subquery()
    old = sa.select(decisions.c.id).where(decisions.c.last_at < before, decisions.c.id.not_in(newest))
    unsent = sa.select(deliveries.c.incident).where(deliveries.c.state.in_(("queued", "sending"))).scalar_subquery()
    over = sa.select(incidents.c.id).where(incidents.c.closed_at < before, incidents.c.id.not_in(unsent))
    return _delete(database, decisions, old) + _delete(database, incidents, over)


def _delete(database: Database, table: sa.Table, which: sa.Select[tuple[int]]) -> int:
    total = 0
    while True:
        with database.write() as transaction:
            ids = transaction.scalars(which.limit(_BATCH)).all()
            transaction.execute(sa.delete(table).where(table.c.id.in_(ids)))
        total += len(ids)
        if len(ids) < _BATCH:
            return total
