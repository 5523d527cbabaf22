"""Sending: a sign of life that comes from those who send."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import PrivateAttr

from alertd.channels.base import Access, Message, Receipt
from alertd.clock import HOUR, MINUTE
from alertd.heartbeat import Heartbeat
from alertd.notices.claiming import LEASE
from alertd.notices.outbox import Outbox
from alertd.notices.own import Trouble, report_trouble
from alertd.sending import Sending
from alertd.store.database import Database
from alertd.testing import FakeChannel, FakeClock, a_rule, a_rulebook
from alertd.watching import Watch
from tests.cli.shell import until


class Scene:
    """Senders with nothing to send, whose sign of life goes nowhere and is counted."""

    def __init__(self, database: Database, clock: FakeClock | None = None, channel: FakeChannel | None = None) -> None:
        self.clock, self.beats = clock or FakeClock(), 0
        self.book = a_rulebook(a_rule(), receivers={"team": channel or FakeChannel()})
        self.outbox = Outbox(database, self.clock, lambda: self.book, Access(), lambda _kind, _notice: {})
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
    until(lambda: "heartbeat" in scene.sending.checks(), "what was wrong")
    assert {name: (check.ok, check.text) for name, check in scene.sending.checks().items()} == {
        "sending": (True, "4 threads send"),
        "heartbeat": (False, "alertd made a mistake with its sign of life (RuntimeError); report it"),
    }
    scene.stopping.set()
    scene.sending.stop(time.monotonic() + 10)
    assert not scene.sending.checks()["sending"].ok


class Ending(FakeClock):
    """A clock at which threads that read its uptime end, as they are told to."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: set[str] = set()

    def uptime(self) -> int:
        if threading.current_thread().name in self.ends:
            raise SystemExit
        return super().uptime()


class Hanging(FakeChannel):
    """A channel whose first message takes for ever."""

    _begun: threading.Event = PrivateAttr(default_factory=threading.Event)
    _free: threading.Event = PrivateAttr(default_factory=threading.Event)

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        self._begun.set()
        self._free.wait(60)
        return super().send(message, thread, access)


@contextmanager
def started(scene: Scene) -> Iterator[None]:
    scene.sending.start()
    try:
        yield
    finally:
        scene.stopping.set()
        scene.sending.stop(time.monotonic() + 10)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is what the test does
def test_a_thread_that_has_ended_is_seen_although_the_others_send(database: Database) -> None:
    clock = Ending()
    scene = Scene(database, clock)
    with started(scene):
        until(lambda: scene.beats or None, "a sign of life")
        assert scene.sending.checks()["sending"].text == "4 threads send"
        clock.ends.add("send-2")
        until(lambda: not scene.sending.checks()["sending"].ok, "that one has ended")
        assert scene.sending.checks()["sending"].text.startswith("a thread that sends has ended; restart alertd")


def test_a_thread_that_hangs_for_longer_than_any_message_may_take_is_seen(database: Database) -> None:
    channel = Hanging()
    scene = Scene(database, channel=channel)
    with database.write() as transaction:
        report_trouble(transaction, Trouble("alertd-rulebook", "Wrong", "Wrong."), scene.book, scene.clock.now())
    with started(scene):
        assert channel._begun.wait(30)
        scene.clock.advance(LEASE)
        assert scene.sending.checks()["sending"].ok
        scene.clock.advance(MINUTE)
        check = scene.sending.checks()["sending"]
        channel._free.set()
        assert not check.ok  # others may have been about to take the message up, and hang with it
        assert re.match(r"[1-4] of 4 threads that send hang, for up to 6 min; restart alertd", check.text)
