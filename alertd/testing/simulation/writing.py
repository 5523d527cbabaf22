"""How messages are worded: by the templates that ship, or by one of somebody's own that is broken."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from alertd.notice import Notice
from alertd.notices.digests import render_digest_or_plain
from alertd.notices.rendering import render_or_plain
from alertd.shipped import shipped

# Each is wrong in another way: a name that there is not, no number, no template at all.
BROKEN = (
    "{{ nobody.knows }}",
    "{% for a in range(900) %}{% for b in range(900) %}x{% endfor %}{% endfor %}",
    "{{ 1 / 0 }}",
    "{% if",
)
_FILES = ("slack.j2", "email.j2", "digest/slack.j2", "digest/email.j2")

TOLD = "told"  # the part that says for the receivers of a run which incidents a digest told, and as what


class Writer:
    """Words messages. While `broken`, a template in that folder stands before the shipped ones."""

    def __init__(self, folder: Path) -> None:
        self.broken = False
        self._shipped = shipped("templates")
        self._folders = tuple(_write(folder / str(number), text) for number, text in enumerate(BROKEN))
        self._wording = 0

    def notice(self, kind: str, notice: Notice) -> Mapping[str, str]:
        """The parts of a message."""
        return render_or_plain(kind, notice, names=_nameless, folders=self._places())

    def digest(self, kind: str, told: Sequence[Notice], reason: str) -> Mapping[str, str]:
        """The parts of a message that tells of many."""
        parts = render_digest_or_plain(kind, told, names=_nameless, folders=self._places(), reason=reason)
        return {**parts, TOLD: json.dumps([[each.incident, each.kind.value] for each in told])}

    def _places(self) -> list[Path]:
        self._wording += 1
        return [self._folders[self._wording % len(BROKEN)], self._shipped] if self.broken else [self._shipped]


def _write(folder: Path, text: str) -> Path:
    for name in _FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def _nameless(_by: str, _number: int) -> None:
    """Nobody has a name."""
