"""A server on a raw socket that misbehaves as it is told: it drips, cuts, lies, floods, or says nothing at all."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

_PATIENCE = 60.0  # seconds until the server gives up dripping; nobody should ever wait for it


class Talk:
    """One connection, as a behaviour sees it."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self._sock = sock
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def drip(self, pieces: Iterable[bytes]) -> None:
        """Send a piece now and then, until the other side hangs up."""
        for count, piece in enumerate(pieces):
            if self._stopped.wait(0.02) or count * 0.02 > _PATIENCE:
                return
            self._sock.sendall(piece)

    def wait_for_hang_up(self) -> None:
        with suppress(OSError):
            while self._sock.recv(65536):
                pass

    def read_request(self) -> bytes:
        """The next request, head and body; empty when the other side has hung up."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += (more := self._sock.recv(65536))
            if not more:
                return b""
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        while length and len(body) < int(length[1]):
            body += self._sock.recv(65536)
        return head + b"\r\n\r\n" + body

    def reset(self) -> None:
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._sock.close()


Behaviour = Callable[[Talk], bool]  # true: the connection stays open for another request


class Hostile:
    """Answers each request with the next behaviour; the last one stays. `requests` is what it has read."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None, reads: bool = True) -> None:
        self._behaviours = list(behaviours)
        self._tls = tls
        self._reads = reads
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self.requests: list[bytes] = []
        self.hung_up = threading.Event()  # the other side left while we were still talking
        self.ended = threading.Semaphore(0)  # counts the connections that we have closed
        self.connections = 0

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in self._open:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            self._start(lambda sock=sock: self._serve(sock))  # type: ignore[misc] # a default is how a loop variable is bound

    def _serve(self, sock: socket.socket) -> None:
        try:
            with self._tls.wrap_socket(sock, server_side=True) if self._tls else sock as wrapped:
                talk = Talk(wrapped, self._stopped)
                while self._one(talk):
                    pass
        except OSError:
            self.hung_up.set()
        finally:
            sock.close()
            self.ended.release()

    def _one(self, talk: Talk) -> bool:
        if self._reads:
            request = talk.read_request()
            if not request:
                return False
            with self._lock:
                self.requests.append(request)
        with self._lock:
            behaviour = self._behaviours[0] if len(self._behaviours) == 1 else self._behaviours.pop(0)
        return behaviour(talk)


# --- behaviours ---


def answers(body: bytes = b"", status: int = 200, headers: str = "") -> Behaviour:
    """A proper answer."""

    def behave(talk: Talk) -> bool:
        lines = f"HTTP/1.1 {status} Whatever\r\n{headers}Content-Length: {len(body)}\r\n\r\n"
        talk.send(lines.encode("latin-1") + body)
        return True

    return behave


def says(data: bytes) -> Behaviour:
    """Exactly these bytes, then the end of the connection."""

    def behave(talk: Talk) -> bool:
        talk.send(data)
        return False

    return behave


def drips(first: bytes, *, forever: bytes) -> Behaviour:
    """Some bytes at once, and then the same ones again and again, slowly, without end."""

    def behave(talk: Talk) -> bool:
        talk.send(first)
        talk.drip(iter(lambda: forever, None))
        return False

    return behave


def is_silent(talk: Talk) -> bool:
    """Takes everything and says nothing."""
    talk.wait_for_hang_up()
    return False


def hangs_up(_: Talk) -> bool:
    return False


def resets(talk: Talk) -> bool:
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    talk.reset()
    return False


def gzip_bomb(mebibytes: int) -> bytes:
    """So many mebibytes of zeros, packed."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(bytes(2**20)) for _ in range(mebibytes)) + packer.flush()


def floods(head: bytes, piece: bytes, mebibytes: int) -> Behaviour:
    """A very long answer."""

    def behave(talk: Talk) -> bool:
        talk.send(head)
        for _ in range(mebibytes * 2**20 // len(piece)):
            talk.send(piece)
        return False

    return behave


def certificate(folder: Path, openssl: str, name: str) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for a name, such as IP:127.0.0.1, and a server's context with it."""
    import subprocess

    cert, key = folder / "cert.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", f"subjectAltName={name}", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return cert, context
