"""What the webhook channel posts and where to, and what it makes of each answer."""

from __future__ import annotations

import hashlib
import hmac
import logging
import socket
import ssl
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request

import pytest
from pydantic import ValidationError

from alertd.channels.base import Access, Message
from alertd.channels.http import exchange
from alertd.channels.webhook import CHANNEL, DEADLINE, Webhook
from alertd.channels.webhook.outcomes import broken
from alertd.channels.wire import NotAdmitted
from alertd.clock import MINUTE, SECOND
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.hooks import HANG_UP, SECRET_PATH, Hook, hook
from tests.channels.servers import dripping

KEY = "0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d11"
SECRET = "signing-canary-77"
PARTS = {"summary": "First answers are slow: 7 min (limit 5 min)", "description": "Warning. The median time was 7 min."}
OPENED = Message(KEY, Kind.OPENED, a_notice(), PARTS)
PAGER = Webhook(url_env="PAGER_URL", secret_env="PAGER_SECRET")
OPEN = Webhook(url_env="PAGER_URL")


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


def access(url: str | None, secret: str | None = SECRET, *, private: bool = True) -> Access:
    return Access(secret={"PAGER_URL": url, "PAGER_SECRET": secret}.get, private=private)


def failure(url: str, message: Message = OPENED, *, private: bool = True) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        PAGER.send(message, None, access(url, private=private))
    shown = "".join(traceback.format_exception(caught.value))
    assert "canary" not in shown
    assert SECRET_PATH not in shown
    return caught.value


# What is posted


def test_a_notice_is_one_post_of_json_with_its_key(server: Hook) -> None:
    PAGER.send(OPENED, None, access(server.url))
    (post,) = server.posts
    assert post.path == SECRET_PATH
    assert post.headers["content-type"] == "application/json"
    assert post.headers["user-agent"].startswith("alertd/")
    assert (post.headers["idempotency-key"], post.headers["x-alertd-key"]) == (KEY, KEY)
    assert (post.json["version"], post.json["status"], post.json["alertd"]["key"]) == ("4", "firing", KEY)


def test_the_signature_is_of_the_time_and_the_very_bytes(server: Hook) -> None:
    PAGER.send(OPENED, None, access(server.url))
    post = server.posts[0]
    stamp, said = post.headers["x-alertd-timestamp"], post.headers["x-alertd-signature"]
    real = hmac.new(SECRET.encode(), stamp.encode() + b"." + post.body, "sha256").hexdigest()
    assert said == f"sha256={real}"
    assert abs(time.time() - int(stamp)) < 3_600
    assert said != f"sha256={hmac.new(SECRET.encode(), post.body, hashlib.sha256).hexdigest()}"


def test_without_a_secret_nothing_is_signed(server: Hook) -> None:
    OPEN.send(OPENED, None, access(server.url, None))
    assert "x-alertd-signature" not in server.posts[0].headers
    assert "x-alertd-timestamp" in server.posts[0].headers


def test_a_repeat_has_the_same_key_and_the_same_body_and_says_that_it_is_one(server: Hook) -> None:
    PAGER.send(OPENED, None, access(server.url))
    PAGER.send(Message(KEY, Kind.OPENED, a_notice(late=MINUTE), PARTS, repeat=True), None, access(server.url))
    first, again = server.posts
    assert first.body == again.body
    assert first.headers["idempotency-key"] == again.headers["idempotency-key"]
    assert (first.headers.get("x-alertd-repeat"), again.headers.get("x-alertd-repeat")) == (None, "yes")


def test_a_story_is_told_in_one_group_and_its_end_ends_what_fired(server: Hook) -> None:
    told = PAGER.send(OPENED, None, access(server.url))
    told = PAGER.send(Message("2", Kind.CHANGED, a_notice(level=Level.CRITICAL), PARTS), told, access(server.url))
    end = a_notice(level=Level.CRITICAL, resolved_at=a_notice().at + MINUTE)
    told = PAGER.send(Message("3", Kind.RESOLVED, end, PARTS), told, access(server.url))
    bodies = [post.json for post in server.posts]
    assert [body["status"] for body in bodies] == ["firing", "firing", "resolved"]
    assert len({body["groupKey"] for body in bodies}) == 1
    assert len({alert["fingerprint"] for body in bodies for alert in body["alerts"]}) == 1
    assert told == {"firing": "{}"}  # something, so that an older receipt is not taken for the newest


def test_a_refresh_is_not_sent_and_changes_no_receipt(server: Hook) -> None:
    told = {"firing": '{"":["warning",1]}'}
    assert PAGER.send(Message(KEY, Kind.REFRESHED, a_notice(), PARTS), told, access(server.url)) == told
    assert PAGER.send(Message(KEY, Kind.REFRESHED, a_notice(), PARTS), None, access(server.url)) == {}
    assert server.posts == []


@pytest.mark.parametrize("kind", [Kind.TEST, Kind.REPORT])
def test_tests_and_reports_begin_no_story(server: Hook, kind: Kind) -> None:
    assert PAGER.send(Message(KEY, kind, a_notice(incident=None), PARTS), None, access(server.url)) == {}
    assert server.posts[0].json["alertd"]["kind"] == kind.value


def test_machines_get_each_notice_at_once() -> None:
    assert (Webhook.burst, Webhook.pace, PAGER.edits) == (None, 0, False)


# What answers mean


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_taken(server: Hook, status: int) -> None:
    server.answer(status)
    assert PAGER.send(OPENED, None, access(server.url))


@pytest.mark.parametrize("status", [408, 409, 423, 425, 429, 503])
def test_what_is_busy_is_tried_again_without_doubt(server: Hook, status: int) -> None:
    server.answer(status, Retry_After="120")
    problem = failure(server.url)
    assert (problem.permanent, problem.ambiguous, problem.retry_after) == (False, False, 2 * MINUTE)
    assert f"PAGER_URL does not take the message now ({status}) and asks us to wait 120 s" in str(problem)


@pytest.mark.parametrize("status", [500, 501, 502, 504, 599, 999])
def test_what_fails_on_its_side_may_have_taken_it(server: Hook, status: int) -> None:
    server.answer(status)
    problem = failure(server.url)
    assert (problem.permanent, problem.ambiguous, problem.retry_after) == (False, True, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 415, 418, 422])
def test_a_refusal_is_for_good_and_says_what_to_do(server: Hook, status: int) -> None:
    server.answer(status)
    problem = failure(server.url)
    assert problem.permanent
    assert not problem.ambiguous
    assert f"PAGER_URL answers {status}: " in str(problem)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_only_its_host_is_named(server: Hook, status: int) -> None:
    """It would take the message, and who may read it, to a place that nobody has checked."""
    server.answer(status, Location="https://elsewhere.example.com/canary")
    problem = failure(server.url)
    assert problem.permanent
    assert "redirects to elsewhere.example.com, which is not followed" in str(problem)
    assert len(server.posts) == 1


def test_a_redirect_to_this_machine_is_not_followed(server: Hook) -> None:
    with hook() as other:
        server.answer(307, Location=other.url)
        assert failure(server.url).permanent
        assert other.posts == []


def test_a_connection_that_breaks_after_sending_leaves_a_doubt(server: Hook) -> None:
    server.answer(HANG_UP)
    problem = failure(server.url)
    assert problem.ambiguous
    assert "the connection broke before the answer; it may have taken the message all the same" in str(problem)


def test_a_server_that_drips_is_left_at_the_deadline_and_leaves_a_doubt() -> None:
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X-Drop: 1\r\n") as port, pytest.raises(TimeoutError) as caught:
        exchange(Request(f"http://127.0.0.1:{port}{SECRET_PATH}", b"x"), None, SECOND // 4)
    problem = broken(caught.value, "PAGER_URL", DEADLINE, plain=False)
    assert problem.ambiguous
    assert "PAGER_URL: no answer came within 15 s; it may have taken the message all the same" in str(problem)


def test_nobody_there_leaves_no_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    problem = failure(f"http://127.0.0.1:{port}{SECRET_PATH}")
    assert (problem.permanent, problem.ambiguous) == (False, False)
    assert "PAGER_URL: it refuses connections" in str(problem)


def test_plain_http_behind_https_says_so(server: Hook) -> None:
    problem = failure(server.url.replace("http:", "https:"))
    assert not problem.ambiguous
    assert "there is no TLS; its port may be one for plain HTTP" in str(problem)


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        (socket.gaierror(-2, "canary"), "its name cannot be found"),
        (ssl.SSLCertVerificationError("canary"), "its certificate is not valid"),
        (TimeoutError(), "there is no connection"),
        (OSError("canary"), "there is no connection"),
        ("canary", "there is no connection"),
    ],
)
def test_why_there_was_no_connection(reason: Any, said: str) -> None:
    problem = broken(URLError(reason), "PAGER_URL", SECOND, plain=False)
    assert said in str(problem)
    assert "canary" not in str(problem)
    assert (problem.permanent, problem.ambiguous) == (False, False)


# Where it goes


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "0", "127.1", "LOCALHOST"])
def test_addresses_inside_are_refused_unless_they_are_allowed(server: Hook, host: str) -> None:
    port = urlsplit(server.url).port
    problem = failure(f"https://{host}:{port}{SECRET_PATH}", private=False)
    assert problem.permanent or "cannot be found" in str(problem)
    assert server.posts == []


def test_a_name_that_leads_inside_is_refused_when_it_is_connected_to() -> None:
    problem = broken(URLError(NotAdmitted()), "PAGER_URL", SECOND, plain=False)
    assert problem.permanent
    assert "inside your network, where webhooks may not go; set ALERTD_WEBHOOK__ALLOW_PRIVATE=true" in str(problem)


def test_plain_http_goes_inside_only() -> None:
    problem = failure("http://8.8.8.8/hooks/canary4242")
    assert problem.permanent
    assert "use https://" in str(problem)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (None, "set PAGER_URL or PAGER_URL_FILE to the address of the webhook"),
        ("canary", "PAGER_URL is not the address of a webhook; it begins with https://"),
        ("ftp://hooks.example.com/canary", "PAGER_URL is not the address of a webhook"),
        ("file:///canary", "PAGER_URL is not the address of a webhook"),
        ("https:///canary", "PAGER_URL is not the address of a webhook"),
        ("https://hooks.example.com:canary/", "PAGER_URL is not an address"),
        ("https://[canary/", "PAGER_URL is not an address"),
        ("https://hööks.example.com/canary", "PAGER_URL is not the address"),
        ("https://127。0。0。1/canary", "PAGER_URL is not the address"),
        ("https://hooks.example.com/canary with a space", "there are spaces"),
        ("https://hooks.example.com/canary\r\nX: y", "PAGER_URL is not"),
        ("https://user:canary@hooks.example.com/", "PAGER_URL has a user name in it"),
        ("https://hooks.example.com\\@127.0.0.1/canary", "PAGER_URL"),
        ("http://hooks.example.com/canary", "PAGER_URL begins with http://, which anybody on the way can read; use https://"),
        ("https://10.0.0.1/canary", "set ALERTD_WEBHOOK__ALLOW_PRIVATE=true if that is meant"),
        ("https://169.254.169.254/canary", "inside your network"),
        ("https://[fd00:ec2::254]/canary", "inside your network"),
        ("https://localhost/canary", "inside your network"),
        ("https://hooks.example.com/canary", None),
        ("https://8.8.8.8:8443/canary", None),
        ("https://[2606:4700::1111]/canary", None),
    ],
)
def test_what_an_address_lacks_is_said_without_telling_it(url: str | None, said: str | None) -> None:
    lacking = PAGER.missing(access(url, private=False))
    assert (lacking is None) == (said is None)
    assert (said or "") in (lacking or "")
    assert "canary" not in (lacking or "")


@pytest.mark.parametrize("url", ["http://10.0.0.1/x", "https://localhost/x", "https://hooks.example.com/x"])
def test_what_is_inside_may_be_allowed(url: str) -> None:
    assert PAGER.missing(access(url)) is None


def test_a_secret_that_is_named_must_be_there() -> None:
    assert "set PAGER_SECRET or PAGER_SECRET_FILE" in str(PAGER.missing(access("https://hooks.example.com/x", None)))
    assert OPEN.missing(access("https://hooks.example.com/x", None)) is None


def test_nothing_goes_out_unsigned_when_the_secret_is_gone(server: Hook) -> None:
    with pytest.raises(DeliveryError, match="PAGER_SECRET") as caught:
        PAGER.send(OPENED, None, access(server.url, None))
    assert caught.value.permanent
    assert server.posts == []


@pytest.mark.parametrize(
    "options", [{}, {"url_env": "https://hooks.example.com/canary"}, {"url_env": "A", "secret_env": "s3cret"}, {"url": "x"}]
)
def test_addresses_and_secrets_do_not_stand_in_rule_files(options: Mapping[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CHANNEL.model_validate(options)


def test_nothing_secret_is_logged(server: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer(404)
    failure(server.url)
    PAGER.send(OPENED, None, access(server.url))
    assert "canary" not in caplog.text
