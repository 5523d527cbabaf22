"""Receivers that remember what they were told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pydantic import PrivateAttr

from alertd.channels.base import Access, Channel, Message, Receipt
from alertd.clock import Instant
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.wording import amount
from alertd.rulebook.rule import Rulebook


@dataclass(frozen=True)
class Told:
    """One message that a receiver got: when, about which rule, and the value in words."""

    at: Instant
    receiver: str
    kind: Kind
    level: Level
    rule: str
    value: str

    @property
    def graded(self) -> str:
        """` warning`; nothing for an end or a report."""
        return "" if self.kind in (Kind.RESOLVED, Kind.REPORT) else f" {self.level.value}"


class Recorder(Channel):
    """A channel that takes every message and tells `hear`."""

    _hear: Callable[[Message], None] = PrivateAttr()

    def __init__(self, hear: Callable[[Message], None]) -> None:
        super().__init__()
        self._hear = hear

    def missing(self, access: Access) -> None:
        del access

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        del access
        self._hear(message)
        return thread or {"root": message.key}


def recording(book: Rulebook, rules: tuple[str, ...], now: Callable[[], Instant], told: list[Told]) -> Rulebook:
    """The rulebook with those rules only, and with receivers that write into `told` what they get."""

    def hear(receiver: str) -> Callable[[Message], None]:
        return lambda message: told.append(_told(now(), receiver, message))

    receivers = {name: replace(each, channel=Recorder(hear(name))) for name, each in book.receivers.items()}
    return replace(book, rules={name: book.rules[name] for name in rules}, receivers=receivers)


def parts(_kind: str, notice: Notice) -> Mapping[str, str]:
    """What a message of a test says."""
    return {"rule": notice.rule, "value": amount(notice, notice.unit)}


def _told(at: Instant, receiver: str, message: Message) -> Told:
    return Told(at, receiver, message.kind, message.level, message.parts["rule"], message.parts["value"])
