"""Slack's answers may be anything: a message is taken or not, a button was pressed or not, and nothing hangs or grows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import Slack
from alertd.channels.slack.presses import read_press
from alertd.clock import SECOND
from alertd.errors import DeliveryError
from alertd.facts import Kind
from alertd.testing import a_notice
from tests.hostile.fuzzing import TOKEN, check, deep, little_memory, tried, values
from tests.reporting.hostile import Behaviour, Hostile, Talk, answers, floods

BOT, HOOK = Slack(channel="#support-alerts"), Slack(webhook_env="HOOK")
OPENED = Message(
    "the-key", Kind.OPENED, a_notice(), {"header": "slow", "summary": "It is slow.", "reply": "slower", "plain": "slow"}
)
CHANGED = replace(OPENED, kind=Kind.CHANGED)
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001"}
WAYS: Mapping[str, tuple[Slack, Message, Mapping[str, str] | None]] = {
    "chat.postMessage": (BOT, OPENED, None),
    "chat.update": (BOT, CHANGED, THREAD),
    "conversations.history": (Slack(channel="C012AB3CD"), replace(OPENED, repeat=True), None),
    "conversations.replies": (BOT, replace(CHANGED, repeat=True), THREAD),
    "incoming webhook": (HOOK, OPENED, None),
}


class Puppet:
    """A Slack that says what each example wants."""

    says: Behaviour = staticmethod(answers())

    def __call__(self, talk: Talk) -> bool:
        return self.says(talk)


@pytest.fixture(scope="module")
def slack() -> Iterator[tuple[Puppet, Access]]:
    puppet = Puppet()
    with Hostile(puppet) as server:
        access = SlackAccess(f"{server.url}/api/", lambda: TOKEN, deadline=60 * SECOND)
        yield puppet, Access(slack=access, secret={"HOOK": f"{server.url}/services/{TOKEN}"}.get)


def send(slack: tuple[Puppet, Access], way: str, says: Behaviour) -> Mapping[str, str]:
    """The receipt; empty where it was not taken."""
    slack[0].says = says
    channel, message, thread = WAYS[way]
    try:
        return channel.send(message, thread, slack[1])
    except DeliveryError as problem:
        check(problem)
        return problem.receipt or {}


keys = st.sampled_from(
    ["ok", "error", "ts", "channel", "messages", "response_metadata", "has_more", "metadata", "event_payload", "key"]
)
told: st.SearchStrategy[Any] = st.recursive(
    values | st.sampled_from([True, "the-key", "C012AB3CD", "1.0"]),
    lambda inner: st.dictionaries(keys, inner, max_size=4) | st.lists(inner, max_size=2),
)
OURS = {"ts": "1.0", "metadata": {"event_payload": {"key": "the-key"}}}


@tried(80)
@given(way=st.sampled_from(sorted(WAYS)), status=st.sampled_from([200, 200, 200, 302, 400, 429, 500]), answer=told)
@example(way="conversations.history", status=200, answer={"ok": True, "messages": [OURS | {"thread_ts": {"a": "x" * 100_000}}]})
@example(way="conversations.history", status=200, answer={"ok": True, "messages": [OURS | {"ts": "x" * 100_000}]})
@example(
    way="conversations.replies", status=200, answer={"ok": True, "messages": [], "response_metadata": {"next_cursor": "\ud800"}}
)
@example(way="chat.postMessage", status=200, answer={"ok": True, "channel": "\ud800", "ts": "\0" * 100_000})
@example(way="chat.postMessage", status=200, answer={"ok": False, "error": f"invalid_auth {TOKEN}"})
def test_whatever_slack_answers_the_message_is_taken_or_not(
    slack: tuple[Puppet, Access], way: str, status: int, answer: object
) -> None:
    receipt = send(slack, way, answers(json.dumps(answer).encode(), status))
    assert all(each.isprintable() and len(each) < 100 for each in receipt.values())


@pytest.mark.parametrize("way", WAYS)
def test_however_deep_an_answer_is_nothing_breaks(slack: tuple[Puppet, Access], way: str) -> None:
    for levels in (100, *range(960, 1_000), 100_000):
        send(slack, way, answers(deep(levels)))


@tried(40)
@given(way=st.sampled_from(sorted(WAYS)), data=st.binary(max_size=100))
def test_whatever_comes_over_the_wire_instead_of_slack_it_is_said(slack: tuple[Puppet, Access], way: str, data: bytes) -> None:
    def behave(talk: Talk) -> bool:
        talk.send(data)
        return False

    send(slack, way, behave)


@pytest.mark.parametrize("way", ["chat.postMessage", "incoming webhook"])
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\n\r\n{", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
def test_a_flood_instead_of_slack_is_not_kept(slack: tuple[Puppet, Access], way: str, head: bytes) -> None:
    with little_memory(24):
        send(slack, way, floods(head, b"1" * 65_536, 64))


# --- buttons ---

PRESS = {
    "type": "block_actions", "user": {"id": "U1", "name": "a"}, "container": {"channel_id": "C1", "message_ts": "1.1"},
    "actions": [{"action_id": "alertd_acknowledge", "value": "1", "action_ts": "1.1"}],
}  # fmt: skip


@tried(150)
@given(
    key=st.sampled_from([*PRESS, "team", "api_app_id"]),
    inner=st.sampled_from(["", "id", "name", "channel_id", "value", "action_ts"]),
    value=values,
)
@example(key="user", inner="name", value="\u202e\ud800" * 10_000)
@example(key="user", inner="", value={"\ud800": None})
def test_whatever_a_press_holds_it_is_a_sound_one_or_none(key: str, inner: str, value: object) -> None:
    payload = json.loads(json.dumps(PRESS))
    target = payload.get(key)
    target = target[0] if isinstance(target, list) else target
    if inner and isinstance(target, dict):
        target[inner] = value
    else:
        payload[key] = value
    pressed = read_press(payload, None, None)
    if pressed is not None:
        assert pressed.name.isprintable()
        assert 0 < len(pressed.name) <= 80
        assert 0 < pressed.incident < 2**31


def test_however_deep_a_press_is_it_is_none() -> None:
    for levels in range(100, 900, 50):
        assert read_press(PRESS | {"actions": json.loads("[" * levels + "]" * levels)}, None, None) is None
