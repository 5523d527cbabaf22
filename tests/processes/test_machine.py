"""The machine fails under a daemon that is a process: its disk, its store's file, its clock, whoever reads its log, its CPU.

The trials of `make soak`, briefly. They mostly wait, so they do it together.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.soak.clock import clock, library
from tests.soak.damage import damage
from tests.soak.disk import disk
from tests.soak.freeze import freeze
from tests.soak.machine import lack_of_mounts
from tests.soak.pipe import pipe
from tests.soak.trial import Shown

LACK = "libfaketime is not installed (on Debian: apt-get install libfaketime)"


@pytest.mark.long
def test_whatever_the_machine_does_the_promises_hold(tmp_path: Path) -> None:
    lacks = {disk: lack_of_mounts(), clock: LACK if library() is None else None}
    if lacks[clock] and os.environ.get("CI"):
        pytest.fail(LACK)
    trials = [each for each in (damage, disk, freeze, pipe, clock) if not lacks.get(each)]
    with ThreadPoolExecutor(len(trials)) as pool:
        for done in [pool.submit(_run, trial, tmp_path) for trial in trials]:
            assert done.result().figures
    if untried := [lack for lack in lacks.values() if lack]:
        pytest.skip("; ".join(untried))


def _run(trial: Callable[[Path, bool], Shown], folder: Path) -> Shown:
    own = folder / trial.__name__
    own.mkdir()
    return trial(own, True)
