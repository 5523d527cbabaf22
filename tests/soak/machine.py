"""A daemon's surroundings while the machine fails: disks, clocks, pipes, processes that stand still."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from alertd.clock import Instant, SystemClock
from alertd.sandbox.app import create_app
from alertd.sandbox.columns import Snapshot
from alertd.sandbox.importing import from_rows
from tests.cli.shell import Running, until
from tests.processes.stage import TOKEN, Rows, Stage

LIMIT = 60  # calls that the API takes in a minute
EVERY = 10.0  # seconds between two checks of a stage's rules
LATE = 2.0  # seconds that a check may come late on a busy machine


class Held:
    """Stands before an app and keeps everybody waiting while `shut`; then they get in, and their answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.shut = False
        self.waiting = 0
        self.arrived: list[float] = []  # on time.monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.arrived.append(time.monotonic())
        self.waiting += 1
        while self.shut:
            await asyncio.sleep(0.02)
        self.waiting -= 1
        await self._app(scope, receive, send)

    @property
    def most(self) -> int:
        """The most that arrived in any 60 seconds."""
        return max((bisect_right(self.arrived, at + 60) - index for index, at in enumerate(self.arrived)), default=0)


class SetClock(SystemClock):
    """A wall clock that somebody has set; `offset` in milliseconds."""

    offset = 0

    def now(self) -> Instant:
        return super().now() + self.offset


class Ages(Rows):
    """Conversations that are as old as they are, wherever the clock stands."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__()
        self._clock = clock

    def at(self, now: Instant) -> Snapshot:
        shift = now - self._clock.uptime()
        moved = [{name: self._moved(name, value, shift) for name, value in row.items()} for row in self._rows.values()]
        return from_rows(moved).at(now)

    def somebody_waits(self, number: int = 1, **more: Any) -> None:
        super().somebody_waits(number, **more)
        self._forget_dates(number)

    def somebody_answers(self, number: int = 1) -> None:
        begun = self._rows[number]["createdAt"]
        super().somebody_answers(number)
        row = self._rows[number] | {"timeToAgentResponseMillis": self._clock.uptime() - begun}
        self._rows = self._rows | {number: row | {"firstAgentMessageAt": self._clock.uptime()}}

    def _forget_dates(self, number: int) -> None:
        begun = self._clock.uptime() - 60_000
        self._rows = self._rows | {number: self._rows[number] | {"createdAt": begun, "firstEndUserMessageAt": begun}}

    @staticmethod
    def _moved(name: str, value: Any, shift: int) -> Any:
        return value + shift if name.endswith("At") else value


class Machine(Stage):
    """A stage where Slack and the API can keep a daemon waiting, and that counts what arrives."""

    def __init__(self, folder: Path, clock: SystemClock | None = None, repeats: int = 0) -> None:
        super().__init__(folder)
        self.may_repeat = repeats  # messages, at most
        if clock:
            self.rows = Ages(clock)
        self.slow_slack = Held(self.slack._app)
        self.slow_api = Held(create_app(self.rows, clock or SystemClock(), token=TOKEN))
        self.slack._app, self.api._app = self.slow_slack, self.slow_api

    def close(self) -> None:
        self.slow_slack.shut = self.slow_api.shut = False
        super().close()

    def lines(self, running: Running, event: str) -> list[dict[str, object]]:
        """The lines of its log that begin with these words."""
        found = [json.loads(line) for line in running.text.splitlines() if line.startswith("{")]
        return [line for line in found if str(line["event"]).startswith(event)]

    def loud(self, running: Running) -> int:
        """How many lines of its log ask for attention, without what is tried once a day."""
        heard = {"warning", "error", "critical"}
        return sum(line["level"] in heard and "tomorrow" not in str(line["event"]) for line in self.lines(running, ""))

    def checked(self, running: Running) -> float:
        """How many rules were checked and got an answer."""
        return self.figure(running, 'alertd_evaluations_total{evidence="ok"}')

    def figure(self, running: Running, name: str) -> float:
        """One of its metrics; 0 where it is not there."""
        text = self.get(running, "metrics").text
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(name))

    def well_again(self, running: Running) -> float:
        """Wait until every part works, and has checked once more; the seconds that took."""
        begun, before = time.monotonic(), self.checked(running)
        until(lambda: not self.ready(running) and self.checked(running) > before, "well again")
        return time.monotonic() - begun

    def audit(self) -> None:
        """What must hold whatever the machine does."""
        assert self.slow_api.most <= LIMIT, f"{self.slow_api.most} calls in a minute"
        assert self.repeats() <= self.may_repeat, f"{self.repeats()} messages were told twice"


@contextmanager
def on_machine(folder: Path, clock: SystemClock | None = None, repeats: int = 0) -> Iterator[Machine]:
    """Surroundings for as long as the block; at its end no secret has left, no call was too many and no message too."""
    folder.mkdir(exist_ok=True)
    machine = Machine(folder, clock, repeats)
    machine.open()
    try:
        yield machine
        machine.check_secrets()
        machine.audit()
    finally:
        machine.close()


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A disk of that size, empty."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(disk: Path, room: int = 0) -> Iterator[None]:
    """No more than `room` bytes are free on it, for as long as the block."""
    filler = disk / "filler"
    handle = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        size = 0
        while (written := _try_to_write(handle)) > 0:
            size += written
        os.ftruncate(handle, max(0, size - room))
        yield
    finally:
        os.close(handle)
        filler.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing can be opened there for writing, for as long as the block."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def lack_of_mounts() -> str | None:
    """Why no disk can be made here; None where it can."""
    if os.geteuid() != 0:
        return "only root may mount a small disk"
    trial = ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    unshare = shutil.which("unshare")
    tried = unshare and subprocess.run([unshare, *trial], capture_output=True, check=False)
    return None if tried and tried.returncode == 0 else "this machine lets nobody mount a small disk, not even root"


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _try_to_write(handle: int) -> int:
    try:
        return os.write(handle, b"\0" * 4096)
    except OSError:
        return 0
