"""What stands around a daemon that is a process: the reporting API, Slack and mail, each of which can be made to fail."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from alertd.clock import Instant, SystemClock
from alertd.sandbox.app import create_app
from alertd.sandbox.columns import Snapshot
from alertd.sandbox.importing import from_rows
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.slack import create_slack
from alertd.sandbox.workspace import Workspace
from alertd.web.serving import Server, listen
from tests.cli.shell import Running, until

TOKEN = "reporting-secret-8f3b1c9d"
SLACK = "xoxb-slack-secret-71aa90f2"
SECRETS = (TOKEN, SLACK)

RULES = """\
defaults: {owner: team, notify: [team-slack, team-mail], every: 10s, window: 30m, delay: 0s}
rules:
  - id: nobody-answers
    title: Visitors get no answer
    filters: [{property: status, operation: EQ, values: [open]}]
    measure: waiting
    warning: {above: 5s}
"""

RECEIVERS = """\
receivers:
  team-slack: {slack: {channel: "#alerts"}}
  team-mail: {email: {to: [oncall@example.com]}}
fallback: team-mail
"""


class Rows:
    """Conversations that the test writes down, as a world for the sandbox's app."""

    def __init__(self) -> None:
        self.users: list[dict[str, Any]] = []
        self.playbooks: list[dict[str, Any]] = []
        self._rows: dict[int, dict[str, Any]] = {}

    def at(self, now: Instant) -> Snapshot:
        return from_rows(list(self._rows.values())).at(now)

    def somebody_waits(self, number: int = 1) -> None:
        """A visitor wrote a minute ago and has no answer."""
        begun = SystemClock().now() - 60_000
        row = {"id": number, "createdAt": begun, "firstEndUserMessageAt": begun, "numEndUserMessages": 1, "status": "open"}
        self._rows = self._rows | {number: row}

    def somebody_answers(self, number: int = 1) -> None:
        now = SystemClock().now()
        given = {"firstAgentMessageAt": now, "firstAgentId": 671, "lastAgentId": 671, "numAgentMessages": 1}
        time = {"timeToAgentResponseMillis": now - self._rows[number]["createdAt"]}
        self._rows = self._rows | {number: self._rows[number] | given | time}


class Door:
    """Stands before an app. `mode`: open; refuse (500); hang (no answer); mute (the app acts, its answer never leaves)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.mode = "open"
        self.turned_away = 0  # calls that were refused or kept waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mode = self.mode
        if mode == "open":
            await self._app(scope, receive, send)
            return
        if mode == "mute":
            await self._app(scope, receive, _swallow)
        self.turned_away += 1
        while self.mode == mode != "refuse":
            await asyncio.sleep(0.02)
        await PlainTextResponse("not now", 500)(scope, receive, send)


async def _swallow(_message: MutableMapping[str, Any]) -> None:
    pass


class Stage:
    """One daemon's surroundings, on loopback. `folder` is its working folder, with its rules and its store."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.folder, self.rules = folder, folder / "rules"
        self.rows = Rows()
        self.workspace, self.mailbox = Workspace(clock, ["alerts"], tokens=[SLACK]), Mailbox(clock)
        self.slack = Door(create_slack(self.workspace))
        self.api = Door(create_app(self.rows, clock, token=TOKEN))
        routes = [Mount("/api", app=self.api), Mount("/slack", app=self.slack)]
        self.server = Server(Starlette(routes=routes), listen("127.0.0.1", 0, "port"))
        self.seen: list[str] = []  # every page that was looked at, and what daemons wrote
        self.variables: dict[str, str] = {}
        self._daemons: list[Running] = []

    def open(self) -> None:
        self.server.start()
        self.mailbox.start()
        self.rules.mkdir()
        self.write(RULES)
        (self.rules / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
        (self.folder / "token").write_text(TOKEN, encoding="utf-8")
        self.variables = {
            "ALERTD_RULES": "rules",
            "ALERTD_WEB__PORT": "0",
            "ALERTD_REPORTING__URL": f"{self.server.address}/api",
            "ALERTD_REPORTING__TOKEN_FILE": "token",
            "ALERTD_SLACK__URL": f"{self.server.address}/slack/api/",
            "ALERTD_SLACK__BOT_TOKEN": SLACK,
            "ALERTD_EMAIL__HOST": self.mailbox.host,
            "ALERTD_EMAIL__PORT": str(self.mailbox.port),
            "ALERTD_EMAIL__SENDER": "alertd@example.com",
            "ALERTD_EMAIL__TLS": "none",
        }

    def close(self) -> None:
        for running in self._daemons:
            running.close()
        self.slack.mode = self.api.mode = "open"
        self.server.stop()
        self.mailbox.stop()

    def write(self, rules: str) -> None:
        (self.rules / "rules.yaml").write_text(rules, encoding="utf-8")

    def start(self, **variables: str) -> Running:
        """A daemon that is up."""
        running = Running(self.folder, "run", **(self.variables | variables))
        self._daemons.append(running)
        running.says('"event": "running"')
        return running

    def get(self, running: Running, page: str) -> requests.Response:
        """One of a daemon's pages."""
        found = re.search(r'"health": "(http://[^/"]+)', running.text)
        assert found
        answer = requests.get(f"{found[1]}/{page}", timeout=30)
        self.seen.append(answer.text)
        return answer

    def ready(self, running: Running) -> dict[str, str]:
        """What `/readyz` says of the parts that do not work; nothing when it says 200."""
        answer = self.get(running, "readyz")
        checks = answer.json()["checks"]
        bad = {name: str(each["text"]) for name, each in checks.items() if not each["ok"]}
        assert (answer.status_code, answer.json()["ready"]) == ((503, False) if bad else (200, True))
        return bad

    def rows_of(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the store while a daemon runs."""
        # Not read-only: after a kill whoever comes next has to roll the journal back.
        with closing(sqlite3.connect(self.folder / "alertd.db", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def kinds(self) -> dict[str, str]:
        """Of each key in the outbox, what kind of news it is."""
        return dict(self.rows_of("SELECT key, kind FROM deliveries"))

    def in_slack(self) -> list[str]:
        """What Slack's readers were told, in order, repeats left out."""
        kinds = self.kinds()
        return [kinds[str(each.client_msg_id)] for each in self.workspace.messages if not each.repeat]

    def by_mail(self) -> list[str]:
        """What the mailbox's reader was told, in order, repeats left out."""
        kinds = self.kinds()
        return [
            kinds[str(each.header("Message-ID")).strip("<>").partition("@")[0]]
            for each in self.mailbox.mails
            if not each.repeat
        ]

    def repeats(self) -> int:
        return sum(each.repeat for each in self.workspace.messages) + sum(each.repeat for each in self.mailbox.mails)

    def told(self, *kinds: str) -> None:
        """Wait until both channels have told exactly this, in this order."""
        wanted = list(kinds)
        until(lambda: self.in_slack() == self.by_mail() == wanted, f"{wanted} in both channels")

    def check_secrets(self) -> None:
        """No secret left: not in what daemons wrote, not in a page, not in the store's files, not in a message."""
        texts = [*self.seen, *(each.text for each in self._daemons)]
        texts += [str(each) for each in (*self.workspace.messages, *self.mailbox.mails)]
        files = [file.read_bytes() for file in self.folder.iterdir() if file.name.startswith("alertd.db")]
        assert files
        for secret in SECRETS:
            assert not [text for text in texts if secret in text]
            assert not [content for content in files if secret.encode() in content]


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Surroundings for as long as the block; at its end no secret may have left."""
    stage = Stage(folder)
    stage.open()
    try:
        yield stage
        stage.check_secrets()
    finally:
        stage.close()
