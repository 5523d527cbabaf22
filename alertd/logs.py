"""Logging: structlog for us and for the libraries, text on a terminal, JSON elsewhere; secrets are blacked out.

Secrets shorter than eight characters are looked for only where they stand alone and look like one: `any` stands in half of
all sentences, and blacking it out would make the log useless and tell the secret by its gaps. Nor are names of our own touched:
a field of a line that is a plain lower-case name stays as it is. Where a secret is a password that people chose, choose a
longer one.

Lines are made by whoever logs and written by a thread of their own: a reader that does not read, or a disk that is full, costs
lines and nothing else, and how many is said when lines can be written again.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import re
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote

import structlog

SHORTEST = 8  # characters of a secret that is looked for everywhere
_SHORT = 5  # of one that is looked for where it stands alone, if it is none of a language

# Characters that wait for a reader who does not read; whatever comes then is dropped, and counted.
MOST = 1_000_000

# How long an end waits for the last lines to be taken.
_PATIENCE = 2.0

# At debug level these print addresses with secrets in their path, or whole messages.
_TALKATIVE = ("alembic", "urllib3", "slack_sdk", "apscheduler", "mail", "uvicorn.access")


def set_up(level: str, form: str, secrets: Callable[[], set[str]]) -> None:
    """Send all logs to stderr. `secrets` tells the values that must never be seen."""
    terminal = sys.stderr is not None and sys.stderr.isatty()  # None: whoever started us closed it
    as_json = form == "json" or (form == "auto" and not terminal)
    last: Any = structlog.processors.JSONRenderer() if as_json else _text_renderer(colors=terminal)
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _Stderr(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _blackout(secrets),  # the last but one: the renderer escapes characters that a secret may have
                last,
            ],
        )
    )
    root = logging.getLogger()
    for before in root.handlers:
        before.close()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _text_renderer(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    # Not the default formatter of exceptions: that one prints the local variables of every frame.
    return structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)


class _Stderr(logging.Handler):
    """Writes each record as a line to stderr; nowhere if there is none."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._lines = Lines(stream, self._missing) if stream else None

    def emit(self, record: logging.LogRecord) -> None:
        if self._lines:
            self._lines.put(self._line(record))

    def flush(self) -> None:
        if self._lines:
            self._lines.flush(_PATIENCE)

    def close(self) -> None:
        if self._lines:
            self._lines.close()
        super().close()

    def _line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record) + "\n"
        except Exception as problem:  # noqa: BLE001 - a line that cannot be made must not stop whoever logs
            # Not what it said: nobody has blacked that out.
            lost = f"alertd: a log line of {record.pathname}:{record.lineno} could not be written: "
            return f"{lost}{type(problem).__name__}\n"

    def _missing(self, count: int) -> str:
        said = "%d log lines were dropped: nobody took them"
        return self._line(logging.LogRecord(__name__, logging.WARNING, __file__, 0, said, (count,), None))


class Lines:
    """Lines on their way to a stream that may block for as long as it likes. Thread-safe.

    `missing` makes the line that says how many were dropped. A stream in memory never blocks and is written at once.
    """

    def __init__(self, stream: TextIO, missing: Callable[[int], str]) -> None:
        self._stream, self._missing = stream, missing
        self._waiting = deque[str]()
        self._size = 0  # of what waits
        self._dropped = 0  # after what waits
        self._failed = 0  # before what waits; of the thread alone, as is the next
        self._torn = False  # the last line was written in part
        self._writing = self._closed = False
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._file = _file_of(stream)

    def put(self, line: str) -> None:
        """Let a line be written; if too much waits already it is dropped."""
        if self._file is None:
            self._stream.write(line)
            return
        with self._changed:
            if self._size + len(line) > MOST and self._waiting:
                self._dropped += 1
                return
            self._waiting.append(line)
            self._size += len(line)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=(self._file,), name="log", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def flush(self, within: float) -> None:
        """Wait for all lines to be written, for that many seconds at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._writing, within)

    def close(self) -> None:
        """Let the thread end once it has written what waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self, file: int) -> None:
        while taken := self._take():
            self._deliver(file, *taken)
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _take(self) -> tuple[deque[str], int] | None:
        """All that waits, and how many were dropped after it; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            lines, self._waiting, self._size = self._waiting, deque(), 0
            dropped, self._dropped = self._dropped, 0
            self._writing = bool(lines)
        return (lines, dropped) if lines else None

    def _deliver(self, file: int, lines: deque[str], dropped: int) -> None:
        """Write lines, with how many are missing before and after them. What fails is told together with the next ones."""
        if self._failed and self._write(file, self._missing(self._failed)):
            self._failed += len(lines) + dropped
            return
        self._failed = self._write(file, "".join(lines))
        if self._failed or (dropped and self._write(file, self._missing(dropped))):
            self._failed += dropped

    def _write(self, file: int, text: str) -> int:
        """Write it, however long that takes; how many lines of it could not be written."""
        rest = ("\n" * self._torn + text).encode("utf-8", "backslashreplace")
        while rest:
            try:
                written = os.write(file, rest)
            except BlockingIOError:  # whoever shares it does not want to wait for it; we do
                select.select([], [file], [])
            except OSError:
                return rest.strip(b"\n").count(b"\n") + 1
            else:
                self._torn = rest[written - 1 : written] != b"\n"
                rest = rest[written:]
        return 0


def _file_of(stream: TextIO) -> int | None:
    """Its file descriptor, None for a stream in memory."""
    try:
        return stream.fileno()
    except (OSError, ValueError):
        return None


def _blackout(secrets: Callable[[], set[str]]) -> Callable[..., MutableMapping[str, Any]]:
    def hide(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # A copy, because other threads read new secrets meanwhile; the longest first, because one may be part of another.
        spellings = {each for secret in tuple(secrets()) for each in _all_spellings(secret)}
        short = {each for each in tuple(secrets()) if _is_short(each)}
        hidden = [*sorted(spellings, key=len, reverse=True), *sorted(short)]
        return {_name(key, hidden): _clean(value, hidden) for key, value in event.items()}

    return hide


def _name(key: str, hidden: list[str]) -> str:
    """A field's name: ours as it is, without secrets where it is made of something else."""
    return key if re.fullmatch(r"[a-z_]+", key) else _hide(key, hidden)


def _clean(value: object, hidden: list[str]) -> object:
    """The value without secrets at any depth; what is neither text, number nor collection becomes text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_hide(str(key), hidden): _clean(each, hidden) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each, hidden) for each in value]
    return _hide(value if isinstance(value, str) else repr(value), hidden)


def _hide(text: str, hidden: list[str]) -> str:
    for each in hidden:
        text = _alone(each).sub("***", text) if _is_short(each) else text.replace(each, "***")
    return text


def _is_short(secret: str) -> bool:
    """Whether it is short, and yet nothing that a log would say anyway: neither a word nor a number."""
    return _SHORT <= len(secret) < SHORTEST and not secret.isdecimal() and not (secret.isalpha() and secret.islower())


@lru_cache(maxsize=256)
def _alone(secret: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9]){re.escape(secret)}(?![A-Za-z0-9])")


@lru_cache(maxsize=256)
def _all_spellings(secret: str) -> frozenset[str]:
    return frozenset(_spellings(secret)) if len(secret) >= SHORTEST else frozenset()


def _spellings(secret: str) -> Iterator[str]:
    """How a secret looks in a text: as it is, inside another value's repr, in JSON, in an address, in base64."""
    yield secret
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield quote(secret, safe="", errors="surrogateescape")
    yield quote(secret, errors="surrogateescape")
    yield from _in_base64(secret.encode("utf-8", "surrogateescape"))


def _in_base64(secret: bytes) -> Iterator[str]:
    """Its base64, alone and behind other bytes as in `user:secret`, without the letters that its neighbours share in."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(secret).decode().rstrip("=")
        for before, shared in ((0, 0), (1, 2), (2, 3)):
            yield encode(bytes(before) + secret).decode()[shared : (before + len(secret)) * 8 // 6]
