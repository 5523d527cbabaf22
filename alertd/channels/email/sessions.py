"""One conversation with the mail server: TLS as it is set, login, envelope, text; with an end, whatever the server does."""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from alertd.channels.base import MailAccess
from alertd.channels.email.refusals import NO_TLS, TIMEOUT, Reply, answered, failed, refused_login
from alertd.channels.wire import Wire
from alertd.clock import SECOND
from alertd.errors import DeliveryError

LARGEST = 100_000  # bytes of all that a server says until it has taken the mail
PORTS = {"starttls": 587, "tls": 465, "none": 25}
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")


def deliver(access: MailAccess, sender: str, to: tuple[str, ...], mail: bytes) -> Mapping[str, Reply]:
    """Hand one mail over to all in `to` whom the server takes; return what it says to the others.

    DeliveryError if it is taken for nobody for another reason than that. A connection that breaks is ambiguous while the text
    is on its way, and certainly nothing before.
    """
    certain = True
    with Wire(access.deadline, TIMEOUT) as wire:
        try:
            server = _connect(access, sender.rpartition("@")[2], wire)
            try:
                refused = _envelope(server, access, sender, to)
                if len(refused) < len(to):
                    _ask(server)
                    certain = False
                    _hand_over(server, mail)
                with suppress(OSError, smtplib.SMTPException):  # all is said: how they part changes nothing
                    server.quit()
            finally:
                server.close()
        except (OSError, smtplib.SMTPException, ValueError) as problem:
            late = access.deadline if wire.late else None
            raise failed(problem, certain=certain, late=late) from None
    return refused


class _Session(smtplib.SMTP):
    """A conversation on a wire of ours, with an end to what is listened to; with `tls` from the start."""

    def __init__(self, wire: Wire, host: str, port: int, name: str, tls: ssl.SSLContext | None) -> None:
        self._wire, self._tls = wire, tls
        self._secrets: tuple[bytes, ...] = ()
        super().__init__(host, port, local_hostname=name, timeout=TIMEOUT / SECOND)

    def hide(self, username: str, password: str) -> None:
        """Cut the password out of whatever the server says from now on: some repeat what they do not understand."""
        plain = f"\0{username}\0{password}"
        coded = (base64.b64encode(each.encode()) for each in (plain, password) if each)
        self._secrets = tuple(each for each in (*coded, password.encode()) if each)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - the wire knows it
        plain = self._wire.connect((host, port))
        return self._tls.wrap_socket(plain, server_hostname=host) if self._tls else plain

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Replies(self.sock.makefile("rb"))
        status, reply = super().getreply()
        for secret in self._secrets:
            reply = reply.replace(secret, b"***")
        return status, reply


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


def _connect(access: MailAccess, name: str, wire: Wire) -> _Session:
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
        raise DeliveryError(NO_TLS, permanent=True)
    try:
        server.starttls(context=ssl.create_default_context())
    except smtplib.SMTPResponseException as problem:
        what = "offers STARTTLS and refuses it, so nothing was sent"
        raise answered(problem.smtp_code, problem.smtp_error, what) from None


def _envelope(server: _Session, access: MailAccess, sender: str, to: tuple[str, ...]) -> dict[str, Reply]:
    """Log in and name sender and recipients; return what the server says to those whom it refuses."""
    server.ehlo_or_helo_if_needed()
    if access.username:
        _log_in(server, access.username, access.password() or "")
    status, reply = server.mail(sender)
    if status != 250:
        raise smtplib.SMTPSenderRefused(status, reply, sender)
    refused = {}
    for address in to:
        status, reply = server.rcpt(address)
        if not 200 <= status <= 599:  # what follows may be the rest of this answer, and not about the next address
            raise smtplib.SMTPResponseException(status, reply)
        if status not in (250, 251):
            refused[address] = (status, reply)
    return refused


def _log_in(server: _Session, username: str, password: str) -> None:
    try:
        server.login(username, password)
    except smtplib.SMTPResponseException as problem:
        raise refused_login(problem.smtp_code) from None
    server.hide(username, password)


def _ask(server: smtplib.SMTP) -> None:
    """Say that the text comes. As long as the server has not asked for it, it surely has nothing."""
    status, reply = server.docmd("DATA")
    if status != 354:
        raise smtplib.SMTPDataError(status, reply)


def _hand_over(server: smtplib.SMTP, mail: bytes) -> None:
    """Send the text, its lines' first dots doubled (https://www.rfc-editor.org/rfc/rfc5321#section-4.5.2)."""
    server.send(re.sub(rb"(?m)^\.", b"..", mail) + b".\r\n")
    status, reply = server.getreply()
    if status != 250:
        raise smtplib.SMTPDataError(status, reply)
