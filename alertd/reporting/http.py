"""One HTTP exchange, hardened, for the whole program: it ends in time, has a size, goes nowhere else and tells no secret."""

from __future__ import annotations

import http.client
import ipaddress
import logging
import re
import socket
import ssl
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from alertd import __version__
from alertd.clock import Duration
from alertd.durations import spell_duration
from alertd.errors import Refused, ReportingError, SettingsError, TimedOut, TooLarge
from alertd.reporting.failures import chain_of, failure

_CHUNK = 64 * 1024

# A connection unused for so long is not used again: balancers and NATs forget it untold, and the name may have moved meanwhile.
_IDLE_SECONDS = 30.0

_HEADER = re.compile(r"[\x21-\x7e]+(?: +[\x21-\x7e]+)*")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names in lower case, the body unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class Http:
    """A connection pool that threads may share.

    The deadline holds for everything: name lookup, connecting, TLS, headers, body. The sockets' own timeouts cannot do that
    (a server that drips a byte a second never runs into them, and a name lookup has none), so an exchange runs in a thread of
    its own; when its time is over, its caller leaves and shuts its socket, which ends it there and then. That costs a thread
    per exchange, some 0.1 ms. Only a name lookup cannot be shut: its thread lives until the resolver gives up (10 to 30 s).
    There are never more than `at_once` threads; one exchange more waits for its turn, within its deadline.

    requests' Session is left out on purpose: it is what reads netrc and proxy variables, keeps cookies and follows redirects.
    """

    def __init__(
        self, *, proxy: str | None = None, ca_file: Path | None = None, allow_plain_http: bool = False, at_once: int = 16
    ) -> None:
        """Raise SettingsError where `proxy` or `ca_file` cannot be used. Loopback addresses never go through the proxy."""
        self._proxies = _check_proxy(proxy)
        self._verify = _check_ca_file(ca_file)
        self._plain = allow_plain_http
        self._at_once = at_once
        self._room = threading.BoundedSemaphore(at_once)
        self._adapter = _Adapter(pool_connections=8, pool_maxsize=at_once, max_retries=0)
        _quieten_urllib3()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the idle connections; those in use close when their exchange ends."""
        self._adapter.close()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        deadline: Duration,
        most_bytes: int,
    ) -> Answer:
        """Send a request and return the whole answer, whatever its status, redirects excepted. Raises ReportingError."""
        until = time.monotonic() + deadline / 1000
        host = self._check_address(url)
        request = requests.Request(method, url, headers=_headers(headers), data=body).prepare()
        if not self._room.acquire(timeout=max(0.0, until - time.monotonic())):
            many = f"{self._at_once} earlier calls have not ended"
            raise TimedOut(f"{many}, usually because names cannot be looked up; check the DNS of this machine", answered=False)
        work = _Work(host)
        try:
            todo = (work, request, until, most_bytes)
            threading.Thread(target=self._run, args=todo, name="alertd-http", daemon=True).start()
        except RuntimeError:  # the machine has no thread left
            self._room.release()
            raise
        return work.result(until, deadline)

    def _check_address(self, url: str) -> str:
        host = host_of(url)
        if urlsplit(url).scheme == "http" and not (self._plain or is_loopback(host)):
            advice = "use https://, or set ALERTD_REPORTING__ALLOW_PLAIN_HTTP=true if that is meant"
            raise Refused(f"{host} would be called without encryption; {advice}", answered=False)
        return host

    def _run(self, work: _Work, request: requests.PreparedRequest, until: float, most_bytes: int) -> None:
        _here.work = work
        try:
            work.outcome = self._send(work, request, until, most_bytes)
        except BaseException as error:  # noqa: BLE001 - it is raised again, in the caller's thread
            work.outcome = error
        finally:
            self._room.release()
            work.done.set()

    def _send(self, work: _Work, request: requests.PreparedRequest, until: float, most_bytes: int) -> Answer:
        left = max(0.001, until - time.monotonic())
        proxies = None if is_loopback(work.host) else self._proxies
        with _translated(work):
            response = self._adapter.send(request, stream=True, timeout=(left, left), verify=self._verify, proxies=proxies)
            with closing(response):
                work.answered = True
                _refuse_redirect(work.host, response)
                body = _read(work.host, response, most_bytes)
                return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def host_of(url: str) -> str:
    """The host of an address that may be called; Refused, without the address, says what is wrong with another."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("the address is not one; write it like https://driftapi.com", answered=False)
    if parts.username is not None or parts.password is not None:
        raise Refused(f"the address of {host} has a user name or password in it; leave them out", answered=False)
    return host


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def clean_secret(text: str, what: str) -> str:
    """Strip the white space around a secret; ValueError, without the secret, if it cannot stand in a header."""
    stripped = text.strip()
    if not stripped:
        raise ValueError(f"{what} is empty")
    if not re.fullmatch(r"[\x21-\x7e]+", stripped):
        raise ValueError(f"{what} has white space, a control character or a non-ASCII character in it")
    return stripped


# --- one exchange ---


class _Work:
    """An exchange on its way, shared by its caller and its thread."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.answered = False
        self.outcome: Answer | BaseException = RuntimeError("the exchange has not ended")
        self.done = threading.Event()
        self._socket: socket.socket | None = None
        self._left = False

    def hold(self, sock: socket.socket) -> None:
        """Remember the socket in use; TimeoutError if the caller has left, which is looked at second (`leave`: first)."""
        self._socket = sock
        if self._left:
            raise TimeoutError("nobody waits for this answer any more")

    def leave(self) -> None:
        """Stop waiting; whatever the thread does on its socket ends now."""
        self._left = True
        with suppress(OSError):  # closed already, or in the middle of TLS, which has a timeout of its own
            if self._socket is not None:
                # Not SSLSocket's own shutdown, which takes the TLS state away from under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def result(self, until: float, deadline: Duration) -> Answer:
        """Wait for the answer, raise the failure, or leave."""
        try:
            in_time = self.done.wait(max(0.0, until - time.monotonic()))
            answered = self.answered  # before leaving: headers that are shut off pass for complete ones
        finally:
            if not self.done.is_set():
                self.leave()
        if not in_time:
            raise TimedOut(f"{self.host} did not answer within {spell_duration(deadline)}", answered=answered)
        if not isinstance(self.outcome, BaseException):
            return self.outcome
        if isinstance(self.outcome, ReportingError):
            # Its context, the foreign error in full, quotes the address and holds the request; traces hold all that was read.
            self.outcome.__context__ = cause = self.outcome.__cause__
            for each in filter(None, (self.outcome, cause)):
                each.__traceback__ = None
        raise self.outcome


def _refuse_redirect(host: str, response: requests.Response) -> None:
    if not 300 <= response.status_code < 400:
        return
    try:
        target = urlsplit(urljoin(response.url, response.headers.get("Location", ""))).hostname or "nowhere"
    except ValueError:
        target = "nowhere"
    shown = re.sub(r"[^A-Za-z0-9.:-]", "?", target[:100])
    raise Refused(f"{host} answers with a redirect ({response.status_code}) to {shown}; use the address it has moved to")


def _read(host: str, response: requests.Response, most_bytes: int) -> bytes:
    """Read the body piece by piece. The bytes are counted unpacked, so that a small answer cannot grow without limit."""
    pieces, size = [], 0
    for piece in response.iter_content(_CHUNK):
        size += len(piece)
        if size > most_bytes:
            raise TooLarge(f"{host} sent more than {most_bytes / 2**20:.3g} MiB")
        pieces.append(piece)
    return b"".join(pieces)


def _headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(value):
            raise Refused(f"the value of the header {name} cannot be sent: it is empty or not plain ASCII", answered=False)
    return {"User-Agent": f"alertd/{__version__}", "Accept-Encoding": "gzip", **headers}


# --- connections that can be shut from outside ---

_here = threading.local()  # .work: what the thread is working on


class _Watched(HTTPConnection):
    """A connection that hands its socket to the exchange that uses it, from the first moment on."""

    _open: Any = None
    _used = 0.0

    @property
    def sock(self) -> Any:
        return self._open

    @sock.setter
    def sock(self, sock: Any) -> None:
        self._open = sock
        if sock is not None:
            _here.work.hold(sock)

    @property
    def is_connected(self) -> bool:
        return super().is_connected and time.monotonic() - self._used < _IDLE_SECONDS

    def _tunnel(self) -> None:
        super()._tunnel()
        _here.work.hold(self._open)  # a proxy's answer that was shut off passes for a complete one

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._used = time.monotonic()
        if self._open is not None:
            _here.work.hold(self._open)
        super().request(*args, **kwargs)


class _WatchedTls(_Watched, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _Adapter(HTTPAdapter):
    """requests' adapter, with connections of ours."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
        return manager


def _check_proxy(proxy: str | None) -> dict[str, str]:
    if not proxy:
        return {}
    if not proxy.startswith("http://") or not urlsplit(proxy).hostname:
        raise SettingsError("the proxy's address is not one; write it like http://proxy.example.com:3128")
    return {"http": proxy, "https": proxy}


def _check_ca_file(path: Path | None) -> str | bool:
    if path is None:
        return True
    try:
        if stat.S_ISREG(path.stat().st_mode):
            ssl.create_default_context(cafile=path)
            return str(path)
        reason: object = "it is not an ordinary file"  # a pipe would be waited for
    except (OSError, ValueError) as error:  # no such file, may not be read; SSLError, which is one, where it is no certificate
        reason = getattr(error, "strerror", None) or error
    raise SettingsError(f"{path} cannot be used as the list of trusted certificates: {reason}")


def _quieten_urllib3() -> None:
    """Keep addresses out of the logs: at DEBUG urllib3 writes their paths, and with a bad header line all of them."""
    for name, level in (("urllib3", logging.INFO), ("urllib3.connection", logging.ERROR)):
        logging.getLogger(name).setLevel(level)


@contextmanager
def _translated(work: _Work) -> Iterator[None]:
    """Turn what requests, urllib3, ssl and socket raise into a ReportingError.

    Its cause is the error at the root where that is the system's own; others quote the address or what the server sent.
    """
    try:
        yield
    except ReportingError:
        raise
    except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, UnicodeError) as error:
        chain = chain_of(error)
        root = chain[-1]
        system = root if isinstance(root, OSError) and not isinstance(root, requests.RequestException) else None
        proxy = any(isinstance(each, requests.exceptions.ProxyError | urllib3.exceptions.ProxyError) for each in chain)
        raise failure(chain, system, "the proxy" if proxy else work.host, answered=work.answered) from system
