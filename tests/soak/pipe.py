"""Nobody reads what alertd writes to stderr, there is no stderr, or its disk is full."""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from tests.cli.shell import ALERTD, environment, until
from tests.soak.machine import Machine, on_machine
from tests.soak.trial import Shown

_LATEST_STOP = 10.0
_LINE = "rule files have not changed"  # what a SIGHUP is answered with, some hundred bytes
_FEW, _MANY = 100, 14_000  # SIGHUPs: more than a pipe of 4 kB holds, more than what waits for a reader
_DROPPED = "log lines were dropped"


def pipe(folder: Path, small: bool) -> Shown:
    """Checking and sending go on, the pages answer, lost lines are counted, and SIGTERM ends it in time with 0."""
    with on_machine(folder / "unread") as stage:
        kept, dropped = _unread(stage, _FEW if small else _MANY)
        assert small or dropped
    others = {"closed": "exec >&- 2>&-"} | ({} if small else {"full": "exec 2>/dev/full"})
    for name, shell in others.items():
        with on_machine(folder / name) as stage:
            _without(stage, shell)
    figures = {
        "lines read afterwards": kept,
        "lines dropped, and said so": dropped,
        "incidents told meanwhile": 1 + len(others),
    }
    done = "stderr a pipe that nobody reads" + "".join(f"; {each}" for each in others)
    return Shown(done, figures)


def _unread(stage: Machine, signals: int) -> tuple[int, int]:
    """A reader that stops reading, an incident meanwhile, and the reader back; then it stops for good and so does alertd."""
    with _daemon(stage, "true") as (process, address):
        reader = process.stderr
        assert reader
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        _ready(address)
        for _ in range(signals):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.004)  # signals that come while one waits are one
        _story(stage, address)
        lines = [json.loads(line) for line in _rest(reader.fileno()).splitlines()]
        said = [str(line["event"]) for line in lines]
        dropped = sum(int(each.split()[0]) for each in said if _DROPPED in each)
        assert said.count(_LINE) > signals // 2 - dropped
        for _ in range(_FEW):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.001)
        _ends(process)
        return len(lines), dropped


def _without(stage: Machine, shell: str) -> None:
    with _daemon(stage, shell) as (process, address):
        _ready(address)
        _story(stage, address)
        _ends(process)


def _story(stage: Machine, address: str) -> None:
    """An incident that is told from its beginning to its end, and pages that answer."""
    stage.rows.somebody_waits()
    stage.told("opened")
    stage.rows.somebody_answers()
    stage.told("opened", "resolved")
    assert requests.get(f"{address}/metrics", timeout=10).status_code == 200
    assert requests.get(f"{address}/readyz", timeout=10).json()["ready"]


def _ends(process: subprocess.Popen[bytes]) -> None:
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    assert time.monotonic() - begun < _LATEST_STOP


def _ready(address: str) -> None:
    def look() -> bool:
        try:
            return requests.get(f"{address}/readyz", timeout=10).status_code == 200
        except requests.ConnectionError:
            return False

    until(look, "ready")


def _rest(reader: int) -> str:
    """All that comes now, until nothing has come for a second."""
    found = b""
    while select.select([reader], [], [], 1.0)[0]:
        found += os.read(reader, 1 << 20)
    return found.decode()


@contextmanager
def _daemon(stage: Machine, shell: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A daemon whose stderr nobody reads, and its address; `shell` is done before it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = stage.variables | {"ALERTD_WEB__PORT": str(port)}
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'{shell}; exec "$@"', "sh", *ALERTD, "run"],
        cwd=stage.folder,
        env=environment(stage.folder, variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
        if process.stderr:
            process.stderr.close()
