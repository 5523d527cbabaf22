"""The sandbox's Slack on a port, and a raw server for what no well-behaved one does."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import uvicorn

from alertd.sandbox.serve import listen
from alertd.sandbox.slack import create_slack
from alertd.sandbox.workspace import Workspace
from alertd.testing.clock import FakeClock

CHANNEL_ID = "C0000000001"  # of the first channel


@contextmanager
def workspace_served(channels: Sequence[str] = ("support-alerts",)) -> Iterator[tuple[Workspace, str]]:
    """A workspace, and the base of its Web API. Its messages are of the moment at which the fake clock stands."""
    workspace = Workspace(FakeClock(), channels)
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(create_slack(workspace), log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.002)
        try:
            yield workspace, f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def raw_answers(*answers: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """A server that reads a request whole, says those bytes and hangs up, a connection each; None: it resets the connection.

    Yields its address and the requests that it took.
    """
    taken: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):  # they hang up, or the test is over
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    taken.append(_request(connection))
                    if answer is None:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", taken
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _request(connection: socket.socket) -> bytes:
    """One request, as long as its head says."""
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += connection.recv(65_536)
    head, _, body = heard.partition(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.splitlines() if line.lower().startswith(b"content-length"))
    while len(body) < length:
        body += connection.recv(65_536)
    return body
