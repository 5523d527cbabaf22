"""What was expected against what was: which alerts pair up, and how a difference reads."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import MINUTE
from alertd.facts import Alert, Group, Level, State
from alertd.ruletests.case import Expected
from alertd.ruletests.comparing import Failure, failures, fits, matched
from tests.ruletests.played import a_book, played

SLOW = """
rules: [slow]
conversations:
  - {each: 1m, to: 60m, timeToAgentResponseMillis: 2m}
  - {each: 1m, from: 60m, to: 120m, timeToAgentResponseMillis: 7m}
"""


def lines(failure: Failure) -> list[str]:
    return [f"{each.sign} {each.text}" for each in failure.lines]


def found(body: str) -> dict[str, list[str]]:
    """Every failure of a test by its title."""
    return {each.title: lines(each) for each in failures(played(body), a_book())}


def an_alert(rule: str = "agents", group: int = 7, level: Level = Level.WARNING, value: float = 25 * MINUTE) -> Alert:
    return Alert(rule, Group("lastAgentId", group), State.FIRING, level, value=value)


expectations = st.lists(
    st.builds(
        Expected,
        rule=st.sampled_from([None, "agents", "slow"]),
        level=st.sampled_from([None, Level.WARNING]),
        group=st.sampled_from([None, "lastAgentId=1", "lastAgentId=2"]),
    ),
    max_size=4,
)
alerts = st.lists(st.builds(an_alert, st.sampled_from(["agents", "slow"]), st.integers(1, 2)), max_size=4)


@given(wanted=expectations, firing=alerts)
def test_as_many_expected_alerts_as_possible_find_one_that_fires(wanted: list[Expected], firing: list[Alert]) -> None:
    book = a_book()
    pairs = matched(wanted, firing, book)
    assert len(set(pairs.values())) == len(pairs)
    assert all(fits(wanted[number], firing[other], book) for number, other in pairs.items())
    places = [*range(len(firing)), *([None] * len(wanted))]
    best = max(
        sum(place is not None and fits(wanted[number], firing[place], book) for number, place in enumerate(order))
        for order in permutations(places, len(wanted))
    )
    assert len(pairs) == best


@pytest.mark.parametrize(
    ("expected", "fit"),
    [
        (Expected("agents"), True),
        (Expected(), True),
        (Expected("slow"), False),
        (Expected(level=Level.CRITICAL), False),
        (Expected(group="lastAgentId=7"), True),
        (Expected(group="lastAgentId=8"), False),
        (Expected(value=25 * MINUTE + 1), True),  # people read the same
        (Expected(value=26 * MINUTE), False),
    ],
)
def test_what_is_left_out_is_not_compared(expected: Expected, fit: bool) -> None:
    assert fits(expected, an_alert(), a_book()) is fit


def test_a_test_that_is_right_has_no_failures() -> None:
    assert found(SLOW + "expect: [{at: 115m, alerts: [{level: warning, value: 7m}]}]\nnotices: [opened]\ncalls: 24") == {}


def test_a_missing_alert_says_what_the_rule_said_instead() -> None:
    expect = ", ".join(f"{{at: {at}, alerts: [{{rule: slow, level: critical}}]}}" for at in ("30m", "105m", "115m"))
    assert found(SLOW + f"expect: [{expect}]") == {
        "alerts at 30m": ["- slow critical   (ok: 2 min is not above 5 min)"],
        "alerts at 1h45m": ["- slow critical   (pending: 7 min, over the limit for 5m of 10m)"],
        "alerts at 1h55m": ["- slow critical   (fires as warning: 7 min)", "+ slow warning, 7 min (above 5 min)"],
    }


def test_an_alert_that_was_not_expected_is_shown_with_its_value_and_limit_beside_those_that_were() -> None:
    body = """
    rules: [agents]
    conversations:
      - {at: 0m, lastAgentId: 7, timeToAgentResponseMillis: 25m}
      - {at: 0m, lastAgentId: 8, timeToAgentResponseMillis: 30m}
      - {at: 0m, lastAgentId: 9, timeToAgentResponseMillis: 1m}
    expect: [{at: 40m, alerts: [{group: {lastAgentId: 7}}, {rule: agents, group: {lastAgentId: 9}}]}]
    """
    assert found(body) == {
        "alerts at 40m": [
            "- agents lastAgentId=9   (ok: within the limit)",
            "+ agents lastAgentId=8 warning, 30 min (above 20 min)",
            "  agents lastAgentId=7 warning, 25 min (above 20 min)",
        ]
    }


def test_the_story_of_each_receiver_is_compared_in_order() -> None:
    crowd = "rules: [crowd]\nconversations: [{at: 5m, count: 4}]\nexpect: [{at: 30m, alerts: []}]\n"
    message = "opened at 6m (crowd critical, 4)"
    end = "resolved at 16m (crowd, 0)"
    assert found(crowd + "notices: {team: [opened, changed, resolved], mail: []}") == {
        "notices of team": [f"  {message}", "- changed", f"  {end}"],
        "notices of mail": [f"+ {message}"],
    }
    assert found(crowd + "notices: [opened, resolved]") == {"notices of mail": [f"  {message}", "- resolved"]}
    assert found(crowd + "notices: {mail: [opened]}") == {}


def test_a_story_that_nobody_heard_is_missed() -> None:
    quiet = "rules: [crowd]\nexpect: [{at: 5m, alerts: []}]\n"
    assert found(quiet + "notices: [opened]") == {"notices": ["- opened"]}
    assert found(quiet + "notices: []") == {}


def test_more_calls_than_allowed_are_a_failure() -> None:
    assert found("rules: [crowd]\nexpect: [{at: 5m, alerts: []}]\ncalls: 4") == {"calls": ["- at most 4", "+ 5"]}
