"""A server that says back whatever it hears, secrets and all, in every place where an answer has room for it, and fails."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import quote

from tests.soak.heard import Heard, hear


def _status(status: int) -> Callable[[Heard], bytes]:
    """That status, with the call in its reason, its headers and its body."""

    def answer(heard: Heard) -> bytes:
        names = ("X-Echo", "WWW-Authenticate", "Retry-After", "Set-Cookie", "Content-Type")
        return _written(f"{status} {heard.line}", [f"{name}: {heard.line}" for name in names], heard.everything.encode())

    return answer


def _redirect(heard: Heard) -> bytes:
    word = quote(heard.line, safe="")
    where = f"https://me:{word}@elsewhere.example.com/{word}?{word}#{word}"
    return _written("302 Found", [f"Location: {where}"], heard.everything.encode())


def _refusal(heard: Heard) -> bytes:
    """Slack's way to say no, with the call as its reason; to the reporting API an error in an answer that is none."""
    said = dict.fromkeys(("error", "warning", "needed", "provided"), heard.line)
    return _json({"ok": False, "errors": [heard.line], "response_metadata": {"messages": [heard.everything]}} | said)


def _consent(heard: Heard) -> bytes:
    """Yes, with the call where a receipt is expected."""
    said = dict.fromkeys(("channel", "ts", "team_id"), heard.line)
    return _json({"ok": True, "url": f"wss://{heard.line}", "count": 1, "data": [{"conversationId": heard.line}]} | said)


def _json(said: Mapping[str, object]) -> bytes:
    return _written("200 OK", ["Content-Type: application/json"], json.dumps(said).encode())


def _cut(heard: Heard) -> bytes:
    """The beginning of an answer, and then nothing."""
    return _written("200 OK", [], heard.everything.encode(), promised=1_000_000)


def _babble(heard: Heard) -> bytes:
    """No HTTP at all."""
    return f"{heard.everything}\r\n\r\n".encode()


def _broken_header(heard: Heard) -> bytes:
    lines = ("HTTP/1.1 200 OK", heard.line, f"Content-Length: {heard.line}", f"Transfer-Encoding: {heard.line}", "", heard.line)
    return "\r\n".join(lines).encode()


ANSWERS: Mapping[str, Callable[[Heard], bytes]] = {
    **{str(status): _status(status) for status in (400, 401, 403, 404, 429, 500, 503)},
    "redirect": _redirect,
    "refusal": _refusal,
    "consent": _consent,
    "cut": _cut,
    "babble": _babble,
    "broken header": _broken_header,
}
SILENT = ("hang", "hang up")
MODES = (*ANSWERS, *SILENT)


@dataclass
class Mirror:
    """Where it is to be found, what it answers from now on, and how many calls came."""

    port: int = 0
    mode: str = "500"
    calls: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as stream:
            heard = hear(stream)
            if heard is None:
                return
            self.calls += 1
            mode = self.mode
            while mode == "hang" == self.mode:
                if self.over.wait(0.05):
                    return
            if mode in ANSWERS:
                connection.sendall(ANSWERS[mode](heard))


@contextmanager
def mirror() -> Iterator[Mirror]:
    """A mirror on 127.0.0.1."""
    state, talks = Mirror(), list[threading.Thread]()

    def accept() -> None:
        with suppress(OSError):  # it is over
            while True:
                connection, _ = server.accept()
                talks.append(threading.Thread(target=state.serve, args=(connection,), daemon=True))
                talks[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        state.port = int(server.getsockname()[1])
        door = threading.Thread(target=accept, daemon=True)
        door.start()
        try:
            yield state
        finally:
            state.over.set()
            server.shutdown(socket.SHUT_RDWR)
            for thread in (door, *talks):
                thread.join(10)


def _written(status: str, headers: list[str], body: bytes, *, promised: int | None = None) -> bytes:
    length = len(body) if promised is None else promised
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, f"Content-Length: {length}", "Connection: close"])
    return head.encode() + b"\r\n\r\n" + body
