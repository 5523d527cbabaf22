"""`email`: one mail a notice, as text and HTML, in one thread per incident."""

from __future__ import annotations

import logging
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import Annotated, BinaryIO

from pydantic import AfterValidator, Field

from alertd.channels.base import Access, Channel, MailAccess, Message, Receipt
from alertd.channels.wire import Wire
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError
from alertd.facts import Kind

log = logging.getLogger(__name__)

TIMEOUT: Duration = 20 * SECOND  # of one step on the wire
LARGEST = 100_000  # bytes of all that a server says until it has taken the mail
PORTS = {"starttls": 587, "tls": 465, "none": 25}
TESTED = "This is a test message from alertd. Nothing is wrong."
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")

_registry = HeaderRegistry()
for _name in (
    "in-reply-to",
    "references",
):  # as plain texts they would be folded into encoded words, which no client understands
    _registry.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # typeshed asks for more than email does
WIRE = SMTP.clone(cte_type="7bit", header_factory=_registry)  # 7bit: not every server announces 8BITMIME

_PERHAPS = "the mail server gave no clear answer after the mail was handed over; it may have been taken all the same"
_NO_TLS = (
    "the mail server offers no STARTTLS, so nothing was sent; set ALERTD_EMAIL__TLS=tls if it expects TLS from the start, "
    "or ALERTD_EMAIL__TLS=none only if plain text is really meant"
)
_LOGIN = "the mail server refuses the login; check ALERTD_EMAIL__USERNAME and ALERTD_EMAIL__PASSWORD"
# What the SMTP status of a failure says to do (RFC 3463 and the habits of large servers).
ADVICE: Mapping[int, str] = {
    530: _LOGIN,
    534: _LOGIN,
    535: _LOGIN,
    538: _LOGIN,
    550: "check the addresses in receivers.yaml, and that ALERTD_EMAIL__SENDER may send through this server",
    552: "the mailbox is full or the mail too large",
    553: "check ALERTD_EMAIL__SENDER: the server wants another sender",
    554: "check ALERTD_EMAIL__SENDER and whether the server lets this machine send",
}


def _address(text: str) -> str:
    if ADDRESS.fullmatch(text):
        return text
    raise ValueError(f'"{text[:80]}" is not a plain mail address; write it like team@example.com')


class Email(Channel):
    """Mail to some people, through the mail server of the deployment."""

    to: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        Field(min_length=1, description="The addresses, without names: `[team@example.com]`; they see each other."),
    ]

    def missing(self, access: Access) -> str | None:
        mail = access.mail
        lacking = [name for name, value in (("HOST", mail.host), ("SENDER", mail.sender)) if not value]
        if lacking:
            return "mail needs a server and a sender: set " + " and ".join(f"ALERTD_EMAIL__{name}" for name in lacking)
        if not ADDRESS.fullmatch(mail.sender or ""):
            return "ALERTD_EMAIL__SENDER is not a plain mail address; write it like alertd@example.com"
        return None if mail.tls in PORTS else "ALERTD_EMAIL__TLS must be starttls, tls or none"

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send one mail to everybody at once; DeliveryError if not one of them surely gets it.

        Whom the server refuses while it takes the others is a warning in the log: a second mail would reach the others twice.
        """
        if lacking := self.missing(access):
            raise DeliveryError(lacking, permanent=True)
        if message.kind is Kind.REFRESHED:
            return thread or {}
        sender = str(access.mail.sender)
        root = (thread or {}).get("message_id")
        own = f"<{message.key}@{sender.rpartition('@')[2]}>"
        mail = compose(message, sender, self.to, own, root)
        deliver(access.mail, sender, self.to, mail.as_bytes(policy=WIRE))
        return {} if message.kind is Kind.TEST else {"message_id": root or own}


def compose(message: Message, sender: str, to: tuple[str, ...], own: str, root: str | None) -> EmailMessage:
    """Build the mail. `own` is its Message-ID, the same on every attempt; `root` that of the incident's first mail."""
    parts = {name: text.encode("utf-8", "replace").decode() for name, text in message.parts.items()}
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = " ".join(parts.get("subject", "").split())[:200] or "alertd: test message"
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate(usegmt=True)  # the hour of posting, by which nothing is decided
    mail["Message-ID"] = own
    if root:
        mail["In-Reply-To"] = root
        mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    for header, name in (("X-Alertd-Rule", "rule"), ("X-Alertd-Incident", "incident")):
        if parts.get(name):
            mail[header] = " ".join(parts[name].split())[:200]
    mail.set_content(parts.get("text", "").strip() or TESTED)
    if parts.get("html"):
        mail.add_alternative(parts["html"], subtype="html")
    return mail


def deliver(access: MailAccess, sender: str, to: tuple[str, ...], raw: bytes) -> None:
    """Hand one mail over. A connection that breaks is ambiguous from DATA on, and certainly nothing before."""
    certain = True
    with Wire(access.deadline, TIMEOUT) as wire:
        try:
            server = _connect(access, sender.rpartition("@")[2], wire)
            try:
                refused = _envelope(server, access, sender, to)
                certain = False
                status, reply = server.data(raw)
                if status != 250:
                    raise smtplib.SMTPDataError(status, reply)
                _warn(refused)
                with suppress(OSError, smtplib.SMTPException):  # the mail is taken: how they part changes nothing
                    server.quit()
            finally:
                server.close()
        except (OSError, smtplib.SMTPException, ValueError) as problem:
            late = access.deadline if wire.late else None
            raise failed(problem, certain=certain, late=late) from None


class _Session(smtplib.SMTP):
    """A conversation on a wire of ours, with an end to what is listened to; with `tls` from the start."""

    def __init__(self, wire: Wire, host: str, port: int, name: str, tls: ssl.SSLContext | None) -> None:
        self._wire, self._tls = wire, tls
        super().__init__(host, port, local_hostname=name, timeout=TIMEOUT / SECOND)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - the wire knows it
        plain = self._wire.connect((host, port))
        return self._tls.wrap_socket(plain, server_hostname=host) if self._tls else plain

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        return super().getreply()


class _Replies:
    """A server's lines. One too long or cut short, or too much in all, ends them: smtplib would take it for an answer."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, LARGEST

    def readline(self, limit: int) -> bytes:
        line = self._file.readline(limit)
        self._left -= len(line)
        return line if line.endswith(b"\n") and self._left > 0 else b""

    def close(self) -> None:
        self._file.close()


def _connect(access: MailAccess, name: str, wire: Wire) -> smtplib.SMTP:
    """Connect, with TLS as it is set; never without because the server lacks it. `name` is for EHLO: DNS may be slow."""
    tls = ssl.create_default_context() if access.tls == "tls" else None
    server = _Session(wire, str(access.host), access.port or PORTS[access.tls], name, tls)
    if access.tls == "starttls":
        try:
            _start_tls(server)
        except BaseException:
            server.close()
            raise
    return server


def _start_tls(server: smtplib.SMTP) -> None:
    status, reply = server.ehlo()
    if status != 250 and not 500 <= status <= 599:
        raise smtplib.SMTPHeloError(status, reply)
    if not server.has_extn("starttls"):
        raise DeliveryError(_NO_TLS, permanent=True)
    server.starttls(context=ssl.create_default_context())


def _envelope(server: smtplib.SMTP, access: MailAccess, sender: str, to: tuple[str, ...]) -> dict[str, tuple[int, bytes]]:
    """Log in and name sender and recipients; return those whom the server refuses, if it takes at least one."""
    server.ehlo_or_helo_if_needed()
    if access.username:
        _log_in(server, access)
    status, reply = server.mail(sender)
    if status != 250:
        raise smtplib.SMTPSenderRefused(status, reply, sender)
    refused = {}
    for address in to:
        status, reply = server.rcpt(address)
        if status not in (250, 251):
            refused[address] = (status, reply)
    if len(refused) == len(to):
        raise smtplib.SMTPRecipientsRefused(refused)
    return refused


def _log_in(server: smtplib.SMTP, access: MailAccess) -> None:
    """Log in. Nothing that the server says meanwhile is passed on: some repeat the command, with the password in it."""
    try:
        server.login(str(access.username), access.password() or "")
    except smtplib.SMTPResponseException as problem:
        status = problem.smtp_code
        if 500 <= status <= 599:
            raise DeliveryError(f"{_LOGIN} ({status})", permanent=True) from None
        raise DeliveryError(f"the mail server does not take the login now ({status}); it is tried again") from None


def _warn(refused: Mapping[str, tuple[int, bytes]]) -> None:
    for address, (status, reply) in refused.items():
        log.warning("mail: the server took it, but not for %s: %s %s", address, status, _said(reply))


def failed(problem: Exception, *, certain: bool, late: Duration | None = None) -> DeliveryError:
    """What an exception means; `late` is the deadline that is over. Python may print a password, so its text goes nowhere."""
    if isinstance(problem, smtplib.SMTPRecipientsRefused):
        replies = sorted(problem.recipients.items(), key=lambda item: item[1][0])
        address, (status, reply) = replies[0]
        return _answered(status, reply, f"refuses {address}")
    if isinstance(problem, smtplib.SMTPConnectError):  # it may be a block that passes
        return _answered(problem.smtp_code, problem.smtp_error, "does not want to talk to us", lasting=False)
    if isinstance(problem, smtplib.SMTPResponseException) and (certain or 400 <= problem.smtp_code <= 599):
        return _answered(problem.smtp_code, problem.smtp_error, "refuses the mail")
    return _unanswered(problem, late) if certain else DeliveryError(_PERHAPS, ambiguous=True)


def _unanswered(problem: Exception, late: Duration | None) -> DeliveryError:
    """What it means that there was no answer, while the mail was surely not handed over."""
    if late is not None:
        return DeliveryError(f"the mail server did not take the mail within {late // SECOND} s")
    if isinstance(problem, UnicodeError):
        return DeliveryError("the mail server's login must be ASCII; check ALERTD_EMAIL__PASSWORD", permanent=True)
    if isinstance(problem, smtplib.SMTPException) and not isinstance(problem, smtplib.SMTPServerDisconnected):
        advice = "clear ALERTD_EMAIL__USERNAME if it needs none; many offer it over TLS only"
        return DeliveryError(f"the mail server offers no login that we know; {advice}", permanent=True)
    return DeliveryError(_unreached(problem))


def _answered(status: int, reply: bytes | str, what: str, *, lasting: bool = True) -> DeliveryError:
    """An SMTP status: 5xx will not change by itself if it is `lasting`, 4xx may (greylisting is a 451)."""
    advice = ADVICE.get(status)
    if advice == _LOGIN and lasting:
        return DeliveryError(_LOGIN, permanent=True)
    text = f"the mail server {what}: {status} {_said(reply)}".rstrip()
    return DeliveryError(f"{text}; {advice}" if advice else text, permanent=lasting and 500 <= status <= 599)


def _unreached(problem: Exception) -> str:
    """Why there was no conversation with the server, and which setting to look at."""
    match problem:
        case ssl.SSLCertVerificationError():
            return f"the mail server's certificate is not valid for ALERTD_EMAIL__HOST: {problem.verify_message}"
        case ssl.SSLError():
            return "no TLS with the mail server; ALERTD_EMAIL__TLS and ALERTD_EMAIL__PORT may not fit together"
        case socket.gaierror():
            return "the name in ALERTD_EMAIL__HOST cannot be found"
        case ConnectionRefusedError():
            return "the mail server refuses connections; check ALERTD_EMAIL__HOST and ALERTD_EMAIL__PORT"
        case TimeoutError():
            return f"the mail server did not answer within {TIMEOUT // SECOND} s"
        case _:
            return "the mail server closed the connection before it took the mail"


def _said(reply: bytes | str) -> str:
    """The server's own words, short and printable."""
    text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))[:160]


CHANNEL = Email
