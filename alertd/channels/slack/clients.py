"""Slack's own clients on a wire of ours: one deadline for a whole exchange, no redirects, no endless answers."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request

from slack_sdk.web import WebClient
from slack_sdk.webhook import WebhookClient, WebhookResponse

from alertd.channels.http import exchange
from alertd.clock import Duration


class Bot(WebClient):
    """The Web API. An answer whose `ok` is not exactly true is made one that the SDK takes for a refusal."""

    deadline: Duration

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:  # noqa: ARG002 - the SDK's
        answer = exchange(req, self.proxy, self.deadline)
        return {"status": answer.status, "headers": answer.headers, "body": json.dumps(sober(answer.text))}


class Hook(WebhookClient):
    """An incoming webhook."""

    deadline: Duration

    def _perform_http_request_internal(self, url: str, req: Request) -> WebhookResponse:
        answer = exchange(req, self.proxy, self.deadline)
        return WebhookResponse(url=url, status_code=answer.status, body=answer.text, headers=dict(answer.headers.items()))


def sober(text: str) -> dict[str, Any]:
    """The answer if it is an object with a true or false `ok`; otherwise one that says nothing."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"ok": False}
    return found if isinstance(found, dict) and isinstance(found.get("ok"), bool) else {"ok": False}
