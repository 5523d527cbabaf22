"""The stand-in's Socket Mode, as the SDK and a bare socket see it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.socket_mode import SocketModeClient
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd.clock import SECOND, SystemClock
from alertd.sandbox.inbox import Sources, Status, create_inbox
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.slack import create_slack
from alertd.sandbox.socket import APP, APP_TOKEN, SENDS, USER, Switchboard
from alertd.sandbox.workspace import TOKEN, Content, Draft, SlackMessage, Workspace
from alertd.web.serving import Server, listen

BUTTON = {"type": "button", "action_id": "alertd_acknowledge", "value": "12", "block_id": "b"}


def until(wanted: Callable[[], object]) -> None:
    ends = time.monotonic() + 30
    while not wanted():
        assert time.monotonic() < ends
        time.sleep(0.005)


@pytest.fixture
def workspace() -> Workspace:
    return Workspace(SystemClock(), ["alerts"])


@pytest.fixture
def switchboard() -> Switchboard:
    return Switchboard(SystemClock(), patience=30)


@pytest.fixture
def url(workspace: Workspace, switchboard: Switchboard) -> Iterator[str]:
    sources = Sources(workspace, Mailbox(SystemClock()), list, Status, SystemClock(), switchboard=switchboard)
    mounts = [Mount("/slack", create_slack(workspace, switchboard)), Mount("/", create_inbox(sources))]
    server = Server(Starlette(routes=mounts), listen("127.0.0.1", 0, "port"))
    server.start()
    yield server.address
    server.stop()


def opened(url: str, token: str = APP_TOKEN) -> str:
    client = WebClient(base_url=f"{url}/slack/api/", retry_handlers=[])
    return str(client.apps_connections_open(app_token=token)["url"])


@contextmanager
def connected(url: str, *, answer: bool = True) -> Iterator[list[dict[str, Any]]]:
    """The SDK's client as it is; what it hears."""
    heard: list[dict[str, Any]] = []
    client = SocketModeClient(
        app_token=APP_TOKEN, web_client=WebClient(base_url=f"{url}/slack/api/"), auto_reconnect_enabled=False
    )

    def hear(client: Any, message: dict[str, Any], _raw: str | None = None) -> None:
        heard.append(message)
        if answer and "envelope_id" in message:
            client.send_socket_mode_response({"envelope_id": message["envelope_id"]})

    client.message_listeners.append(hear)
    client.connect()
    until(lambda: heard)
    try:
        yield heard
    finally:
        threading.Thread(target=client.close, daemon=True).start()


def posted(workspace: Workspace) -> SlackMessage:
    blocks = ({"type": "actions", "block_id": "b", "elements": [BUTTON]},)
    return workspace.post(workspace.channel("alerts"), Draft(Content("ours", blocks)))


@pytest.mark.parametrize(
    ("token", "error"), [("xapp-other", "invalid_auth"), (TOKEN, "not_allowed_token_type"), ("", "not_authed")]
)
def test_only_an_app_token_opens_a_connection(url: str, token: str, error: str) -> None:
    with pytest.raises(SlackApiError) as caught:
        opened(url, token)
    assert caught.value.response["error"] == error


def test_an_app_token_calls_nothing_else(url: str) -> None:
    header = {"Authorization": f"Bearer {APP_TOKEN}"}
    assert requests.post(f"{url}/slack/api/auth.test", headers=header, timeout=10).json()["error"] == "invalid_auth"


def test_a_ticket_is_good_for_one_connection(url: str) -> None:
    address = urlsplit(opened(url))

    def knock(query: str) -> int:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
        upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        connection.request(
            "GET", f"{address.path}?{query}", headers={**upgrade, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        )
        status = connection.getresponse().status
        connection.close()
        return status

    assert address.scheme == "ws"
    assert address.query.endswith(f"&app_id={APP}")
    assert [knock(address.query), knock(address.query), knock("ticket=made-up"), knock("")] == [101, 403, 403, 403]


def test_a_connection_is_greeted_and_hears_presses_as_slack_writes_them(
    url: str, workspace: Workspace, switchboard: Switchboard
) -> None:
    message = posted(workspace)
    with connected(url) as heard:
        assert (heard[0]["type"], heard[0]["connection_info"]) == ("hello", {"app_id": APP})
        assert switchboard.press(message, BUTTON)
        until(lambda: len(heard) > 1)
        until(lambda: all(each.answered is not None for each in switchboard.sent))
    envelope = heard[1]
    payload = envelope["payload"]
    assert (envelope["type"], payload["type"], payload["user"]) == ("interactive", "block_actions", USER)
    assert payload["container"] == {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": message.channel,
        "is_ephemeral": False,
    }
    (action,) = payload["actions"]
    assert (action["action_id"], action["value"]) == ("alertd_acknowledge", "12")
    assert abs(float(action["action_ts"]) - SystemClock().now() / SECOND) < 60
    assert [each.times for each in switchboard.sent] == [1]


def test_what_is_not_answered_is_sent_again_three_times(url: str, workspace: Workspace, switchboard: Switchboard) -> None:
    with connected(url, answer=False) as heard:
        switchboard.press(posted(workspace), BUTTON)
        until(lambda: len(heard) == 1 + SENDS)
        time.sleep(4 * switchboard.patience / SECOND)
        assert len(heard) == 1 + SENDS
    assert len({each["envelope_id"] for each in heard[1:]}) == 1


def test_without_a_connection_a_press_is_lost(workspace: Workspace, switchboard: Switchboard) -> None:
    assert not switchboard.press(posted(workspace), BUTTON)
    assert switchboard.sent == ()


def test_the_button_on_the_page_presses_that_of_the_message(url: str, workspace: Workspace, switchboard: Switchboard) -> None:
    message = posted(workspace)
    form = {"channel": message.channel, "ts": message.ts, "action": "alertd_acknowledge"}
    with connected(url) as heard:
        answer = requests.post(f"{url}/press", data=form, timeout=10, allow_redirects=False)
        assert (answer.status_code, answer.headers["Location"]) == (303, "./")
        until(lambda: len(heard) > 1)
    assert heard[1]["payload"]["actions"][0]["block_id"] == "b"


def test_a_whisper_is_for_one_person_and_in_no_history(url: str, workspace: Workspace) -> None:
    client = WebClient(token=TOKEN, base_url=f"{url}/slack/api/", retry_handlers=[])
    answer = client.chat_postEphemeral(channel="alerts", user="U0000000002", text="yours")
    (whisper,) = workspace.whispers
    assert (whisper.ts, whisper.text, whisper.only_for) == (answer["message_ts"], "yours", "U0000000002")
    assert workspace.messages == ()
    assert client.conversations_history(channel=whisper.channel)["messages"] == []
    with pytest.raises(SlackApiError, match="user_not_in_channel"):
        client.chat_postEphemeral(channel="alerts", user="nobody", text="yours")
