"""A source over any function that answers queries, with a budget of its own."""

from __future__ import annotations

import time

from alertd.clock import SECOND, Clock
from alertd.planning.fetching import Ask, Source
from alertd.reporting.budget import Budget
from alertd.reporting.gate import Gate
from alertd.store.database import Database
from alertd.store.meter import UptimeMeter
from alertd.testing.clock import FakeClock


def a_source(ask: Ask, database: Database, clock: Clock, *, calls_per_minute: int = 10_000, reserve: int = 0) -> Source:
    """A source whose budget is in `database`; by default too large to matter. Waiting for a slot moves a fake clock.

    Calls are made one by one by whoever fetches, unless that is within `Source.working`.
    """
    budget = Budget(database, clock, calls_per_minute=calls_per_minute, reserve=reserve, meter=UptimeMeter(clock))
    pause = clock.advance if isinstance(clock, FakeClock) else lambda wait: time.sleep(wait / SECOND)
    return Source(ask, budget, Gate(lambda: "token", clock), clock, patience=10 * SECOND, pause=pause)
