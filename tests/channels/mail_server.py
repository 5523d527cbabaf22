"""A mail server that follows a script: at each step of the conversation it says what it is told to, or nothing, or hangs up."""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import pytest

CUT = b"cut"  # instead of an answer: it hangs up
SILENCE = b"silence"  # it says nothing more
USUAL = {
    "connect": b"220 mail.example.com\r\n",
    "EHLO": b"250-mail.example.com\r\n250 AUTH PLAIN\r\n",
    "STARTTLS": b"220 go ahead\r\n",
    "AUTH": b"235 welcome\r\n",
    "DATA": b"354 go ahead\r\n",
    "QUIT": b"221 bye\r\n",
}
OK = b"250 OK\r\n"


@dataclass
class Handed:
    """A text that came whole: for whom, and what the server said to it."""

    recipients: tuple[str, ...]
    text: bytes
    reply: bytes

    def header(self, name: str) -> str:
        found = re.search(rf"(?im)^{name}: (.*)\r$", self.text.decode())
        assert found
        return found[1]


@dataclass
class PostOffice:
    """The script, and what has happened. Steps: `connect`, a command's name, `RCPT a@example.com`, `text` for what ends it.

    What an answer does not begin with 2 or 3, names nobody; one without a line's end is followed by hanging up.
    """

    port: int = 0
    script: dict[str, bytes] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    handed: list[Handed] = field(default_factory=list)
    tls: ssl.SSLContext | None = None
    _over: threading.Event = field(default_factory=threading.Event)

    def serve(self, connection: socket.socket) -> None:
        with suppress(OSError), connection, connection.makefile("rb") as heard:
            if self._say(connection, "connect"):
                self._converse(connection, heard)

    def _converse(self, connection: socket.socket, heard: BinaryIO) -> None:
        named: list[str] = []
        while line := heard.readline().decode("latin-1").strip():
            self.commands.append(line)
            address = re.fullmatch(r"(?i)rcpt to:<(.*)>", line)
            step = f"RCPT {address[1]}" if address else line.split()[0].upper()
            if not self._say(connection, step):
                return
            answer = self._answer(step)
            if address and answer.startswith(b"25"):
                named.append(address[1])
            if step == "STARTTLS" and answer.startswith(b"220") and self.tls:
                with self.tls.wrap_socket(connection, server_side=True) as safe, safe.makefile("rb") as whispered:
                    self._converse(safe, whispered)
                return
            if step == "DATA" and answer.startswith(b"354"):
                if (text := _text(heard)) is None:
                    return
                self.handed.append(Handed(tuple(named), text, self._answer("text")))
                named = []
                if not self._say(connection, "text"):
                    return

    def _answer(self, step: str) -> bytes:
        return self.script.get(step, USUAL.get(step, OK))

    def _say(self, connection: socket.socket, step: str) -> bool:
        """Answer; False when the conversation is over."""
        answer = self._answer(step)
        if answer == SILENCE:
            self._over.wait()
        if answer not in (SILENCE, CUT):
            connection.sendall(answer)
        if answer.endswith(b"\n"):
            return True
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        return False


def _text(heard: BinaryIO) -> bytes | None:
    lines: list[bytes] = []
    while line := heard.readline():
        if line == b".\r\n":
            return b"".join(lines)
        lines.append(line.removeprefix(b"."))
    return None


@contextmanager
def post_office(tls: ssl.SSLContext | None = None) -> Iterator[PostOffice]:
    """A scripted mail server on 127.0.0.1."""
    office = PostOffice(tls=tls)
    talks: list[threading.Thread] = []

    def accept() -> None:
        with suppress(OSError):  # the test is over
            while True:
                connection, _ = server.accept()
                talks.append(threading.Thread(target=office.serve, args=(connection,)))
                talks[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        office.port = int(server.getsockname()[1])
        door = threading.Thread(target=accept)
        door.start()
        try:
            yield office
        finally:
            office._over.set()
            server.shutdown(socket.SHUT_RDWR)
            for thread in (door, *talks):
                thread.join()


def a_certificate(folder: Path, names: str = "IP:127.0.0.1") -> Path:
    """A certificate that nobody has signed but itself, with its key, in one file; needs openssl."""
    file = folder / "server.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
    about = ["-subj", "/CN=mail", "-addext", f"subjectAltName={names}", "-keyout", str(file)]
    command = ["openssl", "req", *kind, *about, "-out", str(file.with_suffix(".crt"))]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no openssl to make a certificate with")
    file.write_text(file.read_text() + file.with_suffix(".crt").read_text())
    return file


def serving(certificate: Path) -> ssl.SSLContext:
    """How a server shows that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
