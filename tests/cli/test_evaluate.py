"""`alertd evaluate` against the reporting API as a process, with conversations that the test writes down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest
import requests

from alertd.clock import HOUR, MINUTE, SECOND, SystemClock, iso, parse_instant
from tests.cli.shell import Ran, alertd, sandbox

TOKEN = "opens-the-sandbox-of-the-tests"
AS_OF = parse_instant("2026-03-02T10:00:00Z")
AT = "2026-03-02T10:00:00Z"

RULES = """\
defaults: {owner: support, notify: team, every: 5m, window: 1h, delay: 30s}
rules:
  - {id: how-many, measure: count, warning: {above: 3}}
  - {id: half, measure: {median: timeToAgentResponseMillis}, unanswered: as_waited, warning: {above: 1h}}
  - {id: by-agent, by: lastAgentId, measure: {mean: timeToAgentResponseMillis}, warning: {above: 2m}, critical: {above: 4m}}
  - id: waits
    by: conversation
    filters: [{property: status, operation: EQ, values: [open]}]
    measure: waiting
    critical: {above: 10m}
  - id: no-answer
    measure: {share: {property: firstAgentMessageAt, operation: NOT_HAS_PROPERTY, values: []}}
    warning: {above: 90%}
  - id: long-ago
    window: 10m
    filters: [{property: lastAgentId, operation: EQ, values: [999]}]
    measure: {max: timeToCloseMillis}
    warning: {above: 1h}
"""


def conversation(number: int, minutes: float, agent: int | None = None, answered: int | None = None) -> dict[str, Any]:
    """One that began so many minutes before AS_OF; answered after so many seconds, or open and waiting."""
    begun = AS_OF - round(minutes * MINUTE)
    row: dict[str, Any] = {"id": number, "createdAt": begun, "firstEndUserMessageAt": begun, "numEndUserMessages": 1}
    if answered is None:
        return row | {"status": "open"}
    reply = {"firstAgentMessageAt": begun + answered * SECOND, "timeToAgentResponseMillis": answered * SECOND}
    closed = {"firstCloseAt": begun + HOUR, "timeToCloseMillis": HOUR}
    return row | reply | closed | {"lastAgentId": agent, "firstAgentId": agent, "numAgentMessages": 1, "status": "closed"}


CONVERSATIONS = [
    conversation(1, 61, 671, 9_000),  # before the window
    conversation(2, 60, 671, 60),  # its first instant belongs to it
    conversation(3, 50, 671, 120),
    conversation(4, 45, 672, 300),
    conversation(5, 40, 672, 400),
    conversation(6, 20),
    conversation(7, 5),
    conversation(8, 0, 673, 10),  # its end does not
    conversation(9, -2, 673, 10),
]
INSIDE = [each for each in CONVERSATIONS if AS_OF - HOUR <= each["createdAt"] < AS_OF]


@pytest.fixture
def served(tmp_path: Path, rules: Path) -> Iterator[tuple[Path, str]]:
    """The rules above, and the address of a sandbox that serves the conversations above."""
    (rules / "rules.yaml").write_text(RULES, encoding="utf-8")
    export = tmp_path / "export.jsonl"
    export.write_text("".join(json.dumps(each) + "\n" for each in CONVERSATIONS), encoding="utf-8")
    with sandbox(tmp_path, "--conversations", str(export), "--token", TOKEN) as (address, _):
        yield tmp_path, address


def evaluate(served: tuple[Path, str], *arguments: str, token: str = TOKEN, **more: str) -> Ran:
    folder, address = served
    variables = {"ALERTD_REPORTING__URL": address, "ALERTD_REPORTING__TOKEN": token} | more
    return alertd(folder, "evaluate", "--rules", "rules", *arguments, **variables)


def of(ran: Ran, rule: str) -> list[dict[str, Any]]:
    return [each for each in ran.json["verdicts"] if each["rule"] == rule]


def test_json_has_exactly_these_keys(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--at", AT, "--json")
    assert ran.code == 0, ran.err
    assert list(ran.json) == ["as_of", "calls", "verdicts"]
    assert (ran.json["as_of"], parse_instant(ran.json["as_of"])) == (iso(AS_OF), AS_OF)
    keys = ["rule", "group", "evidence", "value", "level", "conversations", "window", "reason", "closed"]
    assert all(list(each) == keys and list(each["window"]) == ["from", "to"] for each in ran.json["verdicts"])


def test_every_value_is_what_plain_python_makes_of_the_conversations(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--at", AT, "--json")
    answered = [each for each in INSIDE if "timeToAgentResponseMillis" in each]
    waiting = {each["id"]: AS_OF - each["createdAt"] for each in INSIDE if each["status"] == "open"}
    times = [each["timeToAgentResponseMillis"] for each in answered]
    (how_many,), (half,), (no_answer,) = (of(ran, rule) for rule in ("how-many", "half", "no-answer"))
    assert (how_many["value"], how_many["level"], how_many["group"]) == (len(INSIDE), "warning", {})
    assert (half["value"], half["level"]) == (median([*times, *waiting.values()]), "ok")
    assert no_answer["value"] == pytest.approx(len(waiting) / len(INSIDE))
    by_agent = {each["group"]["lastAgentId"]: (each["value"], each["level"]) for each in of(ran, "by-agent")}
    means = {
        agent: fmean(each["timeToAgentResponseMillis"] for each in answered if each["lastAgentId"] == agent)
        for agent in (671, 672)
    }
    assert by_agent == {671: (means[671], "ok"), 672: (means[672], "critical")}
    singles = {each["group"]["conversationId"]: (each["value"], each["level"]) for each in of(ran, "waits")}
    assert singles == {6: (waiting[6], "critical"), 7: (waiting[7], "ok")}


def test_a_window_ends_at_the_moment_given(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "how-many", "--at", "2026-03-02T10:00:01Z", "--json")
    (verdict,) = ran.json["verdicts"]
    assert verdict["window"] == {"from": AS_OF + SECOND - HOUR, "to": AS_OF + SECOND}
    assert verdict["conversations"] == len(INSIDE)  # one has come in, one is out


def test_an_answer_without_conversations_is_no_data(served: tuple[Path, str]) -> None:
    (verdict,) = of(evaluate(served, "long-ago", "--at", AT, "--json"), "long-ago")
    assert (verdict["evidence"], verdict["value"], verdict["level"], verdict["conversations"]) == ("no_data", None, None, 0)


def test_equal_questions_are_asked_once(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--at", AT, "--json")
    stats = requests.get(f"{served[1]}/sandbox/stats", timeout=10).json()
    assert ran.json["calls"] == stats["calls"]
    # All of them; the open ones; those without an answer. That it was one agent's is a number, and is judged here.
    assert ran.json["calls"] == 3


def test_nothing_is_changed_and_nobody_told(served: tuple[Path, str]) -> None:
    evaluate(served, "--at", AT)
    found = alertd(served[0], "status", "--json").json
    assert (found["rules"], found["alerts"], found["outbox"]["queued"]) == ([], [], 0)


def test_a_person_sees_values_with_units_and_the_calls(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "by-agent", "waits", "--at", AT)
    assert ran.code == 0
    lines = [line.split() for line in ran.out.splitlines()]
    assert lines[0] == ["rule", "group", "level", "value", "conversations", "why"]
    assert any(line[:3] == ["waits", "6", "critical"] and "20 min" in " ".join(line) for line in lines)
    assert ran.err.splitlines() == [
        f"Asking for 2 rules as of {iso(AS_OF)} ...",
        "waits: 1 conversation is ok; --json has them all",
        "2 calls",
    ]


def test_single_conversations_that_are_fine_are_counted_only(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "waits", "--at", AT)
    assert [line.split()[:3] for line in ran.out.splitlines()] == [["rule", "group", "level"], ["waits", "6", "critical"]]
    assert "waits: 1 conversation is ok; --json has them all" in ran.err


@pytest.mark.parametrize("columns", [80, 60])
def test_on_a_narrow_terminal_no_id_is_broken(served: tuple[Path, str], columns: int) -> None:
    name = "the-first-answer-to-hot-leads-of-the-pricing-page-takes-long"
    text = RULES.replace("id: by-agent", f"id: {name}")
    (served[0] / "rules" / "rules.yaml").write_text(text, encoding="utf-8")
    ran = evaluate(served, "--at", AT, COLUMNS=str(columns))
    lines = ran.out.splitlines()
    assert sum(line.strip() == name for line in lines) == 2  # one for each agent
    assert max(map(len, lines)) <= columns


def test_a_rule_whose_calendar_is_closed_is_judged_and_that_is_told(served: tuple[Path, str]) -> None:
    calendar = 'calendars: {berlin: {timezone: Europe/Berlin, weekly: {tue: "08:00-18:00", mon: "10:30-18:00"}}}'
    (served[0] / "rules" / "calendars.yaml").write_text(calendar, encoding="utf-8")
    (served[0] / "rules" / "rules.yaml").write_text(RULES.replace("id: how-many", "id: how-many, calendar: berlin"), "utf-8")
    early, begun, late = (evaluate(served, "how-many", "--at", f"2026-03-02T{each}Z") for each in ("06:00", "10:00", "18:00"))
    closed = "how-many: berlin is closed then, so the daemon does not check it; it opens "
    assert early.err.splitlines()[-1] == f"{closed}Mon 10:30 (Europe/Berlin)"
    assert late.err.splitlines()[-1] == f"{closed}Tue 08:00 (Europe/Berlin)"
    assert begun.err.splitlines()[-1] == (
        "how-many: berlin was not open yet when the window began, so the daemon does not check it then"
    )
    ran = evaluate(served, "how-many", "half", "--at", AT, "--json")
    assert {each["rule"]: each["closed"] for each in ran.json["verdicts"]} == {"how-many": True, "half": False}


def test_a_time_may_be_given_as_so_long_ago(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "how-many", "--at", "-2h", "--json")
    (verdict,) = ran.json["verdicts"]
    assert abs(SystemClock().now() - 2 * HOUR - verdict["window"]["to"]) < HOUR


def test_an_unknown_rule_is_told_which_there_are_where_they_are_few(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "zzz")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == 'alertd: there is no rule "zzz"; there are by-agent, half, how-many, long-ago, no-answer, waits\n'


def test_a_wrong_token_is_an_error_that_says_what_to_check(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--at", AT, "--json", token="something-else-altogether")
    assert ran.code == 0
    assert {each["evidence"] for each in ran.json["verdicts"]} == {"error"}
    (reason,) = {each["reason"] for each in ran.json["verdicts"]}
    assert reason.startswith("the API refuses the token (401); check ALERTD_REPORTING__TOKEN")
    assert "altogether" not in ran.out + ran.err


def test_a_missing_token_is_wrong_use(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--json", token="")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: ALERTD_REPORTING__TOKEN is not set.\nPut Drift's API token into the environment")


def test_a_stopped_api_is_an_error_that_says_what_to_check(tmp_path: Path, rules: Path) -> None:
    with sandbox(tmp_path, "--days", "0.01") as (address, _):
        pass
    ran = evaluate((tmp_path, address), "--json")
    assert ran.code == 0
    (verdict,) = ran.json["verdicts"]
    assert verdict["evidence"] == "error"
    assert verdict["reason"] == "127.0.0.1 refused the connection; check the address and the port, and that it is running"


def test_an_unknown_rule_is_wrong_use(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "how-mny", "--json")
    assert (ran.code, ran.out, ran.err) == (2, "", 'alertd: there is no rule "how-mny"; did you mean how-many?\n')


def test_a_time_that_is_none_is_wrong_use(served: tuple[Path, str]) -> None:
    ran = evaluate(served, "--at", "yesterday")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == 'alertd: --at: "yesterday" is not a time; write it like 2026-11-02T09:00:00Z\n'


def test_wrong_rule_files_are_shown_at_their_place(served: tuple[Path, str]) -> None:
    (served[0] / "rules" / "rules.yaml").write_text(RULES.replace("measure: count", "measure: conut"), encoding="utf-8")
    ran = evaluate(served, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert 'rules.yaml:3:29: error: measure: there is no measure "conut"' in ran.err
