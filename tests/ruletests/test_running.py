"""Tests are played by the real planner, state machine and outbox, on a clock of their own."""

from __future__ import annotations

from alertd.clock import MINUTE
from alertd.facts import Evidence, State
from alertd.ruletests.running import Run, empty, new_store, run
from tests.ruletests.played import a_book, a_case, played

SLOW = """
rules: [slow]
conversations:
  - {each: 1m, to: 60m, timeToAgentResponseMillis: 2m}
  - {each: 1m, from: 60m, to: 120m, timeToAgentResponseMillis: 7m}
  - {each: 1m, from: 120m, to: 240m, timeToAgentResponseMillis: 1m}
"""

CROWD = """
rules: [crowd]
conversations: [{at: 5m, count: 4}]
"""


def told(found: Run, receiver: str = "team") -> list[tuple[int, str]]:
    """What a receiver was told, with the minutes since the start."""
    return [((each.at - found.case.start) // MINUTE, each.kind.value) for each in found.told if each.receiver == receiver]


def firing(found: Run) -> dict[int, list[str]]:
    """What fires at the moments of `expect`, by minute."""
    return {
        at // MINUTE: sorted(f"{each.rule} {each.group.key} {each.level.value}" for each in standing.alerts if each.fires)
        for at, standing in found.standing.items()
    }


def looks(*minutes: int) -> str:
    return "expect: [" + ", ".join(f"{{at: {each}m, alerts: []}}" for each in minutes) + "]\n"


def test_the_rules_are_checked_at_every_due_instant_after_the_start_up_to_the_last_time_named() -> None:
    found = played("rules: [slow, crowd]\n" + looks(12))
    assert (found.evaluations, found.calls) == (2 + 12, 12)
    assert {each.first_at for each in found.decisions if each.rule == "crowd"} == {found.case.start + MINUTE // 2}


def test_a_rule_fires_when_its_time_has_come_and_resolves() -> None:
    found = played(SLOW + looks(60, 100, 110, 145, 150))
    assert firing(found) == {60: [], 100: [], 110: ["slow  warning"], 145: ["slow  warning"], 150: []}
    assert told(found) == [(110, "opened"), (150, "resolved")]


def test_time_in_which_alertd_was_down_does_not_count_towards_for() -> None:
    body = SLOW + "during: [{at: 101m, do: restart, for: 8m}]\n" + looks(110, 115, 120)
    found = played(body)
    assert firing(found) == {110: [], 115: ["slow  warning"], 120: ["slow  warning"]}
    assert found.evaluations == 48 - 1  # the check of 105m


def test_a_restart_keeps_the_alerts_and_tells_nobody_twice() -> None:
    found = played(SLOW + "during: [{at: 112m, do: restart}, {at: 118m, do: restart, for: 10m}]\n" + looks(112, 125, 240))
    assert firing(found) == {112: ["slow  warning"], 125: ["slow  warning"], 240: []}
    assert told(found) == [(110, "opened"), (150, "resolved")]


def test_a_check_that_falls_on_the_moment_of_a_restart_is_not_made() -> None:
    assert played("rules: [crowd]\nduring: [{at: 3m, do: restart, for: 2m}]\n" + looks(10)).evaluations == 10 - 3


def test_an_outage_moves_nothing() -> None:
    found = played(CROWD + "during: [{at: 8m, do: error, for: 10m}]\n" + looks(7, 17, 18))
    assert firing(found) == {7: ["crowd  critical"], 17: ["crowd  critical"], 18: []}
    assert found.standing[17 * MINUTE].checked["crowd"].evidence is Evidence.ERROR
    assert [at for at, kind in told(found) if kind == "resolved"] == [18]


def test_whoever_is_refused_for_too_many_requests_waits_and_asks_again() -> None:
    found = played(CROWD + "during: [{at: 8m, do: too_many_requests, for: 3m}]\n" + looks(9, 20))
    assert firing(found)[9] == ["crowd  critical"]
    assert found.standing[9 * MINUTE].checked["crowd"].evidence is Evidence.STALE
    assert found.standing[20 * MINUTE].checked["crowd"].evidence is Evidence.OK


def test_a_timeout_costs_calls_and_is_no_evidence() -> None:
    found = played(CROWD + "during: [{at: 8m, do: timeout, for: 1m}]\n" + looks(8, 12))
    assert found.standing[8 * MINUTE].checked["crowd"].evidence in (Evidence.ERROR, Evidence.STALE)
    assert found.standing[12 * MINUTE].checked["crowd"].evidence is Evidence.OK
    assert found.calls > found.evaluations


def test_late_rows_are_counted_when_they_come() -> None:
    late = "during: [{at: 0m, do: late_rows, by: 3m}]\n"
    assert firing(played(CROWD + looks(6))) == {6: ["crowd  critical"]}
    assert firing(played(CROWD + late + looks(6, 7, 8))) == {6: [], 7: [], 8: ["crowd  critical"]}


def test_a_silence_keeps_receivers_from_being_told() -> None:
    silence = "during: [{at: 0m, do: silence, until: 30m, rule: crowd}]\n"
    assert told(played(CROWD + looks(30))) == [(6, "opened"), (16, "resolved")]
    assert told(played(CROWD + silence + looks(30))) == []


def test_each_receiver_hears_its_own_story() -> None:
    found = played(CROWD + looks(30))
    assert told(found, "mail") == [(6, "opened")]  # send_resolved: false
    assert {each.rule for each in found.told} == {"crowd"}


def test_a_budget_that_is_spent_makes_time_pass_rather_than_calls() -> None:
    """A rule that asks far more often than 54 times a minute allows is late, and the API is never asked more."""
    rules = "rules:\n" + "".join(
        f"  - {{id: r{n}, every: 1m, window: 1h, notify: team, measure: count, critical: {{above: 1}}, "
        f'filters: [{{property: pageUrl, operation: CONTAINS, values: ["/{n}"]}}]}}\n'
        for n in range(70)
    )
    found = played(looks(3), a_book(rules))
    assert found.calls <= 54 * 4
    assert any(each.evidence is Evidence.STALE for each in found.standing[3 * MINUTE].checked.values())


def test_a_test_leaves_nothing_behind_for_the_next() -> None:
    database, case = new_store(), a_case(CROWD + looks(8))
    try:
        first = run(case, a_book(), database)
        empty(database)
        again = run(case, a_book(), database)
    finally:
        database.close()
    assert (told(again), firing(again), again.calls) == (told(first), firing(first), first.calls)
    assert [each.state for each in again.standing[8 * MINUTE].alerts] == [State.FIRING]
