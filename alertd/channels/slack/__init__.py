"""`slack`: a channel by bot token, with one message per incident that stays true and a thread; or an incoming webhook."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from alertd.channels.base import Access, Channel, Message, Receipt
from alertd.channels.http import LOOPBACK, TIMEOUT
from alertd.channels.slack.blocks import TEXT, blocks, cut
from alertd.channels.slack.clients import Bot, Hook
from alertd.channels.slack.refusals import SHAPE, Refusal, ask, post
from alertd.clock import SECOND
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level

# At DEBUG the SDK prints addresses and texts, and at ERROR what urllib says, which may be a webhook's address.
logging.getLogger("slack_sdk").setLevel(logging.INFO)
_silent = logging.getLogger("alertd.channels.slack.sdk")
_silent.setLevel(logging.CRITICAL + 1)

GONE = frozenset({"channel_not_found", "is_archived", "message_not_found", "not_in_channel", "thread_not_found"})
FIXED = frozenset({"cant_update_message", "edit_window_closed"})  # the workspace lets nobody edit: the reply must do
# Replies that the whole channel sees: that it is back or over, and that nobody has taken it up.
BROADCAST = frozenset({Kind.OPENED, Kind.RESOLVED, Kind.REMINDER, Kind.ESCALATED})
REPEAT = "Sent again: the first attempt may have arrived."
TESTED = "This is a test message from alertd. Nothing is wrong."


def _channel(text: str) -> str:
    if re.fullmatch(r"#[^\s#@,<>]{1,80}|[CGDU][A-Z0-9]{6,20}", text):
        return text
    raise ValueError(f'"{text}" is not a channel; write its name as "#{text.lstrip("#@")}", in quotes, or its id')


def _mention(text: str) -> str:
    one = r"<(?:!here|!channel|!everyone|!subteam\^S[A-Z0-9]{2,20}|@[UW][A-Z0-9]{2,20})>"
    if re.fullmatch(rf"{one}(?: {one})*", text):
        return text
    raise ValueError(f'"{text}" mentions nobody; write <!here>, <!channel>, <@U012AB3CD> or <!subteam^S012AB3CD>')


class Slack(Channel):
    """A Slack channel, reached by the bot token of the deployment or by an incoming webhook of its own."""

    channel: Annotated[str, AfterValidator(_channel)] | None = Field(
        default=None, description='The channel, "#support-alerts" (in quotes) or its id; the app must be a member of it.'
    )
    webhook_env: str | None = Field(
        default=None,
        pattern=r"^[A-Z][A-Z0-9_]*$",
        description="The environment variable with the address of an incoming webhook; instead of `channel`.",
    )
    mention: Mapping[Literal[Level.WARNING, Level.CRITICAL], Annotated[str, AfterValidator(_mention)]] = Field(
        default_factory=dict, description="Whom to mention at which level when it opens or gets worse, such as `<!here>`."
    )

    pace: ClassVar[int] = 1 * SECOND

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.channel is None) == (self.webhook_env is None):
            raise ValueError('give either `channel: "#name"` (in quotes: # begins a comment) or `webhook_env: NAME`')
        return self

    @property
    def edits(self) -> bool:
        return self.channel is not None

    def missing(self, access: Access) -> str | None:
        if self.webhook_env is not None:
            return _lacking_webhook(self.webhook_env, access.secret(self.webhook_env))
        token = access.slack.bot_token()
        if not token:
            return f"{self.channel} needs a bot token: set ALERTD_SLACK__BOT_TOKEN or ALERTD_SLACK__BOT_TOKEN_FILE"
        if not _printable(token):
            return "ALERTD_SLACK__BOT_TOKEN is not a token: there are spaces or control characters in it"
        safe = "ALERTD_SLACK__URL must begin with https://, or the token could be read on its way"
        return None if _safe(access.slack.url) else safe

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send one message; a thread's root is first brought up to date, which may be repeated without harm.

        Slack is told the message's key as `client_msg_id`; whether it drops a second one is not documented, so a repeat
        also says that it may be one. The deadline is for each call; at most six are made.
        """
        if lacking := self.missing(access):
            raise DeliveryError(lacking, permanent=True)
        if self.webhook_env is not None:
            return self._hook(message, self.webhook_env, access)
        client = Bot(
            token=access.slack.bot_token(),
            base_url=access.slack.url,
            timeout=TIMEOUT // SECOND,
            retry_handlers=[],  # its own retry posts twice; the outbox retries
            logger=_silent,
        )
        client.deadline = access.slack.deadline
        return self._talk(message, thread or {}, client)

    def _hook(self, message: Message, variable: str, access: Access) -> Receipt:
        """One message a notice, complete in itself."""
        if message.kind is Kind.REFRESHED:
            return {}
        address = (access.secret(variable) or "").strip()
        client = Hook(address, timeout=TIMEOUT // SECOND, retry_handlers=[], logger=_silent)
        client.deadline = access.slack.deadline
        news = message.parts.get("reply", "") if message.parts.get("followup") else ""
        _shaped(lambda body: post(client, body, variable), self._body(message, news=news), message)
        return {}

    def _talk(self, message: Message, thread: Receipt, client: Bot) -> Receipt:
        """Open the incident's message, or bring it up to date and reply below it."""
        if message.kind is Kind.TEST or not (thread.get("channel") and thread.get("ts")):
            return {} if message.kind is Kind.REFRESHED else self._open(message, client)
        try:
            self._update(message, thread, client)
            if message.kind is not Kind.REFRESHED:
                self._reply(message, thread, client)
        except Refusal as refusal:
            if refusal.code not in GONE:
                raise
            return thread if message.kind is Kind.REFRESHED else self._open(message, client)
        return thread

    def _open(self, message: Message, client: Bot) -> Receipt:
        where = str(self.channel)
        envelope = {
            "channel": where,
            "client_msg_id": message.key,
            "metadata": {"event_type": "alertd_notice", "event_payload": {"key": message.key}},
        }
        body = self._body(message) | envelope
        answer = _shaped(lambda shaped: ask(client, "chat.postMessage", shaped, where), body, message)
        channel, ts = answer.get("channel"), answer.get("ts")
        known = isinstance(channel, str) and isinstance(ts, str) and message.kind is not Kind.TEST
        return {"channel": str(channel), "ts": str(ts)} if known else {}

    def _update(self, message: Message, thread: Receipt, client: Bot) -> None:
        """Make the root true again. Nobody is told by it, so a lost answer leaves no doubt about the notice."""
        body = self._body(message) | {"channel": thread["channel"], "ts": thread["ts"]}
        try:
            _shaped(lambda shaped: ask(client, "chat.update", shaped, str(self.channel)), body, message)
        except Refusal as refusal:
            if refusal.code not in FIXED:
                raise
        except DeliveryError as problem:
            raise DeliveryError(str(problem), permanent=problem.permanent, retry_after=problem.retry_after) from None

    def _reply(self, message: Message, thread: Receipt, client: Bot) -> None:
        news = message.parts.get("reply", "").strip() or _plain(message)
        said = " ".join(filter(None, (self._mentioned(message), news, REPEAT if message.repeat else "")))
        body: dict[str, Any] = {
            "channel": thread["channel"],
            "thread_ts": thread["ts"],
            "text": cut(said, TEXT),
            "client_msg_id": message.key,
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if message.kind in BROADCAST:
            body["reply_broadcast"] = True
        _shaped(lambda shaped: ask(client, "chat.postMessage", shaped, str(self.channel)), body, message)

    def _body(self, message: Message, *, news: str = "") -> dict[str, Any]:
        """The message itself: laid out in blocks, and as the text that notifications and screen readers use."""
        mention = self._mentioned(message)
        body: dict[str, Any] = {
            "text": cut(" ".join(filter(None, (mention, _plain(message)))), TEXT),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        note = REPEAT if message.repeat else ""
        laid = [] if message.kind is Kind.TEST else blocks(message.parts, mention=mention, note=note, news=news)
        return body | ({"blocks": laid} if laid else {})

    def _mentioned(self, message: Message) -> str:
        """Whom to mention: somebody only when it opens, gets worse or is not taken up; news of other kinds wake nobody."""
        worse = message.kind is Kind.OPENED or bool(message.parts.get("worse"))
        return next((text for level, text in self.mention.items() if level == message.level), "") if worse else ""


def _shaped(send: Callable[[dict[str, Any]], Any], body: dict[str, Any], message: Message) -> Any:
    """Send a body; when Slack dislikes its shape, once more as plain short text: the news counts more than its looks."""
    try:
        return send(body)
    except Refusal as refusal:
        if refusal.code not in SHAPE:
            raise
    bare = {name: value for name, value in body.items() if name not in ("blocks", "metadata")}
    return send(bare | {"text": cut(_plain(message), 1_000)})


def _plain(message: Message) -> str:
    """The whole news in a line or two; never empty, which Slack would refuse."""
    plain = message.parts.get("plain", "").strip() or message.parts.get("header", "").strip()
    return plain or (TESTED if message.kind is Kind.TEST else "alertd has news; its template made no text of it.")


def _lacking_webhook(variable: str, address: str | None) -> str | None:
    if not address:
        return f"set {variable} or {variable}_FILE to the address of the incoming webhook"
    return None if _safe(address) else f"{variable} is not the address of a webhook; it begins with https://hooks.slack.com/"


def _safe(address: str) -> bool:
    """Whether it is a web address that nobody on the way can listen to."""
    try:
        parts = urlsplit(address.strip())
    except ValueError:
        return False
    private = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
    return bool(parts.hostname) and private and _printable(address)


def _printable(secret: str) -> bool:
    return bool(re.fullmatch(r"[!-~]+", secret.strip()))


CHANNEL = Slack
