"""Every way in which Slack can fail, from a server that really does."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import Slack
from alertd.channels.slack.refusals import PERMANENT, SHAPE
from alertd.errors import DeliveryError
from alertd.facts import Kind
from alertd.testing import a_notice
from tests.channels.servers import SECRET_PATH, TOKEN, FakeSlack, Scripted, dripping, slack_server
from tests.channels.workspaces import raw_answers

BOT, HOOK = Slack(channel="#support-alerts"), Slack(webhook_env="HOOK")
PARTS = {"header": "slow", "summary": "It is slow.", "reply": "slower", "plain": "slow"}
OPENED = Message("the-key", Kind.OPENED, a_notice(), PARTS)
CHANGED = Message("the-key", Kind.CHANGED, a_notice(), PARTS)
REFRESHED = Message("the-key", Kind.REFRESHED, a_notice(), PARTS)
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001"}
FINE = Scripted({"ok": True, "channel": "C012AB3CD", "ts": "1.0"})


@dataclass(frozen=True)
class Way:
    """What is sent through what, and how many calls go well before."""

    channel: Slack
    message: Message
    thread: Mapping[str, str] | None
    before: int = 0


POST, UPDATE = Way(BOT, OPENED, None), Way(BOT, REFRESHED, THREAD)
REPLY, HOOKED = Way(BOT, CHANGED, THREAD, 1), Way(HOOK, OPENED, None)
WAYS = pytest.mark.parametrize("way", [POST, UPDATE, REPLY, HOOKED], ids=["post", "update", "reply", "webhook"])
TELLING = pytest.mark.parametrize("way", [POST, REPLY, HOOKED], ids=["post", "reply", "webhook"])


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def reaching(base: str, deadline: int = 20_000) -> Access:
    return Access(slack=SlackAccess(f"{base}/api/", lambda: TOKEN, deadline=deadline), secret={"HOOK": base + SECRET_PATH}.get)


def at(slack: FakeSlack) -> Access:
    return reaching(slack.url.removesuffix("/api/"))


def failure(way: Way, access: Access) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        way.channel.send(way.message, way.thread, access)
    assert "canary" not in str(caught.value)
    return caught.value


def http(body: bytes, *headers: bytes, status: bytes = b"200 OK", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"\r\n".join([b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % size, b"", b""]) + body


OK = http(b'{"ok":true,"channel":"C012AB3CD","ts":"1.0"}')


# 429


WAITS: dict[str | None, int] = {
    "7": 7_000,
    "0": 1_000,
    "999999999": 900_000,
    "86400": 900_000,
    None: 30_000,
    **dict.fromkeys(("", "nan", "inf", "1.5", "-3", "1e3", "0x10", "Wed, 99 Oct 2026 07:28:00 GMT"), 30_000),
}


@WAYS
def test_every_form_of_retry_after_is_a_wait_within_reason(slack: FakeSlack, way: Way) -> None:
    for header, wait in WAITS.items():
        slack.calls.clear()
        slack.script.extend([FINE] * way.before)
        slack.script.append(Scripted({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": header} if header else {}))
        problem = failure(way, at(slack))
        assert (header, problem.retry_after, problem.permanent, problem.ambiguous) == (header, wait, False, False)
        assert len(slack.calls) == way.before + 1  # and nobody sleeps or tries again here


@WAYS
def test_a_date_to_wait_for_counts_from_the_answers_own(way: Way) -> None:
    dates = b"Date: Wed, 21 Oct 2026 07:28:00 GMT", b"Retry-After: Wed, 21 Oct 2026 07:29:05 GMT"
    with raw_answers(*[OK] * way.before, http(b"", *dates, status=b"429 Too Many Requests")) as (base, _):
        assert failure(way, reaching(base)).retry_after == 65_000


@pytest.mark.parametrize("body", ["", "rate_limited", "<html>slow down</html>", {"ok": False}])
@WAYS
def test_a_429_is_one_whatever_it_says(slack: FakeSlack, way: Way, body: object) -> None:
    slack.script.extend([FINE] * way.before)
    slack.script.append(Scripted(body, 429, {"Retry-After": "3"}))
    assert failure(way, at(slack)).retry_after == 3_000


# Accepted, and the answer is lost


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        http(b'{"ok":true,"channel":"C012', length=60),
        http(b'{"ok":true,"channel":"C012'),
        http(b"", status=b"500 Internal Server Error"),
        http(b"<html>Bad gateway</html>", status=b"502 Bad Gateway"),
        http(b"<html>Please log in</html>", b"Content-Type: text/html"),
        http(gzip.compress(b'{"ok":true}'), b"Content-Encoding: gzip"),
        http(b"{" * 2_000_000),
        b"SMTP, is it not?\r\n",
    ],
    ids=["reset", "closed", "head", "cut", "truncated", "500", "502", "login", "gzip", "endless", "other"],
)
@TELLING
def test_whoever_takes_it_and_does_not_say_so_may_have_taken_it(way: Way, answer: bytes | None) -> None:
    with raw_answers(*[OK] * way.before, answer) as (base, taken):
        problem = failure(way, reaching(base))
    assert (problem.ambiguous, problem.permanent, problem.retry_after) == (True, False, None)
    assert len(taken) == way.before + 1


@pytest.mark.parametrize("channel", [BOT, HOOK])
def test_whoever_takes_it_and_says_nothing_is_left_at_the_deadline(channel: Slack) -> None:
    with dripping(b"", b"") as port:
        problem = failure(Way(channel, OPENED, None), reaching(f"http://127.0.0.1:{port}", deadline=100))
    assert (problem.ambiguous, problem.permanent) == (True, False)


def test_an_update_whose_answer_is_lost_in_any_way_leaves_no_doubt_about_the_news() -> None:
    for answer in (None, b"", http(b"{"), http(b"", status=b"500 No")):
        with raw_answers(answer) as (base, taken):
            problem = failure(REPLY, reaching(base))
        assert (problem.ambiguous, problem.permanent, len(taken)) == (False, False, 1)


def test_every_attempt_has_the_same_key() -> None:
    keys = []
    with raw_answers(None, None, OK) as (base, taken):
        failure(POST, reaching(base))
        failure(POST, reaching(base))
        assert BOT.send(OPENED, None, reaching(base)) == {"channel": "C012AB3CD", "ts": "1.0"}
        keys += [json.loads(each) for each in taken]
    assert (
        {each["client_msg_id"] for each in keys} == {each["metadata"]["event_payload"]["key"] for each in keys} == {"the-key"}
    )


# Slack says no


@pytest.mark.parametrize(
    "code", ["invalid_auth", "token_revoked", "account_inactive", "missing_scope", "not_authed", "token_expired"]
)
@pytest.mark.parametrize("way", [POST, UPDATE, REPLY], ids=["post", "update", "reply"])
def test_a_token_that_is_no_more_is_permanent_at_every_call(slack: FakeSlack, way: Way, code: str) -> None:
    slack.script.extend([FINE] * way.before)
    slack.error(code)
    problem = failure(way, at(slack))
    assert (problem.permanent, problem.ambiguous) == (True, False)
    assert code in str(problem)
    assert len(slack.calls) == way.before + 1


@pytest.mark.parametrize("code", ["channel_not_found", "is_archived", "not_in_channel"])
def test_a_channel_that_is_no_more_is_permanent_after_one_more_try_to_begin_anew(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    slack.error(code)
    assert failure(REPLY, at(slack)).permanent
    assert slack.methods() == ["chat.update", "chat.postMessage"]


@pytest.mark.parametrize("code", ["restricted_action", "restricted_action_thread_only_channel", "no_permission"])
def test_a_channel_in_which_the_app_may_not_post_is_permanent(slack: FakeSlack, code: str) -> None:
    slack.script.append(FINE)
    slack.error(code)
    problem = failure(REPLY, at(slack))
    assert problem.permanent
    assert "administrator" in str(problem)
    assert "#support-alerts" in str(problem)


@pytest.mark.parametrize("code", sorted(SHAPE))
def test_a_reply_that_slack_dislikes_goes_out_short(slack: FakeSlack, code: str) -> None:
    slack.script.append(FINE)
    slack.error(code)
    assert BOT.send(CHANGED, THREAD, at(slack)) == THREAD
    again = slack.calls[-1].body
    assert (again["text"], again["thread_ts"], again["client_msg_id"]) == ("slow", THREAD["ts"], "the-key")


@pytest.mark.parametrize("code", sorted(SHAPE))
def test_a_webhook_that_dislikes_it_gets_it_short(slack: FakeSlack, code: str) -> None:
    slack.script.append(Scripted(code, 400))
    HOOK.send(OPENED, None, at(slack))
    assert [call.body.get("text") for call in slack.calls] == ["slow", "slow"]
    assert "blocks" not in slack.calls[1].body


@pytest.mark.parametrize("status", [200, 400, 403, 404, 410])
def test_a_webhooks_word_counts_whatever_its_status(slack: FakeSlack, status: int) -> None:
    for code in sorted(PERMANENT):
        slack.script.append(Scripted(code, status))
        problem = failure(HOOKED, at(slack))
        assert (problem.permanent, problem.ambiguous) == (True, False)
        assert code in str(problem)


@pytest.mark.parametrize("body", ["", "<html>gone</html>", "A_Word", "canary4242 " * 50])
@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_webhook_that_refuses_without_a_word_is_permanent_and_its_page_is_not_repeated(
    slack: FakeSlack, status: int, body: str
) -> None:
    slack.script.append(Scripted(body, status))
    problem = failure(HOOKED, at(slack))
    assert problem.permanent
    assert str(status) in str(problem)
    assert "html" not in str(problem)


# Secrets


@pytest.mark.parametrize("status", [b"200 OK", b"302 Found", b"429 No", b"500 No", b"404 No"])
@pytest.mark.parametrize("way", [POST, HOOKED], ids=["post", "webhook"])
def test_no_secret_that_an_answer_repeats_gets_into_an_error(way: Way, status: bytes) -> None:
    places = ("x-oauth-scopes", "location", "retry-after", "x-slack-failure")
    body = json.dumps({"ok": False, "error": TOKEN, "detail": SECRET_PATH}).encode()
    headers = [f"{place}: https://{TOKEN}@x/{SECRET_PATH}".encode() for place in places]
    with raw_answers(http(body, *headers, status=status)) as (base, _):
        failure(way, reaching(base))  # which looks for them
