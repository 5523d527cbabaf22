"""One exchange with a server, with an end: `timeout` of a socket is for each read, and a server that drips never ends."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from alertd.clock import SECOND, Duration

# Addresses that are not out on the internet. Written down here, because Python's `is_private` and `is_global` are wrong about
# shared addresses, multicast and those that translate: https://www.iana.org/assignments/iana-ipv4-special-registry
_INSIDE = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"),
            *("192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32"),  # the last one is the metadata service of Azure
        ),
    )
)
_OUTSIDE = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that is given out; not in it: what tunnels or is for books
_NOT_OUTSIDE = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")  # NAT64: the IPv4 address is in the last 32 bits


class NotAdmitted(OSError):
    """The name leads to an address where this exchange may not go; nothing was connected."""


def inside(address: str) -> bool:
    """Whether an address may be one of our own network, of this machine, or of nobody; in doubt it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    if isinstance(found, ipaddress.IPv6Address):
        if found not in _TRANSLATED:  # mapped ones (::ffff:0:0/96) are refused as such: no name has them
            return found not in _OUTSIDE or any(found in network for network in _NOT_OUTSIDE)
        found = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return any(found in network for network in _INSIDE)


class Wire:
    """The connections of one exchange; all of them are cut when `deadline` is over, and `late` is true from then on.

    `step` bounds each connecting and each read. Only the name server's time is not cut: the resolver has its own limit.
    `admit` says of an address whether it may be connected to; every address of a name is held against it before the first
    is tried, and the name is not looked up again, so that no second answer of the name server leads elsewhere.
    """

    def __init__(
        self,
        deadline: Duration,
        step: Duration,
        *,
        admit: Callable[[str], bool] | None = None,
        resolve: Callable[..., Any] = socket.getaddrinfo,
    ) -> None:
        self.late = False
        self.open = False  # connected, with TLS where that is asked for: from here on something may have been sent
        self._admit, self._resolve = admit, resolve
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
        """Connect, as socket.create_connection does; OSError, NotAdmitted, and TimeoutError once the time is up."""
        problem = OSError("the name has no address")
        found = self._resolve(*address, 0, socket.SOCK_STREAM)
        if self._admit and not all(self._admit(str(each[4][0])) for each in found):
            raise NotAdmitted
        for family, kind, protocol, _name, where in found:
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
