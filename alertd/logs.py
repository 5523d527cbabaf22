"""Logging: structlog for us and for the libraries, text on a terminal, JSON elsewhere; secrets are blacked out.

Secrets shorter than eight characters are not looked for: `any` stands in half of all sentences, and blacking it out would
make the log useless and tell the secret by its gaps. Nor are names of our own touched: a field of a line that is a plain
lower-case name stays as it is. Where a secret is a password that people chose, choose a longer one.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import quote

import structlog

SHORTEST = 8  # characters of a secret that is looked for

# At debug level these print addresses with secrets in their path, or whole messages.
_TALKATIVE = ("alembic", "urllib3", "slack_sdk", "apscheduler", "mail", "uvicorn.access")


def set_up(level: str, form: str, secrets: Callable[[], set[str]]) -> None:
    """Send all logs to stderr. `secrets` tells the values that must never be seen."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    last: Any = structlog.processors.JSONRenderer() if as_json else _text_renderer()
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
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _text_renderer() -> structlog.dev.ConsoleRenderer:
    # Not the default formatter of exceptions: that one prints the local variables of every frame.
    plain = structlog.dev.plain_traceback
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)


class _Stderr(logging.StreamHandler[TextIO]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Tell that a line is lost, but not what it said: nobody has blacked that out."""
        problem = type(sys.exception()).__name__
        with suppress(OSError, ValueError):  # stderr itself may be gone
            self.stream.write(f"alertd: a log line of {record.pathname}:{record.lineno} could not be written: {problem}\n")


def _blackout(secrets: Callable[[], set[str]]) -> Callable[..., MutableMapping[str, Any]]:
    def hide(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        # A copy, because other threads read new secrets meanwhile; the longest first, because one may be part of another.
        spellings = {each for secret in tuple(secrets()) for each in _all_spellings(secret)}
        hidden = sorted(spellings, key=len, reverse=True)
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
        text = text.replace(each, "***")
    return text


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
