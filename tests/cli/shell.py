"""The program as a person starts it: a process with its own environment and folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

T = TypeVar("T")

ALERTD = (sys.executable, "-m", "alertd")
PATIENCE = 90.0  # seconds: a limit for what never comes, not a measure of how fast it should


@dataclass(frozen=True)
class Ran:
    """What a verb left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """Nothing of the machine's own alertd settings."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "SYSTEMROOT", "VIRTUAL_ENV") if name in os.environ}
    return kept | {"HOME": str(folder), "COLUMNS": "200", "NO_COLOR": "1", "PYTHONWARNINGS": "error"} | variables


def alertd(folder: Path, *arguments: str, **variables: str) -> Ran:
    """Run a verb to its end in a folder."""
    done = subprocess.run(
        [*ALERTD, *arguments],
        cwd=folder,
        env=environment(folder, variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def until(wanted: Callable[[], T | None], what: str, within: float = PATIENCE) -> T:
    """Ask again and again until the answer is truthy, and return it."""
    ends = time.monotonic() + within
    while not (found := wanted()):
        assert time.monotonic() < ends, f"{what}: not within {within:g} s"
        time.sleep(0.05)
    return found


class Running:
    """A verb that goes on. `text` is what it has written to stderr so far."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self._parts: list[str] = []
        self.process = subprocess.Popen(
            [*ALERTD, *arguments],
            cwd=folder,
            env=environment(folder, variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        streams = [stream for stream in (self.process.stdout, self.process.stderr) if stream]
        self._readers = [threading.Thread(target=self._read, args=(stream,), daemon=True) for stream in streams]
        for reader in self._readers:
            reader.start()

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def says(self, pattern: str, within: float = PATIENCE) -> re.Match[str]:
        """Wait for words on stdout or stderr; fails at once when the process ends without them."""

        def look() -> re.Match[str] | None:
            ended = self.process.poll() is not None
            found = re.search(pattern, self.text)
            assert found or not ended, f"it ended with {self.process.returncode} and never said {pattern}:\n{self.text}"
            return found

        return until(look, f"{pattern} in\n{self.text}", within)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, within: float = PATIENCE) -> int:
        """Wait for its end; its exit code."""
        code = self.process.wait(within)
        for reader in self._readers:
            reader.join()
        return code

    def close(self) -> None:
        """End it if it still runs, however."""
        if self.process.poll() is None:
            self.process.kill()
        self.end()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._parts.append(line)


@contextmanager
def started(folder: Path, *arguments: str, **variables: str) -> Iterator[Running]:
    """A verb that goes on for as long as the block."""
    running = Running(folder, *arguments, **variables)
    try:
        yield running
    finally:
        running.close()


@contextmanager
def sandbox(folder: Path, *arguments: str, port: int = 0) -> Iterator[tuple[str, Running]]:
    """The reporting API as a process: its address, and itself."""
    with started(folder, "sandbox", "--port", str(port), *arguments) as running:
        yield running.says(r"http://127\.0\.0\.1:\d+")[0], running
