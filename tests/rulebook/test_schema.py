"""The JSON Schema takes what the loader takes, and marks in an editor what the loader refuses."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from alertd import channels, measures
from alertd.reporting.properties import PROPERTIES
from alertd.rulebook.located import compose
from alertd.rulebook.schema import receivers_schema, schema

RULE = "rules:\n  - {id: a, every: 1m, window: 1h, measure: count, critical: {above: 1}}\n"

VALID = """\
defaults: {owner: support-ops, notify: support-slack, labels: {team: support}}
rules:
  - id: slow-first-answer
    title: First answers are slow
    description: |
      Visitors wait too long.
    runbook: https://wiki.example.com/slow-first-answer
    every: 5m
    window: 1h
    timestamp: firstCloseAt
    delay: 30s
    filters:
      - {property: numEndUserMessages, operation: GTE, values: [1]}
    measure: {median: timeToAgentResponseMillis}
    unanswered: as_waited
    warning:  {above: 5m,  recover: 4m}
    critical: {above: 15m, recover: 10m}
    for: 1h30m
    keep_firing: 5m
    reopen_within: 30m
    min_conversations: 20
    max_groups: 3
  - id: unanswered
    measure: {share: [{property: botStatus, operation: EQ, values: [NO_RESPONSE]}]}
    critical: {above: 20%}
  - id: hot-lead-waits
    by: conversation
    measure: waiting
    critical: {above: 5m}
    notify: {warning: support-slack, critical: [support-slack, oncall-mail]}
"""

RECEIVERS = """\
receivers:
  support-slack: {slack: {channel: "#support-alerts", mention: {critical: "<!subteam^S012AB3CD>"}}}
  team-mail: {email: {to: [team@example.com], send_resolved: false}}
fallback: team-mail
"""


def objections(found: dict[str, Any], text: str) -> list[str]:
    document, _ = compose(text, "a.yaml")
    assert document is not None
    return [each.message for each in Draft202012Validator(found).iter_errors(document.data)]


def test_both_are_schemas_of_the_draft_they_name() -> None:
    for found in (schema(), receivers_schema()):
        Draft202012Validator.check_schema(found)
        assert found["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_what_the_loader_takes_is_valid() -> None:
    assert objections(schema(), VALID) == []
    assert objections(schema(), RULE) == []
    assert objections(receivers_schema(), RECEIVERS) == []


@pytest.mark.parametrize(
    "keys",
    [
        "evry: 5m",
        "every: 5",
        "every: 5 minutes",
        "measure: cuont",
        "measure: {median: lastAgentId}",
        "measure: {median: timeToCloseMillis, mean: timeToCloseMillis}",
        "critical: {above: 1, below: 2}",
        "critical: {abov: 1}",
        "critical: {recover: 1}",
        "filters: [{property: statsu, operation: EQ, values: [open]}]",
        "filters: [{property: status, operation: IS, values: [open]}]",
        "by: status",
        "unanswered: waited",
        "notify: {crit: a}",
        "labels: {a: 1}",
        "max_groups: 0",
        "title:",
        "runbook: wiki",
    ],
)
def test_what_the_loader_refuses_is_marked(keys: str) -> None:
    name = keys.partition(":")[0]
    kept = [each for each in ("id: a", "every: 1m", "window: 1h", "measure: count", "critical: {above: 1}") if name not in each]

    assert objections(schema(), "rules:\n  - " + "\n    ".join([*kept, keys]))


@pytest.mark.parametrize("text", ["rulez: []", "rules: [{id: a, measure: count}]", "rules: [{id: a, critical: {above: 1}}]"])
def test_what_is_missing_is_marked(text: str) -> None:
    assert objections(schema(), text)


@pytest.mark.parametrize(
    "text",
    [
        "receivers: {a: {slak: {channel: x}}}",
        "receivers: {a: {email: {}}}",
        "receivers: {a: {email: {to: [a@example.com], send_resolved: maybe}}}",
        "receivers: {A B: {email: {to: [a@example.com]}}}",
        "receiver: {}",
    ],
)
def test_wrong_receivers_are_marked(text: str) -> None:
    assert objections(receivers_schema(), text)


def test_every_key_of_a_rule_is_described() -> None:
    keys = schema()["$defs"]["RuleEntry"]["properties"]

    assert [key for key, found in keys.items() if not found.get("description")] == []
    assert {"for", "unanswered"} <= keys.keys()


def test_the_registries_are_in_it() -> None:
    text = str(schema())

    assert all(f"'{name}'" in text for name in (*measures.names(), *PROPERTIES))
    assert all(f"'{name}'" in str(receivers_schema()) for name in channels.names())
