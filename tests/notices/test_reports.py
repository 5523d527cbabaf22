"""Reports: told at every check, with all groups, in the rule's own days; and told that they failed, when they did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alertd.clock import DAY, HOUR, MINUTE, parse_instant
from alertd.errors import DeliveryError
from alertd.evaluation import ledger
from alertd.evaluation.schedule import Due
from alertd.evaluation.settling import Judged, settle
from alertd.facts import Evidence, Group, Kind, Level, Verdict
from alertd.notice import LISTED, Notice, from_json
from alertd.notices.periods import spell_moment, spell_period
from alertd.notices.rendering import render
from alertd.rulebook.rule import Rule
from alertd.store.database import Database, open_database
from alertd.testing import START, FakeChannel, a_group, a_rule, a_verdict
from tests.notices.examples import AGENTS, FAILED_REPORT, REPORT, names
from tests.notices.stage import BAD, Stage, a_levelled_rule

OK, WARNING = Level.OK, Level.WARNING
SHIPPED = Path(__file__).parents[2] / "templates"


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def reporting(**changes: Any) -> Rule:
    defaults = {"limits": (), "report": True, "notify": {OK: ("team",)}, "by": "lastAgentId", "every": DAY}
    return a_rule(**(defaults | changes))


def a_stage(database: Database, *, fallback: str | None = None, **changes: Any) -> Stage:
    channels = {"team": FakeChannel(), "boss": FakeChannel(), "spare": FakeChannel()}
    return Stage(database, reporting(**changes), channels, fallback)


def check(stage: Stage, *verdicts: Verdict) -> Kind | None:
    stage.clock.advance(MINUTE)
    at = stage.clock.now()
    with stage.database.write() as transaction:
        return settle(transaction, Judged(Due(stage.rule, at), verdicts), stage.book, at)


def agent(number: int, value: float | None, evidence: Evidence = Evidence.OK) -> Verdict:
    return a_verdict(value, group=a_group(number), evidence=evidence)


def newest(stage: Stage) -> Notice:
    return from_json(stage.rows("body", table="notices")[-1])


def test_every_check_tells_all_groups_the_worst_first_and_opens_no_incident(database: Database) -> None:
    stage = a_stage(database)
    thin = agent(3, 9.0, Evidence.INSUFFICIENT)
    assert check(stage, agent(1, 4.0), agent(2, 7.0), agent(4, None, Evidence.NO_DATA), thin) is Kind.REPORT
    assert check(stage, agent(1, 4.0)) is Kind.REPORT
    first = from_json(stage.rows("body", table="notices")[0])
    assert [(each.id, each.value, each.note) for each in first.groups] == [
        (3, 9.0, "because the test says so"),
        (2, 7.0, ""),
        (1, 4.0, ""),
        (4, None, "because the test says so"),
    ]
    assert (first.incident, first.level, first.conversations, first.groups_total) == (None, OK, 120, 4)
    assert (first.period, first.template) == ((START - HOUR, START), "report")
    assert stage.rows("kind", "incident") == [("report", None)] * 2
    assert (stage.rows("id", table="incidents"), stage.rows("told", "state", table="decisions")[0]) == (
        [],
        ("report", "inactive"),
    )
    with database.read() as transaction:
        assert ledger.load_alerts(transaction) == []


def test_only_the_worst_groups_are_kept_and_all_are_counted(database: Database) -> None:
    stage = a_stage(database)
    check(stage, *(agent(number, float(number)) for number in range(100)))
    assert (len(newest(stage).groups), newest(stage).groups_total, newest(stage).groups[0].id) == (LISTED, 100, 99)


def test_a_report_without_groups_has_one_number(database: Database) -> None:
    stage = a_stage(database, by=None, measure="count", template="mine")
    check(stage, a_verdict(1204.0))
    assert (newest(stage).value, newest(stage).template, newest(stage).groups_total) == (1204.0, "mine", 1)
    told = render("slack", newest(stage), names=names, folders=(SHIPPED,))
    assert told["summary"] == "*Report.* Number of conversations: 1,204."


@pytest.mark.parametrize("evidence", [Evidence.ERROR, Evidence.STALE])
def test_a_report_that_got_no_answer_says_so_and_why(database: Database, evidence: Evidence) -> None:
    stage = a_stage(database)
    assert check(stage, a_verdict(None, evidence=evidence)) is Kind.REPORT
    assert newest(stage).text == (
        "This report could not be made: because the test says so. The next one comes at its usual time."
    )
    assert stage.rows("told", "change", table="decisions") == [("report", "nothing changes")]


def test_a_report_on_nothing_says_that_there_was_nothing(database: Database) -> None:
    stage = a_stage(database)
    check(stage, a_verdict(None, evidence=Evidence.NO_DATA))
    told = render("email", newest(stage), names=names, folders=(SHIPPED,))
    assert "There was nothing to report: no conversations with an agent." in told["text"]


def test_a_silenced_report_is_not_told_and_the_record_says_why(database: Database) -> None:
    stage = a_stage(database)
    stage.silence(2, rule="slow", group="lastAgentId=1")
    assert check(stage, agent(1, 4.0)) is Kind.REPORT
    stage.silence(60, rule="slow")
    assert check(stage, agent(1, 4.0)) is None
    assert stage.rows("untold", table="decisions")[-1] == "silenced until 10:01 UTC by Ana: deploy"


def test_a_report_that_nobody_is_named_for_is_in_the_record_only(database: Database) -> None:
    stage = a_stage(database, notify={})
    assert check(stage, agent(1, 4.0)) is None
    assert stage.rows("untold", table="decisions") == ["no receiver is named for this report"]


def test_reports_wait_for_none_before_them_and_join_no_thread(database: Database) -> None:
    stage = a_stage(database, notify={OK: ("team", "boss")})
    stage.channels["team"].taken.failures[:] = [DeliveryError("no connection")]
    check(stage, agent(1, 4.0)), stage.send()
    check(stage, agent(1, 4.0)), stage.send()
    assert stage.channels["team"].kinds == ["report"] * 2
    assert [thread for _, thread in stage.channels["boss"].taken.messages] == [None, None]
    assert stage.rows("attempts") == [2, 1, 1, 1]


def test_a_report_whose_receiver_is_dead_goes_to_the_fallback_and_the_next_one_is_tried_again(database: Database) -> None:
    stage = a_stage(database, fallback="spare")
    check(stage, agent(1, 4.0)), check(stage, agent(1, 5.0))
    stage.channels["team"].taken.failures[:] = [DeliveryError("channel_not_found", permanent=True)]
    stage.send()
    assert stage.rows("via", "state") == [("spare", "sent"), ("team", "sent")]


def test_a_rule_that_becomes_a_report_ends_what_it_left_behind(database: Database) -> None:
    stage = Stage(database, a_levelled_rule(notify={WARNING: ("team",)}), {"team": FakeChannel()})
    stage.check({1: BAD})
    stage.rule = reporting()
    check(stage, agent(1, 4.0))
    assert stage.told("team") == ["opened", "resolved", "report"]
    with database.read() as transaction:
        assert ledger.load_alerts(transaction) == []
        assert ledger.load_checked(transaction).keys() == {"slow"}
        bodies = [from_json(row.body) for row in transaction.execute(sa.text("SELECT body FROM notices ORDER BY id"))]
    assert bodies[1].reason == "the rule has become a report"


@pytest.mark.parametrize(
    ("start", "end", "zone", "words"),
    [
        ("2026-11-02T23:00Z", "2026-11-03T23:00Z", "Europe/Berlin", "Tuesday 3 November 2026"),
        ("2026-10-24T22:00Z", "2026-10-25T23:00Z", "Europe/Berlin", "Sunday 25 October 2026"),
        ("2026-11-02T00:00Z", "2026-11-09T00:00Z", "UTC", "2 to 8 November 2026"),
        ("2026-10-26T00:00Z", "2026-11-02T00:00Z", "UTC", "26 October to 1 November 2026"),
        ("2026-12-28T00:00Z", "2027-01-04T00:00Z", "UTC", "28 December 2026 to 3 January 2027"),
        ("2026-11-03T08:00Z", "2026-11-03T09:00Z", "UTC", "3 November 2026, 08:00 to 09:00"),
        ("2026-11-03T20:00Z", "2026-11-04T00:00Z", "UTC", "3 November 2026, 20:00 to 24:00"),
        ("2026-11-03T00:00Z", "2026-11-03T08:00Z", "UTC", "3 November 2026, 00:00 to 08:00"),
        ("2026-11-02T08:00Z", "2026-11-03T08:00Z", "UTC", "2 November 2026, 08:00, to 3 November 2026, 08:00"),
    ],
)
def test_a_period_reads_as_people_say_it(start: str, end: str, zone: str, words: str) -> None:
    assert spell_period(parse_instant(start), parse_instant(end), zone) == words


def test_a_moment_has_its_date_where_that_is_not_today() -> None:
    at = parse_instant("2026-11-03T23:30Z")
    assert spell_moment(at, at, "UTC") == "23:30 UTC"
    assert spell_moment(at, at + HOUR, "Europe/Berlin") == "00:30 Europe/Berlin"
    assert spell_moment(at, at + HOUR, "UTC") == "3 Nov 23:30 UTC"


def test_the_look_of_reports_lists_every_group_with_its_conversations() -> None:
    slack, mail = (render(kind, REPORT, names=names, folders=(SHIPPED,)) for kind in ("slack", "email"))
    assert slack["header"] == "📊 Yesterday in numbers: Tuesday 3 November 2026"
    assert slack["groups"].splitlines() == [
        "• Priya Shah: *7 min 12 s* · 80 conversations",
        "• Ana Núñez: *4 min* · 91 conversations",
        "• Tom Reed · 1 conversation · nothing to measure: no conversation has a value",
    ]
    assert mail["subject"] == "[Report] Yesterday in numbers: Tuesday 3 November 2026"
    assert "- Tom Reed (1 conversation), nothing to measure: no conversation has a value" in mail["text"]
    assert "Period:        Tuesday 3 November 2026, Europe/Berlin" in mail["text"]
    assert mail["html"].count("<tr") > mail["html"].count("Priya")


def test_a_failed_report_begins_with_what_went_wrong() -> None:
    mail = render("email", FAILED_REPORT, names=names, folders=(SHIPPED,))
    assert mail["subject"] == "[Report] Yesterday in numbers: could not be made"
    assert "the API refuses the token (401)" in mail["text"]


def test_a_rule_can_name_a_look_of_its_own_and_what_it_lacks_is_the_channels(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "slack.j2").write_text('{% extends "slack.j2" %}{% block advice %}Ring {{ owner }}{% endblock %}')
    named = Notice(**{**vars(AGENTS), "template": "mine"})
    folders = (tmp_path, SHIPPED)
    usual = render("slack", AGENTS, names=names, folders=folders)
    assert render("slack", named, names=names, folders=folders) == {**usual, "advice": "Ring support-ops"}
    assert render("email", named, names=names, folders=folders) == render("email", AGENTS, names=names, folders=folders)


def test_the_shipped_look_of_reports_can_be_extended(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    text = '{% extends "report/slack.j2" %}{% block advice %}See you tomorrow{% endblock %}'
    (tmp_path / "report" / "slack.j2").write_text(text)
    parts = render("slack", REPORT, names=names, folders=(tmp_path, SHIPPED))
    assert parts["advice"] == "See you tomorrow"
    assert "80 conversations" in parts["groups"]


def test_a_group_of_a_report_is_not_confused_with_all_conversations(database: Database) -> None:
    stage = a_stage(database)
    blank = Verdict("slow", Group(), Evidence.OK, None, OK, 7, 0, a_verdict().window, START, "none is over the limit")
    check(stage, blank)
    assert (newest(stage).groups, newest(stage).conversations) == ((), 7)
