"""One exchange with a server, with an end: `timeout` of a socket is for each read, and a server that drips never ends."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from alertd.clock import SECOND, Duration


class Wire:
    """The connections of one exchange; all of them are cut when `deadline` is over, and `late` is true from then on.

    `step` bounds each connecting and each read. Only the name server's time is not cut: the resolver has its own limit.
    """

    def __init__(self, deadline: Duration, step: Duration) -> None:
        self.late = False
        self._step = min(step, deadline) / SECOND
        self._guard = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(deadline / SECOND, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._timer.cancel()
        with self._guard:
            for each in self._sockets:
                each.close()
            self._sockets.clear()

    def connect(self, address: tuple[str, int], *_: object) -> socket.socket:
        """Connect, as socket.create_connection does; OSError, and TimeoutError once the time is up."""
        problem = OSError("the name has no address")
        for family, kind, protocol, _name, where in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
            try:
                return self._reach(socket.socket(family, kind, protocol), where)
            except OSError as raised:
                problem = raised
            if self.late:
                break
        raise problem

    def _reach(self, connection: socket.socket, where: tuple[Any, ...]) -> socket.socket:
        try:
            connection.settimeout(self._step)
            connection.connect(where)
            self._remember(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _remember(self, connection: socket.socket) -> None:
        with self._guard:
            if self.late:
                raise TimeoutError
            self._sockets.append(connection.dup())  # TLS takes the first one's descriptor away; a shutdown is for both

    def _cut(self) -> None:
        with self._guard:
            self.late = True
            for each in self._sockets:
                with suppress(OSError):  # it is gone already
                    each.shutdown(socket.SHUT_RDWR)
