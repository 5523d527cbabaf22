"""Reminders, escalations and acknowledgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.facts import Kind, Level
from alertd.notice import from_json
from alertd.notices.incidents import unacknowledge
from alertd.rulebook.rule import Escalation
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, ERROR, Stage, a_levelled_rule

W, C = Level.WARNING, Level.CRITICAL
O, X, M, E, R = Kind.OPENED, Kind.CHANGED, Kind.REMINDER, Kind.ESCALATED, Kind.RESOLVED  # noqa: E741 - for tables


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def a_stage(database: Database, **changes: Any) -> Stage:
    channels = {"warn": FakeChannel(), "crit": FakeChannel(), "edits": FakeChannel(editable=True)}
    return Stage(database, a_levelled_rule(notify={W: ("warn",), C: ("warn", "crit")}, **changes), channels)


def reminding(database: Database) -> Stage:
    return a_stage(database, remind=10 * MINUTE)


def escalating(database: Database, *to: str) -> Stage:
    return a_stage(database, escalate=Escalation(10 * MINUTE, to or ("edits",)))


def checks(stage: Stage, *values: Any) -> list[Kind | None]:
    return [stage.check(each) for each in values]


def test_what_goes_on_is_told_again_each_time_the_pause_is_over(database: Database) -> None:
    stage = reminding(database)
    assert checks(stage, *[{1: BAD}] * 6, {}) == [O, None, M, None, M, None, R]
    assert (stage.told("warn"), stage.told("crit")) == (["opened", "reminder", "reminder", "resolved"], [])


def test_news_of_any_kind_put_the_reminder_off(database: Database) -> None:
    assert checks(reminding(database), {1: BAD}, {1: AWFUL}, {1: AWFUL}, {1: AWFUL}) == [O, X, None, M]


def test_without_evidence_nobody_is_reminded(database: Database) -> None:
    assert checks(reminding(database), {1: BAD}, ERROR, ERROR, ERROR, {1: BAD}) == [O, None, None, None, M]


def test_nobody_is_reminded_of_what_is_acknowledged_and_the_record_says_why(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: BAD})
    assert stage.acknowledge()
    assert checks(stage, *[{1: BAD}] * 4) == [None] * 4
    assert stage.rows("untold", table="decisions") == [None, None, "acknowledged by Ana"]
    with database.write() as transaction:
        assert unacknowledge(transaction, 1)
    assert stage.check({1: BAD}) is M


def test_a_worse_level_is_told_all_the_same_and_ends_the_acknowledgement(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: BAD})
    stage.acknowledge()
    assert checks(stage, {1: AWFUL}, {1: AWFUL}, {1: AWFUL}) == [X, None, M]
    assert stage.rows("acknowledged_by", table="incidents") == [None]


def test_an_acknowledgement_outlives_levels_that_whoever_has_it_has_seen(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: AWFUL})
    stage.acknowledge()
    assert checks(stage, {1: BAD}, {1: AWFUL}, {1: AWFUL}, {1: AWFUL}, {1: AWFUL}) == [X, X, None, None, None]
    notice = from_json(stage.rows("body", table="notices")[-1])
    assert notice.acknowledged == "Ana"


def test_what_is_over_cannot_be_acknowledged_and_a_reopening_has_nobody(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: BAD})
    stage.acknowledge()
    stage.check({})
    assert not stage.acknowledge()
    assert not stage.acknowledge(number=7)
    assert checks(stage, {1: BAD}, {1: BAD}, {1: BAD}) == [O, None, M]


def test_silence_stops_reminders_and_they_go_on_after_it(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: BAD})
    stage.silence(22)
    assert checks(stage, *[{1: BAD}] * 5) == [None, None, None, None, M]


def test_a_clock_that_is_set_back_delays_a_reminder_by_its_pause_at_most(database: Database) -> None:
    stage = reminding(database)
    stage.check({1: BAD})
    stage.clock.set_wall(stage.clock.now() - 24 * HOUR)
    assert checks(stage, *[{1: BAD}] * 4) == [None, None, M, None]


def test_what_nobody_takes_up_is_told_to_somebody_else_once(database: Database) -> None:
    stage = escalating(database)
    assert checks(stage, *[{1: BAD}] * 5, {1: AWFUL}, {}) == [O, None, E, None, None, X, R]
    assert stage.told("edits") == ["escalated", "changed", "resolved"]
    assert stage.told("warn") == ["opened", "changed", "resolved"]


def test_who_knows_already_is_told_that_it_escalates(database: Database) -> None:
    stage = escalating(database, "warn", "edits")
    checks(stage, *[{1: BAD}] * 4)
    assert (stage.told("warn"), stage.told("edits")) == (["opened", "escalated"], ["escalated"])


def test_an_escalation_does_not_wait_for_other_news(database: Database) -> None:
    stage = escalating(database)
    assert checks(stage, {1: BAD}, {1: BAD}, {1: AWFUL}) == [O, None, X]
    assert (stage.told("warn"), stage.told("crit"), stage.told("edits")) == (["opened", "changed"], ["opened"], ["escalated"])
    assert stage.check({1: AWFUL}) is None


def test_what_is_acknowledged_is_not_escalated(database: Database) -> None:
    stage = escalating(database)
    stage.check({1: BAD})
    stage.acknowledge()
    assert checks(stage, *[{1: BAD}] * 4) == [None] * 4
    assert stage.rows("untold", table="decisions")[-1] == "acknowledged by Ana"


def test_without_evidence_nothing_escalates(database: Database) -> None:
    assert checks(escalating(database), {1: BAD}, ERROR, ERROR, ERROR, {1: BAD}) == [O, None, None, None, E]


def test_time_in_which_nobody_could_know_does_not_count_towards_an_escalation(database: Database) -> None:
    stage = escalating(database)
    stage.silence(22)
    assert checks(stage, *[{1: BAD}] * 7) == [None, None, None, None, O, None, E]


def test_a_reopening_escalates_anew(database: Database) -> None:
    stage = escalating(database)
    checks(stage, *[{1: BAD}] * 3, {})
    assert checks(stage, *[{1: BAD}] * 4) == [O, None, E, None]
    assert stage.told("edits") == ["escalated", "resolved", "escalated"]


def test_a_level_without_receivers_escalates_too_and_the_record_says_that_nobody_was_told(database: Database) -> None:
    stage = Stage(
        database,
        a_levelled_rule(notify={C: ("crit",)}, escalate=Escalation(10 * MINUTE, ("crit",))),
        {"crit": FakeChannel()},
    )
    assert checks(stage, *[{1: BAD}] * 3) == [None, None, E]
    assert stage.rows("untold", table="decisions")[0] == "no receiver is named for warning"
    assert stage.told("crit") == ["escalated"]


def test_that_nobody_wants_to_hear_the_end_is_in_the_record(database: Database) -> None:
    stage = Stage(database, a_levelled_rule(notify={W: ("warn",)}), {"warn": FakeChannel()}, quiet=frozenset({"warn"}))
    assert checks(stage, {1: BAD}, {}) == [O, None]
    assert stage.rows("untold", table="decisions")[-1] == "its receivers want no end told (send_resolved: false)"
