"""From what Slack sends when somebody presses a button to a typed press; nothing of it is taken on trust.

https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from alertd.clock import SECOND, Instant

Action: TypeAlias = Literal["acknowledge", "silence 1h", "silence 4h"]

# Button action ids, and what templates call them. The link button is none: the browser has followed it already.
ACTIONS: Mapping[str, Action] = {
    "alertd_acknowledge": "acknowledge",
    "alertd_silence_1h": "silence 1h",
    "alertd_silence_4h": "silence 4h",
}

_LONGEST_NAME = 80

_User = Annotated[str, Meta(pattern=r"\A[UW][A-Z0-9]{1,40}\Z")]
_Channel = Annotated[str, Meta(pattern=r"\A[CDG][A-Z0-9]{1,40}\Z")]
_Stamp = Annotated[str, Meta(pattern=r"\A[0-9]{1,11}\.[0-9]{1,9}\Z")]
_Number = Annotated[str, Meta(pattern=r"\A[1-9][0-9]{0,8}\Z")]


@dataclass(frozen=True)
class Pressed:
    """Somebody has pressed a button of the message `ts` in `channel`, about an incident. `name` is what people call them."""

    action: Action
    incident: int
    user: str
    name: str
    channel: str
    ts: str
    at: Instant  # by Slack's clock


class _Id(msgspec.Struct):
    id: str


class _Person(msgspec.Struct):
    id: _User
    name: str | None = None
    username: str | None = None
    team_id: str | None = None


class _Container(msgspec.Struct):
    channel_id: _Channel
    message_ts: _Stamp


class _Button(msgspec.Struct):
    action_id: str
    value: _Number
    action_ts: _Stamp


class _Press(msgspec.Struct):
    type: Literal["block_actions"]
    user: _Person
    container: _Container
    actions: list[object]
    api_app_id: str | None = None
    team: _Id | None = None


def read_press(payload: object, app: str | None, team: str | None) -> Pressed | None:
    """The press of one of our buttons; None where it is anything else, or of another app or workspace than these."""
    try:
        found = msgspec.convert(payload, _Press)
        ours = (each for each in found.actions if isinstance(each, dict) and _known(each.get("action_id")))
        button = msgspec.convert(next(ours, None), _Button)
    except (
        msgspec.ValidationError,
        UnicodeEncodeError,
        RecursionError,
    ):  # halves of characters, and depth, are no texts either
        return None
    teams = (found.team.id if found.team else None, found.user.team_id)
    if app and found.api_app_id != app:
        return None
    if team and any(each not in (None, team) for each in teams):
        return None
    where = found.container
    return Pressed(
        ACTIONS[button.action_id],
        int(button.value),
        found.user.id,
        _name(found.user),
        where.channel_id,
        where.message_ts,
        _instant(button.action_ts),
    )


def _known(action: object) -> bool:
    return isinstance(action, str) and action in ACTIONS


def _name(person: _Person) -> str:
    """What people call somebody, as it fits into a line of a message; their id where that is nothing."""
    names = (_line(each) for each in (person.name, person.username) if each)
    return next(filter(None, names), person.id)


def _line(text: str) -> str:
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:_LONGEST_NAME].rstrip()


def _instant(stamp: str) -> Instant:
    """`1548426417.840180`: seconds since 1970 UTC, exact, which a float is not."""
    seconds, _, fraction = stamp.partition(".")
    return int(seconds) * SECOND + int(fraction[:3].ljust(3, "0"))
