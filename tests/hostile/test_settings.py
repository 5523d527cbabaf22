"""Whatever stands in the environment, in `.env` or in the file of a secret: it is read, or what is wrong is said without it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd import settings
from alertd.errors import SettingsError
from alertd.reporting.http import Http
from alertd.settings import PREFIX, SECRETS, Secrets, environment, known_names, load
from tests.hostile.fuzzing import TOKEN, check, little_memory, tried

SECTIONS = ["ALERTD_REPORTING", "ALERTD_WEB", "ALERTD_EMAIL__HOST__X", "ALERTD_", "ALERTD___", "ALERTD_BUDGET__"]
TEXTS = [
    "0",
    "-1",
    "1e999",
    "nan",
    "9" * 30,
    "9" * 5_000,
    "[" * 100_000,
    '{"url":' * 2_000,
    "{}",
    "[]",
    "true",
    "yes",
    "\udcff",
]
TEXTS += [
    "5m",
    "999999999w",
    "-5m",
    "１h",
    "debug",
    "http://[",
    "sqlite://",
    "postgresql://a:b@[::",
    "/dev/null",
    "\x1b[2J",
    "\n",
    "a\nb",
]
anything = st.sampled_from(TEXTS) | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@pytest.fixture(scope="module", autouse=True)
def clean(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("empty"))
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        yield


@tried(100)
@given(given=st.dictionaries(st.sampled_from([*known_names(), *SECTIONS]), anything, min_size=1, max_size=3))
@example(given={"ALERTD_REPORTING": "[" * 100_000})
@example(given={"ALERTD_WEB__PORT": "9" * 5_000})
def test_whatever_the_environment_says_it_is_read_or_refused_by_name(given: dict[str, str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value + TOKEN if value.isalnum() else value)
        try:
            load()
        except SettingsError as problem:
            check(problem)


@tried(60)
@given(
    written=st.binary(max_size=100)
    | st.lists(st.tuples(st.sampled_from(known_names()), anything)).map(json.dumps).map(str.encode)
)
@example(written=b"ALERTD_RULES='a\0b'")
@example(written=b"ALERTD_RULES=${ALERTD_RULES}")
@example(written=b"\xef\xbb\xbfALERTD_WEB__PORT=1")
def test_whatever_dot_env_says_it_is_read_or_refused(written: bytes) -> None:
    Path(".env").write_bytes(written)
    try:
        environment()
        load()
    except SettingsError as problem:
        check(problem)
    finally:
        Path(".env").unlink()


def odd(place: Path, kind: str) -> Path:
    match kind:
        case "a pipe":
            os.mkfifo(place)
        case "a device":
            place.symlink_to("/dev/zero")
        case "a gigabyte":
            with place.open("wb") as file:
                file.truncate(2**30)
        case "a link to itself":
            place.symlink_to(place)
        case "a folder":
            place.mkdir()
        case "no text":
            place.write_bytes(b"\xff\xfe\0")
    return place


KINDS = ["a pipe", "a device", "a gigabyte", "a link to itself", "a folder", "no text", "nothing"]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_whose_file_is_none_is_told_and_nobody_waits(tmp_path: Path, kind: str, name: str) -> None:
    place = odd(tmp_path / TOKEN, kind)
    with little_memory(), pytest.raises(SettingsError, match=f"the file that {name}_FILE names cannot be read: ") as caught:
        Secrets({f"{name}_FILE": str(place)}).read(name)
    check(caught.value)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_a_dot_env_that_is_none_is_told_and_nobody_waits(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    odd(Path(".env"), kind)
    for read in (environment, load):
        with little_memory(), pytest.raises(SettingsError, match=r"\.env in the working folder cannot be read"):
            read()


@pytest.mark.parametrize("kind", KINDS)
def test_certificates_that_are_none_are_told_and_nobody_waits(tmp_path: Path, kind: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used as the list of trusted certificates: "):
        Http(ca_file=odd(tmp_path / "ca.pem", kind))


def test_a_secret_may_be_as_long_as_a_file_may_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x" * settings.LARGEST, encoding="utf-8")
    assert Secrets({"A_FILE": str(tmp_path / "a")}).read("A") == "x" * settings.LARGEST
