"""What the planner learned, kept in the store over restarts."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from alertd.clock import Instant
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.reporting.query import Filter, parse_filter
from alertd.store.database import Database
from alertd.store.tables import lessons


def load_lessons(database: Database) -> dict[frozenset[Filter], Lesson]:
    """All lessons of the store."""
    with database.read() as transaction:
        rows = transaction.execute(sa.select(lessons)).all()
    return {_filters(row.filters): Lesson(row.rate, row.bears, row.good) for row in rows}


def save_lessons(database: Database, knowledge: Knowledge, now: Instant) -> None:
    """Write the lessons that are new since the last time, in one transaction; nothing is written where there are none."""
    changed = knowledge.take_changes()
    if not changed:
        return
    rows = [
        {"filters": _text(filters), "rate": each.rate, "bears": each.bears, "good": each.good, "used_at": now}
        for filters, each in changed.items()
    ]
    with database.write() as transaction:
        old = sa.delete(lessons).where(lessons.c.filters == sa.bindparam("old"))
        transaction.execute(old, [{"old": row["filters"]} for row in rows])
        transaction.execute(sa.insert(lessons), rows)


def forget_lessons(database: Database, before: Instant) -> None:
    """Drop lessons about queries that nobody has asked since."""
    with database.write() as transaction:
        transaction.execute(sa.delete(lessons).where(lessons.c.used_at < before))


def _text(filters: frozenset[Filter]) -> str:
    return msgspec.json.encode([each.to_json() for each in sorted(filters, key=repr)]).decode()


def _filters(text: str) -> frozenset[Filter]:
    return frozenset(parse_filter(each) for each in msgspec.json.decode(text))
