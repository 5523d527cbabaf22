from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import uvicorn
from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd.clock import SECOND, Duration, Instant
from alertd.sandbox.serve import listen
from alertd.sandbox.slack import create_slack
from alertd.sandbox.workspace import BURST, TOKEN, FaultKind, SlackFault, Workspace

NOON = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*slow*"}}


class HandClock:
    """A clock that is set by hand."""

    moment: Instant = NOON
    up: Duration = 0

    def now(self) -> Instant:
        return self.moment

    def uptime(self) -> Duration:
        return self.up

    def boot(self) -> str:
        return "test"


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The app on a free port."""
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def workspace(clock: HandClock) -> Workspace:
    return Workspace(clock, ["#support", "sales"])


@pytest.fixture
def url(workspace: Workspace) -> Iterator[str]:
    with served(Starlette(routes=[Mount("/slack", create_slack(workspace))])) as address:
        yield f"{address}/slack"


@pytest.fixture
def client(url: str) -> WebClient:
    return WebClient(token=TOKEN, base_url=f"{url}/api/", retry_handlers=[], timeout=10)


def refused(call: Any, *arguments: Any, **options: Any) -> Any:
    with pytest.raises(SlackApiError) as caught:
        call(*arguments, **options)
    return caught.value.response


def test_a_posted_message_is_in_the_workspace_as_it_was_sent(client: WebClient, workspace: Workspace) -> None:
    meta = {"event_type": "alertd_notice", "event_payload": {"delivery": "7"}}
    answer = client.chat_postMessage(channel="#support", text="slow", blocks=[SECTION], metadata=meta, client_msg_id="a-b")
    (message,) = workspace.messages
    assert answer["channel"] == message.channel == workspace.channels["support"]
    assert answer["ts"] == message.ts
    assert (message.channel_name, message.text, message.blocks) == ("support", "slow", (SECTION,))
    assert (message.metadata, message.client_msg_id, message.received_at) == (meta, "a-b", NOON)
    assert not message.repeat


def test_a_form_is_taken_like_json(url: str, workspace: Workspace) -> None:
    form = {"token": TOKEN, "channel": "sales", "text": "a & b", "blocks": json.dumps([SECTION])}
    answer = requests.post(f"{url}/api/chat.postMessage", data=form, timeout=10).json()
    assert answer["ok"] is True
    assert (workspace.messages[0].text, workspace.messages[0].blocks) == ("a & b", (SECTION,))


def test_every_message_has_its_own_ts_although_the_clock_stands_still(client: WebClient, workspace: Workspace) -> None:
    for _ in range(3):
        client.chat_postMessage(channel="sales", text="x")
    stamps = [message.ts for message in workspace.messages]
    assert len(set(stamps)) == 3
    assert stamps == sorted(stamps)


def test_auth_test_and_conversations_list_describe_the_workspace(client: WebClient, workspace: Workspace) -> None:
    assert client.auth_test()["user"] == "alertd"
    found = client.conversations_list(types="public_channel", limit=10)["channels"]
    assert {one["name"]: one["id"] for one in found} == workspace.channels


def test_a_wrong_token_is_invalid_and_none_is_not_authed(client: WebClient, url: str, workspace: Workspace) -> None:
    client.token = "xoxb-wrong"
    assert refused(client.chat_postMessage, channel="sales", text="x")["error"] == "invalid_auth"
    assert requests.post(f"{url}/api/auth.test", timeout=10).json() == {"ok": False, "error": "not_authed"}
    assert workspace.messages == ()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"channel": "#nowhere", "text": "x"}, "channel_not_found"),
        ({"channel": "sales", "text": ""}, "no_text"),
        ({"channel": "sales", "text": "", "blocks": []}, "no_text"),
        ({"channel": "sales", "text": "x" * 40_001}, "msg_too_long"),
        ({"channel": "sales", "text": "x", "thread_ts": "1.000001"}, "thread_not_found"),
        ({"channel": "sales", "text": "x", "blocks": "{"}, "invalid_blocks_format"),
        ({"channel": "sales", "text": "x", "metadata": {"event_type": "only"}}, "invalid_metadata_schema"),
        (
            {
                "channel": "sales",
                "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2700}}] * 5,
                "text": "",
            },
            "msg_blocks_too_long",
        ),
    ],
)
def test_a_call_that_slack_refuses_is_refused_in_slacks_word(
    client: WebClient, workspace: Workspace, arguments: dict[str, Any], error: str
) -> None:
    assert refused(client.api_call, "chat.postMessage", json=arguments)["error"] == error
    assert workspace.messages == ()


def test_an_unknown_method_says_so(client: WebClient) -> None:
    assert refused(client.api_call, "chat.shout")["error"] == "unknown_method"


def test_a_block_over_the_limit_is_refused_with_its_place(client: WebClient) -> None:
    header = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    response = refused(client.chat_postMessage, channel="sales", text="x", blocks=[SECTION, header])
    place = "must be less than 151 characters [json-pointer:/blocks/1/text/text]"
    assert response["error"] == "invalid_blocks"
    assert response["response_metadata"]["messages"] == [f"[ERROR] {place}"]
    assert response["errors"] == [place]


def test_a_workspace_without_charts_refuses_them(client: WebClient, workspace: Workspace) -> None:
    chart = {"type": "data_visualization", "title": "t", "chart": {"type": "pie", "segments": [{"label": "a", "value": 1}]}}
    client.chat_postMessage(channel="sales", text="x", blocks=[chart])
    workspace.charts = False
    assert refused(client.chat_postMessage, channel="sales", text="x", blocks=[chart])["error"] == "invalid_blocks"


def test_blocks_in_an_attachment_are_checked_too(client: WebClient) -> None:
    attachment = {"color": "#d00", "blocks": [{"type": "alert"}]}
    response = refused(client.chat_postMessage, channel="sales", text="x", attachments=[attachment])
    assert response["errors"] == ["unsupported type: alert [json-pointer:/attachments/0/blocks/0/type]"]


def test_an_update_changes_the_message_and_remembers_how_it_read(
    client: WebClient, workspace: Workspace, clock: HandClock
) -> None:
    posted = client.chat_postMessage(channel="sales", text="before", blocks=[SECTION])
    clock.moment += SECOND
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="after", blocks=[SECTION, {"type": "divider"}])
    (message,) = workspace.messages
    assert (message.ts, message.text, len(message.blocks)) == (posted["ts"], "after", 2)
    (edit,) = message.edits
    assert (edit.at, edit.text, edit.blocks) == (NOON + SECOND, "before", (SECTION,))


def test_an_update_with_text_alone_takes_the_blocks_away(client: WebClient, workspace: Workspace) -> None:
    posted = client.chat_postMessage(channel="sales", text="before", blocks=[SECTION])
    client.chat_update(channel=posted["channel"], ts=posted["ts"], text="after")
    assert workspace.messages[0].blocks == ()


def test_an_update_needs_the_channels_id_and_a_known_ts(client: WebClient) -> None:
    posted = client.chat_postMessage(channel="sales", text="x")
    assert refused(client.chat_update, channel="sales", ts=posted["ts"], text="y")["error"] == "channel_not_found"
    assert refused(client.chat_update, channel=posted["channel"], ts="1.000001", text="y")["error"] == "message_not_found"


def test_a_reply_knows_its_thread_and_whether_the_channel_sees_it(client: WebClient, workspace: Workspace) -> None:
    root = client.chat_postMessage(channel="sales", text="root")
    client.chat_postMessage(channel="sales", text="quiet", thread_ts=root["ts"])
    client.chat_postMessage(channel="sales", text="loud", thread_ts=root["ts"], reply_broadcast=True)
    assert [(one.thread_ts, one.broadcast) for one in workspace.messages[1:]] == [(root["ts"], False), (root["ts"], True)]
    history = client.conversations_history(channel=root["channel"])["messages"]
    assert [one["text"] for one in history] == ["loud", "root"]
    replies = client.conversations_replies(channel=root["channel"], ts=root["ts"])["messages"]
    assert [one["text"] for one in replies] == ["root", "quiet", "loud"]


def test_history_shows_metadata_only_when_asked_for(client: WebClient) -> None:
    meta = {"event_type": "alertd_notice", "event_payload": {"delivery": "7"}}
    posted = client.chat_postMessage(channel="sales", text="x", metadata=meta)
    (bare,) = client.conversations_history(channel=posted["channel"])["messages"]
    (whole,) = client.conversations_history(channel=posted["channel"], include_all_metadata=True)["messages"]
    assert "metadata" not in bare
    assert whole["metadata"] == meta
    assert client.conversations_history(channel=posted["channel"], oldest=posted["ts"])["messages"] == []


def test_the_same_client_msg_id_is_stored_again_and_marked(client: WebClient, workspace: Workspace) -> None:
    for key in ("one", "two", "one"):
        client.chat_postMessage(channel="sales", text=key, client_msg_id=key)
    assert [message.repeat for message in workspace.messages] == [False, False, True]


def test_a_webhook_posts_into_its_channel(url: str, workspace: Workspace) -> None:
    answer = WebhookClient(f"{url}/{workspace.hook('#support')}").send(text="hello", blocks=[SECTION])
    assert (answer.status_code, answer.body) == (200, "ok")
    (message,) = workspace.messages
    assert (message.channel_name, message.text, message.webhook) == ("support", "hello", True)


def test_a_webhook_says_with_its_status_what_is_wrong(url: str, workspace: Workspace) -> None:
    hook = f"{url}/{workspace.hook('support')}"
    wrong = requests.post(hook, json={"blocks": [{"type": "nonsense"}]}, timeout=10)
    empty = requests.post(hook, json={}, timeout=10)
    gone = requests.post(f"{url}/services/T0/B0/unknown", json={"text": "x"}, timeout=10)
    assert [(one.status_code, one.text) for one in (wrong, empty, gone)] == [
        (400, "invalid_blocks"),
        (400, "no_text"),
        (404, "no_service"),
    ]


def test_a_paced_channel_takes_a_burst_and_then_one_a_second(client: WebClient, workspace: Workspace, clock: HandClock) -> None:
    workspace.paced = True
    for _ in range(BURST):
        client.chat_postMessage(channel="sales", text="x")
    response = refused(client.chat_postMessage, channel="sales", text="x")
    assert (response.status_code, response["error"], response.headers["Retry-After"]) == (429, "ratelimited", "1")
    client.chat_postMessage(channel="support", text="another channel has its own pace")
    clock.up += SECOND
    client.chat_postMessage(channel="sales", text="x")
    assert refused(client.chat_postMessage, channel="sales", text="x")["error"] == "ratelimited"


def test_faults_come_on_cue_and_are_over_after_their_times(client: WebClient, workspace: Workspace) -> None:
    workspace.fail(SlackFault(FaultKind.REFUSE, times=2, method="chat.postMessage", error="account_inactive"))
    workspace.fail(SlackFault(FaultKind.TOO_MANY, retry_after=7 * SECOND))
    assert refused(client.auth_test).headers["Retry-After"] == "7"
    assert refused(client.chat_postMessage, channel="sales", text="x")["error"] == "account_inactive"
    assert refused(client.chat_postMessage, channel="sales", text="x")["error"] == "account_inactive"
    client.chat_postMessage(channel="sales", text="x")
    assert len(workspace.messages) == 1
    assert workspace.calls == ("auth.test", *["chat.postMessage"] * 3)


def test_a_crash_is_a_500_that_is_no_json_and_stores_nothing(url: str, workspace: Workspace) -> None:
    workspace.fail(SlackFault(FaultKind.CRASH))
    answer = requests.post(f"{url}/api/chat.postMessage", json={"token": TOKEN, "channel": "sales", "text": "x"}, timeout=10)
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (500, "text/plain")
    assert workspace.messages == ()


@pytest.mark.parametrize(("kind", "stored"), [(FaultKind.HANG_UP, 1), (FaultKind.LOSE, 0)])
def test_a_cut_connection_looks_the_same_whether_the_message_was_taken_or_not(
    client: WebClient, workspace: Workspace, kind: FaultKind, stored: int
) -> None:
    workspace.fail(SlackFault(kind))
    with pytest.raises(OSError):  # noqa: PT011 - reset or closed without an answer, as the system likes
        client.chat_postMessage(channel="sales", text="x")
    assert len(workspace.messages) == stored


def test_a_webhook_meets_faults_too(url: str, workspace: Workspace) -> None:
    hook = f"{url}/{workspace.hook('support')}"
    workspace.fail(SlackFault(FaultKind.TOO_MANY, method="webhook", retry_after=2 * SECOND))
    workspace.fail(SlackFault(FaultKind.HANG_UP, method="webhook"))
    answer = requests.post(hook, json={"text": "x"}, timeout=10)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    with pytest.raises(requests.ConnectionError):
        requests.post(hook, json={"text": "x"}, timeout=10)
    assert len(workspace.messages) == 1


def test_only_the_newest_messages_are_kept(clock: HandClock) -> None:
    workspace = Workspace(clock, ["sales"], kept=2)
    with served(create_slack(workspace)) as url:
        client = WebClient(token=TOKEN, base_url=f"{url}/api/", retry_handlers=[])
        for number in range(3):
            client.chat_postMessage(channel="sales", text=str(number))
    assert [message.text for message in workspace.messages] == ["1", "2"]


def test_posts_from_many_threads_are_all_there(client: WebClient, workspace: Workspace) -> None:
    threads = [
        threading.Thread(target=client.chat_postMessage, kwargs={"channel": "sales", "text": str(number)})
        for number in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(message.text) for message in workspace.messages) == list(range(12))
    assert len({message.ts for message in workspace.messages}) == 12
