"""Calling Slack, and what becomes of each way in which it can say no. The only place that sees its exceptions.

They may print the token or the address of the webhook, so nothing of their text is passed on.
Codes: https://docs.slack.dev/reference/methods/chat.postMessage and https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Mapping
from http.client import HTTPException, HTTPMessage
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from alertd.channels.http import Answer
from alertd.channels.slack.clients import Bot, Hook
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError

USUAL_WAIT: Duration = 30 * SECOND

_INSTALL = "install the app again and set ALERTD_SLACK__BOT_TOKEN to its new bot token"
_HOOK = "create a new incoming webhook and set {where} to its address"
_ALLOW = "ask an administrator of the workspace to allow the app to post in {where}"

# Trying again is useless until somebody has done what it says here.
PERMANENT: Mapping[str, str] = {
    "invalid_auth": _INSTALL,
    "not_authed": _INSTALL,
    "token_revoked": _INSTALL,
    "token_expired": _INSTALL,
    "account_inactive": _INSTALL,
    "not_allowed_token_type": "set ALERTD_SLACK__BOT_TOKEN to a bot token; it begins with xoxb-",
    "missing_scope": "give the app the scope chat:write and install it again",
    "channel_not_found": "check the name, and invite the app if the channel is private: /invite @alertd in {where}",
    "not_in_channel": "invite the app: /invite @alertd in {where}",
    "is_archived": "unarchive {where} or name another channel",
    "restricted_action": _ALLOW,
    "restricted_action_read_only_channel": _ALLOW,
    "restricted_action_thread_only_channel": _ALLOW,
    "restricted_action_non_threadable_channel": _ALLOW,
    "no_permission": _ALLOW,
    "access_denied": _ALLOW,
    "ekm_access_denied": _ALLOW,
    "team_access_not_granted": _ALLOW,
    "messages_tab_disabled": _ALLOW,
    "no_service": _HOOK,
    "no_service_id": _HOOK,
    "no_team": _HOOK,
    "team_disabled": _HOOK,
    "no_active_hooks": _HOOK,
    "invalid_token": _HOOK,
    "user_not_found": _HOOK,
    "channel_is_archived": "unarchive the channel, or create a webhook for another one and set {where} to its address",
    "action_prohibited": "ask an administrator of the workspace to allow the webhook in {where}",
    "posting_to_general_channel_denied": "ask an administrator to allow it, or name another channel than {where}",
}

# The message as we built it is not to Slack's taste: a plain and short one may be.
SHAPE = frozenset(
    {
        *("invalid_blocks", "invalid_blocks_format", "invalid_payload", "invalid_metadata_format", "invalid_metadata_schema"),
        *("metadata_too_large", "msg_blocks_too_long", "msg_too_long", "no_text", "too_many_attachments"),
    }
)
_LATER = frozenset({"message_limit_exceeded", "rate_limited", "ratelimited"})
_PERHAPS = frozenset({"fatal_error", "internal_error", "rollup_error", "service_unavailable"})
_CODE = re.compile(r"[a-z][a-z0-9_]{1,60}")


class Refusal(DeliveryError):
    """Slack said no, in the word `code`."""

    def __init__(self, message: str, code: str, *, permanent: bool = False) -> None:
        super().__init__(message, permanent=permanent)
        self.code = code


def ask(client: Bot, method: str, body: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Call a method of the Web API that writes, and return its answer; DeliveryError, or Refusal with Slack's own word."""
    return _called(lambda: client.api_call(method, json=dict(body)), where)


def read(client: Bot, method: str, query: Mapping[str, str], where: str) -> Mapping[str, Any]:
    """The same for a method that reads: those take a form, not JSON."""
    return _called(lambda: client.api_call(method, params=dict(query)), where)


def _called(call: Callable[[], SlackResponse], where: str) -> Mapping[str, Any]:
    try:
        answer = call().data
    except SlackApiError as problem:
        response = problem.response
        status = response.status_code
        if 300 <= status <= 399:
            raise moved(_header(response.headers, "location"), "ALERTD_SLACK__URL") from None
        raise refused(status, response.get("error"), response.headers, where) from None
    except (OSError, HTTPException, ValueError, SlackClientError) as problem:
        raise broken(problem) from None
    return answer if isinstance(answer, dict) else {}


def post(client: Hook, body: Mapping[str, Any], where: str) -> None:
    """Post to an incoming webhook; DeliveryError, or Refusal with Slack's own word."""
    try:
        answer = client.send_dict(dict(body))
    except (OSError, HTTPException, ValueError, SlackClientError) as problem:
        raise broken(problem) from None
    if 300 <= answer.status_code <= 399:
        raise moved(_header(answer.headers, "location"), where)
    said = answer.body.strip()
    if answer.status_code != 200 or said != "ok":
        odd = answer.status_code < 300 and said not in PERMANENT.keys() | SHAPE | _LATER | _PERHAPS
        raise refused(answer.status_code, None if odd else said, answer.headers, where)


def moved(location: str | None, setting: str) -> DeliveryError:
    """What a redirect means: it is not followed, because token and message would go along. Only its host is named."""
    try:
        host = urlsplit(location or "").hostname or ""
    except ValueError:
        host = ""
    target = f" to {host}" if re.fullmatch(r"[a-z0-9.-]{1,100}", host) else ""
    advice = f"set {setting} to the address at which Slack itself answers, and check the proxy"
    return DeliveryError(f"Slack's address redirects{target}, which is not followed; {advice}", permanent=True)


def refused(status: int, said: object, headers: Mapping[str, Any], where: str) -> DeliveryError:
    """What Slack's answer means, by its word (`error`, or the body of a webhook's answer) and its HTTP status."""
    code = said if isinstance(said, str) and _CODE.fullmatch(said) else ""
    if status == 429 or code in _LATER:
        delay = retry_after(headers)
        return DeliveryError(f"Slack asks us to wait {delay // SECOND} s before the next message", retry_after=delay)
    if code in PERMANENT:
        return Refusal(f"Slack says {code}: {PERMANENT[code].format(where=where)}", code, permanent=True)
    if code in SHAPE:
        return Refusal(f"Slack does not take the message ({code}); look at its template", code, permanent=True)
    return _unlisted(status, code, where)


def _unlisted(status: int, code: str, where: str) -> DeliveryError:
    """What an answer means whose word is not in the tables."""
    if status >= 500 or code in _PERHAPS:
        return DeliveryError(f"Slack failed ({code or status}); it may have taken the message all the same", ambiguous=True)
    if status in (400, 403, 404, 410):
        said = f"Slack answered {status} {code or 'without a reason'}"
        return Refusal(f"{said}; check the address in ALERTD_SLACK__URL or {where}", code, permanent=True)
    if code:
        return Refusal(f"Slack says {code}", code)
    odd = f"what answered ({status}) is not what Slack says, so nobody knows whether it took the message"
    return DeliveryError(f"{odd}; check ALERTD_SLACK__URL and the proxy", ambiguous=True)


def broken(problem: Exception) -> DeliveryError:
    """What a call that got no answer means: a URLError says that nothing was sent."""
    if not isinstance(problem, URLError):
        slow = isinstance(problem, TimeoutError)
        what = "Slack's answer did not come in time" if slow else "the connection broke before Slack's answer"
        return DeliveryError(f"{what}; it may have taken the message all the same", ambiguous=True)
    match problem.reason:
        case ConnectionRefusedError():
            return DeliveryError("Slack's address refuses connections; check ALERTD_SLACK__URL or the webhook's address")
        case socket.gaierror():
            return DeliveryError("the name in Slack's address cannot be found; check the address and the name server")
        case ssl.SSLError():
            return DeliveryError(
                "no safe connection to Slack: this machine does not trust the certificate of Slack's address or proxy"
            )
        case _:
            return DeliveryError("no connection to Slack; check the network, the proxy and ALERTD_SLACK__URL")


def retry_after(headers: Mapping[str, Any]) -> Duration:
    """How long a 429 wants us to wait, 15 min at most; 30 s where it does not say, or nonsense."""
    known = HTTPMessage()
    for name in ("retry-after", "date"):
        known[name] = _header(headers, name) or ""
    return Answer(429, known, "").wait or USUAL_WAIT


def _header(headers: Mapping[str, Any], name: str) -> str | None:
    return next((str(value) for key, value in headers.items() if key.lower() == name), None)
