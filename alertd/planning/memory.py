"""What the planner learned, kept in the store over restarts."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from alertd.clock import Instant
from alertd.errors import QueryError
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.reporting.query import Filter, parse_filter
from alertd.store.database import Database
from alertd.store.tables import lessons

# Statements are put together once: that takes SQLAlchemy longer than running them.
_ALL = sa.select(lessons)
_OLD = sa.delete(lessons).where(lessons.c.filters == sa.bindparam("old", type_=sa.String))
_NEW = sa.insert(lessons)


def load_lessons(database: Database) -> dict[frozenset[Filter], Lesson]:
    """All lessons of the store; one that cannot be understood is learned anew."""
    with database.read() as transaction:
        rows = transaction.execute(_ALL).all()
    read = ((_filters(row.filters), row) for row in rows)
    return {filters: Lesson(row.rate, row.bears, row.good) for filters, row in read if filters is not None}


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
        transaction.execute(_OLD, [{"old": row["filters"]} for row in rows])
        transaction.execute(_NEW, rows)


def forget_lessons(database: Database, before: Instant) -> None:
    """Drop lessons about queries that nobody has asked since."""
    with database.write() as transaction:
        transaction.execute(sa.delete(lessons).where(lessons.c.used_at < before))


def _text(filters: frozenset[Filter]) -> str:
    return msgspec.json.encode([each.to_json() for each in sorted(filters, key=repr)]).decode()


def _filters(text: str) -> frozenset[Filter] | None:
    try:
        return frozenset(parse_filter(each) for each in msgspec.json.decode(text, type=list[object]))
    except (msgspec.MsgspecError, QueryError, RecursionError):
        return None
