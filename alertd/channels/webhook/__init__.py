"""`webhook`: a POST to an address of your own, in Alertmanager's JSON, signed.

With a secret, whoever takes it can tell that it comes from us, is whole, and is of now. In Python, where `headers` and the
bytes `body` are what has arrived:

    stamp, said = headers["X-Alertd-Timestamp"], headers["X-Alertd-Signature"]
    real = hmac.new(SECRET.encode(), stamp.encode() + b"." + body, "sha256").hexdigest()
    good = hmac.compare_digest(said, f"sha256={real}") and abs(time.time() - int(stamp)) < 300
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import Request

from pydantic import Field

from alertd import __version__
from alertd.channels.base import Access, Channel, Message, Receipt, Variable
from alertd.channels.http import BROKEN, exchange
from alertd.channels.webhook.body import ONE_SHOT, compose, opened, remember
from alertd.channels.webhook.outcomes import INSIDE, PRIVATE, answered, broken
from alertd.channels.wire import inside
from alertd.clock import SECOND, Duration, SystemClock
from alertd.errors import DeliveryError
from alertd.facts import Kind

DEADLINE: Duration = 15 * SECOND  # of the whole exchange
NOW = SystemClock().now  # the hour of posting, by which nothing is decided here


class Webhook(Channel):
    """An address of your own, which gets each notice in Alertmanager's JSON, signed."""

    pace: ClassVar[int] = 0
    burst: ClassVar[int | None] = None  # machines want each

    url_env: Variable = Field(description="The environment variable with the address; it begins with `https://`.")
    secret_env: Variable | None = Field(
        default=None,
        description="The environment variable with the secret that signs what is sent; without it nothing is signed.",
    )

    def missing(self, access: Access) -> str | None:
        return self._lacking(*self._secrets(access), private=access.private)

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send one message; whatever is not answered with 2xx is a DeliveryError.

        The receipt says what the receiver takes for firing, so that all of it is ended later.
        """
        address, secret = self._secrets(access)  # once: they may change at any time
        if lacking := self._lacking(address, secret, private=access.private):
            raise DeliveryError(lacking, permanent=True)
        if message.kind is Kind.REFRESHED:
            return thread or {}
        told, firing = compose(message, opened(thread))
        bodies = [told]
        if message.kind is Kind.TEST:  # what a test opens at the other end it closes there
            ended = replace(message, notice=replace(message.notice, resolved_at=message.notice.at))
            bodies.append(compose(ended, {})[0])
        for each in bodies:
            body = json.dumps(each, allow_nan=False).encode()
            self._post(Request(address, body, _headers(message) | _signature(secret, body)), private=access.private)  # noqa: S310 - http(s)
        return {} if message.kind in ONE_SHOT else remember(firing)

    def _secrets(self, access: Access) -> tuple[str, str]:
        secret = access.secret(self.secret_env) if self.secret_env else None
        return access.secret(self.url_env) or "", secret or ""

    def _lacking(self, address: str, secret: str, *, private: bool) -> str | None:
        if not address:
            return f"set {self.url_env} or {self.url_env}_FILE to the address of the webhook"
        if wrong := _wrong(address, private=private):
            return f"{self.url_env} {wrong}"
        if self.secret_env and not secret:
            return f"set {self.secret_env} or {self.secret_env}_FILE to the secret that signs what is sent"
        return None

    def _post(self, request: Request, *, private: bool) -> None:
        try:
            answer = exchange(request, None, DEADLINE, admit=_admitting(request.type, private=private))
        except BROKEN as problem:
            raise broken(problem, self.url_env, DEADLINE, plain=request.type == "http") from None
        if refused := answered(answer, self.url_env):
            raise refused


def _headers(message: Message) -> dict[str, str]:
    """A repeat has the first attempt's key. That it is one is said here: under one key the body should not differ."""
    headers = {"Content-Type": "application/json", "User-Agent": f"alertd/{__version__}"}
    repeat = {"X-Alertd-Repeat": "yes"} if message.repeat else {}
    return headers | {"Idempotency-Key": message.key, "X-Alertd-Key": message.key} | repeat


def _signature(secret: str, body: bytes) -> dict[str, str]:
    """HMAC-SHA256, in hexadecimal, of the seconds since 1970, a dot, and the body as it is sent."""
    stamp = str(NOW() // SECOND)
    signed = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"X-Alertd-Timestamp": stamp} | ({"X-Alertd-Signature": f"sha256={signed}"} if secret else {})


def _wrong(address: str, *, private: bool) -> str | None:
    """What is wrong with an address, without telling it."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname or "", parts.port  # a port that is none raises
    except ValueError:
        return "is not an address"
    if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
        return "is not the address of a webhook; it begins with https:// and a name (one beyond ASCII in its xn-- form)"
    if not re.fullmatch(r"[!-~]+", address):
        return "is not an address: there are spaces, control characters or letters beyond ASCII in it"
    if "@" in parts.netloc:
        return "has a user name in it, which is not sent; let the path be the secret, and sign with secret_env"
    if parts.scheme == "http" and not private:
        return f"begins with http://, which anybody on the way can read; use https://, or set {PRIVATE}=true if it is inside"
    return INSIDE if not private and _plainly_inside(host) else None


def _plainly_inside(host: str) -> bool:
    """Whether that can be seen without asking a name server; otherwise it is seen when it is connected to."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return inside(host)


def _admitting(scheme: str, *, private: bool) -> Callable[[str], bool] | None:
    """Where a webhook may go: out; with `private` anywhere, but by plain HTTP only inside."""
    if not private:
        return lambda address: not inside(address)
    return inside if scheme == "http" else None


CHANNEL = Webhook
