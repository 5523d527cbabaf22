"""That no secret is forgotten where they are looked for, and that what looks for them sees one in each place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
import yaml
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd import channels
from alertd.settings import SECRETS, known_names
from alertd.web.serving import Server, listen
from tests.processes.canaries import Canary, seen
from tests.processes.ears import Ear, Letterbox
from tests.processes.stage import CANARIES, Stage
from tests.soak.secrets import RECEIVERS

NAMES = {each.name for each in CANARIES}
ADDRESSES = {"ALERTD_REPORTING__PROXY"}  # settings that are no secrets and may have a password in them
BARE = {"ALERTD_REPORTING__URL", "ALERTD_SLACK__URL", "ALERTD_STORE__URL"}  # those that have none where a daemon runs


def test_every_secret_has_a_canary() -> None:
    assert set(SECRETS) <= NAMES


def test_every_address_among_the_settings_is_known_to_have_a_secret_in_it_or_none() -> None:
    assert {name for name in known_names() if name.endswith(("URL", "PROXY"))} == ADDRESSES | BARE
    assert ADDRESSES <= NAMES


def test_every_option_of_a_channel_that_names_a_secret_has_a_canary() -> None:
    named: dict[tuple[str, str], str] = {}
    for options in yaml.safe_load(RECEIVERS)["receivers"].values():
        ((kind, given),) = options.items()
        named |= {(kind, option): value for option, value in given.items() if option.endswith("_env")}
    options = {(kind, option) for kind in channels.names() for option in channels.find(kind).model_fields}
    assert named.keys() == {each for each in options if each[1].endswith("_env")}
    assert set(named.values()) <= NAMES


def test_canaries_are_long_enough_to_be_known_by_half_and_share_nothing() -> None:
    assert all(len(each.text) >= 24 for each in CANARIES)
    for one in CANARIES:
        assert [other.name for other in CANARIES if other.among(one.text.encode())] == [one.name]


def test_a_stage_sees_a_secret_in_what_is_written_shown_kept_and_sent(stage: Stage) -> None:
    (stage.folder / "alertd.db").touch()
    planted = {each.name: each.text for each in CANARIES}
    stage.seen.append(planted["ALERTD_REPORTING__TOKEN"])
    (stage.folder / "alertd.db-journal").write_text(planted["TEAM_HOOK"], encoding="utf-8")
    (stage.folder / "token").write_text(planted["ALERTD_SLACK__BOT_TOKEN"], encoding="utf-8")  # where it may be
    found = {(each.place, each.name) for each in seen(stage.canaries(), stage.places())}
    assert found == {("a page", "ALERTD_REPORTING__TOKEN"), ("the file alertd.db-journal", "TEAM_HOOK")}
    with pytest.raises(AssertionError, match=r"alertd\.db-journal"):
        stage.check_secrets()
    stage.seen.clear()
    (stage.folder / "alertd.db-journal").unlink()


OWN, OTHER = Canary("OWN", "own-8f3b1c9d5e7a40b2c6f1aa"), Canary("OTHER", "other-71aa90f2c3d84b6e95071d")


@pytest.fixture
def ear() -> Iterator[tuple[Ear, str]]:
    ear = Ear(Letterbox().app, "somebody", lambda: (OWN, OTHER), bearer=frozenset({"OWN"}), path=frozenset({"OWN"}))
    server = Server(Starlette(routes=[Mount("/", app=ear)]), listen("127.0.0.1", 0, "port"))
    server.start()
    yield ear, server.address
    server.stop()


def test_an_ear_lets_a_secret_come_to_whom_it_belongs_as_it_should(ear: tuple[Ear, str]) -> None:
    heard, address = ear
    headers = {"Authorization": f"Bearer {OWN.text}"}
    assert requests.post(f"{address}/{OWN.text}", "nothing", headers=headers, timeout=30).text == "ok"
    assert (heard.calls, heard.found) == (1, [])


@pytest.mark.parametrize(
    ("path", "headers", "body", "place"),
    [
        (OTHER.text, {}, "", "address"),
        (f"?token={OTHER.text}", {}, "", "address"),
        ("", {"Authorization": f"Bearer {OTHER.text}"}, "", "header authorization"),
        ("", {"X-Token": OWN.text}, "", "header x-token"),
        ("", {}, f'{{"token": "{OWN.text}"}}', "body"),
        ("", {}, "x" * 500_000 + OTHER.text, "body"),
    ],
)
def test_an_ear_hears_every_other_one(ear: tuple[Ear, str], path: str, headers: dict[str, str], body: str, place: str) -> None:
    heard, address = ear
    assert requests.post(f"{address}/{path}", body, headers=headers, timeout=30).text == "ok"
    assert [each.place for each in heard.found] == [f"the {place} of a call to somebody".removeprefix("the ")]
