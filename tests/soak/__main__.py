"""The long trials, one after the other, and a table of what they have shown: `python -m tests.soak [--small] [NAME ...]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.soak.clock import clock
from tests.soak.damage import damage
from tests.soak.disk import disk
from tests.soak.freeze import freeze
from tests.soak.hostile import hostile
from tests.soak.kills import kills, stops
from tests.soak.pipe import pipe
from tests.soak.secrets import secrets
from tests.soak.simulated import simulation
from tests.soak.trial import Shown, Trial

TRIALS = (
    Trial("simulation", "I1 to I8, I10, I11", simulation),
    Trial("kills", "I1, I4, I5", kills),
    Trial("stops", "I4, I5", stops),
    Trial("freeze", "I1, I5, I10", freeze),
    Trial("clock", "I10", clock),
    Trial("disk", "I1, I5", disk),
    Trial("damage", "I1, I5", damage),
    Trial("pipe", "I5", pipe),
    Trial("hostile", "I7", hostile),
    Trial("secrets", "I9", secrets),
)


_LEAST = 132  # columns of the table, also where nobody says how wide a line may be


@dataclass(frozen=True)
class _Ran:
    trial: Trial
    seconds: float
    shown: Shown | None  # None: the promise was broken
    problem: str = ""


def main(arguments: Sequence[str]) -> int:
    """Run those that are named, or all; 1 if a promise was broken, 2 for a name that there is not."""
    asked = _asked(arguments)
    talk = Console(stderr=True)
    ran = []
    for number, trial in enumerate(asked.trials, 1):
        talk.print(f"[{number}/{len(asked.trials)}] {trial.name}", highlight=False)
        ran.append(_run(trial, small=asked.small))
        talk.print(f"    {_verdict(ran[-1])} after {ran[-1].seconds:.0f} s", highlight=False)
    out = Console()
    out.print(_table(ran), width=max(out.width, _LEAST))
    for each in ran:
        if each.problem:
            talk.print(f"{each.trial.name}: {each.problem}", highlight=False, markup=False)
    return int(any(each.shown is None for each in ran))


@dataclass(frozen=True)
class _Asked:
    trials: tuple[Trial, ...]
    small: bool


def _asked(arguments: Sequence[str]) -> _Asked:
    names = [trial.name for trial in TRIALS]
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all without any")
    parser.add_argument("--small", action="store_true", help="as briefly as in the tests")
    parsed = parser.parse_args(arguments)
    if unknown := [name for name in parsed.names if name not in names]:
        parser.error(f"there is no trial {' or '.join(unknown)}; there are {', '.join(names)}")
    wanted = tuple(trial for trial in TRIALS if not parsed.names or trial.name in parsed.names)
    return _Asked(wanted, parsed.small)


def _run(trial: Trial, *, small: bool) -> _Ran:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"soak-{trial.name}-") as folder:
        try:
            shown, problem = trial.run(Path(folder), small), ""
        except Exception as broken:  # noqa: BLE001 - one trial that fails must not cost the others
            shown, problem = None, f"{type(broken).__name__}: {broken}"
    return _Ran(trial, time.monotonic() - begun, shown, problem)


def _verdict(ran: _Ran) -> str:
    return "held" if ran.shown else "BROKEN"


def _table(ran: Sequence[_Ran]) -> Table:
    table = Table("trial", "promise", "what was done", "figures", "verdict", show_lines=True)
    for each in ran:
        figures = each.shown.figures.items() if each.shown else ()
        shown = "\n".join(f"{name}: {value}" for name, value in figures)
        table.add_row(each.trial.name, each.trial.promise, each.shown.what if each.shown else "", shown, _verdict(each))
    return table


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
