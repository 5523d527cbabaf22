from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, MINUTE, Instant
from alertd.reporting.properties import PROPERTIES, Kind
from alertd.reporting.query import Filter, Operation
from alertd.reporting.table import Column
from alertd.sandbox.columns import Coded, Snapshot
from alertd.sandbox.conversations import covered
from alertd.sandbox.filtering import match
from alertd.sandbox.traffic import Generated, Traffic

START = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
WORLD = Generated(Traffic(per_day=600, seed=3), START, days=9)

TIMES = [name for name, found in PROPERTIES.items() if found.kind is Kind.TIME]
COUNTS = ["numAgentMessages", "numBotMessages", "numEndUserMessages"]
ONCE = [*TIMES, "firstAgentId", "firstBotId", "timeToAgentResponseMillis", "timeToCloseMillis", "relatedPlaybookId"]
instants = st.integers(START - 10 * DAY, START + DAY)


def numbers(snapshot: Snapshot, name: str) -> Column:
    values = snapshot.column(name)
    assert not isinstance(values, Coded)
    return values


def words(snapshot: Snapshot, name: str) -> list[Any]:
    values = snapshot.column(name)
    assert isinstance(values, Coded)
    return [None if code < 0 else values.words[code] for code in values.codes]


def test_every_property_of_the_document_can_be_asked_for() -> None:
    assert covered()


@given(now=instants)
def test_an_answer_contains_nothing_that_has_not_happened_yet(now: Instant) -> None:
    snapshot = WORLD.at(now)
    for name in TIMES:
        assert not np.any(numbers(snapshot, name) > now), name
    created = numbers(snapshot, "createdAt")
    assert not np.any(created + numbers(snapshot, "timeToCloseMillis") > now)
    assert not np.any(created + numbers(snapshot, "timeToAgentResponseMillis") > now)


@given(now=instants, later=st.integers(0, 2 * HOUR) | st.integers(0, MINUTE))
def test_what_has_happened_stays_and_the_rest_only_grows(now: Instant, later: int) -> None:
    before, after = WORLD.at(now), WORLD.at(now + later)
    known = len(before.ids)
    assert after.ids[:known].tolist() == before.ids.tolist()
    for name in COUNTS:
        assert np.all(numbers(after, name)[:known] >= numbers(before, name)), name
    assert np.all(numbers(after, "updatedAt")[:known] >= numbers(before, "updatedAt"))
    for name in set(ONCE) - {"updatedAt"}:
        old, new = numbers(before, name), numbers(after, name)[:known]
        assert np.array_equal(new[~np.isnan(old)], old[~np.isnan(old)]), name


@given(now=instants)
def test_a_conversation_that_waits_has_no_answer_of_any_kind(now: Instant) -> None:
    snapshot = WORLD.at(now)
    waits = np.isnan(numbers(snapshot, "firstAgentMessageAt"))
    for name in ("firstAgentId", "lastAgentId", "timeToAgentResponseMillis"):
        assert np.array_equal(np.isnan(numbers(snapshot, name)), waits), name
    assert np.array_equal(numbers(snapshot, "numAgentMessages") == 0, waits)
    alone = {status in ("NO_RESPONSE", "BOT_ONLY") for status in np.array(words(snapshot, "botStatus"))[waits]}
    assert alone <= {True}


@given(now=instants)
def test_the_properties_of_a_conversation_agree_with_each_other(now: Instant) -> None:
    snapshot = WORLD.at(now)
    bot, agent = (numbers(snapshot, name) > 0 for name in ("numBotMessages", "numAgentMessages"))
    meant = {
        (False, False): "NO_RESPONSE",
        (True, False): "BOT_ONLY",
        (False, True): "HUMAN_ONLY",
        (True, True): "BOT_ASSISTED",
    }
    assert words(snapshot, "botStatus") == [meant[pair] for pair in zip(bot.tolist(), agent.tolist(), strict=True)]
    closed = ~np.isnan(numbers(snapshot, "firstCloseAt"))
    assert [status in ("closed", "archived") for status in words(snapshot, "status")] == closed.tolist()
    took = numbers(snapshot, "firstCloseAt") - numbers(snapshot, "createdAt")
    assert np.array_equal(took, numbers(snapshot, "timeToCloseMillis"), equal_nan=True)
    assert np.all(numbers(snapshot, "timeToCloseMillis")[closed] > 0)
    answered = numbers(snapshot, "timeToAgentResponseMillis")
    assert np.all(answered[~np.isnan(answered)] > 0)
    assert np.all(numbers(snapshot, "updatedAt") >= numbers(snapshot, "createdAt"))


@pytest.mark.parametrize("event", [name for name in TIMES if name not in ("createdAt", "updatedAt")])
def test_an_event_is_seen_from_its_very_millisecond(event: str) -> None:
    times = numbers(WORLD.at(START), event)
    row = int(np.flatnonzero(~np.isnan(times))[-1])
    moment = int(times[row])
    assert numbers(WORLD.at(moment), event)[row] == moment
    before = numbers(WORLD.at(moment - 1), event)
    assert row >= len(before) or np.isnan(before[row])


def test_no_message_comes_after_the_close() -> None:
    end = WORLD.at(START + 30 * DAY)
    closed = numbers(end, "firstCloseAt")
    row = int(np.nanargmax(np.where(closed < START, closed, np.nan)))
    before = WORLD.at(int(closed[row]))
    for name in COUNTS:
        assert numbers(before, name)[row] == numbers(end, name)[row]


def test_filters_see_the_world_as_of_now() -> None:
    closed = Filter("firstCloseAt", Operation.HAS_PROPERTY)
    then = WORLD.at(START)
    found = match(then, closed)
    assert np.array_equal(found, ~np.isnan(numbers(then, "firstCloseAt")))
    assert np.count_nonzero(found) < np.count_nonzero(match(WORLD.at(START + HOUR), closed)[: len(found)])
