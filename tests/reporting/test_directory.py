from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.reporting.client import ReportingClient
from alertd.reporting.directory import Directory, read_names
from alertd.reporting.http import Http
from alertd.testing import FakeClock
from tests.reporting.hostile import Behaviour, Hostile, answers, hangs_up

USERS = json.dumps(
    {
        "data": [
            {"id": 1, "name": "Ada Lovelace", "alias": "ada", "email": "ada@example.com", "bot": False},
            {"id": 2, "alias": "Grace", "email": "grace@example.com"},
            {"id": 3, "name": "Drift Bot", "bot": True},
        ]
    }
).encode()
PLAYBOOKS = b'[{"id":671581,"name":"Homepage","interactionId":9}]'


@pytest.fixture
def http() -> Iterator[Http]:
    with Http() as http:
        yield http


def directory(http: Http, server: Hostile, clock: FakeClock) -> Directory:
    return Directory(ReportingClient(http, lambda: "token", base_url=server.url), clock)


def test_ids_have_names_from_the_list_of_their_kind(http: Http) -> None:
    with Hostile(answers(USERS), answers(PLAYBOOKS)) as server:
        names = directory(http, server, FakeClock())
        assert names.name("lastAgentId", 1) == "Ada Lovelace"
        assert names.name("firstAgentId", 2) == "Grace"
        assert names.name("firstBotId", 3) == "Drift Bot"
        assert names.name("relatedPlaybookId", 671581) == "Homepage"
    assert [request.split(b" ")[1] for request in server.requests] == [b"/users/list", b"/playbooks/list"]


def test_an_id_that_nobody_knows_and_a_property_without_names_have_none(http: Http) -> None:
    with Hostile(answers(USERS)) as server:
        names = directory(http, server, FakeClock())
        assert names.name("lastAgentId", 99) is None
        assert names.name("endUserId", 1) is None
        assert names.name("conversation", 1) is None
    assert len(server.requests) == 1


def test_a_list_is_fetched_again_after_an_hour(http: Http) -> None:
    clock = FakeClock()
    with Hostile(answers(USERS), answers(USERS.replace(b"Ada Lovelace", b"Ada King"))) as server:
        names = directory(http, server, clock)
        assert names.name("lastAgentId", 1) == "Ada Lovelace"
        clock.advance(HOUR - 1)
        assert names.name("lastAgentId", 1) == "Ada Lovelace"
        clock.advance(1)
        assert names.name("lastAgentId", 1) == "Ada King"


@pytest.mark.parametrize(
    "failing",
    [hangs_up, answers(b"", 403), answers(b"<html>"), answers(b"5"), answers(b'{"data":{}}'), answers(b"[" * 100_000)],
)
def test_a_failure_means_no_names_for_five_minutes_and_nothing_else(http: Http, failing: Behaviour) -> None:
    clock = FakeClock()
    with Hostile(failing, answers(USERS)) as server:
        names = directory(http, server, clock)
        assert names.name("lastAgentId", 1) is None
        clock.advance(5 * MINUTE - 1)
        assert names.name("lastAgentId", 1) is None
        assert len(server.requests) == 1
        clock.advance(1)
        assert names.name("lastAgentId", 1) == "Ada Lovelace"


def test_the_older_names_stay_while_new_ones_cannot_be_fetched(http: Http) -> None:
    clock = FakeClock()
    with Hostile(answers(USERS), answers(b"", 500)) as server:
        names = directory(http, server, clock)
        names.name("lastAgentId", 1)
        clock.advance(HOUR)
        assert names.name("lastAgentId", 1) == "Ada Lovelace"
        assert names.name("lastAgentId", 1) == "Ada Lovelace"
    assert len(server.requests) == 2


def test_somebody_who_sets_the_clock_does_not_make_names_stale_or_eternal(http: Http) -> None:
    clock = FakeClock()
    with Hostile(answers(USERS)) as server:
        names = directory(http, server, clock)
        names.name("lastAgentId", 1)
        clock.set_wall(0)
        names.name("lastAgentId", 1)
        clock.advance(HOUR)
        names.name("lastAgentId", 1)
    assert len(server.requests) == 2


def test_a_token_that_cannot_be_read_means_no_names(http: Http) -> None:
    with Hostile(answers(USERS)) as server:
        names = Directory(ReportingClient(http, lambda: "", base_url=server.url), FakeClock())
        assert names.name("lastAgentId", 1) is None
    assert server.requests == []


def test_threads_that_ask_at_once_share_one_fetch(http: Http) -> None:
    found: list[str | None] = []
    with Hostile(answers(USERS)) as server:
        names = directory(http, server, FakeClock())
        threads = [threading.Thread(target=lambda: found.append(names.name("lastAgentId", 1))) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert found == ["Ada Lovelace"] * 10
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ({"id": 1, "name": "  Ada\n\x00Lovelace\u202e "}, "Ada Lovelace"),
        ({"id": "1", "name": "Ada"}, "Ada"),
        ({"id": 1, "name": "ada@example.com", "alias": "Ada"}, "Ada"),
        ({"id": 1, "name": "ada@example.com", "email": "ada@example.com"}, None),
        ({"id": 1, "name": "", "alias": "Ada"}, "Ada"),
        ({"id": 1, "name": None, "alias": 5}, None),
        ({"id": 1, "name": "x" * 500}, "x" * 80),
        ({"id": 1.5, "name": "Ada"}, None),
        ({"id": True, "name": "Ada"}, None),
        ({"id": None, "name": "Ada"}, None),
        ({"id": "9" * 5000, "name": "Ada"}, None),
        ({"name": "Ada"}, None),
        ("Ada", None),
        (None, None),
    ],
)
def test_a_row_gives_a_name_that_people_may_see_or_none(row: object, name: str | None) -> None:
    body = json.dumps([row, {"id": 2, "name": "Grace"}]).encode()
    expected = {2: "Grace"} if name is None else {1: name, 2: "Grace"}
    assert read_names(body) == expected
    assert read_names(b'{"data":%b}' % body) == expected
