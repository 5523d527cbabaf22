"""The page of `alertd preview`: the message as Slack draws it, and the mail in a frame of its own."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC
from importlib import resources

import jinja2
from markupsafe import Markup

from alertd.charts import png
from alertd.cli.previewing import Preview
from alertd.sandbox.inbox import drawing
from alertd.sandbox.workspace import SlackMessage


def page(previews: Sequence[Preview], title: str) -> str:
    """One page that needs nothing else."""
    sheet = resources.files("alertd.sandbox").joinpath("inbox.css").read_text(encoding="utf-8")
    template = drawing(UTC, jinja2.PackageLoader("alertd.cli", "")).get_template("preview.html")
    return template.render(
        previews=previews,
        title=title,
        sheet=Markup(sheet),  # noqa: S704 - ours
        root=_root,
        reply=_reply,
        framed=_framed,
    )


def _root(preview: Preview) -> SlackMessage:
    message = preview.message
    return SlackMessage("0", "preview", "preview", message.parts.get("plain", ""), message.notice.at, blocks=preview.blocks)


def _reply(preview: Preview) -> SlackMessage | None:
    """What stands in the thread below the message, where there is news."""
    message = preview.message
    news = message.parts.get("reply", "") if message.parts.get("followup") else ""
    return SlackMessage("1", "preview", "preview", news, message.notice.at, thread_ts="0") if news else None


def _framed(preview: Preview) -> str:
    """The mail's HTML with its picture in it."""
    html, picture = preview.message.parts["html"], preview.message.chart
    if picture is None or "cid:chart" not in html:
        return html
    return html.replace("cid:chart", f"data:image/png;base64,{base64.b64encode(png(picture)).decode()}")
