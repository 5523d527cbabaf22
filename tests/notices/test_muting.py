"""Incidents that are silenced as a whole or in part: who is told what, during the silence and after it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alertd.clock import MINUTE
from alertd.facts import Kind, Level
from alertd.notice import Notice, from_json
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, ERROR, Stage, a_levelled_rule

W, C = Level.WARNING, Level.CRITICAL
ONE, TWO = {"group": "conversationId=1"}, {"group": "conversationId=2"}


@pytest.fixture
def stage() -> Iterator[Stage]:
    database = open_database("sqlite://")
    yield a_stage(database)
    database.close()


def a_stage(database: Database) -> Stage:
    rule = a_levelled_rule(notify={W: ("warn",), C: ("warn", "crit")})
    return Stage(database, rule, {"warn": FakeChannel(), "crit": FakeChannel()})


def newest(stage: Stage) -> Notice:
    return from_json(stage.rows("body", table="notices")[-1])


def test_nobody_is_told_during_a_silence_and_everybody_after_it_although_nothing_has_changed(stage: Stage) -> None:
    stage.silence(12)
    assert [stage.check({1: BAD}), stage.check({1: BAD})] == [None, None]
    assert stage.rows("kind") == []
    assert stage.rows("muted", table="incidents") == ["silenced until 09:12 UTC by Ana: deploy"]
    assert stage.check({1: BAD}) is Kind.OPENED
    assert stage.told("warn") == ["opened"]
    assert stage.rows("muted", table="incidents") == [None]
    assert stage.check({1: BAD}) is None


def test_only_an_answer_ends_the_quiet(stage: Stage) -> None:
    stage.silence(7)
    assert [stage.check({1: BAD}), stage.check(ERROR), stage.check(ERROR), stage.check({1: BAD})] == [
        None,
        None,
        None,
        Kind.OPENED,
    ]


def test_what_begins_and_ends_in_a_silence_is_told_to_nobody(stage: Stage) -> None:
    stage.silence(60)
    assert [stage.check({1: AWFUL}), stage.check({})] == [None, None]
    assert stage.rows("kind") == []
    assert stage.rows("untold", table="decisions")[-1] == "nobody was told that it began"


def test_whoever_was_told_of_the_beginning_is_told_of_the_end_silence_or_not(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.silence(60)
    assert [stage.check({1: AWFUL}), stage.check({})] == [None, Kind.RESOLVED]
    assert (stage.told("warn"), stage.told("crit")) == (["opened", "resolved"], [])


def test_after_a_silence_nobody_hears_again_what_they_know(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.silence(12)
    assert [stage.check(each) for each in ({1: BAD}, {1: AWFUL}, {1: BAD}, {1: BAD})] == [None, None, Kind.REFRESHED, None]
    assert stage.told("warn") == ["opened"]


def test_after_a_silence_a_worse_level_is_told_with_the_one_that_people_know(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.silence(12)
    assert [stage.check({1: AWFUL}), stage.check({1: AWFUL}), stage.check({1: AWFUL})] == [None, None, Kind.CHANGED]
    assert (newest(stage).previous, newest(stage).level) == (W, C)
    assert (stage.told("warn"), stage.told("crit")) == (["opened", "changed"], ["opened"])


def test_after_a_silence_a_group_that_began_in_it_is_new(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.silence(17)
    assert [stage.check(each) for each in ({1: BAD, 2: BAD}, {1: BAD, 2: BAD, 3: BAD}, {1: BAD, 2: BAD})] == [None] * 3
    assert stage.check({1: BAD, 2: BAD}) is Kind.CHANGED
    assert [(each.id, each.new) for each in newest(stage).groups] == [(1, False), (2, True)]


def test_a_silenced_group_drops_out_and_is_new_when_it_comes_back(stage: Stage) -> None:
    stage.silence(12, **TWO)
    assert stage.check({1: BAD, 2: AWFUL}) is Kind.OPENED
    assert ([each.id for each in newest(stage).groups], newest(stage).groups_total, newest(stage).level) == ([1], 1, W)
    assert stage.told("crit") == []
    assert stage.rows("group", "told", "untold", table="decisions") == [
        ("conversationId=1", "opened", None),
        ("conversationId=2", None, "silenced until 09:12 UTC by Ana: deploy"),
    ]
    assert stage.check({1: BAD, 2: AWFUL}) is None
    assert stage.check({1: BAD, 2: AWFUL}) is Kind.CHANGED
    assert [(each.id, each.new) for each in newest(stage).groups] == [(2, True), (1, False)]
    assert (newest(stage).previous, stage.told("crit")) == (W, ["opened"])


def test_that_it_looks_better_because_the_worst_is_silenced_is_no_news(stage: Stage) -> None:
    stage.check({1: BAD, 2: AWFUL})
    stage.silence(8, **TWO)
    assert stage.check({1: BAD, 2: AWFUL}) is Kind.REFRESHED
    assert ([each.id for each in newest(stage).groups], newest(stage).level) == ([1], W)
    assert stage.check({1: BAD}) is Kind.REFRESHED
    assert stage.check({1: BAD}) is None
    assert stage.told("warn") == ["opened"]


def test_that_the_worst_really_ends_is_news_whoever_else_is_silenced(stage: Stage) -> None:
    stage.check({1: BAD, 2: AWFUL, 3: BAD})
    stage.silence(60, **ONE)
    assert stage.check({1: BAD, 3: BAD}) is Kind.CHANGED
    assert ([each.id for each in newest(stage).groups], newest(stage).level, newest(stage).previous) == ([3], W, C)


def test_a_reopening_in_a_silence_is_told_after_it_as_a_reopening(stage: Stage) -> None:
    stage.check({1: BAD}), stage.check({})
    stage.silence(7)
    assert [stage.check({1: BAD}), stage.check({1: BAD})] == [None, Kind.OPENED]
    assert (newest(stage).reopened, stage.told("warn")) == (True, ["opened", "resolved", "opened"])


def test_a_rule_that_is_removed_in_a_silence_tells_its_end_to_those_who_knew(stage: Stage) -> None:
    stage.check({1: BAD})
    stage.silence(60)
    stage.check({1: BAD, 2: BAD})
    stage.remove()
    assert (stage.told("warn"), newest(stage).muted, newest(stage).kind) == (["opened", "resolved"], None, Kind.RESOLVED)
    assert stage.rows("muted", table="incidents") == [None]


def test_a_message_that_can_be_edited_drops_a_silenced_group_silently() -> None:
    database = open_database("sqlite://")
    stage = Stage(database, a_levelled_rule(notify={W: ("warn",), C: ("warn",)}), {"warn": FakeChannel(editable=True)})
    stage.check({1: BAD, 2: BAD})
    stage.silence(60, **TWO)
    assert stage.check({1: BAD, 2: BAD}) is Kind.REFRESHED
    assert stage.told("warn") == ["opened", "refreshed"]
    stage.clock.advance(MINUTE)
    assert stage.check({1: BAD, 2: BAD}) is None
    database.close()
