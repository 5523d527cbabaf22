"""Somebody sets the wall clock, back and far forward, while an incident goes on. libfaketime sets it for the daemon alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.cli.shell import Running, until
from tests.soak.machine import EVERY, LATE, Machine, SetClock, on_machine
from tests.soak.trial import Shown

_LIBRARIES = ("x86_64-linux-gnu", "aarch64-linux-gnu")
_HOUR, _DAY = 3600, 86_400
_FEW = (-_HOUR, 30 * _DAY, 0)
_MANY = (-1, -_HOUR, _HOUR, 0, 30 * _DAY, 0, 3650 * _DAY, 0)
_GROWS, _BUSY = 20.0, 4.0  # megabytes and seconds of CPU at most, for a step
_NOTICED = 3.0  # seconds: steps of less are no news


def library() -> Path | None:
    """libfaketime, of Debian's package of the same name."""
    places = (Path("/usr/lib") / each / "faketime" / "libfaketimeMT.so.1" for each in _LIBRARIES)
    return next((each for each in places if each.exists()), None)


def clock(folder: Path, small: bool) -> Shown:
    """Rules go on within their interval, nothing is told twice or lost, no memory and no CPU goes, one line says so."""
    fake, steps, world = library(), _FEW if small else _MANY, SetClock()
    assert fake, "libfaketime is not installed (on Debian: apt-get install libfaketime)"
    with on_machine(folder / "clock", world) as stage:
        offset = stage.folder / "offset"
        _set(offset, world, 0)
        daemon = stage.start(
            LD_PRELOAD=str(fake), FAKETIME_TIMESTAMP_FILE=str(offset), FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1"
        )
        stage.rows.somebody_waits()
        stage.told("opened")
        memory, before, news = _memory(daemon), 0, 0
        took, cpu = list[float](), list[float]()
        for step in steps:
            news += abs(step - before) > _NOTICED
            before, spent = step, _cpu(daemon)
            took.append(_step(stage, daemon, partial(_set, offset, world, step)))
            assert small or took[-1] < EVERY + LATE, f"the next check after {took[-1]:.1f} s"
            cpu.append(_cpu(daemon) - spent)
            assert len(stage.lines(daemon, "the clock was set")) == news, daemon.text
        grown = _memory(daemon) - memory
        assert grown < _GROWS, f"{grown:.0f} MB more"
        assert max(cpu) < _BUSY, f"{max(cpu):.1f} s of CPU"
        stage.rows.somebody_answers()
        stage.told("opened", "resolved")
        daemon.signal(signal.SIGTERM)
        assert daemon.end() == 0
    figures = {"seconds to the next check, at most": round(max(took), 1), "MB more": round(grown, 1), "lines about it": news}
    done = ", ".join(f"{step:+d} s" for step in steps)
    return Shown(f"the wall clock set to {done} of the real time", figures | {"CPU seconds, at most": round(max(cpu), 1)})


def _step(stage: Machine, daemon: Running, act: Callable[[], None]) -> float:
    """Set the clock, and wait for the next check; the seconds that took."""
    checked = stage.checked(daemon)
    act()
    begun = time.monotonic()
    until(lambda: stage.checked(daemon) > checked, "the next check")
    took = time.monotonic() - begun
    time.sleep(1.5)  # for the watcher, which looks every second
    return took


def _set(offset: Path, world: SetClock, seconds: int) -> None:
    new = offset.with_name("offset.new")
    new.write_text(f"{seconds:+d}\n", encoding="ascii")
    new.replace(offset)
    world.offset = seconds * 1000


def _memory(daemon: Running) -> float:
    """Megabytes that it has in memory."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="utf-8")
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


def _cpu(daemon: Running) -> float:
    """Seconds of CPU that it has used."""
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
