"""The long trials of `make soak`, as briefly as they say something. They mostly wait, so they do it together."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.soak.kills import kills, stops
from tests.soak.secrets import secrets
from tests.soak.trial import Shown

TRIALS = (kills, stops, secrets)


@pytest.mark.long
def test_what_the_long_trials_show_holds_for_a_short_while_too(tmp_path: Path) -> None:
    with ThreadPoolExecutor(len(TRIALS)) as pool:
        begun = [pool.submit(_run, trial, tmp_path) for trial in TRIALS]
        for each in begun:
            assert each.result().figures["messages"]


def _run(trial: Callable[[Path, bool], Shown], folder: Path) -> Shown:
    own = folder / trial.__name__
    own.mkdir()
    return trial(own, True)
