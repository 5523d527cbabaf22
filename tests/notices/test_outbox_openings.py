"""An opening that reaches nobody, where no fallback could hear it instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Level
from alertd.rulebook.rule import Escalation
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel
from tests.notices.stage import AWFUL, BAD, Stage, a_levelled_rule

GONE = DeliveryError("channel_not_found", permanent=True)


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def a_stage(database: Database, **changes: Any) -> Stage:
    rule = a_levelled_rule(notify={Level.WARNING: ("team",), Level.CRITICAL: ("team",)}, **changes)
    return Stage(database, rule, {"team": FakeChannel()})


def test_nobody_hears_the_end_of_what_they_never_heard_begin(database: Database) -> None:
    stage = a_stage(database)
    stage.check({1: BAD}), stage.check({1: AWFUL}), stage.check({})
    stage.channels["team"].taken.failures[:] = [GONE]
    stage.send()
    assert stage.channels["team"].kinds == []
    assert stage.rows("state", "error") == [
        ("dead", "channel_not_found"),
        ("dead", "the message that it follows reached nobody"),
        ("dead", "the message that it follows reached nobody"),
    ]


def test_a_reopening_is_a_beginning_of_its_own(database: Database) -> None:
    stage = a_stage(database)
    stage.check({1: BAD}), stage.check({}), stage.check({1: BAD})
    stage.channels["team"].taken.failures[:] = [GONE]
    stage.send()
    assert stage.rows("state") == ["dead", "dead", "sent"]
    stage.check({}), stage.send()
    assert stage.channels["team"].kinds == ["opened", "resolved"]


def test_whoever_knew_before_an_escalation_died_hears_the_end(database: Database) -> None:
    stage = a_stage(database, escalate=Escalation(5 * MINUTE, ("team",)))
    stage.check({1: BAD}), stage.send()
    stage.check({1: BAD}), stage.check({})
    stage.channels["team"].taken.failures[:] = [GONE]
    stage.send()
    stage.clock.advance(HOUR)
    stage.send()
    assert stage.rows("kind", "state") == [("opened", "sent"), ("escalated", "dead"), ("resolved", "sent")]
