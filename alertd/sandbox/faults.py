"""Answers that go wrong on cue, and how they are written on the command line."""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from alertd.clock import SECOND, Duration
from alertd.durations import parse_duration
from alertd.errors import SettingsError
from alertd.reporting.properties import suggest

SLOW: Duration = 3 * SECOND


class FaultKind(StrEnum):
    """How an answer goes wrong."""

    TIMEOUT = "timeout"  # no answer until the API's time limit, then 504
    TOO_MANY = "429"  # as if somebody else had spent the budget
    INTERNAL = "500"
    CUT = "cut"  # half the body, then the connection breaks
    SLOW = "slow"  # the right answer, late


@dataclass(frozen=True, slots=True)
class Fault:
    """One way of going wrong, for `rate` of the calls (0 to 1). `pause` is how late a slow answer is, in ms."""

    kind: FaultKind
    rate: float
    pause: Duration = SLOW


def parse_faults(texts: Iterable[str]) -> tuple[Fault, ...]:
    """Read faults like `429:0.05` or `slow:0.2:3s`; SettingsError says what is meant."""
    faults = tuple(parse_fault(text) for text in texts)
    total = sum(each.rate for each in faults)
    if total > 1 + 1e-9:
        raise SettingsError(f"--fault: the rates add up to {total:g}; a call goes wrong in one way only, so they may reach 1")
    return faults


def parse_fault(text: str) -> Fault:
    """Read one fault: its kind, its rate, and how long if it is slow."""
    match = re.fullmatch(r"([^:]*):([^:]*)(?::([^:]*))?", text)
    try:
        kind, rate, pause = match.groups() if match else (text, "", None)
        found = Fault(_kind(kind), _rate(rate), parse_duration(pause) if pause else SLOW)
    except ValueError as error:
        raise SettingsError(f'--fault "{text}": {error}; write it like timeout:0.1 or slow:0.2:3s') from None
    if pause is not None and found.kind is not FaultKind.SLOW:
        raise SettingsError(f'--fault "{text}": only slow has a duration; write it like {kind}:{rate}')
    return found


class Luck:
    """Decides which calls go wrong, the same way for the same seed. `faults` may be replaced at any time."""

    def __init__(self, faults: Iterable[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self._random = random.Random(seed)  # noqa: S311 - nothing secret hangs on it
        self._lock = threading.Lock()

    def draw(self) -> Fault | None:
        """How the next call goes wrong, if it does."""
        with self._lock:
            left = self._random.random()
        for fault in self.faults:
            left -= fault.rate
            if left < 0:
                return fault
        return None


def _kind(name: str) -> FaultKind:
    try:
        return FaultKind(name)
    except ValueError:
        meant = suggest(name, FaultKind)
        hint = f'did you mean "{meant}"' if meant else f"there are {', '.join(FaultKind)}"
        raise ValueError(f'there is no fault "{name}"; {hint}') from None


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise ValueError(f'"{text}" is not a rate from 0 to 1')
    return rate
