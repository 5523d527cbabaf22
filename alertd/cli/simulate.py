"""`alertd simulate`: for developers, weeks of faults in seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, print_json, say

if TYPE_CHECKING:
    from alertd.clock import Clock
    from alertd.testing.simulation import Run


def simulate(
    seed: Annotated[int, typer.Option(help="The first run; the same seed is the same run.")] = 0,
    days: Annotated[float, typer.Option(min=0.01, help="How long each run lasts, on its own clock.")] = 1.0,
    seeds: Annotated[int, typer.Option(min=1, help="How many runs, each with the next seed.")] = 1,
    json: Json = False,
) -> None:
    """For developers: run alertd on a virtual clock among peers that fail, and check that what must hold holds.

    Ends with 1 at the first run in which something does not hold, and says how to see that again.
    """
    from alertd.clock import SystemClock
    from alertd.testing.simulation import Violation

    clock = SystemClock()
    found = list[dict[str, Any]]()
    for number in range(seed, seed + seeds):
        try:
            found.append(_one(number, days, clock))
        except Violation as violation:
            say(f"alertd: {violation}")
            found.append({"seed": number, "days": days, "violation": violation.invariant, "text": str(violation)})
            break
        if not json:
            typer.echo(_line(found[-1]))
    if json:
        print_json(found)
    if "violation" in found[-1]:
        raise typer.Exit(1)


def _one(seed: int, days: float, clock: Clock) -> dict[str, Any]:
    from alertd.testing.simulation import simulate as play

    began = clock.uptime()
    run = play(seed, days)
    return _figures(run) | {"seconds": (clock.uptime() - began) / 1000}


def _figures(run: Run) -> dict[str, Any]:
    return {
        "seed": run.seed,
        "days": run.days,
        "steps": run.steps,
        "evaluations": run.evaluations,
        "notices": run.notices,
        "messages": run.messages,
        "crashes": run.crashes,
        "faults": dict(sorted(run.faults.items())),
        "happened": dict(sorted(run.happened.items())),
        "hash": run.digest,
    }


def _line(run: dict[str, Any]) -> str:
    counts = ", ".join(f"{run[name]} {name}" for name in ("steps", "evaluations", "notices", "messages", "crashes"))
    faults = sum(run["faults"].values())
    return f"seed {run['seed']}: {run['days']:g} days, {counts}, {faults} faults, hash {run['hash']}, {run['seconds']:.1f} s"
