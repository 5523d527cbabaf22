"""That the looking for secrets can find some: one planted in each place, in each spelling, is seen."""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processes.canaries import Canary, Sighting, in_folder, of_process, seen

LONG = Canary("LONG", 'xoxb-"4f/1c+9e\\b27d0a-86e5f3')
SHORT = Canary("SHORT", "pa55wort")

SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "reversed": lambda text: text[::-1].encode(),
    "percent": lambda text: quote(text, safe="").encode(),
    "a path": lambda text: quote(text).encode(),
    "JSON": lambda text: json.dumps({"a": text}).encode(),
    "repr": lambda text: repr({"a": text}).encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 of a login": lambda text: base64.b64encode(f"me:{text}".encode()),
    "base64 of another login": lambda text: base64.b64encode(f"you:{text}:".encode()),
    "base64 for addresses": lambda text: base64.urlsafe_b64encode(f"?{text}".encode()),
    "hex": lambda text: text.encode().hex().encode(),
    "a host's name": lambda text: text.lower().encode(),
    "Windows": lambda text: text.encode("utf-16-le"),
}


@pytest.mark.parametrize("way", SPELLINGS)
@pytest.mark.parametrize("canary", [LONG, SHORT], ids=lambda each: each.name)
def test_a_secret_is_recognised_in_every_spelling(canary: Canary, way: str) -> None:
    assert canary.among(b"so " + SPELLINGS[way](canary.text) + b" it is")
    assert not canary.among(b"so " + SPELLINGS[way]("something-else-of-that-length") + b" it is")


def test_half_of_a_long_secret_is_enough_but_not_of_a_short_one() -> None:
    assert LONG.among(LONG.text[:14].encode())
    assert LONG.among(LONG.text[14:].encode())
    assert not SHORT.among(SHORT.text[:7].encode())


@given(
    st.text("abcdefghijklmnopqrstuvwxyzABCDEFG0123456789-+/=", min_size=8, max_size=40),
    st.binary(max_size=5),
    st.binary(max_size=5),
)
def test_any_secret_is_seen_whatever_stands_beside_it(text: str, before: bytes, after: bytes) -> None:
    canary = Canary("ANY", text)
    assert canary.among(before + text.encode() + after)
    assert canary.among(base64.b64encode(before + text.encode() + after))


def test_what_is_seen_is_told_without_being_repeated() -> None:
    found = seen([LONG, SHORT], [("a page", b"nothing"), ("a log", f"it is {SHORT.text}".encode())])
    assert found == [Sighting("a log", "SHORT")]
    assert SHORT.text not in str(found)


def test_a_folder_is_searched_through_and_what_was_put_there_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "given").mkdir()
    for place in ("deep/er/core", "given/token", "alertd.db-journal", f"{SHORT.text}.tmp"):
        (tmp_path / place).write_text(f"binary \0 {SHORT.text}", encoding="utf-8")
    found = {each.place for each in seen([SHORT], in_folder(tmp_path, given=[tmp_path / "given"]))}
    both = {f"the name of {SHORT.text}.tmp", f"the file {SHORT.text}.tmp"}
    assert found == {"the file deep/er/core", "the file alertd.db-journal"} | both


def test_a_row_that_is_not_in_one_piece_in_its_file_is_read(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "alertd.db")) as connection:
        connection.execute("CREATE TABLE notices (id INTEGER, data TEXT)")
        for length in range(4000, 4100):  # somewhere among these a page ends in the middle of it
            connection.execute("INSERT INTO notices VALUES (?, ?)", (length, "x" * length + SHORT.text))
        connection.commit()
    assert Sighting("the table notices in alertd.db", "SHORT") in seen([SHORT], in_folder(tmp_path))


def test_json_in_a_row_hides_nothing(tmp_path: Path) -> None:
    umlaut = Canary("UMLAUT", "pässwörter")
    with closing(sqlite3.connect(tmp_path / "alertd.db")) as connection:
        connection.execute("CREATE TABLE notices (data TEXT)")
        connection.execute("INSERT INTO notices VALUES (?)", (json.dumps(json.dumps({"a": umlaut.text})),))
        connection.commit()
    assert Sighting("the table notices in alertd.db", "UMLAUT") in seen([umlaut], in_folder(tmp_path))


def test_a_damaged_store_is_searched_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "alertd.db.damaged").write_bytes(b"SQLite format 3\0" + b"\xff" * 200 + SHORT.text.encode())
    assert seen([SHORT], in_folder(tmp_path)) == [Sighting("the file alertd.db.damaged", "SHORT")]


def test_the_command_line_of_a_process_is_seen() -> None:
    own = Canary("OWN", Path("/proc/self/cmdline").read_bytes().split(b"\0")[-2].decode())
    assert Sighting("/proc/.../cmdline", "OWN") in seen([own], of_process(os.getpid()))
    assert not list(of_process(2**30))
