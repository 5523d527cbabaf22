"""What is sent again, in which simpler form, when Slack dislikes the form of a message."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from alertd.channels.base import Message
from alertd.channels.slack.blocks import cut
from alertd.channels.slack.refusals import SHAPE, Refusal
from alertd.facts import Kind

Body: TypeAlias = Mapping[str, Any]

TESTED = "This is a test message from alertd. Nothing is wrong."
_SHORT = 1_000


def shaped(send: Callable[[Body], Any], body: Body, plain: str) -> Any:
    """Send a body; when Slack dislikes its form, again without the chart, and then as plain short text.

    Not every workspace knows charts yet, and the news counts more than its looks.
    """
    disliked = ""
    for simpler in _simpler(body, plain):
        try:
            return send(body)
        except Refusal as refusal:
            if refusal.code not in SHAPE:
                raise
            disliked += refusal.code
        body = _without(simpler, disliked)
    return send(body)


def brief(message: Message) -> str:
    """The whole news in a line or two; never empty, which Slack would refuse."""
    plain = message.parts.get("plain", "").strip() or message.parts.get("header", "").strip()
    return plain or (TESTED if message.kind is Kind.TEST else "alertd has news; its template made no text of it.")


def _simpler(body: Body, plain: str) -> Iterator[Body]:
    without = [block for block in body.get("blocks", ()) if block["type"] != "data_visualization"]
    if len(without) < len(body.get("blocks", ())):
        yield {**body, "blocks": without}
    yield {name: value for name, value in body.items() if name != "blocks"} | {"text": cut(plain, _SHORT)}


def _without(body: Body, disliked: str) -> Body:
    """The body without metadata where these are what Slack dislikes; otherwise they stay, to find the message again."""
    return {name: value for name, value in body.items() if name != "metadata" or "metadata" not in disliked}
