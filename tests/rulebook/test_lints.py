"""Lints warn of what can hardly be meant, say why and what to do, and leave good rules alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from alertd.facts import Level
from alertd.rulebook.calendars_file import read_calendars
from alertd.rulebook.findings import Finding, render_text
from alertd.rulebook.loader import inspect
from alertd.rulebook.located import compose
from alertd.rulebook.relations import Known
from alertd.rulebook.rule import Route
from alertd.shipped import shipped
from tests.rulebook.authors import KNOWN, said_of

SHARE = "{share: {property: botStatus, operation: EQ, values: [NO_RESPONSE]}}"
ANSWERS = "{median: timeToAgentResponseMillis}"


def rule(**keys: str) -> str:
    """A rule that nobody would object to, with other keys; None of a key leaves it out."""
    ordinary = {"id": "slow", "every": "5m", "window": "1h", "measure": "count", "notify": "support-slack"}
    levels = {} if {"warning", "critical", "report"} & keys.keys() else {"warning": "{below: 5}"}
    named = {key.removesuffix("_"): value for key, value in keys.items()}
    return "rules:\n  - " + "\n    ".join(f"{key}: {value}" for key, value in (ordinary | levels | named).items() if value)


def lints(text: str, known: Known = KNOWN) -> list[Finding]:
    found = list(said_of(text, known))
    assert all(each.severity == "warning" for each in found), render_text(found)
    return found


# What is odd, where it is told (the text that is marked), and the reason.
ODD = [
    (rule(measure=SHARE, critical="{above: 20%}"), SHARE, "add min_conversations: 20"),
    (rule(measure=SHARE, compare="{change: {to: 7d}}", warning="{above: 20%}"), SHARE, "fires by chance"),
    (
        rule(measure=ANSWERS, unanswered="as_waited", critical="{above: 5m, recover: 4m}"),
        ANSWERS,
        "one slow conversation of a quiet hour is enough to fire; add min_conversations: 5",
    ),
    (rule(by="lastAgentId", measure=ANSWERS, warning="{above: 5m}"), ANSWERS, "of a group with few conversations"),
    (
        rule(min_conversations="20"),
        "min_conversations",
        "a number below 20 is not judged at all, so the worst drop goes unseen; remove min_conversations",
    ),
    (
        "defaults: {min_conversations: 20}\n" + rule(),
        "count",
        "(min_conversations: 20 comes from defaults; 0 here switches it off)",
    ),
    (rule(compare="usual", min_conversations="20", warning="{outside: 4}"), "min_conversations", "is not judged at all"),
    (
        rule(min_conversations="20", warning="{above: 5}"),
        "min_conversations",
        "numbers from 5 to 20 are over the limit",
    ),
    (rule(measure="waiting", min_conversations="3", warning="{above: 5m}"), "min_conversations", "one visitor who waits"),
    (
        rule(by="conversation", measure="waiting", min_conversations="2", warning="{above: 5m}"),
        "min_conversations",
        "each conversation is a group by itself, so there are never 2",
    ),
    (
        rule(measure=SHARE, min_conversations="30", reopen_within="0s", warning="{above: 20%}"),
        "warning",
        "each time the value crosses this, a new incident is told",
    ),
    (
        rule(every="1m", measure=SHARE, min_conversations="30", critical="{above: 20%}"),
        "critical",
        "only 1 min of 1 h are new, so a value near this limit goes to and fro; add recover",
    ),
    (rule(every="10m", for_="3m"), "3m", "it is checked every 10m, so this fires at the second check, as for: 10m would"),
    (
        rule(every="", cron='"* 8 * * mon-fri"', report="true"),
        '"* 8 * * mon-fri"',
        'this report is told every minute of the hours that it names; once an hour is written "0 8 * * mon-fri"',
    ),
    (rule(every="30m", window="10m"), "10m", "it is checked every 30m and looks 10m back, so conversations between are never"),
    (rule(every="", cron='"*/30 * * * *"', window="10m"), "10m", "write window: 30m or longer"),
    (
        rule(measure="waiting", window="10m", critical="{above: 10m}"),
        "10m",
        "conversations are in the window for 10m only, so this limit cannot be passed; make window longer",
    ),
    (
        rule(by="conversation", measure="waiting", window="10m", critical="{above: 5m}", for_="5m"),
        "5m",
        "so 5m and for: 5m cannot be passed",
    ),
    (rule(measure="{max: timeToCloseMillis}", warning="{above: 2h}"), "2h", "cannot be passed; make window longer"),
    (rule(warning="{below: 0}"), "0", "it is never below 0, so this never fires"),
    (rule(measure=SHARE, min_conversations="30", warning="{above: 100%}"), "100%", "it is never above 100 %"),
    (rule(measure=SHARE, min_conversations="30", warning="{above: -5%}"), "-5%", "it is always above -5 %"),
    (rule(measure=SHARE, min_conversations="30", warning="{below: 120%}"), "120%", "it is always below 120 %"),
    (rule(compare="{change: {to: 7d}}", warning="{below: -100%}"), "-100%", "it is never below -100 %"),
    (
        rule(compare="{change: {to: 7d}}", warning="{below: 50%}"),
        "50%",
        "below 50 % holds also when nothing has changed (0 %); for half as many write below: -50%",
    ),
    (rule(compare="{change: {to: 7d}}", warning="{above: -30%}"), "-30%", "for 30 % more write above: 30%"),
    (
        rule(compare="{change: {to: 7d}}", measure="{sum: numAgentMessages}", warning="{below: 20%}"),
        "20%",
        "for 20 % less write below: -20%",
    ),
    (rule(compare="{change: {to: 7d}}", warning="{below: 150%}"), "150%", "holds also when nothing has changed (0 %)"),
    (rule(no_data="warning"), "no_data", "number of conversations is 0 without conversations, never without a value"),
    (rule(timezone="Europe/Berlin"), "timezone", "nothing in this rule goes by a time zone"),
    (
        rule(by="lastAgentId", expect="[7]", measure=ANSWERS, min_conversations="5", warning="{above: 5m}"),
        "expect",
        "a group that is missing is not told of; add no_data: warning",
    ),
    (
        rule(by="lastAgentId", expect="[7]", warning="{above: 5}"),
        "expect",
        "a group that is missing has 0, which is never",
    ),
    (
        rule(escalate="{after: 1h, notify: support-slack}"),
        "support-slack",
        "whoever is named here has been told already when it opened",
    ),
    (rule(notify=""), "slow", 'nobody receives this rule; add "notify"'),
    (
        rule(notify="[]", escalate="{after: 1h, notify: oncall-mail}"),
        "[]",
        "until it is escalated, so nobody can acknowledge it",
    ),
    (rule(report="true", notify="{warning: support-slack}"), "{warning: support-slack}", "nobody receives this report"),
]


@pytest.mark.parametrize(("text", "marked", "reason"), ODD, ids=[each[2][:50] for each in ODD])
def test_what_can_hardly_be_meant_is_told_with_its_reason(text: str, marked: str, reason: str) -> None:
    (finding,) = lints(text)

    assert finding.source_line[finding.column - 1 : finding.end_column - 1] == marked
    assert reason in finding.message


# The same rules as they are meant, and others that are near to an odd one.
GOOD = [
    rule(measure=SHARE, min_conversations="1", critical="{above: 20%}"),
    rule(measure=SHARE, compare="{usual: {}}", warning="{outside: 4}"),
    rule(measure=SHARE, compare="{burn: {objective: 95%}}", warning="", window=""),
    rule(measure=SHARE, report="true"),
    rule(measure=ANSWERS, unanswered="as_waited", critical="{above: 5m, recover: 4m}", min_conversations="5"),
    rule(measure=ANSWERS, unanswered="as_waited", warning="{above: 5m}"),
    rule(by="lastAgentId", measure=ANSWERS, min_conversations="5", warning="{above: 5m}"),
    rule(by="conversation", measure=ANSWERS, unanswered="ignore", critical="{above: 5m}"),
    rule(min_conversations="5", warning="{above: 5}"),
    rule(by="conversation", measure="waiting", min_conversations="1", warning="{above: 5m}"),
    rule(measure=SHARE, min_conversations="30", reopen_within="0s", warning="{above: 20%, recover: 15%}"),
    rule(measure=SHARE, min_conversations="30", reopen_within="0s", warning="{above: 20%}", for_="10m"),
    rule(measure=SHARE, min_conversations="30", reopen_within="30m", warning="{above: 20%}"),
    rule(every="1m", measure=SHARE, min_conversations="30", critical="{above: 20%, recover: 15%}"),
    rule(every="1m", measure=SHARE, min_conversations="30", critical="{above: 20%}", keep_firing="5m"),
    rule(every="1m", measure=SHARE, min_conversations="30", warning="{above: 20%}"),
    rule(every="1m", critical="{below: 1}"),
    rule(every="30m", window="30m"),
    rule(every="", cron='"0 9 * * mon-fri"', window="1h"),
    rule(every="", cron='"0 8 * * mon"', window="{calendar_day: -1}"),
    rule(measure="waiting", window="10m", critical="{above: 9m}"),
    rule(by="conversation", every="1m", measure="waiting", window="10m", critical="{above: 5m}", for_="4m"),
    rule(every="10m", for_="10m"),
    rule(every="10m", for_="0s"),
    rule(every="", cron='"0 8 * * mon-fri"', report="true"),
    rule(every="", cron='"* 8 * * mon-fri"', warning="{below: 5}"),
    rule(measure="waiting", window="1h", critical="{above: 5m}", for_="2h"),
    rule(measure="{sum: timeToCloseMillis}", warning="{above: 2h}"),
    rule(measure="{max: timeToCloseMillis}", timestamp="firstCloseAt", warning="{above: 2h}"),
    rule(measure="{max: timeToCloseMillis}", window="{calendar_hour: -1}", warning="{above: 2h}"),
    rule(warning="{below: 1}"),
    rule(measure="{min: cqlScore}", warning="{below: 0}"),
    rule(measure=SHARE, min_conversations="30", warning="{above: 99%}"),
    rule(compare="{change: {to: 7d}}", warning="{above: 100%}"),
    rule(compare="{change: {to: 7d}}", warning="{above: 0%}"),
    rule(compare="{change: {to: 7d}}", warning="{below: 0%}"),
    rule(compare="{change: {to: 7d}}", warning="{outside: 50%}"),
    rule(compare="{change: {to: 7d}}", warning="{below: -50%}"),
    rule(no_data="keep"),
    rule(measure=ANSWERS, unanswered="as_waited", no_data="warning", warning="{above: 5m}"),
    rule(timezone="Europe/Berlin", compare="usual", warning="{outside: 4}"),
    rule(timezone="Europe/Berlin", window="{calendar_day: 0}"),
    "defaults: {timezone: Europe/Berlin}\n" + rule(),
    rule(by="lastAgentId", expect="[7]"),
    rule(by="lastAgentId", expect="[7]", measure=ANSWERS, min_conversations="5", no_data="warning", warning="{above: 5m}"),
    rule(by="lastAgentId", expect="[7]", measure=ANSWERS, min_conversations="5", no_data="keep", warning="{above: 5m}"),
    rule(escalate="{after: 1h, notify: [support-slack, oncall-mail]}"),
    rule(report="true", notify="support-slack"),
]


@pytest.mark.parametrize("text", GOOD, ids=[each.replace("\n", " ")[:120] for each in GOOD])
def test_a_rule_that_may_well_be_meant_is_left_alone(text: str) -> None:
    assert lints(text) == []


def test_a_count_that_can_never_be_below_is_told_what_was_meant() -> None:
    (finding,) = lints(rule(warning="{below: 0}"))

    assert finding.suggestion == "1"


@pytest.mark.parametrize(("limit", "meant"), [("{below: 50%}", "-50%"), ("{above: -12.5%}", "12.5%"), ("{below: 150%}", None)])
def test_a_change_whose_sign_was_forgotten_is_told_with_the_sign(limit: str, meant: str | None) -> None:
    (finding,) = lints(rule(compare="{change: {to: 7d}}", warning=limit))

    assert finding.suggestion == meant


@pytest.mark.parametrize(
    ("route", "heard"),
    [
        (Route(("oncall-mail",)), True),
        (Route(("oncall-mail",), labels={"team": "support"}), True),
        (Route(("oncall-mail",), labels={"team": "sales"}), False),
        (Route(("oncall-mail",), level=Level.CRITICAL), False),
    ],
)
def test_a_rule_that_only_a_route_receives_is_heard_where_the_route_matches(route: Route, heard: bool) -> None:
    found = lints(rule(notify="", labels="{team: support}"), Known(KNOWN.receivers, routes=(route,)))

    assert (found == []) == heard


HOURS = 'calendars: {office-hours: {timezone: Europe/Berlin, weekly: {mon-fri: "08:00-18:00"}}}'


@pytest.mark.parametrize(
    ("keys", "open_"),
    [
        ({"window": "{calendar_day: -1}"}, False),
        ({"every": "", "cron": '"0 3 * * *"'}, False),
        ({"every": "", "cron": '"0 12 * * sat,sun"'}, False),
        ({"every": "", "cron": '"0 12 * * *"'}, True),
        ({"window": "{calendar_hour: -1}"}, True),
        ({}, True),
        ({"window": "3d"}, True),
    ],
    ids=str,
)
def test_a_rule_whose_calendar_is_closed_whenever_it_is_due_is_told(keys: dict[str, str], open_: bool) -> None:
    document, _ = compose(HOURS, "calendars.yaml")
    assert document is not None
    calendars = read_calendars(document)
    known = Known(KNOWN.receivers, calendars.calendars, calendars.names)
    found = lints(rule(calendar="office-hours", **keys), known)

    assert [each.message for each in found if "so it is never checked" not in each.message] == []
    assert (found == []) == open_


def test_a_time_zone_beside_a_calendar_is_told_that_the_calendar_has_one() -> None:
    document, _ = compose(HOURS.replace("Europe/Berlin", "Asia/Tokyo"), "calendars.yaml")
    assert document is not None
    calendars = read_calendars(document)
    known = Known(KNOWN.receivers, calendars.calendars, calendars.names)
    (found,) = lints(rule(calendar="office-hours", timezone="Europe/Berlin"), known)

    assert found.message.endswith("; remove it (office-hours brings its own, Asia/Tokyo)")


@pytest.mark.parametrize("name", ["starter", "demo"])
def test_nothing_is_said_of_the_rules_that_ship(name: str) -> None:
    assert inspect(Path(shipped(f"rules/{name}")))[1] == ()
