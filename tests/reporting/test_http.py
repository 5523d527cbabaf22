from __future__ import annotations

import logging
import shutil
import socket
import threading
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from alertd.errors import Malformed, Refused, ReportingError, SettingsError, TimedOut, TooLarge, Unreachable
from alertd.reporting.http import Answer, Http, clean_secret
from tests.reporting.hostile import (
    Behaviour,
    Hostile,
    answers,
    certificate,
    drips,
    floods,
    gzip_bomb,
    hangs_up,
    is_silent,
    resets,
    says,
)

SHORT = 300  # ms: these tests wait for it to pass
LONG = 60_000  # ms: these do not
OPENSSL = shutil.which("openssl")


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as http:
        yield http


def get(http: Http, url: str, deadline: int = LONG, most_bytes: int = 2**20, **headers: str) -> Answer:
    return http.exchange("GET", url, headers=headers, deadline=deadline, most_bytes=most_bytes)


def failure(http: Http, behaviour: Behaviour, **options: Any) -> ReportingError:
    with Hostile(behaviour) as server, pytest.raises(ReportingError) as caught:
        get(http, server.url + "/path?key=value", **options)
    return caught.value


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread.name == "alertd-http":
            thread.join(60)
            assert not thread.is_alive()


# --- what works ---


def test_an_answer_comes_back_whole_whatever_its_status(http: Http) -> None:
    with Hostile(answers(b"no tea", 418, "X-Kind: pot\r\n")) as server:
        answer = http.exchange("POST", server.url + "/a", headers={"X-A": "b"}, body=b"{}", deadline=LONG, most_bytes=100)
    assert (answer.status, answer.headers["x-kind"], answer.body) == (418, "pot", b"no tea")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\n")
    assert b"X-A: b" in head
    assert b"User-Agent: alertd/" in head
    assert body == b"{}"


def test_a_packed_answer_is_unpacked(http: Http) -> None:
    with Hostile(answers(gzip_bomb(1), headers="Content-Encoding: gzip\r\n")) as server:
        assert get(http, server.url).body == bytes(2**20)


def test_a_chunked_answer_is_put_together(http: Http) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    with Hostile(says(chunked)) as server:
        assert get(http, server.url).body == b"abcde"


def test_a_connection_is_used_again(http: Http) -> None:
    with Hostile(answers(b"x")) as server:
        for _ in range(5):
            get(http, server.url)
    assert (len(server.requests), server.connections) == (5, 1)


def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(http: Http) -> None:
    with Hostile(says(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")) as server:
        for _ in range(3):
            assert get(http, server.url).body == b"x"
            assert server.ended.acquire(timeout=60)


def test_threads_share_one_pool() -> None:
    with Http(at_once=4) as http, Hostile(answers(b"x")) as server:
        done: list[bytes] = []
        threads = [threading.Thread(target=lambda: done.append(get(http, server.url).body)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert done == [b"x"] * 20
    assert server.connections <= 4


# --- time ---

ENDLESS = {
    "nothing": is_silent,
    "header": drips(b"HTTP/1.1 200 OK\r\nX: ", forever=b"x"),
    "headers": drips(b"HTTP/1.1 200 OK\r\n", forever=b"X: y\r\n"),
    "continue": drips(b"", forever=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": drips(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", forever=b"x"),
    "body without length": drips(b"HTTP/1.0 200 OK\r\n\r\n", forever=b"x"),
    "chunk length": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", forever=b"0"),
    "trailers": drips(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", forever=b"X: y\r\n"),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_drips_without_end_is_left_in_time(http: Http, what: str) -> None:
    with Hostile(ENDLESS[what]) as server:
        with pytest.raises(TimedOut):
            get(http, server.url, deadline=SHORT)
        wait_for_threads()  # the thread that was left has ended too
        assert what == "nothing" or server.hung_up.wait(60)


def test_a_server_that_drips_on_a_connection_used_before_is_left_in_time(http: Http) -> None:
    with Hostile(answers(b"x"), ENDLESS["header"]) as server:
        get(http, server.url)
        with pytest.raises(TimedOut):
            get(http, server.url, deadline=SHORT)
        wait_for_threads()
        assert server.hung_up.wait(60)
    assert server.connections == 1


def test_a_time_out_knows_whether_the_server_had_begun_to_answer(http: Http) -> None:
    assert not failure(http, ENDLESS["header"], deadline=SHORT).answered
    # On a busy machine the headers may take longer than a short deadline.
    assert any(failure(http, ENDLESS["body"], deadline=deadline).answered for deadline in (SHORT, 10 * SHORT, 100 * SHORT))


def test_a_tls_handshake_that_hangs_ends_in_time(http: Http) -> None:
    with Hostile(is_silent, reads=False) as server, pytest.raises(TimedOut):
        get(http, server.url.replace("http:", "https:"), deadline=SHORT)


def test_name_lookups_that_hang_cost_no_more_threads_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    found, real = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "black-hole.test":
            found.wait(60)
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with Http(at_once=2) as http, Hostile(answers(b"x")) as server:
        for _ in range(4):
            with pytest.raises(TimedOut) as caught:
                get(http, "https://black-hole.test/", deadline=50)
            assert not caught.value.answered
        assert sum(thread.name == "alertd-http" for thread in threading.enumerate()) == 2
        assert "DNS" in str(caught.value)
        found.set()
        wait_for_threads()
        assert get(http, server.url).body == b"x"


# --- size ---


@contextmanager
def little_memory() -> Iterator[None]:
    tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak - before < 16 * 2**20


def test_a_small_answer_that_unpacks_without_end_is_too_large(http: Http) -> None:
    bomb = gzip_bomb(300)
    with little_memory():
        error = failure(http, answers(bomb, headers="Content-Encoding: gzip\r\n"), most_bytes=2**20)
    assert isinstance(error, TooLarge)
    assert "1 MiB" in str(error)


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "gzip"])
@pytest.mark.parametrize("status", [200, 302, 500])
def test_no_status_and_no_encoding_gets_around_the_limit(http: Http, encoding: str, status: int) -> None:
    head = f"HTTP/1.1 {status} X\r\nLocation: /b\r\nContent-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n"
    bomb = gzip_bomb(64)
    body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(bomb), bomb)
    with little_memory():
        error = failure(http, says(head.encode() + body), most_bytes=1000)
    assert isinstance(error, TooLarge | Malformed | Refused)


def test_an_answer_that_never_ends_is_too_large(http: Http) -> None:
    assert isinstance(failure(http, floods(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 65536, 50), most_bytes=1000), TooLarge)


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("behaviour", "kind", "answered"),
    [
        (hangs_up, Unreachable, False),
        (resets, Unreachable, True),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Unreachable, True),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"), Unreachable, True),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nsecret\r\n"), Unreachable, True),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Unreachable, False),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"), Unreachable, False),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), Unreachable, False),
        (answers(b"not packed", headers="Content-Encoding: gzip\r\n"), Malformed, True),
        (answers(status=302, headers="Location: https://login.example.com/a?next=b\r\n"), Refused, True),
        (answers(status=302, headers="Location: http://[\r\n"), Refused, True),
        (drips(b"HTTP/1.1 302 Found\r\nContent-Length: 100000\r\n\r\n", forever=b"x"), Refused, True),
        (answers(status=304), Refused, True),
    ],
)
def test_what_a_broken_server_does_has_a_name(
    http: Http, behaviour: Behaviour, kind: type[ReportingError], answered: bool
) -> None:
    error = failure(http, behaviour)
    assert type(error) is kind
    assert error.answered is answered
    assert "127.0.0.1" in str(error)


def test_a_redirect_is_not_followed_and_named_by_its_host_alone(http: Http) -> None:
    with Hostile(answers(b"x")) as other:
        error = failure(http, answers(status=307, headers=f"Location: {other.url}/login?token=abc\r\n"))
    assert other.requests == []
    assert str(error) == "127.0.0.1 answers with a redirect (307) to 127.0.0.1; use the address it has moved to"


def test_a_closed_port_refuses_and_says_so(http: Http) -> None:
    with Hostile() as server:
        url = server.url
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1 refused the connection; check") as caught:
        get(http, url)
    assert isinstance(caught.value.__cause__, ConnectionRefusedError)
    assert not caught.value.answered


def test_a_name_that_nobody_knows_is_said_to_be_unknown(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(Unreachable, match=r"api\.test cannot be found by its name"):
        get(http, "https://api.test/")


def test_a_server_without_tls_is_told_from_one_that_is_down(http: Http) -> None:
    with Hostile(says(b"HTTP/1.1 400 Bad\r\n\r\n"), reads=False) as server, pytest.raises(Unreachable, match="TLS"):
        get(http, server.url.replace("http:", "https:"))


# --- where it goes ---


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://driftapi.com/x", "without encryption"),
        ("http://127.0.0.1.example.com/x", "without encryption"),
        ("ftp://driftapi.com/", "not one"),
        ("driftapi.com/x", "not one"),
        ("https://", "not one"),
        ("https://driftapi.com:port/", "not one"),
        ("https://[::1/", "not one"),
        ("https://drift api.com/", "not one"),
        ("https://driftapi.com/\r\nX: y", "not one"),
        ("https://user:hunter2@driftapi.com/", "leave them out"),
    ],
)
def test_an_address_that_should_not_be_called_is_not(http: Http, url: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        get(http, url)
    assert "hunter2" not in str(caught.value)


def test_proxies_and_netrc_of_the_environment_are_ignored(http: Http, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    with Hostile(answers(b"proxy")) as proxy, Hostile(answers(b"direct")) as server:
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        assert get(http, server.url, Authorization="Bearer ours").body == b"direct"
    assert proxy.requests == []
    assert b"Authorization: Bearer ours" in server.requests[0]


def test_a_proxy_from_the_settings_is_used_but_not_for_this_machine() -> None:
    with (
        Hostile(answers(b"proxy")) as proxy,
        Hostile(answers(b"direct")) as server,
        Http(proxy=proxy.url, allow_plain_http=True) as http,
    ):
        assert get(http, "http://api.test/x").body == b"proxy"
        assert get(http, server.url).body == b"direct"
    assert proxy.requests[0].startswith(b"GET http://api.test/x HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (says(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), Unreachable, r"the proxy refuses to connect us \(407\)"),
        (hangs_up, Unreachable, "broke the connection off"),
        (ENDLESS["headers"], TimedOut, "did not answer within"),
    ],
)
def test_a_proxy_that_fails_has_a_name_and_an_end(behaviour: Behaviour, kind: type[ReportingError], words: str) -> None:
    with Hostile(behaviour) as proxy, Http(proxy=proxy.url) as http:
        with pytest.raises(kind, match=words):
            get(http, "https://api.test/", deadline=SHORT if kind is TimedOut else LONG)
        wait_for_threads()


def test_settings_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for options in ({"proxy": "socks5://a:1"}, {"proxy": "a:1"}, {"ca_file": tmp_path / "a"}, {"ca_file": tmp_path / "no.pem"}):
        with pytest.raises(SettingsError):
            Http(**options)


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command to make a certificate")
@pytest.mark.parametrize(
    ("name", "trusted", "words"),
    [("IP:127.0.0.1", True, ""), ("IP:127.0.0.1", False, "self-signed|self signed"), ("DNS:other.test", True, "mismatch")],
)
def test_certificates_are_checked(tmp_path: Path, name: str, trusted: bool, words: str) -> None:
    cert, context = certificate(tmp_path, str(OPENSSL), name)
    with Hostile(answers(b"x"), tls=context) as server, Http(ca_file=cert if trusted else None) as http:
        if not words:
            assert get(http, server.url).body == b"x"
            return
        with pytest.raises(Unreachable, match=rf"not trusted \(.*({words}).*check the address"):
            get(http, server.url)


@pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command to make a certificate")
@pytest.mark.parametrize("what", ENDLESS)
def test_a_server_that_drips_over_tls_is_left_in_time_too(tmp_path: Path, what: str) -> None:
    cert, context = certificate(tmp_path, str(OPENSSL), "IP:127.0.0.1")
    with Hostile(ENDLESS[what], tls=context) as server, Http(ca_file=cert) as http:
        with pytest.raises(TimedOut):
            get(http, server.url, deadline=SHORT)
        wait_for_threads()


# --- secrets ---

CANARY = "canary-4f1d9c"

LEAKY: dict[str, Callable[[Http, str], object]] = {
    "fine": lambda http, url: get(http, url, Authorization=f"Bearer {CANARY}"),
    "bad header": lambda http, url: get(http, url, Authorization=f"Bearer {CANARY}\r\nX: y"),
    "bad letters": lambda http, url: get(http, url, Authorization=f"Bearer {CANARY}é"),
    "late": lambda http, url: get(http, url, deadline=1, Authorization=f"Bearer {CANARY}"),
    "too large": lambda http, url: get(http, url, most_bytes=0, Authorization=f"Bearer {CANARY}"),
}


def spoken(error: BaseException | None) -> Iterator[str]:
    """Everything that an error and those behind it say to whoever prints or logs them."""
    while error is not None:
        yield from (str(error), repr(error), repr(error.args), "".join(traceback.format_exception(error)))
        yield from spoken(error.__context__ if error.__context__ is not error.__cause__ else None)
        error = error.__cause__


@pytest.mark.parametrize("how", LEAKY)
@pytest.mark.parametrize(
    "behaviour",
    [
        answers(b"x"),
        hangs_up,
        resets,
        says(b"junk\r\n\r\n"),
        says(b"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 1\r\n\r\nx"),
        says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"),
        answers(status=302, headers=f"Location: /a?{CANARY}\r\n"),
    ],
)
def test_neither_the_token_nor_the_address_is_ever_said(
    http: Http, caplog: pytest.LogCaptureFixture, how: str, behaviour: Behaviour
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with Hostile(behaviour) as server:
        try:
            LEAKY[how](http, f"{server.url}/{CANARY}?key={CANARY}")
        except ReportingError as error:
            said.extend(spoken(error))
        wait_for_threads()
    assert CANARY not in "\n".join(said)
    assert CANARY not in caplog.text


def test_an_address_that_nobody_answers_at_is_not_said_either(http: Http) -> None:
    with Hostile() as server:
        url = f"{server.url}/{CANARY}?key={CANARY}"
    with pytest.raises(Unreachable) as caught:
        get(http, url, Authorization=f"Bearer {CANARY}")
    assert CANARY not in "\n".join(spoken(caught.value))


def test_a_secret_is_cleaned_or_refused_without_being_quoted() -> None:
    assert clean_secret(" abc\n", "the token") == "abc"
    for bad in ("", " \n", f"{CANARY}\nX: y", f"{CANARY} x", f"{CANARY}\0", f"\ufeff{CANARY}", f"{CANARY}é"):
        with pytest.raises(ValueError, match="the token") as caught:
            clean_secret(bad, "the token")
        assert CANARY not in "".join([str(caught.value), repr(caught.value)])
