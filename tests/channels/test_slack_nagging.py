"""What the Slack channel makes of reminders, escalations and reports."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import Slack
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.servers import TOKEN, FakeSlack, slack_server

PARTS = {"summary": "*Still critical.*", "reply": "Nobody has acknowledged it.", "plain": "news", "worse": "yes"}
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001"}
BOT = Slack(channel="#support-alerts", mention={Level.CRITICAL: "<!here>"})


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def access(slack: FakeSlack) -> Access:
    return Access(slack=SlackAccess(slack.url, lambda: TOKEN))


@pytest.mark.parametrize("kind", [Kind.REMINDER, Kind.ESCALATED])
def test_what_nobody_has_taken_up_is_seen_by_the_whole_channel_and_calls_people(slack: FakeSlack, kind: Kind) -> None:
    BOT.send(Message("key", kind, a_notice(level=Level.CRITICAL), PARTS), THREAD, access(slack))
    reply = slack.calls[-1].body
    assert (reply["reply_broadcast"], reply["text"]) == (True, "<!here> Nobody has acknowledged it.")


def test_an_escalation_to_a_channel_that_knows_nothing_yet_opens_a_message_there(slack: FakeSlack) -> None:
    receipt = BOT.send(Message("key", Kind.ESCALATED, a_notice(level=Level.CRITICAL), PARTS), None, access(slack))
    assert [each.method for each in slack.calls] == ["chat.postMessage"]
    assert "thread_ts" not in slack.calls[-1].body
    assert receipt["ts"]


def test_a_report_is_a_message_of_its_own_that_calls_nobody(slack: FakeSlack) -> None:
    BOT.send(Message("key", Kind.REPORT, a_notice(level=Level.OK), {**PARTS, "worse": ""}), None, access(slack))
    assert [each.method for each in slack.calls] == ["chat.postMessage"]
    assert "<!here>" not in slack.calls[-1].body["text"]
