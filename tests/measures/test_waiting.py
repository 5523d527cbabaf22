"""The waiting count, in the design's words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from alertd import measures
from alertd.clock import HOUR, MINUTE, SECOND
from alertd.measures.base import ANSWER_TIME, WAITING_METRICS, waited
from tests.measures.brute import AS_OF, Case, Row

TEN = 10 * MINUTE


def waits(**changes: float | None) -> Row:
    """A visitor who wrote ten minutes ago and got no answer, but for the changes."""
    row: dict[str, float | None] = {"numEndUserMessages": 1, "firstEndUserMessageAt": AS_OF - TEN}
    return {name: value for name, value in (row | changes).items() if value is not None}


def one(row: Row) -> Case:
    return Case((row,), (0,), 1)


@pytest.mark.parametrize(
    ("row", "wait", "still_open"),
    [
        (waits(), TEN, TEN),
        (waits(numEndUserMessages=5), TEN, TEN),
        (waits(timeToAgentResponseMillis=1), None, 0),
        (waits(firstAgentMessageAt=AS_OF - MINUTE), None, 0),
        (waits(numEndUserMessages=0), None, 0),
        (waits(numEndUserMessages=None), None, 0),
        (waits(firstEndUserMessageAt=None), None, 0),
        (waits(firstCloseAt=AS_OF - MINUTE), TEN - MINUTE, 0),
        (waits(firstCloseAt=AS_OF), TEN, 0),
        (waits(firstCloseAt=AS_OF + SECOND), TEN, TEN),
        (waits(firstEndUserMessageAt=AS_OF + SECOND), 0, 0),
        (waits(firstCloseAt=AS_OF - HOUR), 0, 0),
    ],
)
def test_who_waits_and_how_long(row: Row, wait: float | None, still_open: float) -> None:
    sample = one(row).sample(extra=WAITING_METRICS)
    assert waited(sample).tolist() == [pytest.approx(math.nan if wait is None else wait, nan_ok=True)]
    assert measures.build("waiting").compute(sample).values.tolist() == [still_open]


def test_nobody_at_all_waits_for_no_time() -> None:
    sample = Case((), (), 1).sample(extra=WAITING_METRICS)
    assert measures.build("waiting").compute(sample).values.tolist() == [0]


def test_a_median_without_the_waiting_flatters_and_with_them_does_not() -> None:
    quick = {ANSWER_TIME: float(MINUTE), "numEndUserMessages": 1.0}
    case = Case((quick, waits(), waits()), (0, 0, 0), 1)
    measure = measures.build({"median": ANSWER_TIME})
    assert measure.compute(case.sample(extra=WAITING_METRICS)).values.tolist() == [MINUTE]
    found = measure.compute(case.sample(as_waited=True, extra=WAITING_METRICS))
    assert (found.values.tolist(), found.entered.tolist()) == ([TEN], [3])


def test_who_stands_out_is_who_waits_and_nobody_else() -> None:
    case = Case((waits(), waits(firstCloseAt=AS_OF - MINUTE), waits(timeToAgentResponseMillis=5.0)), (0, 0, 0), 1)
    scores = measures.build("waiting").compute(case.sample(extra=WAITING_METRICS)).scores
    assert scores is not None
    assert np.array_equal(scores, [TEN, np.nan, np.nan], equal_nan=True)
