"""What every channel has in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, WithJsonSchema

from alertd.charts import Chart
from alertd.clock import SECOND, Duration
from alertd.facts import Kind, Level
from alertd.notice import Notice

# What a channel must remember to go on in the same thread: Slack's channel and ts, a Message-ID. Never a secret.
Receipt: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Message:
    """A rendered notice on its way to one receiver."""

    key: str  # a UUID, the same on every attempt: client_msg_id, Message-ID
    kind: Kind  # as this receiver is told it
    notice: Notice  # the facts, for machines; of a digest those of its most urgent notice
    parts: Mapping[str, str]  # the blocks of the channel's template, rendered
    receiver: str = "alertd"  # its name in receivers.yaml
    chart: Chart | None = None
    repeat: bool = False  # an earlier attempt may have arrived
    before: Receipt | None = None  # what an attempt that failed had done already
    seen: Receipt | None = None  # of an earlier message to this receiver, about anything; given with `repeat`

    @property
    def level(self) -> Level:
        """The level that it speaks of."""
        return self.notice.level


@dataclass(frozen=True)
class SlackAccess:
    """How to reach Slack's Web API. `deadline` is for one whole call, by webhook too."""

    url: str = "https://slack.com/api/"
    bot_token: Callable[[], str | None] = lambda: None
    app_token: Callable[[], str | None] = lambda: None  # with it the buttons are heard
    deadline: Duration = 20 * SECOND


@dataclass(frozen=True)
class MailAccess:
    """How to reach the mail server. `tls` is starttls, tls or none; `deadline` is for one whole mail."""

    host: str | None = None
    port: int | None = None
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    sender: str | None = None
    tls: str = "starttls"
    deadline: Duration = 60 * SECOND  # well below the outbox's lease


@dataclass(frozen=True)
class Access:
    """All that channels need to know of the deployment. `secret` reads an environment variable or its _FILE twin."""

    slack: SlackAccess = field(default_factory=SlackAccess)
    mail: MailAccess = field(default_factory=MailAccess)
    secret: Callable[[str], str | None] = lambda _name: None
    private: bool = False  # whether webhooks may reach private addresses


def _variable(name: str) -> str:
    if re.fullmatch(r"[A-Z][A-Z0-9_]{0,79}", name):
        return name
    # Not shown: it may be the secret itself.
    raise ValueError("this is not the name of an environment variable; write one such as PAGER_URL and put the secret there")


# The name of the environment variable, or of its _FILE twin, that holds a secret.
Variable = Annotated[str, AfterValidator(_variable), WithJsonSchema({"type": "string", "pattern": "^[A-Z][A-Z0-9_]{0,79}$"})]


class Channel(BaseModel):
    """One receiver's options, and how to send to it. Frozen; built from receivers.yaml.

    `pace` is the least time between two messages in milliseconds; when more than `burst` wait to be sent they become one, a
    digest, and None means never. `edits` says that an earlier message can be kept true.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    pace: ClassVar[int] = 0
    burst: ClassVar[int | None] = None

    @property
    def edits(self) -> bool:
        """Whether this receiver's first message can be changed later."""
        return False

    def missing(self, access: Access) -> str | None:
        """What the deployment still has to set for this receiver, in a sentence; None when it is ready."""
        raise NotImplementedError

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send one message, into `thread` if the incident has one there. DeliveryError if it was not surely taken.

        The receipt is the thread for what follows; in one that has `digest` the incident is one of many, so that nothing of
        it can be edited. `warning` in a receipt is what people should know although the message was taken.
        """
        raise NotImplementedError
