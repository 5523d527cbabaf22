"""What the store has, read after every step: all that is small, and of what grows only the part that may have changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import sqlalchemy as sa

from alertd.clock import Duration
from alertd.facts import State
from alertd.store.database import Database
from alertd.store.tables import alerts, deliveries, incidents, notices, rules, slots

Row: TypeAlias = Mapping[str, Any]

_IDS: sa.BindParameter[Any] = sa.bindparam("ids", expanding=True)
_AFTER: sa.BindParameter[Any] = sa.bindparam("after")
_ALERTS, _RULES = sa.select(alerts), sa.select(*(each for each in rules.c if each is not rules.c.trail))
_INCIDENTS = sa.select(incidents).where((incidents.c.id > _AFTER) | incidents.c.closed_at.is_(None) | incidents.c.id.in_(_IDS))
_NOTICES = sa.select(notices.c.id, notices.c.incident, notices.c.kind, notices.c.at).where(notices.c.id > _AFTER)
_DELIVERIES = (
    sa.select(deliveries)
    .where((deliveries.c.id > _AFTER) | deliveries.c.state.in_(("queued", "sending")) | deliveries.c.id.in_(_IDS))
    .order_by(deliveries.c.id)
)
_IN_USE = sa.select(sa.func.count()).where(slots.c.free_at > sa.bindparam("now"), slots.c.boot == sa.bindparam("boot"))

UNSENT = ("queued", "sending")


@dataclass
class Look:
    """The store as it was seen last, and what was new then."""

    alerts: dict[tuple[str, str], Row] = field(default_factory=dict)
    rules: dict[str, Row] = field(default_factory=dict)
    incidents: dict[int, Row] = field(default_factory=dict)
    deliveries: dict[int, Row] = field(default_factory=dict)
    in_use: int = 0
    newest_notice: int = 0
    new_notices: list[Row] = field(default_factory=list)
    changed: list[Row] = field(default_factory=list)  # deliveries that are new or not as they were
    new: list[Row] = field(default_factory=list)  # deliveries
    reopened: list[tuple[Row | None, Row]] = field(default_factory=list)  # incidents that began: as they were, as they are
    ended: list[Row] = field(default_factory=list)
    stories: dict[tuple[int | None, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    by_key: dict[str, int] = field(default_factory=dict)
    _unsettled: set[int] = field(default_factory=set)

    def firing(self, rule: str) -> dict[str, Row]:
        """The alerts of a rule that people count as going on, by group."""
        there = (State.FIRING.value, State.RECOVERING.value)
        return {key: row for (name, key), row in self.alerts.items() if name == rule and row["state"] in there}

    def open(self, rule: str) -> Row | None:
        """The open incident of a rule."""
        return next((row for row in self.incidents.values() if row["rule"] == rule and row["closed_at"] is None), None)

    def story(self, incident: int | None, receiver: str) -> list[Row]:
        """The deliveries of one story."""
        return [self.deliveries[number] for number in self.stories.get((incident, receiver), ())]

    def view(self, rule: str) -> tuple[object, ...]:
        """All that a check may move of a rule."""
        mine = tuple(tuple(row.items()) for (name, _), row in self.alerts.items() if name == rule)
        episodes = tuple(tuple(row.items()) for row in self.incidents.values() if row["rule"] == rule)
        return mine, episodes

    def again(self, database: Database, now: Duration, boot: str) -> None:
        """Look again."""
        with database.read() as transaction:
            self.alerts = {(row["rule"], row["group"]): row for row in _rows(transaction, _ALERTS)}
            self.rules = {row["rule"]: row for row in _rows(transaction, _RULES)}
            after = {"after": self.newest_notice}
            self.new_notices = list(_rows(transaction, _NOTICES, after))
            self.newest_notice = max((row["id"] for row in self.new_notices), default=self.newest_notice)
            self._see_incidents(transaction)
            self._see_deliveries(transaction)
            self.in_use = transaction.scalar(_IN_USE, {"now": now, "boot": boot}) or 0

    def _see_incidents(self, transaction: sa.Connection) -> None:
        going_on = [number for number, row in self.incidents.items() if row["closed_at"] is None]
        self.reopened, self.ended = [], []
        for row in _rows(transaction, _INCIDENTS, {"after": max(self.incidents, default=0), "ids": going_on}):
            before = self.incidents.get(row["id"])
            if before is None or before["opened_at"] != row["opened_at"] or (before["closed_at"] and not row["closed_at"]):
                self.reopened.append((before, row))
            if row["closed_at"] is not None:
                self.ended.append(row)
            self.incidents[row["id"]] = row

    def _see_deliveries(self, transaction: sa.Connection) -> None:
        self.changed, self.new = [], []
        newest = max(self.deliveries, default=0)
        for row in _rows(transaction, _DELIVERIES, {"after": newest, "ids": list(self._unsettled)}):
            number = row["id"]
            if number > newest:
                self.new.append(row)
                self.stories[row["incident"], row["receiver"]].append(number)
                self.by_key[row["key"]] = number
            if self.deliveries.get(number) != row:
                self.changed.append(row)
            self.deliveries[number] = row
            if row["state"] == "sent":
                self._unsettled.discard(number)
            else:  # a dead one may be taken up again
                self._unsettled.add(number)


def _rows(transaction: sa.Connection, query: sa.Select[Any], values: Mapping[str, object] | None = None) -> list[Row]:
    return [dict(row) for row in transaction.execute(query, values or {}).mappings()]
