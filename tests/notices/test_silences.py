"""Which alerts a silence is about, and when; and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from alertd.clock import DAY, HOUR, MINUTE, parse_instant
from alertd.errors import AlertdError
from alertd.facts import Group, Level
from alertd.notices import silences
from alertd.notices.muting import mute
from alertd.notices.silences import Silence
from alertd.store.database import Database, open_database
from alertd.testing import a_group, a_rule

NOW = parse_instant("2026-11-04T12:40:00Z")
RULE = a_rule(labels={"team": "support"}, owner="ops", quiet_while=("widget-silent", "outage"))
ANA = Silence(NOW - MINUTE, NOW + 80 * MINUTE, "Ana", "deploy")


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


@pytest.mark.parametrize(
    ("changes", "matches"),
    [
        ({}, True),
        ({"rule": "slow"}, True),
        ({"rule": "other"}, False),
        ({"group": "lastAgentId=671"}, True),
        ({"group": "lastAgentId=672"}, False),
        ({"group": ""}, False),
        ({"rule": "slow", "group": "lastAgentId=672"}, False),
        ({"labels": {"team": "support"}}, True),
        ({"labels": {"team": "support", "city": "Bonn"}}, False),
        ({"labels": {"team": "sales"}}, False),
        ({"labels": {"level": "warning", "owner": "ops"}}, True),
        ({"labels": {"level": "critical"}}, False),
        ({"rule": "slow", "labels": {"team": "sales"}}, False),
    ],
)
def test_what_is_given_must_match_and_a_silence_that_names_nothing_is_about_everything(
    changes: dict[str, object], matches: bool
) -> None:
    silence = replace(ANA, **changes)  # type: ignore[arg-type]  # a table of fields
    assert bool(mute(RULE, a_group(671), Level.WARNING, NOW, silenced=[silence])) == matches


@pytest.mark.parametrize(("start", "until", "holds"), [(0, 1, True), (1, 2, False), (-2, 0, False), (-2, 1, True)])
def test_a_silence_holds_from_its_beginning_up_to_its_end(start: int, until: int, holds: bool) -> None:
    assert Silence(NOW + start, NOW + until, "Ana").holds(NOW) == holds


def test_the_reason_says_until_when_and_by_whom_and_why() -> None:
    def words(silence: Silence, zone: str = "UTC") -> str | None:
        return mute(replace(RULE, timezone=zone), Group(), Level.WARNING, NOW, silenced=[silence])

    assert words(ANA) == "silenced until 14:00 UTC by Ana: deploy"
    assert words(replace(ANA, comment="")) == "silenced until 14:00 UTC by Ana"
    assert words(replace(ANA, until=NOW + DAY), "Europe/Berlin") == "silenced until 5 Nov 13:40 Europe/Berlin by Ana: deploy"


def test_a_rule_is_quiet_while_one_that_it_names_fires() -> None:
    assert mute(RULE, Group(), Level.WARNING, NOW, silenced=(), firing={"outage"}) == "quiet while outage fires"
    assert mute(RULE, Group(), Level.WARNING, NOW, silenced=(), firing={"slow", "another"}) is None
    assert (
        mute(RULE, Group(), Level.WARNING, NOW, silenced=[ANA], firing={"outage"}) == "silenced until 14:00 UTC by Ana: deploy"
    )


def test_silences_are_kept_with_all_that_they_say_and_the_longest_counts(database: Database) -> None:
    long = Silence(NOW, NOW + DAY, "Tom", "", "slow", "lastAgentId=671", {"team": "support"})
    with database.write() as transaction:
        numbers = [silences.add(transaction, each) for each in (ANA, long, Silence(NOW + HOUR, NOW + 2 * HOUR, "later"))]
    with database.read() as transaction:
        assert silences.active(transaction, NOW) == (replace(long, id=numbers[1]), replace(ANA, id=numbers[0]))
        assert [each.author for each in silences.upcoming(transaction, NOW)] == ["Tom", "later", "Ana"]
        assert [each.author for each in silences.active(transaction, NOW + 80 * MINUTE)] == ["Tom", "later"]


def test_a_silence_can_be_ended_once(database: Database) -> None:
    with database.write() as transaction:
        number = silences.add(transaction, ANA)
        assert silences.end(transaction, number, NOW)
        assert not silences.end(transaction, number, NOW)
        assert not silences.end(transaction, number + 1, NOW)
        assert silences.active(transaction, NOW) == ()


def test_a_silence_that_never_holds_is_refused(database: Database) -> None:
    with database.write() as transaction, pytest.raises(AlertdError, match="give it an end that is later"):
        silences.add(transaction, replace(ANA, until=ANA.start))
