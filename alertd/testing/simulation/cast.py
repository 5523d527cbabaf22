"""Who appears: rules of every kind as people write them, receivers of every temper, and files as nobody should write them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from alertd.rulebook.rule import Rulebook
from alertd.testing.simulation.peers import POISON, Desk, PacedPeer, Peer
from alertd.testing.simulation.traffic import AGENT, SCORE

ZONE = "Europe/Berlin"
FALLBACK, QUIET, EDITABLE = "spare", "quiet", "team"
RECEIVERS = ("team", "lead", "quiet", "boss", "spare")
POISONED = "poisoned"
DAILY = "daily"
_PACED = ("team", "spare")

_TOLD = {"warning": ["team", "quiet"], "critical": ["lead", "team", "quiet"]}

# One of each kind, in the keys of the rule language.
RULES: tuple[Mapping[str, Any], ...] = (
    {
        "id": "slow", "measure": {"median": SCORE}, "every": "5m", "window": "20m", "for": "10m", "keep_firing": "8m",
        "min_conversations": 2, "warning": {"above": 5, "recover": 4}, "critical": {"above": 15, "recover": 10},
        "remind": "30m", "escalate": {"after": "45m", "notify": ["boss", "team"]}, "notify": _TOLD,
    },
    {
        "id": "agents", "measure": {"p90": SCORE}, "by": AGENT, "expect": [1], "every": "10m", "window": "40m", "for": "20m",
        "keep_firing": "15m", "warning": {"above": 5}, "critical": {"above": 15}, "delay": "30s", "remind": "1h",
        "notify": _TOLD,
    },
    {
        "id": "waits", "measure": "waiting", "by": "conversation", "every": "5m", "window": "90m", "warning": {"above": "10m"},
        "critical": {"above": "30m"}, "for": "2m", "notify": _TOLD,
    },
    {
        "id": "silent", "measure": "count", "every": "5m", "window": "15m", "calendar": "office", "for": "5m",
        "critical": {"below": 1}, "notify": {"critical": _TOLD["critical"]},
    },
    {
        "id": "drop", "measure": "count", "compare": {"change": {"to": "30m", "minimum": 2}}, "every": "10m", "window": "20m",
        "warning": {"below": "-50%", "recover": "-30%"}, "quiet_while": ["silent"], "notify": {"warning": _TOLD["warning"]},
    },
    {
        "id": "highest", "measure": {"max": SCORE}, "cron": "7,37 * * * *", "timezone": ZONE, "window": "30m", "for": "30m",
        "warning": {"above": 5, "recover": 4}, "no_data": "warning", "notify": {"warning": _TOLD["warning"]},
    },
    {
        "id": POISONED, "measure": {"median": POISON}, "every": "15m", "window": "1h",
        "warning": {"above": "3h", "recover": "2h"}, "notify": {"warning": _TOLD["warning"]},
    },
    {
        "id": DAILY, "measure": {"median": SCORE}, "cron": "30 2 * * *", "timezone": ZONE, "window": "12h", "report": True,
        "notify": ["lead"],
    },
)  # fmt: skip

NAMES = tuple(str(each["id"]) for each in RULES)

# What a reload may do to a rule.
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "title": {"title": "Other words"},
    "hold": {"for": "20m"},
    "question": {"window": "25m"},
    "receivers": {"notify": {"warning": ["lead"], "critical": ["lead", "boss"]}},
}


def _address(name: str) -> dict[str, Any]:
    """What a receiver is in the files; a run puts another one in its place."""
    if name in ("team", "quiet"):
        return {"slack": {"channel": f"#{name}", "send_resolved": name != QUIET}}
    return {"email": {"to": [f"{name}@example.com"]}}


_OTHERS = {
    "receivers.yaml": {
        "receivers": {name: _address(name) for name in RECEIVERS},
        "fallback": FALLBACK,
    },
    # It closes and opens around the hour that clocks change.
    "calendars.yaml": {"calendars": {"office": {"timezone": ZONE, "weekly": {"mon-sun": "02:00-23:00"}}}},
}

# What a commit may do that is wrong: texts by the name of the file, None for one that is not there.
MISTAKES: tuple[Mapping[str, str | None], ...] = (
    {"rules.yaml": "rules: [{id: slow, measure: {median: cqlScore"},  # half of it is written
    {"rules.yaml": "<<<<<<< HEAD\nrules: []\n=======\n"},
    {"rules.yaml": None},
    {"more.yaml": "rules: [{id: daily, measure: count, every: 5m, window: 1h, warning: {above: 1}, notify: team}]"},  # twice
    {"more.yaml": "rules: [{id: new, measure: count, every: 5m, window: 1h, warning: {abvoe: 1}, notify: team}]"},
    {"receivers.yaml": "receivers: {team: {email: {to: [team@example.com]}}}"},  # others are still named
    {"calendars.yaml": "calendars: {office: {timezone: Europe/Atlantis}}"},
    {"rules.yaml": "\x00\x01\x02"},
    {"rules.yaml": "a: &a [*a]\n" * 50},
)


def files(rules: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The files of a folder with these rules; nobody is quiet for one that is not there."""
    there = {each["id"]: each for each in rules}
    known = [
        {key: value for key, value in each.items() if key != "quiet_while" or value[0] in there} for each in there.values()
    ]
    book = {"defaults": {"owner": "team", "delay": "0s"}, "rules": known}
    return {name: json.dumps(content) for name, content in {"rules.yaml": book, **_OTHERS}.items()}


def at_desks(book: Rulebook, desks: Mapping[str, Desk]) -> Rulebook:
    """The rulebook with receivers that are played: what its files say of them are addresses of nobody."""
    peers = {name: _peer(name, desks[name]) for name in book.receivers}
    receivers = {name: replace(each, channel=peers[name]) for name, each in book.receivers.items()}
    return replace(book, receivers=receivers)


def _peer(name: str, desk: Desk) -> Peer:
    return (PacedPeer if name in _PACED else Peer).at(desk, editable=name == EDITABLE)
