"""A connection for Socket Mode, ready for its frames: through the proxy, with TLS, upgraded; with an end, whatever answers.

The SDK's own way there has none: it waits for each byte of an answer anew, keeps all of it, and cannot be told to stop.
https://www.rfc-editor.org/rfc/rfc6455#section-4.1
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import ssl
from urllib.parse import SplitResult, unquote, urlsplit

from alertd.channels.http import TIMEOUT
from alertd.channels.wire import Wire
from alertd.clock import SECOND, Duration

LARGEST = 16_384  # bytes of an answer before the first frame
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_READ: Duration = 3 * SECOND  # how long one read of a frame waits, as the SDK has it: it looks around between two


def dial(address: str, proxy: str | None, patience: Duration) -> socket.socket:
    """Connect to an address of ws:// or wss://; OSError or ValueError where that fails, or is not done in time."""
    parts = urlsplit(address)
    host, tls = parts.hostname or "", parts.scheme == "wss"
    port = parts.port or (443 if tls else 80)
    via = urlsplit(proxy) if proxy else None
    with Wire(patience, TIMEOUT) as wire:
        talk = wire.connect((via.hostname or "", via.port or 80) if via else (host, port))
        try:
            if via:
                _tunnel(talk, via, f"{host}:{port}")
            talk = ssl.create_default_context().wrap_socket(talk, server_hostname=host) if tls else talk
            _upgrade(talk, parts)
            talk.settimeout(_READ / SECOND)
        except BaseException:
            talk.close()
            raise
    if wire.late:  # it was cut when all had been said
        talk.close()
        raise TimeoutError
    return talk


def _tunnel(talk: socket.socket, via: SplitResult, target: str) -> None:
    """Ask a proxy to connect us; https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6"""
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if via.username is not None and via.password is not None:
        login = f"{unquote(via.username)}:{unquote(via.password)}".encode()
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(login).decode()}")
    if _asked(talk, lines)[0] != 200:
        raise OSError("the proxy does not connect us")


def _upgrade(talk: socket.socket, parts: SplitResult) -> None:
    """Make a connection for HTTP one for frames."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    lines = [f"GET {parts.path or '/'}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
    status, headers = _asked(talk, lines)
    proof = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - as the RFC has it
    if status != 101 or headers.get("sec-websocket-accept") != proof:
        raise OSError("there is no Socket Mode at that address")


def _asked(talk: socket.socket, lines: list[str]) -> tuple[int, dict[str, str]]:
    """Ask, and read status and headers of the answer, byte by byte: what follows them is for others to read."""
    talk.sendall("\r\n".join([*lines, "", ""]).encode())
    heard = bytearray()
    while not heard.endswith(b"\r\n\r\n"):
        byte = talk.recv(1)
        if not byte or len(heard) >= LARGEST:
            raise OSError("the answer breaks off, or does not end")
        heard += byte
    first, *rest = heard.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in rest)
    return int(first.split(" ")[1]), {name.strip().lower(): value.strip() for name, _, value in fields}
