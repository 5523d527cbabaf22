"""The reporting API says anything at all, in bytes and in time: an answer is read, or refused in words, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from http.client import HTTPMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.channels.http import LONGEST_WAIT
from alertd.channels.http import Answer as Heard
from alertd.errors import Malformed, ReportingError, TooLarge, Unreachable
from alertd.reporting.client import ReportingClient, judge
from alertd.reporting.directory import Directory, read_names
from alertd.reporting.http import Answer, Http
from alertd.reporting.query import Query, parse_filter
from alertd.testing import FakeClock
from tests.hostile.fuzzing import TOKEN, check, deep, little_memory, tried, values
from tests.reporting.hostile import Behaviour, Hostile, Talk, answers, floods

LONG = 60_000  # ms: nothing here waits for it
OPEN = parse_filter({"property": "status", "operation": "EQ", "values": ["open"]})
QUERY = Query((OPEN,), ("timeToCloseMillis", "cqlScore"))


class Puppet:
    """A behaviour that each example changes: a server for each would take longer than all else."""

    says: Behaviour = staticmethod(answers())

    def __call__(self, talk: Talk) -> bool:
        return self.says(talk)


@pytest.fixture(scope="module")
def puppet() -> Iterator[tuple[Puppet, ReportingClient]]:
    puppet = Puppet()
    with Hostile(puppet) as server, Http() as http:
        yield puppet, ReportingClient(http, lambda: TOKEN, base_url=server.url, deadline=LONG)


def raw(data: bytes) -> Behaviour:
    def behave(talk: Talk) -> bool:
        talk.send(data)
        return False

    return behave


def ask(puppet: tuple[Puppet, ReportingClient], behaviour: Behaviour) -> str:
    """What came of it: the error's words, or how many conversations there are."""
    puppet[0].says = behaviour
    try:
        return str(len(puppet[1].ask(QUERY)))
    except ReportingError as problem:
        return check(problem)


statuses = st.integers(0, 999) | st.sampled_from([200, 204, 302, 400, 401, 429, 500])
names = st.sampled_from(["Content-Length", "Transfer-Encoding", "Content-Encoding", "Retry-After", "Date", "Location", "X"])
settings = st.sampled_from(["0", "-1", "5", "9" * 30, "chunked", "gzip", "gzip, gzip", "br", "http://[", "\xe9", TOKEN, ""])
bodies = st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode())


@st.composite
def spoken(draw: st.DrawFn) -> bytes:
    """Something like HTTP."""
    head = f"HTTP/1.1 {draw(statuses)} {draw(st.sampled_from(['OK', '', TOKEN]))}\r\n"
    lines = draw(st.lists(st.tuples(names, settings), max_size=4))
    head += "".join(f"{name}: {value}\r\n" for name, value in lines)
    whole = head.encode("latin-1") + b"\r\n" + draw(bodies)
    return whole[: draw(st.none() | st.integers(0, len(whole)))]


@tried(60)
@given(data=spoken() | st.binary(max_size=100))
def test_whatever_comes_over_the_wire_is_an_answer_or_an_error_of_ours(
    puppet: tuple[Puppet, ReportingClient], data: bytes
) -> None:
    assert ask(puppet, raw(data))


@tried(100)
@given(body=bodies, status=st.sampled_from([200, 200, 200, 400, 422, 429, 500]))
@example(body=deep(100_000), status=200)
@example(body=deep(100_000), status=400)
@example(body=b'{"count": %s, "data": []}' % (b"9" * 5_000), status=200)
@example(body=b'{"count": 1, "data": [{"conversationId": 1e999, "metrics": [1, 1]}]}', status=200)
@example(body=b'{"count": 1, "data": [{"conversationId": 1, "metrics": [1e999, 1]}]}', status=200)
@example(body=b'{"count": 0, "count": 5, "data": [], "data": [{"conversationId": 1}]}', status=200)
@example(body=b'{"error": {"message": "\\ud800", "type": "\\ud800"}}', status=400)
@example(body=json.dumps({"error": f"{TOKEN} tim{'e' * 60_000}d out"}).encode(), status=400)
def test_whatever_a_body_holds_it_is_read_or_refused(puppet: tuple[Puppet, ReportingClient], body: bytes, status: int) -> None:
    assert ask(puppet, answers(body, status))


# Endless lines: nobody waits for their end, and nobody keeps them.
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS_LINES = {
    "status": b"HTTP/1.1 ",
    "header": b"HTTP/1.1 200 OK\r\nX: ",
    "length of a chunk": CHUNKED,
    "trailer": CHUNKED + b"0\r\nX: ",
}


@pytest.mark.parametrize("place", ENDLESS_LINES)
def test_a_line_without_end_is_not_kept(puppet: tuple[Puppet, ReportingClient], place: str) -> None:
    with little_memory():
        assert "127.0.0.1" in ask(puppet, floods(ENDLESS_LINES[place], b"0" * 65_536, 64))


def test_more_headers_than_anybody_needs_are_not_kept(puppet: tuple[Puppet, ReportingClient]) -> None:
    with little_memory():
        assert "127.0.0.1" in ask(puppet, floods(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 10_000, 64))


# What Retry-After may say: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
FAR = ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2020 00:00:00 +99999999999999", "9" * 5_000]
FINE = "Mon, 01 Jan 2020 00:00:00 GMT"
pieces = st.sampled_from(["Mon, ", "01 ", "Jan ", "2020 ", "00:00:00 ", "GMT", "+9999", "-", "9" * 20, "0", ":", " ", "\xb2"])
moments = st.lists(pieces, max_size=8).map("".join) | st.sampled_from([FINE, *FAR]) | st.text(max_size=20)


@tried(200)
@given(again=moments, now=moments)
@example(again=FAR[0], now=FINE)
@example(again=FINE, now=FAR[1])
def test_no_retry_after_is_too_odd(again: str, now: str) -> None:
    told = HTTPMessage()
    told["retry-after"], told["date"] = again, now
    wait = Heard(429, told, "").wait
    assert wait is None or 0 < wait <= LONGEST_WAIT
    headers: Mapping[str, str] = {"retry-after": again, "date": now}
    problem = judge(Answer(429, headers, b""), TOKEN)
    assert problem is not None
    check(problem)


# --- names ---

NOTHING = b"[" + b"{}," * 30_000 + b"{}]"


def test_a_list_of_names_as_large_as_an_answer_is_refused_before_it_becomes_objects(
    puppet: tuple[Puppet, ReportingClient],
) -> None:
    puppet[0].says = floods(b"HTTP/1.0 200 OK\r\n\r\n[", b"{}," * 20_000, 64)
    with little_memory():
        assert Directory(puppet[1], FakeClock()).name("lastAgentId", 1) is None
        with pytest.raises(TooLarge, match="4 MiB"):
            puppet[1].fetch("/users/list", LONG)


@tried(100)
@given(body=bodies)
@example(body=deep(100_000))
@example(body=NOTHING)
@example(body=b'[{"id": %s, "name": "a"}, {"id": "%s", "name": "b"}]' % (b"9" * 5_000, b"9" * 5_000))
@example(body=b'[{"id": 7, "name": "\\ud800\\u202e\\u0000"}]')
def test_whatever_a_list_of_names_holds_they_are_short_and_printable(body: bytes) -> None:
    try:
        found = read_names(body)
    except Malformed as problem:
        check(problem)
    else:
        assert all(name.isprintable() and 0 < len(name) <= 80 for name in found.values())


def test_an_answer_that_is_cut_anywhere_is_unreachable(puppet: tuple[Puppet, ReportingClient]) -> None:
    whole = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"count": 0, "data": []}'
    assert ask(puppet, raw(whole)) == "0"
    for end in range(len(whole) - 24, len(whole), 5):
        puppet[0].says = raw(whole[:end])
        with pytest.raises(Unreachable, match="broke off"):
            puppet[1].ask(QUERY)
