"""The JSON of a webhook: what Alertmanager's readers find in it, and that whatever was said to fire is said to be over."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.channels.base import Message
from alertd.channels.webhook.body import MOST, NEVER, Told, compose, opened, remember
from alertd.clock import HOUR, MINUTE
from alertd.errors import TemplateError
from alertd.facts import Kind, Level
from alertd.notice import Notice, NoticeGroup
from alertd.notices.rendering import render, render_or_plain
from alertd.shipped import shipped
from alertd.testing import START, a_notice

KEY = "0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d11"
NAMES = {671: "Priya Shah"}


def a_group(number: int, level: Level = Level.WARNING, since: int = START) -> NoticeGroup:
    return NoticeGroup("lastAgentId", number, level, 6.0 * MINUTE, 5.0 * MINUTE, since, 4, examples=(900 + number,))


def grouped(*numbers: int, total: int | None = None, **changes: Any) -> Notice:
    groups = tuple(a_group(number) for number in numbers)
    return a_notice(by="lastAgentId", groups=groups, groups_total=len(groups) if total is None else total, **changes)


def message(notice: Notice, kind: Kind = Kind.OPENED, key: str = KEY) -> Message:
    told = replace(notice, kind=kind)
    return Message(
        key, kind, told, render("webhook", told, names=lambda _by, number: NAMES.get(number), folders=(shipped("templates"),))
    )


def body(notice: Notice, kind: Kind = Kind.OPENED, told: dict[str, Told] | None = None) -> dict[str, Any]:
    return compose(message(notice, kind), told or {})[0]


def resolved(notice: Notice) -> Notice:
    return replace(notice, groups=(), groups_total=0, at=START + HOUR, resolved_at=START + HOUR)


# What Alertmanager's readers find


def test_every_field_of_alertmanagers_version_4_is_there_with_its_type() -> None:
    """https://prometheus.io/docs/alerting/latest/configuration/#webhook_config"""
    found = body(grouped(671, 7, runbook="https://wiki.example.com/slow"))
    shape = {"version": str, "groupKey": str, "truncatedAlerts": int, "status": str, "receiver": str, "externalURL": str}
    shape |= {"groupLabels": dict, "commonLabels": dict, "commonAnnotations": dict, "alerts": list}
    assert {name: type(found[name]) for name in shape} == shape
    assert found.keys() - shape.keys() == {"alertd"}
    names = {"status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"}
    for alert in found["alerts"]:
        assert alert.keys() == names
        assert all(re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", name) for name in alert["labels"])
        assert all(isinstance(text, str) for name in ("labels", "annotations") for text in alert[name].values())
        assert re.fullmatch(r"[0-9a-f]{16}", alert["fingerprint"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", alert["startsAt"])


def test_labels_say_which_rule_which_level_whose_and_the_rules_own() -> None:
    found = body(a_notice(owner="ops", labels={"team": "support", "cost-centre": "7", "alertname": "mine"}))
    assert found["alerts"][0]["labels"] == {
        "alertname": "slow",
        "severity": "warning",
        "owner": "ops",
        "team": "support",
        "cost_centre": "7",
    }
    assert found["groupLabels"] == {"alertname": "slow"}


def test_a_rule_without_groups_is_one_alert() -> None:
    whole = NoticeGroup(None, None, Level.WARNING, 7.2 * MINUTE, 5.0 * MINUTE, START - MINUTE, 34)
    (alert,) = body(a_notice(groups=(whole,), groups_total=1))["alerts"]
    assert (alert["status"], alert["endsAt"], alert["startsAt"]) == ("firing", NEVER, "2026-11-02T09:00:00Z")
    assert alert["annotations"]["summary"] == "First answers are slow: 7 min 12 s (limit 5 min)"


def test_every_firing_group_is_an_alert_and_the_rest_is_counted() -> None:
    found = body(grouped(671, 7, total=30))
    assert [alert["labels"]["lastAgentId"] for alert in found["alerts"]] == ["671", "7"]
    assert [alert["annotations"]["summary"] for alert in found["alerts"]] == [
        "First answers are slow: Priya Shah, 6 min (limit 5 min)",
        "First answers are slow: agent 7, 6 min (limit 5 min)",
    ]
    assert found["truncatedAlerts"] == 28
    assert "lastAgentId" not in found["commonLabels"]
    assert found["commonLabels"]["alertname"] == "slow"


def test_annotations_are_summary_description_and_runbook() -> None:
    notes = body(a_notice(description="Ask for help.", runbook="https://wiki.example.com/slow"))["commonAnnotations"]
    assert notes.keys() == {"summary", "description", "runbook_url"}
    assert notes["description"].startswith("Warning. The median time to the first answer was 7 min 12 s")
    assert notes["description"].endswith("\nAsk for help.")
    assert notes["runbook_url"] == "https://wiki.example.com/slow"


def test_an_address_that_is_none_is_no_runbook() -> None:
    assert "runbook_url" not in body(a_notice(runbook="javascript:alert(1)"))["commonAnnotations"]


def test_the_alert_links_to_where_to_look_first() -> None:
    (alert,) = body(grouped(7))["alerts"]
    assert alert["generatorURL"] == "https://app.drift.com/conversations/907"
    (alert,) = body(grouped(7, page="https://alerts.example.com/12"))["alerts"]
    assert alert["generatorURL"] == "https://alerts.example.com/12"


def test_fingerprint_and_group_stay_while_the_level_changes() -> None:
    first, later = body(a_notice()), body(a_notice(level=Level.CRITICAL), Kind.CHANGED)
    assert first["groupKey"] == later["groupKey"]
    assert first["alerts"][0]["fingerprint"] == later["alerts"][0]["fingerprint"]
    assert later["alerts"][0]["labels"]["severity"] == "critical"


def test_rules_groups_and_incidents_are_told_apart() -> None:
    prints = [alert["fingerprint"] for alert in body(grouped(1, 2, 12))["alerts"]]
    prints += [body(a_notice(rule=rule))["alerts"][0]["fingerprint"] for rule in ("slow", "fast")]
    assert len(set(prints)) == 5
    assert body(a_notice(incident=12))["groupKey"] != body(a_notice(incident=13))["groupKey"]


# What fired is ended


def test_an_end_has_no_groups_and_ends_all_that_fired_as_it_was() -> None:
    first, told = compose(message(grouped(671, 7)), {})
    last, left = compose(message(resolved(grouped()), Kind.RESOLVED), told)
    assert [alert["fingerprint"] for alert in last["alerts"]] == [alert["fingerprint"] for alert in first["alerts"]]
    for before, after in zip(first["alerts"], last["alerts"], strict=True):
        assert (before["labels"], before["startsAt"]) == (after["labels"], after["startsAt"])
        assert (after["status"], after["endsAt"]) == ("resolved", "2026-11-02T10:00:00Z")
    assert last["status"] == "resolved"
    assert left == {}


def test_a_group_that_recovers_is_ended_while_the_others_go_on() -> None:
    _, told = compose(message(grouped(671, 7)), {})
    found, told = compose(message(grouped(7), Kind.CHANGED), told)
    states = {alert["labels"]["lastAgentId"]: alert["status"] for alert in found["alerts"]}
    assert states == {"671": "resolved", "7": "firing"}
    assert found["status"] == "firing"
    assert set(told) == {"lastAgentId=7"}


def test_a_group_that_is_only_not_listed_or_silenced_is_not_ended() -> None:
    _, told = compose(message(grouped(1, 2)), {})
    cut, told = compose(message(grouped(3, total=3), Kind.CHANGED), told)
    assert [alert["labels"]["lastAgentId"] for alert in cut["alerts"]] == ["3"]
    silenced, told = compose(message(grouped(3, silent=("lastAgentId=1",)), Kind.CHANGED), told)
    assert {alert["labels"]["lastAgentId"]: alert["status"] for alert in silenced["alerts"]} == {"2": "resolved", "3": "firing"}
    end, told = compose(message(resolved(grouped()), Kind.RESOLVED), told)
    assert {alert["labels"]["lastAgentId"] for alert in end["alerts"]} == {"1", "3"}
    assert told == {}


def test_an_end_without_a_memory_ends_the_rule_as_a_whole() -> None:
    """The receiver was told by another, or before it was a webhook; the group key ends the rest."""
    found = body(resolved(grouped()), Kind.RESOLVED)
    assert found["status"] == "resolved"
    assert [alert["labels"] for alert in found["alerts"]] == [{"alertname": "slow", "severity": "warning"}]


def test_what_would_not_be_remembered_is_ended_early_rather_than_never() -> None:
    told = {f"lastAgentId={number}": Told("warning", START) for number in range(1_000, 1_000 + MOST)}
    found, left = compose(message(grouped(1, total=MOST + 1), Kind.CHANGED), told)
    assert len(left) == MOST
    assert [alert["labels"]["lastAgentId"] for alert in found["alerts"] if alert["status"] == "resolved"] == ["1000"]


def test_a_beginning_that_was_told_stays() -> None:
    _, told = compose(message(grouped(7)), {})
    later = replace(grouped(7), groups=(a_group(7, Level.CRITICAL, since=START + MINUTE),))
    assert compose(message(later, Kind.CHANGED), told)[0]["alerts"][0]["startsAt"] == "2026-11-02T09:00:00Z"


def test_the_memory_survives_the_store() -> None:
    _, told = compose(message(grouped(671, 7)), {})
    assert opened(remember(told)) == told
    assert opened(None) == opened({"channel": "C1", "ts": "1.0"}) == {}


MOVES = st.lists(
    st.tuples(st.sets(st.integers(1, 30), max_size=25), st.sets(st.integers(1, 30), max_size=3)), min_size=1, max_size=12
)


@given(MOVES)
def test_every_fingerprint_that_fires_is_ended_once_and_none_that_does_not(moves: list[tuple[set[int], set[int]]]) -> None:
    """As whoever knows alerts by their fingerprints sees it, over any story that is ended."""
    seen: dict[str, str] = {}
    receipt: Any = None
    stories = [
        grouped(*sorted(firing - silent)[:20], total=len(firing - silent), silent=tuple(f"lastAgentId={n}" for n in silent))
        for firing, silent in moves
    ]
    for index, notice in enumerate([*stories, resolved(grouped())]):
        kind = Kind.RESOLVED if index == len(stories) else Kind.CHANGED if index else Kind.OPENED
        found, firing = compose(Message(KEY, kind, notice, {}), opened(receipt))
        receipt = remember(firing)
        for alert in found["alerts"]:
            if alert["status"] == "resolved":
                assert seen.pop(alert["fingerprint"], None) == "firing"
            else:
                seen[alert["fingerprint"]] = "firing"
        assert set(seen) >= {alert["fingerprint"] for alert in found["alerts"] if alert["status"] == "firing"}
        assert len(seen) == len(firing)
    assert seen == {}


# What belongs to no incident


def test_a_test_fires_without_paging_anybody_and_is_new_each_time() -> None:
    first, again = (compose(message(a_notice(incident=0), Kind.TEST, key), {})[0] for key in ("1", "2"))
    assert (first["status"], first["alerts"][0]["labels"]["severity"]) == ("firing", "info")
    assert first["groupKey"] != again["groupKey"]
    assert first["alerts"][0]["fingerprint"] != again["alerts"][0]["fingerprint"]
    assert first["commonAnnotations"]["summary"].startswith("Test: ")


def test_a_report_opens_nothing_and_has_its_groups() -> None:
    told = grouped(671, incident=None, period=(START - HOUR, START), template="report")
    found = body(told, Kind.REPORT)
    assert (found["status"], [alert["status"] for alert in found["alerts"]]) == ("resolved", ["resolved"])
    assert found["alertd"]["groups"][0]["value"] == 6.0 * MINUTE
    assert found["alertd"]["period"] == ["2026-11-02T08:00:00Z", "2026-11-02T09:00:00Z"]


def test_a_trouble_of_alertd_itself_is_an_alert_with_its_text() -> None:
    own = a_notice(
        rule="alertd-rulebook", title="The newest rule files are wrong", text="Line 3 is wrong.", value=None, limit=None
    )
    found = body(own)
    assert found["alerts"][0]["labels"]["alertname"] == "alertd-rulebook"
    assert "Line 3 is wrong." in found["commonAnnotations"]["description"]


# Our own fields


def test_beside_it_stands_what_the_notice_says_in_plain_values() -> None:
    own = body(a_notice(previous=Level.WARNING, level=Level.CRITICAL, revision="abc", reopened=True), Kind.CHANGED)["alertd"]
    told = {"kind": "changed", "rule": "slow", "incident": 12, "level": "critical", "previous": "warning", "key": KEY}
    told |= {"value": 432_000.0, "limit": 300_000.0, "unit": "duration", "window": HOUR, "conversations": 34}
    told |= {"at": "2026-11-02T09:00:00Z", "opened_at": "2026-11-02T09:00:00Z", "resolved_at": None, "revision": "abc"}
    assert {name: own[name] for name in told} == told


@pytest.mark.parametrize("odd", [math.inf, -math.inf, math.nan])
def test_numbers_that_json_does_not_have_are_left_out(odd: float) -> None:
    found = body(a_notice(value=odd, peak=odd))
    assert (found["alertd"]["value"], found["alertd"]["peak"]) == (None, None)
    json.dumps(found, allow_nan=False)


@given(title=st.text(), label=st.text(), owner=st.text(), reason=st.text(st.characters(exclude_categories=[])))
def test_any_text_makes_json_that_any_reader_takes(title: str, label: str, owner: str, reason: str) -> None:
    notice = a_notice(title=title, labels={"team": label}, owner=owner, reason=reason)
    found, _ = compose(Message(KEY, Kind.OPENED, notice, {"summary": reason}), {})
    assert json.loads(json.dumps(found, ensure_ascii=False).encode()) == found


def test_a_broken_template_still_tells_all(tmp_path: Path) -> None:
    (tmp_path / "webhook.j2").write_text("{% block summary %}{{ nothing.at.all }}{% endblock %}")
    notice = grouped(671, 7)
    with pytest.raises(TemplateError):
        render("webhook", notice, names=lambda _by, _id: None, folders=(tmp_path,))
    parts = render_or_plain("webhook", notice, names=lambda _by, _id: None, folders=(tmp_path,))
    found, _ = compose(Message(KEY, Kind.OPENED, notice, parts), {})
    assert len(found["alerts"]) == 2
    assert "2 agents" in found["commonAnnotations"]["summary"]
    assert "Its template failed" in found["commonAnnotations"]["description"]
