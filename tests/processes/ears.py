"""What comes to the doors of the stand-ins, listened to for secrets; and a door that takes whatever is posted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.processes.canaries import Canary, Sighting, seen


@dataclass
class Ear:
    """Stands before an app and hears every call. Secrets may come to it in the header Authorization and in the address, if
    they are named in `bearer` and `path`, and nowhere else. `found` are those that came otherwise.
    """

    app: ASGIApp
    name: str
    canaries: Callable[[], Iterable[Canary]]
    bearer: frozenset[str] = frozenset()
    path: frozenset[str] = frozenset()
    calls: int = 0
    found: list[Sighting] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self._look("address", unquote(scope["path"]).encode() + b"?" + scope["query_string"], self.path)
        for key, value in scope["headers"]:
            name = key.decode("latin-1")
            self._look(f"header {name}", value, self.bearer if name == "authorization" else frozenset())
        if scope["type"] != "http":
            await self.app(scope, self._overhearing(receive), send)
            return
        messages = [message async for message in _whole(receive)]  # heard to its end, also where the app does not care for it
        self._look("body", b"".join(message.get("body", b"") for message in messages), frozenset())
        await self.app(scope, _again(messages, receive), send)

    def _overhearing(self, receive: Receive) -> Receive:
        async def overhear() -> MutableMapping[str, Any]:
            message = await receive()
            self._look("frame", str(message).encode(), frozenset())
            return message

        return overhear

    def _look(self, what: str, content: bytes, own: frozenset[str]) -> None:
        others = [each for each in self.canaries() if each.name not in own]
        self.found += seen(others, [(f"{what} of a call to {self.name}", content)])


async def _whole(receive: Receive) -> Any:
    while True:
        message = await receive()
        yield message
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _again(messages: Iterable[MutableMapping[str, Any]], receive: Receive) -> Receive:
    left: Iterator[MutableMapping[str, Any]] = iter(messages)

    async def again() -> MutableMapping[str, Any]:
        message = next(left, None)
        return await receive() if message is None else message

    return again


@dataclass(frozen=True)
class Posted:
    """A POST as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Letterbox:
    """Takes whatever is posted at any address, as incoming webhooks, webhooks and services for signs of life do."""

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])

    async def _take(self, request: Request) -> Response:
        self.posts.append(Posted(request.url.path, dict(request.headers), await request.body()))
        return PlainTextResponse("ok")
