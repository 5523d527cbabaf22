"""Between ticks: learn, audit what was fused, keep calls for critical rules, and say when the rules ask too much."""

from __future__ import annotations

import random
from collections.abc import Callable

import structlog

from alertd.clock import DAY, MINUTE, Clock, Duration, Instant
from alertd.errors import StoreDown, StoreError
from alertd.planning.asking import Asking
from alertd.planning.audit import Audit
from alertd.planning.fetching import Source
from alertd.planning.forecast import Forecast, Terms, forecast
from alertd.planning.memory import forget_lessons, save_lessons
from alertd.rulebook.rule import Rulebook
from alertd.store.database import Database

_log = structlog.get_logger()

# How long what critical rules need is kept from background work, unless it is claimed again.
CLAIM: Duration = 10 * MINUTE

# Lessons about queries that nobody has asked for so long are forgotten.
_FORGET: Duration = 30 * DAY


class Steering:
    """What the daemon does about its plans. `tell` is given each new forecast."""

    def __init__(
        self, source: Source, database: Database, clock: Clock, tell: Callable[[Forecast], None], chance: random.Random
    ) -> None:
        self._source, self._database, self._clock, self._tell = source, database, clock, tell
        self._audit = Audit(source, chance)
        self._claimed = 0

    def new_rulebook(self, book: Rulebook) -> None:
        """Rules have changed: what was kept apart may share requests again, and the forecast is another."""
        self._source.knowledge.new_rulebook()
        self._audit.new_rulebook()
        found = forecast(book.rules.values(), self._source.knowledge, Terms(usable=self._source.budget.usable))
        self._claimed = min(found.critical_minute, self._source.budget.usable)
        self._tell(found)
        if not found.fits:
            late = [rule for each in found.late for rule in each.rules]
            _log.warning(
                "the rules ask more than the budget has; some will not be checked in time", rules=len(late), some=late[:5]
            )
        self.claim()

    def claim(self) -> None:
        """Keep what critical rules need in their worst minute from background work, for the next minutes."""
        try:
            self._source.budget.claim(self._claimed, CLAIM)
        except StoreDown:  # the daemon says so
            pass
        except StoreError as problem:
            _log.error("no calls kept for critical rules", error=str(problem))

    def look_back(self, asking: Asking, asked_at: Instant) -> None:
        """After a tick: keep what was learned, and compare a shared answer with a separate one where calls are to spare."""
        try:
            save_lessons(self._database, self._source.knowledge, self._clock.now())
            self._audit.look(asking, asked_at)
        except StoreDown:
            pass
        except StoreError as problem:
            _log.error("nothing learned from this check", error=str(problem))

    def forget(self) -> None:
        """Drop lessons that have not been of use for long."""
        forget_lessons(self._database, self._clock.now() - _FORGET)
