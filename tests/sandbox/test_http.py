from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd.clock import DAY, MINUTE, Duration, Instant
from alertd.errors import SettingsError
from alertd.sandbox.app import create_app
from alertd.sandbox.company import AGENTS, BOTS, PLAYBOOKS
from alertd.sandbox.faults import parse_faults
from alertd.sandbox.serve import HOST, Options, listen, make_app, make_world
from alertd.sandbox.traffic import Generated, Traffic

START = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
WORLD = Generated(Traffic(per_day=200), START, days=3)
TOKEN = {"Authorization": "Bearer s3cret"}
ALL = {"filters": [], "metrics": ["createdAt"]}


class HandClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.moment, self.up = START, 0

    def now(self) -> Instant:
        return self.moment

    def uptime(self) -> Duration:
        return self.up

    def boot(self) -> str:
        return "test"


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The app on a free port."""
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        try:
            yield f"http://{HOST}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def ask(url: str, query: Any = ALL, **options: Any) -> requests.Response:
    return requests.post(f"{url}/reports/conversations", json=query, timeout=20, **options)


def error_of(response: requests.Response) -> tuple[int, str]:
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"type", "message"}
    return response.status_code, body["error"]["type"]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def url(clock: HandClock) -> Iterator[str]:
    with served(create_app(WORLD, clock)) as address:
        yield address


def test_the_example_of_the_document_is_answered(url: str) -> None:
    query = {
        "filters": [
            {"property": "lastAgentId", "operation": "HAS_PROPERTY"},
            {"property": "firstCloseAt", "operation": "BETWEEN", "values": ["2026-10-31", START]},
        ],
        "metrics": ["timeToCloseMillis", "timeToAgentResponseMillis", "firstAgentMessageAt", "relatedPlaybookId"],
    }
    body = ask(url, query).json()
    assert body.keys() == {"count", "data"}
    assert body["count"] == len(body["data"]) > 50
    assert all(row.keys() == {"conversationId", "metrics"} for row in body["data"])
    assert all(type(value) is int for row in body["data"] for value in row["metrics"][:3])
    assert {type(row["metrics"][3]) for row in body["data"]} == {int, str}


def test_an_answer_shows_what_had_happened_by_now(url: str, clock: HandClock) -> None:
    before = ask(url).json()["count"]
    clock.moment += DAY
    assert ask(url).json()["count"] > before


def test_users_and_playbooks_are_listed_as_the_api_lists_them(url: str) -> None:
    users = requests.get(f"{url}/users/list", timeout=5).json()
    assert {(user["id"], user["name"]) for user in users["data"] if user["bot"]} == set(BOTS)
    assert {user["id"] for user in users["data"] if not user["bot"]} == {agent.id for agent in AGENTS}
    playbooks = requests.get(f"{url}/playbooks/list", timeout=5).json()
    assert {(each["id"], each["name"]) for each in playbooks} == {(number, name) for number, name, *_ in PLAYBOOKS}


def test_a_wrong_token_is_refused_everywhere_and_costs_no_call(clock: HandClock) -> None:
    with served(create_app(WORLD, clock, token="s3cret", calls_per_minute=1)) as url:
        for headers in (
            {},
            {"Authorization": "Bearer other"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer s3crét".encode("latin-1")},
        ):
            assert error_of(ask(url, headers=headers)) == (401, "authentication_error")
        for path in ("users", "playbooks"):
            assert error_of(requests.get(f"{url}/{path}/list", timeout=5)) == (401, "authentication_error")
            assert requests.get(f"{url}/{path}/list", headers=TOKEN, timeout=5).status_code == 200
        assert ask(url, headers=TOKEN).status_code == 200


def test_an_unknown_address_and_a_wrong_method_are_errors_in_the_apis_shape(url: str) -> None:
    assert error_of(requests.get(f"{url}/nothing", timeout=5)) == (404, "not_found")
    assert error_of(requests.get(f"{url}/reports/conversations", timeout=5))[0] == 405


def test_a_query_that_cannot_be_is_a_formatting_error(url: str) -> None:
    response = ask(url, {"filters": [], "metrics": ["status"]})
    assert error_of(response) == (400, "validation_error")
    assert response.json()["error"]["message"].startswith("check query formatting: metrics[0]: status is text")


def test_the_sixty_first_call_in_a_minute_is_refused_and_told_when_to_come_back(url: str, clock: HandClock) -> None:
    query = {"filters": [{"property": "id", "operation": "EQ", "values": [0]}], "metrics": []}
    with requests.Session() as session:
        statuses = [session.post(f"{url}/reports/conversations", json=query, timeout=5).status_code for _ in range(60)]
    assert statuses == [200] * 60
    clock.up += 500
    refused = ask(url)
    assert error_of(refused) == (429, "rate_limit")
    assert refused.headers["Retry-After"] == "60"
    clock.up = MINUTE
    assert ask(url).status_code == 200
    stats = requests.get(f"{url}/sandbox/stats", timeout=5).json()
    assert stats == {"calls": 62, "refused": 1, "most_in_a_minute": 61}


def test_faults_are_answered_as_they_are_named(clock: HandClock) -> None:
    app = create_app(WORLD, clock, time_limit=20)
    with served(app) as url:
        for fault, expected in {
            "429:1": (429, "rate_limit"),
            "500:1": (500, "internal_error"),
            "timeout:1": (504, "internal_error"),
        }.items():
            app.state.sandbox.luck.faults = parse_faults([fault])
            response = ask(url)
            assert error_of(response) == expected
        app.state.sandbox.luck.faults = parse_faults(["slow:1:5ms"])
        assert ask(url).status_code == 200
        app.state.sandbox.luck.faults = parse_faults(["slow:1:1h"])
        assert error_of(ask(url))[0] == 504


def test_a_cut_answer_promises_its_whole_length_and_breaks_off(clock: HandClock) -> None:
    with served(create_app(WORLD, clock, faults=parse_faults(["cut:1"]))) as url:
        with ask(url, stream=True) as response:
            assert response.status_code == 200
            promised = int(response.headers["content-length"])
            with pytest.raises(requests.exceptions.RequestException):
                assert response.content is None
        whole = len(json.dumps(ask_whole(clock), separators=(",", ":")))
        assert promised == whole


def ask_whole(clock: HandClock) -> Any:
    with served(create_app(WORLD, clock)) as url:
        return ask(url).json()


def test_faults_can_be_changed_while_it_runs(url: str) -> None:
    assert requests.put(f"{url}/sandbox/faults", json=["500:1"], timeout=5).status_code == 200
    assert ask(url).status_code == 500
    assert error_of(requests.put(f"{url}/sandbox/faults", json=["5000:1"], timeout=5)) == (400, "validation_error")
    assert error_of(requests.put(f"{url}/sandbox/faults", json={}, timeout=5)) == (400, "validation_error")
    assert requests.put(f"{url}/sandbox/faults", json=[], timeout=5).status_code == 200
    assert ask(url).status_code == 200


def test_it_may_be_mounted_under_a_prefix(clock: HandClock) -> None:
    app = Starlette(routes=[Mount("/api", app=create_app(WORLD, clock))])
    with served(app) as url:
        assert ask(f"{url}/api").json()["count"] > 0
        assert error_of(requests.get(f"{url}/api/nothing", timeout=5)) == (404, "not_found")


def test_queries_at_the_same_time_do_not_disturb_each_other(url: str) -> None:
    counts: list[int] = []
    threads = [threading.Thread(target=lambda: counts.append(ask(url).json()["count"])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(counts)) == 1
    assert len(counts) == 8


def test_the_options_of_the_command_line_make_a_working_api(clock: HandClock) -> None:
    options = Options(days=1, per_day=300, profile="flat", scenarios=("rush+1h",), faults=("500:0",), calls_per_minute=1)
    with served(make_app(options, make_world(options, clock), clock)) as url:
        assert abs(ask(url).json()["count"] - 300) < 100
        assert ask(url).status_code == 429


def test_a_taken_port_is_told() -> None:
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} is taken"):
            listen(port)


@pytest.mark.parametrize("options", [Options(days=-1), Options(per_day=float("nan")), Options(scenarios=("rain",))])
def test_a_wrong_option_is_told(options: Options, clock: HandClock) -> None:
    with pytest.raises(SettingsError):
        make_world(options, clock)


def test_a_port_that_cannot_be_is_told() -> None:
    with pytest.raises(SettingsError, match="ports go from 0 to 65535"):
        listen(70_000)


def test_the_server_says_on_stderr_where_it_is_and_ends_when_told_to() -> None:
    program = "from alertd.clock import SystemClock\nfrom alertd.sandbox.serve import Options, serve\n"
    program += "serve(Options(port=0, token='s3cret', days=1, per_day=100), SystemClock())"
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = re.match(
            r"Reporting API on (http://127\.0\.0\.1:\d+) \(with your token\), \d+ conversations", server.stderr.readline()
        )
        assert said
        assert ask(said[1], headers=TOKEN).status_code == 200
        server.send_signal(signal.SIGTERM)
        assert "s3cret" not in server.stderr.read()
