"""One HTTP exchange on a wire of ours: one deadline for the whole, no redirects, no endless answers."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, HTTPHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from alertd.channels.wire import Wire
from alertd.clock import MINUTE, SECOND, Duration

TIMEOUT: Duration = 10 * SECOND  # of one step on the wire
LARGEST = 1_000_000  # bytes of an answer
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_WAIT: Duration = 15 * MINUTE
BROKEN = (OSError, HTTPException, ValueError)  # all that `exchange` raises; their texts may hold the address


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: HTTPMessage
    text: str

    @property
    def moved_to(self) -> str | None:
        """The host that a redirect points to, empty where it says none, without the path; None if it is no redirect."""
        if not 300 <= self.status <= 399:
            return None
        try:
            host = urlsplit(self.headers.get("location", "")).hostname or ""
        except ValueError:
            host = ""
        return host if re.fullmatch(r"[a-z0-9.-]{1,100}", host) else ""

    @property
    def wait(self) -> Duration | None:
        """How long `Retry-After` asks us to wait, 15 min at most; a date counts from the answer's own `Date`."""
        text = str(self.headers.get("retry-after", "")).strip()
        if re.fullmatch(r"[0-9]{1,99}", text):
            return min(max(int(text), 1) * SECOND, LONGEST_WAIT)
        try:
            length = parsedate_to_datetime(text) - parsedate_to_datetime(str(self.headers.get("date", "")))
        except (TypeError, ValueError, OverflowError):  # none, or nonsense
            return None
        return min(max(round(length.total_seconds()), 1) * SECOND, LONGEST_WAIT)


def exchange(request: Request, proxy: str | None, deadline: Duration, *, admit: Callable[[str], bool] | None = None) -> Answer:
    """Send one request and read its answer; one of BROKEN, of which URLError means that nothing was sent.

    TimeoutError, by itself or as the reason of a URLError, once the time is up. `admit` says to which addresses it may go.
    """
    with Wire(deadline, TIMEOUT, admit=admit) as wire:
        try:
            answer = _read(request, proxy, wire)
        except BROKEN as problem:
            raise _said(problem, wire) from None
        if wire.late:  # an answer without a length looks whole when it is cut
            raise TimeoutError
        return answer


def _said(problem: Exception, wire: Wire) -> Exception:
    """The exception that says whether something may have been sent; urllib says URLError until the last byte has gone."""
    found = problem.reason if isinstance(problem, URLError) else problem
    found = TimeoutError() if wire.late else found if isinstance(found, Exception) else OSError()
    return found if wire.open else URLError(found)


def _read(request: Request, proxy: str | None, wire: Wire) -> Answer:
    near = urlsplit(request.full_url).hostname in LOOPBACK
    proxies = {"http": proxy, "https": proxy} if proxy and not near else {}
    opener = build_opener(ProxyHandler(proxies), _Http(wire), _Https(wire), _AsItIs())
    with opener.open(request, timeout=TIMEOUT / SECOND) as response:
        text = response.read(LARGEST).decode("utf-8", "replace")
        return Answer(response.status, response.headers, text)


class _AsItIs(HTTPErrorProcessor):
    """Every status is an answer: nothing is followed, so that the token goes nowhere else."""

    def http_response(self, request: Request, response: HTTPResponse) -> HTTPResponse:  # noqa: ARG002 - urllib's
        return response

    https_response = http_response


class _Http(HTTPHandler):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_on(self._wire, HTTPConnection), req)


class _Https(HTTPSHandler):
    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(_on(self._wire, HTTPSConnection), req, context=ssl.create_default_context())


def _on(wire: Wire, kind: type[HTTPConnection]) -> Any:
    def connection(host: str, **options: Any) -> HTTPConnection:
        made: Any = kind(host, **options)
        made._create_connection = wire.connect  # noqa: SLF001 - no other way in; a test drips and would never end
        connect = made.connect

        def noted() -> None:
            connect()
            wire.open = True

        made.connect = noted
        return made  # type: ignore[no-any-return]  # it is any for the lines above

    return connection
