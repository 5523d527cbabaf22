"""A daemon whose threads end or hang one by one, and what it says of itself meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import TypeAdapter

from alertd.clock import MINUTE, Duration, Instant, SystemClock
from alertd.daemon import Daemon
from alertd.settings import TOKEN, Secrets, Settings
from tests.cli.shell import until

MAIN = "daemon"
RULES = """\
defaults: {owner: team, notify: team, every: 1d, window: 30m}
rules:
  - {id: some, title: Somebody, measure: count, warning: {above: 9}}
"""


class Trap(SystemClock):
    """The machine's clocks, some minutes ahead, at which threads that read the uptime end or hang as they are told to."""

    def __init__(self) -> None:
        self.ahead: Duration = 0
        self.ends: set[str] = set()
        self.hangs: set[str] = set()
        self.free = threading.Event()

    def now(self) -> Instant:
        return super().now() + self.ahead

    def uptime(self) -> Duration:
        name = threading.current_thread().name
        if name in self.ends:
            raise SystemExit
        if name in self.hangs:
            self.free.wait(120)
        return super().uptime() + self.ahead


class Life:
    """A daemon in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        (folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        (folder / "receivers.yaml").write_text("receivers: {team: {email: {to: [ann@example.com]}}}", encoding="utf-8")
        values = {
            "rules": folder,
            "store": {"url": f"sqlite:///{folder}/alertd.db"},
            "reporting": {"url": "http://127.0.0.1:1"},
            "web": {"port": 0},
        }
        self.clock = Trap()
        self.daemon = Daemon(TypeAdapter(Settings).validate_python(values), Secrets({TOKEN: "drift"}), self.clock)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self.daemon.run, args=(self._ready.set,), name=MAIN)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(60)

    def stop(self) -> None:
        self.clock.free.set()
        self.clock.ends.clear()
        self.daemon.stop()
        self._thread.join(60)

    def get(self, page: str) -> requests.Response:
        return requests.get(f"{self.daemon.address}/{page}", timeout=30)

    def wrong(self) -> dict[str, str]:
        """What does not work, but for the mail server that nobody has named."""
        checks: dict[str, Any] = self.get("readyz").json()["checks"]
        return {name: each["text"] for name, each in checks.items() if not each["ok"] and name != "delivery"}


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    found = Life(tmp_path)
    found.start()
    yield found
    found.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is what the test does
def test_a_thread_that_has_ended_is_named_and_a_restart_asked_for(life: Life) -> None:
    assert (life.get("healthz").status_code, life.wrong()) == (200, {})
    life.clock.ends.add("clock")
    until(life.wrong, "it has ended")
    assert life.wrong() == {"threads": "the thread clock has ended; restart alertd, and report its log"}
    answer = life.get("healthz")
    assert (answer.status_code, answer.text) == (503, "the thread clock has ended; restart alertd\n")
    assert 'alertd_part_ok{part="threads"} 0.0' in life.get("metrics").text


def test_a_main_thread_that_hangs_is_noticed_and_does_not_keep_the_daemon_from_saying_so(life: Life) -> None:
    life.clock.hangs.add(MAIN)
    life.daemon.look_again()
    life.clock.ahead += 3 * MINUTE
    until(lambda: list(life.wrong()) == ["reload"], "the rule files are not looked at")
    assert "the main thread hangs; restart alertd" in life.wrong()["reload"]
    assert life.get("healthz").status_code == 200
    life.clock.ahead += 3 * MINUTE
    assert life.get("healthz").text == "the main thread has hung for 6 min; restart alertd\n"
    life.clock.hangs.clear()
    life.clock.free.set()
    until(lambda: life.get("healthz").status_code == 200 and not life.wrong(), "all is well again")


def test_every_part_is_on_the_page_about_operating(life: Life) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operating.md").read_text(encoding="utf-8")
    parts = life.get("readyz").json()["checks"]
    assert [part for part in parts if f"| `{part}` |" not in page] == []
