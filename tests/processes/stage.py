"""What stands around a daemon that is a process: the reporting API, Slack and mail, each of which can be made to fail."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator, MutableMapping
from contextlib import closing, contextmanager, suppress
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
from alertd.sandbox.socket import Switchboard
from alertd.sandbox.workspace import Workspace
from alertd.web.serving import Server, listen
from tests.cli.shell import Ran, Running, alertd, until
from tests.processes.canaries import Canary, Sighting, in_folder, of_process, seen
from tests.processes.ears import Ear, Letterbox

TOKEN = "drift-8f3b1c9d5e7a40b2c6f1"
SLACK = "xoxb-71aa90f2c3d84b6e95071d"
APP = "xapp-1-0d5c2b7e9a4f4136b8e2"

# One secret for every variable that holds one, and for every address that can have one in it.
CANARIES = (
    Canary("ALERTD_REPORTING__TOKEN", TOKEN),
    Canary("ALERTD_SLACK__BOT_TOKEN", SLACK),
    Canary("ALERTD_SLACK__APP_TOKEN", APP),
    Canary("ALERTD_EMAIL__PASSWORD", "mail-6c0f4e8d2a1b47f39d5e"),
    Canary("ALERTD_HEARTBEAT__URL", "beat-b94d17e05f2c4a8c936a"),
    Canary("ALERTD_REPORTING__PROXY", "proxy-3e7a91c5d8f04b62ae1f"),
    Canary("HTTPS_PROXY", "onward-58d2f6b0947c4e1da3b8"),
    Canary("TEAM_SLACK_HOOK", "slack-e1f5a83b6d0c49728fae"),
    Canary("TEAM_HOOK", "hook-a2c8e4f6b1d3479095cb"),
    Canary("TEAM_HOOK_KEY", "sign-47f1b3d5e9a04c2c8607"),
    Canary("TEAM_APPRISE", "other-9d3b5f7a1c2e4680b4d6"),
)
SECRETS = tuple(each.text for each in CANARIES)
_OF = {each.name: each.text for each in CANARIES}
_POSTED = ("ALERTD_HEARTBEAT__URL", "TEAM_SLACK_HOOK", "TEAM_HOOK", "TEAM_APPRISE")  # where a path is the secret

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
  slack-hook: {slack: {webhook_env: TEAM_SLACK_HOOK}}
  team-hook: {webhook: {url_env: TEAM_HOOK, secret_env: TEAM_HOOK_KEY}}
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

    def somebody_waits(self, number: int = 1, **more: Any) -> None:
        """A visitor wrote a minute ago and has no answer. `more` are other properties of the conversation."""
        begun = SystemClock().now() - 60_000
        row = {"id": number, "createdAt": begun, "firstEndUserMessageAt": begun, "numEndUserMessages": 1, "status": "open"}
        self._rows = self._rows | {number: row | more}

    def somebody_answers(self, number: int = 1) -> None:
        now = SystemClock().now()
        given = {"firstAgentMessageAt": now, "firstAgentId": 671, "lastAgentId": 671, "numAgentMessages": 1}
        time = {"timeToAgentResponseMillis": now - self._rows[number]["createdAt"]}
        self._rows = self._rows | {number: self._rows[number] | given | time}


_BUTTONS = ("/auth.test", "/apps.connections.open")


class Door:
    """Stands before an app. `mode`: open; refuse (500); hang (no answer); mute (the app acts, its answer never leaves).

    What Socket Mode needs always gets in: buttons come and go by themselves, and would be counted among the messages.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.mode = "open"
        self.turned_away = 0  # calls that were refused or kept waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        mode = self.mode
        if mode == "open" or scope["type"] == "websocket" or scope["path"].endswith(_BUTTONS):
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


class Tickets(Switchboard):
    """Socket Mode that remembers its tickets: whoever has one may connect, once."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock, (APP,))
        self.given: list[Canary] = []

    def ticket(self) -> str:
        given = super().ticket()
        self.given.append(Canary("ticket", given))
        return given


class Stage:
    """One daemon's surroundings, on loopback. `folder` is its working folder, with its rules and its store.

    Every secret that a daemon can be given is a canary, which the end looks for. `team-slack` and `team-mail` are told by the
    rules here; rules of a test's own may name `slack-hook` and `team-hook` too, which post to `hooks`.
    """

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self.folder, self.rules = folder, folder / "rules"
        self.rows = Rows()
        self.workspace, self.mailbox = Workspace(clock, ["alerts"], tokens=[SLACK]), Mailbox(clock)
        self.switchboard, self.letterbox = Tickets(clock), Letterbox()
        self.slack = Door(create_slack(self.workspace, self.switchboard))
        self.api = Door(create_app(self.rows, clock, token=TOKEN))
        self.hooks = Door(self.letterbox.app)
        self.ears = (
            Ear(self.api, "the API", self.canaries, bearer=frozenset({"ALERTD_REPORTING__TOKEN"})),
            Ear(
                self.slack,
                "Slack",
                self.canaries,
                bearer=frozenset({"ALERTD_SLACK__BOT_TOKEN", "ALERTD_SLACK__APP_TOKEN"}),
                path=frozenset({"ticket"}),
            ),
            Ear(self.hooks, "hooks", self.canaries, path=frozenset(_POSTED)),
        )
        routes = [Mount(path, app=ear) for path, ear in zip(("/api", "/slack", "/hooks"), self.ears, strict=True)]
        self.server = Server(Starlette(routes=routes), listen("127.0.0.1", 0, "port"))
        self.seen: list[str] = []  # every page that was looked at, and what verbs wrote
        self.given = {folder / "token", folder / ".env"}  # files and folders that may hold secrets
        self.others: list[Canary] = []  # what else must not be seen
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
            "ALERTD_LOG__LEVEL": "debug",
            "ALERTD_WEBHOOK__ALLOW_PRIVATE": "true",
        } | self._more_secrets()

    def _more_secrets(self) -> dict[str, str]:
        """Those without which it would work as well. Proxies are not asked for what is on loopback."""
        return {
            "ALERTD_SLACK__APP_TOKEN": APP,
            "ALERTD_EMAIL__PASSWORD": _OF["ALERTD_EMAIL__PASSWORD"],
            "ALERTD_REPORTING__PROXY": f"http://alertd:{_OF['ALERTD_REPORTING__PROXY']}@proxy.example.com:3128",
            "HTTPS_PROXY": f"http://alertd:{_OF['HTTPS_PROXY']}@proxy.example.com:3128",
            "TEAM_HOOK_KEY": _OF["TEAM_HOOK_KEY"],
            **{name: f"{self.server.address}/hooks/{_OF[name]}" for name in _POSTED},
            "TEAM_APPRISE": f"{self.server.address}/hooks/{_OF['TEAM_APPRISE']}".replace("http://", "json://"),
        }

    def close(self) -> None:
        for running in self._daemons:
            running.close()
        self.slack.mode = self.api.mode = self.hooks.mode = "open"
        self.server.stop()
        self.mailbox.stop()

    def write(self, rules: str) -> None:
        (self.rules / "rules.yaml").write_text(rules, encoding="utf-8")

    def start(self, **variables: str) -> Running:
        """A daemon that is up, and hears buttons if it can."""
        chosen = self.variables | variables
        running = Running(self.folder, "run", **chosen)
        self._daemons.append(running)
        running.says('"event": "running"')
        if chosen.get("ALERTD_SLACK__APP_TOKEN"):
            running.says('"event": "buttons are (not )?heard"')
        return running

    def verb(self, *arguments: str, **variables: str) -> Ran:
        """A verb run to its end in the daemon's folder, with its settings."""
        ran = alertd(self.folder, *arguments, **(self.variables | variables))
        self.seen += [ran.out, ran.err]
        return ran

    def get(self, running: Running, page: str, *, within: float = 30) -> requests.Response:
        """One of a daemon's pages."""
        found = re.search(r'"health": "(http://[^/"]+)', running.text)
        assert found
        answer = requests.get(f"{found[1]}/{page}", timeout=within)
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

    def canaries(self) -> tuple[Canary, ...]:
        """The secrets that there are, those that Slack has given out too."""
        return (*CANARIES, *self.others, *self.switchboard.given)

    def check_secrets(self) -> None:
        """No secret left: not in what daemons wrote, a page, a store, a file, a message, a call or a command line."""
        assert [file for file in self.folder.iterdir() if file.name.startswith("alertd.db")]
        found = [*self.heard(), *seen(self.canaries(), self.places())]
        assert not found, found  # in words: here nobody rewrites what an assertion says

    def heard(self) -> list[Sighting]:
        """Secrets that came to a stand-in otherwise than they should."""
        return [found for ear in self.ears for found in ear.found]

    def places(self) -> Iterator[tuple[str, bytes]]:
        """All that daemons and verbs have left behind, all pages looked at once more."""
        for running in self._daemons:
            self._last_looks(running)
        yield from self._left_behind()

    def _last_looks(self, running: Running) -> None:
        if not _answers(running):
            return
        for page in ("healthz", "readyz", "metrics"):
            with suppress(requests.RequestException):  # it may be hanging, which is another test's business
                self.get(running, page, within=10)

    def _left_behind(self) -> Iterator[tuple[str, bytes]]:
        for running in self._daemons:
            yield "what a daemon wrote", running.text.encode()
            yield from of_process(running.process.pid)
        yield from (("a page", page.encode()) for page in self.seen)
        yield from (("a message in Slack", str(each).encode()) for each in (*self.workspace.messages, *self.workspace.whispers))
        for mail in self.mailbox.mails:
            yield "a mail", str(mail).encode() + mail.raw
        yield from in_folder(self.folder, given=self.given)


def _answers(running: Running) -> bool:
    """Whether a daemon is there to answer: neither ended nor frozen."""
    if running.process.poll() is not None or not re.search('"health": "http', running.text):
        return False
    status = Path(f"/proc/{running.process.pid}/status").read_text(encoding="utf-8")
    return re.search(r"^State:\s+[RSDI]", status, re.MULTILINE) is not None


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
