"""Hearing buttons over a real WebSocket, from the stand-in's press to the answer that whoever pressed gets."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from alertd.channels.base import Access, Message, Receipt, SlackAccess
from alertd.channels.slack.clients import Bot
from alertd.channels.slack.line import Line
from alertd.channels.slack.listening import WAITING, Listener
from alertd.channels.slack.presses import ACTIONS, Pressed, read_press
from alertd.clock import SECOND, SystemClock
from alertd.errors import DeliveryError, StoreError
from alertd.notices import acting
from alertd.sandbox.slack import create_slack
from alertd.sandbox.socket import APP, APP_TOKEN, TEAM, USER, Switchboard, press_envelope
from alertd.sandbox.workspace import TOKEN, Content, Draft, FaultKind, SlackFault, SlackMessage, Workspace
from alertd.store.database import open_database
from alertd.testing import FakeChannel
from alertd.web.serving import Server, listen
from tests.notices.stage import BAD, Stage, a_levelled_rule

PATIENCE = 30.0  # seconds: a limit for what never comes, not a measure of how fast it should
PULSE = 100  # how often the other side is asked for a sign of life, where the test is about that


@dataclass
class Desk:
    """The stand-in, a listener, and what it has heard."""

    address: str
    workspace: Workspace
    switchboard: Switchboard
    bot_token: str | None = TOKEN
    app_token: str | None = APP_TOKEN
    heard: list[Pressed] = field(default_factory=list)
    handle: Callable[[Pressed], str] = lambda pressed: f"<{pressed.action}> {pressed.incident} & so on"
    listener: Listener | None = None

    def listen(self, **more: Any) -> Listener:
        access = SlackAccess(f"{self.address}/api/", lambda: self.bot_token, lambda: self.app_token)
        self.listener = Listener(access, self._hear, SystemClock(), **more)
        self.listener.start()
        return self.listener

    def connected(self, **more: Any) -> Listener:
        listener = self.listener or self.listen(**more)
        until(lambda: listener.state().connected, "connected")
        return listener

    def press(self, action: str = "alertd_acknowledge", value: str = "12", **changes: Any) -> SlackMessage:
        button = {"type": "button", "action_id": action, "value": value, "block_id": "b"}
        message = self.workspace.post(self.workspace.channel("alerts"), Draft(Content("a message of ours")))
        assert self.switchboard.press(message, button | changes)
        return message

    def answers(self) -> list[str]:
        return [each.text for each in self.workspace.whispers]

    def answered(self, count: int = 1) -> list[str]:
        until(lambda: len(self.answers()) >= count, f"{count} answers")
        return self.answers()

    def acknowledged(self) -> bool:
        return all(each.answered is not None for each in self.switchboard.sent)

    def _hear(self, pressed: Pressed) -> str:
        self.heard.append(pressed)
        return self.handle(pressed)


def until(wanted: Callable[[], object], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < ends, f"never: {what}"
        time.sleep(0.005)


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    server = Server(app, listen("127.0.0.1", 0, "port"))
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


class Changing:
    """An app in whose place each test puts its own: to stop a server takes a while."""

    app: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[Changing, str]]:
    changing = Changing()
    with served(Starlette(routes=[Mount("/", changing)])) as address:
        yield changing, address


@pytest.fixture
def desk(place: tuple[Changing, str]) -> Iterator[Desk]:
    changing, address = place
    workspace, switchboard = Workspace(SystemClock(), ["alerts"]), Switchboard(SystemClock())
    changing.app = create_slack(workspace, switchboard)
    desk = Desk(address, workspace, switchboard)
    try:
        yield desk
    finally:
        if desk.listener:
            desk.listener.stop()


# Presses


def test_a_press_is_acknowledged_handled_and_answered_to_whoever_pressed(desk: Desk) -> None:
    desk.connected()
    message = desk.press()
    desk.answered()
    (answer,) = desk.workspace.whispers
    assert (answer.only_for, answer.channel) == (USER["id"], message.channel)
    assert answer.text == "&lt;acknowledge&gt; 12 &amp; so on"
    (sent,) = desk.switchboard.sent
    assert sent.answered is not None
    assert sent.answered < 3 * SECOND
    (pressed,) = desk.heard
    assert (pressed.action, pressed.incident, pressed.user, pressed.name) == ("acknowledge", 12, USER["id"], "you")
    assert (pressed.channel, pressed.ts) == (message.channel, message.ts)
    assert abs(pressed.at - SystemClock().now()) < 60 * SECOND


@pytest.mark.parametrize("action", ACTIONS)
def test_each_of_our_buttons_is_heard_by_its_name(desk: Desk, action: str) -> None:
    desk.connected()
    desk.press(action)
    desk.answered()
    assert [each.action for each in desk.heard] == [ACTIONS[action]]


class Posting(FakeChannel):
    """A channel that posts what it gets in the stand-in's workspace, and edits that later."""

    editable: bool = True

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        super().send(message, thread, access)
        return {"channel": "C0000000001", "ts": "1.000001"}


def test_from_the_press_to_the_refreshed_message(desk: Desk) -> None:
    with closing(open_database("sqlite://")) as database:
        stage = Stage(database, a_levelled_rule(), {"team": Posting()})
        stage.check({1: BAD})
        stage.send()

        def handle(pressed: Pressed) -> str:
            with database.write() as transaction:
                return acting.press(transaction, pressed, stage.clock.now()).text

        desk.handle = handle
        desk.connected()
        ours = SlackMessage("1.000001", "C0000000001", "alerts", "ours", 0)
        for _ in range(2):
            desk.switchboard.press(ours, {"type": "button", "action_id": "alertd_acknowledge", "value": "1"})
        assert desk.answered(2) == ["Incident 1 is yours: no reminders, no escalation until it gets worse."] * 2
        assert stage.rows("kind", "state") == [("opened", "sent"), ("refreshed", "queued")]
        assert stage.rows("acknowledged_by", table="incidents") == ["you"]
        desk.press(value="1")
        assert desk.answered(3)[2].startswith("alertd knows no such message of its own, so nothing was done.")


def test_what_is_sent_again_is_acknowledged_again(desk: Desk) -> None:
    desk.switchboard.deaf, desk.switchboard.patience = True, 50
    desk.connected()
    desk.press()
    desk.answered(4)
    assert [each.times for each in desk.switchboard.sent] == [4]
    assert len(set(desk.heard)) == 1


@pytest.mark.parametrize(
    "envelope",
    [
        {"type": "interactive", "payload": None},
        {"type": "interactive", "payload": [1, 2]},
        {"type": "interactive", "payload": {"type": "block_actions", "actions": {}}},
        {"type": "interactive"},
        {"type": "events_api", "payload": {"event": {"type": "message", "text": "hello"}}},
        {"type": "slash_commands", "payload": {"command": "/ack", "text": "12"}},
        {"type": 7, "payload": "x"},
        {"type": ["interactive"]},
    ],
)
def test_what_is_no_press_of_ours_is_acknowledged_and_ignored(desk: Desk, envelope: dict[str, Any]) -> None:
    desk.connected()
    desk.switchboard.send({"envelope_id": "strange", **envelope})
    desk.press()
    desk.answered()
    assert len(desk.heard) == 1
    until(desk.acknowledged, "all acknowledged")


@pytest.mark.parametrize("message", [{}, {"envelope_id": 7}, {"envelope_id": None, "type": "interactive"}, {"type": None}])
def test_a_message_without_an_envelope_disturbs_nobody(desk: Desk, message: dict[str, Any]) -> None:
    desk.connected()
    desk.switchboard.say(message)
    desk.press()
    assert len(desk.answered()) == 1
    assert desk.switchboard.opened == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"api_app_id": "A0000000002"},
        {"team": {"id": "T0000000002"}},
        {"user": {**USER, "team_id": "T0000000002"}},
        {"actions": [{"action_id": "alertd_open", "value": "12", "action_ts": "1.0"}]},
        {"type": "view_submission"},
    ],
)
def test_a_press_of_another_app_or_workspace_or_of_a_link_is_ignored(desk: Desk, changes: dict[str, Any]) -> None:
    desk.connected()
    message = desk.workspace.post(desk.workspace.channel("alerts"), Draft(Content("x")))
    envelope = press_envelope(message, {"action_id": "alertd_acknowledge", "value": "12"}, "1.0")
    desk.switchboard.send({**envelope, "payload": {**envelope["payload"], **changes}})
    desk.press()
    desk.answered()
    assert len(desk.heard) == 1
    until(desk.acknowledged, "all acknowledged")


# When something is slow or broken


def test_a_store_that_hangs_keeps_no_press_from_being_acknowledged_and_nobody_from_stopping(desk: Desk) -> None:
    hangs = threading.Event()
    desk.handle = lambda _pressed: str(hangs.wait(PATIENCE))
    listener = desk.connected()
    try:
        desk.press()
        until(lambda: desk.heard, "heard")
        for _ in range(WAITING + 2):
            desk.press()
        busy = desk.answered(2)
        until(desk.acknowledged, "all acknowledged")
        assert busy == ["alertd is busy and did nothing. Press again in a minute, or use: `alertd ack 12`"] * 2
        assert len(desk.heard) == 1
        begun = time.monotonic()
        listener.stop()
        assert time.monotonic() - begun < 2
    finally:
        hangs.set()


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (StoreError("the store is locked"), "alertd could not do this now (the store is locked). Press again in a minute"),
        (RuntimeError("secret detail"), "alertd made a mistake with this; its log has the details. Use: `alertd ack 12`"),
    ],
)
def test_what_cannot_be_done_is_said_and_the_next_press_is_heard(desk: Desk, problem: Exception, said: str) -> None:
    def fail(_pressed: Pressed) -> str:
        raise problem

    desk.handle = fail
    desk.connected()
    desk.press()
    assert desk.answered()[0].startswith(said)
    desk.handle = lambda _pressed: "done"
    desk.press("alertd_silence_4h")
    assert desk.answered(2)[1] == "done"


def test_an_answer_that_cannot_be_given_is_only_noted(desk: Desk) -> None:
    desk.connected()
    desk.workspace.fail(SlackFault(FaultKind.REFUSE, method="chat.postEphemeral", error="user_not_in_channel"))
    with structlog.testing.capture_logs() as logs:
        desk.press()
        until(lambda: any(each["event"] == "answer to a press not sent" for each in logs), "noted")
        desk.press()
        assert len(desk.answered()) == 1
    assert len(desk.heard) == 2


# Connections


@pytest.mark.parametrize("reason", ["refresh_requested", "warning"])
def test_where_slack_asks_for_it_another_connection_is_made(desk: Desk, reason: str) -> None:
    desk.connected()
    desk.switchboard.say({"type": "disconnect", "reason": reason, "debug_info": {"host": "wss-111.slack.com"}})
    until(lambda: desk.switchboard.opened == 2 and desk.switchboard.connections == 1, "connected anew")
    desk.connected()
    desk.press()
    assert len(desk.answered()) == 1


def test_socket_mode_that_is_turned_off_is_said(desk: Desk) -> None:
    desk.connected()
    with structlog.testing.capture_logs() as logs:
        desk.switchboard.say({"type": "disconnect", "reason": "link_disabled"})
        until(lambda: desk.switchboard.opened == 2, "tried again")
    reasons = [each["reason"] for each in logs if each["event"] == "buttons are not heard"]
    assert reasons == ["Socket Mode is off; turn Socket Mode on in the settings of the Slack app"]


def test_a_connection_that_is_cut_is_replaced(desk: Desk) -> None:
    desk.connected()
    desk.switchboard.cut()
    until(lambda: desk.switchboard.opened == 2, "connected anew")
    desk.connected()
    desk.press()
    assert len(desk.answered()) == 1


class Relay:
    """A way to the stand-in on which everything that is open can be frozen or half closed at once."""

    def __init__(self, address: str) -> None:
        self._there = int(address.rpartition(":")[2])
        self._front = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._front.getsockname()[1]}"
        self.frozen = threading.Event()
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._front.close()
        for each in [one for pair in self.pairs for one in pair]:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._front.accept()
                far = socket.create_connection(("127.0.0.1", self._there))
                self.pairs.append((near, far))
                self.frozen = threading.Event()
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other, self.frozen), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket, frozen: threading.Event) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                if frozen.is_set():
                    return
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def relay(desk: Desk) -> Iterator[Relay]:
    with closing(Relay(desk.address)) as relay:
        desk.address = relay.address
        yield relay
        if desk.listener:
            desk.listener.stop()


def test_a_connection_from_which_nothing_is_heard_any_more_is_replaced(desk: Desk, relay: Relay) -> None:
    listener = desk.connected(pulse=PULSE)
    with structlog.testing.capture_logs() as logs:
        relay.frozen.set()
        until(lambda: desk.switchboard.opened == 2, "connected anew")
    until(lambda: listener.state().connected, "connected")
    assert "nothing was heard from Slack any more" in [each.get("reason") for each in logs]


def test_a_connection_that_the_other_side_ends_without_a_word_is_replaced_at_once(desk: Desk, relay: Relay) -> None:
    desk.connected()
    before = time.process_time()
    relay.pairs[-1][0].shutdown(socket.SHUT_WR)
    until(lambda: desk.switchboard.opened == 2, "connected anew")
    assert time.process_time() - before < 5  # the SDK alone asks a dead socket again and again, for 20 s


def test_a_connection_that_is_taken_and_never_greeted_is_given_up(desk: Desk) -> None:
    desk.switchboard.mute = True
    listener = desk.listen(pulse=PULSE)
    until(lambda: "took the connection and said nothing" in listener.state().trouble, "given up")
    desk.switchboard.mute = False
    desk.connected()


@pytest.mark.parametrize(
    ("token", "error", "said"),
    [
        ("xapp-wrong-and-secret", None, "Slack says invalid_auth: make an app-level token with the scope connections:write"),
        (TOKEN, None, "not_allowed_token_type: set ALERTD_SLACK__APP_TOKEN to an app-level token; it begins with xapp-"),
        (APP_TOKEN, "missing_scope", "the token in ALERTD_SLACK__APP_TOKEN needs the scope connections:write"),
        (APP_TOKEN, "too_many_websockets", "ten connections of this app are open already"),
        (APP_TOKEN, "something_new", "Slack says something_new: turn Socket Mode on in the settings of the Slack app"),
        (APP_TOKEN, "internal_error", "Slack failed (internal_error)"),
        (None, None, "ALERTD_SLACK__APP_TOKEN is not set"),
    ],
)
def test_why_buttons_are_not_heard_is_said_with_what_to_do(desk: Desk, token: str | None, error: str | None, said: str) -> None:
    if error:
        desk.workspace.fail(SlackFault(FaultKind.REFUSE, times=1_000, method="apps.connections.open", error=error))
    desk.app_token = token
    listener = desk.listen()
    until(lambda: listener.state().trouble != "not started", "a reason")
    text = str(listener.state())
    assert text.startswith("not connected: ")
    assert said in text
    assert "message" not in text
    assert "Until then buttons do nothing; `alertd ack` and `alertd silence` do the same" in text
    assert "secret" not in text


def test_a_token_that_is_replaced_is_used_at_the_next_attempt(desk: Desk) -> None:
    desk.app_token = "xapp-old"
    listener = desk.listen()
    until(lambda: "invalid_auth" in listener.state().trouble, "refused")
    desk.app_token = APP_TOKEN
    until(lambda: listener.state().connected, "connected")
    assert str(listener.state()).startswith("connected since 20")


def test_presses_are_heard_although_nobody_says_which_workspace_it_is(desk: Desk) -> None:
    desk.bot_token = "xoxb-revoked"
    desk.connected()
    desk.press()
    until(lambda: desk.heard, "heard")


@pytest.mark.parametrize(
    "address",
    [
        "ws://wss.slack.com/link?ticket=hidden",
        "wss://wss.slack.com:8443/link?ticket=hidden",
        "http://127.0.0.1/link?ticket=hidden",
        "wss:///link?ticket=hidden",
        "wss://[::1/link?ticket=hidden",
        "wss://a:b:c/link?ticket=hidden",
        "",
    ],
)
def test_an_address_on_which_others_could_listen_is_not_used(address: str) -> None:
    with pytest.raises(DeliveryError, match="not safe to use; check ALERTD_SLACK__URL") as caught:
        Line(address, Bot(token=TOKEN), lambda _line, _message: None, SECOND)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (JSONResponse({"ok": True, "url": "ws://wss.slack.com/?ticket=hidden"}), "not safe to use"),
        (JSONResponse({"ok": True, "url": ["x"]}), "Slack gave out no address for Socket Mode"),
        (JSONResponse({"ok": True}), "Slack gave out no address for Socket Mode"),
        (RedirectResponse("https://evil.example/", 307), "redirects to evil.example, which is not followed"),
        (JSONResponse({"ok": True, "url": "ws://127.0.0.1:9/?ticket=hidden"}), "no connection to Slack's Socket Mode"),
    ],
)
def test_an_answer_that_slack_does_not_give_is_not_gone_by(answer: Response, said: str) -> None:
    async def method(_request: Request) -> Response:
        return answer

    with served(Starlette(routes=[Route("/api/{method}", method, methods=["POST"])])) as address:
        desk = Desk(address, Workspace(SystemClock()), Switchboard(SystemClock()))
        listener = desk.listen()
        until(lambda: listener.state().trouble != "not started", "a reason")
        text = listener.state().trouble
        listener.stop()
    assert said in text
    assert "hidden" not in text


def test_neither_a_ticket_nor_a_token_is_logged(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logs:
        desk.connected()
        desk.press()
        desk.answered()
        desk.switchboard.cut()
        until(lambda: desk.switchboard.opened == 2, "connected anew")
    lines = [*map(str, logs), *caplog.messages]
    assert not [each for each in lines if "ticket" in each or "xapp-" in each or "xoxb-" in each or "hooks.slack" in each]


def test_after_a_stop_nothing_goes_on(desk: Desk) -> None:
    listener = desk.connected()
    listener.stop()
    until(lambda: desk.switchboard.connections == 0, "disconnected")
    until(lambda: not [each for each in threading.enumerate() if each.name.startswith("slack-")], "no threads")
    assert str(listener.state()).startswith("not connected: stopped")


def test_one_that_was_never_started_can_be_stopped(desk: Desk) -> None:
    listener = Listener(SlackAccess(f"{desk.address}/api/"), lambda _pressed: "", SystemClock())
    listener.stop()
    assert not listener.state().connected
    assert desk.switchboard.opened == 0


# What a payload may be


def a_payload(**changes: Any) -> dict[str, Any]:
    message = SlackMessage("1548261231.000200", "C123ABC456", "alerts", "ours", 0)
    button = {"type": "button", "action_id": "alertd_silence_1h", "value": "12"}
    payload: dict[str, Any] = json.loads(json.dumps(press_envelope(message, button, "1548426417.840180")["payload"]))
    return payload | changes


def a_button(**changes: Any) -> list[dict[str, Any]]:
    return [{"action_id": "alertd_silence_1h", "value": "12", "action_ts": "1548426417.840180", **changes}]


def test_a_press_is_read_as_slack_writes_it() -> None:
    expected = Pressed("silence 1h", 12, USER["id"], "you", "C123ABC456", "1548261231.000200", 1_548_426_417_840)
    assert read_press(a_payload(), APP, TEAM) == expected
    assert read_press(a_payload(), None, None) == expected


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ({"name": "priya"}, "priya"),
        ({"username": "priya.shah"}, "priya.shah"),
        ({"name": " \n", "username": None}, "U1"),
        ({"name": "a\x00b\u202ec\ud800 \t d"}, "a b c d"),
        ({"name": "x" * 500}, "x" * 80),
        ({}, "U1"),
    ],
)
def test_a_name_fits_into_a_line(person: dict[str, Any], name: str) -> None:
    found = read_press(a_payload(user={"id": "U1", **person}), APP, TEAM)
    assert found is not None
    assert found.name == name


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": a_button(value="0")},
        {"actions": a_button(value="-1")},
        {"actions": a_button(value="1\n")},
        {"actions": a_button(value="١٢")},
        {"actions": a_button(value="9" * 10)},
        {"actions": a_button(value=12)},
        {"actions": a_button(value=None)},
        {"actions": a_button(action_id=["alertd_silence_1h"])},
        {"actions": a_button(action_id="alertd_silence_9h")},
        {"actions": a_button(action_ts="now")},
        {"actions": a_button(action_ts="1e9.0")},
        {"actions": []},
        {"actions": [None, 1, "x", {}]},
        {"user": {"id": "<!channel>"}},
        {"user": {"id": "U1\n"}},
        {"user": None},
        {"container": {"type": "view"}},
        {"container": {"channel_id": "#alerts", "message_ts": "1.0"}},
        {"container": {"channel_id": "C1", "message_ts": "1.0; drop"}},
    ],
)
def test_what_is_not_as_slack_writes_it_is_none(changes: dict[str, Any]) -> None:
    assert read_press(a_payload(**changes), APP, TEAM) is None


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(["U1", "C1", "1.0", "12"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*a_payload(), "id"]), inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(ANYTHING, st.sampled_from([*a_payload()]), st.sampled_from([*a_button()[0]]), st.booleans())
def test_whatever_comes_it_is_a_sound_press_or_none(value: object, key: str, inner: str, whole: bool) -> None:
    for payload in (value, a_payload(**{key: value}), a_payload(actions=a_button(**{inner: value})) if not whole else {}):
        found = read_press(payload, APP, TEAM)
        if found is not None:
            assert found.action in ACTIONS.values()
            assert 0 < found.incident < 10**9
            assert found.name.isprintable()
            assert 0 < len(found.name) <= 80
            assert found.at >= 0
