"""What is wrong in a test file is told with its place and what was probably meant, all at once."""

from __future__ import annotations

from textwrap import dedent

import pytest

from alertd.clock import DAY, HOUR, MINUTE
from alertd.facts import Kind, Level
from alertd.ruletests.case import Event, Expected, Happening, Moment, Series
from tests.ruletests.played import HEAD, a_book, a_case, read


def said(body: str) -> list[tuple[str, str, str | None]]:
    """For each finding the marked text, the message and the suggestion."""
    _, findings = read(HEAD + "    " + dedent(body).strip().replace("\n", "\n    ") + "\n")
    return [(each.source_line[each.column - 1 : each.end_column - 1], each.message, each.suggestion) for each in findings]


def test_a_test_is_read_with_its_times_relative_to_its_start() -> None:
    case = a_case(
        """
        rules: [slow, agents]
        conversations:
          - {at: 5m, count: 3, botStatus: NO_RESPONSE, tags: [vip], firstCloseAt: 10m, cqlScore: null}
          - {each: 1m, from: 1h, to: 2h, timeToAgentResponseMillis: 2m, offline: true}
        during:
          - {at: 80m, do: restart, for: 3m}
          - {at: 90m, do: silence, until: 2h, rule: slow, group: {lastAgentId: 7}, labels: {team: a}}
          - {at: 100m, do: late_rows, by: 90s}
        expect:
          - {at: 60m, alerts: []}
          - {at: 1d, alerts: [{rule: agents, level: warning, group: {lastAgentId: 7}, value: 25m}]}
        notices: {team: [opened, resolved]}
        calls: 48
        """
    )
    assert case.conversations == (
        Series(
            5 * MINUTE,
            5 * MINUTE,
            None,
            3,
            {"botStatus": "NO_RESPONSE", "tags": ("vip",), "firstCloseAt": case.start + 10.0 * MINUTE, "cqlScore": None},
        ),
        Series(HOUR, 2 * HOUR, MINUTE, 1, {"timeToAgentResponseMillis": 2.0 * MINUTE, "offline": True}),
    )
    assert case.during == (
        Event(80 * MINUTE, Happening.RESTART, 3 * MINUTE),
        Event(90 * MINUTE, Happening.SILENCE, 30 * MINUTE, "slow", "lastAgentId=7", {"team": "a"}),
        Event(100 * MINUTE, Happening.LATE_ROWS, 90_000),
    )
    expected = Expected("agents", Level.WARNING, "lastAgentId=7", 25.0 * MINUTE)
    assert case.expect == (Moment(HOUR, (), 14), Moment(DAY, (expected,), 15))
    assert (case.notices, case.calls, case.end) == ({"team": (Kind.OPENED, Kind.RESOLVED)}, 48, DAY)


@pytest.mark.parametrize(
    ("body", "marked", "message", "suggestion"),
    [
        ("cals: 1", "cals", '"cals" is not a key of a test', "calls"),
        ("rules: [slwo]\ncalls: 1", "slwo", 'there is no rule "slwo"', "slow"),
        ("rules: []\ncalls: 1", "[]", "rules: ids of rules are expected here", None),
        ("calls: many", "many", 'calls: a whole number from 0 to 1,000,000 is expected here, not "many"', None),
        ("notices: [opend]", "opend", 'notices: there is no notice "opend"', "opened"),
        ("notices: {taem: [opened]}", "taem", 'there is no receiver "taem"', "team"),
        ("notices: opened", "opened", "notices: a list of notices is expected here", None),
        ("conversations: [{at: 5}]\ncalls: 1", "5", 'at: "5" has no unit; write 5s, 5m, 5h or 5d', None),
        ("conversations: [{at: 5 minutes}]\ncalls: 1", "5 minutes", "at: ", "5m"),
        ("conversations: [{at: -5}]\ncalls: 1", "-5", 'at: "5" has no unit; write 5s, 5m, 5h or 5d', None),
        ("conversations: [{at: -2y}]\ncalls: 1", "-2y", 'at: "2y" is not a duration', None),
        ("conversations: [{at: -367d}]\ncalls: 1", "-367d", 'at: "-367d" does not fit: times are in whole seconds', None),
        ("conversations: [{each: 1m, from: -1h, to: -2h}]\ncalls: 1", "-2h", "no conversation is created before `to`", None),
        ("expect: [{at: -5m, alerts: []}]", "-5m", 'at: "-5m" is not a duration', None),
        ("conversations: [{at: 5m, statsu: open}]\ncalls: 1", "statsu", '"statsu" is neither a property', "status"),
        ("conversations: [{at: 5m, status: opn}]\ncalls: 1", "opn", 'status: "opn" is not one of open', "open"),
        ("conversations: [{at: 5m, cqlScore: high}]\ncalls: 1", "high", 'cqlScore: "high" is not a number', None),
        (
            "conversations: [{at: 5m, timeToCloseMillis: 7}]\ncalls: 1",
            "7",
            "timeToCloseMillis: this property is a duration",
            None,
        ),
        ("conversations: [{at: 5m, firstCloseAt: soon}]\ncalls: 1", "soon", 'firstCloseAt: "soon" is not a moment', None),
        ("conversations: [{at: 5m, createdAt: 7m}]\ncalls: 1", "createdAt", "conversations are created when", None),
        ("conversations: [{at: 5m, each: 1m}]\ncalls: 1", "at", "at is one moment, each with from and to are many", None),
        ("conversations: [{each: 1m}]\ncalls: 1", "{each: 1m}", 'conversations need "to"', None),
        ("conversations: [{each: 1m, from: 2m, to: 2m}]\ncalls: 1", "2m", "no conversation is created before `to`", None),
        ("conversations: [{each: 500ms, to: 2m}]\ncalls: 1", "500ms", "each: ", None),
        ("conversations: [{each: 1m, to: 2m, id: 5}]\ncalls: 1", "5", "an id is that of one conversation", None),
        ("conversations: [{each: 1s, to: 300d}]\ncalls: 1", "[{each: 1s, to: 300d}]", "these are more than 500,000", None),
        ("conversations: [7]\ncalls: 1", "7", "conversations is a list of keys with values, and this is 7", None),
        ("during: [{at: 1m, do: restat}]\ncalls: 1", "restat", 'do: there is no event "restat"', "restart"),
        ("during: [{at: 1m, do: timeout}]\ncalls: 1", "timeout", 'timeout needs "for", such as for: 10m', None),
        ("during: [{at: 1m, do: error, for: 1m, by: 1m}]\ncalls: 1", "by", '"by" does not go with error', None),
        ("during: [{at: 9m, do: silence, until: 8m}]\ncalls: 1", "8m", "a silence is over after it has begun", None),
        ("during: [{do: restart}]\ncalls: 1", "{do: restart}", 'an event needs "at"', None),
        ("expect: [{at: 1m}]", "{at: 1m}", 'an entry of expect needs "alerts"', None),
        ("expect: [{at: 1m, alerts: [{rule: slow, levl: warning}]}]", "levl", '"levl" is not a key', "level"),
        ("expect: [{at: 1m, alerts: [{rule: slow, level: bad}]}]", "bad", 'level: there is no level "bad"', None),
        ("expect: [{at: 1m, alerts: [{rule: crowd, level: warning}]}]", "warning", "crowd has no level warning", None),
        (
            "expect: [{at: 1m, alerts: [{rule: slow, value: 20%}]}]",
            "20%",
            "value: this measure is a duration, not a share",
            None,
        ),
        ("expect: [{at: 1m, alerts: [{rule: shares, value: 20}]}]", "20", "value: this measure is a share", None),
        ("expect: [{at: 1m, alerts: [{rule: slow, group: {lastAgentId: 7}}]}]", "{lastAgentId: 7}", "slow has one alert", None),
        (
            "expect: [{at: 1m, alerts: [{rule: agents, group: {endUserId: 7}}]}]",
            "{endUserId: 7}",
            "agents makes its groups",
            None,
        ),
        ("expect: [{at: 1m, alerts: [{value: 7m}]}]", "{value: 7m}", "a value is in its rule's unit; name the rule", None),
        ("expect: [{at: 1m, alerts: [{}]}]", "{}", "an expected alert needs its rule", None),
        ("rules: [slow]\nexpect: [{at: 1m, alerts: [{rule: crowd}]}]", "crowd", "this test does not check crowd", None),
        ("rules: [slow]", "name", "this test expects nothing; add expect, notices or calls", None),
    ],
)
def test_a_mistake_is_marked_where_it_stands(body: str, marked: str, message: str, suggestion: str | None) -> None:
    ((where, words, meant),) = said(body)
    assert (where, meant) == (marked, suggestion)
    assert words.startswith(message)


def test_a_test_ends_at_its_start_where_all_of_it_lies_before() -> None:
    case = a_case("conversations: [{each: 1h, from: -7d, to: -6d}]\ncalls: 0")
    assert ([*case.conversations[0].moments][:2], case.end) == ([-7 * DAY, -7 * DAY + HOUR], 0)


def test_a_report_is_not_expected_to_fire() -> None:
    report = "- {id: report, measure: count, every: 1h, window: 1h, report: true, notify: team}"
    book = a_book(f"rules:\n  {report}\n")
    cases, findings = read(
        'tests: [{name: it, start: "2026-11-02T09:00:00Z", expect: [{at: 1h, alerts: [{rule: report}]}]}]', book
    )
    assert [(each.message, cases) for each in findings] == [
        ("report is a report and never fires; its messages are told in notices", ())
    ]


def test_all_mistakes_are_told_at_once() -> None:
    assert (
        len(said("cals: 1\nrules: [x]\nconversations: [{at: 1}]\nduring: [{at: 1m, do: x}]\nexpect: [{at: x, alerts: []}]"))
        == 5
    )


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ("2026-11-02T09:00:00", "has no time zone"),
        ("yesterday", "is not a moment"),
        ("2026-11-02T09:00:00.5Z", "is not in whole seconds"),
    ],
)
def test_a_start_is_a_moment_with_its_time_zone(start: str, message: str) -> None:
    _, findings = read(f'tests: [{{name: it, start: "{start}", calls: 1}}]')
    assert [message in each.message for each in findings] == [True]


def test_a_start_in_another_time_zone_is_the_same_moment() -> None:
    cases, _ = read('tests: [{name: it, start: "2026-11-02T10:00:00+01:00", calls: 1}]')
    assert cases[0].start == a_case("calls: 1").start


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", 'a test file begins with "tests:"'),
        ("{}", 'a test file needs "tests:"'),
        ("test: []", '"test" is not a key of a test file; it has tests'),
        ("tests: []", 'tests are a list; each begins with "- name:"'),
        ("tests: [7]", "a test has keys such as name: and start:, and this is 7"),
        ("tests: [{name: it, calls: 1}]", 'a test needs "start"'),
        ('tests: [{start: "2026-11-02T09:00:00Z", calls: 1}]', 'a test needs "name"'),
    ],
)
def test_a_file_that_is_no_test_file_says_what_one_looks_like(text: str, message: str) -> None:
    cases, findings = read(text)
    assert not cases
    assert [each.message.startswith(message) for each in findings] == [True]


def test_two_tests_of_one_name_are_told_apart() -> None:
    test = '{name: it, start: "2026-11-02T09:00:00Z", calls: 1}'
    _, findings = read(f"tests:\n  - {test}\n  - {test}\n")
    assert [(each.line, each.message) for each in findings] == [
        (3, "the test on line 2 has this name too; say what is different")
    ]


def test_a_test_that_would_be_played_for_hours_is_refused() -> None:
    ((_, message, _),) = said("expect: [{at: 366d, alerts: []}]")
    assert message == "this takes more than 200,000 checks; end it earlier, or name fewer rules under rules"
