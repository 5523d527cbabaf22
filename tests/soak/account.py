"""What must be true of a store and of what people have, after a daemon was ended again and again."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# I4, of a story that has ended, in the letters of its kinds.
_LETTERS = {"opened": "o", "escalated": "e", "changed": "c", "reminder": "m", "resolved": "r", "refreshed": ""}
_STORY = re.compile(r"([oe][cme]*r)+")


@dataclass(frozen=True)
class Row:
    """A row of the outbox."""

    id: int
    incident: int
    receiver: str
    kind: str
    key: str
    state: str
    digest: str | None
    lease: str | None


@dataclass(frozen=True)
class End:
    """What was being sent when a daemon ended: how many messages, and the keys under which they may have gone out."""

    messages: int
    keys: frozenset[str]


@dataclass(frozen=True)
class Store:
    """The outbox in its order, and of each incident whether it is over."""

    rows: tuple[Row, ...] = ()
    over: Mapping[int, bool] = field(default_factory=dict)

    def names(self) -> frozenset[tuple[object, ...]]:
        """All that must never vanish or become another: its deliveries and incidents."""
        rows = {(row.id, row.incident, row.receiver, row.kind, row.key) for row in self.rows}
        return frozenset(rows | {("incident", number) for number in self.over})

    def end(self) -> End:
        """What was being sent when the daemon ended."""
        sending = [row for row in self.rows if row.state == "sending"]
        keys = frozenset(key for row in sending for key in (row.key, row.digest) if key)
        return End(len({row.lease for row in sending}), keys)

    def stories(self) -> Mapping[tuple[int, str], Sequence[Row]]:
        """By incident and receiver, in order."""
        found = defaultdict[tuple[int, str], list[Row]](list)
        for row in self.rows:
            found[row.incident, row.receiver].append(row)
        return found


def read(path: Path) -> Store:
    """What a store holds that nobody writes to now; AssertionError where SQLite finds it damaged."""
    if not path.exists():
        return Store()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'deliveries'").fetchone():
            return Store()
        rows = connection.execute("SELECT id, incident, receiver, kind, key, state, digest, lease FROM deliveries ORDER BY id")
        over = connection.execute("SELECT id, closed_at IS NOT NULL FROM incidents")
        return Store(tuple(Row(*row) for row in rows), {number: bool(closed) for number, closed in over})


@dataclass(frozen=True)
class Account:
    """What was found at the ends of daemons, what their store holds at last, and the messages that people have, in order.

    `committed` are the names of all that any of them left in the store. `told` hear of every incident from its beginning.
    """

    ends: Sequence[End]
    committed: frozenset[tuple[object, ...]]
    last: Store
    taken: Sequence[str]
    told: frozenset[str]

    def lost(self) -> list[str]:
        """What was committed and is not there any more, and what is not sent, or called sent and reached nobody."""
        found = [f"committed, and gone: {name}" for name in self.committed - self.last.names()]
        found += [f"not sent: {row}" for row in self.last.rows if row.state != "sent"]
        reached = set(self.taken)
        sent = [row for row in self.last.rows if row.state == "sent" and row.kind != "refreshed"]
        # A message may have told of others too; they bear its key.
        return found + [f"sent, and nobody has it: {row}" for row in sent if not reached & {row.key, row.digest}]

    def crooked(self) -> list[str]:
        """Stories that are not as I4 has them, did not come in their order, or that somebody was not told."""
        return [*self._untold(), *(each for story in self.last.stories().values() for each in self._crooked(story))]

    def repeats(self) -> int:
        """How many messages came once more."""
        return len(self.taken) - len(set(self.taken))

    def excessive(self) -> list[str]:
        """What came more often than can be: once, and once more for each end of a daemon that was sending it."""
        excused = Counter(key for end in self.ends for key in end.keys)
        came = Counter(self.taken)
        known = {key for row in self.last.rows for key in (row.key, row.digest)}
        often = [key for key, count in came.items() if count > 1 + excused[key]]
        twice = [row for row in self.last.rows if row.kind != "refreshed" and {row.key, row.digest} <= came.keys()]
        return [
            *(f"came {came[key]} times, and was being sent at {excused[key]} ends: {key}" for key in often),
            *(f"came by itself and in another message: {row}" for row in twice),
            *(f"came, and was never committed: {key}" for key in came.keys() - known),
        ]

    def _untold(self) -> list[str]:
        heard = {
            number: {receiver for incident, receiver in self.last.stories() if incident == number} for number in self.last.over
        }
        found = [f"incident {number} is still open" for number, over in self.last.over.items() if not over]
        return found + [
            f"incident {number} was told to {sorted(names)} only" for number, names in heard.items() if self.told - names
        ]

    def _crooked(self, story: Sequence[Row]) -> list[str]:
        told = f"incident {story[0].incident} was told to {story[0].receiver}"
        letters = "".join(_LETTERS[row.kind] for row in story)
        spoken = [row for row in story if row.kind != "refreshed"]
        places = [self._first[key] for row in spoken for key in (row.key, row.digest) if key in self._first]
        found = [] if _STORY.fullmatch(letters) else [f"{told} as {letters}"]
        return found + ([] if places == sorted(places) else [f"{told} out of order: {letters} in messages {places}"])

    @cached_property
    def _first(self) -> Mapping[str | None, int]:
        """At which place each message came for the first time."""
        return {key: place for place, key in reversed(list(enumerate(self.taken)))}
