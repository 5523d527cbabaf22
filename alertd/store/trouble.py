"""Whether a store can be written, as people are told of it: once when it begins and once when it is over for good."""

from __future__ import annotations

from enum import Enum, auto

from alertd.store.database import Database

# A disk that is nearly full takes a small write and refuses the next: so many looks without a failure end a trouble.
CALM = 5


class Change(Enum):
    """What a look has found to be new."""

    BEGUN = auto()
    OVER = auto()


class Trouble:
    """Look again and again, in equal steps. `text` says what is wrong while something is."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = database.failures
        self._calm = 0
        self.text: str | None = None

    def look(self) -> Change | None:
        """What has changed since the last look."""
        before, self._seen = self._seen, self._database.failures
        failed, down = self._seen != before, self._database.down
        self._calm = 0 if failed or down else self._calm + 1
        if failed and self.text is None:
            self.text = down or self._database.failure
            return Change.BEGUN
        if self.text is not None and self._calm >= CALM:
            self.text = None
            return Change.OVER
        self.text = self.text and (down or self.text)
        return None
