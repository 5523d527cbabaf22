from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import MINUTE
from alertd.sandbox.limiter import Limiter


def test_the_sixty_first_call_in_a_minute_waits_until_the_first_is_a_minute_old() -> None:
    limiter = Limiter(60)
    assert [limiter.arrive(second * 500) for second in range(60)] == [None] * 60
    assert limiter.arrive(30_000) == 30_000
    assert limiter.arrive(59_999) == 1
    assert limiter.arrive(60_000) is None
    assert limiter.arrive(60_000) == 500


def test_refused_calls_do_not_prolong_the_wait_but_are_counted() -> None:
    limiter = Limiter(1)
    limiter.arrive(0)
    assert [limiter.arrive(moment) for moment in range(1, 1000)] == [MINUTE - moment for moment in range(1, 1000)]
    assert limiter.arrive(MINUTE) is None
    assert (limiter.stats.calls, limiter.stats.refused, limiter.stats.most_in_a_minute) == (1001, 999, 1000)


@given(st.lists(st.integers(0, 200_000), max_size=60).map(sorted), st.integers(0, 5))
def test_never_more_than_the_limit_pass_in_any_minute(arrivals: list[int], limit: int) -> None:
    limiter = Limiter(limit)
    passed = [moment for moment in arrivals if limiter.arrive(moment) is None]
    assert all(sum(start <= moment < start + MINUTE for moment in passed) <= limit for start in passed)
    most = max((sum(start <= moment < start + MINUTE for moment in arrivals) for start in arrivals), default=0)
    assert limiter.stats.most_in_a_minute == most
    assert limiter.stats.refused == len(arrivals) - len(passed)
