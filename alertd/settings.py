"""Settings from the environment (and `.env` in the working folder); imported by the entrances only.

Secrets are no fields of the settings: they are read by name when they are needed, from a variable or from the file that its
`_FILE` twin names, so that they rotate without a restart and stand in no error and no dump.
"""

from __future__ import annotations

import errno
import math
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettings

from alertd.channels.base import Access, MailAccess, SlackAccess
from alertd.clock import Duration
from alertd.durations import parse_duration
from alertd.errors import SettingsError
from alertd.reporting.properties import suggest
from alertd.rulebook.credentials import mask

PREFIX = "ALERTD_"
TOKEN = "ALERTD_REPORTING__TOKEN"  # noqa: S105 - the name of a variable, not a token
SLACK_TOKEN = "ALERTD_SLACK__BOT_TOKEN"  # noqa: S105
MAIL_PASSWORD = "ALERTD_EMAIL__PASSWORD"  # noqa: S105
SLACK_APP_TOKEN = "ALERTD_SLACK__APP_TOKEN"  # noqa: S105
HEARTBEAT = "ALERTD_HEARTBEAT__URL"
SECRETS = (TOKEN, SLACK_TOKEN, SLACK_APP_TOKEN, MAIL_PASSWORD, HEARTBEAT)

LARGEST = 1024 * 1024  # bytes of `.env`, and of a file with a secret

_UNREADABLE = ".env in the working folder cannot be read; it must be an ordinary text file in UTF-8, of 1 MiB at most"


def _duration(raw: object) -> object:
    try:
        return parse_duration(raw) if isinstance(raw, str) else raw
    except ValueError:  # its message quotes the value, which somebody may have put into the wrong variable
        raise ValueError("is not a duration; write it like 90s, 5m or 90d") from None


def _place(raw: object) -> object:
    """A secret in the wrong variable is not the name of a file: whoever looks for that file would say the name aloud."""
    if isinstance(raw, str) and not os.path.lexists(raw) and ("://" in raw or mask(raw) != raw):
        raise ValueError(
            "looks like a secret or an address, and is no file or folder that there is; check which variable it belongs to"
        )
    return raw


def _host(raw: object) -> object:
    if isinstance(raw, str) and (mask(raw) != raw or not re.fullmatch(r"[A-Za-z0-9.:%_-]{1,255}", raw)):
        raise ValueError("is not the name or the address of a machine; write it like 127.0.0.1, without a scheme and a port")
    return raw


Span = Annotated[Duration, BeforeValidator(_duration)]
Place = Annotated[Path, BeforeValidator(_place)]
Host = Annotated[str, BeforeValidator(_host)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class ReportingSettings(_Section):
    """Where the reporting API is."""

    url: str = Field(
        default="https://driftapi.com", description="Address of the API; the path /reports/conversations is added."
    )
    timeout: Span = Field(
        default=12_000, ge=1_000, le=60_000, description="How long one call may take; the API itself gives up after 10s."
    )
    allow_plain_http: bool = Field(default=False, description="Allow http:// to other machines than this one.")
    proxy: str | None = Field(
        default=None, description="HTTP proxy for the API; proxy variables of the environment are not read."
    )
    ca_file: Place | None = Field(default=None, description="Certificate authorities to trust instead of the usual ones.")


class BudgetSettings(_Section):
    """How often the API may be called."""

    calls_per_minute: int = Field(
        default=60, ge=1, le=10_000, description="The API's own limit for everybody who holds the token."
    )
    reserve: int = Field(
        default=6, ge=0, validate_default=True, description="Calls a minute that are left to others who hold the token."
    )

    @field_validator("reserve")
    @classmethod
    def _leaves_calls(cls, reserve: int, others: ValidationInfo) -> int:
        if reserve >= others.data.get("calls_per_minute", math.inf):
            raise ValueError(f"must be less than {PREFIX}BUDGET__CALLS_PER_MINUTE, or no call is left")
        return reserve


class StoreSettings(_Section):
    """Where state is kept."""

    url: str = Field(
        default="sqlite:///alertd.db",
        description="SQLAlchemy URL: sqlite:////var/lib/alertd/alertd.db with an absolute path, or postgresql://USER@HOST/DATABASE.",
    )
    retention: Span = Field(default=90 * 86_400_000, ge=86_400_000, description="How long history is kept.")


class SlackSettings(_Section):
    """How Slack is reached."""

    url: str = Field(default="https://slack.com/api/", description="Base of Slack's Web API.")


class EmailSettings(_Section):
    """How mail is sent."""

    host: str | None = Field(default=None, description="Name of the SMTP server.")
    port: int | None = Field(default=None, ge=1, le=65_535, description="Its port; 587, 465 or 25 by default, as TLS says.")
    username: str | None = Field(default=None, description="User name, if the server wants one.")
    sender: str | None = Field(default=None, description="Address that the mails come from.")
    tls: Literal["starttls", "tls", "none"] = Field(default="starttls", description="starttls and tls are never downgraded.")


class WebhookSettings(_Section):
    """How webhooks are called."""

    allow_private: bool = Field(
        default=False, description="Allow webhooks to addresses inside your network, and http:// to them."
    )


class HeartbeatSettings(_Section):
    """Telling somebody else that alertd is well; where to is a secret, ALERTD_HEARTBEAT__URL."""

    every: Span = Field(default=60_000, ge=10_000, le=86_400_000, description="How often, while all is well.")


class WebSettings(_Section):
    """Where health and metrics are served."""

    host: Host = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")


class LogSettings(_Section):
    """How alertd logs."""

    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="What is logged.")
    format: Literal["auto", "json", "text"] = Field(default="auto", description="auto: text on a terminal, JSON elsewhere.")


class Settings(_Section):
    """Everything that is not a secret. Names are `ALERTD_` + section + `__` + field."""

    rules: Place = Field(default=Path("rules/starter"), description="Folder with the rule files.")
    templates: Place | None = Field(
        default=None, description="Folder with templates of your own; they come before those that ship."
    )
    reporting: ReportingSettings = ReportingSettings()
    budget: BudgetSettings = BudgetSettings()
    store: StoreSettings = StoreSettings()
    slack: SlackSettings = SlackSettings()
    email: EmailSettings = EmailSettings()
    webhook: WebhookSettings = WebhookSettings()
    heartbeat: HeartbeatSettings = HeartbeatSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()


class _FromEnvironment(BaseSettings, Settings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )


def environment() -> dict[str, str]:
    """The variables of the process, and below them those of `.env` in the working folder. An empty one is none.

    A secret in the one place covers its `_FILE` twin in the other, and the other way round.
    """
    _check_written()
    try:
        written = dotenv_values(".env", encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise SettingsError(_UNREADABLE) from None
    ours = {name: value for name, value in os.environ.items() if value}
    covered = {f"{name}_FILE" for name in ours} | {name.removesuffix("_FILE") for name in ours}
    return {name: value for name, value in written.items() if value and name not in covered} | ours


def load() -> Settings:
    """Read the settings; SettingsError names every variable that is wrong, all at once, and never its value."""
    _check_written()
    try:
        return _FromEnvironment()
    except ValidationError as problem:
        errors = problem.errors(include_input=False, include_context=False, include_url=False)
        lines = [f"{_name(each['loc'])}: {each['msg'].removeprefix('Value error, ')}" for each in errors]
        raise SettingsError("\n".join(lines)) from None
    except (OSError, UnicodeDecodeError):
        raise SettingsError(_UNREADABLE) from None
    except (UnreadableSettings, RecursionError):  # it is read as JSON, however deep
        raise SettingsError(
            "a variable such as ALERTD_REPORTING holds no section; write ALERTD_REPORTING__URL and so on"
        ) from None


def _check_written() -> None:
    """Whoever reads `.env` waits for a pipe, and reads all of it."""
    try:
        found = Path(".env").stat()
    except OSError:
        return
    if not stat.S_ISDIR(found.st_mode) and (not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST):
        raise SettingsError(_UNREADABLE)


def known_names() -> tuple[str, ...]:
    """The variables that are settings, secrets apart."""
    names = []
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        inner = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        names += [_name((section, each)) for each in inner] if inner else [_name((section,))]
    return tuple(names)


def unknown_names(variables: Mapping[str, str]) -> dict[str, str | None]:
    """Variables that look like settings and are none, each with the name that was probably meant."""
    known = {*known_names(), *SECRETS, *(f"{name}_FILE" for name in SECRETS)}
    unknown = [name for name in sorted(variables) if name.startswith(PREFIX) and name not in known]
    # Compared without the prefix, which makes everything look alike.
    short = {name.removeprefix(PREFIX): name for name in known}
    return {name: short.get(suggest(name.removeprefix(PREFIX), short) or "") for name in unknown}


class Secrets:
    """Secrets by the name of their variable. `seen` are the values handed out so far, for the log to black out."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)
        self.seen: set[str] = set()

    def read(self, name: str) -> str | None:
        """The secret as it is now; None if it is not set. SettingsError if its file cannot be read."""
        value = self._variables.get(name)
        place = self._variables.get(f"{name}_FILE")
        if place and not value:
            value = self._from_file(name, Path(place))
        value = (value or "").strip()
        if value:
            self.seen.add(value)
        return value or None

    def _from_file(self, name: str, place: Path) -> str:
        try:
            return _bounded(place).decode("utf-8-sig")
        except (OSError, ValueError) as problem:  # ValueError: a NUL in its name, or bytes that are no text
            reason = problem.strerror if isinstance(problem, OSError) else "it is not text"
            # Without the name: now and then it is the secret itself that stands there.
            raise SettingsError(f"the file that {name}_FILE names cannot be read: {reason}") from None


def _bounded(place: Path) -> bytes:
    """The content of an ordinary file. Without O_NONBLOCK, opening a pipe waits for somebody to write to it."""
    with os.fdopen(os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file")
        raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise OSError(errno.EFBIG, "it is larger than 1 MiB")
    return raw


def access(settings: Settings, secrets: Secrets) -> Access:
    """What the channels need to know."""
    mail = settings.email
    return Access(
        SlackAccess(settings.slack.url, lambda: secrets.read(SLACK_TOKEN), lambda: secrets.read(SLACK_APP_TOKEN)),
        MailAccess(mail.host, mail.port, mail.username, lambda: secrets.read(MAIL_PASSWORD), mail.sender, mail.tls),
        secrets.read,
        private=settings.webhook.allow_private,
    )


def _name(path: tuple[str | int, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in path[:2]).upper()
