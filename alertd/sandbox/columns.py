"""What the embedded API serves: one column a property, as of one instant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Instant
from alertd.reporting.table import Column, Ids, Mask

Codes: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class Coded:
    """A column of texts, booleans or lists of tags: each row's place in `words`, -1 where the conversation has none."""

    codes: Codes
    words: tuple[Any, ...]

    def pick(self, holds: Callable[[Any], bool], *, absent: bool) -> Mask:
        """The rows whose word satisfies `holds`; those without the property get `absent`."""
        verdicts = np.array([*(holds(word) for word in self.words), absent], dtype=np.bool_)
        return verdicts[self.codes]


Values: TypeAlias = Column | Coded


class Snapshot(Protocol):
    """The conversations that exist at one instant, oldest first, with what had happened to them by then."""

    @property
    def ids(self) -> Ids:
        """The conversations' ids, unique."""
        ...

    def column(self, name: str) -> Values:
        """One property of the document: floats with NaN where absent, or coded values."""
        ...


class World(Protocol):
    """Conversations, and who takes part in them. May be asked from several threads."""

    users: list[dict[str, Any]]
    playbooks: list[dict[str, Any]]

    def at(self, now: Instant) -> Snapshot:
        """What the API shows at that instant."""
        ...


def encode(values: list[Any]) -> Coded:
    """Code plain values, None where absent; lists must be tuples by now. An empty tuple counts as absent."""
    places: dict[Any, int] = {}
    codes = [-1 if value in (None, ()) else places.setdefault(value, len(places)) for value in values]
    return Coded(np.array(codes, dtype=np.int64), tuple(places))
