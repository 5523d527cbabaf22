"""What came of tests, for people at any width, for CI systems and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.ruletests.reports import junit, to_json
from alertd.ruletests.showing import Outcome, details, headline, outcome, summary
from alertd.ruletests.timeline import Entry, around, timeline
from tests.ruletests.played import a_book, played

BODY = """
rules: [slow]
conversations:
  - {each: 1m, to: 60m, timeToAgentResponseMillis: 2m}
  - {each: 1m, from: 60m, to: 120m, timeToAgentResponseMillis: 7m}
during:
  - {at: 80m, do: restart, for: 3m}
  - {at: 90m, do: silence, until: 95m, rule: slow}
  - {at: 91m, do: late_rows, by: 0s}
  - {at: 112m, do: error, for: 5m}
"""

STORY = """\
a.test.yaml:14: alerts at 2h (11:00:00)
  - slow critical, 20 min   (fires as warning: 7 min)
  + slow warning, 7 min (above 5 min)
  what happened (times since 2026-11-02T09:00:00Z)
       5m  09:05:00  slow: inactive, within the limit (5 min is not above 5 min at 1h35m, 18 checks)
    1h20m  10:20:00  ! restart for 3m
    1h23m  10:23:00  ! restart is over
    1h30m  10:30:00  ! silence slow for 5m
    1h31m  10:31:00  ! rows created from now on come 0s late
    1h35m  10:35:00  ! silence is over
    1h40m  10:40:00  slow: pending warning, over the limit (7 min is above 5 min)
    1h50m  10:50:00  slow: firing warning, over the limit for long enough (7 min is above 5 min)
    1h50m  10:50:00  -> team: opened warning, slow 7 min
    1h52m  10:52:00  ! error for 5m
    1h55m  10:55:00  slow: firing, nothing changes (error: the API cannot be reached (the test says so))
    1h57m  10:57:00  ! error is over
       2h  11:00:00  slow: firing, not recovered yet (7 min is above 5 min)"""


def done(body: str = BODY + "expect: [{at: 2h, alerts: [{rule: slow, level: critical, value: 20m}]}]") -> Outcome:
    return outcome(played(body), a_book(), took=250)


@pytest.fixture(scope="module")
def failed() -> Outcome:
    return done()


@pytest.fixture(scope="module")
def passed() -> Outcome:
    return done("rules: [crowd]\nexpect: [{at: 1m, alerts: []}]")


def test_a_failure_shows_the_difference_and_what_happened(failed: Outcome) -> None:
    assert "\n".join(details(failed, 200)) == STORY


def moved(body: str) -> list[str]:
    """What a test's alerts did, with the times of the test in front."""
    found = timeline(played(body), a_book())
    return [f"{each.at // MINUTE}m {each.text}" for each in found if not each.text.startswith("->")]


def test_an_alert_that_only_its_recover_keeps_firing_is_said_to_be_not_recovered() -> None:
    body = """
rules: [slow]
conversations:
  - {each: 1m, to: 60m, timeToAgentResponseMillis: 16m}
  - {each: 1m, from: 60m, to: 120m, timeToAgentResponseMillis: 11m}
  - {each: 1m, from: 120m, to: 180m, timeToAgentResponseMillis: 270s}
expect: [{at: 3h, alerts: []}]
"""
    assert moved(body)[3:] == [
        "35m slow: firing critical, another level was passed (16 min is above 15 min)",
        "90m slow: firing, not recovered yet (11 min is above 5 min at 2h25m, 12 checks)",  # critical until it is at 10m
        "150m slow: firing warning, the higher level has recovered (7 min 45 s is above 5 min)",
        "155m slow: firing, not recovered yet (4 min 30 s is not above 5 min at 3h, 6 checks)",
    ]


def test_a_group_that_is_no_longer_observed_is_said_to_be_so_once() -> None:
    body = """
rules: [agents]
conversations: [{at: 0m, lastAgentId: 7, timeToAgentResponseMillis: 25m}]
expect: [{at: 4h, alerts: []}]
"""
    ended = "inactive, no longer observed; not told: its receivers want no end told (send_resolved: false)"
    assert moved(body)[-1] == f"120m agents lastAgentId=7: {ended}"


@pytest.mark.parametrize("width", [70, 80, 120])
def test_details_fit_the_terminal(width: int, failed: Outcome) -> None:
    lines = list(details(failed, width))
    assert max(len(line) for line in lines) <= width
    assert "".join("".join(lines).split()).count("nothingchanges") == 1


def test_a_test_takes_one_line(failed: Outcome, passed: Outcome) -> None:
    assert headline(passed) == "✓ it (1 evaluation, 1 call, 0.25 s)"
    assert headline(failed) == "✗ it (23 evaluations, 23 calls, 0.25 s)"
    assert summary([passed, failed]) == "1 test passed, 1 failed: 24 evaluations in 0.5 s"


def test_a_test_that_passed_has_nothing_to_explain(passed: Outcome) -> None:
    assert list(details(passed)) == []


def test_of_a_long_story_what_is_around_the_failure_is_shown() -> None:
    entries = [Entry(minutes * MINUTE, str(minutes)) for minutes in range(100)]
    before, some = around(entries, HOUR, most=9)
    assert [each.text for each in some] == [str(minutes) for minutes in range(55, 64)]
    assert before == 55
    assert around(entries, None, most=9)[0] == 91
    assert around(entries[:9], HOUR, most=9) == (0, entries[:9])


def test_junit_has_a_case_for_each_test_and_the_reason_of_each_failure(failed: Outcome, passed: Outcome) -> None:
    other = replace(passed, case=replace(passed.case, file="b.test.yaml", name="<a & b> \x01"))
    root = ET.fromstring(junit([failed, passed, other]))
    assert {key: root.get(key) for key in ("tests", "failures", "time")} == {"tests": "3", "failures": "1", "time": "0.750"}
    suites = root.findall("testsuite")
    assert [(each.get("name"), each.get("tests"), each.get("failures")) for each in suites] == [
        ("a.test.yaml", "2", "1"),
        ("b.test.yaml", "1", "0"),
    ]
    assert [case.get("name") for case in root.iter("testcase")] == ["it", "it", "<a & b> �"]
    ((failure,),) = [list(case) for case in root.iter("testcase") if len(case)]
    assert failure.get("message") == "alerts at 2h"
    assert "+ slow warning, 7 min (above 5 min)" in (failure.text or "")


def test_json_is_plain_data(failed: Outcome, passed: Outcome) -> None:
    data = json.loads(json.dumps(to_json([passed, failed])))
    assert {key: data[key] for key in ("passed", "failed", "evaluations")} == {"passed": 1, "failed": 1, "evaluations": 24}
    assert [each["passed"] for each in data["tests"]] == [True, False]
    (failure,) = data["tests"][1]["failures"]
    assert (failure["title"], failure["at"], failure["lines"][1]) == (
        "alerts at 2h",
        2 * HOUR,
        {"sign": "+", "text": "slow warning, 7 min (above 5 min)"},
    )
