"""Whom nothing reaches, as the outbox knows it."""

from __future__ import annotations

import pytest

from alertd.clock import DAY, HOUR, MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Level
from alertd.notices.unsent import broken, taken
from alertd.store.database import Database
from alertd.testing import FakeChannel
from tests.notices.stage import BAD, GOOD, Stage, a_levelled_rule

NO = DeliveryError("the channel is archived; choose another", permanent=True)


def a_stage(database: Database, fallback: str | None = "spare") -> Stage:
    channels = {"team": FakeChannel(), "spare": FakeChannel()}
    return Stage(database, a_levelled_rule(notify={Level.WARNING: ("team",)}), channels, fallback=fallback)


def found(stage: Stage) -> dict[str, str]:
    with stage.database.read() as transaction:
        return broken(transaction, stage.clock.now())


def works(stage: Stage) -> frozenset[str]:
    with stage.database.read() as transaction:
        return taken(transaction, stage.clock.now())


@pytest.mark.parametrize("fallback", ["spare", None])
def test_a_receiver_that_refuses_is_broken_until_it_takes_a_message(database: Database, fallback: str | None) -> None:
    stage = a_stage(database, fallback)
    assert found(stage) == {}
    stage.channels["team"].taken.failures = [NO]
    stage.check({1: BAD})
    stage.send()
    assert found(stage) == {"team": "" if fallback else str(NO)}
    stage.check({1: GOOD})
    stage.send()
    assert list(found(stage)) == ["team"]  # the end went where the opening went
    stage.clock.advance(2 * HOUR)
    stage.check({1: BAD})
    stage.send()
    assert found(stage) == {}
    assert "team" in works(stage)


def test_what_was_long_ago_is_forgotten(database: Database) -> None:
    stage = a_stage(database)
    stage.channels["team"].taken.failures = [NO]
    stage.check({1: BAD})
    stage.send()
    stage.clock.advance(DAY - MINUTE)
    assert found(stage)
    stage.clock.advance(HOUR)
    assert found(stage) == {}
    assert works(stage) == frozenset()
