"""The store's disk becomes full, or read-only, while incidents open and close; and then it is as before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from tests.cli.shell import Running, until
from tests.soak.machine import EVERY, Machine, full, on_machine, read_only, small_disk
from tests.soak.trial import Shown

_SIZE = "8m"
_BEGUN, _OVER = "nothing can be written", "the store can be written again"
_SAYS = {"full": "its disk is full; free some space", "nearly full": "its disk is full", "read-only": "its disk is read-only"}

_SHORT, _LONG = 2.0, 60.0  # seconds that a fault goes on once it is seen
_RECOVERS = 2 * EVERY + 5


def disk(folder: Path, small: bool) -> Shown:
    """Alive, ready says what to do, one line at each end, nothing lost or twice, no call without a slot, and well by itself."""
    with small_disk(folder / "disk", _SIZE) as place:
        faults: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "full": partial(full, place),
            "read-only": partial(read_only, place),
        }
        if not small:
            faults |= {"nearly full": partial(full, place, 12_288)} | {f"{name} again": each for name, each in faults.items()}
        with on_machine(place) as stage:
            daemon = stage.start(ALERTD_STORE__URL=f"sqlite:///{place}/alertd.db")
            took = {name: _fail(stage, daemon, name, fault, small=small) for name, fault in faults.items()}
            lines = len(stage.lines(daemon, _BEGUN)), len(stage.lines(daemon, _OVER))
            assert lines == (len(faults), len(faults)), lines
            assert daemon.process.poll() is None
    return Shown(
        f"the store's disk {', '.join(faults)}, each for {_SHORT if small else _LONG:g} s, while Slack was keeping a message",
        {
            "lines of log at the beginnings and ends": sum(lines),
            "seconds until well again, at most": round(max(took.values()), 1),
            "most calls in a minute": stage.slow_api.most,
            "messages twice or lost": 0,
        },
    )


def _fail(
    stage: Machine, daemon: Running, name: str, fault: Callable[[], AbstractContextManager[None]], *, small: bool
) -> float:
    """One failure, from an incident's opening to its end."""
    told = [*stage.in_slack()]
    stage.slow_slack.shut = True
    stage.rows.somebody_waits()
    until(lambda: stage.slow_slack.waiting and len(stage.by_mail()) > len(told), "the opening by mail, and at Slack's door")
    with fault():
        stage.slow_slack.shut = False
        stage.rows.somebody_answers()
        ready = until(lambda: _store_trouble(stage, daemon), "the store not ready")
        calls, lines = len(stage.slow_api.arrived), stage.loud(daemon)
        if name in _SAYS:
            assert _SAYS[name] in ready, ready
        until(lambda: len(stage.in_slack()) > len(told), "the opening in Slack")
        time.sleep(_SHORT if small else _LONG)
        if "nearly" not in name:
            assert len(stage.slow_api.arrived) == calls, "a call without a slot"
            assert stage.loud(daemon) == lines, daemon.text
            assert stage.get(daemon, "metrics").status_code == 200
        assert stage.get(daemon, "healthz").text == "ok\n"
    begun = time.monotonic()
    stage.told(*told, "opened", "resolved")
    until(lambda: not stage.ready(daemon), "ready again")
    assert small or time.monotonic() - begun < _RECOVERS, "it took too long to recover"
    return time.monotonic() - begun


def _store_trouble(stage: Machine, daemon: Running) -> str | None:
    return stage.ready(daemon).get("store")
