"""What each way to fail means for a webhook. No text of an answer or an exception is passed on: the address may be in it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from urllib.error import URLError

from alertd.channels.http import Answer
from alertd.channels.wire import NotAdmitted
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError

PRIVATE = "ALERTD_WEBHOOK__ALLOW_PRIVATE"
INSIDE = f"leads to an address inside your network, where webhooks may not go; set {PRIVATE}=true if that is meant"
READABLE = "leads out of your network by http://, which anybody on the way can read; use https://"
_PERHAPS = "it may have taken the message all the same"

# Not taken, but it may be later: busy, too early, too many, away for a moment.
LATER = frozenset({408, 409, 423, 425, 429, 503})

# Other 4xx will not change by themselves; what a status says to do.
_DISLIKES = "it dislikes the message; its log should say why"
ADVICE: Mapping[int, str] = {
    401: "it wants another address",
    403: "it wants another address",
    404: "there is nothing at that address",
    405: "it takes no POST at that address",
    410: "what was at that address is gone",
    413: "it does not take messages of that size",
    415: "it takes no JSON",
}

# Why there was no connection; the first kind that fits.
_UNREACHED: tuple[tuple[type[Exception], str], ...] = (
    (socket.gaierror, "its name cannot be found; check it, and the name server"),
    (ssl.SSLCertVerificationError, "its certificate is not valid for its name, or comes from somebody who is not trusted here"),
    (ssl.SSLError, "there is no TLS; its port may be one for plain HTTP"),
    (ConnectionRefusedError, "it refuses connections; check whether the service runs"),
    (Exception, "there is no connection; check it, and the network"),
)


def answered(answer: Answer, where: str) -> DeliveryError | None:
    """What an answer means; None if the message was taken. `where` is the variable that has the address."""
    status = answer.status
    if 200 <= status <= 299:
        return None
    if (host := answer.moved_to) is not None:
        to = f" to {host}" if host else ""
        return DeliveryError(f"{where} redirects{to}, which is not followed; set it to where that leads", permanent=True)
    if status in LATER:
        asked = f" and asks us to wait {answer.wait // SECOND} s" if answer.wait else ""
        return DeliveryError(f"{where} does not take the message now ({status}){asked}", retry_after=answer.wait)
    if 400 <= status <= 499:
        return DeliveryError(f"{where} answers {status}: {ADVICE.get(status, _DISLIKES)}", permanent=True)
    return DeliveryError(f"{where} answers {status}; {_PERHAPS}", ambiguous=True, retry_after=answer.wait)


def broken(problem: Exception, where: str, deadline: Duration, *, plain: bool) -> DeliveryError:
    """What it means that there was no answer; nothing was sent if it is a URLError. `plain`: the address is http://."""
    if not isinstance(problem, URLError):
        slow = isinstance(problem, TimeoutError)
        what = f"no answer came within {deadline // SECOND} s" if slow else "the connection broke before the answer"
        return DeliveryError(f"{where}: {what}; {_PERHAPS}", ambiguous=True)
    reason = problem.reason if isinstance(problem.reason, Exception) else OSError()
    if isinstance(reason, NotAdmitted):
        return DeliveryError(f"{where} {READABLE if plain else INSIDE}", permanent=True)
    return DeliveryError(f"{where}: {next(text for kind, text in _UNREACHED if isinstance(reason, kind))}")
