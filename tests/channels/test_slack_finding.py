"""Before the Slack channel repeats a message whose answer was lost, it looks whether it has arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import REPEAT, Slack
from alertd.channels.slack.finding import PAGES
from alertd.clock import HOUR
from alertd.errors import DeliveryError
from alertd.facts import Kind
from alertd.sandbox.workspace import TOKEN, FaultKind, SlackFault, Workspace
from alertd.testing import a_notice
from alertd.testing.clock import START
from tests.channels import servers
from tests.channels.servers import FakeSlack, Scripted, slack_server
from tests.channels.workspaces import CHANNEL_ID, workspace_served

BY_NAME = Slack(channel="#support-alerts")
BY_ID = Slack(channel=CHANNEL_ID)
OPENED = Message("key-of-the-opening", Kind.OPENED, a_notice(), {"summary": "It is slow.", "plain": "slow", "reply": "slower"})
CHANGED = replace(OPENED, key="key-of-the-change", kind=Kind.CHANGED)
AGAIN = replace(OPENED, repeat=True)
SEEN = {"channel": CHANNEL_ID, "ts": "1.0"}
LOST = SlackFault(FaultKind.HANG_UP, method="chat.postMessage")


@pytest.fixture
def served() -> Iterator[tuple[Workspace, Access]]:
    with workspace_served() as (workspace, url):
        yield workspace, Access(slack=SlackAccess(url, lambda: TOKEN))


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def to(slack: FakeSlack) -> Access:
    return Access(slack=SlackAccess(slack.url, lambda: servers.TOKEN))


def lost(workspace: Workspace, message: Message, thread: Mapping[str, str] | None, access: Access) -> None:
    """Send a message that arrives, and lose the answer."""
    workspace.fail(LOST)
    with pytest.raises(DeliveryError) as caught:
        BY_NAME.send(message, thread, access)
    assert caught.value.ambiguous


def found(key: str, **more: Any) -> dict[str, Any]:
    return {"ts": "1762074000.000100", "metadata": {"event_type": "alertd_notice", "event_payload": {"key": key}}, **more}


def page(*messages: Any, cursor: str = "", **more: Any) -> Scripted:
    return Scripted({"ok": True, "messages": list(messages), "response_metadata": {"next_cursor": cursor}, **more})


# What has arrived is not sent again


@pytest.mark.parametrize(("channel", "message"), [(BY_NAME, replace(AGAIN, seen=SEEN)), (BY_ID, AGAIN)])
def test_an_opening_that_arrived_is_found_and_begins_the_thread(
    served: tuple[Workspace, Access], channel: Slack, message: Message
) -> None:
    workspace, access = served
    lost(workspace, OPENED, None, access)
    receipt = channel.send(message, None, access)
    (one,) = workspace.messages
    assert receipt == {"channel": CHANNEL_ID, "ts": one.ts}
    BY_NAME.send(CHANGED, receipt, access)
    assert workspace.messages[-1].thread_ts == one.ts


def test_a_reply_that_arrived_is_found_in_its_thread(served: tuple[Workspace, Access]) -> None:
    workspace, access = served
    thread = BY_NAME.send(OPENED, None, access)
    lost(workspace, CHANGED, thread, access)
    assert BY_NAME.send(replace(CHANGED, repeat=True), thread, access) == thread
    assert len(workspace.messages) == 2
    assert workspace.calls[-2:] == ("chat.update", "conversations.replies")


def test_a_digest_that_arrived_is_found_and_stays_a_digest(served: tuple[Workspace, Access]) -> None:
    workspace, access = served
    digest = replace(OPENED, kind=Kind.DIGEST)
    lost(workspace, digest, None, access)
    receipt = BY_NAME.send(replace(digest, repeat=True, seen=SEEN), None, access)
    assert receipt == {"channel": CHANNEL_ID, "ts": workspace.messages[0].ts, "digest": "yes"}
    assert len(workspace.messages) == 1


def test_a_message_that_went_out_plain_is_found_as_well(served: tuple[Workspace, Access]) -> None:
    workspace, access = served
    workspace.fail(SlackFault(FaultKind.REFUSE, method="chat.postMessage", error="invalid_blocks"))
    lost(workspace, OPENED, None, access)
    BY_NAME.send(replace(AGAIN, seen=SEEN), None, access)
    (plain,) = workspace.messages
    assert not plain.blocks


def test_news_that_arrived_in_a_thread_are_not_told_again_when_its_root_is_gone(slack: FakeSlack) -> None:
    slack.error("message_not_found")
    slack.script.append(page(found(CHANGED.key, thread_ts="1762074000.000001")))
    receipt = BY_NAME.send(replace(CHANGED, repeat=True), {"channel": CHANNEL_ID, "ts": "1.0"}, to(slack))
    assert slack.methods() == ["chat.update", "conversations.history"]
    assert receipt == {"channel": CHANNEL_ID, "ts": "1762074000.000001"}


# What has not arrived is sent as if for the first time


def test_an_opening_that_did_not_arrive_is_sent_and_does_not_say_that_it_is_a_repeat(served: tuple[Workspace, Access]) -> None:
    workspace, access = served
    BY_NAME.send(replace(OPENED, key="another"), None, access)
    BY_NAME.send(replace(AGAIN, seen=SEEN), None, access)
    assert workspace.calls == ("chat.postMessage", "conversations.history", "chat.postMessage")
    assert REPEAT not in str(workspace.messages[1].blocks)


def test_a_reply_that_did_not_arrive_is_sent_and_does_not_say_that_it_is_a_repeat(served: tuple[Workspace, Access]) -> None:
    workspace, access = served
    thread = BY_NAME.send(OPENED, None, access)
    BY_NAME.send(replace(CHANGED, repeat=True), thread, access)
    assert workspace.messages[1].text == "slower"


def test_a_first_attempt_looks_for_nothing(slack: FakeSlack) -> None:
    thread = BY_ID.send(OPENED, None, to(slack))
    BY_ID.send(CHANGED, thread, to(slack))
    assert slack.methods() == ["chat.postMessage", "chat.update", "chat.postMessage"]


def test_every_message_can_be_found_again(slack: FakeSlack) -> None:
    BY_ID.send(CHANGED, SEEN, to(slack))
    expected = {"event_type": "alertd_notice", "event_payload": {"key": CHANGED.key}}
    assert slack.calls[-1].body["metadata"] == expected


# The look-up itself


def test_it_asks_for_metadata_since_a_little_before_the_notice_and_as_a_form(slack: FakeSlack) -> None:
    BY_ID.send(replace(AGAIN, notice=a_notice(at=START + 500)), None, to(slack))
    asked = slack.calls[0]
    assert (asked.method, asked.token) == ("conversations.history", servers.TOKEN)
    since = f"{(START - HOUR) // 1000}.000000"
    assert asked.body == {"channel": CHANNEL_ID, "include_all_metadata": "1", "limit": "200", "oldest": since}


def test_it_turns_pages_until_it_finds_it(slack: FakeSlack) -> None:
    slack.script.extend([page(found("another"), cursor="next"), page(found(OPENED.key))])
    receipt = BY_ID.send(AGAIN, None, to(slack))
    assert receipt["ts"] == "1762074000.000100"
    assert slack.calls[1].body["cursor"] == "next"
    assert slack.methods() == ["conversations.history"] * 2


def test_it_turns_few_pages_and_then_nobody_knows(slack: FakeSlack) -> None:
    slack.script.extend(page(found("another"), cursor="more") for _ in range(PAGES))
    BY_ID.send(AGAIN, None, to(slack))
    assert slack.methods() == ["conversations.history"] * PAGES + ["chat.postMessage"]
    assert REPEAT in str(slack.calls[-1].body["blocks"])


@pytest.mark.parametrize(
    "answer",
    [
        *(Scripted({"ok": False, "error": code}) for code in ("missing_scope", "not_in_channel", "channel_not_found", "what")),
        Scripted({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "60"}),
        *(Scripted("<html>", 502), Scripted(None), Scripted("", 302, {"Location": "https://example.com/"})),
        *(Scripted({"ok": True}), Scripted({"ok": True, "messages": {}}), page(has_more=True)),
    ],
)
@pytest.mark.parametrize(("message", "thread"), [(AGAIN, None), (replace(CHANGED, repeat=True), SEEN)])
def test_where_it_cannot_look_the_message_goes_out_and_says_that_it_may_be_a_repeat(
    slack: FakeSlack, answer: Scripted, message: Message, thread: Mapping[str, str] | None
) -> None:
    slack.script.extend([Scripted({"ok": True})] if thread else [])
    slack.script.append(answer)
    assert BY_ID.send(message, thread, to(slack))
    posted = slack.calls[-1]
    assert posted.method == "chat.postMessage"
    assert REPEAT in str(posted.body)
    assert posted.body["client_msg_id"] == message.key


@pytest.mark.parametrize("channel", [BY_NAME, Slack(channel="U012AB3CD")])
def test_a_channel_whose_id_nobody_knows_is_not_looked_into(slack: FakeSlack, channel: Slack) -> None:
    channel.send(AGAIN, None, to(slack))
    assert slack.methods() == ["chat.postMessage"]
    assert REPEAT in str(slack.calls[0].body["blocks"])


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 3, "x", [], {}, {"ts": 5}, {"ts": "1.0", "metadata": None}, {"ts": "1.0", "metadata": {"event_payload": 1}}),
        {"metadata": {"event_type": "alertd_notice", "event_payload": {"key": OPENED.key}}},
    ],
)
def test_messages_of_others_are_passed_over(slack: FakeSlack, odd: object) -> None:
    slack.script.append(page(odd))
    BY_ID.send(AGAIN, None, to(slack))
    assert slack.methods() == ["conversations.history", "chat.postMessage"]
    assert REPEAT not in str(slack.calls[-1].body)


def test_a_root_is_brought_up_to_date_without_saying_that_it_is_a_repeat(slack: FakeSlack) -> None:
    BY_ID.send(replace(CHANGED, repeat=True), SEEN, to(slack))
    assert REPEAT not in str(slack.calls[0].body)
