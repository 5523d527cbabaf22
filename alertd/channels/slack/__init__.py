"""`slack`: a channel by bot token, with one message per incident that stays true and a thread; or an incoming webhook."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from alertd.channels.base import Access, Channel, Message, Receipt, SlackAccess, Variable
from alertd.channels.http import LOOPBACK, TIMEOUT
from alertd.channels.slack.blocks import TEXT, Block, blocks, cut
from alertd.channels.slack.buttons import buttons
from alertd.channels.slack.charting import picture
from alertd.channels.slack.clients import Bot, Hook
from alertd.channels.slack.finding import known_place, metadata, search, whereabouts
from alertd.channels.slack.refusals import Refusal, ask, post
from alertd.channels.slack.shaping import brief, shaped
from alertd.clock import SECOND
from alertd.errors import AlertdError, DeliveryError
from alertd.facts import Kind, Level

# At DEBUG the SDK prints addresses and texts, and at ERROR what urllib says, which may be a webhook's address.
logging.getLogger("slack_sdk").setLevel(logging.INFO)
_silent = logging.getLogger("alertd.channels.slack.sdk")
_silent.setLevel(logging.CRITICAL + 1)

GONE = frozenset({"channel_not_found", "is_archived", "message_not_found", "not_in_channel", "thread_not_found"})
FIXED = frozenset({"cant_update_message", "edit_window_closed"})  # the workspace lets nobody edit: the reply must do
# Replies that the whole channel sees: that it is back or over, and that nobody has taken it up.
BROADCAST = frozenset({Kind.OPENED, Kind.RESOLVED, Kind.REMINDER, Kind.ESCALATED})
_ALONE = frozenset({Kind.TEST, Kind.DIGEST})  # messages that belong into no thread
REPEAT = "Sent again: the first attempt may have arrived."


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
    webhook_env: Variable | None = Field(
        default=None,
        description="The environment variable with the address of an incoming webhook; instead of `channel`.",
    )
    mention: Mapping[Literal[Level.WARNING, Level.CRITICAL], Annotated[str, AfterValidator(_mention)]] = Field(
        default_factory=dict,
        description="Whom to mention at which level when it opens, gets worse or nobody takes it up: `<!here>`.",
    )

    pace: ClassVar[int] = 1 * SECOND
    burst: ClassVar[int | None] = 5

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

        A repeat is looked for before it is posted; where that is not possible it says that it may be one. Slack is told the
        message's key as `client_msg_id` too, but does not document that it drops a second one. The deadline is for each
        call; at most 14 are made.
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
        pressed = buttons(message) if _heard(access.slack) else ()
        return self._talk(message, thread or {}, client, pressed)

    def _hook(self, message: Message, variable: str, access: Access) -> Receipt:
        """One message a notice, complete in itself."""
        if message.kind is Kind.REFRESHED:
            return {}
        address = (access.secret(variable) or "").strip()
        client = Hook(address, timeout=TIMEOUT // SECOND, retry_handlers=[], logger=_silent)
        client.deadline = access.slack.deadline
        news = message.parts.get("reply", "") if message.parts.get("followup") else ""
        shaped(lambda body: post(client, body, variable), self._body(message, news=news), brief(message))
        return {}

    def _talk(self, message: Message, thread: Receipt, client: Bot, pressed: Sequence[Block]) -> Receipt:
        """Open the incident's message, or bring it up to date and reply below it; one of many is not to be edited."""
        refreshed = message.kind is Kind.REFRESHED
        if message.kind in _ALONE or not (thread.get("channel") and thread.get("ts")):
            return {} if refreshed else self._open(message, thread, client, pressed)
        if thread.get("digest") and refreshed:
            return thread
        try:
            if not thread.get("digest"):
                self._update(message, thread, client, pressed)
            if not refreshed:
                self._reply(message, thread, client)
        except Refusal as refusal:
            if refusal.code not in GONE:
                raise
            return thread if refreshed else self._open(message, thread, client, pressed)
        return thread

    def _open(self, message: Message, thread: Receipt, client: Bot, pressed: Sequence[Block]) -> Receipt:
        """Post a message that begins a thread, unless an earlier attempt did."""
        where = str(self.channel)
        if message.repeat:
            channel = whereabouts(where, message, thread)
            seen = search(client, message, channel)
            if channel and seen.root:
                return _receipt(message, channel, seen.root)
            message = replace(message, repeat=not seen.complete)
        envelope = {"channel": where, "client_msg_id": message.key, "metadata": metadata(message.key)}
        body = self._body(message, pressed=pressed) | envelope
        answer = shaped(lambda form: ask(client, "chat.postMessage", form, where), body, brief(message))
        return _receipt(message, answer.get("channel"), answer.get("ts"))

    def _update(self, message: Message, thread: Receipt, client: Bot, pressed: Sequence[Block]) -> None:
        """Make the root true again. Nobody is told by it, so a lost answer leaves no doubt about the notice."""
        true = self._body(replace(message, repeat=False), pressed=pressed)
        body = true | {"channel": thread["channel"], "ts": thread["ts"]}
        try:
            shaped(lambda form: ask(client, "chat.update", form, str(self.channel)), body, brief(message))
        except Refusal as refusal:
            if refusal.code not in FIXED:
                raise
        except DeliveryError as problem:
            raise DeliveryError(str(problem), permanent=problem.permanent, retry_after=problem.retry_after) from None

    def _reply(self, message: Message, thread: Receipt, client: Bot) -> None:
        """Say the news in the thread, unless an earlier attempt did."""
        repeat = message.repeat
        if repeat:
            seen = search(client, message, thread["channel"], thread["ts"])
            if seen.root:
                return
            repeat = not seen.complete
        news = message.parts.get("reply", "").strip()
        said = f"{brief(message)}\n{news}" if thread.get("digest") else news or brief(message)
        body: dict[str, Any] = {
            "channel": thread["channel"],
            "thread_ts": thread["ts"],
            "text": cut(" ".join(filter(None, (self._mentioned(message), said.strip(), REPEAT if repeat else ""))), TEXT),
            "client_msg_id": message.key,
            "metadata": metadata(message.key),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if message.kind in BROADCAST:
            body["reply_broadcast"] = True
        shaped(lambda form: ask(client, "chat.postMessage", form, str(self.channel)), body, brief(message))

    def _body(self, message: Message, *, news: str = "", pressed: Sequence[Block] = ()) -> dict[str, Any]:
        """The message itself: laid out in blocks, and as the text that notifications and screen readers use."""
        mention = self._mentioned(message)
        body: dict[str, Any] = {
            "text": cut(" ".join(filter(None, (mention, brief(message)))), TEXT),
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if message.kind is Kind.TEST:
            return body
        note = REPEAT if message.repeat else ""
        drawn = picture(message)
        laid = blocks(message.parts, mention=mention, note=note, news=news, chart=drawn, buttons=pressed)
        return body | ({"blocks": laid} if laid else {})

    def _mentioned(self, message: Message) -> str:
        """Whom to mention: somebody only when it opens, gets worse or is not taken up; news of other kinds wake nobody."""
        worse = message.kind is Kind.OPENED or bool(message.parts.get("worse"))
        return next((text for level, text in self.mention.items() if level == message.level), "") if worse else ""


def _receipt(message: Message, channel: object, ts: object) -> Receipt:
    """What is needed to go on below a message; nothing goes on below a test."""
    if not (known_place(channel, ts) and message.kind is not Kind.TEST):
        return {}
    return {"channel": str(channel), "ts": str(ts)} | ({"digest": "yes"} if message.kind is Kind.DIGEST else {})


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


def _heard(slack: SlackAccess) -> bool:
    """Whether somebody hears the buttons. A token that cannot be read costs the buttons, and no message."""
    try:
        return bool(slack.app_token())
    except AlertdError:
        return False


CHANNEL = Slack
