"""Whether a message whose answer was lost has arrived: Slack is asked for what it has, by the key in our metadata.

It needs the scopes channels:history and groups:history, which the app may lack: then nobody knows.
https://docs.slack.dev/reference/methods/conversations.history and .../conversations.replies
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from alertd.channels.base import Message, Receipt
from alertd.channels.slack.clients import Bot
from alertd.channels.slack.refusals import read
from alertd.clock import HOUR, SECOND
from alertd.errors import DeliveryError

EVENT = "alertd_notice"
SCOPES = ("channels:history", "groups:history")  # to look in public and in private channels
PAGES, PAGE = 3, 200
_EARLIER = HOUR  # our clock and Slack's may differ by that


@dataclass(frozen=True)
class Search:
    """What was found. Not `complete`: Slack does not let us look, or failed, or there is too much, so that nobody knows."""

    root: str | None = None  # ts of the message, or of the one in whose thread it is
    complete: bool = False


def metadata(key: str) -> Mapping[str, Any]:
    """What a message carries so that it can be found again."""
    return {"event_type": EVENT, "event_payload": {"key": key}}


def whereabouts(channel: str, message: Message, thread: Receipt) -> str | None:
    """The id of the channel to look in: messages may be sent to a name, but are found by id only."""
    if re.fullmatch(r"[CGD][A-Z0-9]{6,20}", channel):
        return channel
    return (message.seen or {}).get("channel") or thread.get("channel")


def search(client: Bot, message: Message, channel: str | None, thread: str | None = None) -> Search:
    """Look for the message in a channel, or in a thread. It raises nothing: a search that fails must stop no message."""
    if channel is None:
        return Search()
    method = "conversations.replies" if thread else "conversations.history"
    query = {"channel": channel, "include_all_metadata": "1", "limit": str(PAGE), "oldest": _oldest(message)}
    query |= {"ts": thread} if thread else {}
    try:
        return _pages(client, method, query, message.key)
    except DeliveryError:
        return Search()


def _pages(client: Bot, method: str, query: Mapping[str, str], key: str) -> Search:
    cursor = ""
    for _ in range(PAGES):
        answer = read(client, method, {**query, **({"cursor": cursor} if cursor else {})}, query["channel"])
        messages = answer.get("messages")
        if not isinstance(messages, list):
            return Search()
        if found := next((one for one in messages if _ours(one, key)), None):
            roots = (found.get("thread_ts"), found.get("ts"))
            return Search(next(str(ts) for ts in roots if _is_stamp(ts)), complete=True)
        cursor = _cursor(answer)
        if not cursor:
            return Search(complete=not answer.get("has_more"))
    return Search()


def _ours(message: object, key: str) -> bool:
    if not isinstance(message, Mapping) or not _is_stamp(message.get("ts")):
        return False
    given = message.get("metadata")
    payload = given.get("event_payload") if isinstance(given, Mapping) else None
    return isinstance(payload, Mapping) and payload.get("key") == key


def known_place(channel: object, ts: object) -> bool:
    """Whether these are a channel and a message as Slack writes them: they are kept, and sent back to it."""
    return isinstance(channel, str) and bool(re.fullmatch(r"[A-Z][A-Z0-9]{1,40}", channel)) and _is_stamp(ts)


def _is_stamp(ts: object) -> bool:
    return isinstance(ts, str) and bool(re.fullmatch(r"[0-9]{1,11}(?:\.[0-9]{1,9})?", ts, re.ASCII))


def _cursor(answer: Mapping[str, Any]) -> str:
    more = answer.get("response_metadata")
    cursor = more.get("next_cursor") if isinstance(more, Mapping) else None
    return cursor if isinstance(cursor, str) and re.fullmatch(r"[!-~]{1,500}", cursor) else ""


def _oldest(message: Message) -> str:
    """No attempt was made before the moment that its numbers speak of."""
    moment = max(message.notice.at - _EARLIER, 0)
    return f"{moment // SECOND}.000000"
