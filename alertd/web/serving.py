"""A Starlette app on a socket, in the foreground or in a thread."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from alertd.clock import SECOND, Duration
from alertd.errors import SettingsError

MOST = 100  # connections at once
PATIENCE: Duration = 10 * SECOND  # until a request is whole


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Listen on an address; SettingsError that names `setting` where it cannot be had. Port 0 takes any free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is said aloud: only then does asyncio turn Nagle's algorithm off, which would cost 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as problem:
        listener.close()
        taken = isinstance(problem, OSError) and problem.errno == errno.EADDRINUSE
        reason = "is taken; stop what listens there" if taken else f"cannot be used ({problem})"
        raise SettingsError(f"port {port} of {host} {reason}, or choose another with {setting}") from None
    return listener


class _Patient(H11Protocol):
    """A connection that is closed if a request is not whole in time, and at once where there are too many.

    Without it whoever begins requests and never ends them takes all files that the process may open.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's own does so
        super().connection_made(transport)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self.loop.call_later(PATIENCE / SECOND, self._look, None)

    def _look(self, before: RequestResponseCycle | None) -> None:
        """Close it if no request has become whole since the last look; what is being answered may take its time."""
        if self not in self.connections:
            return
        idle = before is None or before.response_complete
        if idle and self.cycle is before:
            self.transport.abort()
        else:
            self.loop.call_later(PATIENCE / SECOND, self._look, self.cycle)


class Server:
    """An app served from a thread. It listens when it is made, so its address is known before it starts."""

    def __init__(self, app: Starlette, listener: socket.socket) -> None:
        self._listener = listener
        quiet: dict[str, Any] = {"log_level": "warning", "log_config": None, "access_log": False, "lifespan": "off"}
        config = uvicorn.Config(app, http=_Patient, ws="wsproto", timeout_graceful_shutdown=2, **quiet)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)

    @property
    def address(self) -> str:
        """Where it is to be found."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is being answered, for two seconds at most."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(4)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])
