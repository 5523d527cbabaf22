"""What a webhook says: Alertmanager's JSON, version 4, and beside it, under `alertd`, all that we know.

Whoever reads Alertmanager's JSON knows an alert by its `fingerprint` and what belongs together by `groupKey`
(https://prometheus.io/docs/alerting/latest/configuration/#webhook_config). So a fingerprint is that of a rule and one of its
groups, a group key that of an incident, and the level, which may change, is in neither. Every fingerprint that was sent as
firing is sent once as resolved, with the labels and the beginning that it had: in the next message after the group has
recovered, or when the incident ends. What is to be ended is remembered in the receipt.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from alertd.channels.base import Message, Receipt
from alertd.clock import Instant, iso
from alertd.facts import Group, Kind
from alertd.notice import Notice, NoticeGroup

NEVER = "0001-01-01T00:00:00Z"  # the end of what goes on, as Alertmanager writes it
MOST = 200  # alerts of one incident that are remembered; beyond them the oldest are ended early rather than never
ONE_SHOT = frozenset({Kind.REPORT, Kind.TEST})  # they belong to no incident
WHOLE = ""  # the key of the alert that stands for all conversations


@dataclass(frozen=True)
class Told:
    """An alert that was sent as firing."""

    level: str
    since: Instant


Open: TypeAlias = Mapping[str, Told]  # by the key of its group


def opened(receipt: Receipt | None) -> dict[str, Told]:
    """What the receiver takes for firing, as the receipt of the last message has it."""
    return {key: Told(level, since) for key, (level, since) in json.loads((receipt or {}).get("firing", "{}")).items()}


def remember(firing: Open) -> Receipt:
    """The receipt that says what the receiver now takes for firing."""
    return {"firing": json.dumps({key: [each.level, each.since] for key, each in firing.items()}, separators=(",", ":"))}


def compose(message: Message, told: Open) -> tuple[dict[str, Any], Open]:
    """The body, and what the receiver takes for firing once it has it. `told` is what it took for firing before."""
    notice = message.notice
    firing, kept = _firing(message, told), {}
    if message.kind not in ONE_SHOT:
        kept = {key: each for key, each in told.items() if key not in firing and _unseen(key, message)} | firing
        kept = dict(list(kept.items())[-MOST:])
    ended = {} if message.kind in ONE_SHOT else {key: each for key, each in told.items() if key not in kept}
    if not firing and not ended:
        ended = {WHOLE: Told(_severity(message), notice.opened_at)}
    alerts = [_alert(message, key, each, ended=False) for key, each in firing.items()]
    alerts += [_alert(message, key, each, ended=True) for key, each in ended.items()]
    hidden = max(0, notice.groups_total - len(notice.groups)) if firing else 0
    payload: dict[str, Any] = _sober(_payload(message, alerts, hidden))
    return payload, kept


def _firing(message: Message, told: Open) -> dict[str, Told]:
    """What fires by this message; a beginning that was told stays."""
    notice = message.notice
    if message.kind in (Kind.RESOLVED, Kind.REPORT) or notice.resolved_at is not None:
        return {}
    if message.kind is Kind.TEST:
        return {WHOLE: Told(_severity(message), notice.at)}
    found = {_key(group): Told(group.level.value, group.since or notice.opened_at) for group in notice.groups if group.by}
    found = found or {WHOLE: Told(_severity(message), notice.opened_at)}
    return {key: Told(each.level, told[key].since if key in told else each.since) for key, each in found.items()}


def _unseen(key: str, message: Message) -> bool:
    """Whether a group that the notice does not list may fire all the same: the list is cut, or the group is silenced."""
    notice = message.notice
    if message.kind is Kind.RESOLVED or notice.resolved_at is not None or key == WHOLE:
        return False
    return key in notice.silent or notice.groups_total > len(notice.groups)


def _key(group: NoticeGroup) -> str:
    return Group(group.by, group.id).key


def _severity(message: Message) -> str:
    return "info" if message.kind in ONE_SHOT else message.level.value


def _alert(message: Message, key: str, told: Told, *, ended: bool) -> dict[str, Any]:
    notice = message.notice
    end = notice.resolved_at or notice.at
    return {
        "status": "resolved" if ended else "firing",
        "labels": _labels(notice, key) | {"severity": told.level},
        "annotations": _annotations(message, key, ended=ended),
        "startsAt": iso(told.since),
        "endsAt": iso(max(end, told.since)) if ended else NEVER,
        "generatorURL": message.parts.get("link") or notice.page or "",
        "fingerprint": _fingerprint(message, key),
    }


def _labels(notice: Notice, key: str) -> dict[str, str]:
    """Names as Prometheus has them; our own win over those of the rule."""
    own = {re.sub(r"[^A-Za-z0-9_]", "_", name): text for name, text in notice.labels.items()}
    group = Group.from_key(key)
    known = {"alertname": notice.rule} | ({"owner": notice.owner} if notice.owner else {})
    return own | known | ({group.by: str(group.id)} if group.by else {})


def _annotations(message: Message, key: str, *, ended: bool) -> dict[str, str]:
    notice, parts = message.notice, message.parts
    summary, description = parts.get("summary") or notice.title, parts.get("description") or notice.text or ""
    if parts.get("failure"):  # the template is broken: these are the built-in texts, which are the same for every channel
        summary, description = parts.get("plain") or notice.title, parts.get("summary", "")
    if ended and key != WHOLE:
        summary = f"{notice.title}: over for {key}"
    elif key != WHOLE:
        summary = _lines(message).get(key, summary)
    texts = {"summary": summary, "description": description}
    runbook = {"runbook_url": notice.runbook} if re.match("https?://", notice.runbook or "") else {}
    return {name: text for name, text in (texts | runbook).items() if text}


def _lines(message: Message) -> dict[str, str]:
    """The line of the template for each group; none where it has made more or less lines than there are groups."""
    lines, groups = message.parts.get("groups", "").splitlines(), message.notice.groups
    return {_key(group): line for group, line in zip(groups, lines, strict=True)} if len(lines) == len(groups) else {}


def _fingerprint(message: Message, key: str) -> str:
    """16 hexadecimal digits, as Alertmanager's; a test is an alert of its own each time, or it would be taken for known."""
    once = message.key if message.kind is Kind.TEST else ""
    return hashlib.sha256(f"{message.notice.rule}\0{key}\0{once}".encode("utf-8", "replace")).hexdigest()[:16]


def _payload(message: Message, alerts: list[dict[str, Any]], hidden: int) -> dict[str, Any]:
    notice = message.notice
    once = message.kind in ONE_SHOT or notice.incident is None
    which = f'key="{message.key}"' if once else f'incident="{notice.incident}"'
    return {
        "version": "4",
        "groupKey": f'alertd:{{alertname="{notice.rule}", {which}}}',
        "truncatedAlerts": hidden,
        "status": "firing" if any(each["status"] == "firing" for each in alerts) else "resolved",
        "receiver": message.receiver,
        "groupLabels": {"alertname": notice.rule},
        "commonLabels": _common([each["labels"] for each in alerts]),
        "commonAnnotations": _common([each["annotations"] for each in alerts]),
        "externalURL": notice.page or "",
        "alerts": alerts,
        "alertd": _own(message),
    }


def _common(all_of: list[dict[str, str]]) -> dict[str, str]:
    first, *others = all_of
    return {name: text for name, text in first.items() if all(each.get(name) == text for each in others)}


_INSTANTS = ("at", "opened_at", "resolved_at")
_LEFT_OUT = ("template", "late")


def _own(message: Message) -> dict[str, Any]:
    """The notice as it is. Nothing in it differs between two attempts: a key that comes with another body is refused."""
    notice = message.notice
    facts = {name: value for name, value in asdict(notice).items() if name not in _LEFT_OUT}
    facts |= {name: facts[name] and iso(facts[name]) for name in _INSTANTS}
    facts |= {
        "key": message.key,
        "kind": message.kind.value,
        "groups": [_group(each) for each in notice.groups if each.by],
        "period": [iso(each) for each in notice.period] if notice.period else None,
        "trail": [[iso(at), value] for at, value in notice.trail],
    }
    return facts


def _group(group: NoticeGroup) -> dict[str, Any]:
    return asdict(group) | {"since": iso(group.since) if group.since else None}


def _sober(value: Any) -> Any:
    """The value as JSON has it: no infinities there, no numbers that are none, no halves of characters."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {str(name): _sober(each) for name, each in value.items()}
    return [_sober(each) for each in value] if isinstance(value, list | tuple) else value
