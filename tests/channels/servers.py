"""Servers that misbehave on cue: a Slack that checks Block Kit's limits, and a mailbox that refuses at any stage."""

from __future__ import annotations

import json
import re
import socket
import threading
from asyncio import Server
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from aiosmtpd.controller import Controller

from alertd.sandbox.slack_limits import check_blocks

TOKEN = "xoxb-canary-4242"
SECRET_PATH = "/services/T000/B000/canary4242"


@dataclass
class Scripted:
    """One answer that is not the usual one. `body` None: hang up without an answer."""

    body: object = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Call:
    method: str
    body: dict[str, Any]
    token: str | None


@dataclass
class FakeSlack:
    """What was called, and what is answered next; without a script it behaves."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    script: deque[Scripted] = field(default_factory=deque)

    @property
    def hook(self) -> str:
        return self.url.removesuffix("/api/") + SECRET_PATH

    def methods(self) -> list[str]:
        return [call.method for call in self.calls]

    def error(self, code: str) -> None:
        self.script.append(Scripted({"ok": False, "error": code}))


def complaint(body: Mapping[str, Any]) -> str | None:
    """Slack's word for what it dislikes about a message."""
    blocks = body.get("blocks") or []
    if not body.get("text"):
        return "no_text"
    if len(body["text"]) > 4_000:
        return "msg_too_long"
    if len(json.dumps(blocks, ensure_ascii=False)) > 13_000:
        return "msg_blocks_too_long"
    return "invalid_blocks" if check_blocks(blocks) else None


@contextmanager
def slack_server() -> Iterator[FakeSlack]:
    state = FakeSlack()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            form = self.headers["Content-Type"] == "application/x-www-form-urlencoded"
            body = dict(parse_qsl(raw.decode())) if form else json.loads(raw)
            method = self.path.removeprefix("/api/")
            state.calls.append(Call(method, body, (self.headers.get("Authorization") or "").removeprefix("Bearer ") or None))
            self._answer(state.script.popleft() if state.script else _usual(method, body, len(state.calls)))

        def _answer(self, answer: Scripted) -> None:
            if answer.body is None:
                self.close_connection = True
                return
            text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
            raw = text.encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json" if answer.body is not text else "text/plain")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/api/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _usual(method: str, body: Mapping[str, Any], number: int) -> Scripted:
    if method.startswith("conversations."):
        return Scripted({"ok": True, "messages": [], "has_more": False})
    problem = complaint(body)
    if method == SECRET_PATH:
        return Scripted(problem, 400) if problem else Scripted("ok")
    if problem:
        return Scripted({"ok": False, "error": problem})
    return Scripted({"ok": True, "channel": "C012AB3CD", "ts": f"1700000000.{number:06}"})


@dataclass
class FakeMailbox:
    """What arrived, and what is answered at which stage instead of 250."""

    port: int = 0
    mails: list[bytes] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)  # "MAIL", "DATA", or a recipient's address
    hang_up_at: str | None = None  # "RCPT", "TEXT"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 aiosmtpd's name
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802 aiosmtpd's name
        if self.hang_up_at == "RCPT":
            server.transport.abort()
        reply = self.replies.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        if not re.match("[45]", self.replies.get("DATA", "")):
            self.mails.append(envelope.content)
            self.recipients.append(list(envelope.rcpt_tos))
        if self.hang_up_at == "TEXT":
            server.transport.abort()
        return self.replies.get("DATA", "250 OK")


class _Ephemeral(Controller):
    """A controller that may choose its own port."""

    @property
    def address(self) -> tuple[str, int]:
        assert isinstance(self.server, Server)
        host, port = self.server.sockets[0].getsockname()
        return host, port

    def _trigger_server(self) -> None:
        socket.create_connection(self.address).close()


@contextmanager
def mail_server(**options: Any) -> Iterator[FakeMailbox]:
    """A mailbox on 127.0.0.1; `options` are aiosmtpd's."""
    box = FakeMailbox()
    controller = _Ephemeral(box, hostname="127.0.0.1", port=0, server_hostname="mail.example.com", ready_timeout=60, **options)
    controller.start()
    try:
        box.port = controller.address[1]
        yield box
    finally:
        controller.stop()


@contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[int]:
    """A server that says `first` and then drips for ever, at any time less than a timeout; its port."""

    def talk(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(first)
        while not over.wait(0.01):
            connection.sendall(drop)

    with _talking(talk) as port:
        yield port


@contextmanager
def saying(*lines: str, end: bytes = b"\r\n") -> Iterator[int]:
    """A mail server that answers each command with the next line, whatever the command is, and then hangs up; its port.

    The last line has this `end`.
    """

    def talk(connection: socket.socket, _over: threading.Event) -> None:
        heard = connection.makefile("rb")
        with heard:
            for number, line in enumerate(lines, 1):
                connection.sendall(line.encode() + (end if number == len(lines) else b"\r\n"))
                if number == len(lines):
                    connection.shutdown(socket.SHUT_WR)
                if line.startswith("354 go"):
                    while heard.readline().strip() != b".":
                        pass
                elif not heard.readline():
                    return

    with _talking(talk) as port:
        yield port


@contextmanager
def _talking(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[int]:
    over = threading.Event()

    def serve() -> None:
        with suppress(OSError):  # they hang up, or the test is over before anybody called
            connection, _ = server.accept()
            with connection:
                talk(connection, over)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
