"""Rows of the store that another version or a person has left: what cannot be understood costs itself alone."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from alertd.notices.delivery import UNREADABLE
from alertd.planning.memory import load_lessons
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries, lessons, notices
from alertd.testing import FakeChannel
from tests.evaluation.world import World, scored

BODIES = ["", "{", "null", "[]", "{}", '{"kind": "opened"}', '{"kind": 1e999}', "[" * 100_000, "\0", "x" * 1_000_000]


@pytest.fixture
def store() -> Database:
    return open_database("sqlite://")


@pytest.mark.parametrize("body", BODIES)
def test_a_notice_that_cannot_be_read_is_given_up_and_the_others_are_told(store: Database, body: str) -> None:
    channel = FakeChannel()
    world = World.of(store, scored(id="first"), scored(id="second"), scored(id="third"), receivers={"team": channel})
    world.add(20)
    world.check()
    with store.write() as transaction:
        transaction.execute(sa.update(notices).where(notices.c.id == 1).values(body=body))
    assert world.send() == 2
    assert [message.notice.rule for message, _ in channel.taken.messages] == ["second", "third"]
    assert world.rows("deliveries", "state", "error") == [("dead", UNREADABLE), ("sent", None), ("sent", None)]


def test_a_delivery_of_a_kind_that_nobody_knows_is_given_up(store: Database) -> None:
    channel = FakeChannel()
    world = World.of(store, scored(id="first"), scored(id="second"), receivers={"team": channel})
    world.add(20)
    world.check()
    with store.write() as transaction:
        transaction.execute(sa.update(deliveries).where(deliveries.c.id == 1).values(kind="from-the-future"))
    assert world.send() == 1
    assert channel.kinds == ["opened"]


@pytest.mark.parametrize(
    "filters", ["", "{", "null", "{}", "[1]", '[{"property": "statsu", "operation": "EQ"}]', "[" * 100_000]
)
def test_what_was_learned_and_cannot_be_understood_is_learned_anew(store: Database, filters: str) -> None:
    good = '[{"property":"status","operation":"EQ","values":["open"]}]'
    with store.write() as transaction:
        rows = [{"filters": each, "rate": 1.0, "bears": None, "good": 0, "used_at": 0} for each in (filters, good)]
        transaction.execute(sa.insert(lessons), rows)
    assert len(load_lessons(store)) == 1
