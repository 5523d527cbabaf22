"""The rulebooks that come with alertd do what their own tests say, and those tests leave no rule out."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest

from alertd.rulebook.loader import load
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.case import OUTAGES, Case, Happening
from alertd.ruletests.comparing import failures
from alertd.ruletests.files import find, load_cases
from alertd.ruletests.running import play_all
from alertd.ruletests.showing import details, outcome
from alertd.ruletests.timeline import timeline
from alertd.shipped import shipped
from tests.cli.shell import alertd
from tests.ruletests.played import played

FOLDERS = ("examples", "starter")


@cache
def a_book(folder: str = "examples") -> Rulebook:
    return load(shipped(f"rules/{folder}"), revision="test")


@cache
def cases(folder: str) -> tuple[Case, ...]:
    found, findings = load_cases(find([shipped(f"rules/{folder}")]), a_book(folder))
    assert not findings
    return found


def entries(body: str) -> list[str]:
    """What happened in a test of the examples, with the times of the test in front."""
    return [f"{each.at // 60_000}m {each.text}" for each in timeline(played(dedent(body), a_book()), a_book())]


def missed(body: str) -> list[str]:
    """Lines of what is not as expected."""
    found = failures(played(dedent(body), a_book()), a_book())
    return [f"{line.sign} {line.text}" for each in found for line in each.lines]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_shipped_test_passes(folder: str) -> None:
    runs = play_all(cases(folder), a_book(folder))
    failed = [line for run in runs for line in details(outcome(run, a_book(folder), took=0))]
    assert cases(folder)
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_is_to_be_said_against_a_shipped_rulebook(folder: str, tmp_path: Path) -> None:
    ran = alertd(tmp_path, "check", "--strict", str(shipped(f"rules/{folder}")))
    assert (ran.code, ran.out) == (0, "")


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_shipped_rule_is_named_by_a_test_that_says_what_comes_of_it(folder: str) -> None:
    named = {rule for case in cases(folder) for rule in case.rules if case.notices or any(each.alerts for each in case.expect)}
    assert named == set(a_book(folder).rules)


def test_every_event_that_there_is_happens_in_an_example() -> None:
    assert {event.what for case in cases("examples") for event in case.during} == set(Happening) > OUTAGES


def test_the_story_says_when_a_calendar_keeps_a_rule_from_being_checked() -> None:
    found = entries(
        """
        rules: [widget-silent]
        conversations: [{each: 10m, from: 4h, to: 14h}]
        expect: [{at: 14h10m, alerts: []}]
        """
    )
    assert [each for each in found if "office-hours" in each] == [
        "5m widget-silent is not checked while office-hours is closed",
        "275m widget-silent is checked again: office-hours is open",
        "845m widget-silent is not checked while office-hours is closed",
    ]


@pytest.mark.parametrize(
    ("at", "reason"),
    [
        ("4h30m", "never checked: office-hours is closed"),
        ("14h10m", "office-hours is closed; the last check was ok: 3 is not below 1"),
        ("13h", "ok: 3 is not below 1"),
    ],
)
def test_the_difference_says_that_a_calendar_is_closed(at: str, reason: str) -> None:
    body = "rules: [widget-silent]\nconversations: [{each: 10m, from: 4h, to: 14h}]\n"
    assert missed(f"{body}expect: [{{at: {at}, alerts: [{{level: critical}}]}}]") == [f"- widget-silent critical   ({reason})"]


def test_the_story_says_why_nobody_was_told() -> None:
    found = entries(
        """
        rules: [volume-drop, widget-silent]
        conversations: [{each: 1m, from: -6d19h30m, to: -6d}]
        expect: [{at: 6h, alerts: []}]
        """
    )
    (drop,) = (each for each in found if "volume-drop: firing critical" in each)
    assert drop.endswith("(-100 % (0 now, 30 a week ago) is below -80 %); not told: quiet while widget-silent fires")


def test_a_message_about_a_comparison_says_what_was_compared() -> None:
    body = "rules: [volume-drop]\nconversations: [{each: 1m, from: -7d, to: -6d}]\n"
    assert missed(f"{body}expect: [{{at: 1h, alerts: []}}]\nnotices: {{pager: []}}") == [
        "+ volume-drop critical, -100 % (below -80 %)",
        "+ opened at 30m (volume-drop critical, -100 % (0 now, 30 a week ago))",
    ]


def test_a_report_is_told_without_a_level() -> None:
    found = entries(
        """
        rules: [morning-report]
        conversations: [{each: 1h, from: -1d, to: 0m, lastAgentId: 7, timeToAgentResponseMillis: 2m}]
        expect: [{at: 1d, alerts: []}]
        """
    )
    assert found == ["1320m morning-report lastAgentId=7: reported (2 min)", "1320m -> team-mail: report, morning-report"]
