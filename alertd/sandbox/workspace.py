"""What the Slack stand-in holds: channels, messages, and the faults it was told to have."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

from alertd.clock import SECOND, Clock, Duration, Instant
from alertd.errors import AlertdError

Block: TypeAlias = Mapping[str, Any]

TOKEN = "xoxb-sandbox"  # noqa: S105 - opens nothing but the stand-in
KEPT = 500
BURST = 3  # messages that one channel takes at once before one a second is all; Slack promises no number


class Refusal(AlertdError):
    """The workspace does not take a call; `code` is Slack's word, `details` go to `response_metadata.messages`."""

    def __init__(self, code: str, details: Sequence[str] = (), *, retry_after: Duration | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.details = tuple(details)
        self.retry_after = retry_after


@dataclass(frozen=True)
class Content:
    """What a message says. None in an update: not mentioned, stays as it is."""

    text: str | None = None
    blocks: tuple[Block, ...] | None = None
    attachments: tuple[Block, ...] | None = None
    metadata: Block | None = None


@dataclass(frozen=True)
class Draft:
    """A message on its way into a channel."""

    content: Content
    thread_ts: str | None = None
    broadcast: bool = False
    client_msg_id: str | None = None
    webhook: bool = False


@dataclass(frozen=True)
class Edit:
    """How a message read before it was changed at `at`."""

    at: Instant
    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class SlackMessage:
    """One message as it stands now. `channel` is the id; `edits` are its earlier wordings, oldest first."""

    ts: str
    channel: str
    channel_name: str
    text: str
    received_at: Instant
    blocks: tuple[Block, ...] = ()
    attachments: tuple[Block, ...] = ()
    thread_ts: str | None = None
    broadcast: bool = False
    client_msg_id: str | None = None
    metadata: Block | None = None
    edits: tuple[Edit, ...] = ()
    repeat: bool = False  # the same client_msg_id had come before
    webhook: bool = False
    only_for: str | None = None  # the id of the one person who sees it


class FaultKind(StrEnum):
    """What can go wrong between Slack and us."""

    CRASH = "crash"  # 500, nothing stored
    TOO_MANY = "too_many"  # 429, nothing stored
    REFUSE = "refuse"  # ok: false with `error`, nothing stored
    LOSE = "lose"  # the connection is cut, nothing stored
    HANG_UP = "hang_up"  # stored, then the connection is cut


@dataclass(frozen=True)
class SlackFault:
    """What the next `times` calls (of `method`, if given) meet. `retry_after` is in milliseconds."""

    kind: FaultKind
    times: int = 1
    method: str | None = None
    error: str = "fatal_error"
    retry_after: Duration = SECOND


class Workspace:
    """A Slack workspace with one app in it. Thread-safe; keeps the newest `kept` messages.

    `paced` answers 429 to more than a message a second and channel; `charts` knows the blocks that Slack added in 2026.
    Both may be switched at any time.
    """

    def __init__(
        self,
        clock: Clock,
        channels: Sequence[str] = ("alerts",),
        *,
        tokens: Sequence[str] = (TOKEN,),
        kept: int = KEPT,
    ) -> None:
        self.channels: Mapping[str, str] = {name.lstrip("#"): f"C{number:010}" for number, name in enumerate(channels, 1)}
        self.tokens = frozenset(tokens)
        self.paced = False
        self.charts = True
        self._clock = clock
        self._lock = threading.Lock()
        self._messages: deque[SlackMessage] = deque(maxlen=kept)
        self._whispers: deque[SlackMessage] = deque(maxlen=kept)
        self._faults: list[SlackFault] = []
        self._calls: deque[str] = deque(maxlen=kept)
        self._spent: dict[str, tuple[float, Duration]] = {}  # by channel: how much of its burst is used, and since when
        self._last = 0

    @property
    def messages(self) -> tuple[SlackMessage, ...]:
        """All messages, oldest first."""
        with self._lock:
            return tuple(self._messages)

    @property
    def whispers(self) -> tuple[SlackMessage, ...]:
        """The messages that only one person sees, oldest first; they are in no history."""
        with self._lock:
            return tuple(self._whispers)

    @property
    def calls(self) -> tuple[str, ...]:
        """The methods that were called, oldest first, refused ones too."""
        with self._lock:
            return tuple(self._calls)

    def hook(self, channel: str) -> str:
        """The path of the incoming webhook into a channel, relative to where the app is mounted."""
        return f"services/T0000000001/B0000000001/{self.channels[channel.lstrip('#')]}"

    def fail(self, fault: SlackFault) -> None:
        """Let coming calls meet this fault; faults queue up."""
        with self._lock:
            self._faults.append(fault)

    def enter(self, method: str) -> SlackFault | None:
        """Note a call and say which fault it meets."""
        with self._lock:
            self._calls.append(method)
            found = next((fault for fault in self._faults if fault.method in (None, method)), None)
            if found:
                place = self._faults.index(found)
                self._faults[place : place + 1] = [replace(found, times=found.times - 1)] if found.times > 1 else []
            return found

    def channel(self, reference: object, *, names: bool = True) -> str:
        """The id of a channel given by id or, where Slack takes names, by name; Refusal if there is none."""
        if reference in self.channels.values():
            return str(reference)
        if names and isinstance(reference, str) and (found := self.channels.get(reference.lstrip("#"))):
            return found
        raise Refusal("channel_not_found")

    def post(self, channel: str, draft: Draft) -> SlackMessage:
        """Store a message; Refusal if its thread is unknown or the channel has had enough for this second."""
        with self._lock:
            if draft.thread_ts and self._find(channel, draft.thread_ts) is None:
                raise Refusal("thread_not_found")
            self._pace(channel)
            message = self._message(channel, draft)
            self._messages.append(message)
            return message

    def whisper(self, channel: str, user: str, content: Content) -> SlackMessage:
        """Store a message that only that person sees."""
        with self._lock:
            self._pace(channel)
            message = replace(self._message(channel, Draft(content)), only_for=user)
            self._whispers.append(message)
            return message

    def update(self, channel: str, ts: str, content: Content) -> SlackMessage:
        """Change a message; Refusal if it is unknown. Text alone takes the blocks away, as with Slack."""
        with self._lock:
            place = self._find(channel, ts)
            if place is None:
                raise Refusal("message_not_found")
            old = self._messages[place]
            before = Edit(self._clock.now(), old.text, old.blocks)
            message = replace(old, **_changes(old, content), edits=(*old.edits, before))
            self._messages[place] = message
            return message

    def _find(self, channel: str, ts: str) -> int | None:
        places = (place for place, message in enumerate(self._messages) if (message.channel, message.ts) == (channel, ts))
        return next(places, None)

    def _message(self, channel: str, draft: Draft) -> SlackMessage:
        now = self._clock.now()
        content = draft.content
        known = {message.client_msg_id for message in self._messages} - {None}
        return SlackMessage(
            ts=self._next_ts(now),
            channel=channel,
            channel_name=next(name for name, identifier in self.channels.items() if identifier == channel),
            text=content.text or "",
            received_at=now,
            blocks=content.blocks or (),
            attachments=content.attachments or (),
            thread_ts=draft.thread_ts,
            broadcast=draft.broadcast and draft.thread_ts is not None,
            client_msg_id=draft.client_msg_id,
            metadata=content.metadata,
            repeat=draft.client_msg_id in known,
            webhook=draft.webhook,
        )

    def _next_ts(self, now: Instant) -> str:
        self._last = max(now * 1000, self._last + 1)
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06}"

    def _pace(self, channel: str) -> None:
        if not self.paced:
            return
        now = self._clock.uptime()
        used, since = self._spent.get(channel, (0.0, now))
        used = max(0.0, used - (now - since) / SECOND)
        if used + 1 > BURST:
            raise Refusal("ratelimited", retry_after=round((used + 1 - BURST) * SECOND))
        self._spent[channel] = (used + 1, now)


def _changes(old: SlackMessage, new: Content) -> dict[str, Any]:
    """What an update changes: text without blocks removes them; metadata stays unless it is given."""
    alone = new.text is not None and new.blocks is None
    return {
        "text": old.text if new.text is None else new.text,
        "blocks": () if alone else old.blocks if new.blocks is None else new.blocks,
        "attachments": old.attachments if new.attachments is None else new.attachments,
        "metadata": old.metadata if new.metadata is None else new.metadata,
    }
