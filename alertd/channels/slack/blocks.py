"""From a rendered notice to Slack's Block Kit, within Slack's limits whatever a template makes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

Block: TypeAlias = dict[str, Any]

# Slack's own limits are 150 for a header, 3,000 for a section, 10 fields of 2,000. These stay below each of them.
HEADER, SUMMARY, FACTS, GROUPS, ADVICE, CONTEXT, NEWS, TEXT = 150, 1_500, 2_000, 2_900, 1_200, 400, 600, 3_000
FIELDS = 10

# What all blocks may take together, as compact JSON. Slack refuses about 13,000, counts in a way of its own, and documents
# neither: https://github.com/slackapi/bolt-js/issues/2509
TOTAL = 10_000
_SHORTER = (GROUPS, 2_300, 1_700, 1_100)  # what the groups may take where all does not fit
_TIGHT = 4  # and to which part everything is cut, the chart left out, where that is not enough

_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they would turn round what stands behind them
# What a cut must not leave behind: the beginning of `&amp;` or of `<https://…|label>`.
_HALF = re.compile(r"(?:&[a-z]{0,3}|<[^<>]*)$")


def blocks(
    parts: Mapping[str, str],
    *,
    mention: str = "",
    note: str = "",
    news: str = "",
    chart: Block | None = None,
    buttons: Sequence[Block] = (),
) -> list[Block]:
    """Lay the parts of one message out: what happened, the figures, who, what to do, where it comes from."""
    texts = {
        **parts,
        "news": news,
        "summary": " ".join(filter(None, (mention, parts.get("summary", "").strip()))),
        "context": " · ".join(filter(None, (parts.get("context", "").strip(), note))),
    }
    for groups in _SHORTER:
        laid = _laid(texts, chart, buttons, groups)
        if _size(laid) <= TOTAL:
            return laid
    return _laid(texts, None, buttons, GROUPS, _TIGHT)


def cut(text: str, limit: int) -> str:
    """Shorten a text to `limit` UTF-16 units: at the end of a line where one is near, never inside an escape or a link.

    Control characters become spaces.
    """
    raw = _CONTROLS.sub(" ", text).encode("utf-16-le", "replace")
    if len(raw) // 2 <= limit:
        return raw.decode("utf-16-le")
    kept = raw[: (limit - 2) * 2].decode("utf-16-le", "ignore")
    line = kept.rfind("\n")
    if line > len(kept) // 2:
        return _HALF.sub("", kept[:line]).rstrip() + "\n…"
    return _HALF.sub("", kept).rstrip() + "…"


def plain(text: str, limit: int) -> str:
    """A text for a place that knows neither escapes nor links: one line in which nothing can be taken for either."""
    bare = _CONTROLS.sub(" ", _TURNS.sub("", unescaped(text))).replace("<", "‹").replace(">", "›")
    return cut(" ".join(bare.split()), limit)


def unescaped(text: str) -> str:
    """A text as it is read, from one as Slack's mrkdwn wants it."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _laid(texts: Mapping[str, str], chart: Block | None, buttons: Sequence[Block], groups: int, share: int = 1) -> list[Block]:
    """The blocks, of which the groups take at most `groups` characters and each text one `share`-th of what it usually may."""

    def text(name: str) -> str:
        return texts.get(name, "")

    laid = (
        _header(text("header")),
        _section(text("news"), NEWS // share),
        _section(text("summary"), SUMMARY // share),
        _fields(text("facts"), FACTS // FIELDS // share),
        chart,
        _section(text("groups"), groups // share),
        _section(text("advice"), ADVICE // share),
        {"type": "actions", "elements": list(buttons)} if buttons else None,
        _context(text("context"), CONTEXT // share),
    )
    return [block for block in laid if block]


def _size(laid: Sequence[Block]) -> int:
    return len(json.dumps(laid, ensure_ascii=False, separators=(",", ":")))


def _header(text: str) -> Block | None:
    line = _tidy(" ".join(text.split()), HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": line, "emoji": False}} if line else None


def _section(text: str, limit: int) -> Block | None:
    tidy = _tidy(text, limit)
    return {"type": "section", "text": _mrkdwn(tidy)} if tidy else None


def _fields(text: str, limit: int) -> Block | None:
    """One field a line; what is beyond ten fields is left out."""
    lines = [line for each in text.splitlines() if (line := _tidy(each, limit))][:FIELDS]
    return {"type": "section", "fields": [_mrkdwn(line) for line in lines]} if lines else None


def _context(text: str, limit: int) -> Block | None:
    tidy = _tidy(text, limit)
    return {"type": "context", "elements": [_mrkdwn(tidy)]} if tidy else None


def _tidy(text: str, limit: int) -> str:
    return cut(text.strip(), limit).strip()


def _mrkdwn(text: str) -> Block:
    """A text in which Slack makes no links or mentions of its own accord."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
