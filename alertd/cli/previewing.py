"""What `alertd preview` shows: rendered messages as text and as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alertd.channels.base import Message
from alertd.charts import Chart, facts
from alertd.facts import Kind
from alertd.notice import Notice
from alertd.notices.charting import chart_of
from alertd.notices.digests import gather, render_digest_or_plain
from alertd.notices.rendering import render_or_plain
from alertd.notices.samples import sample_name

_WIDTH = 76
_BARS = "▁▂▃▄▅▆▇█"
_POINTS = 48
_TOLD = ("subject", "header", "summary", "text")  # what the other channels have, in this order


@dataclass(frozen=True)
class Preview:
    """One message for one kind of channel. `blocks` is what Slack would draw, `body` the JSON that a webhook would get."""

    channel: str
    message: Message
    blocks: tuple[Mapping[str, Any], ...] = ()
    body: str = ""  # what a webhook is posted

    @property
    def failure(self) -> str:
        """Why the template was not used; empty where it was."""
        return self.message.parts.get("failure", "")


def render(channel: str, notices: Sequence[Notice], folders: Sequence[Path], *, digest: bool, stored: bool) -> Preview:
    """Render notices as that channel would get them: one, or as a digest all of them."""

    def names(by: str, number: int) -> str | None:
        return None if stored else sample_name(by, number)

    notice = gather(notices)[0] if digest else notices[0]
    if digest:
        parts = render_digest_or_plain(channel, notices, names=names, folders=folders)
    else:
        parts = render_or_plain(channel, notice, names=names, folders=folders)
    kind, chart = (Kind.DIGEST, None) if digest else (notice.kind, chart_of(notice, names))
    message = Message("preview", kind, notice, parts, chart=chart)
    blocks = _laid(message) if channel == "slack" else ()
    return Preview(channel, message, blocks, _posted(message) if channel == "webhook" else "")


def _posted(message: Message) -> str:
    from alertd.channels.webhook.body import compose

    return json.dumps(compose(message, {})[0], indent=2, ensure_ascii=False)


def _laid(message: Message) -> tuple[Mapping[str, Any], ...]:
    from alertd.channels.slack.blocks import blocks
    from alertd.channels.slack.buttons import buttons
    from alertd.channels.slack.charting import picture

    return tuple(blocks(message.parts, chart=picture(message), buttons=buttons(message)))


def as_json(made: Sequence[Preview]) -> dict[str, Any]:
    """The parts of every message, and what Slack or a webhook would be sent."""
    return {"channels": {each.channel: _data(each) for each in made}}


def _data(preview: Preview) -> dict[str, Any]:
    parts = dict(preview.message.parts)
    if preview.channel != "slack":
        return {"parts": parts} | ({"payload": json.loads(preview.body)} if preview.body else {})
    return {"parts": parts, "payload": {"text": parts.get("plain", ""), "blocks": list(preview.blocks)}}


def as_text(made: Sequence[Preview]) -> str:
    """All messages one below the other, for a terminal."""
    return "\n\n".join("\n".join((_rule_off(each.channel), "", *_lines(each))).rstrip() for each in made)


def _rule_off(channel: str) -> str:
    title = {"slack": "Slack", "email": "Mail"}.get(channel, channel.capitalize())
    return f"── {title} ".ljust(_WIDTH, "─")


def _lines(preview: Preview) -> Iterator[str]:
    parts, chart = preview.message.parts, preview.message.chart
    if preview.channel == "slack":
        for block in preview.blocks:
            yield from (*_block(block, chart), "")
        if parts.get("followup") and parts.get("reply"):
            yield f"↳ {legible(parts['reply'])}"
    elif preview.channel == "email":
        yield from (f"Subject: {parts.get('subject', '')}", "", parts.get("text", ""))
        if chart and "cid:chart" in parts.get("html", ""):
            yield from ("", *_drawn(chart))
    elif preview.body:
        yield preview.body
    else:
        yield from (f"{name}: {parts[name]}" for name in sorted(parts, key=_place) if parts[name] and name != "failure")


def _place(name: str) -> tuple[int, str]:
    return (_TOLD.index(name) if name in _TOLD else len(_TOLD)), name


def _block(block: Mapping[str, Any], chart: Chart | None) -> Iterator[str]:
    """One block of Slack's as lines."""
    match block["type"]:
        case "header":
            yield legible(block["text"]["text"])
        case "section":
            texts = [block["text"]] if "text" in block else block.get("fields", [])
            yield from (legible(each["text"]) for each in texts)
        case "context":
            yield from (legible(each["text"]) for each in block["elements"])
        case "actions":
            yield "  ".join(f"[{legible(each['text']['text'])}]" for each in block["elements"])
        case "data_visualization" if chart:
            yield from _drawn(chart)
        case other:
            yield f"({other})"


def _drawn(chart: Chart) -> Iterator[str]:
    """The chart in a few signs, and in words."""
    yield chart.title
    if not chart.bars:
        yield sparkline(chart.values)
    yield facts(chart)


def sparkline(values: Sequence[float]) -> str:
    """A line of bars, each as high as its value between the lowest and the highest: ▁▂▅█."""
    step = -(-len(values) // _POINTS) or 1
    few = list(values)[::-1][::step][::-1]
    low, high = min(few, default=0.0), max(few, default=0.0)
    reach = (high - low) or 1.0
    return "".join(_BARS[min(int((value - low) / reach * len(_BARS)), len(_BARS) - 1)] for value in few)


def legible(text: str) -> str:
    """Slack's mrkdwn as plain text: links with their addresses, dates as UTC, no stars."""
    text = re.sub(r"<!date\^[^|>]*\|([^>]*)>", r"\1", text)
    text = re.sub(r"<([^|>]+)\|([^>]*)>", r"\2 (\1)", text)
    text = re.sub(r"(?<!\w)\*([^*\n]+)\*(?!\w)", r"\1", text)
    return text.replace("`", "").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
