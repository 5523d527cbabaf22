"""What the API of a test tells of its conversations, and from when on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from alertd.clock import MINUTE
from alertd.reporting.properties import PROPERTIES
from alertd.ruletests.conversations import make_world
from alertd.sandbox.columns import Coded
from tests.ruletests.played import a_case


def seen(conversations: str, after: float, *names: str) -> list[dict[str, Any]]:
    """The conversations so many minutes after the start; times in minutes, None where a value is absent."""
    body = f"conversations: [{conversations}]\ncalls: 0"
    case = a_case(body)
    snapshot = make_world(case).at(case.start + round(after * MINUTE))
    columns = {name: snapshot.column(name) for name in names}
    return [{name: plain(columns[name], row, name, case.start) for name in names} for row in range(len(snapshot.ids))]


def plain(column: Any, row: int, name: str, start: int) -> Any:
    if isinstance(column, Coded):
        return column.words[column.codes[row]] if column.codes[row] >= 0 else None
    value = float(column[row])
    if math.isnan(value):
        return None
    kind = PROPERTIES[name].kind.value
    return (value - start) / MINUTE if kind == "time" else value / MINUTE if kind == "duration" else value


def test_a_conversation_is_open_and_has_one_visitor_message_at_its_creation() -> None:
    names = ("id", "createdAt", "status", "firstEndUserMessageAt", "numEndUserMessages", "numAgentMessages", "botStatus")
    values = (1, 5, "open", 5, 1, 0, "NO_RESPONSE")
    assert seen("{at: 5m}", 5, *names) == [dict(zip(names, values, strict=True))]
    assert seen("{at: 5m}", 4.999, "id") == []


def test_conversations_before_the_start_are_what_the_api_remembers() -> None:
    names = ("createdAt", "firstAgentMessageAt")
    found = [{"createdAt": -20, "firstAgentMessageAt": -17}, {"createdAt": -10, "firstAgentMessageAt": -7}]
    assert seen("{each: 10m, from: -20m, to: 0m, timeToAgentResponseMillis: 3m}", 0, *names) == found
    assert seen("{at: -20m, firstAgentMessageAt: -17m}", 0, *names) == found[:1]


def test_what_nobody_gave_is_absent() -> None:
    absent = ("relatedPlaybookId", "endUserId", "firstAgentId", "firstCloseAt", "tags", "pageUrl", "offline", "endUserType")
    assert seen("{at: 0m}", 600, *absent) == [dict.fromkeys(absent)]


ANSWER = ("timeToAgentResponseMillis", "firstAgentMessageAt", "numAgentMessages", "botStatus", "lastAgentId", "firstAgentId")


@pytest.mark.parametrize("given", ["timeToAgentResponseMillis: 3m", "firstAgentMessageAt: 4m"])
def test_an_answer_appears_when_it_is_given_with_all_that_belongs_to_it(given: str) -> None:
    conversation = f"{{at: 1m, lastAgentId: 7, {given}}}"
    assert seen(conversation, 3.999, *ANSWER) == [dict(zip(ANSWER, (None, None, 0, "NO_RESPONSE", None, None), strict=True))]
    assert seen(conversation, 4, *ANSWER) == [dict(zip(ANSWER, (3, 4, 1, "HUMAN_ONLY", 7, 7), strict=True))]


@pytest.mark.parametrize("given", ["timeToCloseMillis: 3m", "firstCloseAt: 4m", 'firstCloseAt: "2026-11-02T09:04:00Z"'])
def test_a_close_appears_when_it_happens(given: str) -> None:
    names = ("status", "firstCloseAt", "timeToCloseMillis")
    assert seen(f"{{at: 1m, {given}}}", 3.999, *names) == [dict(zip(names, ("open", None, None), strict=True))]
    assert seen(f"{{at: 1m, {given}}}", 4, *names) == [dict(zip(names, ("closed", 4, 3), strict=True))]


def test_a_bot_has_spoken_where_the_status_says_so() -> None:
    names = ("botStatus", "firstBotMessageAt", "numBotMessages")
    assert seen("{at: 1m, botStatus: BOT_ONLY}", 1, *names) == [dict(zip(names, ("BOT_ONLY", 1, 1), strict=True))]
    both = "{at: 1m, botStatus: BOT_ASSISTED, timeToAgentResponseMillis: 3m}"
    assert [seen(both, after, "botStatus")[0]["botStatus"] for after in (1, 4)] == ["BOT_ONLY", "BOT_ASSISTED"]


def test_null_takes_a_value_away() -> None:
    conversation = "{at: 1m, firstEndUserMessageAt: null, numAgentMessages: null, timeToAgentResponseMillis: 1m}"
    names = ("firstEndUserMessageAt", "numEndUserMessages", "numAgentMessages", "timeToAgentResponseMillis")
    assert seen(conversation, 9, *names) == [dict(zip(names, (None, 0, None, 1), strict=True))]


def test_a_series_ends_before_to_and_counts_several_at_once() -> None:
    created = [row["createdAt"] for row in seen("{each: 2m, from: 1m, to: 7m, count: 2}", 60, "createdAt")]
    assert created == [1, 1, 3, 3, 5, 5]


def test_conversations_are_numbered_in_the_order_of_the_file() -> None:
    rows = seen("{at: 9m, cqlScore: 2}, {each: 1m, to: 2m, cqlScore: 3}, {at: 3m, id: 70}", 60, "id", "createdAt")
    assert {row["createdAt"]: row["id"] for row in rows} == {9: 1, 0: 2, 1: 3, 3: 70}


def test_the_last_update_is_the_last_event_so_far() -> None:
    conversation = "{at: 1m, timeToAgentResponseMillis: 3m, timeToCloseMillis: 8m}"
    assert [seen(conversation, after, "updatedAt")[0]["updatedAt"] for after in (1, 5, 20)] == [1, 4, 9]


def test_late_rows_are_not_seen_before_their_time_and_then_as_they_are() -> None:
    case = a_case(
        """
        conversations: [{each: 1m, to: 4m, timeToAgentResponseMillis: 1m}]
        during: [{at: 1m, do: late_rows, by: 5m}, {at: 3m, do: late_rows, by: 0s}]
        calls: 0
        """
    )
    world = make_world(case)
    ids = [world.at(case.start + minutes * MINUTE).ids.tolist() for minutes in (3, 5, 6, 7)]
    assert ids == [[1, 4], [1, 4], [1, 2, 4], [1, 2, 3, 4]]
    answers = world.at(case.start + 7 * MINUTE).column("timeToAgentResponseMillis")
    assert not isinstance(answers, Coded)
    assert np.all(answers == MINUTE)
