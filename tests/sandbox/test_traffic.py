from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from alertd.clock import DAY, HOUR, MINUTE, SECOND, Instant
from alertd.reporting.table import Column
from alertd.sandbox.arrivals import take
from alertd.sandbox.company import AGENTS, BROKEN, PLAYBOOKS
from alertd.sandbox.conversations import Conversations
from alertd.sandbox.scenarios import Scenario, ScenarioKind
from alertd.sandbox.traffic import Generated, Traffic, play_day

START = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
MONDAY = date(2026, 11, 2)
DEMO = Traffic(per_day=30 * 60 * 24, profile="flat", seed=5)


def between(rows: Conversations, start: Instant, end: Instant) -> Conversations:
    return take(rows, (rows.created >= start) & (rows.created < end))


def same(one: Conversations, other: Conversations) -> bool:
    return all(np.array_equal(column, vars(other)[name], equal_nan=True) for name, column in vars(one).items())


def routed(rows: Conversations, start: Instant, end: Instant) -> Conversations:
    return take(rows, (rows.routed >= start) & (rows.routed < end))


def waits(rows: Conversations) -> Column:
    return rows.agent_first - rows.routed


def demo_day(*scenarios: Scenario) -> Conversations:
    return play_day(replace(DEMO, scenarios=scenarios), MONDAY)


def test_the_same_seed_gives_the_same_conversations_whatever_the_start() -> None:
    traffic = Traffic(per_day=300, seed=7)
    early, late = Generated(traffic, START - 3 * DAY, days=2), Generated(traffic, START, days=7)
    span = (START - 4 * DAY, START + 3 * HOUR)
    assert same(between(early.at(START + 4 * HOUR).rows, *span), between(late.at(START + 4 * HOUR).rows, *span))


def test_another_seed_gives_other_conversations() -> None:
    one, other = (play_day(Traffic(per_day=300, seed=seed), MONDAY) for seed in (1, 2))
    assert set(one.id.tolist()) != set(other.id.tolist())


def test_the_world_goes_on_without_a_jump() -> None:
    traffic = Traffic(per_day=300, seed=7)
    world = Generated(traffic, START, days=1)
    world.at(START)
    later = world.at(START + 20 * DAY)
    days = np.unique(later.rows.created // DAY)
    assert np.array_equal(np.diff(days), np.ones(len(days) - 1))
    assert same(
        between(later.rows, START, START + 20 * DAY),
        between(Generated(traffic, START + 19 * DAY, 20).at(START + 20 * DAY).rows, START, START + 20 * DAY),
    )


def test_ids_are_unique_rise_and_are_exact_in_any_language() -> None:
    ids = Generated(Traffic(per_day=3000), START, days=7).at(START).ids
    assert np.all(np.diff(ids) > 0)
    assert ids[0] > 0
    assert ids[-1] < 2**53


@pytest.mark.parametrize("profile", ["week", "flat"])
def test_a_week_has_as_many_conversations_as_was_asked(profile: str) -> None:
    traffic = Traffic(per_day=1000, profile="flat" if profile == "flat" else "week")
    total = sum(len(play_day(traffic, MONDAY + timedelta(days=day))) for day in range(7))
    assert abs(total - 7000) < 5 * 7000**0.5


def test_a_week_has_busy_mornings_short_saturdays_and_quiet_nights() -> None:
    rows = [play_day(Traffic(per_day=1000), MONDAY + timedelta(days=day)) for day in range(7)]
    sizes = [len(day) for day in rows]
    assert min(sizes[:5]) > 2 * max(sizes[5:])
    hours = (rows[0].created // HOUR % 24).astype(int)
    assert np.count_nonzero(hours == 10) > 10 * np.count_nonzero(hours == 5)


def test_nobody_answers_who_is_not_on_shift() -> None:
    rows = play_day(Traffic(per_day=3000), MONDAY)
    first = {agent.id: agent.hours[0] for agent in AGENTS}
    hours = rows.agent_first // HOUR % 24
    answered = ~np.isnan(rows.agent)
    assert np.count_nonzero(answered) > 100
    assert all(hour >= first[int(agent)] for agent, hour in zip(rows.agent[answered], hours[answered], strict=True) if hour > 0)


def test_no_agent_has_more_chats_at_once_than_they_can_hold() -> None:
    rows = demo_day()
    for agent in AGENTS:
        mine = take(rows, rows.agent == agent.id)
        last = mine.agent_first + (mine.agent_count - 1) * mine.agent_gap
        changes = np.concatenate([mine.agent_first, last])
        steps = np.concatenate([np.ones(len(last)), -np.ones(len(last))])[
            np.lexsort((np.arange(len(changes)) < len(last), changes))
        ]
        assert np.cumsum(steps).max() <= agent.chats


def test_at_the_pace_of_the_demo_first_answers_come_within_seconds() -> None:
    found = waits(demo_day())
    assert 4 * SECOND < np.nanmedian(found) < 12 * SECOND
    assert np.nanquantile(found, 0.95) < 30 * SECOND


def test_while_nobody_answers_no_first_answer_comes_and_soon_after_all_is_quick_again() -> None:
    end = START + 3 * MINUTE
    rows = demo_day(Scenario(ScenarioKind.NOBODY_ANSWERS, START, end))
    assert not np.any((rows.agent_first >= START) & (rows.agent_first < end))
    assert np.isnan(routed(rows, START, START + MINUTE).agent_first).mean() > 0.5
    after = routed(rows, end + MINUTE, end + 4 * MINUTE)
    assert np.isnan(after.agent_first).mean() < 0.1
    assert np.nanmedian(waits(after)) < 15 * SECOND


def test_an_agent_asleep_accepts_chats_and_does_not_answer() -> None:
    end = START + 10 * MINUTE
    rows = demo_day(Scenario(ScenarioKind.AGENT_ASLEEP, START, end))
    answering = {int(each) for each in rows.agent[(rows.agent_first >= START) & (rows.agent_first < end)]}
    assert answering == {agent.id for agent in AGENTS[1:]}
    during = routed(rows, START, end)
    usual = routed(demo_day(), START, end)
    assert np.isnan(during.agent_first).mean() > np.isnan(usual.agent_first).mean() + 0.02


def test_a_rush_brings_four_times_the_visitors() -> None:
    end = START + HOUR
    rush, usual = (len(between(rows, START, end)) for rows in (demo_day(Scenario(ScenarioKind.RUSH, START, end)), demo_day()))
    assert 3.6 < rush / usual < 4.4


def test_a_quiet_night_brings_hardly_anybody() -> None:
    end = START + HOUR
    quiet = len(between(demo_day(Scenario(ScenarioKind.QUIET_NIGHT, START, end)), START, end))
    assert quiet < 0.1 * len(between(demo_day(), START, end))


def test_a_broken_playbook_brings_no_conversations_and_the_others_do() -> None:
    end = START + HOUR
    during = between(demo_day(Scenario(ScenarioKind.BROKEN_PLAYBOOK, START, end)), START, end)
    met = {int(each) for each in during.playbook[~np.isnan(during.playbook)]}
    assert met == {number for number, *_ in PLAYBOOKS} - {PLAYBOOKS[BROKEN][0]}


@pytest.mark.parametrize("kind", ScenarioKind)
def test_a_scenario_changes_nothing_that_happened_before_it(kind: ScenarioKind) -> None:
    usual = Generated(DEMO, START, days=0.1)
    other = Generated(replace(DEMO, scenarios=(Scenario(kind, START, START + HOUR),)), START, days=0.1)
    for name in ("createdAt", "relatedPlaybookId", "firstAgentMessageAt", "firstCloseAt"):
        one, two = usual.at(START - 1).column(name), other.at(START - 1).column(name)
        assert isinstance(one, np.ndarray)
        assert isinstance(two, np.ndarray)
        assert np.array_equal(one, two, equal_nan=True)


def test_a_day_with_a_clock_change_is_as_long_as_it_is() -> None:
    traffic = Traffic(per_day=24_000, profile="flat", zone="America/New_York")
    short, long = play_day(traffic, date(2026, 3, 7)), play_day(traffic, date(2026, 10, 31))
    assert abs(len(short) - 23_000) < 5 * 23_000**0.5
    assert abs(len(long) - 25_000) < 5 * 25_000**0.5


def test_without_visitors_there_is_an_empty_world() -> None:
    assert len(Generated(Traffic(per_day=0), START, days=1).at(START).ids) == 0
