"""A message that only tests whether a receiver can be reached."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from alertd.channels.base import Access, Message
from alertd.clock import HOUR, MINUTE, Instant
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.rendering import render_or_plain
from alertd.rulebook.rule import Receiver
from alertd.units import Unit


def send_trial(receiver: Receiver, access: Access, folders: Sequence[Path], now: Instant) -> str | None:
    """Send a test message past the outbox; DeliveryError if it was not taken. Returns what is to be known all the same."""
    if lack := receiver.channel.missing(access):
        raise DeliveryError(lack, permanent=True)
    notice = sample(now)
    parts = render_or_plain(receiver.kind, notice, names=lambda _property, _id: None, folders=folders)
    message = Message(str(uuid.uuid4()), Kind.TEST, notice, parts, receiver.name)
    return receiver.channel.send(message, None, access).get("warning")


def sample(now: Instant) -> Notice:
    """A made-up notice that says what it is."""
    return Notice(
        kind=Kind.TEST,
        rule="send-test",
        title="This is a test",
        measure="median time to the first answer",
        unit=Unit.DURATION,
        direction="above",
        level=Level.WARNING,
        previous=None,
        incident=0,
        at=now,
        opened_at=now - 12 * MINUTE,
        resolved_at=None,
        window=HOUR,
        value=7.2 * MINUTE,
        limit=5 * MINUTE,
        recover=4 * MINUTE,
        peak=7.2 * MINUTE,
        conversations=34,
        reason="somebody ran alertd send-test",
        description="Nothing is wrong. alertd can reach you here.",
    )
