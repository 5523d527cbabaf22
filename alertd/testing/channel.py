"""A receiver that takes messages as it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydantic import PrivateAttr

from alertd.channels.base import Access, Channel, Message, Receipt
from alertd.errors import DeliveryError
from alertd.facts import Kind


@dataclass
class Taken:
    """What a fake receiver got: each message with the thread it was sent into, and what is to go wrong next."""

    messages: list[tuple[Message, Receipt | None]] = field(default_factory=list)
    failures: list[BaseException | None] = field(default_factory=list)  # one for each coming attempt; None: it works
    lack: str | None = None


class FakeChannel(Channel):
    """A channel that remembers. `taken.failures` are used up one an attempt; an ambiguous one takes the message as well."""

    editable: bool = False
    _taken: Taken = PrivateAttr(default_factory=Taken)

    @property
    def taken(self) -> Taken:
        """What it got, and what is to happen."""
        return self._taken

    @property
    def edits(self) -> bool:
        return self.editable

    @property
    def kinds(self) -> list[str]:
        """The kinds of the messages it got, in order."""
        return [message.kind.value for message, _ in self._taken.messages]

    def missing(self, access: Access) -> str | None:
        del access
        return self._taken.lack

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        del access
        problem = self._taken.failures.pop(0) if self._taken.failures else None
        if problem is None or (isinstance(problem, DeliveryError) and problem.ambiguous):
            self._taken.messages.append((message, thread))
        if problem is not None:
            raise problem
        return {"root": message.key, "digest": "yes"} if message.kind is Kind.DIGEST else thread or {"root": message.key}
