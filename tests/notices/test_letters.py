"""Deliveries as people see them: those that need somebody, and those that are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alertd.clock import MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Level
from alertd.notices.letters import Which, find, given_up
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries
from alertd.testing import FakeChannel
from tests.notices.stage import BAD, Stage, a_levelled_rule


@pytest.fixture(scope="module")
def stage(kind: str, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """One incident that three were to be told of: one could not be told at all, one not yet, one was."""
    database = open_database("sqlite://" if kind == "sqlite" else request.getfixturevalue("server").new_store())
    names = ("gone", "slow", "team")
    made = Stage(database, a_levelled_rule(notify=dict.fromkeys(Level, names)), {name: FakeChannel() for name in names})
    made.check({1: BAD})
    made.channels["gone"].taken.failures.append(DeliveryError("channel_not_found", permanent=True))
    made.channels["slow"].taken.failures.append(DeliveryError("no connection"))
    made.send()
    yield made
    database.close()


def found(database: Database, which: Which, now: int, **options: Any) -> list[str]:
    with database.read() as transaction:
        return [each.receiver for each in find(transaction, which, now, **options)[0]]


@pytest.mark.parametrize(
    ("which", "receivers"),
    [
        (Which.TROUBLED, ["slow", "gone"]),
        (Which.DEAD, ["gone"]),
        (Which.QUEUED, ["slow"]),
        (Which.SENT, ["team"]),
        (Which.ALL, ["team", "slow", "gone"]),
    ],
)
def test_each_kind_of_them_is_found_the_newest_first(stage: Stage, which: Which, receivers: list[str]) -> None:
    assert found(stage.database, which, stage.clock.now()) == receivers


def test_what_has_waited_for_a_minute_needs_somebody_and_what_has_just_come_does_not(stage: Stage) -> None:
    number = stage.rows("id")[2]
    update = deliveries.update().where(deliveries.c.id == number)
    with stage.database.write() as transaction:
        transaction.execute(update.values(state="queued", queued_at=stage.clock.now()))
    assert "team" not in found(stage.database, Which.TROUBLED, stage.clock.now())
    assert "team" in found(stage.database, Which.TROUBLED, stage.clock.now() + MINUTE)
    with stage.database.write() as transaction:
        transaction.execute(update.values(state="sent"))


def test_they_are_found_by_receiver_whoever_is_told_in_its_place_and_rule(stage: Stage) -> None:
    def some(**options: Any) -> list[str]:
        return found(stage.database, Which.ALL, stage.clock.now(), **options)

    assert some(receiver="slow") == ["slow"]
    with stage.database.write() as transaction:
        transaction.execute(deliveries.update().where(deliveries.c.receiver == "gone").values(via="slow", incident=None))
    assert some(receiver="slow") == ["slow", "gone"]
    assert some(rule="slow") == ["team", "slow", "gone"]  # one of them as a report, which has no incident to know its rule
    assert some(rule="low") == some(rule='%","rule":"slow') == some(rule="First answers are slow") == []
    with stage.database.write() as transaction:
        number = stage.rows("incident")[1] if transaction.dialect.name == "postgresql" else 1
        transaction.execute(deliveries.update().where(deliveries.c.receiver == "gone").values(via="gone", incident=number))


def test_of_many_the_newest_are_shown_and_all_are_counted(stage: Stage) -> None:
    with stage.database.read() as transaction:
        some, total = find(transaction, Which.ALL, stage.clock.now(), limit=2)
    assert ([each.receiver for each in some], total) == (["team", "slow"], 3)
    assert [each.rule for each in some] == ["slow", "slow"]


@pytest.mark.parametrize("error", [None, "given up", "a receiver said: given up by us", "given_up by x"])
def test_only_what_somebody_gave_up_counts_as_given_up(stage: Stage, error: str | None) -> None:
    dead = deliveries.update().where(deliveries.c.receiver == "gone")
    for text, counts in ((error, 0), ("given up by ada", 1)):
        with stage.database.write() as transaction:
            transaction.execute(dead.values(error=text))
            rows = transaction.execute(deliveries.select().where(given_up())).all()
            letters = find(transaction, Which.DEAD, stage.clock.now())[0]
        assert len(rows) == sum(each.given_up for each in letters) == counts
