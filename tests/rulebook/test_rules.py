"""What a rule file says is what the rule has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.durations import format_duration
from alertd.facts import CONVERSATION, Level
from alertd.measures.base import ANSWER_TIME
from alertd.reporting.query import Filter, Operation
from alertd.rulebook.calendars_file import read_calendars
from alertd.rulebook.findings import Finding
from alertd.rulebook.loader import inspect, load
from alertd.rulebook.located import Document, compose
from alertd.rulebook.lookback import CalendarWindow
from alertd.rulebook.reading import read_rules
from alertd.rulebook.receivers import read_receivers
from alertd.rulebook.relations import Known
from alertd.rulebook.rule import Escalation, Limit, Rule
from tests.rulebook.authors import entries

RECEIVERS = """\
receivers:
  support-slack: {slack: {channel: "#support-alerts", mention: {critical: "<!subteam^S012AB3CD>"}}}
  oncall-mail:   {email: {to: [oncall@example.com]}}
  team-mail:     {email: {to: [team@example.com], send_resolved: false}}
fallback: oncall-mail
"""

EXAMPLES = """\
defaults:                         # for every rule of this file; a rule's own key wins
  owner: support-ops
  notify: support-slack
  labels: {team: support}

rules:
  - id: slow-first-answer
    title: First answers are slow
    description: Visitors who were routed to the team wait too long for the first human word.
    runbook: https://wiki.example.com/slow-first-answer
    every: 5m
    window: 1h
    delay: 30s
    filters:
      - {property: numEndUserMessages, operation: GTE, values: [1]}
    measure: {median: timeToAgentResponseMillis}
    unanswered: as_waited
    warning:  {above: 5m,  recover: 4m}
    critical: {above: 15m, recover: 10m}
    for: 10m
    keep_firing: 5m
    reopen_within: 30m
    min_conversations: 20
    labels: {tier: gold}

  - id: unanswered
    every: 5m
    window: 30m
    measure: {share: {property: botStatus, operation: EQ, values: [NO_RESPONSE]}}
    critical: {above: 20%}
    min_conversations: 30
    owner: sales

  - id: slow-agent
    every: 10m
    window: 2h
    by: lastAgentId
    measure: {p90: timeToAgentResponseMillis}
    unanswered: ignore
    warning: {above: 20m}
    min_conversations: 5
    max_groups: 100

  - id: hot-lead-waits
    every: 1m
    window: 4h
    timestamp: updatedAt
    filters:
      - {property: status, operation: EQ, values: [open]}
    by: conversation
    measure: waiting
    critical: {above: 5m}
    notify: {critical: [support-slack, oncall-mail]}

  - id: no
    every: 1m
    window: 4h
    measure: count
    warning: {below: 3}
    critical: {below: 1, recover: 2}
"""


@pytest.fixture
def rules(tmp_path: Path) -> dict[str, Rule]:
    (tmp_path / "receivers.yaml").write_text(RECEIVERS)
    (tmp_path / "rules.yaml").write_text(EXAMPLES)
    book, findings = inspect(tmp_path)
    assert findings == ()
    assert book is not None
    return dict(book.rules)


def test_every_key_arrives(rules: dict[str, Rule]) -> None:
    rule = rules["slow-first-answer"]

    assert (rule.every, rule.window, rule.delay) == (5 * MINUTE, HOUR, 30 * SECOND)
    assert (rule.hold, rule.keep_firing, rule.reopen_within) == (10 * MINUTE, 5 * MINUTE, 30 * MINUTE)
    assert rule.filters == (Filter("numEndUserMessages", Operation.GTE, (1,)),)
    assert rule.measure.metrics[0] == ANSWER_TIME
    assert rule.as_waited
    assert rule.min_conversations == 20
    assert rule.title == "First answers are slow"
    assert rule.runbook == "https://wiki.example.com/slow-first-answer"
    assert rule.limits == (
        Limit(Level.CRITICAL, "above", 15 * MINUTE, 10 * MINUTE),
        Limit(Level.WARNING, "above", 5 * MINUTE, 4 * MINUTE),
    )


def test_defaults_fill_in_and_labels_are_added(rules: dict[str, Rule]) -> None:
    rule = rules["slow-first-answer"]

    assert rule.owner == "support-ops"
    assert rule.labels == {"team": "support", "tier": "gold"}
    assert rule.notify == {Level.WARNING: ("support-slack",), Level.CRITICAL: ("support-slack",)}


def test_a_rules_own_key_wins_over_the_default(rules: dict[str, Rule]) -> None:
    assert rules["unanswered"].owner == "sales"
    assert rules["hot-lead-waits"].notify == {Level.CRITICAL: ("support-slack", "oncall-mail")}


def test_what_is_left_out_has_its_ordinary_value(rules: dict[str, Rule]) -> None:
    rule = rules["unanswered"]

    assert rule.title == "Unanswered"
    assert (rule.timestamp, rule.delay, rule.hold, rule.by, rule.max_groups) == ("createdAt", 30 * SECOND, 0, None, 200)
    assert rule.limits == (Limit(Level.CRITICAL, "above", 0.2, 0.2),)
    assert not rule.as_waited


def test_groups_and_the_moment_of_the_window_are_properties(rules: dict[str, Rule]) -> None:
    assert rules["slow-agent"].by == "lastAgentId"
    assert rules["hot-lead-waits"].by == CONVERSATION
    assert rules["hot-lead-waits"].timestamp == "updatedAt"


def test_a_rule_knows_where_it_stands(rules: dict[str, Rule]) -> None:
    lines = EXAMPLES.splitlines()

    assert {rule.file for rule in rules.values()} == {"rules.yaml"}
    assert all(lines[rule.line - 1].strip() == f"- id: {rule.id}" for rule in rules.values())


def test_no_is_a_name_and_not_a_truth_value(rules: dict[str, Rule]) -> None:
    assert rules["no"].limits == (Limit(Level.CRITICAL, "below", 1, 2), Limit(Level.WARNING, "below", 3, 3))


def test_receivers_have_their_channel_and_what_all_channels_share(tmp_path: Path) -> None:
    (tmp_path / "receivers.yaml").write_text(RECEIVERS)
    (tmp_path / "rules.yaml").write_text(EXAMPLES)
    book = load(tmp_path)

    assert {name: (each.kind, each.send_resolved) for name, each in book.receivers.items()} == {
        "support-slack": ("slack", True),
        "oncall-mail": ("email", True),
        "team-mail": ("email", False),
    }
    assert book.fallback == "oncall-mail"


def test_defaults_that_do_not_fit_a_rule_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "receivers.yaml").write_text(RECEIVERS)
    (tmp_path / "rules.yaml").write_text(
        "defaults: {unanswered: as_waited, notify: {warning: team-mail, critical: oncall-mail}}\n"
        "rules:\n  - {id: a, every: 1m, window: 1h, measure: count, critical: {above: 1}}\n"
    )
    book, findings = inspect(tmp_path)

    assert findings == ()
    assert book is not None
    assert not book.rules["a"].as_waited
    assert book.rules["a"].notify == {Level.CRITICAL: ("oncall-mail",)}


@settings(deadline=None)
@given(entry=entries(), flow=st.booleans(), wide=st.integers(40, 1000))
def test_a_rule_is_the_same_however_its_yaml_is_laid_out(entry: dict[str, Any], flow: bool, wide: int) -> None:
    written = yaml.dump({"rules": [entry]}, default_flow_style=flow, width=wide, allow_unicode=True)
    document, findings = compose(written, "rules.yaml")
    assert document is not None
    assert findings == ()
    reading = read_rules(document, "rules.yaml", Known(receivers={"a", "b"}, calendar_names={"office-hours"}))

    assert [each for each in reading.findings if each.severity == "error"] == []
    (rule,) = reading.rules
    assert rule.id == entry["id"]
    assert "every" not in entry or format_duration(rule.every) == entry["every"]
    assert format_duration(rule.hold) == entry.get("for", "0s")
    assert [each.to_json() for each in rule.filters] == entry.get("filters", [])
    assert rule.labels == {key: value.strip() for key, value in entry.get("labels", {}).items()}
    assert rule.report == entry.get("report", False)
    own = rule.compare.own_limits
    assert own or [limit.level for limit in rule.limits] == [each for each in (Level.CRITICAL, Level.WARNING) if each in entry]


CONTRACT = Path(__file__).parent / "contract"


def test_the_language_by_example_is_read_without_a_word() -> None:
    findings, rules = read_contract()

    assert findings == []
    assert len(rules) == 10
    assert {rule.calendar.name for rule in rules if rule.calendar} == {"office-hours"}


def test_a_report_has_receivers_and_no_levels() -> None:
    (report,) = (rule for rule in read_contract()[1] if rule.report)

    assert report.limits == ()
    assert report.notify == {Level.OK: ("team-mail",)}
    assert report.lookback == CalendarWindow("day", -1, "Europe/Berlin")
    assert report.cron is not None
    assert (report.cron.expression, report.cron.timezone) == ("0 8 * * mon-fri", "Europe/Berlin")


def test_a_promise_brings_its_own_window_and_levels() -> None:
    (promise,) = (rule for rule in read_contract()[1] if rule.id == "answer-promise")

    assert promise.window == 72 * HOUR
    assert promise.worst is Level.CRITICAL
    assert promise.notify == {Level.CRITICAL: ("support-slack",), Level.WARNING: ("support-slack",)}


def test_what_is_told_and_when_arrives() -> None:
    rules = {rule.id: rule for rule in read_contract()[1]}

    assert rules["unanswered"].remind == 2 * HOUR
    assert rules["unanswered"].escalate == Escalation(30 * MINUTE, ("oncall-mail",))
    assert rules["volume-drop"].quiet_while == ("widget-silent",)
    assert rules["playbook-stopped"].expect == (671581, 671590)
    assert rules["unusual-volume"].no_data is None


def read_contract() -> tuple[list[Finding], list[Rule]]:
    """The rules of the whole language, with the names that the files beside them have."""
    roster = read_receivers(document_of("receivers.yaml"))
    calendars = read_calendars(document_of("calendars.yaml"))
    known = Known(roster.names, calendars.calendars, calendars.names, roster.routes)
    reading = read_rules(document_of("rules.yaml"), "rules.yaml", known)
    return [*roster.findings, *calendars.findings, *reading.findings], list(reading.rules)


def document_of(name: str) -> Document:
    document, findings = compose((CONTRACT / name).read_text(encoding="utf-8"), name)
    assert findings == ()
    assert document is not None
    return document
