"""Logging: structlog for us and for the libraries, text on a terminal, JSON elsewhere; secrets are blacked out."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any

import structlog

# At debug level these print addresses with secrets in their path, or whole messages.
_TALKATIVE = ("urllib3", "slack_sdk", "apscheduler", "mail", "uvicorn.access")


def set_up(level: str, form: str, secrets: Callable[[], set[str]]) -> None:
    """Send all logs to stderr. `secrets` tells the values that must never be seen."""
    as_json = form == "json" or (form == "auto" and not sys.stderr.isatty())
    last: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    errors: list[Any] = [structlog.processors.format_exc_info] if as_json else []
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    blackout = _blackout(secrets)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *errors, blackout, last],
    )
    handler.setFormatter(_Blacked(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Blacked(logging.Formatter):
    """The last look at a line before it leaves: tracebacks are text only here."""

    def __init__(self, inner: logging.Formatter, secrets: Callable[[], set[str]]) -> None:
        super().__init__()
        self._inner, self._secrets = inner, secrets

    def format(self, record: logging.LogRecord) -> str:
        return _hide(self._inner.format(record), self._secrets())


def _blackout(secrets: Callable[[], set[str]]) -> Callable[..., MutableMapping[str, Any]]:
    # Before JSON escapes characters that a secret may have.
    def hide(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        hidden = secrets()
        return {key: _hide(value, hidden) if isinstance(value, str) else value for key, value in event.items()}

    return hide


def _hide(text: str, secrets: set[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "***")
    return text
