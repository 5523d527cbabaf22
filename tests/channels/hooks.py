"""A server that takes POSTs and answers as it is told: with a status, not at all, or only half."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET_PATH = "/hooks/canary4242"
HANG_UP = 0


@dataclass
class Posted:
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Hook:
    """What came in, and the answers that are next: a status with its headers. HANG_UP takes it and says nothing.

    Nothing is answered before `hold` is set.
    """

    url: str = ""
    posts: list[Posted] = field(default_factory=list)
    script: deque[tuple[int, Mapping[str, str]]] = field(default_factory=deque)
    hold: threading.Event | None = None

    def answer(self, status: int, **headers: str) -> None:
        self.script.append((status, {name.replace("_", "-"): value for name, value in headers.items()}))


@contextmanager
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.posts.append(Posted(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
            if state.hold:
                state.hold.wait(30)
            status, headers = state.script.popleft() if state.script else (200, {})
            if status == HANG_UP:
                self.close_connection = True
                return
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            said = f"no service at {self.path}".encode()
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}{SECRET_PATH}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
