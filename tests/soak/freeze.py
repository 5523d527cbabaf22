"""The process stands still for a while, in the middle of a call and of a message, and goes on."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.cli.shell import Running, until
from tests.soak.machine import EVERY, Machine, on_machine
from tests.soak.trial import Shown

_SHORT, _LONG = (12.0,), (12.0, 60.0, 60.0, 180.0)  # seconds of each stop


def freeze(folder: Path, small: bool) -> Shown:
    """Nothing lost, twice only what was in flight, missed instants counted, the budget kept, and well again."""
    stops = _SHORT if small else _LONG
    with on_machine(folder / "freeze", repeats=len(stops)) as stage:
        daemon = stage.start()
        slowest = max(_freeze(stage, daemon, number, seconds) for number, seconds in enumerate(stops, 1))
        missed = stage.figure(daemon, "alertd_missed_total")
        assert missed >= sum(seconds // EVERY - 1 for seconds in stops), missed
        daemon.signal(signal.SIGTERM)
        assert daemon.end() == 0
        figures = {"instants missed and counted": round(missed), "messages twice": stage.repeats()}
    return Shown(
        f"stopped for {', '.join(f'{each:g} s' for each in stops)} while a call and a message were under way",
        {**figures, "most calls in a minute": stage.slow_api.most, "seconds until well again, at most": round(slowest, 1)},
    )


def _freeze(stage: Machine, daemon: Running, number: int, seconds: float) -> float:
    """One stop, within the story of one incident; the seconds until it is well again."""
    told = [*stage.in_slack()]
    stage.slow_slack.shut = True
    stage.rows.somebody_waits()
    until(lambda: stage.slow_slack.waiting, "a message at Slack's door")
    stage.slow_api.shut = True
    until(lambda: stage.slow_api.waiting, "a call at the API's door")
    daemon.signal(signal.SIGSTOP)
    stage.slow_slack.shut = stage.slow_api.shut = False
    time.sleep(seconds)
    begun = time.monotonic()
    daemon.signal(signal.SIGCONT)
    until(lambda: not stage.ready(daemon), f"ready after stop {number}")
    took = stage.well_again(daemon)
    stage.told(*told, "opened")
    stage.rows.somebody_answers()
    stage.told(*told, "opened", "resolved")
    return max(took, time.monotonic() - begun - 2 * EVERY)
