"""The other end of Socket Mode does what it likes: a connection stands in time or not at all, and its frames break nothing."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.channels.slack.clients import Bot
from alertd.channels.slack.dialing import dial
from alertd.channels.slack.line import Line
from alertd.channels.slack.listening import _silent as quiet
from alertd.clock import SECOND
from alertd.errors import DeliveryError
from tests.hostile.fuzzing import TOKEN, check, deep, little_memory, tried
from tests.reporting.hostile import Behaviour, Hostile, Talk, certificate, drips, floods, hangs_up, is_silent, says

OPENSSL = shutil.which("openssl")
SHORT, LONG = SECOND // 3, 60 * SECOND
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(request: bytes) -> bytes:
    """The answer to a handshake."""
    key = re.search(rb"Sec-WebSocket-Key: (\S+)", request)
    assert key
    proof = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
    return b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + proof + b"\r\n\r\n"


def frame(data: bytes, kind: int = 1, *, final: bool = True, length: int | None = None) -> bytes:
    said = len(data) if length is None else length
    size = (
        bytes([said])
        if said < 126
        else b"\x7e" + struct.pack("!H", said)
        if said < 2**16
        else b"\x7f" + struct.pack("!Q", said)
    )
    return bytes([128 * final + kind]) + size + data


def upgrades(then: Callable[[Talk], None], requests: Callable[[], list[bytes]]) -> Behaviour:
    def behave(talk: Talk) -> bool:
        talk.send(accepted(requests()[-1]))
        then(talk)
        talk.wait_for_hang_up()
        return False

    return behave


def bot() -> Bot:
    return Bot(token="any", logger=quiet, retry_handlers=[])


def line_to(server: Hostile, heard: list[Mapping[str, Any]]) -> Line:
    address = f"ws://127.0.0.1:{server.port}/link?ticket={TOKEN}"
    return Line(address, bot(), lambda _line, message: heard.append(message), SECOND)


def ended(name: str) -> None:
    """No thread of that name goes on."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join(60)
            assert not thread.is_alive()


ENDLESS: dict[str, Behaviour] = {
    "silence": is_silent,
    "a dripping status": drips(b"", forever=b"x"),
    "dripping headers": drips(b"HTTP/1.1 101 OK\r\n", forever=b"X: y\r\n"),
}
WRONG: dict[str, Behaviour] = {
    "a flood in one line": floods(b"HTTP/1.1 101 OK\r\nX: ", b"x" * 65_536, 64),
    "a flood of headers": floods(b"HTTP/1.1 101 OK\r\n", b"X: y\r\n" * 10_000, 64),
    "nothing": hangs_up,
    "no status": says(b"HTTP/1.1\r\n\r\n"),
    "a huge status": says(b"HTTP/1.1 " + b"9" * 5_000 + b" OK\r\n\r\n"),
    "another status": says(b"HTTP/1.1 200 OK\r\n\r\n"),
    "no proof": says(b"HTTP/1.1 101 OK\r\n\r\n"),
    "a wrong proof": says(b"HTTP/1.1 101 OK\r\nSec-WebSocket-Accept: \xff" + TOKEN.encode() + b"\r\n\r\n"),
    "half a line": says(b"HTTP/1.1 101 OK\r\nSec"),
}


@pytest.mark.parametrize("how", [*ENDLESS, *WRONG])
def test_a_handshake_ends_in_time_whatever_answers(how: str) -> None:
    with Hostile((ENDLESS | WRONG)[how]) as server, little_memory():
        line = line_to(server, [])
        with pytest.raises(DeliveryError, match="Socket Mode") as caught:
            line.open(SHORT if how in ENDLESS else LONG)
        check(caught.value)
        assert how == "nothing" or server.ended.acquire(timeout=60)  # its connection is not left behind
        line.close()
    ended("slack-connect")


def test_frames_that_came_with_the_handshake_are_heard() -> None:
    heard: list[Mapping[str, Any]] = []
    server = Hostile(upgrades(lambda talk: talk.send(frame(b'{"type": "hello"}') * 3), lambda: server.requests))
    with server:
        line = line_to(server, heard)
        line.open(LONG)
        until(lambda: len(heard) == 3)
        line.close()
        ended("slack-close")


def until(wanted: Callable[[], object]) -> None:
    ends = time.monotonic() + 60
    while not wanted():
        assert time.monotonic() < ends
        time.sleep(0.005)


FLOODS: dict[str, tuple[bytes, int]] = {
    "an endless frame": (frame(b"", length=2**62) + b"x" * 65_536, 64),
    "a frame as long as may be": (frame(b"x" * 1_000_000), 20),
    "fragments without an end": (frame(b"x" * 60_000, kind=0, final=False), 500),
    "binary": (frame(b"\xff" * 60_000, kind=2), 200),
    "pings": (frame(b"x" * 125, kind=9) * 50, 20),
    "deep JSON": (frame(deep(30_000)), 100),
    "line feeds": (b"\n" * 65_536, 16),
}


@pytest.mark.parametrize("how", FLOODS)
def test_a_flood_of_frames_is_not_kept(how: str) -> None:
    piece, times = FLOODS[how]
    heard: list[Mapping[str, Any]] = []

    def flood(talk: Talk) -> None:
        for _ in range(times):
            talk.send(piece)
        talk.send(frame(b'{"type": "the last one"}'))

    server = Hostile(upgrades(flood, lambda: server.requests))
    with server, little_memory():
        line = line_to(server, heard)
        line.open(LONG)
        until(lambda: heard or line.gone.is_set())
        line.close()
    assert heard in ([], [{"type": "the last one"}])


def test_a_message_may_come_in_many_small_pieces() -> None:
    heard: list[Mapping[str, Any]] = []
    message = frame(b'{"type": "long", "text": "' + b"x" * 5_000 + b'"}')

    def slowly(talk: Talk) -> None:
        for place in range(0, len(message), 7):
            talk.send(message[place : place + 7])

    server = Hostile(upgrades(slowly, lambda: server.requests))
    with server:
        line = line_to(server, heard)
        line.open(LONG)
        until(lambda: heard)
        line.close()
    assert len(heard[0]["text"]) == 5_000


pieces = st.binary(max_size=60) | st.builds(
    frame,
    st.binary(max_size=130)
    | st.sampled_from([b"{}", b"[]", b'{"type": "hello"}', b'"\\ud800"', b"\xff", b"1e999", deep(2_000)]),
    st.integers(0, 15),
    final=st.booleans(),
    length=st.none() | st.sampled_from([0, 1, 126, 2**16, 2**63]),
)


@pytest.fixture(scope="module")
def other_side() -> Iterator[tuple[Hostile, list[bytes]]]:
    """A server that sends what each example puts into the list."""
    todo: list[bytes] = []

    def behave(talk: Talk) -> bool:
        talk.send(accepted(server.requests[-1]))
        talk.send(b"".join(todo))
        return False

    server = Hostile(behave)
    with server:
        yield server, todo


@tried(25)
@given(sent=st.lists(pieces, max_size=4))
@example(sent=[frame(b"\xff\xff", kind=8)])
@example(sent=[frame(b"x" * 5, kind=8)])
@example(sent=[b"\x81\xfe\x00\x05abcd"])
def test_whatever_frames_come_only_messages_are_heard(other_side: tuple[Hostile, list[bytes]], sent: list[bytes]) -> None:
    server, todo = other_side
    todo[:] = sent
    heard: list[Mapping[str, Any]] = []
    line = line_to(server, heard)
    try:
        line.open(LONG)
        assert line.gone.wait(60)  # the other side has hung up
    except DeliveryError as problem:  # so soon that it never stood
        check(problem)
    line.close()
    assert all(isinstance(each, dict) for each in heard)


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command to make a certificate")
@pytest.mark.parametrize("trusted", [True, False])
def test_over_tls_the_certificate_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool) -> None:
    cert, context = certificate(tmp_path, str(OPENSSL), "IP:127.0.0.1")
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    server = Hostile(upgrades(lambda talk: talk.send(b"x"), lambda: server.requests), tls=context)
    with server:
        address = f"wss://127.0.0.1:{server.port}/link?ticket=a"
        if not trusted:
            with pytest.raises(ssl.SSLCertVerificationError):
                dial(address, None, LONG)
            return
        with dial(address, None, LONG) as talk:
            assert talk.recv(1) == b"x"


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command to make a certificate")
def test_a_tls_handshake_that_hangs_ends_in_time() -> None:
    with Hostile(is_silent, reads=False) as server, pytest.raises(OSError):  # noqa: PT011 - which one is the system's affair
        dial(f"wss://127.0.0.1:{server.port}/", None, SHORT)


def test_a_proxy_is_asked_first_with_its_login_and_sees_no_ticket() -> None:
    def connects(talk: Talk) -> bool:
        talk.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True

    server = Hostile(connects, upgrades(lambda talk: talk.send(b"x"), lambda: server.requests))
    with server, dial(f"ws://slack.test/link?ticket={TOKEN}", f"http://me:p%40ss@127.0.0.1:{server.port}", LONG) as talk:
        assert talk.recv(1) == b"x"
    asked = server.requests[0].decode()
    assert asked.startswith("CONNECT slack.test:80 HTTP/1.1\r\n")
    assert base64.b64encode(b"me:p@ss").decode() in asked
    assert TOKEN not in asked


@pytest.mark.parametrize("how", ["silence", "a flood in one line", "another status", "nothing"])
def test_a_proxy_that_fails_ends_in_time(how: str) -> None:
    refuses = says(b"HTTP/1.1 407 No\r\n\r\n")
    behaviour = refuses if how == "another status" else (ENDLESS | WRONG)[how]
    with Hostile(behaviour) as server, little_memory(), pytest.raises((OSError, ValueError)):
        dial("ws://slack.test/", f"http://127.0.0.1:{server.port}", SHORT if how in ENDLESS else LONG)
