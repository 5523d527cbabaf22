"""What a tick costs a rule: to judge it, and to settle it in the store. No time is asserted."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.clock import SECOND
from alertd.evaluation.tick import judge_all, know, wanted
from alertd.planning.asking import Asking
from alertd.rulebook.rule import Rule
from alertd.store.database import open_database
from tests.evaluation.world import World, scored

# Which limit the number-th rule has: the median of what comes in is 10.
KINDS: dict[str, Callable[[int], float]] = {
    "quiet": lambda _number: 15,
    "all firing": lambda _number: 5,
    "one in ten firing": lambda number: 5 if number % 10 == 0 else 15,
}
TICKS = 5


def rules(count: int, kind: str) -> list[Rule]:
    """Rules with different limits and filters that all share one answer."""
    limits = [KINDS[kind](number) + number / 1e6 for number in range(count)]
    return [scored(id=f"r{number}", warning=(limit, limit)) for number, limit in enumerate(limits)]


def milliseconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def judged(world: World) -> int:
    """Ask and judge all that is due in five minutes, without settling it."""
    dues = world.dues()
    known = know(world.database, dues)
    return len(list(judge_all(Asking(world.source, wanted(dues, known=known)), dues, known)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 100, 1_000])
@pytest.mark.parametrize("place", ["memory", "file"])
def test_a_tick(place: str, count: int, kind: str, tmp_path: Path) -> None:
    database = open_database("sqlite://" if place == "memory" else f"sqlite:///{tmp_path}/store.db")
    world = World.of(database, *rules(count, kind))
    for number in range(200):
        world.add(number % 21, ago=number * SECOND)
    first = milliseconds(world.check)
    judgings, wholes = list[float](), list[float]()
    for _ in range(TICKS):
        world.clock.advance(300 * SECOND)
        judgings.append(milliseconds(lambda: judged(world)))
        wholes.append(milliseconds(lambda: world.check(0)))
    judging, whole = min(judgings), min(wholes)  # whatever else the machine did made some of them longer
    said = f"{count:>5,} rules, {kind:<17} in {place:<6}"
    print(f"\n{said} first {first / count:>6.2f}, then {judging / count:>5.2f} to judge", end="")
    print(f" + {(whole - judging) / count:>5.2f} to settle (ms a rule)", end="")
    assert len(world.rows("rules")) == count
    database.close()
