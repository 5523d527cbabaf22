"""What goes out through Apprise, with its own client against a real server."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from alertd.channels.apprise import CHANNEL, INSTALL, REPEAT, Apprise, send_all, service_of
from alertd.channels.base import Access, Message
from alertd.clock import SECOND
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices.digests import render_digest
from alertd.notices.rendering import render
from alertd.shipped import shipped
from alertd.testing import a_notice
from tests.channels.hooks import SECRET_PATH, Hook, hook

# Apprise loads all of its modules at the first address, and some of them warn of what a later Python will lack.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

KEY = "0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d11"
PARTS = {"title": "🚨 First answers are slow: 7 min", "body": "Critical. The median time was 7 min."}
OPENED = Message(KEY, Kind.OPENED, a_notice(level=Level.CRITICAL), PARTS)
TEAM = Apprise(url_env="TEAM_URL")
SLACK = "T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture
def server() -> Iterator[Hook]:
    with hook() as found:
        yield found


def access(*addresses: str) -> Access:
    return Access(secret={"TEAM_URL": " ".join(addresses) or None}.get)


def json_of(server: Hook) -> str:
    return server.url.replace("http://", "json://")


def failure(*addresses: str, message: Message = OPENED) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        TEAM.send(message, None, access(*addresses))
    assert "canary" not in "".join(traceback.format_exception(caught.value))
    return caught.value


def test_title_body_and_kind_arrive(server: Hook) -> None:
    assert TEAM.send(OPENED, None, access(json_of(server))) == {}
    (post,) = server.posts
    assert post.path == SECRET_PATH
    assert (post.json["title"], post.json["message"], post.json["type"]) == (PARTS["title"], PARTS["body"], "failure")


@pytest.mark.parametrize(
    ("kind", "level", "word"),
    [
        (Kind.OPENED, Level.CRITICAL, "failure"),
        (Kind.CHANGED, Level.WARNING, "warning"),
        (Kind.RESOLVED, Level.CRITICAL, "success"),
        (Kind.REPORT, Level.OK, "info"),
        (Kind.TEST, Level.WARNING, "info"),
        (Kind.DIGEST, Level.CRITICAL, "failure"),
        (Kind.DIGEST, Level.OK, "info"),
    ],
)
def test_the_level_decides_the_colour(server: Hook, kind: Kind, level: Level, word: str) -> None:
    TEAM.send(Message(KEY, kind, a_notice(level=level), PARTS), None, access(json_of(server)))
    assert server.posts[0].json["type"] == word


def test_a_repeat_says_that_it_may_be_one(server: Hook) -> None:
    TEAM.send(replace(OPENED, repeat=True), None, access(json_of(server)))
    assert server.posts[0].json["message"] == f"{REPEAT}\n\n{PARTS['body']}"


def test_a_refresh_is_not_sent(server: Hook) -> None:
    assert TEAM.send(replace(OPENED, kind=Kind.REFRESHED), None, access(json_of(server))) == {}
    assert server.posts == []


@pytest.mark.parametrize("parts", [{}, {"plain": "Critical · slow", "summary": "All of it.", "failure": "line 3"}])
def test_without_a_template_it_still_tells_all(server: Hook, parts: dict[str, str]) -> None:
    TEAM.send(replace(OPENED, parts=parts), None, access(json_of(server)))
    told = server.posts[0].json
    assert told["title"] == (parts.get("plain") or "First answers are slow")
    assert told["message"] == (parts.get("summary") or "First answers are slow")


def test_the_shipped_template_makes_title_and_body() -> None:
    def shown(notice: Notice) -> dict[str, str]:
        return dict(render("apprise", notice, names=lambda _by, _id: None, folders=(shipped("templates"),)))

    told = shown(a_notice(description="Ask for help.", runbook="https://wiki.example.com/slow"))
    assert told["title"] == "⚠️ Warning: First answers are slow: 7 min 12 s (limit 5 min)"
    for words in ("Warning. The median time", "Since 09:00 UTC", "Ask for help.", "Runbook: https://wiki.example.com/slow"):
        assert words in told["body"]
    assert "\n\n\n" not in told["body"]
    assert "Test: " in shown(a_notice(kind=Kind.TEST))["title"]


def test_many_notices_are_one_message_in_their_own_words() -> None:
    two = [a_notice(), a_notice(incident=13, rule="fast", title="Too fast")]
    told = render_digest("apprise", two, names=lambda _by, _id: None, folders=(shipped("templates"),))
    assert told["title"].endswith("2 alerts: 2 warning")
    assert "Too fast: 7 min 12 s (limit 5 min) (incident 13)" in told["body"]


# What can go wrong


@pytest.mark.parametrize("status", [0, 301, 400, 404, 429, 500])
def test_whatever_is_not_a_yes_may_have_arrived_and_is_tried_again(server: Hook, status: int) -> None:
    server.answer(status, Location="http://127.0.0.1:9/canary")
    problem = failure(json_of(server))
    assert (problem.ambiguous, problem.permanent) == (True, False)
    assert "the service in TEAM_URL did not take the message, or did not say so in 60 s" in str(problem)
    assert len(server.posts) == 1


def test_a_redirect_is_not_followed(server: Hook) -> None:
    with hook() as other:
        server.answer(307, Location=other.url)
        assert failure(json_of(server)).ambiguous
        assert other.posts == []


def test_of_several_services_only_those_that_failed_are_tried_again(server: Hook) -> None:
    with hook() as other:
        server.answer(500)
        problem = failure(json_of(server), json_of(other))
        assert "1 of the 2 services in TEAM_URL did not take the message" in str(problem)
        assert problem.receipt == {"reached": "2", "of": "2"}
        again = replace(OPENED, repeat=True, before=problem.receipt)
        assert TEAM.send(again, None, access(json_of(server), json_of(other))) == {}
        assert (len(server.posts), len(other.posts)) == (2, 1)


def test_what_was_reached_is_forgotten_when_there_are_more_addresses_or_fewer(server: Hook) -> None:
    message = replace(OPENED, before={"reached": "1", "of": "2"})
    TEAM.send(message, None, access(json_of(server)))
    assert len(server.posts) == 1


def test_a_service_that_hangs_is_left_at_the_deadline_and_the_rest_is_not_sent_late() -> None:
    free = threading.Event()

    with hook() as first, hook() as second:
        first.hold = free
        services = {1: service_of(json_of(first)), 2: service_of(json_of(second))}
        ready = {number: service for number, service in services.items() if service}
        assert send_all(ready, OPENED, SECOND // 5) == set()
        free.set()
        for thread in threading.enumerate():
            if thread.name == "apprise":
                thread.join(30)
        assert (len(first.posts), len(second.posts)) == (1, 0)


# What is lacking


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        ((), "set TEAM_URL or TEAM_URL_FILE"),
        (("canary",), "the address in TEAM_URL is none that Apprise knows, or not whole"),
        (("dbus://[::1",), "the address in TEAM_URL is none that Apprise knows"),
        (("canary://x/y",), "the address in TEAM_URL is none that Apprise knows"),
        (("json://127.0.0.1/x", "tgram://canary"), "address 2 of 2 in TEAM_URL is none that Apprise knows"),
        ((f"slack://{SLACK}/#canary",), "the address in TEAM_URL leads to Slack; write slack: with channel or webhook_env"),
        ((f"https://hooks.slack.com/services/{SLACK}",), "leads to Slack"),
        (("json://127.0.0.1/x", "ntfys://canary-topic"), None),
    ],
)
def test_what_an_address_lacks_is_said_without_telling_it(addresses: tuple[str, ...], said: str | None) -> None:
    lacking = TEAM.missing(access(*addresses))
    assert (lacking is None) == (said is None)
    assert (said or "") in (lacking or "")
    assert "canary" not in (lacking or "")
    assert SLACK not in (lacking or "")


def test_what_is_lacking_is_not_sent_and_will_not_change_by_itself() -> None:
    assert failure("canary://x").permanent


def test_where_it_is_not_installed_that_is_said() -> None:
    """In a process of its own, which finds no Apprise."""
    script = (
        "import sys; sys.modules['apprise'] = None\n"
        "from alertd.channels.apprise import Apprise\n"
        "from alertd.channels.base import Access\n"
        "print(Apprise(url_env='A').missing(Access(secret=lambda name: 'json://x')))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == INSTALL


def test_it_is_loaded_only_when_it_is_used() -> None:
    script = "import sys; from alertd import channels; channels.find('apprise'); print('apprise' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_nothing_secret_is_logged(server: Hook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("apprise").setLevel(1)
    caplog.set_level(logging.INFO)
    server.answer(500)
    failure(json_of(server))
    TEAM.missing(access("tgram://canary"))
    assert "canary" not in caplog.text
    assert "canary" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("options", [{}, {"url_env": "json://canary"}, {"url": "json://canary"}])
def test_addresses_do_not_stand_in_rule_files(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CHANNEL.model_validate(options)
