"""What holds for every sequence of verdicts: I3 (only evidence moves an alert) and I6 (only known time counts)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, Duration, Instant
from alertd.evaluation.ledger import forget_alerts, load_alerts, save_alerts
from alertd.evaluation.machine import step, step_absent
from alertd.facts import Alert, Change, Evidence, Level, State, Transition
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.testing import START, a_group, a_rule, a_verdict

UNKNOWN = (Evidence.ERROR, Evidence.STALE)
UNMOVING = (*UNKNOWN, Evidence.INSUFFICIENT, Evidence.NO_DATA)


@dataclass(frozen=True)
class Check:
    """One check: how long after the one before, and what was seen (None: an answer without the group)."""

    gap: Duration
    seen: int | Evidence | None


def rules() -> st.SearchStrategy[Rule]:
    spans = st.sampled_from([0, 3 * MINUTE, 5 * MINUTE, 12 * MINUTE, 30 * MINUTE])
    levels = st.sampled_from(
        [
            {"warning": (5, 4)},
            {"warning": (5, 5), "critical": (10, 8)},
            {"critical": (10, 3)},
            {"warning": (5, 7), "direction": "below"},
        ]
    )
    every = st.sampled_from([1 * MINUTE, 5 * MINUTE])
    return st.builds(
        lambda hold, keep, limits, each: a_rule(hold=hold, keep_firing=keep, every=each, by="lastAgentId", **limits),
        spans, spans, levels, every,
    )  # fmt: skip


def checks() -> st.SearchStrategy[list[Check]]:
    gaps = st.sampled_from([1, 1, 1, 1, 2, 7, 300, -40]).map(lambda times: times * MINUTE)
    seen = st.one_of(st.integers(0, 14), st.integers(0, 14), st.sampled_from(UNMOVING), st.none())
    return st.lists(st.builds(Check, gaps, seen), max_size=60)


def drive(rule: Rule, story: Sequence[Check]) -> Iterator[tuple[Instant, Check, Transition]]:
    alert, at = Alert(rule.id, a_group(1)), START
    for each in story:
        at += each.gap
        move = judge(rule, alert, each, at)
        yield at, each, move
        alert = move.after


def judge(rule: Rule, alert: Alert, each: Check, at: Instant) -> Transition:
    if each.seen is None:
        return step_absent(alert, rule, at)
    if isinstance(each.seen, Evidence):
        # Too few values have one, which must not count: here always the one that would move the alert.
        value = {"above": 0.0, "below": 99.0} if alert.fires else {"above": 99.0, "below": 0.0}
        return step(alert, a_verdict(value[rule.limits[0].direction], at=at, group=alert.group, evidence=each.seen), rule)
    return step(alert, a_verdict(float(each.seen), at=at, group=alert.group), rule)


def known(run: Sequence[tuple[Instant, Check]], rule: Rule) -> Duration:
    """How long a run of checks is known to have been over the limit, from the checks alone."""
    answers = [(at, each.seen) for at, each in run if each.seen not in UNMOVING]
    return sum(max(0, min(at - last, rule.every)) for (last, _), (at, seen) in pairwise(answers) if seen is not None)


def over(rule: Rule, value: float) -> bool:
    return any(limit.broken_by(value) for limit in rule.limits)


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_without_evidence_nothing_moves_and_no_timer_runs(rule: Rule, story: list[Check]) -> None:
    for _, each, move in drive(rule, story):
        before, after = move.before, move.after
        if each.seen in UNKNOWN:
            assert after == before
        if each.seen in UNMOVING:
            assert move.change is Change.KEPT
            assert (after.state, after.level, after.held, after.cleared, after.since, after.judged_at) == (
                before.state, before.level, before.held, before.cleared, before.since, before.judged_at,
            )  # fmt: skip


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_a_check_adds_at_most_every_to_a_timer(rule: Rule, story: list[Check]) -> None:
    for _, each, move in drive(rule, story):
        held, cleared = move.after.held - move.before.held, move.after.cleared - move.before.cleared
        assert held <= rule.every
        assert cleared <= rule.every
        if move.before.state is State.PENDING and held > 0:
            assert isinstance(each.seen, int)
            assert over(rule, each.seen)


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_it_fires_as_soon_as_it_is_known_to_have_held_for_and_never_before(rule: Rule, story: list[Check]) -> None:
    run: list[tuple[Instant, Check]] = []
    for at, each, move in drive(rule, story):
        run = [(at, each)] if move.before.state is State.INACTIVE else [*run, (at, each)]
        if move.before.fires:
            continue
        if isinstance(each.seen, int) and over(rule, each.seen):
            assert move.after.fires == (known(run, rule) >= rule.hold)
        else:
            assert not move.after.fires


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_it_ends_only_by_an_answer(rule: Rule, story: list[Check]) -> None:
    absent: Duration = 0
    for _, each, move in drive(rule, story):
        absent = absent + rule.every if each.seen is None else absent if each.seen in UNKNOWN else 0
        if not move.before.fires or move.after.fires:
            continue
        if isinstance(each.seen, int):
            assert move.change is Change.RECOVERED
            limits = [limit for limit in rule.limits if limit.level.rank <= move.before.level.rank]
            assert all(limit.recovered_by(each.seen) for limit in limits)
            assert not over(rule, each.seen)
        else:
            assert (each.seen, move.change) == (None, Change.UNOBSERVED)
            assert absent >= max(rule.window, HOUR)


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_critical_falls_only_when_critical_has_recovered(rule: Rule, story: list[Check]) -> None:
    critical = next((limit for limit in rule.limits if limit.level is Level.CRITICAL), None)
    for _, each, move in drive(rule, story):
        fell = move.before.fires and move.before.level is Level.CRITICAL and move.after.level is not Level.CRITICAL
        if fell and isinstance(each.seen, int):
            assert critical is not None
            assert critical.recovered_by(each.seen)


@given(rules(), checks())
@settings(max_examples=300, deadline=None)
def test_states_follow_each_other_only_as_drawn(rule: Rule, story: list[Check]) -> None:
    drawn = {
        State.INACTIVE: {State.INACTIVE, State.PENDING, State.FIRING},
        State.PENDING: {State.INACTIVE, State.PENDING, State.FIRING},
        State.FIRING: {State.FIRING, State.RECOVERING, State.INACTIVE},
        State.RECOVERING: {State.FIRING, State.RECOVERING, State.INACTIVE},
    }
    for _, _, move in drive(rule, story):
        assert move.after.state in drawn[move.before.state]
        assert (move.after.level is Level.OK) == (move.after.state is State.INACTIVE)
        assert (move.after.since is None) == (move.after.state is State.INACTIVE)


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@given(rule=rules(), story=checks())
@settings(max_examples=40, deadline=None)
def test_an_alert_that_is_loaded_from_the_store_goes_on_as_if_nothing_had_happened(
    database: Database, rule: Rule, story: list[Check]
) -> None:
    with database.write() as transaction:
        forget_alerts(transaction, rule.id)
    blank, at = Alert(rule.id, a_group(1)), START
    for (_, each, expected), check in zip(drive(rule, story), story, strict=True):
        at += check.gap
        with database.read() as transaction:
            loaded = next(iter(load_alerts(transaction, rule.id)), blank)
        move = judge(rule, loaded, each, at)
        assert (move.change, move.after.state, move.after.level, move.after.held, move.after.cleared, move.after.since) == (
            expected.change, expected.after.state, expected.after.level, expected.after.held, expected.after.cleared,
            expected.after.since,
        )  # fmt: skip
        assert move.after == expected.after or move.after.state is State.INACTIVE
        with database.write() as transaction:
            save_alerts(transaction, [move])
