"""What the Slack channel makes of a digest, and of what follows to an incident that was told in one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import Slack
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.servers import SECRET_PATH, TOKEN, FakeSlack, slack_server

BOT = Slack(channel="#support-alerts", mention={Level.CRITICAL: "<!here>"})
HOOK = Slack(webhook_env="HOOK")
PARTS = {"header": "12 alerts", "summary": "*12 alerts*, 3 of them critical.", "plain": "12 alerts", "worse": "yes"}
DIGEST = Message("key", Kind.DIGEST, a_notice(level=Level.CRITICAL), PARTS)
LATER = Message(
    "later",
    Kind.CHANGED,
    a_notice(),
    {"summary": "All of it.", "reply": "Now 9 min.", "plain": "Warning · First answers are slow"},
)
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001", "digest": "yes"}


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def access(slack: FakeSlack) -> Access:
    return Access(slack=SlackAccess(slack.url, lambda: TOKEN, lambda: "xapp-1"), secret={"HOOK": slack.hook}.get)


def test_a_digest_is_a_message_of_its_own_and_its_receipt_says_so(slack: FakeSlack) -> None:
    assert BOT.send(DIGEST, None, access(slack)) == THREAD
    (posted,) = slack.calls
    assert posted.method == "chat.postMessage"
    assert posted.body["text"] == "<!here> 12 alerts"
    assert [block["type"] for block in posted.body["blocks"]] == ["header", "section"]


def test_a_digest_in_which_nothing_opens_or_gets_worse_calls_nobody(slack: FakeSlack) -> None:
    BOT.send(replace(DIGEST, parts={**PARTS, "worse": ""}), None, access(slack))
    assert "<!here>" not in str(slack.calls[0].body)


def test_a_digest_is_never_a_reply(slack: FakeSlack) -> None:
    BOT.send(DIGEST, {"channel": "C012AB3CD", "ts": "1.0"}, access(slack))
    assert "thread_ts" not in slack.calls[0].body
    assert slack.methods() == ["chat.postMessage"]


def test_by_webhook_a_digest_is_one_message(slack: FakeSlack) -> None:
    assert HOOK.send(DIGEST, None, access(slack)) == {}
    assert slack.methods() == [SECRET_PATH]


def test_news_of_one_of_many_are_a_reply_that_names_it_and_edits_nothing(slack: FakeSlack) -> None:
    assert BOT.send(LATER, THREAD, access(slack)) == THREAD
    (reply,) = slack.calls
    assert (reply.method, reply.body["thread_ts"]) == ("chat.postMessage", THREAD["ts"])
    assert reply.body["text"] == "Warning · First answers are slow\nNow 9 min."
    assert "reply_broadcast" not in reply.body


def test_the_end_of_one_of_many_is_seen_by_the_whole_channel(slack: FakeSlack) -> None:
    BOT.send(replace(LATER, kind=Kind.RESOLVED), THREAD, access(slack))
    assert slack.calls[0].body["reply_broadcast"] is True


def test_one_of_many_has_nothing_that_could_be_kept_true(slack: FakeSlack) -> None:
    assert BOT.send(replace(LATER, kind=Kind.REFRESHED), THREAD, access(slack)) == THREAD
    assert slack.calls == []


def test_news_of_one_of_many_get_a_message_of_their_own_when_the_digest_is_gone(slack: FakeSlack) -> None:
    slack.error("thread_not_found")
    receipt = BOT.send(LATER, THREAD, access(slack))
    assert "digest" not in receipt
    assert slack.calls[1].body["blocks"][0]["text"]["text"] == "All of it."


def test_more_than_five_waiting_messages_become_a_digest_and_one_goes_out_a_second() -> None:
    assert (BOT.burst, BOT.pace) == (5, 1_000)
