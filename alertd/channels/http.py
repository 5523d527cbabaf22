"""One HTTP exchange on a wire of ours: one deadline for the whole, no redirects, no endless answers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit
from urllib.request import HTTPErrorProcessor, HTTPHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from alertd.channels.wire import Wire
from alertd.clock import SECOND, Duration

TIMEOUT: Duration = 10 * SECOND  # of one step on the wire
LARGEST = 1_000_000  # bytes of an answer
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    headers: HTTPMessage
    text: str


def exchange(request: Request, proxy: str | None, deadline: Duration) -> Answer:
    """Send one request and read its answer; TimeoutError once the time is up, URLError, OSError or HTTPException."""
    with Wire(deadline, TIMEOUT) as wire:
        try:
            answer = _read(request, proxy, wire)
        except (OSError, HTTPException, ValueError):
            if wire.late:
                raise TimeoutError from None
            raise
        if wire.late:  # an answer without a length looks whole when it is cut
            raise TimeoutError
        return answer


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
        return made  # type: ignore[no-any-return]  # it is any for the line above

    return connection
