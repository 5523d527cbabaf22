"""When rules are due: every instant of the grid once, whatever the clock does (I10)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND, Duration, Instant
from alertd.evaluation.schedule import Due, all_due, due, next_instant
from alertd.testing import START, a_rule

RULE = a_rule(every=5 * MINUTE)


def test_a_rule_that_never_ran_waits_for_the_first_instant_after_the_start() -> None:
    started = START + MINUTE
    assert due(RULE, None, started, started) is None
    assert due(RULE, None, started, START + 5 * MINUTE - 1) is None
    assert due(RULE, None, started, START + 5 * MINUTE) == Due(RULE, START + 5 * MINUTE)


def test_a_start_exactly_on_the_grid_does_not_run_that_instant() -> None:
    assert due(RULE, None, START, START) is None


def test_an_instant_is_run_once() -> None:
    assert due(RULE, START, START, START + 5 * MINUTE - 1) is None
    assert due(RULE, START, START, START + 5 * MINUTE) == Due(RULE, START + 5 * MINUTE)


def test_it_is_due_on_the_grid_however_late_it_is_asked() -> None:
    assert due(RULE, START, START, START + 7 * MINUTE) == Due(RULE, START + 5 * MINUTE)


def test_missed_instants_become_one_run_and_are_counted() -> None:
    assert due(RULE, START, START, START + 60 * MINUTE) == Due(RULE, START + 60 * MINUTE, missed=11)


def test_a_clock_set_back_runs_each_instant_once_more_at_most() -> None:
    back = START - HOUR
    assert due(RULE, START, START, back + 1) == Due(RULE, back)
    assert due(RULE, back, START, back + 2) is None
    assert due(RULE, back, START, back + 5 * MINUTE) == Due(RULE, back + 5 * MINUTE)


def test_another_grid_after_a_reload_misses_nothing_that_was_not_there() -> None:
    slower = a_rule(every=5 * MINUTE)
    assert due(slower, START + 4 * MINUTE, START, START + 5 * MINUTE) == Due(slower, START + 5 * MINUTE, missed=0)
    faster = a_rule(every=MINUTE)
    assert due(faster, START + 5 * MINUTE, START, START + 8 * MINUTE) == Due(faster, START + 8 * MINUTE, missed=2)


def test_the_next_instant_is_that_of_the_first_rule_and_lies_ahead() -> None:
    rules = [a_rule(id="a", every=5 * MINUTE), a_rule(id="b", every=2 * MINUTE)]
    assert next_instant(rules, START) == START + 2 * MINUTE
    assert next_instant(rules, START + 4 * MINUTE + 1) == START + 5 * MINUTE
    assert next_instant([], START) is None


def test_only_rules_that_are_due_are_returned() -> None:
    rules = {each.id: each for each in (a_rule(id="a", every=MINUTE), a_rule(id="b", every=5 * MINUTE), a_rule(id="c"))}
    now = START + MINUTE
    assert [each.rule.id for each in all_due(rules, {"a": START, "b": START}, START, now)] == ["a"]


def test_a_rule_that_was_added_waits_for_its_first_instant() -> None:
    rules, now = {each.id: each for each in (a_rule(id="old"), a_rule(id="new"), a_rule(id="newest"))}, START + 7 * MINUTE
    known = {"old": START, "new": START + 6 * MINUTE}
    assert [each.rule.id for each in all_due(rules, {}, known, now)] == ["old"]
    assert [each.rule.id for each in all_due(rules, {}, known, START + 10 * MINUTE)] == ["old", "new"]


def grid(every: Duration, first: Instant, last: Instant) -> list[Instant]:
    """The instants of the grid in (first, last], one by one."""
    return [each for each in range(first - first % every, last + 1, every) if each > first]


moves = st.lists(st.sampled_from([1, 7, 61, 600, 4_000, -1, -90, -2_000]).map(lambda each: each * SECOND), max_size=40)


@given(every=st.sampled_from([10 * SECOND, 45 * SECOND, 5 * MINUTE, 7 * MINUTE]), steps=moves)
@settings(max_examples=300, deadline=None)
def test_brute_force_agrees_whatever_the_clock_does(every: Duration, steps: list[Duration]) -> None:
    rule, now, last = a_rule(every=every), START, START - START % every
    runs: list[Instant] = []
    for step in steps:
        now += step
        found = due(rule, last, START, now)
        between = grid(every, last, now)
        set_back = last > now
        if between:
            assert found == Due(rule, between[-1], len(between) - 1)
        elif set_back:
            assert found == Due(rule, now - now % every)
        else:
            assert found is None
        if found:
            assert found.at <= now
            assert found.at != last
            runs.append(found.at)
            last = found.at
        assert due(rule, last, START, now) is None  # asked again at once
    backwards = sum(step < 0 for step in steps)
    assert all(runs.count(at) <= 1 + backwards for at in runs)


@given(every=st.sampled_from([10 * SECOND, 5 * MINUTE]), steps=st.lists(st.integers(1, 20 * MINUTE), max_size=40))
@settings(max_examples=200, deadline=None)
def test_while_time_only_goes_forward_every_instant_is_run_once_or_counted_as_missed(every: int, steps: list[int]) -> None:
    rule, now, last, runs, missed = a_rule(every=every), START, START, 0, 0
    for step in steps:
        now += step
        if found := due(rule, last, START, now):
            runs, missed, last = runs + 1, missed + found.missed, found.at
    assert runs + missed == len(grid(every, START, now))
