from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alertd.clock import MINUTE, SECOND
from alertd.errors import (
    BadQuery,
    Incomplete,
    Malformed,
    Refused,
    ReportingError,
    SettingsError,
    TimedOut,
    TooLarge,
    TooManyRequests,
    Unauthorised,
    Unreachable,
)
from alertd.reporting.client import ReportingClient
from alertd.reporting.http import Http
from alertd.reporting.query import Filter, Operation, Query
from tests.reporting.hostile import Behaviour, Hostile, answers, drips, gzip_bomb, hangs_up, resets, says

TOKEN = "canary-token-9b1f"
QUERY = Query(
    (Filter("status", Operation.IN, ("open", "closed")), Filter("lastAgentId", Operation.HAS_PROPERTY)), ("createdAt",)
)
GOOD = b'{"count":1,"data":[{"conversationId":852054511,"metrics":[1563910480819]}]}'


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as http:
        yield http


def client(http: Http, url: str, token: Callable[[], str] = lambda: TOKEN, **options: Any) -> ReportingClient:
    return ReportingClient(http, token, base_url=url, **{"deadline": MINUTE, **options})


def failure(http: Http, behaviour: Behaviour, **options: Any) -> ReportingError:
    with Hostile(behaviour) as server, pytest.raises(ReportingError) as caught:
        client(http, server.url, **options).ask(QUERY)
    return caught.value


def error(status: int, body: object = None, headers: str = "") -> Behaviour:
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return answers(raw, status, headers)


# --- asking ---


def test_a_query_is_asked_as_the_document_says_and_becomes_a_table(http: Http) -> None:
    with Hostile(answers(GOOD)) as server:
        table = client(http, server.url).ask(QUERY)
    assert (table.ids.tolist(), table.columns["createdAt"].tolist()) == ([852054511], [1563910480819])
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /reports/conversations HTTP/1.1")
    assert f"Authorization: Bearer {TOKEN}".encode() in head
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {
        "filters": [
            {"property": "status", "operation": "IN", "values": ["open", "closed"]},
            {"property": "lastAgentId", "operation": "HAS_PROPERTY"},
        ],
        "metrics": ["createdAt"],
    }


@pytest.mark.parametrize("base", ["", "/", "/drift", "/drift/"])
def test_an_address_may_have_a_path(http: Http, base: str) -> None:
    with Hostile(answers(GOOD)) as server:
        client(http, server.url + base).ask(QUERY)
    assert server.requests[0].startswith(b"POST %b/reports/conversations HTTP" % base.rstrip("/").encode())


def test_the_token_is_read_for_each_call_so_that_it_can_change(http: Http) -> None:
    tokens = iter(["first", " second\n"])
    with Hostile(answers(GOOD)) as server:
        asking = client(http, server.url, lambda: next(tokens))
        asking.ask(QUERY)
        asking.ask(QUERY)
    assert [b"Bearer first\r\n" in server.requests[0], b"Bearer second\r\n" in server.requests[1]] == [True, True]


def test_other_documents_are_fetched_with_the_same_token(http: Http) -> None:
    with Hostile(answers(b"[]")) as server:
        assert client(http, server.url).fetch("/playbooks/list", MINUTE) == b"[]"
    assert server.requests[0].startswith(b"GET /playbooks/list HTTP")
    assert f"Bearer {TOKEN}".encode() in server.requests[0]


@pytest.mark.parametrize("url", ["", "driftapi.com", "https://", "https://driftapi.com/?a=b", "https://a:hunter2@driftapi.com"])
def test_an_address_that_is_none_is_told_when_the_program_starts(http: Http, url: str) -> None:
    with pytest.raises(SettingsError, match="check ALERTD_REPORTING__URL") as caught:
        ReportingClient(http, lambda: TOKEN, base_url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("token", ["", "  ", f"{TOKEN}\nX: y", f"{TOKEN}é", f"\ufeff{TOKEN}", f"{TOKEN} x", f"{TOKEN}\0"])
def test_a_token_that_cannot_be_sent_is_refused_before_it_is(http: Http, token: str) -> None:
    with Hostile(answers(GOOD)) as server, pytest.raises(Unauthorised, match="check ALERTD_REPORTING__TOKEN") as caught:
        client(http, server.url, lambda: token).ask(QUERY)
    assert server.requests == []
    assert not caught.value.answered
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


def test_a_plain_address_of_another_machine_is_not_called(http: Http) -> None:
    with pytest.raises(Refused, match="without encryption"):
        client(http, "http://driftapi.com").ask(QUERY)


# --- statuses ---


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (error(401, {"error": {"message": "The access token is invalid or has expired"}}), Unauthorised, "REPORTING__TOKEN"),
        (error(403, {"error": "invalid_token", "error_description": "x"}), Unauthorised, "REPORTING__TOKEN"),
        (error(404, b"<html>"), Refused, "check ALERTD_REPORTING__URL, and whether the API has been moved or retired"),
        (error(410), Refused, "check ALERTD_REPORTING__URL"),
        (error(405, {"message": "no"}), Refused, 'saying "no"; check ALERTD_REPORTING__URL'),
        (error(418), Refused, r"\(418\); check ALERTD_REPORTING__URL"),
        (error(400, {"error": {"type": "validation_error", "message": "bad metric"}}), BadQuery, '"bad metric"'),
        (error(422, {"errors": [{"type": "validation_error", "message": "bad metric"}]}), BadQuery, '"bad metric"'),
        (error(400, {"error": "Please check query formatting"}), BadQuery, "Please check query formatting"),
        (error(500, {"error": {"message": "check query formatting"}}), BadQuery, "check query formatting"),
        (error(400, b"Check Query Formatting"), BadQuery, "check query formatting"),
        (error(400, {"errors": ["Check query formatting."]}), BadQuery, "Check query formatting"),
        (error(400, {"error": {"type": "other", "message": "no"}}), Refused, "no"),
        (error(400, b"<html>"), Refused, "400"),
        (error(408), TimedOut, "ask for less time at once"),
        (error(504, b"<html>gateway"), TimedOut, "ask for less time at once"),
        (error(500, {"error": {"message": "Query timed out"}}), TimedOut, "ask for less time at once"),
        (error(400, {"message": "request timeout"}), TimedOut, "ask for less time at once"),
        (error(500, {"error": {"type": "internal_error", "message": "oops"}}), Unreachable, 'failed on its side .*"oops"'),
        (error(502, b"<html>"), Unreachable, "502"),
        (error(503, b"connection timeout to upstream"), Unreachable, "503"),
        (error(302, headers="Location: https://login.example.com/?a=b\r\n"), Refused, "login.example.com;"),
        (error(200, b"<html>"), Malformed, "HTML"),
        (error(204), Malformed, "status 204"),
        (error(206), Malformed, "status 206"),
        (error(200, {"error": "x"}), Malformed, "no count"),
        (error(200, GOOD[:-1]), Malformed, "breaks off"),
        (says(b"HTTP/1.0 200 OK\r\n\r\n" + GOOD[:-9]), Malformed, "breaks off"),
        (error(200, GOOD.replace(b'"count":1', b'"count":2')), Incomplete, "1 of 2"),
        (hangs_up, Unreachable, "broke"),
        (resets, Unreachable, "broke"),
    ],
)
def test_every_way_to_fail_has_its_error_and_says_what_to_do(
    http: Http, behaviour: Behaviour, kind: type[ReportingError], words: str
) -> None:
    caught = failure(http, behaviour)
    assert type(caught) is kind
    assert caught.answered is (behaviour is not hangs_up)
    with pytest.raises(kind, match=words):
        raise caught


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"5", b"[" * 100_000, b'{"error":[]}', b'{"errors":[]}', b'{"error":{"message":5}}', b"\xff"]
)
def test_no_error_body_is_too_odd(http: Http, body: bytes) -> None:
    assert type(failure(http, error(400, body))) is Refused
    assert type(failure(http, error(500, body))) is Unreachable


def test_what_the_api_says_is_shortened_made_plain_and_never_repeats_the_token(http: Http) -> None:
    said = f"check query formatting:\r\n\x1b[31m{TOKEN} ünï\u202e" + "x" * 5000
    message = str(failure(http, error(400, {"error": {"message": said}})))
    assert message.startswith('the API refused the query ("check query formatting: [31m… n xxx')
    assert len(message) < 300


def test_an_answer_may_not_be_larger_than_allowed(http: Http) -> None:
    behaviour = answers(gzip_bomb(20), headers="Content-Encoding: gzip\r\n")
    assert type(failure(http, behaviour, most_bytes=2**20)) is TooLarge


def test_our_own_deadline_is_a_time_out_without_an_answer(http: Http) -> None:
    caught = failure(http, drips(b"", forever=b"H"), deadline=200)
    assert type(caught) is TimedOut
    assert not caught.answered


# --- 429 ---

DATE = "Date: Mon, 02 Nov 2026 09:00:00 GMT\r\n"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ("", None),
        ("Retry-After: 30\r\n", 30 * SECOND),
        ("Retry-After:  0 \r\n", 0),
        ("Retry-After: 900\r\n", 15 * MINUTE),
        ("Retry-After: 901\r\n", 15 * MINUTE),
        ("Retry-After: 999999999\r\n", 15 * MINUTE),
        (f"Retry-After: {'9' * 400}\r\n", None),
        ("Retry-After: -5\r\n", None),
        ("Retry-After: nan\r\n", None),
        ("Retry-After: soon\r\n", None),
        ("Retry-After: \r\n", None),
        ("Retry-After: Mon, 02 Nov 2026 09:01:00 GMT\r\n" + DATE, MINUTE),
        ("Retry-After: Tue, 03 Nov 2026 09:01:00 GMT\r\n" + DATE, 15 * MINUTE),
        ("Retry-After: Mon, 02 Nov 2026 08:59:00 GMT\r\n" + DATE, None),
        ("Retry-After: Mon, 02 Nov 2026 09:01:00 GMT\r\n", None),
        ("Retry-After: Mon, 02 Nov 2026 09:01:00 -0000\r\n" + DATE, None),
        ("Retry-After: Mon, 99 Nov 99999 09:01:00 GMT\r\n" + DATE, None),
    ],
)
def test_retry_after_is_believed_within_reason(http: Http, headers: str, wait: int | None) -> None:
    caught = failure(http, error(429, {"message": "API rate limit exceeded"}, headers))
    assert isinstance(caught, TooManyRequests)
    assert caught.retry_after == wait


# --- secrets ---


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500, 504])
def test_the_token_is_in_no_error_and_no_log(http: Http, caplog: pytest.LogCaptureFixture, status: int) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"type": "validation_error", "message": f"check query formatting, Bearer {TOKEN}"}, "count": TOKEN}
    caught = failure(http, error(status, echo, f"Location: /login?{TOKEN}\r\nX-Token: {TOKEN}\r\n"))
    said = "".join(traceback.format_exception(caught)) + repr(caught) + repr(caught.args) + repr(vars(caught))
    assert TOKEN not in said + caplog.text
    assert caught.__context__ is None
