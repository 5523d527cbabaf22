"""An imported export as a world: values as they are, without those of events that are still to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Instant
from alertd.reporting.table import Column, Ids, Mask
from alertd.sandbox.columns import Coded, Values
from alertd.sandbox.conversations import BOT_STATUSES, STATUSES

Columns: TypeAlias = Mapping[str, Values]

# Which event each property comes with.
_ARRIVES_WITH: Mapping[str, str] = {
    "firstAgentMessageAt": "firstAgentMessageAt",
    "firstAgentId": "firstAgentMessageAt",
    "lastAgentId": "firstAgentMessageAt",
    "numAgentMessages": "firstAgentMessageAt",
    "timeToAgentResponseMillis": "firstAgentMessageAt",
    "firstBotMessageAt": "firstBotMessageAt",
    "firstBotId": "firstBotMessageAt",
    "numBotMessages": "firstBotMessageAt",
    "firstEndUserMessageAt": "firstEndUserMessageAt",
    "numEndUserMessages": "firstEndUserMessageAt",
    "firstCloseAt": "firstCloseAt",
    "timeToCloseMillis": "firstCloseAt",
}
_COUNTS = frozenset({"numAgentMessages", "numBotMessages", "numEndUserMessages"})


class Imported:
    """A world that was read from a file. Its people are those whose ids stand in it."""

    def __init__(self, columns: Columns, late: Column | None = None) -> None:
        """Takes every property of the document, rows in any order; `late`: for how long (ms) each is not shown at first."""
        order = np.argsort(_floats(columns, "createdAt"), kind="stable")
        self._columns = {name: _take(values, order) for name, values in columns.items()}
        self._created = _floats(self._columns, "createdAt")
        self._shown_from = None if late is None else self._created + late[order]
        agents, bots = _known(columns, "firstAgentId", "lastAgentId"), _known(columns, "firstBotId")
        self.users = [_named(each, "Agent") | {"bot": False} for each in agents if each not in bots]
        self.users += [_named(each, "Bot") | {"bot": True} for each in bots]
        self.playbooks = [_named(each, "Playbook") for each in _known(columns, "relatedPlaybookId")]

    def at(self, now: Instant) -> Shown:
        """What had happened by then."""
        upto = int(np.searchsorted(self._created, now, side="right"))
        rows = slice(upto) if self._shown_from is None else np.flatnonzero(self._shown_from[:upto] <= now)
        return Shown({name: _take(values, rows) for name, values in self._columns.items()}, now)


class Shown:
    """A snapshot of an imported world."""

    def __init__(self, columns: Columns, now: Instant) -> None:
        self._columns = columns
        self._now = now

    @property
    def ids(self) -> Ids:
        """The conversations' ids."""
        return _floats(self._columns, "id").astype(np.int64)

    def column(self, name: str) -> Values:
        """One property as of that instant."""
        if name in _DERIVED:
            return _DERIVED[name](self, name)
        values = self._columns[name]
        if name not in _ARRIVES_WITH or isinstance(values, Coded):
            return values
        return np.where(self._to_come(_ARRIVES_WITH[name]), 0.0 if name in _COUNTS else np.nan, values)

    def _to_come(self, event: str) -> Mask:
        return np.asarray(_floats(self._columns, event) > self._now)

    def _status(self, name: str) -> Coded:
        """Open until the first close."""
        return self._recoded(name, STATUSES, self._to_come("firstCloseAt"), np.zeros(len(self.ids), dtype=np.int64))

    def _bot_status(self, name: str) -> Coded:
        """Made anew where somebody is still to speak."""
        agent, bot = self._to_come("firstAgentMessageAt"), self._to_come("firstBotMessageAt")
        spoken = [~np.isnan(_floats(self._columns, event)) for event in ("firstBotMessageAt", "firstAgentMessageAt")]
        heard = (spoken[0] & ~bot) + 2 * (spoken[1] & ~agent).astype(np.int64)
        return self._recoded(name, BOT_STATUSES, agent | bot, heard)

    def _recoded(self, name: str, words: tuple[str, ...], rows: Mask, codes: NDArray[np.int64]) -> Coded:
        """The column in our words, with our codes in some rows."""
        values = self._columns[name]
        if not isinstance(values, Coded):
            raise TypeError(f"{name} is not coded")
        ours = np.array([*(words.index(word) for word in values.words), -1], dtype=np.int64)[values.codes]
        return Coded(np.where(rows, codes, ours), words)

    def _updated(self, name: str) -> Column:
        """As it is, or the last known event where that update is still to come."""
        values = _floats(self._columns, name)
        latest = _floats(self._columns, "createdAt")
        for event in sorted(set(_ARRIVES_WITH.values())):
            times = _floats(self._columns, event)
            latest = np.fmax(latest, np.where(times <= self._now, times, np.nan))
        return np.where(values > self._now, latest, values)


_DERIVED: Mapping[str, Callable[[Shown, str], Values]] = {
    "status": Shown._status,  # noqa: SLF001 - its own
    "botStatus": Shown._bot_status,  # noqa: SLF001 - its own
    "updatedAt": Shown._updated,  # noqa: SLF001 - its own
}


def _floats(columns: Columns, name: str) -> Column:
    values = columns[name]
    if isinstance(values, Coded):
        raise TypeError(f"{name} is not a number")
    return values


def _take(values: Values, rows: slice | NDArray[np.intp]) -> Values:
    return Coded(values.codes[rows], values.words) if isinstance(values, Coded) else values[rows]


def _known(columns: Columns, *names: str) -> list[int]:
    """The ids that stand in some columns, each once."""
    ids = np.concatenate([_floats(columns, name) for name in names])
    return [int(each) for each in np.unique(ids[~np.isnan(ids)])]


def _named(number: int, role: str) -> dict[str, Any]:
    return {"id": number, "name": f"{role} {number}"}
