"""The simulation: a seed is a run, what must hold holds, and a bug that is planted is caught."""

from __future__ import annotations

import pytest

from alertd.testing.simulation import Violation, simulate
from alertd.testing.simulation.planted import BUGS, Bug

A_QUARTER = 0.25  # of a day
SLACK = 8  # seeds more than the one that is known to catch a bug

# The first seed that catches a bug, where it is not 0: those before it are not played.
CAUGHT = {
    "a slot is stamped when its call is sent": 12,
    "a later message overtakes": 31,
    "an acknowledgement is lost": 9,
    "a silence silences nothing": 6,
    "a message is marked before it is sent": 2,
    "a digest marks more than it told": 2,
    "what a removed rule leaves behind stays open": 5,
    "downtime counts towards `for`": 6,
    "one refused query costs all that share it": 2,
    "a check that the store refused is forgotten": 1,
}


def test_the_same_seed_is_the_same_run() -> None:
    assert simulate(3, 0.1) == simulate(3, 0.1)
    assert simulate(3, 0.1).digest != simulate(4, 0.1).digest


@pytest.mark.parametrize("seed", range(6))
def test_half_a_day_of_faults_breaks_nothing(seed: int) -> None:
    run = simulate(seed, 0.5)
    assert run.crashes > 3
    assert run.evaluations > 100
    assert run.messages > 10


def caught(bug: Bug) -> Violation | None:
    """What the first of a few seeds says that catches it."""
    first = CAUGHT.get(bug.name, 0)
    for seed in range(first, first + SLACK):
        try:
            simulate(seed, A_QUARTER, seams=bug.seams)
        except Violation as violation:
            return violation
    return None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_caught_by_the_invariant_that_it_breaks(bug: Bug) -> None:
    violation = caught(bug)
    assert violation is not None
    assert violation.invariant == bug.invariant, str(violation)


def test_a_violation_says_how_to_see_it_again() -> None:
    bug = next(each for each in BUGS if each.name == "a slot is not given back")
    violation = caught(bug)
    assert violation is not None
    assert str(violation).endswith(f"alertd simulate --seed {violation.seed} --days {A_QUARTER:g}")
    with pytest.raises(Violation) as again:
        simulate(violation.seed, A_QUARTER, seams=bug.seams)
    assert str(again.value) == str(violation)
