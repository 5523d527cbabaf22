"""From tables to verdicts: groups, evidence, level and examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.errors import BudgetSpent, TimedOut
from alertd.evaluation.judging import failed, judge, level_of
from alertd.facts import CONVERSATION, Evidence, Group, Level, Verdict, Window
from alertd.planning.needs import needs_of
from alertd.reporting.table import Table
from alertd.rulebook.rule import Rule
from alertd.testing import START, a_group, a_rule, a_table

TTR = "timeToAgentResponseMillis"
EMPTY = a_table(ids=[])


def verdicts(rule: Rule, table: Table, numerator: Table | None = None) -> tuple[Verdict, ...]:
    needs = needs_of(rule, START)
    tables = {needs.selection: table} | ({needs.numerator: numerator} if needs.numerator and numerator is not None else {})
    return judge(rule, needs, tables.__getitem__, START).verdicts


def only(rule: Rule, table: Table, numerator: Table | None = None) -> Verdict:
    (verdict,) = verdicts(rule, table, numerator)
    return verdict


def empty(*columns: str) -> Table:
    return Table(np.array([], np.int64), {name: np.array([], float) for name in columns})


def test_the_window_ends_at_as_of_and_speaks_of_the_rules_timestamp() -> None:
    rule = a_rule(window=2 * HOUR, timestamp="firstCloseAt")
    assert only(rule, a_table(**{TTR: [1.0]})).window == Window(START - 2 * HOUR, START, "firstCloseAt")


def test_a_verdict_says_what_was_measured_of_how_much() -> None:
    verdict = only(a_rule(), a_table(**{TTR: [4 * MINUTE, 8 * MINUTE, None]}))
    assert (verdict.value, verdict.conversations, verdict.entered) == (6.0 * MINUTE, 3, 2)
    assert (verdict.evidence, verdict.level, verdict.group) == (Evidence.OK, Level.WARNING, Group())
    assert verdict.reason == "6 min is above 5 min"


def test_a_good_value_says_which_limit_it_keeps() -> None:
    rule = a_rule(warning=(5 * MINUTE, 4 * MINUTE), critical=(15 * MINUTE, 10 * MINUTE))
    assert only(rule, a_table(**{TTR: [2 * MINUTE]})).reason == "2 min is not above 5 min"


def test_rows_without_the_property_form_no_group() -> None:
    table = a_table(lastAgentId=[7, None, 9, 7], **{TTR: [10 * MINUTE, 99 * MINUTE, MINUTE, 20 * MINUTE]})
    found = {each.group: each for each in verdicts(a_rule(by="lastAgentId"), table)}
    assert found.keys() == {a_group(7), a_group(9)}
    assert (found[a_group(7)].value, found[a_group(7)].level, found[a_group(7)].conversations) == (
        15.0 * MINUTE,
        Level.WARNING,
        2,
    )
    assert (found[a_group(9)].value, found[a_group(9)].level) == (1.0 * MINUTE, Level.OK)


def test_a_group_whose_conversations_have_no_value_has_no_data_beside_others_that_have() -> None:
    table = a_table(lastAgentId=[7, 9], **{TTR: [None, MINUTE]})
    found = {each.group: each.evidence for each in verdicts(a_rule(by="lastAgentId"), table)}
    assert found == {a_group(7): Evidence.NO_DATA, a_group(9): Evidence.OK}


@pytest.mark.parametrize("table", [empty("lastAgentId", TTR), a_table(lastAgentId=[None], **{TTR: [1.0]})])
def test_without_any_group_there_is_one_verdict_without_data(table: Table) -> None:
    verdict = only(a_rule(by="lastAgentId"), table)
    assert (verdict.group, verdict.evidence, verdict.level) == (Group(), Evidence.NO_DATA, None)


def test_more_groups_than_max_groups_is_an_error_of_the_whole_rule() -> None:
    table = a_table(lastAgentId=[1, 2, 3], **{TTR: [99 * MINUTE] * 3})
    verdict = only(a_rule(by="lastAgentId", max_groups=2), table)
    assert (verdict.evidence, verdict.level, verdict.value) == (Evidence.ERROR, None, None)
    assert "3 groups are more than max_groups: 2" in verdict.reason
    assert len(verdicts(a_rule(by="lastAgentId", max_groups=3), table)) == 3


def test_single_conversations_have_no_greatest_number() -> None:
    rule = a_rule(by=CONVERSATION, max_groups=2)
    found = verdicts(rule, a_table(ids=[11, 12, 13], **{TTR: [MINUTE, 9 * MINUTE, None]}))
    assert [(each.group.id, each.evidence, each.level) for each in found] == [
        (11, Evidence.OK, Level.OK),
        (12, Evidence.OK, Level.WARNING),
        (13, Evidence.NO_DATA, None),
    ]
    assert {each.group.by for each in found} == {CONVERSATION}


def test_ids_stay_whole_numbers_up_to_the_largest_that_a_float_can_tell_apart() -> None:
    largest = 2**53 - 1
    table = a_table(lastAgentId=[float(largest)], **{TTR: [1.0]})
    assert only(a_rule(by="lastAgentId"), table).group.id == largest
    assert only(a_rule(by=CONVERSATION), a_table(ids=[2**63 - 1], **{TTR: [1.0]})).group.id == 2**63 - 1


NOTHING: list[tuple[Any, tuple[str, ...], float | None]] = [
    ("count", (), 0.0),
    ({"distinct": "lastAgentId"}, ("lastAgentId",), 0.0),
    ("waiting", (TTR, "firstAgentMessageAt", "numEndUserMessages", "firstEndUserMessageAt", "firstCloseAt"), 0.0),
    ({"median": TTR}, (TTR,), None),
    ({"p90": TTR}, (TTR,), None),
    ({"mean": TTR}, (TTR,), None),
    ({"max": TTR}, (TTR,), None),
    ({"min": TTR}, (TTR,), None),
    ({"stddev": TTR}, (TTR,), None),
    ({"share": {"property": TTR, "operation": "LTE", "values": [5]}}, (TTR,), None),
]


@pytest.mark.parametrize(("measure", "columns", "value"), NOTHING, ids=lambda each: str(each)[:20])
def test_an_empty_answer_is_an_answer_for_whatever_counts_and_no_data_for_the_rest(
    measure: Any, columns: tuple[str, ...], value: float | None
) -> None:
    verdict = only(a_rule(measure=measure, warning=(5, 5)), empty(*columns))
    assert (verdict.value, verdict.evidence) == (value, Evidence.NO_DATA if value is None else Evidence.OK)


def test_silence_fires_a_count_below_one() -> None:
    rule = a_rule(measure="count", direction="below", critical=(1, 1))
    assert only(rule, EMPTY).level is Level.CRITICAL
    assert only(rule, a_table(ids=[1])).level is Level.OK


def test_min_conversations_counts_the_values_that_enter_the_measure() -> None:
    rule = a_rule(min_conversations=3)
    few = only(rule, a_table(**{TTR: [99 * MINUTE, 99 * MINUTE, None]}))
    assert (few.evidence, few.level, few.value) == (Evidence.INSUFFICIENT, None, 99.0 * MINUTE)
    assert few.reason == "2 values are fewer than min_conversations: 3"
    assert only(rule, a_table(**{TTR: [99 * MINUTE] * 3})).evidence is Evidence.OK


def test_min_conversations_holds_for_each_group_by_itself() -> None:
    table = a_table(lastAgentId=[7, 7, 9], **{TTR: [9 * MINUTE] * 3})
    found = {each.group.id: each.evidence for each in verdicts(a_rule(by="lastAgentId", min_conversations=2), table)}
    assert found == {7: Evidence.OK, 9: Evidence.INSUFFICIENT}


SHARE = {"share": {"property": "botStatus", "operation": "EQ", "values": ["NO_RESPONSE"]}}


def test_a_share_over_a_text_is_the_ids_that_both_answers_have() -> None:
    rule = a_rule(measure=SHARE, warning=(0.2, 0.2))
    needs = needs_of(rule, START)
    assert needs.numerator is not None
    assert needs.numerator.window == needs.selection.window
    verdict = only(rule, a_table(ids=[1, 2, 3, 4]), a_table(ids=[2, 4, 99]))
    assert (verdict.value, verdict.entered, verdict.level) == (0.5, 4, Level.WARNING)
    assert verdict.examples == (2, 4)


def test_the_examples_of_a_share_are_on_its_wrong_side() -> None:
    rule = a_rule(measure=SHARE, direction="below", warning=(0.9, 0.9))
    verdict = only(rule, a_table(ids=[1, 2, 3, 4]), a_table(ids=[2, 4]))
    assert verdict.level is Level.WARNING
    assert verdict.examples == (1, 3)


def test_examples_are_the_conversations_that_stand_out_most() -> None:
    table = a_table(ids=[10, 20, 30, 40, 50], **{TTR: [7 * MINUTE, 9 * MINUTE, None, 8 * MINUTE, 1 * MINUTE]})
    assert only(a_rule(), table).examples == (20, 40, 10)
    low = a_rule(direction="below", warning=(8 * MINUTE, 9 * MINUTE))
    assert only(low, table).examples == (50, 10, 40)


def test_examples_are_of_their_own_group_and_only_of_one_that_is_over_the_limit() -> None:
    table = a_table(ids=[1, 2, 3, 4, 5], lastAgentId=[7, 9, 7, None, 8], **{TTR: [5, 6, 7, 99, 1]})
    found = {each.group.id: each.examples for each in verdicts(a_rule(by="lastAgentId", warning=(1, 1)), table)}
    assert found == {7: (3, 1), 8: (), 9: (2,)}


def test_a_conversation_is_its_own_example() -> None:
    assert only(a_rule(by=CONVERSATION), a_table(**{TTR: [9 * MINUTE]})).examples == ()


@given(
    rows=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, None]), st.one_of(st.none(), st.integers(0, 20 * MINUTE))), min_size=1, max_size=40
    )
)
@settings(max_examples=200, deadline=None)
def test_groups_are_judged_as_if_each_were_alone(rows: list[tuple[int | None, int | None]]) -> None:
    table = a_table(lastAgentId=[agent for agent, _ in rows], **{TTR: [value for _, value in rows]})
    together = {each.group: each for each in verdicts(a_rule(by="lastAgentId"), table) if each.group.id is not None}
    assert {group.id for group in together} == {agent for agent, _ in rows if agent is not None}
    for group, verdict in together.items():
        alone = only(a_rule(), table.take(table.columns["lastAgentId"] == group.id))
        same = (verdict.value, verdict.level, verdict.evidence, verdict.conversations, verdict.entered, verdict.examples)
        assert same == (alone.value, alone.level, alone.evidence, alone.conversations, alone.entered, alone.examples)


def test_no_answer_in_time_is_stale_and_any_other_failure_an_error() -> None:
    rule = a_rule(by="lastAgentId")
    needs = needs_of(rule, START)
    for problem, evidence in ((BudgetSpent("spent"), Evidence.STALE), (TimedOut("slow"), Evidence.ERROR)):
        (verdict,) = failed(rule, needs, problem, START).verdicts
        assert (verdict.evidence, verdict.level, verdict.reason) == (evidence, None, str(problem))


@pytest.mark.parametrize("value", [0.0, 4.0, 5.0, 5.1, 9.0, 10.0, 10.1, 15.0, 15.1, math.inf])
def test_a_level_is_left_only_by_way_of_its_recovery(value: float) -> None:
    rule = a_rule(warning=(5, 4), critical=(15, 10))
    fresh = Level.CRITICAL if value > 15 else Level.WARNING if value > 5 else Level.OK
    assert level_of(rule, value, Level.OK) is fresh
    assert level_of(rule, value, Level.WARNING) is max(
        fresh, Level.WARNING if value > 4 else Level.OK, key=lambda each: each.rank
    )
    assert level_of(rule, value, Level.CRITICAL) is (Level.CRITICAL if value > 10 else Level.WARNING if value > 4 else Level.OK)


def test_waiting_is_judged_as_of_the_windows_end() -> None:
    rule = a_rule(measure="waiting", warning=(5 * MINUTE, 5 * MINUTE))
    columns: dict[str, list[float | None]] = {
        TTR: [None],
        "firstAgentMessageAt": [None],
        "numEndUserMessages": [1],
        "firstEndUserMessageAt": [START - 6 * MINUTE],
        "firstCloseAt": [None],
    }
    assert only(rule, a_table(**columns)).value == 6.0 * MINUTE
    closed = columns | {"firstCloseAt": [START - SECOND]}
    assert only(rule, a_table(**closed)).value == 0.0


def test_a_share_whose_own_query_brings_nothing_is_zero() -> None:
    rule = a_rule(measure=SHARE, warning=(0.2, 0.2))
    verdict = only(rule, a_table(ids=[1, 2, 3]), a_table(ids=[]))
    assert (verdict.value, verdict.level, verdict.examples) == (0, Level.OK, ())
