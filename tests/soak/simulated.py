"""Many simulated days, each with a seed of its own, on all cores."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from alertd.testing.simulation import Run, Violation, simulate
from tests.soak.trial import Shown

DAYS = 1.0
_SEEDS, _SMALL = 500, 4
_WEEKS, _FROM = 5, 1000  # seeds of whole weeks, which are not those of the days


def simulation(folder: Path, small: bool) -> Shown:
    """A day of each seed and some whole weeks: what must hold holds after every step, and a seed is a run."""
    del folder
    runs = [(seed, DAYS) for seed in range(_SMALL if small else _SEEDS)]
    runs += [] if small else [(_FROM + seed, 7.0) for seed in range(_WEEKS)]
    begun = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        played = list(pool.map(_play, *zip(*runs, strict=True), chunksize=4))
    seconds = time.monotonic() - begun
    broken = [each for each in played if isinstance(each, str)]
    assert not broken, "\n".join(broken)
    return Shown("virtual days of faults, kills and reloads", _figures([e for e in played if isinstance(e, Run)], seconds))


def _play(seed: int, days: float) -> Run | str:
    try:
        return simulate(seed, days)
    except Violation as violation:  # it does not survive the way between processes
        return str(violation)


def _figures(runs: Sequence[Run], seconds: float) -> dict[str, int | float | str]:
    days = sum(run.days for run in runs)
    return {
        "seeds": len(runs),
        "days": days,
        "steps": sum(run.steps for run in runs),
        "evaluations": sum(run.evaluations for run in runs),
        "messages": sum(run.messages for run in runs),
        "kills": sum(run.crashes for run in runs),
        "faults": sum(run.faults.total() for run in runs),
        "violations": 0,
        "seconds a day on one core": round(seconds * (os.cpu_count() or 1) / days, 1),
    }
