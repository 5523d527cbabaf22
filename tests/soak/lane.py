"""A daemon's surroundings under load: incidents come and go by themselves, and every peer takes its time."""

from __future__ import annotations

import asyncio
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path

import requests
from aiosmtpd.smtp import Envelope
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alertd.clock import SystemClock
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.slack import create_slack
from alertd.sandbox.workspace import FaultKind, SlackFault, Workspace
from tests.cli.shell import Running
from tests.processes.stage import SLACK, Stage
from tests.soak.account import Store, read

_CHANNELS = tuple(f"channel-{number}" for number in range(4))
_LATE, _MAIL = "late", "mail"
TOLD = frozenset({*_CHANNELS, _MAIL})  # of each incident, from its beginning; `late` only when nobody has taken it up

_PAUSE = 0.4  # seconds that Slack and the mail server wait at most, before they act and again before they answer
_SLOW = ["slow:0.5:1s"]  # of the API
_KEPT = 100_000  # messages: none is forgotten
_BUSY, _QUIET = 6, 6  # rules that fire now and then, and rules that never do: together they want more calls than there are

# Of what a stage gives to a daemon.
_NEEDED = (
    "ALERTD_RULES", "ALERTD_WEB__PORT", "ALERTD_REPORTING__URL", "ALERTD_REPORTING__TOKEN_FILE", "ALERTD_SLACK__URL",
    "ALERTD_SLACK__BOT_TOKEN", "ALERTD_EMAIL__HOST", "ALERTD_EMAIL__PORT", "ALERTD_EMAIL__SENDER", "ALERTD_EMAIL__TLS",
)  # fmt: skip

_RECEIVERS = "receivers:\n" + "".join(f'  {name}: {{slack: {{channel: "#{name}"}}}}\n' for name in (*_CHANNELS, _LATE))
_RECEIVERS += f"  {_MAIL}: {{email: {{to: [oncall@example.com]}}}}\nfallback: {_MAIL}\n"


class Lane(Stage):
    """One of several that run side by side, each with ports, a store and a seed of its own.

    In every second one Slack's history may not be read, so that what was being sent is repeated without being looked for.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.seed = seed
        self.startup = 2.0  # seconds that the last start took, at first a guess
        self.workspace = Workspace(SystemClock(), [*_CHANNELS, _LATE], tokens=[SLACK], kept=_KEPT)
        self.slack._app = _Unhurried(create_slack(self.workspace), random.Random(f"{seed} slack"))
        self.mailbox = _UnhurriedMailbox(random.Random(f"{seed} mail"))
        if seed % 2 == 0:
            for method in _LOOK_UPS:
                self.workspace.fail(SlackFault(FaultKind.REFUSE, times=_KEPT, method=method, error="missing_scope"))

    def open(self) -> None:
        super().open()
        self.write(_rules())
        (self.rules / "receivers.yaml").write_text(_RECEIVERS, encoding="utf-8")
        self.variables = {name: self.variables[name] for name in _NEEDED}
        requests.put(f"{self.server.address}/api/sandbox/faults", json=_SLOW, timeout=30).raise_for_status()

    def begin(self) -> Running:
        """A daemon that is not up yet."""
        running = Running(self.folder, "run", **self.variables)
        self._daemons.append(running)
        return running

    def start(self, **variables: str) -> Running:
        begun = time.monotonic()
        running = super().start(**variables)
        self.startup = time.monotonic() - begun
        return running

    def complaints(self) -> list[str]:
        """Lines that no daemon should have written."""
        lines = [line for each in self._daemons for line in each.text.splitlines()]
        return [line for line in lines if "Traceback" in line or '"level": "error"' in line]

    @contextmanager
    def visitors(self) -> Iterator[None]:
        """For as long as the block somebody waits on each page now and then; afterwards nobody does."""
        over = threading.Event()
        coming = threading.Thread(target=self._come_and_go, args=(over,))
        coming.start()
        try:
            yield
        finally:
            over.set()
            coming.join()
            self.rows._rows = {}

    def stored(self) -> Store:
        """What the store holds after a daemon's end, read from a copy: to put the store right is left to the next daemon."""
        copy = self.folder / "copy.db"
        for end in ("", "-journal"):
            file, there = self.folder / f"alertd.db{end}", copy.with_name(copy.name + end)
            there.unlink(missing_ok=True)
            if file.exists():
                shutil.copyfile(file, there)
        return read(copy)

    def taken(self) -> list[str]:
        """The keys of all messages that people have, in the order in which they came."""
        found = [(each.received_at, str(each.client_msg_id)) for each in self.workspace.messages]
        found += [(each.received_at, str(each.header("Message-ID"))) for each in self.mailbox.mails]
        return [key.strip("<>").partition("@")[0] for _, key in sorted(found)]

    def look_ups(self) -> int:
        """How often it was looked in Slack whether a message has arrived, where that may be seen."""
        return sum(call in _LOOK_UPS for call in self.workspace.calls) if self.seed % 2 else 0

    def calls(self) -> tuple[int, int]:
        """Of those that arrived at the API: the most in any minute, and how many it refused."""
        stats = requests.get(f"{self.server.address}/api/sandbox/stats", timeout=30).json()
        return stats["most_in_a_minute"], stats["refused"]

    def _come_and_go(self, over: threading.Event) -> None:
        dice, flips = random.Random(f"{self.seed} visitors"), [0.0] * _BUSY
        while not over.wait(0.2):
            for page in [page for page in range(_BUSY) if time.monotonic() >= flips[page]]:
                waits = page not in self.rows._rows
                self._sit(page) if waits else self._leave(page)
                flips[page] = time.monotonic() + (dice.uniform(15, 45) if waits else dice.uniform(5, 20))

    def _sit(self, page: int) -> None:
        self.rows.somebody_waits(page)
        where = {"endUserId": page, "pageUrl": f"https://example.com/page-{page}/"}
        self.rows._rows = self.rows._rows | {page: self.rows._rows[page] | where}

    def _leave(self, page: int) -> None:
        self.rows._rows = {number: row for number, row in self.rows._rows.items() if number != page}


_LOOK_UPS = ("conversations.history", "conversations.replies")


def _rules() -> str:
    told = f"defaults: {{owner: team, notify: [{', '.join(sorted(TOLD))}], every: 10s, window: 30m, delay: 0s}}\nrules:\n"
    return told + "".join(_busy(number) for number in range(_BUSY)) + "".join(_quiet(number) for number in range(_QUIET))


def _busy(number: int) -> str:
    """Half can be asked together, half open a new incident each time; they get worse, are escalated or reminded of."""
    page = f"{{property: pageUrl, operation: CONTAINS, values: [/page-{number}/]}}"
    filtered = f"{{property: endUserId, operation: EQ, values: [{number}]}}" if number % 2 else page
    more = ("critical: {above: 75s}", f"escalate: {{after: 15s, notify: {_LATE}}}", "remind: 10s")[number % 3]
    again = "reopen_within: 0s, " if number < _BUSY // 2 else ""
    text = f"id: busy-{number}, title: Page {number} gets no answer, measure: waiting, warning: {{above: 5s}}"
    status = "{property: status, operation: EQ, values: [open]}"
    return f"  - {{{text}, {again}{more}, filters: [{status}, {filtered}]}}\n"


def _quiet(number: int) -> str:
    page = f"{{property: pageUrl, operation: CONTAINS, values: [/nowhere-{number}/]}}"
    return f"  - {{id: quiet-{number}, title: Many visitors, measure: count, warning: {{above: 1000}}, filters: [{page}]}}\n"


class _Unhurried:
    """An app that has the whole request before it waits, acts, and waits again: kills fall before, into and after the act."""

    def __init__(self, app: ASGIApp, dice: random.Random) -> None:
        self._app, self._dice = app, dice

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = [await receive()]
        while request[-1].get("more_body"):
            request.append(await receive())
        if request[-1]["type"] == "http.disconnect":  # whoever asked was killed before it was a request
            return
        came = chain(request, repeat({"type": "http.disconnect"}))

        async def given() -> Message:
            return next(came)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._wait()
            await send(message)

        await self._wait()
        await self._app(scope, given, answer)

    async def _wait(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, _PAUSE))


class _UnhurriedMailbox(Mailbox):
    """It takes one mail at a time, and waits before it does and before it says so."""

    def __init__(self, dice: random.Random) -> None:
        super().__init__(SystemClock(), kept=_KEPT)
        self._dice = dice

    def take(self, envelope: Envelope) -> str:
        time.sleep(self._dice.uniform(0, _PAUSE))
        reply = super().take(envelope)
        time.sleep(self._dice.uniform(0, _PAUSE))
        return reply
