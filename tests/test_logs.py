"""What is logged, and what never is."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alertd import logs

PLAIN = "xoxb-12345-abcdef"
NASTY = "pä\"ss\\wo'rd\n/+%40 ü"
SECRETS = (PLAIN, NASTY)
FORMS = ("text", "json")

# Every spelling in which the secrets could be recognised: without the characters that something may escape.
TRACES = (PLAIN, "ss\\wo", "wo'rd", "ss\\\\wo", "%40 ", "%2540", "ss%5Cwo")


pytestmark = pytest.mark.usefixtures("logs_as_before")


@dataclass
class Login:
    user: str
    password: str


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError(PLAIN)


def raise_with(secret: str) -> None:
    local = {"password": secret}  # what a traceback with local variables would show
    raise KeyError(f"no account for {local['password']}")


def log_traceback(secret: str) -> None:
    try:
        raise_with(secret)
    except KeyError:
        structlog.get_logger().exception("failed")


def log_foreign_traceback(secret: str) -> None:
    try:
        raise_with(secret)
    except KeyError:
        logging.getLogger("library").exception("failed")


SAY: dict[str, Callable[[str], None]] = {
    "event": lambda secret: structlog.get_logger().info(f"token {secret} refused"),
    "value": lambda secret: structlog.get_logger().info("failed", error=secret),
    "key": lambda secret: structlog.get_logger().info("failed", **{secret: 1}),
    "dict": lambda secret: structlog.get_logger().info("failed", headers={"Authorization": f"Bearer {secret}"}),
    "dict key": lambda secret: structlog.get_logger().info("failed", tokens={secret: 1}),
    "deep": lambda secret: structlog.get_logger().info("failed", a=[{"b": ({"c": secret}, {secret})}]),
    "event dict": lambda secret: structlog.get_logger().info({"token": secret}),
    "object": lambda secret: structlog.get_logger().info("failed", login=Login("me", secret)),
    "bytes": lambda secret: structlog.get_logger().info("failed", body=secret.encode("ascii", "replace")[4:]),
    "exception": lambda secret: structlog.get_logger().info("failed", problem=ValueError(secret)),
    "json": lambda secret: structlog.get_logger().info("failed", body=json.dumps({"password": secret})),
    "readable json": lambda secret: structlog.get_logger().info("failed", body=json.dumps([secret], ensure_ascii=False)),
    "address": lambda secret: structlog.get_logger().info(f"https://me:{quote(secret, safe='')}@proxy.example.com"),
    "path": lambda secret: structlog.get_logger().info(f"https://hooks.example.com/{quote(secret)}"),
    "traceback": log_traceback,
    "foreign": lambda secret: logging.getLogger("library").info("token %s refused", secret),
    "foreign values": lambda secret: logging.getLogger("library").info("headers %r", {"Authorization": secret}),
    "foreign traceback": log_foreign_traceback,
}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert not out
    return err


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", [each for each in SAY if each != "bytes"])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_that_was_read_is_never_logged(capsys: pytest.CaptureFixture[str], form: str, way: str, secret: str) -> None:
    logs.set_up("debug", form, lambda: set(SECRETS))
    SAY[way](secret)
    text = said(capsys)
    assert "***" in text
    assert not [trace for trace in TRACES if trace in text]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", SAY)
def test_a_secret_that_nobody_has_read_would_be_seen(capsys: pytest.CaptureFixture[str], form: str, way: str) -> None:
    """So that the test above cannot pass because nothing was logged at all."""
    logs.set_up("debug", form, set)
    SAY[way](PLAIN)
    assert PLAIN[4:] in said(capsys)


@pytest.mark.parametrize("form", FORMS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secret=st.text(min_size=12, max_size=20), way=st.sampled_from(["value", "dict", "object", "json", "exception"]))
def test_no_character_of_a_secret_makes_it_visible(
    capsys: pytest.CaptureFixture[str], form: str, secret: str, way: str
) -> None:
    logs.set_up("debug", form, lambda: {secret})
    SAY[way](secret)
    text = said(capsys)
    assert text.count("***") >= 1
    assert secret not in text
    if form == "json":
        assert secret not in str(json.loads(text))


def test_a_secret_that_holds_another_leaves_no_rest(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", lambda: {"abcdefgh", "abcdefghijkl", "efghijkl"})
    structlog.get_logger().info("it is abcdefghijkl")
    assert json.loads(said(capsys))["event"] == "it is ***"


def test_a_short_secret_is_not_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", lambda: {"any", "e", "", "warning"})
    structlog.get_logger().warning("not sent to any receiver", receiver="e")
    line = json.loads(said(capsys))
    del line["timestamp"]
    assert line == {"event": "not sent to any receiver", "receiver": "e", "level": "warning"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("way", ["event", "value", "dict", "exception", "address", "foreign traceback"])
@pytest.mark.parametrize("secret", ["hunt3r", "Pa55wd", "s3c-t", "Geheim"])
def test_a_short_secret_that_is_no_word_is_hidden_where_it_stands_alone(
    capsys: pytest.CaptureFixture[str], form: str, way: str, secret: str
) -> None:
    logs.set_up("debug", form, lambda: {secret})
    SAY[way](secret)
    assert secret not in said(capsys)


@pytest.mark.parametrize("secret", ["any", "e", "sends", "8080", "30303"])
def test_a_secret_that_is_a_word_or_a_number_hides_nothing(capsys: pytest.CaptureFixture[str], secret: str) -> None:
    logs.set_up("info", "json", lambda: {secret, "x2-y9"})
    structlog.get_logger().info(f"it sends any text to 8080, or 30303 ({secret}) and ax2-y9b")
    assert json.loads(said(capsys))["event"] == f"it sends any text to 8080, or 30303 ({secret}) and ax2-y9b"


def test_a_name_of_our_own_stays_even_if_a_secret_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", lambda: {"receiver"})
    structlog.get_logger().info("receiver", receiver_name="the receiver")
    line = json.loads(said(capsys))
    assert (line["event"], line["receiver_name"]) == ("***", "the ***")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [PLAIN, NASTY, "ü" * 8])
@pytest.mark.parametrize("before", ["", "\0me\0", "me:", "you:", "x\0y\0"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_secret_in_base64_is_hidden_whatever_stands_beside_it(
    capsys: pytest.CaptureFixture[str], form: str, secret: str, before: str, encode: Callable[[bytes], bytes]
) -> None:
    logs.set_up("info", form, lambda: {secret})
    whole = encode(f"{before}{secret}".encode()).decode()
    structlog.get_logger().info(f"AUTH PLAIN {whole} refused")
    text = said(capsys)
    assert "***" in text
    for start in range(4, len(whole) - 7):  # eight letters are six bytes
        assert start < len(before) * 4 // 3 or whole[start : start + 8] not in text


def test_a_secret_that_is_no_text_in_utf_8_is_hidden_too(capsys: pytest.CaptureFixture[str]) -> None:
    secret = b"caf\xe9-secret".decode("utf-8", "surrogateescape")  # as os.environ has it
    logs.set_up("info", "json", lambda: {secret})
    structlog.get_logger().info(f"it is {secret}")
    assert json.loads(said(capsys))["event"] == "it is ***"


def test_a_secret_read_after_the_set_up_is_hidden_too(capsys: pytest.CaptureFixture[str]) -> None:
    seen: set[str] = set()
    logs.set_up("info", "json", lambda: seen)
    seen.add(PLAIN)
    structlog.get_logger().info(PLAIN)
    assert PLAIN not in said(capsys)


def test_secrets_may_be_read_while_others_log(capsys: pytest.CaptureFixture[str]) -> None:
    seen: set[str] = {"first-secret"}
    logs.set_up("info", "json", lambda: seen)
    stopping = threading.Event()

    def read() -> None:
        number = 0
        while not stopping.is_set() and number < 300:
            seen.add(f"secret-{number}")
            number += 1

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(50):
        structlog.get_logger().info("first-secret")
    stopping.set()
    reader.join()
    lines = [json.loads(line) for line in said(capsys).splitlines()]
    assert [line["event"] for line in lines] == ["***"] * 50


def test_json_is_one_object_a_line_with_the_facts_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", set)
    structlog.get_logger().warning("not sent", attempts=3, dead=False, share=0.5, reason=None, ids=[1, 2], more={"a": 1})
    found: dict[str, Any] = json.loads(said(capsys))
    assert found.pop("timestamp").endswith("Z")
    assert found == {
        "event": "not sent",
        "level": "warning",
        "attempts": 3,
        "dead": False,
        "share": 0.5,
        "reason": None,
        "ids": [1, 2],
        "more": {"a": 1},
    }


@pytest.mark.parametrize("form", FORMS)
def test_a_traceback_tells_where_it_broke_but_no_local_variables(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.set_up("info", form, set)
    log_traceback(PLAIN)
    text = said(capsys)
    assert "raise_with" in text
    assert f"KeyError: 'no account for {PLAIN}'" in text
    assert "'password':" not in text


@pytest.mark.parametrize("form", FORMS)
def test_libraries_log_in_the_same_way(capsys: pytest.CaptureFixture[str], form: str) -> None:
    logs.set_up("info", form, set)
    logging.getLogger("library").warning("%d connections lost", 3)
    text = said(capsys)
    assert "3 connections lost" in text
    assert text.count("\n") == 1
    if form == "json":
        assert json.loads(text)["level"] == "warning"


def test_the_level_holds_for_us_and_for_libraries(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("warning", "json", set)
    structlog.get_logger().info("ours")
    logging.getLogger("library").info("theirs")
    assert said(capsys) == ""
    structlog.get_logger().error("ours")
    logging.getLogger("library").error("theirs")
    assert [json.loads(line)["event"] for line in said(capsys).splitlines()] == ["ours", "theirs"]


def test_libraries_that_print_secrets_at_debug_level_stay_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("debug", "json", set)
    for name in ("urllib3.connectionpool", "slack_sdk.web", "mail.log", "apscheduler.scheduler", "uvicorn.access"):
        logging.getLogger(name).info("POST /services/T0/B0/secret")
    assert said(capsys) == ""


@pytest.mark.parametrize("form", FORMS)
def test_a_line_that_cannot_be_written_is_missed_without_telling_what_it_said(
    capsys: pytest.CaptureFixture[str], form: str
) -> None:
    logs.set_up("info", form, lambda: set(SECRETS))
    structlog.get_logger().info(PLAIN, value=Unspeakable())
    logging.getLogger("library").info("%d", PLAIN)
    first, second = said(capsys).splitlines()
    assert first.startswith("alertd: a log line of ")
    assert first.endswith("could not be written: RuntimeError")
    assert "test_logs.py" in second
    assert second.endswith("could not be written: TypeError")


def test_setting_up_twice_writes_each_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "json", set)
    logs.set_up("info", "json", set)
    structlog.get_logger().info("once")
    assert said(capsys).count("once") == 1


def test_away_from_a_terminal_auto_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info", "auto", set)
    structlog.get_logger().info("hello")
    assert json.loads(said(capsys))["event"] == "hello"


class Pipe:
    """A pipe in place of stderr, whose reader reads when it is told to."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        self.stream = os.fdopen(writer, "w")

    def read(self, size: int = 10_000_000) -> str:
        return os.read(self._reader, size).decode()

    def until(self, text: str) -> str:
        """What comes up to the line with this text."""
        found = ""
        while text not in found or not found.endswith("\n"):
            found += self.read()
        return found

    def shut(self) -> None:
        os.close(self._reader)

    def close(self) -> None:
        """Without a reader, whoever still writes ends at once."""
        with suppress(OSError):
            os.close(self._reader)
        self.stream.close()


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    for handler in logging.getLogger().handlers:
        handler.close()
    made.close()


def said_of(text: str) -> list[str]:
    return [str(json.loads(line)["event"]) for line in text.splitlines()]


def test_a_reader_that_does_not_read_stops_nobody_and_is_told_what_it_missed(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", pipe.stream)  # not in the fixture: pytest sets its own after that
    logs.set_up("info", "json", set)
    log, long = structlog.get_logger(), "x" * 10_000
    for number in range(300):  # three times what may wait
        log.info(f"{number} {long}")
    missed = pipe.until("lines were dropped")
    log.info("the next")
    events = said_of(missed + pipe.until("the next"))
    numbers = [int(event.split()[0]) for event in events if event.endswith(long)]
    dropped = [int(event.split()[0]) for event in events if event.endswith("log lines were dropped: nobody took them")]
    assert (numbers, len(numbers) + sum(dropped)) == (sorted(numbers), 300)
    assert len(events) == len(numbers) + len(dropped) + 1
    assert events[-1] == "the next"
    assert 50 < len(numbers) < 250


def test_an_end_waits_for_the_last_lines_but_not_for_a_reader_that_does_not_read(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr", pipe.stream)
    logs.set_up("info", "json", set)
    structlog.get_logger().info("the last words")
    (handler,) = logging.getLogger().handlers
    handler.flush()
    assert said_of(pipe.read()) == ["the last words"]
    structlog.get_logger().info("x" * 500_000)
    begun = time.monotonic()
    handler.flush()
    assert time.monotonic() - begun < 10


def test_lines_without_any_reader_are_counted_and_cost_nothing_else(pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", pipe.stream)
    pipe.shut()
    logs.set_up("info", "json", set)
    (handler,) = logging.getLogger().handlers
    for number in range(3):
        structlog.get_logger().info(f"nobody hears {number}")
        handler.flush()
    assert isinstance(handler, logs._Stderr)
    assert handler._lines is not None
    assert handler._lines._failed == 3


def test_a_disk_that_was_full_gets_the_count_of_what_it_missed_and_whole_lines_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as stream, Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", stream)
        logs.set_up("info", "json", set)
        (handler,) = logging.getLogger().handlers
        file = os.dup(stream.fileno())
        for number in range(5):
            if number in {1, 3}:
                os.dup2(full.fileno() if number == 1 else file, stream.fileno())
            structlog.get_logger().info(f"{number}")
            handler.flush()
        os.close(file)
        handler.close()
    events = said_of((tmp_path / "log").read_text())
    assert events == ["0", "2 log lines were dropped: nobody took them", "3", "4"]


def test_without_any_stderr_nothing_is_logged_and_nothing_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    logs.set_up("info", "auto", set)
    structlog.get_logger().error("nobody hears it")
    logging.getLogger().handlers[0].flush()
