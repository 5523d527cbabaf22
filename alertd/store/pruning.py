"""Forgetting: history older than the retention goes; the last state stays for ever."""

from __future__ import annotations

import sqlalchemy as sa

from alertd.clock import Instant
from alertd.facts import CONVERSATION
from alertd.store.database import Database
from alertd.store.tables import decisions, deliveries, incidents, notices, silences

# Rows per transaction: others must be able to write in between.
_BATCH = 1_000


def prune(database: Database, before: Instant) -> int:
    """Delete what ended before that instant: decision records, closed incidents with their notices and deliveries, reports,
    silences.

    The newest record of each rule stays, and of each of its groups except single conversations, which would add up for ever;
    and so does an incident or report of which something is still to be sent.
    """
    of_rule = sa.select(sa.func.max(decisions.c.id)).group_by(decisions.c.rule).scalar_subquery()
    lasting = decisions.c.group.not_like(f"{CONVERSATION}=%")
    of_group = sa.select(sa.func.max(decisions.c.id)).where(lasting).group_by(decisions.c.rule, decisions.c.group)
    gone = decisions.c.id.not_in(of_rule) & decisions.c.id.not_in(of_group.scalar_subquery())
    old = sa.select(decisions.c.id).where(decisions.c.last_at < before, gone)
    unsent = sa.exists().where(deliveries.c.state.in_(("queued", "sending")))
    over = sa.select(incidents.c.id).where(
        incidents.c.closed_at < before, ~unsent.where(deliveries.c.incident == incidents.c.id)
    )
    told = ~unsent.where(deliveries.c.notice == notices.c.id)
    reports = sa.select(notices.c.id).where(notices.c.incident.is_(None), notices.c.at < before, told)
    ended = sa.select(silences.c.id).where(silences.c.until < before)
    which = ((decisions, old), (incidents, over), (notices, reports), (silences, ended))
    return sum(_delete(database, table, rows) for table, rows in which)


def _delete(database: Database, table: sa.Table, which: sa.Select[tuple[int]]) -> int:
    total = 0
    while True:
        with database.write() as transaction:
            ids = transaction.scalars(which.limit(_BATCH)).all()
            transaction.execute(sa.delete(table).where(table.c.id.in_(ids)))
        total += len(ids)
        if len(ids) < _BATCH:
            return total
