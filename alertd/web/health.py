"""What is asked from outside: `/healthz`, `/readyz` and `/metrics`.

`/healthz` is for whoever restarts what has stopped, such as Kubernetes' liveness probe: 503 only if a restart is all that
helps. `/readyz` is for people: every part works, or which does not and what to do. `/metrics` has figures for Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


@dataclass(frozen=True)
class Check:
    """Whether one part works, in a sentence."""

    ok: bool
    text: str


def create_app(
    checks: Callable[[], Mapping[str, Check]],
    figures: Callable[[], bytes],
    wedged: Callable[[], str | None] = lambda: None,
) -> Starlette:
    """The app. `checks` looks at every part that can stop, `figures` writes them in Prometheus's text format.

    `wedged` says why only a restart helps, None while none is needed. It must not wait for anything, such as the store.
    """

    async def healthz(_request: Request) -> Response:  # on the loop itself: it answers though all threads were taken
        reason = wedged()
        return PlainTextResponse(f"{reason}; restart alertd\n" if reason else "ok\n", 503 if reason else 200)

    def readyz(_request: Request) -> Response:
        found = checks()
        ready = all(check.ok for check in found.values())
        parts = {name: {"ok": check.ok, "text": check.text} for name, check in found.items()}
        return JSONResponse({"ready": ready, "checks": parts}, 200 if ready else 503)

    def metrics(_request: Request) -> Response:
        return Response(figures(), headers={"content-type": CONTENT_TYPE_LATEST})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
