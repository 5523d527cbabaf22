"""What each way in which a mail server can fail means, and what to do about it. The only place that reads its exceptions.

Python prints a password in some of them, so nothing of their own text is passed on; the server's words are.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from typing import TypeAlias

from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError

Reply: TypeAlias = tuple[int, bytes]  # status and words

TIMEOUT: Duration = 20 * SECOND  # of one step on the wire

NO_TLS = (
    "the mail server offers no STARTTLS, so nothing was sent; set ALERTD_EMAIL__TLS=tls if it expects TLS from the start, "
    "or ALERTD_EMAIL__TLS=none only if plain text is really meant"
)
LOGIN = "the mail server refuses the login; check ALERTD_EMAIL__USERNAME and ALERTD_EMAIL__PASSWORD"
_PERHAPS = "the mail server gave no clear answer after the mail was handed over; it may have been taken all the same"
# What the SMTP status of a failure says to do (RFC 3463 and the habits of large servers).
ADVICE: Mapping[int, str] = {
    530: LOGIN,
    534: LOGIN,
    535: LOGIN,
    538: LOGIN,
    550: "check the addresses in receivers.yaml, and that ALERTD_EMAIL__SENDER may send through this server",
    551: "check the addresses in receivers.yaml",
    552: "the mailbox is full or the mail too large",
    553: "check the addresses in receivers.yaml, and ALERTD_EMAIL__SENDER: the server may want another sender",
    554: "check ALERTD_EMAIL__SENDER and whether the server lets this machine send",
}


def failed(problem: Exception, *, certain: bool, late: Duration | None = None) -> DeliveryError:
    """What an exception means. `certain`: the mail was surely not handed over; `late` is the deadline that is over."""
    if isinstance(problem, smtplib.SMTPConnectError):  # it may be a block that passes
        return answered(problem.smtp_code, problem.smtp_error, "does not want to talk to us", lasting=False)
    if isinstance(problem, smtplib.SMTPResponseException) and (certain or 400 <= problem.smtp_code <= 599):
        return answered(problem.smtp_code, problem.smtp_error, "refuses the mail")
    return _unanswered(problem, late) if certain else DeliveryError(_PERHAPS, ambiguous=True)


def answered(status: int, reply: bytes | str, what: str, *, lasting: bool = True) -> DeliveryError:
    """An SMTP status: 5xx will not change by itself if it is `lasting`, 4xx may (greylisting is a 451)."""
    advice = ADVICE.get(status)
    if advice == LOGIN and lasting:
        return DeliveryError(LOGIN, permanent=True)
    text = f"the mail server {what}: {status} {said(reply)}".rstrip()
    return DeliveryError(f"{text}; {advice}" if advice else text, permanent=lasting and 500 <= status <= 599)


def refused_login(status: int) -> DeliveryError:
    """Nothing that the server says during the login is passed on: some repeat the command, with the password in it."""
    if 500 <= status <= 599:
        return DeliveryError(f"{LOGIN} ({status})", permanent=True)
    return DeliveryError(f"the mail server does not take the login now ({status}); it is tried again")


def said(reply: bytes | str) -> str:
    """The server's own words, short and printable."""
    text = reply.decode("ascii", "replace") if isinstance(reply, bytes) else str(reply)
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))[:160].strip()


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
