"""A mailbox that takes every mail sent to it over SMTP and shows it to whoever asks."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from alertd.clock import Clock, Instant

KEPT = 200
_ACCEPTED = "250 2.0.0 Message accepted"


@dataclass(frozen=True)
class Mail:
    """One mail as it came. `number` counts from 1; `recipients` are those of the envelope."""

    number: int
    sender: str
    to: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    received_at: Instant
    pictures: Mapping[str, str] = field(default_factory=dict)  # Content-ID to data: address
    raw: bytes = b""
    repeat: bool = False  # the same Message-ID had come before

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def page(self) -> str:
        """The HTML with its inline pictures in it, as a mail program shows it."""
        page = self.html
        for identifier, address in self.pictures.items():
            page = page.replace(f"cid:{identifier}", address)
        return page


class Mailbox:
    """An SMTP server on the loopback interface and the mails it got. Thread-safe; keeps the newest `kept`.

    `port` 0 asks the system for a free one; after start() `port` is the one it gave.
    """

    def __init__(self, clock: Clock, port: int = 0, *, host: str = "127.0.0.1", kept: int = KEPT) -> None:
        self.host = host
        self.port = port
        self._clock = clock
        self._lock = threading.Lock()
        self._mails: deque[Mail] = deque(maxlen=kept)
        self._count = 0
        self._replies: deque[tuple[str, bool]] = deque()
        self._server: _Server | None = None

    @property
    def mails(self) -> tuple[Mail, ...]:
        """All mails, oldest first."""
        with self._lock:
            return tuple(self._mails)

    def refuse(self, reply: str, times: int = 1, *, keep: bool = False) -> None:
        """Answer the next mails with this SMTP reply (`451 4.3.0 Try later`); `keep` takes them all the same."""
        with self._lock:
            self._replies.extend([(reply, keep)] * times)

    def take(self, envelope: Envelope) -> str:
        """Store a mail and give the SMTP reply."""
        with self._lock:
            reply, keep = self._replies.popleft() if self._replies else (_ACCEPTED, True)
            if keep:
                self._count += 1
                mail = _read(envelope, self._count, self._clock.now(), {mail.header("Message-ID") for mail in self._mails})
                self._mails.append(mail)
            return reply

    def start(self) -> None:
        """Listen, in a thread of its own; OSError if the port is taken."""
        server = _Server(_Handler(self), hostname=self.host, port=self.port)
        try:
            server.start()
        except OSError:
            server.loop.close()
            raise
        self._server, self.port = server, server.port

    def stop(self) -> None:
        """Stop listening; the mails stay."""
        if self._server:
            self._server.stop(no_assert=True)
            self._server = None


class _Server(Controller):
    def _trigger_server(self) -> None:
        # start() ends by connecting once; with port 0 it has to be told where.
        if isinstance(self.server, asyncio.Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # aiosmtpd's types are incomplete


class _Handler:
    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        return self._mailbox.take(envelope)


def _read(envelope: Envelope, number: int, now: Instant, known: set[str | None]) -> Mail:
    raw: bytes = envelope.original_content or b""
    message = message_from_bytes(raw, policy=policy.default)
    return Mail(
        number=number,
        sender=str(message.get("From") or envelope.mail_from),
        to=str(message.get("To") or ", ".join(envelope.rcpt_tos)),
        recipients=tuple(envelope.rcpt_tos),
        subject=str(message.get("Subject") or ""),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        headers=tuple((name, str(value)) for name, value in message.items()),
        received_at=now,
        pictures=_pictures(message),
        raw=raw,
        repeat=message.get("Message-ID") in known - {None},
    )


def _body(message: EmailMessage, kind: str) -> str:
    part: Any = message.get_body((kind,))
    return str(part.get_content()) if part else ""


def _pictures(message: EmailMessage) -> Mapping[str, str]:
    """The inline pictures by Content-ID, as data: addresses."""
    found = {}
    for part in message.walk():
        identifier = str(part.get("Content-ID") or "").strip("<> ")
        if identifier and part.get_content_maintype() == "image":
            data = part.get_payload(decode=True)
            encoded = base64.b64encode(data if isinstance(data, bytes) else b"").decode()
            found[identifier] = f"data:{part.get_content_type()};base64,{encoded}"
    return found
