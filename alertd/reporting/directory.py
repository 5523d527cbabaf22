"""Names for ids, for people's eyes only: no rule depends on one, and none is worth waiting for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from alertd.clock import HOUR, MINUTE, SECOND, Clock, Duration
from alertd.errors import AlertdError, Malformed
from alertd.reporting.client import ReportingClient

_LISTS = {
    "firstAgentId": "/users/list",
    "lastAgentId": "/users/list",
    "firstBotId": "/users/list",
    "relatedPlaybookId": "/playbooks/list",
}
_FRESH: Duration = HOUR
_PAUSE: Duration = 5 * MINUTE  # after a failure
_DEADLINE: Duration = 5 * SECOND
_LONGEST = 80  # characters of a name

_log = logging.getLogger(__name__)


@dataclass
class _Names:
    """One list as it was last fetched, and until when it is not fetched again."""

    until: Duration = 0
    known: Mapping[int, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Directory:
    """Names of people, bots and playbooks, fetched as whole lists when first needed. Threads may share it.

    A list is good for an hour. If it cannot be fetched the older one stays, and the next try is in five minutes.
    """

    def __init__(self, client: ReportingClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._lists = {path: _Names() for path in set(_LISTS.values())}

    def name(self, property: str, id: int) -> str | None:  # noqa: A002 - the words of the API
        """The name behind an id, None where there is none or the API does not tell; takes at most 5 s and raises nothing."""
        path = _LISTS.get(property)
        if path is None:
            return None
        names = self._lists[path]
        with names.lock:
            if self._clock.uptime() >= names.until:
                self._refresh(path, names)
            return names.known.get(id)

    def _refresh(self, path: str, names: _Names) -> None:
        try:
            names.known = read_names(self._client.fetch(path, _DEADLINE))
            pause = _FRESH
        except AlertdError as error:
            _log.info("no names from %s for now: %s", path, error)
            pause = _PAUSE
        names.until = self._clock.uptime() + pause


def read_names(body: bytes) -> dict[int, str]:
    """Read a list of users or playbooks, bare or under `data`. Rows without an id or a name are left out."""
    try:
        raw = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raw = None
    rows = raw.get("data") if isinstance(raw, dict) else raw
    if not isinstance(rows, list):
        raise Malformed("the answer is not a list of names")
    named = ((_id(row), _name(row)) for row in rows if isinstance(row, dict))
    return {id_: name for id_, name in named if id_ is not None and name is not None}


def _id(row: dict[str, Any]) -> int | None:
    value = row.get("id")
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _name(row: dict[str, Any]) -> str | None:
    """The name, else the alias; never an e-mail address, which some accounts have for a name."""
    for key in ("name", "alias"):
        value = row.get(key)
        if isinstance(value, str) and "@" not in value:
            shown = "".join(character if character.isprintable() else " " for character in value)
            if name := " ".join(shown.split()):
                return name[:_LONGEST]
    return None
