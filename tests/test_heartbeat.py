"""The sign of life: when it is given, when not, and that nothing of it holds up or gives away anything."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from structlog.testing import capture_logs

from alertd.clock import MINUTE, SECOND
from alertd.errors import SettingsError, StoreError
from alertd.heartbeat import WELL, Heartbeat
from alertd.testing import START, FakeClock
from tests.channels.hooks import HANG_UP, SECRET_PATH, Hook, hook

EVERY = MINUTE


class Patient:
    """A daemon whose state a test sets: what is wrong, and where the sign of life goes."""

    def __init__(self, address: str | None) -> None:
        self.clock, self.address = FakeClock(), address
        self.wrong: str | None = None
        self.heart = Heartbeat(lambda: self.address, EVERY, self.clock, lambda: self.wrong)

    def live(self, *states: str | None) -> None:
        """One interval after the other, each with what is wrong in it."""
        for self.wrong in states:
            self.heart.beat()
            self.clock.advance(EVERY)


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


def told(server: Hook) -> list[tuple[str, str]]:
    return [(post.path.removeprefix(SECRET_PATH), post.body.decode()) for post in server.posts]


def test_while_all_is_well_there_is_a_sign_of_life_in_every_interval(server: Hook) -> None:
    patient = Patient(server.url)
    for _ in range(120):
        patient.heart.beat()
        patient.clock.advance(SECOND)
    assert told(server) == [("", WELL), ("", WELL)]
    assert (patient.heart.last_at, patient.heart.error) == (START + MINUTE, None)


def test_short_trouble_leaves_one_out_and_no_more(server: Hook) -> None:
    Patient(server.url).live(None, "the store is away", None)
    assert told(server) == [("", WELL), ("", WELL)]


def test_trouble_that_lasts_is_told_once_with_its_reason_and_so_is_its_end(server: Hook) -> None:
    patient = Patient(server.url)
    patient.live(None, "away", "the store is away", "still away", "still away", None, None)
    assert told(server) == [("", WELL), ("/fail", "alertd: the store is away"), ("", WELL), ("", WELL)]


def test_the_next_trouble_is_told_again(server: Hook) -> None:
    Patient(server.url).live("a", "a", None, "b", "b", "b")
    assert told(server) == [("/fail", "alertd: a"), ("", WELL), ("/fail", "alertd: b")]


def test_a_failure_that_did_not_arrive_is_told_again(server: Hook) -> None:
    server.answer(503)
    Patient(server.url).live("a", "a", "a", "a")
    assert told(server) == [("/fail", "alertd: a")] * 2


def test_a_service_that_knows_no_failures_is_not_asked_twice(server: Hook) -> None:
    server.answer(404)
    patient = Patient(server.url)
    with capture_logs() as logs:
        patient.live("a", "a", "a", "a")
    assert len(server.posts) == 1
    assert (patient.heart.error, logs) == (None, [])


def test_the_word_for_failure_stands_before_the_question(server: Hook) -> None:
    Patient(f"{server.url}/?create=1").live("a", "a")
    assert server.posts[0].path == f"{SECRET_PATH}/fail?create=1"


def test_nobody_waits_nobody_is_called(server: Hook) -> None:
    patient = Patient(None)
    patient.live(None, "a", "a")
    assert (patient.heart.last_at, patient.heart.error) == (None, None)
    patient.address = server.url  # it was set since: no restart
    patient.live(None)
    assert told(server) == [("", WELL)]


def test_what_cannot_be_looked_at_is_trouble(server: Hook) -> None:
    def away() -> str | None:
        raise StoreError("the store is away")

    patient = Patient(server.url)
    patient.heart.healthy = away
    patient.live(None, None)
    assert told(server) == [("/fail", "alertd: the store is away")]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (404, "ALERTD_HEARTBEAT__URL answers 404"),
        (500, "ALERTD_HEARTBEAT__URL answers 500"),
        (302, "ALERTD_HEARTBEAT__URL redirects to elsewhere.example.com, which is not followed"),
        (HANG_UP, "the connection broke before the answer"),
    ],
)
def test_an_error_is_logged_when_it_begins_and_when_it_ends(server: Hook, answer: int, said: str) -> None:
    patient = Patient(server.url)
    for _ in range(3):
        server.answer(answer, Location="https://elsewhere.example.com/canary4242")
    with capture_logs() as logs:
        patient.live(None, None)
        assert said in str(patient.heart.error)
        assert patient.heart.last_at is None
        patient.live(None, None, None)
    assert [log["event"] for log in logs] == ["heartbeat not sent", "heartbeat is sent again"]
    assert "canary" not in str(logs)
    assert patient.heart.error is None


def test_nobody_there_is_an_error_like_others() -> None:
    patient = Patient(f"http://127.0.0.1:9{SECRET_PATH}")
    patient.live(None)
    assert str(patient.heart.error).startswith("nobody is at ALERTD_HEARTBEAT__URL")


@pytest.mark.parametrize(
    "address",
    [
        "canary",
        "ftp://h/canary",
        "https://",
        "https://u:canary@h/",
        "https://h:canary/",
        "http://[canary",
        "https://h/a canary",
    ],
)
def test_an_address_that_is_none_is_said_and_not_told(address: str) -> None:
    patient = Patient(address)
    with capture_logs() as logs:
        patient.live(None, None, "a", "a")
    assert "ALERTD_HEARTBEAT__URL is not an address to call" in str(patient.heart.error)
    assert "canary" not in f"{patient.heart.error}{logs}"
    assert len(logs) == 1


def test_a_file_that_cannot_be_read_is_said(server: Hook) -> None:
    def unreadable() -> str | None:
        raise SettingsError("the file that ALERTD_HEARTBEAT__URL_FILE names cannot be read")

    patient = Patient(server.url)
    patient.heart.address = unreadable
    patient.live(None)
    assert "cannot be read" in str(patient.heart.error)


def threads(*work: Callable[[], None]) -> list[threading.Thread]:
    started = [threading.Thread(target=each) for each in work]
    for thread in started:
        thread.start()
    return started


def test_one_that_hangs_holds_nobody_else_up(server: Hook) -> None:
    server.hold = threading.Event()
    patient = Patient(server.url)
    (hangs,) = threads(patient.heart.beat)
    while not server.posts:
        assert hangs.is_alive()
    patient.clock.advance(10 * EVERY)
    patient.heart.beat()  # returns, though it is due
    server.hold.set()
    hangs.join()
    assert len(server.posts) == 1


def test_of_many_that_ask_at_once_one_is_sent(server: Hook) -> None:
    patient = Patient(server.url)
    for thread in threads(*[patient.heart.beat] * 8):
        thread.join()
    assert len(server.posts) == 1
