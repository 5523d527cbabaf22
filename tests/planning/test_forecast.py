"""The forecast: who is sent when, against a simulation second by second; what fits, what is late, who costs how much."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Duration
from alertd.planning.demand import Wanted, affordable
from alertd.planning.forecast import Terms, forecast
from alertd.planning.knowledge import Knowledge, Lesson
from alertd.planning.reports import advice, compare, findings, to_json
from alertd.reporting.query import Filter, Operation
from alertd.rulebook.rule import Rule
from alertd.testing import START, a_rule, a_rulebook


def page(number: int) -> Filter:
    """What only the API can judge: rules with different ones share no request."""
    return Filter("pageUrl", Operation.CONTAINS, (f"/{number}",))


def apart(count: int, every: Duration, **changes: object) -> list[Rule]:
    """Rules that share no request."""
    return [a_rule(id=f"rule-{n}", every=every, filters=(page(n),), **changes) for n in range(count)]


def brute(rules: Sequence[Rule], terms: Terms, lasts: Duration) -> tuple[dict[str, list[int]], dict[str, int]]:
    """When each rule's request is sent, and how long it waits at worst; every rule has a request of its own. Whole seconds."""
    free = [0] * terms.usable
    waiting: list[tuple[int, int, int, int, str]] = []  # class, deadline, place in the line, arrival, rule
    sent: dict[str, list[int]] = {rule.id: [] for rule in rules}
    waited = {rule.id: 0 for rule in rules}
    for now in range(0, lasts + DAY, SECOND):
        for place, rule in enumerate(rules):
            if now < lasts and now % rule.every == 0:
                want = Wanted(rule, START)
                waiting.append((want.place, now + want.patience, now * len(rules) + place, now, rule.id))
        for late in [each for each in waiting if each[1] < now]:
            waiting.remove(late)
            waited[late[4]] = max(waited[late[4]], now - late[3])
        waiting.sort()
        while waiting and min(free) <= now:
            _, _, _, arrived, name = waiting.pop(0)
            free[free.index(min(free))] = now + MINUTE + terms.latency
            sent[name].append(now)
            waited[name] = max(waited[name], now - arrived)
        if now >= lasts and not waiting:
            break
    return sent, waited


def most_in_a_minute(moments: list[int]) -> int:
    return max((sum(start <= each < start + MINUTE for each in moments) for start in moments), default=0)


rulebooks = st.lists(st.tuples(st.sampled_from((10, 20, 30, 60, 120, 300)), st.booleans()), min_size=1, max_size=12).map(
    lambda kinds: [
        a_rule(id=f"rule-{n}", every=every * SECOND, filters=(page(n),), **{"critical" if critical else "warning": (5, 4)})
        for n, (every, critical) in enumerate(kinds)
    ]
)


@given(rulebooks, st.integers(1, 8), st.sampled_from((0, 2, 7)))
@settings(max_examples=60, deadline=None)
def test_it_sends_what_a_simulation_second_by_second_sends(rules: list[Rule], usable: int, latency: int) -> None:
    terms = Terms(usable, latency * SECOND)
    found = forecast(rules, terms=terms)
    sent, waited = brute(rules, terms, math.ceil(HOUR / found.cycle) * found.cycle)
    everything = [moment for moments in sent.values() for moment in moments]
    critical = [moment for rule in rules if rule.worst.value == "critical" for moment in sent[rule.id]]
    assert found.worst_minute == most_in_a_minute(sorted(everything))
    assert found.critical_minute == most_in_a_minute(sorted(critical))
    patience = {rule.id: Wanted(rule, START).patience for rule in rules}
    assert {name for each in found.late for name in each.rules} == {name for name in waited if waited[name] > patience[name]}
    for each in found.requests:
        if each.fits:
            assert each.latest == waited[each.rules[0]]


@given(rulebooks)
@settings(max_examples=60, deadline=None)
def test_costs_add_up_to_the_mean(rules: list[Rule]) -> None:
    found = forecast(rules)
    assert found.mean_per_minute == pytest.approx(sum(MINUTE / rule.every for rule in rules))
    assert sum(found.cost_by_rule.values()) == pytest.approx(found.mean_per_minute)
    assert sum(found.cost_by_owner.values()) == pytest.approx(found.mean_per_minute)
    assert found.worst_minute <= found.usable


def test_a_hundred_hourly_questions_at_the_full_hour_fit_although_they_take_two_minutes() -> None:
    found = forecast(apart(100, HOUR))
    assert (found.fits, found.late, found.worst_minute, found.cycle) == (True, (), 54, HOUR)
    assert found.mean_per_minute == pytest.approx(100 / 60)
    assert max(each.latest for each in found.requests) == 62 * SECOND  # the 55th waits for the first slot to come back


def test_a_hundred_questions_a_minute_do_not_fit_and_are_named() -> None:
    rules = apart(100, MINUTE, owner="support")
    found = forecast(rules)
    assert not found.fits
    assert found.mean_per_minute == pytest.approx(100)
    late = {name for each in found.late for name in each.rules}
    assert len(late) >= 46
    told = advice(found)
    assert "100.0 calls a minute, 54 are there" in told[0]
    assert any("rule-" in line and "pageUrl CONTAINS /" in line for line in told)
    assert {each.rule for each in findings(found, a_rulebook(*rules))} == late


@pytest.mark.parametrize(("count", "fits"), [(50, True), (51, False)])
def test_the_time_that_calls_take_counts_too(count: int, fits: bool) -> None:
    """A slot comes back 62 s after it was taken: with three to spare, each minute's last calls wait two seconds longer."""
    found = forecast(apart(count, MINUTE))
    assert (found.fits, bool(found.late)) == (fits, not fits)


@given(st.sampled_from((5, 10, 15, 20, 30, 60, 90, 120, 300, 600, 3600)), st.integers(20, 60))
@settings(max_examples=60, deadline=None)
def test_as_many_calls_as_the_planner_may_take_fit(seconds: int, usable: int) -> None:
    calls = affordable([a_rule(every=seconds * SECOND)], usable)
    assert forecast(apart(calls, seconds * SECOND), terms=Terms(usable)).fits


def test_critical_rules_wait_less_than_others_where_not_all_fit() -> None:
    critical = [a_rule(id=f"critical-{n}", every=MINUTE, filters=(page(1000 + n),), critical=(5, 4)) for n in range(20)]
    found = forecast([*apart(100, MINUTE), *critical])
    assert (found.fits, found.critical_minute) == (False, 20)
    waits = {each.rules[0]: each.latest for each in found.requests}
    most = max(waits[each.id] for each in critical)
    others = [wait for name, wait in waits.items() if name.startswith("rule")]
    assert most <= min(others)
    assert most < max(others)


def test_a_thousand_rules_that_ask_alike_cost_one_call() -> None:
    rules = [a_rule(id=f"rule-{n}", every=MINUTE, warning=(n + 2, n + 1), owner=f"team-{n % 2}") for n in range(1000)]
    found = forecast(rules)
    assert (found.worst_minute, len(found.requests)) == (1, 1)
    assert found.mean_per_minute == pytest.approx(1)
    assert found.cost_by_rule["rule-7"] == pytest.approx(0.001)
    assert found.cost_by_owner == {"team-0": pytest.approx(0.5), "team-1": pytest.approx(0.5)}


def test_rules_of_different_rhythms_meet_once_a_cycle() -> None:
    rules = [a_rule(id="one", every=60 * SECOND), a_rule(id="two", every=90 * SECOND)]
    found = forecast(rules)
    assert found.cycle == 180 * SECOND
    # 0 s: both in one; 60 s, 90 s, 120 s: one of them. Four calls in three minutes.
    assert found.mean_per_minute == pytest.approx(4 / 3)
    assert found.cost_by_rule == {"one": pytest.approx(2.5 / 3), "two": pytest.approx(1.5 / 3)}
    assert [(each.every, each.rules) for each in found.requests] == [(MINUTE, ("one", "two"))]


def test_rhythms_that_hardly_ever_meet_are_looked_at_for_a_day() -> None:
    found = forecast([a_rule(id=f"{n}", every=n * SECOND, filters=(page(n),)) for n in (61, 67, 71, 73)])
    assert found.cycle == DAY
    assert found.mean_per_minute == pytest.approx(sum(60 / n for n in (61, 67, 71, 73)), rel=0.01)


def test_a_window_that_takes_several_calls_costs_all_of_them() -> None:
    knowledge = Knowledge({frozenset(): Lesson(rate=1, bears=6 * HOUR)})
    found = forecast([a_rule(window=DAY, every=MINUTE)], knowledge)
    assert (found.worst_minute, found.requests[0].calls) == (4, 4)
    assert found.mean_per_minute == pytest.approx(4)


def test_no_rules_ask_nothing() -> None:
    found = forecast([])
    assert (found.rules, found.worst_minute, found.mean_per_minute, found.requests, found.fits) == (0, 0, 0, (), True)
    assert found.headroom == 54


def test_the_planner_makes_rules_fit_that_would_not_fit_if_all_asked_for_themselves() -> None:
    """Many agents, each with few rows, of a team with very many: separate while there are calls for it, else together."""
    agents = [Filter("lastAgentId", Operation.EQ, (number,)) for number in range(400)]
    knowledge = Knowledge({frozenset(): Lesson(rate=500)} | {frozenset({each}): Lesson(rate=0.1) for each in agents})
    for every in (MINUTE, 5 * MINUTE, HOUR):
        rules = [a_rule(id=f"{n}", every=every, filters=(each,), window=DAY) for n, each in enumerate(agents)]
        assert forecast(rules, knowledge).fits


def test_as_json_it_has_the_promised_shape() -> None:
    rules = [a_rule(id="one", every=90 * SECOND, filters=(page(1),), owner="a"), a_rule(id="two", every=1500)]
    data = to_json(forecast(rules))
    assert (data["rules"], data["fits"], set(data["calls"])) == (2, True, {"worst_minute", "mean_per_minute"})
    one, two = sorted(data["requests"], key=lambda each: each["rules"])
    assert (one["every"], two["every"]) == (90, 1.5)
    assert one["filters"] == [{"property": "pageUrl", "operation": "CONTAINS", "values": ["/1"]}]
    assert one["metrics"] == ["timeToAgentResponseMillis"]
    assert set(data["cost"]["owners"]) == {"a", "nobody"}


def test_a_change_is_told_as_what_it_adds() -> None:
    before, now = forecast(apart(3, MINUTE)), forecast([*apart(2, MINUTE), a_rule(id="new", every=30 * SECOND)])
    change = compare(now, before)
    assert (change["rules"], change["requests"], change["mean_per_minute"], change["fits_before"]) == (0, 0, 1, True)
    assert (change["added"], change["removed"]) == (["new"], ["rule-2"])
