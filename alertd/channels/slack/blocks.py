"""From a rendered notice to Slack's Block Kit, within Slack's limits whatever a template makes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Block: TypeAlias = dict[str, Any]

# Slack's own limits are 150 for a header, 3,000 for a section, 10 fields of 2,000, and (not documented) about 13,000 in all.
# These stay below each of them, and below 10,000 together.
HEADER, SUMMARY, FACTS, GROUPS, ADVICE, CONTEXT, NEWS, TEXT = 150, 2_000, 2_000, 2_900, 1_500, 500, 600, 3_000
FIELDS = 10

# What a cut must not leave behind: the beginning of `&amp;` or of `<https://…|label>`.
_HALF = re.compile(r"(?:&[a-z]{0,3}|<[^<>]*)$")


def blocks(parts: Mapping[str, str], *, mention: str = "", note: str = "", news: str = "") -> list[Block]:
    """Lay the parts of one message out: what happened, the figures, who, what to do, where it comes from."""
    summary = " ".join(filter(None, (mention, parts.get("summary", "").strip())))
    context = " · ".join(filter(None, (parts.get("context", "").strip(), note)))
    laid = (
        _header(parts.get("header", "")),
        _section(news, NEWS),
        _section(summary, SUMMARY),
        _fields(parts.get("facts", "")),
        _section(parts.get("groups", ""), GROUPS),
        _section(parts.get("advice", ""), ADVICE),
        _context(context),
    )
    return [block for block in laid if block]


def cut(text: str, limit: int) -> str:
    """Shorten a text to `limit` UTF-16 units: at the end of a line where one is near, never inside an escape or a link."""
    raw = text.encode("utf-16-le", "replace")
    if len(raw) // 2 <= limit:
        return raw.decode("utf-16-le")
    kept = raw[: (limit - 2) * 2].decode("utf-16-le", "ignore")
    line = kept.rfind("\n")
    if line > len(kept) // 2:
        return kept[:line].rstrip() + "\n…"
    return _HALF.sub("", kept).rstrip() + "…"


def _header(text: str) -> Block | None:
    line = " ".join(text.split())
    return {"type": "header", "text": {"type": "plain_text", "text": cut(line, HEADER), "emoji": False}} if line else None


def _section(text: str, limit: int) -> Block | None:
    tidy = text.strip()
    return {"type": "section", "text": _mrkdwn(cut(tidy, limit))} if tidy else None


def _fields(text: str) -> Block | None:
    """One field a line; what is beyond ten fields is left out."""
    lines = [line.strip() for line in text.splitlines() if line.strip()][:FIELDS]
    return {"type": "section", "fields": [_mrkdwn(cut(line, FACTS // FIELDS)) for line in lines]} if lines else None


def _context(text: str) -> Block | None:
    return {"type": "context", "elements": [_mrkdwn(cut(text, CONTEXT))]} if text else None


def _mrkdwn(text: str) -> Block:
    """A text in which Slack makes no links or mentions of its own accord."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
