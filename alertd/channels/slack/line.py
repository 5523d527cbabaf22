"""One Socket Mode connection, on the SDK's own client without some of its habits.

Left alone the client reconnects by itself and waits for as long as it is told to, takes an end of the connection for silence
and asks again without a pause, keeps any number of messages, and speaks in clear on any port but 443. Here a connection that is
lost stays lost, and says so.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from slack_sdk.errors import SlackClientError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.builtin.connection import Connection, ConnectionState

from alertd.channels.http import LOOPBACK
from alertd.channels.slack.clients import Bot
from alertd.channels.slack.dialing import dial
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError

CHUNK = 16_384  # bytes read at once
LARGEST = 1024 * 1024  # bytes of a frame

Heard = Callable[["Line", Mapping[str, Any]], None]


class Line:
    """A connection to the address that Slack gave out. `heard` is called with every message, one at a time, from its thread.

    It is pinged every `pulse`; `beats` is another value after each answer. `gone` is set once it is of no more use, and `why`
    may say why.
    """

    def __init__(self, address: str, bot: Bot, heard: Heard, pulse: Duration) -> None:
        near = _checked(address)
        self.gone = threading.Event()
        self.hello = threading.Event()
        self.why = "the connection to Slack was lost"
        self._closing = threading.Lock()
        self._heard, self._texts = heard, 0
        self._client = _Client(
            app_token="",  # the address has been asked for already
            logger=bot._logger,  # noqa: SLF001 - the silent one: the address has a ticket in it
            web_client=bot,
            auto_reconnect_enabled=False,
            ping_interval=pulse / SECOND,
            receive_buffer_size=CHUNK,
            concurrency=1,
            proxy=bot.proxy,
        )
        self._client.take = self._take
        if near:
            self._client.proxy = None  # given none, it takes that of the environment
        self._client.wss_uri = address
        self._client.on_error_listeners.append(lambda _problem: self.gone.set())
        self._client.on_close_listeners.append(lambda _code, _reason: self.gone.set())

    @property
    def beats(self) -> tuple[float | None, int]:
        """What changes whenever the other side says anything, be it only that it is there."""
        session = self._client.current_session
        return (session.last_ping_pong_time if session else None), self._texts

    @property
    def lost(self) -> bool:
        """Whether nothing can come over it any more."""
        return self.gone.is_set() or not self._client.is_connected()

    def open(self, patience: Duration) -> None:
        """Connect; DeliveryError where that fails, or takes longer: then it is left to itself."""
        attempt = threading.Thread(target=self._connect, args=(patience,), name="slack-connect", daemon=True)
        attempt.start()
        attempt.join(patience / SECOND)
        if attempt.is_alive():
            raise DeliveryError("Slack's Socket Mode does not answer")
        if self.lost:
            raise DeliveryError("no connection to Slack's Socket Mode; check the network and the proxy")

    def acknowledge(self, envelope: str) -> None:
        """Say that an envelope has come; without that Slack sends it again."""
        try:
            self._client.send_socket_mode_response({"envelope_id": envelope})
        except (OSError, SlackClientError):
            self.gone.set()

    def close(self) -> None:
        """Let go of it, without waiting until its threads have noticed."""
        self.gone.set()
        session = self._client.current_session
        if session is not None and session.sock is not None:
            with suppress(OSError, ValueError):
                session.sock.shutdown(socket.SHUT_RDWR)
        threading.Thread(target=self._close, name="slack-close", daemon=True).start()

    def _connect(self, patience: Duration) -> None:
        try:
            self._client.begin(patience)
        except (OSError, ValueError, IndexError):  # its text may have the ticket in it
            self.gone.set()
        if self.gone.is_set():  # nobody waits for it any more
            self.close()

    def _close(self) -> None:
        """End the SDK's threads, once: they are joined, which takes up to three seconds."""
        if not self._closing.acquire(blocking=False):
            return
        with suppress(AttributeError):  # it looks for its socket before it locks it, and its own threads close it too
            self._client.disconnect()
        self._client.close()

    def _take(self, text: str) -> None:
        self._texts += 1
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            return  # no envelope, so nothing to answer
        if isinstance(message, dict):
            self._heard(self, message)


class _Client(SocketModeClient):
    """The SDK's client, which gives messages away at once instead of keeping them for its workers."""

    take: Callable[[str], None]

    def begin(self, patience: Duration) -> None:
        """Connect, as `connect` does, in time; raises what `dial` raises."""
        address = str(self.wss_uri)
        session = Connection(
            url=address,
            logger=self.logger,
            ping_interval=self.ping_interval,
            receive_buffer_size=self.receive_buffer_size,
            on_message_listener=self._on_message,
            on_error_listener=self._on_error,
            on_close_listener=self._on_close,
        )
        session.sock = _Honest(dial(address, self.proxy, patience))  # type: ignore[assignment]  # it does what is asked of one
        self.current_session = session
        self.current_session_state = ConnectionState()  # type: ignore[no-untyped-call]  # the SDK's
        self.current_app_monitor_started = True
        self.current_app_monitor.start()

    def enqueue_message(self, message: str) -> None:
        self.take(message)


class _Honest:
    """A socket that says when the other side has hung up, sends all of what it is given, and gives frames away whole.

    Of a frame in parts the SDK keeps every beginning, one longer than the other: 16 MiB would take gigabytes.
    """

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._come = bytearray()

    def recv(self, _size: int) -> bytes:
        """The next frame, however long it is; OSError at the end of the connection, or where a frame is none."""
        while (whole := _length(self._come)) > len(self._come):
            if whole > LARGEST:
                raise ConnectionResetError
            self._come += self._more()
        frame = bytes(self._come[:whole])
        del self._come[:whole]
        return frame

    def _more(self) -> bytes:
        try:
            found = self._inner.recv(CHUNK)
        except TimeoutError:
            raise
        except (OSError, ValueError):
            found = b""
        if not found:
            raise ConnectionResetError
        return found

    def send(self, data: bytes) -> int:
        """Send it all."""
        self._inner.sendall(data)
        return len(data)

    def shutdown(self, how: int) -> None:
        """End what goes on in other threads."""
        self._inner.shutdown(how)

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):  # of a connection that is gone nothing can be told
            self._inner.close()


def _length(come: bytearray) -> int:
    """The bytes of the frame that begins so, or of the beginning that says it; https://www.rfc-editor.org/rfc/rfc6455#section-5.2

    One that is masked is too long for anybody: servers must not mask.
    """
    if len(come) < 2:
        return 2
    said = come[1]
    size = {126: 2, 127: 8}.get(said, 0)
    if said > 127 or not size:
        return LARGEST + 1 if said > 127 else 2 + said
    return 2 + size + int.from_bytes(come[2 : 2 + size]) if len(come) >= 2 + size else 2 + size


def _checked(address: str) -> bool:
    """Whether it is an address on this machine. DeliveryError where what is said there could be listened to on the way."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme == "ws" and host in LOOPBACK:
        return True
    if parts.scheme == "wss" and host and port in (None, 443):
        return False
    raise DeliveryError("Slack gave out an address for Socket Mode that is not safe to use; check ALERTD_SLACK__URL")
