"""What a trial is, and what it has shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Shown:
    """What was done, and what came of it in figures."""

    what: str
    figures: Mapping[str, int | float | str]


@dataclass(frozen=True)
class Trial:
    """A promise put to the test. `run` gets an empty folder and whether to be brief; AssertionError where it is broken."""

    name: str
    promise: str  # "I5": which of docs/reliability.md
    run: Callable[[Path, bool], Shown]
