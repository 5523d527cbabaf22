"""What the store has, read after every step: all that is small, and of what grows only the part that may have changed.

Read past all of our own code for the store: it sees only what was committed, and costs little, for there are some hundred
looks a day.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from alertd.clock import Duration, Instant
from alertd.facts import State

Row: TypeAlias = Mapping[str, Any]

# Changes with every commit of another connection that wrote anything.
_VERSION = "PRAGMA data_version"

_ALERTS = "SELECT * FROM alerts"
_RULES = "SELECT rule, due_at, as_of, question, evidence, reason, missed, failing_since FROM rules"
_INCIDENTS = """
    SELECT * FROM incidents WHERE id > :after OR closed_at IS NULL OR id IN (SELECT value FROM json_each(:ids)) ORDER BY id
"""
_NOTICES = "SELECT id, incident, kind, at FROM notices WHERE id > :after"
_DELIVERIES = """
    SELECT * FROM deliveries
    WHERE id > :after OR state IN ('queued', 'sending') OR id IN (SELECT value FROM json_each(:ids)) ORDER BY id
"""
_IN_USE = "SELECT count(*) FROM slots WHERE free_at > :now AND boot = :boot"

_FIRES = (State.FIRING.value, State.RECOVERING.value)


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
    _version: int | None = None  # of the store; None: never seen
    _open: list[Row] = field(default_factory=list)  # incidents
    _firing: dict[str, dict[str, Row]] = field(default_factory=dict)  # alerts, by rule and group
    _unsettled: set[int] = field(default_factory=set)

    def firing(self, rule: str) -> Mapping[str, Row]:
        """The alerts of a rule that people count as going on, by group."""
        return self._firing.get(rule, {})

    def open(self, rule: str) -> Row | None:
        """The open incident of a rule."""
        return next((row for row in self._open if row["rule"] == rule), None)

    def story(self, incident: int | None, receiver: str) -> list[Row]:
        """The deliveries of one story."""
        return [self.deliveries[number] for number in self.stories.get((incident, receiver), ())]

    def next_send(self) -> Instant | None:
        """When something can be sent next; None if all is settled."""
        waiting = (self.deliveries[number] for number in self._unsettled)
        moments = (
            row["due_at"] if row["state"] == "queued" else row["lease_until"] for row in waiting if row["state"] != "dead"
        )
        return min((at for at in moments if at is not None), default=None)

    def view(self, rule: str) -> tuple[object, ...]:
        """All that a check may move of a rule."""
        mine = tuple(tuple(row.items()) for (name, _), row in self.alerts.items() if name == rule)
        episodes = tuple(tuple(row.items()) for row in self.incidents.values() if row["rule"] == rule)
        return mine, episodes

    def again(self, store: sqlite3.Connection, now: Duration, boot: str) -> None:
        """Look again."""
        self.new_notices, self.reopened, self.ended, self.changed, self.new = [], [], [], [], []
        ((version,),) = store.execute(_VERSION).fetchall()
        if version != self._version:
            self._version = version
            self.rules = {row["rule"]: row for row in _rows(store, _RULES)}
            self.new_notices = _rows(store, _NOTICES, after=self.newest_notice)
            self.newest_notice = max((row["id"] for row in self.new_notices), default=self.newest_notice)
            self._see_alerts(store)
            self._see_incidents(store)
            self._see_deliveries(store)
        ((self.in_use,),) = store.execute(_IN_USE, {"now": now, "boot": boot}).fetchall()

    def _see_alerts(self, store: sqlite3.Connection) -> None:
        self.alerts = {(row["rule"], row["group"]): row for row in _rows(store, _ALERTS)}
        self._firing = {}
        for (rule, group), row in self.alerts.items():
            if row["state"] in _FIRES:
                self._firing.setdefault(rule, {})[group] = row

    def _see_incidents(self, store: sqlite3.Connection) -> None:
        newest, earlier = next(reversed(self.incidents), 0), [row["id"] for row in self._open]
        found = _rows(store, _INCIDENTS, after=newest, ids=json.dumps(earlier))
        self._open = [row for row in found if row["closed_at"] is None]
        for row in found:
            before = self.incidents.get(row["id"])
            if before is None or before["opened_at"] != row["opened_at"] or (before["closed_at"] and not row["closed_at"]):
                self.reopened.append((before, row))
            if row["closed_at"] is not None:
                self.ended.append(row)
            self.incidents[row["id"]] = row

    def _see_deliveries(self, store: sqlite3.Connection) -> None:
        newest = next(reversed(self.deliveries), 0)
        for row in _rows(store, _DELIVERIES, after=newest, ids=json.dumps(list(self._unsettled))):
            number = row["id"]
            if number > newest:
                self.new.append(row)
                self.stories[row["incident"], row["receiver"]].append(number)
            if self.deliveries.get(number) != row:
                self.changed.append(row)
            self.deliveries[number] = row
            if row["state"] == "sent":
                self._unsettled.discard(number)
            else:  # a dead one may be taken up again
                self._unsettled.add(number)


def _rows(store: sqlite3.Connection, query: str, **values: object) -> list[Row]:
    found = store.execute(query, values)
    names = [each[0] for each in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
