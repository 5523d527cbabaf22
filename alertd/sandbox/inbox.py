"""The demo's inbox: what Slack and the mail program would show, and where the alerts stand, as one page without JavaScript.

`/` is the page (`?mail=3` opens a mail, `?pause` stops the refresh), `/mails/3` one mail's HTML, `/inbox.json` the same for
scripts. A form sent to `/press` presses a button of a message.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

import jinja2
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from alertd.clock import Clock, Instant, iso
from alertd.facts import Level, State
from alertd.sandbox.blocks import cell, chart, colour, segments
from alertd.sandbox.mail import Mail, Mailbox
from alertd.sandbox.mrkdwn import mrkdwn, offset, plain
from alertd.sandbox.socket import Switchboard, find_button
from alertd.sandbox.workspace import SlackMessage, Workspace

REFRESH = 3  # seconds


@dataclass(frozen=True)
class AlertRow:
    """One alert as the inbox lists it; `value` and `limit` are in words, `group` is empty where the rule has only one."""

    rule: str
    title: str
    group: str
    state: State
    level: Level
    value: str
    limit: str
    since: Instant | None


@dataclass(frozen=True)
class Status:
    """What the inbox says about the daemon behind it: a sentence, figures, and what to expect while all is quiet."""

    headline: str = ""
    quiet: str = "All quiet. Something will go wrong in about 20 s."
    figures: tuple[tuple[str, str], ...] = ()  # name and value: ("calls in the last minute", "12 of 60")
    links: tuple[tuple[str, str], ...] = ()  # words and address: ("The daemon's own page", "http://127.0.0.1:8080/")


@dataclass(frozen=True)
class Sources:
    """Where the inbox looks, anew for every page. `zone` None is the machine's own; buttons need a switchboard."""

    workspace: Workspace
    mailbox: Mailbox
    alerts: Callable[[], Sequence[AlertRow]]
    status: Callable[[], Status]
    clock: Clock
    zone: tzinfo | None = None
    switchboard: Switchboard | None = None


@dataclass(frozen=True)
class Thread:
    """A message in a channel with its replies, oldest first."""

    root: SlackMessage
    replies: tuple[SlackMessage, ...]

    @property
    def moved(self) -> str:
        """The ts of its newest message; they sort as texts."""
        return max(one.ts for one in (self.root, *self.replies))


def create_inbox(sources: Sources) -> Starlette:
    """The inbox as an app, to be mounted anywhere. Its handlers run in threads: `alerts` and `status` may take their time."""
    pages = drawing(sources.zone)
    script, sheet = _file("inbox.js"), _file("inbox.css")
    rules = _policy(script)

    def page(request: Request) -> Response:
        html = pages.get_template("inbox.html").render(_view(sources, request.query_params), script=Markup(script))  # noqa: S704 - ours
        return HTMLResponse(html, headers=_headers(rules))

    def mail(request: Request) -> Response:
        found = _mail(sources.mailbox, request.path_params["number"])
        if found is None:
            return PlainTextResponse("This mail is gone.", 404, _headers(_MAIL_POLICY))
        return HTMLResponse(_opening_links(found.page), headers=_headers(_MAIL_POLICY))

    def data(_request: Request) -> Response:
        return JSONResponse(to_json(sources), headers=_headers(_NOTHING))

    def style(_request: Request) -> Response:
        return PlainTextResponse(sheet, media_type="text/css", headers=_headers(_NOTHING))

    async def press(request: Request) -> Response:
        # Other pages that are open in the same browser have no business here.
        if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return PlainTextResponse("Press the button on the page itself.", 403, _headers(_NOTHING))
        return _press(sources, dict(parse_qsl((await request.body()).decode("utf-8", "replace"))))

    return Starlette(
        routes=[
            Route("/", page),
            Route("/press", press, methods=["POST"]),
            Route("/mails/{number:int}", mail),
            Route("/inbox.json", data),
            Route("/inbox.css", style),
        ]
    )


def to_json(sources: Sources) -> dict[str, Any]:
    """Everything that the page shows, for scripts and tests."""
    return {
        "at": iso(sources.clock.now()),
        "alerts": [_alert_json(row) for row in sources.alerts()],
        "messages": [_message_json(message) for message in sources.workspace.messages],
        "whispers": [_message_json(message) for message in sources.workspace.whispers],
        "mails": [_mail_json(mail) for mail in sources.mailbox.mails],
    }


def _alert_json(row: AlertRow) -> dict[str, Any]:
    return {**vars(row), "since": None if row.since is None else iso(row.since)}


def _message_json(message: SlackMessage) -> dict[str, Any]:
    edits = [{"at": iso(edit.at), "text": edit.text, "blocks": edit.blocks} for edit in message.edits]
    return {**vars(message), "received_at": iso(message.received_at), "edits": edits}


def _mail_json(mail: Mail) -> dict[str, Any]:
    shown = {name: value for name, value in vars(mail).items() if name not in ("raw", "pictures")}
    return {**shown, "headers": dict(mail.headers), "received_at": iso(mail.received_at)}


def _view(sources: Sources, query: Mapping[str, str]) -> dict[str, Any]:
    """What one page shows."""
    alerts = sorted(sources.alerts(), key=_urgency)
    mails = sources.mailbox.mails[::-1]
    wanted = query.get("mail", "")
    chosen = next((mail for mail in mails if str(mail.number) == wanted), None)
    return {
        "alerts": alerts,
        "firing": sum(row.state in (State.FIRING, State.RECOVERING) for row in alerts),
        "channels": _channels((*sources.workspace.messages, *sources.workspace.whispers)),
        "pressable": sources.switchboard is not None,
        "messages": len(sources.workspace.messages),
        "mails": mails,
        "mail": chosen or (mails[0] if mails else None),
        "chosen": chosen,
        "status": sources.status(),
        "now": sources.clock.now(),
        "paused": "pause" in query,
        "refresh": REFRESH,
    }


def _urgency(row: AlertRow) -> tuple[int, int, str, str]:
    """Firing before pending before quiet, the worse level first."""
    order = (State.FIRING, State.RECOVERING, State.PENDING, State.INACTIVE)
    return order.index(row.state), -row.level.rank, row.title, row.group


def _channels(messages: Sequence[SlackMessage]) -> dict[str, list[Thread]]:
    """The threads by channel; what moved last comes first."""
    found: dict[str, list[Thread]] = {}
    for thread in sorted(_threads(messages), key=lambda one: one.moved, reverse=True):
        found.setdefault(thread.root.channel_name, []).append(thread)
    return found


def _threads(messages: Sequence[SlackMessage]) -> list[Thread]:
    replies: dict[tuple[str, str], list[SlackMessage]] = {}
    for one in messages:
        if one.thread_ts:
            replies.setdefault((one.channel, one.thread_ts), []).append(one)
    return [Thread(one, tuple(replies.get((one.channel, one.ts), ()))) for one in messages if one.thread_ts is None]


def _press(sources: Sources, form: Mapping[str, str]) -> Response:
    """Press the button that a form names, and go back to the page."""
    found = find_button(sources.workspace, form.get("channel", ""), form.get("ts", ""), form.get("action", ""))
    if found is None:
        return PlainTextResponse("This button is gone.", 404, _headers(_NOTHING))
    if sources.switchboard is None or not sources.switchboard.press(*found):
        return PlainTextResponse("Nobody listens for this button at present.", 503, _headers(_NOTHING))
    return RedirectResponse("./", 303, _headers(_NOTHING))


def _mail(mailbox: Mailbox, number: int) -> Mail | None:
    return next((mail for mail in mailbox.mails if mail.number == number), None)


def _opening_links(html: str) -> str:
    """A mail's links open beside the inbox, as they do from a mail program."""
    base = '<base target="_blank">'
    return html.replace("<head>", f"<head>{base}", 1) if "<head>" in html else base + html


def drawing(zone: tzinfo | None, *more: jinja2.BaseLoader) -> jinja2.Environment:
    """Pages that draw Slack's blocks, with the times of that zone; `more` pages come before these."""
    pages = jinja2.Environment(
        loader=jinja2.ChoiceLoader([*more, jinja2.PackageLoader("alertd.sandbox", "")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(
        mrkdwn=lambda text: mrkdwn(str(text), zone),
        when=lambda instant: _when(instant, zone),
        plain=lambda text: plain(str(text)),
        chart=chart,
        segments=segments,
        cell=cell,
        colour=colour,
        web=_web,
    )
    return pages


def _when(instant: Instant, zone: tzinfo | None) -> Markup:
    """A time of day; the date and the distance from UTC are in its title."""
    moment = datetime.fromtimestamp(instant / 1000, UTC).astimezone(zone)
    title = f"{moment:%Y-%m-%d %H:%M:%S} {offset(moment)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso(instant), title, f"{moment:%H:%M:%S}")


def _web(address: object) -> str:
    """An address that a browser may open; of any other kind nothing."""
    return str(address) if str(address).startswith(("https://", "http://")) else "#"


def _file(name: str) -> str:
    return resources.files("alertd.sandbox").joinpath(name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """The page runs one script, known by its hash, loads its own sheet, and frames its own mails."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'self'; img-src data:; connect-src 'self'; "
        "frame-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


# A frame with srcdoc would inherit the page's policy and lose the styles that every mail carries. At an address of its own a
# mail has its own policy: its styles and pictures, no scripts, nothing from elsewhere.
_MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_NOTHING = "default-src 'none'; frame-ancestors 'none'"


def _headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
