"""Sending: a sign of life that comes from those who send."""

from __future__ import annotations

import threading
import time

import pytest

from alertd.channels.base import Access
from alertd.clock import HOUR, MINUTE
from alertd.heartbeat import Heartbeat
from alertd.notices.outbox import Outbox
from alertd.sending import Sending
from alertd.store.database import Database
from alertd.testing import FakeClock, a_rule, a_rulebook
from alertd.watching import Watch
from tests.cli.shell import until


class Scene:
    """Senders with nothing to send, whose sign of life goes nowhere and is counted."""

    def __init__(self, database: Database) -> None:
        self.clock, self.beats = FakeClock(), 0
        book = a_rulebook(a_rule())
        self.outbox = Outbox(database, self.clock, lambda: book, Access(), lambda _kind, _notice: {})
        self.stopping = threading.Event()
        heartbeat = Heartbeat(self.address, MINUTE, self.clock, lambda: None)
        self.sending = Sending(self.outbox, heartbeat, Watch(self.clock), self.stopping)

    def address(self) -> None:
        self.beats += 1


@pytest.fixture
def scene(database: Database) -> Scene:
    return Scene(database)


def test_the_sign_of_life_comes_from_those_who_send_and_ends_with_them(scene: Scene) -> None:
    scene.sending.start()
    until(lambda: scene.beats or None, "a sign of life")
    scene.stopping.set()
    scene.sending.stop(time.monotonic() + 10)
    beats = scene.beats
    scene.clock.advance(HOUR)
    assert scene.beats == beats
    assert not any(thread.name.startswith("send-") for thread in threading.enumerate())


def test_a_sign_of_life_that_goes_wrong_ends_no_thread(database: Database) -> None:
    scene = Scene(database)
    seen = threading.Event()

    def explode() -> str:
        seen.set()
        raise RuntimeError("the secret cannot be read")

    scene.sending._heartbeat.address = explode
    scene.sending.start()
    assert seen.wait(30)
    until(lambda: scene.sending.checks() or None, "what was wrong")
    assert {name: check.text for name, check in scene.sending.checks().items()} == {
        "heartbeat": "alertd made a mistake with its sign of life (RuntimeError); report it"
    }
    scene.stopping.set()
    scene.sending.stop(time.monotonic() + 10)
    assert not scene.sending.checks()["sending"].ok
