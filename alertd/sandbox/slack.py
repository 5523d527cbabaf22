"""A stand-in for Slack's Web API and incoming webhooks, close enough for slack_sdk: https://docs.slack.dev/reference/methods.

Mount the app anywhere: `<mount>/api/` is the client's base_url, `<mount>/` plus `Workspace.hook()` a webhook's URL. Presses
of buttons go out over `<mount>/socket`, where there is a switchboard.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from alertd.clock import SECOND
from alertd.sandbox.slack_limits import TEXT, TOTAL, check_blocks, total_text
from alertd.sandbox.socket import APP, TEAM, Switchboard
from alertd.sandbox.workspace import Block, Content, Draft, FaultKind, Refusal, SlackFault, SlackMessage, Workspace

Arguments: TypeAlias = Mapping[str, Any]
Answer: TypeAlias = dict[str, Any]

_OPEN = "apps.connections.open"

_BOT = {"user": "alertd", "user_id": "U0000000001", "bot_id": "B0000000001", "team": "Sandbox", "team_id": TEAM}


def create_slack(workspace: Workspace, switchboard: Switchboard | None = None) -> Starlette:
    """The stand-in as an app over one workspace."""

    async def method(request: Request) -> Response:
        name, arguments = request.path_params["method"], await _arguments(request)
        if switchboard and name == _OPEN:
            return _answered(workspace, name, lambda: _connect(switchboard, request, arguments))
        return _answered(workspace, name, lambda: _call(workspace, name, request, arguments))

    async def hook(request: Request) -> Response:
        return _hook(workspace, request.path_params["channel"], await _arguments(request))

    routes = [
        Route("/api/{method}", method, methods=["GET", "POST"]),
        Route("/services/{team}/{app}/{channel}", hook, methods=["POST"]),
    ]
    sockets = [WebSocketRoute("/socket", switchboard.serve)] if switchboard else []
    return Starlette(routes=[*routes, *sockets])


async def _arguments(request: Request) -> Arguments:
    """Arguments from the query string, a form or a JSON body: Slack takes all three."""
    body = (await request.body()).decode("utf-8", "replace")
    query = dict(request.query_params)
    if request.headers.get("content-type", "").startswith("application/json"):
        try:
            given = json.loads(body)
        except ValueError:
            return query
        return query | given if isinstance(given, dict) else query
    form = dict(parse_qsl(body, keep_blank_values=True))
    return query | ({"payload": form["payload"]} | _decoded(form["payload"]) if "payload" in form else form)


def _decoded(payload: str) -> Answer:
    try:
        given = json.loads(payload)
    except ValueError:
        return {}
    return given if isinstance(given, dict) else {}


def _answered(workspace: Workspace, name: str, call: Callable[[], Answer]) -> Response:
    fault = workspace.enter(name)
    if fault and fault.kind is not FaultKind.HANG_UP:
        return _faulty(fault)
    try:
        answer = call()
    except Refusal as refusal:
        return _refused(refusal)
    return _HangUp() if fault else JSONResponse({"ok": True} | answer)


def _call(workspace: Workspace, name: str, request: Request, arguments: Arguments) -> Answer:
    token = _token(request, arguments)
    if token not in workspace.tokens:
        raise Refusal("invalid_auth")
    return _METHODS.get(name, _unknown)(workspace, arguments)


def _connect(switchboard: Switchboard, request: Request, arguments: Arguments) -> Answer:
    """Where to connect to, with a ticket that is good for once."""
    token = _token(request, arguments)
    if token not in switchboard.tokens:
        raise Refusal("not_allowed_token_type" if token.startswith("xoxb-") else "invalid_auth")
    there = request.url.path.removesuffix(f"api/{_OPEN}")
    scheme = "wss" if request.url.scheme == "https" else "ws"
    return {"url": f"{scheme}://{request.url.netloc}{there}socket?ticket={switchboard.ticket()}&app_id={APP}"}


def _hook(workspace: Workspace, channel: str, arguments: Arguments) -> Response:
    """A webhook speaks plain text and says with the status what is wrong."""
    fault = workspace.enter("webhook")
    if fault and fault.kind is not FaultKind.HANG_UP:
        return _faulty(fault, hook=True)
    try:
        if channel not in workspace.channels.values():
            return PlainTextResponse("no_service", 404)
        workspace.post(channel, Draft(_content(workspace, arguments), webhook=True))
    except Refusal as refusal:
        return _refused(refusal, hook=True)
    return _HangUp() if fault else PlainTextResponse("ok")


def _token(request: Request, arguments: Arguments) -> str:
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else arguments.get("token")
    if not token:
        raise Refusal("not_authed")
    return str(token)


def _faulty(fault: SlackFault, *, hook: bool = False) -> Response:
    match fault.kind:
        case FaultKind.CRASH:
            return PlainTextResponse("upstream connect error", 500)  # what Slack's edge says is no JSON either
        case FaultKind.TOO_MANY:
            return _refused(Refusal("ratelimited", retry_after=fault.retry_after), hook=hook)
        case FaultKind.REFUSE:
            return _refused(Refusal(fault.error), hook=hook)
        case _:
            return _HangUp()


def _refused(refusal: Refusal, *, hook: bool = False) -> Response:
    """Slack's way to say no: 200 and `ok: false` to a method, a status and a word to a webhook; 429 to both."""
    headers: dict[str, str] = {}
    status = 400 if hook else 200
    if refusal.retry_after is not None:
        status = 429
        headers["Retry-After"] = str(math.ceil(refusal.retry_after / SECOND))
    if hook:
        return PlainTextResponse(refusal.code, status, headers)
    answer: Answer = {"ok": False, "error": refusal.code}
    if refusal.details:
        answer |= {"errors": list(refusal.details)}
        answer |= {"response_metadata": {"messages": [f"[ERROR] {detail}" for detail in refusal.details]}}
    return JSONResponse(answer, status, headers)


class _HangUp(Response):
    """No answer at all: the connection is cut."""

    async def __call__(self, _scope: Scope, receive: Receive, _send: Send) -> None:
        # ASGI has no word for this. uvicorn's `receive` is a method of the object that holds the connection.
        connection = getattr(receive, "__self__", None)
        connection.transport.abort()  # type: ignore[union-attr]  # another server than uvicorn: the error is a 500, fair enough
        while (await receive())["type"] != "http.disconnect":
            pass


def _auth_test(_workspace: Workspace, _arguments: Arguments) -> Answer:
    return {"url": "https://sandbox.slack.com/", **_BOT}


def _post(workspace: Workspace, arguments: Arguments) -> Answer:
    channel = workspace.channel(arguments.get("channel"))
    draft = Draft(
        content=_content(workspace, arguments),
        thread_ts=arguments.get("thread_ts") or None,
        broadcast=_truth(arguments.get("reply_broadcast")),
        client_msg_id=arguments.get("client_msg_id") or None,
    )
    message = workspace.post(channel, draft)
    return {"channel": channel, "ts": message.ts, "message": _described(message)}


def _update(workspace: Workspace, arguments: Arguments) -> Answer:
    channel = workspace.channel(arguments.get("channel"), names=False)
    message = workspace.update(channel, str(arguments.get("ts", "")), _content(workspace, arguments))
    return {"channel": channel, "ts": message.ts, "text": message.text, "message": _described(message)}


def _whisper(workspace: Workspace, arguments: Arguments) -> Answer:
    channel = workspace.channel(arguments.get("channel"))
    user = arguments.get("user")
    if not isinstance(user, str) or not user.startswith(("U", "W")):
        raise Refusal("user_not_in_channel")
    return {"message_ts": workspace.whisper(channel, user, _content(workspace, arguments)).ts}


def _channels(workspace: Workspace, _arguments: Arguments) -> Answer:
    found = [
        {"id": identifier, "name": name, "is_channel": True, "is_member": True, "is_archived": False, "is_private": False}
        for name, identifier in workspace.channels.items()
    ]
    return {"channels": found, "response_metadata": {"next_cursor": ""}}


def _history(workspace: Workspace, arguments: Arguments) -> Answer:
    """A channel's own messages, newest first; replies only where they were broadcast."""
    channel = workspace.channel(arguments.get("channel"), names=False)
    seen = [one for one in _since(workspace, channel, arguments) if one.thread_ts is None or one.broadcast]
    return _listed(seen[::-1], arguments)


def _replies(workspace: Workspace, arguments: Arguments) -> Answer:
    """A thread with its root, oldest first."""
    channel = workspace.channel(arguments.get("channel"), names=False)
    root = arguments.get("ts")
    seen = [one for one in _since(workspace, channel, arguments) if root in (one.ts, one.thread_ts)]
    if not seen:
        raise Refusal("thread_not_found")
    return _listed(seen, arguments)


def _unknown(_workspace: Workspace, _arguments: Arguments) -> Answer:
    raise Refusal("unknown_method")


def _since(workspace: Workspace, channel: str, arguments: Arguments) -> list[SlackMessage]:
    oldest, latest = float(arguments.get("oldest") or 0), float(arguments.get("latest") or math.inf)
    return [one for one in workspace.messages if one.channel == channel and oldest < float(one.ts) < latest]


def _listed(messages: list[SlackMessage], arguments: Arguments) -> Answer:
    limit = int(arguments.get("limit") or 100)
    described = [_described(message) for message in messages[:limit]]
    if not _truth(arguments.get("include_all_metadata")):
        described = [{name: value for name, value in one.items() if name != "metadata"} for one in described]
    return {"messages": described, "has_more": len(messages) > limit}


def _described(message: SlackMessage) -> Answer:
    given = {
        "thread_ts": message.thread_ts,
        "client_msg_id": message.client_msg_id,
        "metadata": message.metadata,
        "attachments": message.attachments,
    }
    plain = {"type": "message", "ts": message.ts, "text": message.text, "blocks": message.blocks}
    return plain | {"user": _BOT["user_id"], "bot_id": _BOT["bot_id"]} | {name: value for name, value in given.items() if value}


def _content(workspace: Workspace, arguments: Arguments) -> Content:
    """What a message is to say, checked; Refusal in Slack's words."""
    blocks = _items(arguments.get("blocks"), "invalid_blocks_format")
    attachments = _items(arguments.get("attachments"), "invalid_attachments")
    text = arguments.get("text")
    if not (text or blocks or attachments):
        raise Refusal("no_text")
    if len(str(text or "")) > TEXT:
        raise Refusal("msg_too_long")
    _check(workspace, blocks or (), attachments or ())
    return Content(None if text is None else str(text), blocks, attachments, _metadata(arguments.get("metadata")))


def _check(workspace: Workspace, blocks: tuple[Block, ...], attachments: tuple[Block, ...]) -> None:
    complaints = list(check_blocks(blocks, charts=workspace.charts))
    for number, attachment in enumerate(attachments):
        inner = attachment.get("blocks") or ()
        complaints += check_blocks(inner, f"/attachments/{number}/blocks", charts=workspace.charts)
    if complaints:
        raise Refusal("invalid_blocks", complaints)
    if total_text(blocks) > TOTAL:
        raise Refusal("msg_blocks_too_long")


def _items(value: object, wrong: str) -> tuple[Block, ...] | None:
    """A list of objects, given as such or as JSON in a form."""
    if value is None or value == "":
        return None
    given = _json(value, wrong)
    if not isinstance(given, list) or not all(isinstance(item, dict) for item in given):
        raise Refusal(wrong)
    return tuple(given)


def _metadata(value: object) -> Block | None:
    if value is None or value == "":
        return None
    given = _json(value, "invalid_metadata_format")
    if not isinstance(given, dict) or not given.get("event_type") or not isinstance(given.get("event_payload"), dict):
        raise Refusal("invalid_metadata_schema")
    return given


def _json(value: object, wrong: str) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise Refusal(wrong) from None


def _truth(value: object) -> bool:
    return str(value).lower() in ("1", "true")


_METHODS: Mapping[str, Callable[[Workspace, Arguments], Answer]] = {
    "auth.test": _auth_test,
    "chat.postEphemeral": _whisper,
    "chat.postMessage": _post,
    "chat.update": _update,
    "conversations.list": _channels,
    "conversations.history": _history,
    "conversations.replies": _replies,
}
