"""The buttons of an incident that goes on: https://docs.slack.dev/reference/block-kit/block-elements/button-element.

Each carries the incident's number. What they do is decided where they are heard; nothing can be done by them alone.
"""

from __future__ import annotations

import re

from alertd.channels.base import Message
from alertd.channels.slack.blocks import Block, unescaped
from alertd.facts import Kind

ACKNOWLEDGE = "alertd_acknowledge"
SILENCES = {"silence 1h": ("alertd_silence_1h", "1 h", "1 hour"), "silence 4h": ("alertd_silence_4h", "4 h", "4 hours")}
OPEN = "alertd_open"

_NONE = frozenset({Kind.RESOLVED, Kind.TEST, Kind.DIGEST, Kind.REPORT})
_ADDRESS = 2_000  # Slack takes 3,000; all blocks together must fit

DRIFT = "https://app.drift.com/"


def buttons(message: Message) -> tuple[Block, ...]:
    """The buttons that the template's part `buttons` names, in that order; none once the incident is over."""
    notice = message.notice
    if message.kind in _NONE or notice.incident is None or notice.resolved_at is not None:
        return ()
    words = dict.fromkeys(" ".join(word.split()) for word in message.parts.get("buttons", "").split(","))
    made = (_button(word, message, str(notice.incident)) for word in words)
    return tuple(button for button in made if button)


def _button(word: str, message: Message, incident: str) -> Block | None:
    match word:
        case "acknowledge" if not message.notice.acknowledged:
            return _pressed(ACKNOWLEDGE, "Acknowledge", incident) | {"style": "primary"}
        case "silence 1h" | "silence 4h":
            action, short, long = SILENCES[word]
            return _pressed(action, f"Silence {short}", incident) | {"confirm": _sure(long)}
        case "open" if address := _address(message.parts.get("open", "")):
            return _pressed(OPEN, "Open in Drift" if address.startswith(DRIFT) else "Open", incident) | {"url": address}
    return None


def _pressed(action: str, label: str, incident: str) -> Block:
    return {"type": "button", "action_id": action, "text": _text(label), "value": incident}


def _sure(length: str) -> Block:
    """Whoever silences is asked first: it is for everybody, and it cannot be seen that nothing is said."""
    told = f"Nobody will be told of this rule for {length}, here or anywhere else. It is checked all the same."
    return {"title": _text("Silence this rule?"), "text": _text(told), "confirm": _text("Silence"), "deny": _text("Cancel")}


def _address(text: str) -> str | None:
    """The address that a link button leads to, which Slack wants without the escapes of its texts; None if it is none."""
    bare = unescaped(text.strip())
    fits = len(bare) <= _ADDRESS and re.fullmatch(r'https?://[^\s"\\<>\x00-\x1f\x7f-\U0010ffff]+', bare)
    return bare if fits else None


def _text(words: str) -> Block:
    return {"type": "plain_text", "text": words, "emoji": False}
