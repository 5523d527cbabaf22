"""The values between the stages."""

from __future__ import annotations

import pytest

from alertd.facts import CONVERSATION, Alert, Group, Level, State, Window
from alertd.shipped import shipped


@pytest.mark.parametrize(
    "group", [Group(), Group("lastAgentId", 671), Group(CONVERSATION, 852_054_511), Group("firstBotId", -1)]
)
def test_a_group_is_known_by_its_key(group: Group) -> None:
    assert Group.from_key(group.key) == group


def test_a_group_in_json_is_its_property_and_id() -> None:
    assert Group().to_json() == {}
    assert Group("lastAgentId", 0).to_json() == {"lastAgentId": 0}


def test_levels_are_ordered_by_how_bad_they_are() -> None:
    assert sorted((Level.WARNING, Level.CRITICAL, Level.OK), key=lambda level: level.rank) == list(Level)


def test_a_window_is_as_long_as_from_its_start_to_its_end() -> None:
    assert Window(5, 12).length == 7


def test_an_alert_fires_until_it_is_over() -> None:
    firing = {state for state in State if Alert("slow", Group(), state).fires}
    assert firing == {State.FIRING, State.RECOVERING}


@pytest.mark.parametrize("name", ["rules/demo", "rules/starter", "templates"])
def test_what_ships_is_found(name: str) -> None:
    assert shipped(name).is_dir()
