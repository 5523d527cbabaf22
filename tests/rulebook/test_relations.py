"""Keys that must agree with each other, with defaults, and with the names of other files."""

from __future__ import annotations

import pytest

from alertd.rulebook.relations import Known
from tests.rulebook.authors import said_of

RULE = """\
rules:
  - id: slow
    every: 5m
    window: 1h
    measure: count
    critical: {below: 5}
    notify: support-slack
"""


def messages(text: str, known: Known | None = None) -> list[str]:
    found = said_of(text, known) if known else said_of(text)
    return [each.message for each in found]


def test_a_calendar_that_nobody_knows_is_told_with_the_one_that_was_meant() -> None:
    (finding,) = said_of(RULE + "    calendar: ofice-hours\n")

    assert (finding.message, finding.line, finding.column) == ('there is no calendar "ofice-hours"', 8, 15)
    assert finding.suggestion == "office-hours"


def test_names_are_not_doubted_while_their_file_cannot_be_read() -> None:
    unclear = Known(receivers=None, calendar_names=None)

    assert messages(RULE + "    calendar: anything\n    escalate: {after: 1h, notify: anybody}\n", unclear) == []


def test_a_cron_expression_takes_the_place_of_the_defaults_every() -> None:
    text = "defaults: {every: 5m}\n" + RULE.replace("    every: 5m\n", '    cron: "0 8 * * mon-fri"\n')

    assert messages(text) == []


def test_every_and_cron_in_the_defaults_are_told_there_and_once() -> None:
    other = RULE.partition("\n")[2].replace("id: slow", "id: slower")
    text = 'defaults: {every: 5m, cron: "0 8 * * *"}\n' + (RULE + other).replace("    every: 5m\n", "")
    (finding,) = said_of(text)

    assert (finding.line, finding.column) == (1, 23)
    assert "by every or by cron, not by both" in finding.message


def test_a_promise_needs_no_window_and_minds_none_that_comes_from_defaults() -> None:
    share = "{share: {property: botStatus, operation: NOT_EQ, values: [NO_RESPONSE]}}"
    rule = f"rules: [{{id: a, every: 5m, measure: {share}, compare: {{burn: {{objective: 95%}}}}, notify: oncall-mail}}]"

    assert messages(rule) == []
    assert messages("defaults: {window: 1h}\n" + rule) == []


def test_a_comparison_that_is_wrong_is_all_that_is_said() -> None:
    """What it would have brought, windows, levels or a unit, is not missed as well."""
    rule = RULE.replace("    window: 1h\n", "").replace("{below: 5}", "{below: -50%}")

    assert messages(rule + "    compare: {chnage: {to: 7d}}\n") == [
        'compare: there is no comparison "chnage"; there are burn, change, usual, value'
    ]


def test_a_misspelt_compare_does_not_make_its_limits_wrong() -> None:
    text = RULE.replace("{below: 5}", "{below: -50%}") + "    comapre: {change: {to: 7d}}\n"

    assert messages(text) == ['"comapre" is not a key of a rule']


def test_more_expected_groups_than_there_may_be_are_told_also_without_max_groups() -> None:
    ids = ", ".join(str(number) for number in range(201))

    assert messages(RULE + f"    by: lastAgentId\n    expect: [{ids}]\n") == [
        "these are 201 groups, more than max_groups: 200; raise it"
    ]


def test_a_report_leaves_out_what_defaults_say_of_alerts() -> None:
    text = "defaults: {for: 10m, remind: 2h}\n" + RULE.replace("critical: {below: 5}", "report: true")

    assert messages(text) == []


@pytest.mark.parametrize(
    ("limit", "meant"), [("{outside: -4}", "4"), ("{outside: 4, recover: -2.5}", "2.5"), ("{outside: 4, recover: 2}", None)]
)
def test_a_limit_with_two_sides_has_no_sign(limit: str, meant: str | None) -> None:
    found = said_of(RULE.replace("{below: 5}", limit) + "    compare: usual\n")

    assert [each.suggestion for each in found] == ([meant] if meant else [])


def test_what_is_usual_wants_a_window_of_one_length() -> None:
    keys = "window: {calendar_day: 0}, measure: count, compare: usual, warning: {outside: 4}"
    rule = f"rules: [{{id: a, every: 1h, {keys}, notify: oncall-mail}}]"

    assert "usual compares windows of one length" in "".join(messages(rule))


def test_a_report_lists_groups_and_not_single_conversations() -> None:
    report = RULE.replace("critical: {below: 5}", "report: true")

    assert "single conversations are what alerts are for" in "".join(messages(report + "    by: conversation\n"))
