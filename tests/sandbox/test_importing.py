from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alertd.errors import SettingsError
from alertd.reporting.properties import PROPERTIES
from alertd.sandbox.columns import Coded, Snapshot
from alertd.sandbox.importing import load

WHOLE: dict[str, Any] = {
    "id": 7,
    "createdAt": 1000,
    "relatedPlaybookId": 31,
    "endUserId": 99,
    "endUserInitiated": False,
    "endUserType": "LEAD",
    "firstAgentId": 501,
    "lastAgentId": 502,
    "firstAgentMessageAt": 4000,
    "firstBotId": 900,
    "firstBotMessageAt": 2000,
    "firstCloseAt": 6000,
    "firstEndUserMessageAt": 3000,
    "numAgentMessages": 4,
    "numBotMessages": 3,
    "numEndUserMessages": 2,
    "offline": True,
    "pageUrl": "https://example.com/a",
    "status": "archived",
    "tags": ["vip", "bug"],
    "timeToAgentResponseMillis": 1000,
    "timeToCloseMillis": 5000,
    "updatedAt": 9000,
    "botStatus": "BOT_ASSISTED",
    "cqlScore": 2,
}


def write(folder: Path, *rows: Any, name: str = "export.jsonl") -> Path:
    file = folder / name
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8")
    return file


def first(snapshot: Snapshot) -> dict[str, Any]:
    """The oldest conversation with the properties it has."""
    found: dict[str, Any] = {}
    for name in PROPERTIES:
        values = snapshot.column(name)
        if not isinstance(values, Coded):
            found[name] = None if np.isnan(values[0]) else values[0].item()
        elif values.codes[0] >= 0:
            word = values.words[values.codes[0]]
            found[name] = list(word) if isinstance(word, tuple) else word
    return {name: value for name, value in found.items() if value is not None}


def test_values_are_served_as_they_are(tmp_path: Path) -> None:
    assert first(load(write(tmp_path, WHOLE)).at(10_000)) == WHOLE


def test_csv_says_the_same_as_json(tmp_path: Path) -> None:
    cells = {**WHOLE, "tags": "vip; bug", "offline": "true", "endUserInitiated": "False", "createdAt": "1970-01-01T00:00:01Z"}
    rows = [",".join(cells), ",".join(str(value) for value in cells.values())]
    assert first(load(write(tmp_path, *rows, name="export.csv")).at(10_000)) == WHOLE


def test_only_id_and_creation_are_needed_and_empty_means_absent(tmp_path: Path) -> None:
    rows = ["conversationId,createdAt,timeToCloseMillis,tags,pageUrl", '7,1000,NaN,,""']
    assert first(load(write(tmp_path, *rows, name="export.csv")).at(1000)) == {"id": 7, "createdAt": 1000}
    lines = [{"conversationId": 7, "createdAt": 1000, "timeToCloseMillis": "NaN", "tags": [], "pageUrl": None}]
    assert first(load(write(tmp_path, *lines)).at(1000)) == {"id": 7, "createdAt": 1000}


def test_a_conversation_appears_when_it_is_created(tmp_path: Path) -> None:
    world = load(write(tmp_path, {"id": 2, "createdAt": 2000}, "", {"id": 1, "createdAt": 1000}))
    assert [world.at(now).ids.tolist() for now in (999, 1000, 1999, 2000)] == [[], [1], [1], [1, 2]]


def test_what_comes_with_a_later_event_is_hidden_until_then(tmp_path: Path) -> None:
    world = load(write(tmp_path, WHOLE))
    start = first(world.at(1000))
    gone = {"firstAgentId", "lastAgentId", "firstAgentMessageAt", "firstBotId", "firstBotMessageAt", "firstCloseAt"}
    gone |= {"firstEndUserMessageAt", "timeToAgentResponseMillis", "timeToCloseMillis"}
    assert start.keys() == WHOLE.keys() - gone
    assert (start["status"], start["botStatus"], start["updatedAt"], start["numAgentMessages"]) == (
        "open",
        "NO_RESPONSE",
        1000,
        0,
    )
    later = first(world.at(4500))
    assert (later["status"], later["botStatus"], later["updatedAt"], later["numAgentMessages"]) == (
        "open",
        "BOT_ASSISTED",
        4000,
        4,
    )
    assert "firstCloseAt" not in later
    assert first(world.at(2500))["botStatus"] == "BOT_ONLY"
    assert first(world.at(6000))["status"] == "archived"


def test_people_and_playbooks_are_those_of_the_file(tmp_path: Path) -> None:
    world = load(write(tmp_path, WHOLE))
    assert [(user["id"], user["bot"]) for user in world.users] == [(501, False), (502, False), (900, True)]
    assert [playbook["id"] for playbook in world.playbooks] == [31]


def test_everything_wrong_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {"id": 1, "createdAt": 1, "statsu": "open"},
        "{not json",
        {"id": 1, "createdAt": "yesterday"},
        {"createdAt": 1, "status": "shut", "offline": 1, "tags": "vip", "cqlScore": "good", "endUserId": 1.5, "pageUrl": 3},
        {"id": 2, "conversationId": 2, "createdAt": True},
    )
    with pytest.raises(SettingsError) as caught:
        load(file)
    said = str(caught.value)
    for line, words in [
        (1, "statsu: there is no such property; did you mean status?"),
        (2, "a line is one object like"),
        (3, 'createdAt: "yesterday" is not a time'),
        (3, "id: 1 stands in line 1 already"),
        (4, "id: missing"),
        (4, "status: 'shut' is not one of open, closed, pending, archived"),
        (4, "offline: 1 is not true or false"),
        (4, "tags: 'vip' is not a list of texts"),
        (4, "cqlScore: 'good' is not a number"),
        (4, "endUserId: 1.5 is not a whole number"),
        (4, "pageUrl: 3 is not a text"),
        (5, "id: given twice"),
        (5, "createdAt: True is not a number"),
    ]:
        assert any(each.startswith(f"{file}:{line}: ") and words in each for each in said.splitlines()), (line, words)


def test_csv_problems_have_a_place_too(tmp_path: Path) -> None:
    rows = ["id,createdAt,wait,offline", "1,2", "x,1000,3,maybe", "2,3,4,true"]
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, *rows, name="export.csv"))
    said = [each.partition("export.csv")[2] for each in str(caught.value).splitlines()]
    assert said == [
        ":1: wait: there is no such property; take the column out",
        ":2: 2 cells under 4 columns; check commas and quotes",
        ":3: id: 'x' is not a number",
        ":3: offline: 'maybe' is not true or false",
    ]


def test_twenty_problems_are_enough(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(write(tmp_path, *({"id": 1} for _ in range(100))))
    lines = str(caught.value).splitlines()
    assert len(lines) == 21
    assert lines[-1] == "(the first 20; there may be more)"


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("export.xlsx", b"", "name it .jsonl for JSON lines or .csv for CSV"),
        ("export.csv", b"id,createdAt\n\xff,1\n", "not UTF-8"),
        ("export.jsonl", b'[{"id": 1}]\n', "a line is one object like"),
        ("export.csv", b'id,createdAt\n"1,1\n', "check the quotes"),
        ("export.csv", b"id,id,createdAt\n1,2,3\n", "id: stands in the header twice"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(tmp_path / name)
    assert said in str(caught.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        load(tmp_path / "gone.jsonl")


def test_an_empty_file_is_a_world_without_conversations(tmp_path: Path) -> None:
    assert len(load(write(tmp_path)).at(10**13).ids) == 0
