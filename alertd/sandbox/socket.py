"""Socket Mode's side of the Slack stand-in: presses go out as envelopes over a WebSocket, and are sent again without an answer.

https://docs.slack.dev/apis/events-api/using-socket-mode and, for the press itself,
https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from starlette.websockets import WebSocket, WebSocketDisconnect

from alertd.clock import SECOND, Clock, Duration
from alertd.sandbox.workspace import Refusal, SlackMessage, Workspace

Envelope: TypeAlias = Mapping[str, Any]

APP_TOKEN = "xapp-sandbox"  # noqa: S105 - opens nothing but the stand-in
APP, TEAM = "A0000000001", "T0000000001"
USER = {"id": "U0000000002", "username": "you", "name": "you", "team_id": TEAM}
SENDS = 4  # once, and three times more
CONNECTIONS = 10


@dataclass
class Sent:
    """One envelope: how often it went out, and when it was answered. Seconds are those of the clock's uptime."""

    envelope: Envelope
    times: int = 0
    answered: Duration | None = None  # how long after it was first sent
    first: Duration = 0


@dataclass(eq=False)
class _Line:
    """One open connection and the loop that serves it. None ends it without a word."""

    loop: asyncio.AbstractEventLoop
    out: asyncio.Queue[Envelope | None] = field(default_factory=asyncio.Queue)


class Switchboard:
    """The open connections of the one app, and what went out over them. Thread-safe.

    `patience` is how long an answer may take. Faults: `deaf` takes no notice of answers, `mute` says nothing, not even hello,
    `slow` holds every envelope back for so long.
    """

    def __init__(self, clock: Clock, tokens: tuple[str, ...] = (APP_TOKEN,), *, patience: Duration = 3 * SECOND) -> None:
        self.tokens = frozenset(tokens)
        self.patience = patience
        self.deaf = self.mute = False
        self.slow: Duration = 0
        self.opened = 0  # connections that were ever made
        self._clock = clock
        self._lock = threading.Lock()
        self._tickets: set[str] = set()
        self._lines: list[_Line] = []
        self._sent: dict[str, Sent] = {}

    @property
    def connections(self) -> int:
        """How many are open now."""
        with self._lock:
            return len(self._lines)

    @property
    def sent(self) -> tuple[Sent, ...]:
        """What went out so far, oldest first."""
        with self._lock:
            return tuple(self._sent.values())

    def ticket(self) -> str:
        """The permission to connect, once."""
        ticket = uuid.uuid4().hex
        with self._lock:
            if len(self._lines) >= CONNECTIONS:
                raise Refusal("too_many_websockets")
            self._tickets.add(ticket)
        return ticket

    def press(self, message: SlackMessage, action: Mapping[str, Any], user: Mapping[str, str] = USER) -> bool:
        """Somebody presses a button of a message; False while no connection is open, and then it is lost, as with Slack."""
        return self.send(press_envelope(message, action, self._ts(), user))

    def send(self, envelope: Envelope) -> bool:
        """Send an envelope over one of the connections until it is answered; False while none is open."""
        with self._lock:
            if not self._lines:
                return False
            self._sent[str(envelope["envelope_id"])] = Sent(envelope, first=self._clock.uptime())
        self._put(envelope)
        return True

    def say(self, message: Envelope) -> None:
        """Send a message that needs no answer over every connection: `{"type": "disconnect", "reason": "warning"}`."""
        self._everywhere(message)

    def cut(self) -> None:
        """Break every connection off without a word."""
        self._everywhere(None)

    async def serve(self, socket: WebSocket) -> None:
        """One connection, for as long as it is open."""
        with self._lock:
            known = socket.query_params.get("ticket") in self._tickets
            self._tickets.discard(socket.query_params.get("ticket", ""))
        if not known:
            await socket.close(1008)
            return
        await socket.accept()
        line = _Line(asyncio.get_running_loop())
        line.out.put_nowait(_hello(self.connections + 1))
        with self._lock:
            self._lines.append(line)
            self.opened += 1
        talking = asyncio.create_task(self._talk(socket, line))
        try:
            await self._listen(socket)
        finally:
            with self._lock:
                self._lines.remove(line)
            talking.cancel()

    async def _talk(self, socket: WebSocket, line: _Line) -> None:
        while (message := await line.out.get()) is not None:
            if self.slow and "envelope_id" in message:
                await asyncio.sleep(self.slow / SECOND)
            if not self.mute:
                await socket.send_text(json.dumps(message))
        await socket.close(1001)

    async def _listen(self, socket: WebSocket) -> None:
        while True:
            try:
                text = await socket.receive_text()
            except (WebSocketDisconnect, KeyError, RuntimeError):  # binary frames, or a connection that was cut
                return
            self._answered(text)

    def _answered(self, text: str) -> None:
        try:
            answer = json.loads(text)
        except ValueError:
            return
        number = answer.get("envelope_id") if isinstance(answer, dict) else None
        with self._lock:
            found = self._sent.get(str(number))
            if found and found.answered is None and not self.deaf:
                found.answered = self._clock.uptime() - found.first

    def _put(self, envelope: Envelope) -> None:
        """Send it over the newest connection, and look later whether it was answered."""
        with self._lock:
            found = self._sent[str(envelope["envelope_id"])]
            if found.answered is not None or found.times >= SENDS or not self._lines:
                return
            found.times += 1
            line = self._lines[-1]
        line.loop.call_soon_threadsafe(line.out.put_nowait, envelope)
        line.loop.call_soon_threadsafe(line.loop.call_later, self.patience / SECOND, self._put, envelope)

    def _everywhere(self, message: Envelope | None) -> None:
        with self._lock:
            lines = tuple(self._lines)
        for line in lines:
            line.loop.call_soon_threadsafe(line.out.put_nowait, message)

    def _ts(self) -> str:
        now = self._clock.now()
        return f"{now // SECOND}.{now % SECOND:03}000"


def press_envelope(
    message: SlackMessage, action: Mapping[str, Any], action_ts: str, user: Mapping[str, str] = USER
) -> Envelope:
    """What Slack sends when somebody presses a button."""
    payload: Envelope = {
        "type": "block_actions",
        "user": dict(user),
        "api_app_id": APP,
        "token": "a-verification-token",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": message.channel,
            "is_ephemeral": False,
        },
        "trigger_id": f"{uuid.uuid4().int % 10**12}.{uuid.uuid4().int % 10**10}.{uuid.uuid4().hex}",
        "team": {"id": TEAM, "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": message.channel, "name": message.channel_name},
        "message": {"type": "message", "ts": message.ts, "text": message.text, "blocks": message.blocks},
        "state": {"values": {}},
        "response_url": f"https://hooks.slack.com/actions/{TEAM}/1/{uuid.uuid4().hex}",
        "actions": [{name: each for name, each in action.items() if name != "confirm"} | {"action_ts": action_ts}],
    }
    return {
        "envelope_id": str(uuid.uuid4()),
        "type": "interactive",
        "payload": payload,
        "accepts_response_payload": True,
    }


def find_button(workspace: Workspace, channel: str, ts: str, action: str) -> tuple[SlackMessage, Mapping[str, Any]] | None:
    """A message as it stands now, and the button of that action in it."""
    message = next((each for each in workspace.messages if (each.channel, each.ts) == (channel, ts)), None)
    for block in message.blocks if message else ():
        places = [*(block.get("elements") or ()), *([block["accessory"]] if "accessory" in block else ())]
        for element in places:
            if message and element.get("type") == "button" and element.get("action_id") == action:
                return message, {"block_id": str(block.get("block_id", "")), **element}
    return None


def _hello(connections: int) -> Envelope:
    debug = {"host": "applink-sandbox", "build_number": 1, "approximate_connection_time": 3600}
    return {"type": "hello", "connection_info": {"app_id": APP}, "num_connections": connections, "debug_info": debug}
