"""Whoever asks our own pages, and how: it costs neither files nor memory for long, and others are answered."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from urllib.request import urlopen

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.web.health import Check, create_app
from alertd.web.serving import MOST, PATIENCE, Server, listen
from tests.hostile.fuzzing import little_memory, tried

BEGUN = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: "


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    listener = listen("127.0.0.1", 0, "port")
    server = Server(create_app(lambda: {"store": Check(ok=True, text="works")}, lambda: b"a 1\n"), listener)
    server.start()
    host, port = listener.getsockname()
    yield host, port
    server.stop()


def say(address: tuple[str, int], data: bytes) -> bytes:
    """What it says to that, once nothing more is asked."""
    heard = b""
    with socket.create_connection(address) as talk, suppress(OSError):  # it may hang up before it has heard all
        talk.settimeout(60)
        talk.sendall(data)
        talk.shutdown(socket.SHUT_WR)
        while more := talk.recv(65_536):
            heard += more
    return heard


def is_well(address: tuple[str, int]) -> bool:
    with urlopen(f"http://{address[0]}:{address[1]}/healthz", timeout=60) as answer:
        return bool(answer.read() == b"ok\n")


paths = st.sampled_from(
    [b"/healthz", b"/readyz", b"/metrics", b"/%00", b"/../../etc/passwd", b"//x", b"*", b"http://a/healthz"]
)
verbs = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"CONNECT", b"get", b"\xff", b""])
lines = st.sampled_from(
    b"Host: a|Host:|Content-Length: 99999999999|Content-Length: -1|Transfer-Encoding: chunked"
    b"|Connection: upgrade|Upgrade: websocket|Expect: 100-continue|X: \xff|no colon".split(b"|")
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Something like a request."""
    heads = draw(st.lists(lines | st.just(b"Cookie: " + b"a" * 5_000), max_size=4))
    return b"\r\n".join([draw(verbs) + b" " + draw(paths) + b" HTTP/1.1", *heads, b"", draw(st.binary(max_size=50))])


@tried(60)
@given(data=requests() | st.binary(max_size=60))
@example(data=b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n")
@example(data=b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n")
@example(data=b"\x16\x03\x01" * 100)
def test_whatever_is_asked_it_is_answered_or_refused(address: tuple[str, int], data: bytes) -> None:
    heard = say(address, data)
    assert b"Traceback" not in heard
    assert not heard.startswith(b"HTTP/1.1 5")


@pytest.mark.long
def test_whoever_begins_requests_and_never_ends_them_gets_no_more_files_than_there_are_for_that(
    address: tuple[str, int],
) -> None:
    with ExitStack() as open_, little_memory():
        talks = [open_.enter_context(socket.create_connection(address)) for _ in range(3 * MOST)]
        for talk in talks:
            with suppress(ConnectionError):
                talk.sendall(BEGUN)
            talk.settimeout(60 + PATIENCE / 1000)
        for talk in talks:  # without a limit this would never end
            with suppress(ConnectionError):
                assert talk.recv(1) == b""
        assert is_well(address)
