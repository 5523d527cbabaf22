"""The JSON Schema takes what the loader takes, and marks in an editor what the loader refuses."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from jsonschema import Draft202012Validator

from alertd import channels, comparisons, measures
from alertd.reporting.properties import PROPERTIES
from alertd.rulebook.calendars_file import CalendarEntry
from alertd.rulebook.flow import written
from alertd.rulebook.located import compose
from alertd.rulebook.model import Entry, EscalateEntry, LimitEntry, RouteEntry, RuleEntry
from alertd.rulebook.ordinary import ordinary
from alertd.rulebook.schema import calendars_schema, receivers_schema, schema
from tests.rulebook.authors import entries

CONTRACT = Path(__file__).parent / "contract"

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


CALENDARS = """\
calendars:
  around:
    timezone: Europe/Berlin
    weekly: {Mon-Fri: ["08:00 - 12:00", "13:00-18:00"], "sat, sun": "22:00-06:00,7:30-8:00"}
    holidays: [DE-BY, AT]
    except: "2026-12-24"
"""


def objections(found: dict[str, Any], text: str) -> list[str]:
    document, _ = compose(text, "a.yaml")
    assert document is not None
    return [each.message for each in Draft202012Validator(found).iter_errors(document.data)]


def test_all_are_schemas_of_the_draft_they_name() -> None:
    for found in (schema(), receivers_schema(), calendars_schema()):
        Draft202012Validator.check_schema(found)
        assert found["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_what_the_loader_takes_is_valid() -> None:
    assert objections(schema(), VALID) == []
    assert objections(schema(), RULE) == []
    assert objections(receivers_schema(), RECEIVERS) == []
    assert objections(calendars_schema(), CALENDARS) == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("rules.yaml", schema()), ("receivers.yaml", receivers_schema()), ("calendars.yaml", calendars_schema())],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_the_language_by_example_is_valid(name: str, found: dict[str, Any]) -> None:
    assert objections(found, (CONTRACT / name).read_text(encoding="utf-8")) == []


@settings(deadline=None)
@given(entry=entries())
def test_whatever_the_loader_takes_the_editor_takes(entry: dict[str, Any]) -> None:
    document, _ = compose(yaml.dump({"rules": [entry]}, allow_unicode=True), "a.yaml")
    assert document is not None

    assert [each.message for each in judge().iter_errors(document.data)] == []


@cache
def judge() -> Draft202012Validator:
    return Draft202012Validator(schema())


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Every example of every key, with the key's schema."""
    made = {"rules": schema(), "receivers": receivers_schema(), "calendars": calendars_schema()}
    models: dict[type[Entry], str] = {RuleEntry: "rules", LimitEntry: "rules", EscalateEntry: "rules"}
    models |= {RouteEntry: "receivers", CalendarEntry: "calendars"}
    for model, file in models.items():
        definitions = made[file]["$defs"]
        keys = {field.alias or name: field for name, field in model.model_fields.items()}
        for key, found in definitions[model.__name__]["properties"].items():
            for example in keys[key].examples or ():
                yield f"{model.__name__}.{key}", {**found, "$defs": definitions}, example


@pytest.mark.parametrize(("key", "found", "example"), [pytest.param(*each, id=each[0]) for each in examples()])
def test_what_a_key_shows_as_an_example_is_valid_and_shown(key: str, found: dict[str, Any], example: Any) -> None:
    assert [each.message for each in Draft202012Validator(found).iter_errors(example)] == [], key
    assert example in found.get("examples", ()) or written(example) in found["description"]


def test_every_key_shows_an_example() -> None:
    shown = {key.partition(".")[2] for key, _, _ in examples() if key.startswith("RuleEntry.")}

    assert set(schema()["$defs"]["RuleEntry"]["properties"]) - shown == set()


def test_an_editor_is_given_no_example_that_it_cannot_show() -> None:
    """Mappings among `examples` are offered as "[object Object]" by the YAML language server."""
    for found in (schema(), receivers_schema(), calendars_schema()):
        assert [each for each in all_examples(found) if isinstance(each, dict | list)] == []
    keys = schema()["$defs"]["RuleEntry"]["properties"]
    assert keys["escalate"]["description"].endswith(" Example: escalate: {after: 30m, notify: oncall-mail}")


def all_examples(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node["examples"] if isinstance(node.get("examples"), list) else ()
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from all_examples(each)


def test_a_property_by_the_name_of_a_keyword_is_a_property() -> None:
    assert "description" in schema()["$defs"]["RuleEntry"]["properties"]


@pytest.mark.parametrize("example", [each.example for each in map(comparisons.load, comparisons.modules())])
def test_the_example_of_a_comparison_is_valid(example: str) -> None:
    measure = "{share: {property: botStatus, operation: EQ, values: [NO_RESPONSE]}}"
    text = f"rules: [{{id: a, every: 1m, measure: {measure}, compare: {example}, critical: {{above: 1}}}}]"

    assert objections(schema(), text) == []


@pytest.mark.parametrize("example", [each.example for each in map(measures.load, measures.modules())])
def test_the_example_of_a_measure_is_valid(example: str) -> None:
    text = f"rules: [{{id: a, every: 1m, window: 1h, measure: {example}, critical: {{above: 1}}}}]"

    assert objections(schema(), text) == []


def test_the_description_says_what_a_key_amounts_to_where_it_is_left_out() -> None:
    keys = schema()["$defs"]["RuleEntry"]["properties"]

    assert keys["delay"]["description"].endswith(" Default: 30s.")
    assert keys["no_data"]["description"].endswith(" Default: keep.")
    assert {key for key in keys if "Default: " in keys[key]["description"]} == set(ordinary())


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
        "measure: {distinct: status}",
        "critical: {outside: 4, above: 4}",
        'cron: "0 8 * * mon-fri"',
        "window: {calendar_day: 1}",
        "window: {calendar_month: -1}",
        "window: {calendar_day: -1, calendar_hour: -1}",
        "compare: {chnage: {to: 7d}}",
        "compare: {change: {too: 7d}}",
        "compare: {change: {minimum: 20}}",
        "compare: change",
        "compare: {change: {to: a week}}",
        "compare: {burn: {objective: 0.95}}",
        "expect: [a]",
        "expect: []",
        "escalate: {after: 30m}",
        "escalate: {after: 30m, notify: a, to: b}",
        "remind: often",
        "quiet_while: 5",
        "no_data: warn",
        "template: My Report",
        "calendar: [office-hours]",
        "filters: [{property: status, operation: EQ, values: [opn]}]",
    ],
)
def test_what_the_loader_refuses_is_marked(keys: str) -> None:
    name = keys.partition(":")[0]
    kept = [each for each in ("id: a", "every: 1m", "window: 1h", "measure: count", "critical: {above: 1}") if name not in each]

    assert objections(schema(), "rules:\n  - " + "\n    ".join([*kept, keys]))


@pytest.mark.parametrize(
    "text",
    ["rulez: []", "rules: [{id: a, measure: count}]", "rules: [{id: a, critical: {above: 1}}]"]
    + [f"rules: [{{id: a, every: 1m, window: 1h, measure: count, {each}}}]" for each in ("report: false", "compare: usual")],
)
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
        "receivers: {a: {email: {to: [a@example.com]}}}\nroutes: [{match: {team: support}}]",
        "receivers: {a: {email: {to: [a@example.com]}}}\nroutes: [{match: {level: bad}, to: a}]",
        "receivers: {a: {email: {to: [a@example.com]}}}\nroutes: {match: {team: support}, to: a}",
    ],
)
def test_wrong_receivers_are_marked(text: str) -> None:
    assert objections(receivers_schema(), text)


@pytest.mark.parametrize(
    ("keys", "wrong"),
    [
        ("weekly: {monday: '08:00-18:00'}", "monday"),
        ("weekly: {mon: '8-18'}", "8-18"),
        ("weekly: {mon: 8}", "8"),
        ("weekly: {mon: '08:00-18:00'}, except: 24.12.2026", "24.12.2026"),
        ("weekly: {mon: '08:00-18:00'}, holiday: DE", "holiday"),
        ("holidays: DE", "weekly"),
    ],
)
def test_wrong_calendars_are_marked(keys: str, wrong: str) -> None:
    found = objections(calendars_schema(), f"calendars: {{a: {{timezone: UTC, {keys}}}}}")

    assert wrong in " ".join(found)


def test_every_key_of_a_rule_is_described() -> None:
    keys = schema()["$defs"]["RuleEntry"]["properties"]

    assert [key for key, found in keys.items() if not found.get("description")] == []
    assert {"for", "unanswered"} <= keys.keys()


def test_the_registries_are_in_it() -> None:
    text = str(schema())

    assert all(f"'{name}'" in text for name in (*measures.names(), *comparisons.names(), *PROPERTIES))
    assert all(f"'{name}'" in str(receivers_schema()) for name in channels.names())
