"""What the Slack channel says to Slack, and what it makes of each answer."""

from __future__ import annotations

import logging
import socket
import ssl
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import replace
from http.client import IncompleteRead
from typing import Any
from urllib.error import URLError

import pytest
from pydantic import ValidationError

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import CHANNEL, REPEAT, Slack
from alertd.channels.slack.refusals import PERMANENT, SHAPE, broken, moved, retry_after
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.servers import SECRET_PATH, TOKEN, FakeSlack, Scripted, complaint, dripping, slack_server

KEY = "0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d11"
PARTS = {
    "header": "🚨 First answers are slow: 7 min (limit 5 min)",
    "summary": "*Critical.* The median time was 7 min.",
    "facts": "*Since:* 12:06\n\n*Owner:* ops\n",
    "groups": "• Priya Shah: 7 min",
    "advice": "Ask for help.",
    "context": "support.first-answer",
    "reply": "Now critical: 7 min.",
    "plain": "Critical · First answers are slow",
    "worse": "yes",
    "followup": "",
}
OPENED = Message(KEY, Kind.OPENED, a_notice(level=Level.CRITICAL), PARTS)
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001"}
BOT = Slack(channel="#support-alerts", mention={Level.CRITICAL: "<!here>"})
HOOK = Slack(webhook_env="SUPPORT_WEBHOOK_URL", mention={Level.CRITICAL: "<!here>"})


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def access(slack: FakeSlack | None = None, *, token: str | None = TOKEN, hook: str | None = None) -> Access:
    url = slack.url if slack else "http://127.0.0.1:9/api/"
    address = hook or (slack.hook if slack else None)
    return Access(slack=SlackAccess(url, lambda: token), secret={"SUPPORT_WEBHOOK_URL": address}.get)


def of(kind: Kind, **changes: Any) -> Message:
    return replace(OPENED, kind=kind, parts={**PARTS, "followup": "yes", **changes})


def failure(
    slack: FakeSlack, channel: Slack = BOT, message: Message = OPENED, thread: Mapping[str, str] | None = None
) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.send(message, thread, access(slack))
    return caught.value


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# Messages and threads


def test_an_opening_is_one_message_with_its_key_and_the_receipt_names_it(slack: FakeSlack) -> None:
    receipt = BOT.send(OPENED, None, access(slack))
    (call,) = slack.calls
    assert (call.method, call.token) == ("chat.postMessage", TOKEN)
    assert call.body["channel"] == "#support-alerts"
    assert call.body["client_msg_id"] == KEY
    assert call.body["metadata"] == {"event_type": "alertd_notice", "event_payload": {"key": KEY}}
    assert (call.body["unfurl_links"], call.body["unfurl_media"]) == (False, False)
    assert receipt == {"channel": "C012AB3CD", "ts": "1700000000.000001"}


def test_an_opening_shows_every_part_and_a_text_for_notifications(slack: FakeSlack) -> None:
    BOT.send(OPENED, None, access(slack))
    body = slack.calls[0].body
    shown = str(body["blocks"])
    assert [block["type"] for block in body["blocks"]] == ["header", "section", "section", "section", "section", "context"]
    assert all(
        word in shown
        for word in ("First answers are slow", "*Since:* 12:06", "*Owner:* ops", "Priya", "Ask for", "support.first")
    )
    assert body["text"] == "<!here> Critical · First answers are slow"


@pytest.mark.parametrize(("kind", "loud"), [(Kind.CHANGED, False), (Kind.RESOLVED, True), (Kind.OPENED, True)])
def test_news_make_the_root_true_first_and_then_reply_in_its_thread(slack: FakeSlack, kind: Kind, *, loud: bool) -> None:
    assert BOT.send(of(kind), THREAD, access(slack)) == THREAD
    update, reply = slack.calls
    assert (update.method, update.body["ts"], update.body["channel"]) == ("chat.update", THREAD["ts"], THREAD["channel"])
    assert update.body["blocks"]
    assert (reply.method, reply.body["thread_ts"], reply.body["client_msg_id"]) == ("chat.postMessage", THREAD["ts"], KEY)
    assert "Now critical: 7 min." in reply.body["text"]
    assert reply.body.get("reply_broadcast", False) is loud


def test_a_refresh_only_updates(slack: FakeSlack) -> None:
    assert BOT.send(of(Kind.REFRESHED), THREAD, access(slack)) == THREAD
    assert slack.methods() == ["chat.update"]


def test_a_refresh_tells_nobody_anything_where_there_is_no_message(slack: FakeSlack) -> None:
    assert BOT.send(of(Kind.REFRESHED), None, access(slack)) == {}
    assert HOOK.send(of(Kind.REFRESHED), None, access(slack)) == {}
    slack.error("message_not_found")
    assert BOT.send(of(Kind.REFRESHED), THREAD, access(slack)) == THREAD
    assert slack.methods() == ["chat.update"]


@pytest.mark.parametrize("code", ["message_not_found", "thread_not_found", "channel_not_found", "is_archived"])
def test_news_of_an_incident_whose_message_has_gone_is_a_new_message(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    assert BOT.send(of(Kind.CHANGED), THREAD, access(slack)) == {"channel": "C012AB3CD", "ts": "1700000000.000002"}
    assert slack.methods() == ["chat.update", "chat.postMessage"]
    assert "thread_ts" not in slack.calls[1].body


@pytest.mark.parametrize("code", ["cant_update_message", "edit_window_closed"])
def test_a_workspace_that_forbids_editing_gets_the_reply_alone(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    assert BOT.send(of(Kind.CHANGED), THREAD, access(slack)) == THREAD
    assert slack.calls[1].body["thread_ts"] == THREAD["ts"]


def test_a_receipt_without_a_message_is_no_thread(slack: FakeSlack) -> None:
    BOT.send(of(Kind.CHANGED), {}, access(slack))
    assert slack.methods() == ["chat.postMessage"]


def test_a_test_message_is_plain_and_leaves_no_thread(slack: FakeSlack) -> None:
    assert BOT.send(replace(OPENED, kind=Kind.TEST, parts={}), None, access(slack)) == {}
    assert "test message" in slack.calls[0].body["text"]
    assert "blocks" not in slack.calls[0].body


def test_a_webhook_gets_a_message_of_its_own_for_each_notice(slack: FakeSlack) -> None:
    assert HOOK.send(OPENED, None, access(slack)) == {}
    assert HOOK.send(of(Kind.CHANGED), {}, access(slack)) == {}
    assert slack.methods() == [SECRET_PATH] * 2
    assert "Now critical: 7 min." not in str(slack.calls[0].body["blocks"])
    assert "Now critical: 7 min." in str(slack.calls[1].body["blocks"])


def test_only_a_bot_can_edit() -> None:
    assert (BOT.edits, HOOK.edits, BOT.pace) == (True, False, 1000)
    assert CHANNEL is Slack


@pytest.mark.parametrize(
    ("message", "mentioned"),
    [
        (OPENED, True),
        (of(Kind.CHANGED), True),
        (of(Kind.CHANGED, worse=""), False),
        (of(Kind.RESOLVED, worse=""), False),
        (replace(OPENED, notice=a_notice(level=Level.WARNING)), False),
    ],
)
def test_people_are_mentioned_at_their_level_and_only_when_it_opens_or_gets_worse(
    slack: FakeSlack, message: Message, *, mentioned: bool
) -> None:
    BOT.send(message, None if message.kind is Kind.OPENED else THREAD, access(slack))
    assert ("<!here>" in slack.calls[-1].body["text"]) is mentioned


def test_a_repeat_that_cannot_be_looked_for_says_that_it_may_be_one_and_has_the_same_key(slack: FakeSlack) -> None:
    BOT.send(replace(OPENED, repeat=True), None, access(slack))
    slack.script.extend([Scripted({"ok": True}), Scripted({"ok": False, "error": "missing_scope"})])
    BOT.send(replace(of(Kind.CHANGED), repeat=True), THREAD, access(slack))
    first, _, _, reply = slack.calls
    assert REPEAT in str(first.body["blocks"])
    assert REPEAT in reply.body["text"]
    assert first.body["client_msg_id"] == reply.body["client_msg_id"] == KEY


# Limits


@pytest.mark.parametrize("size", [1, 149, 150, 151, 3_000, 5_000, 50_000])
@pytest.mark.parametrize("letter", ["a", "a\n", "&amp;", "<https://example.com/x|y> ", "🚨", "\ud800"])
def test_no_part_is_ever_too_long_for_slack(slack: FakeSlack, size: int, letter: str) -> None:
    text = (letter * size)[: max(size, len(letter))]
    long = dict.fromkeys(PARTS, text)
    BOT.send(replace(OPENED, parts=long), None, access(slack))
    BOT.send(replace(OPENED, kind=Kind.RESOLVED, parts=long), THREAD, access(slack))
    HOOK.send(replace(OPENED, parts=long), None, access(slack))
    assert len(slack.calls) == 4  # none had to be repeated in plain
    assert all(complaint(call.body) is None for call in slack.calls)


def test_a_message_that_slack_dislikes_goes_out_as_plain_text_at_once(slack: FakeSlack) -> None:
    for code in sorted(SHAPE):
        slack.calls.clear()
        slack.error(code)
        assert BOT.send(OPENED, None, access(slack))
        _, plain = slack.calls
        assert plain.body["text"] == "Critical · First answers are slow"
        assert "blocks" not in plain.body
        assert plain.body["client_msg_id"] == KEY


def test_a_webhook_that_dislikes_the_blocks_gets_plain_text(slack: FakeSlack) -> None:
    slack.script.append(Scripted("invalid_payload", 400))
    HOOK.send(OPENED, None, access(slack))
    assert "blocks" not in slack.calls[1].body


def test_plain_text_that_is_disliked_too_is_a_permanent_error(slack: FakeSlack) -> None:
    slack.error("invalid_blocks")
    slack.error("msg_too_long")
    assert failure(slack).permanent
    assert len(slack.calls) == 2


# Refusals


@pytest.mark.parametrize("code", sorted(PERMANENT))
def test_what_only_people_can_mend_is_permanent_and_says_how(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    problem = failure(slack)
    assert (problem.permanent, problem.ambiguous, problem.retry_after) == (True, False, None)
    assert code in str(problem)
    assert "{where}" not in str(problem)


def test_an_app_that_is_not_in_the_channel_is_to_be_invited(slack: FakeSlack) -> None:
    slack.error("not_in_channel")
    assert "/invite @alertd in #support-alerts" in str(failure(slack))


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, "invalid_token"),
        (403, "action_prohibited"),
        (404, "no_service"),
        (404, ""),
        (410, "channel_is_archived"),
        (403, "<b>"),
    ],
)
def test_a_webhook_that_is_no_more_is_permanent(slack: FakeSlack, status: int, body: str) -> None:
    slack.script.append(Scripted(body, status))
    problem = failure(slack, HOOK)
    assert problem.permanent
    assert "SUPPORT_WEBHOOK_URL" in str(problem) or "channel" in str(problem)


@pytest.mark.parametrize("channel", [BOT, HOOK])
@pytest.mark.parametrize(
    ("header", "wait"), [("7", 7_000), (None, 30_000), ("soon", 30_000), ("-3", 30_000), ("0", 1_000), ("86400", 900_000)]
)
def test_too_many_messages_wait_as_long_as_slack_asks(slack: FakeSlack, channel: Slack, header: str | None, wait: int) -> None:
    body = {"ok": False, "error": "ratelimited"}
    slack.script.append(Scripted(body, 429, {"Retry-After": header} if header else {}))
    problem = failure(slack, channel)
    assert (problem.retry_after, problem.permanent, problem.ambiguous) == (wait, False, False)


def test_a_limit_in_a_200_is_one_too(slack: FakeSlack) -> None:
    slack.error("ratelimited")
    assert failure(slack).retry_after == 30_000


@pytest.mark.parametrize("channel", [BOT, HOOK])
@pytest.mark.parametrize(
    "answer",
    [
        Scripted(None),
        Scripted("<html>Bad gateway</html>", 502),
        Scripted({"ok": False, "error": "internal_error"}, 500),
        Scripted("rollup_error", 500),
        Scripted("{", 503),
    ],
)
def test_whoever_fails_after_taking_it_may_have_taken_it(slack: FakeSlack, channel: Slack, answer: Scripted) -> None:
    slack.script.append(answer)
    problem = failure(slack, channel)
    assert (problem.ambiguous, problem.permanent) == (True, False)
    assert len(slack.calls) == 1  # and nobody tries again here


@pytest.mark.parametrize("code", ["internal_error", "fatal_error", "service_unavailable"])
def test_a_fault_of_slacks_own_is_ambiguous(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    assert failure(slack).ambiguous


def test_a_login_page_is_not_slack(slack: FakeSlack) -> None:
    slack.script.append(Scripted("<html>Please log in</html>"))
    problem = failure(slack)
    assert problem.ambiguous
    assert "log in" not in str(problem)


def test_a_word_that_nobody_knows_is_tried_again(slack: FakeSlack) -> None:
    slack.error("a_new_word")
    problem = failure(slack)
    assert (problem.permanent, problem.ambiguous) == (False, False)
    assert "a_new_word" in str(problem)


def test_an_update_whose_answer_is_lost_leaves_no_doubt_about_the_news(slack: FakeSlack) -> None:
    slack.script.append(Scripted(None))
    assert not failure(slack, BOT, of(Kind.CHANGED), THREAD).ambiguous


def test_an_update_that_is_too_early_waits(slack: FakeSlack) -> None:
    slack.script.append(Scripted({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": "4"}))
    assert failure(slack, BOT, of(Kind.CHANGED), THREAD).retry_after == 4_000


def test_a_reply_whose_answer_is_lost_is_ambiguous(slack: FakeSlack) -> None:
    slack.script.extend((Scripted({"ok": True}), Scripted(None)))
    assert failure(slack, BOT, of(Kind.CHANGED), THREAD).ambiguous


def test_an_answer_without_a_message_is_taken_but_no_thread(slack: FakeSlack) -> None:
    slack.script.append(Scripted({"ok": True}))
    assert BOT.send(OPENED, None, access(slack)) == {}


@pytest.mark.parametrize("channel", [BOT, HOOK])
def test_a_refused_connection_has_surely_told_nothing(channel: Slack) -> None:
    base = f"http://127.0.0.1:{closed_port()}"
    reached = Access(slack=SlackAccess(f"{base}/api/", lambda: TOKEN), secret=lambda _name: base + SECRET_PATH)
    with pytest.raises(DeliveryError) as caught:
        channel.send(OPENED, None, reached)
    assert (caught.value.ambiguous, caught.value.permanent) == (False, False)


@pytest.mark.parametrize(
    ("problem", "ambiguous"),
    [
        (TimeoutError("timed out"), True),
        (ConnectionResetError(104, TOKEN), True),
        (IncompleteRead(b"{"), True),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, TOKEN), True),
        (BrokenPipeError(32, TOKEN), True),
        (URLError(ConnectionResetError(104, TOKEN)), False),
        (URLError(ConnectionRefusedError(111, TOKEN)), False),
        (URLError(socket.gaierror(-2, TOKEN)), False),
        (URLError(ssl.SSLCertVerificationError(1, TOKEN)), False),
        (URLError(TimeoutError(TOKEN)), False),
        (URLError(OSError(101, TOKEN)), False),
        (URLError(TOKEN), False),
    ],
)
def test_what_breaks_is_ambiguous_once_the_message_may_be_there(problem: Exception, *, ambiguous: bool) -> None:
    told = broken(problem)
    assert (told.ambiguous, told.permanent) == (ambiguous, False)
    assert TOKEN not in str(told)


def test_a_wait_is_whole_seconds_or_a_date() -> None:
    assert [retry_after({"Retry-After": text}) for text in (" 12 ", "1.5", "", "٣")] == [12_000, 30_000, 30_000, 30_000]
    moment = "Wed, 21 Oct 2026 07:28:00 GMT"
    assert retry_after({"Date": moment, "retry-after": "Wed, 21 Oct 2026 07:29:05 GMT"}) == 65_000
    assert retry_after({"Retry-After": moment}) == retry_after({}) == 30_000


@pytest.mark.parametrize(
    "body", ['{"ok":"no"}', '{"ok":1}', '{"ok":null}', "[]", "[1]", '"x"', "3", "null", "", "{", "[" * 9_999]
)
@pytest.mark.parametrize("status", [200, 201, 502])
@pytest.mark.parametrize("channel", [BOT, HOOK])
def test_an_answer_that_is_not_slacks_leaves_it_open(slack: FakeSlack, channel: Slack, status: int, body: str) -> None:
    slack.script.append(Scripted(body, status))
    problem = failure(slack, channel)
    assert (problem.ambiguous, problem.permanent) == (True, False)


def test_an_odd_answer_in_unknown_letters_is_read_all_the_same(slack: FakeSlack) -> None:
    slack.script.append(Scripted("?", 200, {"Content-Type": "text/plain; charset=nobody-knows"}))
    assert failure(slack).ambiguous


# Redirects and slow servers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("channel", "setting"), [(BOT, "ALERTD_SLACK__URL"), (HOOK, "SUPPORT_WEBHOOK_URL")])
def test_a_redirect_is_not_followed_and_only_its_host_is_named(
    slack: FakeSlack, channel: Slack, setting: str, status: int
) -> None:
    with slack_server() as other:
        slack.script.append(Scripted("ok", status, {"Location": other.url + TOKEN}))
        problem = failure(slack, channel)
        assert other.calls == []
    assert (problem.permanent, problem.ambiguous) == (True, False)
    assert "redirects to 127.0.0.1" in str(problem)
    assert setting in str(problem)
    assert "canary" not in str(problem)
    assert len(slack.calls) == 1


@pytest.mark.parametrize("location", [None, "", "/elsewhere", "https://[x", "https://a\x80b/"])
def test_a_redirect_to_nowhere_is_permanent_too(location: str | None) -> None:
    assert moved(location, "ALERTD_SLACK__URL").permanent


@pytest.mark.parametrize("channel", [BOT, HOOK])
@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\nok"])
def test_a_server_that_drips_is_left_at_the_deadline(channel: Slack, first: bytes) -> None:
    with dripping(first, b" ") as port:
        base = f"http://127.0.0.1:{port}"
        slow = SlackAccess(f"{base}/api/", lambda: TOKEN, deadline=200)
        with pytest.raises(DeliveryError) as caught:
            channel.send(OPENED, None, Access(slack=slow, secret=lambda _name: base + SECRET_PATH))
    assert (caught.value.ambiguous, caught.value.permanent) == (True, False)


# Secrets


@pytest.mark.parametrize(
    "url", ["http://slack.example.com/api/", "http://127.0.0.1.example.com/api/", "ftp://x/", "https://", "https://[x"]
)
def test_a_token_is_not_sent_where_others_can_read_it(url: str) -> None:
    reached = Access(slack=SlackAccess(url, lambda: TOKEN))
    assert "ALERTD_SLACK__URL" in (BOT.missing(reached) or "")
    with pytest.raises(DeliveryError, match="https://") as caught:
        BOT.send(OPENED, None, reached)
    assert caught.value.permanent


@pytest.mark.parametrize("url", ["https://slack.com/api/", "http://localhost:1/api/", "http://[::1]:1/api/"])
def test_addresses_that_keep_the_token_private_are_taken(url: str) -> None:
    assert BOT.missing(Access(slack=SlackAccess(url, lambda: TOKEN))) is None


@pytest.mark.parametrize(
    "answer",
    [
        *(Scripted(None), Scripted("oops", 500), Scripted("no_service", 404), Scripted(SECRET_PATH + TOKEN, 403)),
        *(Scripted({"ok": False, "error": f"bad {TOKEN}"}), Scripted({"ok": False, "error": "invalid_auth"})),
    ],
)
@pytest.mark.parametrize("channel", [BOT, HOOK])
def test_no_token_and_no_webhook_address_is_in_an_error_or_a_log(
    slack: FakeSlack, channel: Slack, answer: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    slack.script.append(answer)
    problem = failure(slack, channel)
    said = "".join(traceback.format_exception(problem)) + caplog.text
    assert "canary" not in said
    assert OPENED.parts["summary"] not in said


@pytest.mark.parametrize("secret", ["xoxb-canary\nX-Evil: 1", "xoxb canary", "xoxb-canaryé", "\x00canary"])
def test_a_token_that_cannot_be_one_is_not_used_and_not_shown(slack: FakeSlack, secret: str) -> None:
    with pytest.raises(DeliveryError) as caught:
        BOT.send(OPENED, None, access(slack, token=secret))
    assert caught.value.permanent
    assert "canary" not in str(caught.value)
    assert slack.calls == []


@pytest.mark.parametrize(
    "secret",
    [
        "http://hooks.slack.com/canary",
        "ftp://canary",
        "file:///canary",
        "canary",
        "https://",
        "https://a b/canary",
        "https://[canary",
    ],
)
def test_a_webhook_that_cannot_be_one_is_not_used_and_not_shown(secret: str) -> None:
    told = HOOK.missing(access(hook=secret))
    assert told is not None
    assert "SUPPORT_WEBHOOK_URL" in told
    assert "canary" not in told


# Options


def test_what_is_missing_is_named() -> None:
    nothing = Access()
    assert "ALERTD_SLACK__BOT_TOKEN_FILE" in (BOT.missing(nothing) or "")
    assert "SUPPORT_WEBHOOK_URL_FILE" in (HOOK.missing(nothing) or "")
    assert BOT.missing(access()) is None
    assert HOOK.missing(access(hook="https://hooks.slack.com/services/x")) is None
    with pytest.raises(DeliveryError, match="ALERTD_SLACK__BOT_TOKEN") as caught:
        BOT.send(OPENED, None, nothing)
    assert caught.value.permanent


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"channel": None},  # `channel: #support` is a comment in YAML
        {"channel": "#a", "webhook_env": "B"},
        {"channel": "support"},
        {"channel": "#two words"},
        {"channel": "#<!here>"},
        {"webhook_env": "https://hooks.slack.com/services/x"},
        {"channel": "#a", "mention": {"critical": "@here"}},
        {"channel": "#a", "mention": {"critical": "<!here> hello"}},
        {"channel": "#a", "mention": {"critical": "<https://x|y>"}},
        {"channel": "#a", "mention": {"ok": "<!here>"}},
        {"channel": "#a", "token": "xoxb"},
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Slack.model_validate(options)


@pytest.mark.parametrize("channel", ["#support-alerts", "#größe", "C012AB3CD", "D012AB3CD"])
@pytest.mark.parametrize("mention", ["<!here>", "<!channel>", "<@U012AB3CD>", "<!subteam^S012AB3CD> <!here>"])
def test_options_as_slack_writes_them_are_taken(channel: str, mention: str) -> None:
    assert Slack.model_validate({"channel": channel, "mention": {"critical": mention}}).channel == channel
