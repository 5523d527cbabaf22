"""Which parts a run is made of: the real ones, unless somebody plants a bug."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from alertd.notices.outbox import Outbox
from alertd.planning.fetching import Source
from alertd.reporting.budget import Budget
from alertd.testing.simulation.process import Process


@dataclass(frozen=True)
class Seams:
    """The classes of a run's parts; `around` is entered for its length."""

    outbox: type[Outbox] = Outbox
    budget: type[Budget] = Budget
    source: type[Source] = Source
    process: type[Process] = Process
    around: Callable[[], AbstractContextManager[None]] = nullcontext
