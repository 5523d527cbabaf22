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
from alertd.rulebook.loader import inspect, load
from alertd.rulebook.located import compose
from alertd.rulebook.reading import read_rules
from alertd.rulebook.rule import Limit, Rule
from alertd.rulebook.values import IDS, TIMES

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
    owner: sales

  - id: slow-agent
    every: 10m
    window: 2h
    by: lastAgentId
    measure: {p90: timeToAgentResponseMillis}
    unanswered: ignore
    warning: {above: 20m}
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


# Rules as they could be written, made of what the language allows.

durations = st.integers(10, 366 * 86_400).map(lambda seconds: format_duration(seconds * SECOND))
names = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,3}", fullmatch=True).filter(lambda name: not name.startswith("alertd"))
words = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=60).filter(str.strip)
filters = st.fixed_dictionaries(
    {"property": st.just("numAgentMessages"), "operation": st.sampled_from(["GTE", "EQ", "LT"])}
    | {"values": st.lists(st.integers(0, 10), min_size=1, max_size=1)}
)
optional = {
    "title": words,
    "description": words,
    "owner": words,
    "labels": st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), words, max_size=3),
    "filters": st.lists(filters, max_size=3),
    "timestamp": st.sampled_from(TIMES),
    "delay": durations,
    "by": st.sampled_from(("conversation", *IDS)),
    "for": durations,
    "keep_firing": durations,
    "reopen_within": durations,
    "min_conversations": st.integers(0, 1000),
    "max_groups": st.integers(1, 1000),
    "notify": st.one_of(st.just("a"), st.lists(st.sampled_from("ab"), unique=True), st.just({"critical": "b"})),
}


@st.composite
def entries(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(st.sampled_from(["count", "median", "share"]))
    measure: Any = {"count": "count", "median": {"median": "timeToCloseMillis"}, "share": {"share": draw(filters)}}[kind]
    low, high = sorted(draw(st.lists(st.integers(10, 99), min_size=2, max_size=2, unique=True)))
    unit = {"count": "", "median": "m", "share": "%"}[kind]
    limits = {"warning": {"above": f"{low}{unit}"}, "critical": {"above": f"{high}{unit}", "recover": f"{low}{unit}"}}
    if not unit:
        limits = {level: {key: int(value) for key, value in limit.items()} for level, limit in limits.items()}  # type: ignore[misc]
    required = {"id": draw(names), "every": draw(durations), "window": draw(durations), "measure": measure}
    return required | limits | draw(st.fixed_dictionaries({}, optional=optional))


@settings(deadline=None)
@given(entry=entries(), flow=st.booleans(), wide=st.integers(40, 1000))
def test_a_rule_is_the_same_however_its_yaml_is_laid_out(entry: dict[str, Any], flow: bool, wide: int) -> None:
    written = yaml.dump({"rules": [entry]}, default_flow_style=flow, width=wide, allow_unicode=True)
    document, findings = compose(written, "rules.yaml")
    assert document is not None
    assert findings == ()
    reading = read_rules(document, "rules.yaml", {"a", "b"})

    assert [each for each in reading.findings if each.severity == "error"] == []
    (rule,) = reading.rules
    assert rule.id == entry["id"]
    assert format_duration(rule.every) == entry["every"]
    assert format_duration(rule.hold) == entry.get("for", "0s")
    assert [each.to_json() for each in rule.filters] == entry.get("filters", [])
    assert rule.labels == {key: value.strip() for key, value in entry.get("labels", {}).items()}
    assert rule.limits[0].value > rule.limits[1].value == rule.limits[0].recover
