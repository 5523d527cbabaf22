"""The reporting API over HTTP: the document's calls and errors, and two addresses of our own under /sandbox."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from alertd.clock import SECOND, Clock, Duration
from alertd.errors import QueryError, SettingsError
from alertd.sandbox.answer import answer, parse_query
from alertd.sandbox.columns import World
from alertd.sandbox.faults import Fault, FaultKind, Luck, parse_faults
from alertd.sandbox.limiter import Limiter

CALLS_PER_MINUTE = 60
TIME_LIMIT: Duration = 10 * SECOND
BORROWED: Duration = 5 * SECOND  # the Retry-After of a 429 that is a fault

_TYPES = {400: "validation_error", 401: "authentication_error", 404: "not_found", 429: "rate_limit"}


class Cut(Response):
    """An answer that promises its whole length and breaks off in the middle."""

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        # Never told that this was all, the server has to close the connection.
        await send({"type": "http.response.body", "body": bytes(self.body)[: len(self.body) // 2], "more_body": True})


@dataclass(frozen=True, slots=True)
class Terms:
    """What the API asks of its callers: a token (None: no token), so many calls in any 60 s, queries faster than that."""

    token: str | None
    calls_per_minute: int
    time_limit: Duration


class Sandbox:
    """What the addresses of one app share. `luck.faults` may be replaced while it runs."""

    def __init__(self, world: World, clock: Clock, luck: Luck, terms: Terms) -> None:
        self.luck = luck
        self._world, self._clock, self._terms = world, clock, terms
        self._limiter = Limiter(terms.calls_per_minute)

    async def report(self, request: Request) -> Response:
        """POST /reports/conversations."""
        self._authenticate(request)
        wait = self._limiter.arrive(self._clock.uptime())
        if wait is not None:
            return _too_many(wait)
        body = await request.body()
        fault = self.luck.draw()
        refusal = await self._fail(fault)
        if refusal is not None:
            return refusal
        response = await run_in_threadpool(self._answer, body)
        return _cut(response) if fault is not None and fault.kind is FaultKind.CUT else response

    async def users(self, request: Request) -> Response:
        """GET /users/list."""
        self._authenticate(request)
        return _json({"data": self._world.users})

    async def playbooks(self, request: Request) -> Response:
        """GET /playbooks/list: a bare list, as the API has it."""
        self._authenticate(request)
        return _json(self._world.playbooks)

    async def stats(self, _request: Request) -> Response:
        """GET /sandbox/stats: what arrived at /reports/conversations so far."""
        return _json(asdict(self._limiter.stats))

    async def faults(self, request: Request) -> Response:
        """PUT /sandbox/faults with a list like ["timeout:0.1"]: what goes wrong from now on."""
        try:
            self.luck.faults = parse_faults(msgspec.json.decode(await request.body(), type=list[str]))
        except (msgspec.MsgspecError, SettingsError) as error:
            return _error(400, str(error))
        return _json({"faults": len(self.luck.faults)})

    def _authenticate(self, request: Request) -> None:
        if self._terms.token is None:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._terms.token}".encode()):
            raise HTTPException(401, "The access token is invalid or has expired")

    def _answer(self, body: bytes) -> Response:
        try:
            query = parse_query(body)
            return _bytes(200, answer(self._world.at(self._clock.now()), query))
        except QueryError as error:
            return _error(400, str(error))

    async def _fail(self, fault: Fault | None) -> Response | None:
        """Wait as a fault wants it, and refuse the call if it does."""
        if fault is None or fault.kind is FaultKind.CUT:
            return None
        if fault.kind is FaultKind.TOO_MANY:
            return _too_many(BORROWED)
        if fault.kind is FaultKind.INTERNAL:
            return _error(500, "something went wrong on our side (a fault that was asked for)")
        limit = self._terms.time_limit
        pause = fault.pause if fault.kind is FaultKind.SLOW else limit
        await asyncio.sleep(min(pause, limit) / SECOND)
        return _error(504, f"the query timed out after {limit / SECOND:g} s") if pause >= limit else None


def create_app(
    world: World,
    clock: Clock,
    *,
    token: str | None = None,
    faults: Iterable[Fault] = (),
    seed: int = 1,
    calls_per_minute: int = CALLS_PER_MINUTE,
    time_limit: Duration = TIME_LIMIT,
) -> Starlette:
    """The API over one world; may be mounted under a prefix. Its Sandbox is `app.state.sandbox`."""
    sandbox = Sandbox(world, clock, Luck(faults, seed), Terms(token, calls_per_minute, time_limit))
    app = Starlette(
        routes=[
            Route("/reports/conversations", sandbox.report, methods=["POST"]),
            Route("/users/list", sandbox.users, methods=["GET"]),
            Route("/playbooks/list", sandbox.playbooks, methods=["GET"]),
            Route("/sandbox/stats", sandbox.stats, methods=["GET"]),
            Route("/sandbox/faults", sandbox.faults, methods=["PUT"]),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _http_error},
    )
    app.state.sandbox = sandbox
    return app


def _http_error(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        return _error(error.status_code, error.detail, error.headers)
    return _error(500, "something went wrong on our side")


def _too_many(wait: Duration) -> Response:
    seconds = max(1, -(-wait // SECOND))
    return _error(429, f"too many calls; wait {seconds} s", {"Retry-After": str(seconds)})


def _error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    kind = _TYPES.get(status, "internal_error" if status >= 500 else "validation_error")
    return _bytes(status, msgspec.json.encode({"error": {"type": kind, "message": message}}), headers)


def _cut(response: Response) -> Response:
    return Cut(response.body, response.status_code, media_type="application/json")


def _json(value: object) -> Response:
    return _bytes(200, msgspec.json.encode(value))


def _bytes(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, dict(headers) if headers else None, media_type="application/json")
