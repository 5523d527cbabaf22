"""Whatever stands behind a verb on the command line: it is done, or what is wrong is said in short; never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from alertd.cli import LONGEST, app
from alertd.errors import AlertdError, SettingsError
from alertd.sandbox import importing
from alertd.settings import PREFIX
from alertd.store.database import open_database
from tests.cli.shell import ALERTD, environment
from tests.hostile.fuzzing import little_memory, tried
from tests.rulebook.folders import RECEIVERS, rule, write

pytestmark = pytest.mark.usefixtures("logs_as_before")

# Those that go on until they are ended, or write files wherever they are told to.
LEFT_OUT = {"run", "demo", "sandbox", "simulate", "init"}
WRITES = {"--html", "--junit", "--open"}
TEXTS = [
    "",
    "-",
    "--",
    "0",
    "-1",
    "1",
    "9" * 30,
    "9" * 5_000,
    "1e999",
    "nan",
    "a" * 10_000,
    "\udcff",
    "\ud800",
    "é",
    "🔥",
    "\x1b[2J",
]
TEXTS += [
    "../..",
    "/dev/null",
    "/proc/self/mem",
    "[",
    "{}",
    "%s",
    "one",
    "rules",
    "rules/receivers.yaml",
    "\n",
    " ",
    "a=b",
    "=",
    "a=",
]
TEXTS += ["2026-11-02T09:00:00Z", "0001-01-01T00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31", "-2h", "-999999999w"]
TEXTS += [
    "999999999w",
    "30d",
    "0h",
    "１h",
    "1_000",
    "lastAgentId=1",
    "lastAgentId=" + "9" * 5_000,
    "conversation=١",
    "HEAD",
    "@{-1}",
]

Option = tuple[tuple[str, ...], str | None]  # a verb, and an option that takes a value, or None for its first argument


def options(command: Any, verb: tuple[str, ...] = ()) -> Iterator[Option]:
    for name, each in getattr(command, "commands", {}).items():
        if verb or name not in LEFT_OUT:
            yield from options(each, (*verb, name))
    for each in () if hasattr(command, "commands") else command.params:
        if each.param_type_name == "argument":
            yield verb, None
        elif not each.is_flag and not WRITES & {*each.opts}:
            yield verb, each.opts[0]


ALL = list(options(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a rule and an empty store, and nobody at the other end of any wire."""
    place = tmp_path_factory.mktemp("home")
    write(place / "rules", receivers=RECEIVERS + "fallback: a\n", one=rule("one"))
    open_database(f"sqlite:///{place}/alertd.db").close()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            patch.delenv(name)
        patch.setenv("ALERTD_RULES", "rules")
        patch.setenv("ALERTD_REPORTING__URL", "http://127.0.0.1:1")
        patch.setenv("ALERTD_REPORTING__TOKEN", "any")
        yield place


def arguments(option: Option, texts: list[str]) -> list[str]:
    verb, name = option
    if name is None:
        return [*verb, "--", *texts]
    more = ["--for", "1h"] if verb == ("silence", "add") and name != "--for" else []
    more += ["--rule", "one"] if verb == ("silence", "add") and name == "--for" else []
    return [*verb, name, texts[0], *more, "--", *texts[1:]]


@pytest.mark.usefixtures("home")
@tried(40)
@given(option=st.sampled_from(ALL), texts=st.lists(st.sampled_from(TEXTS) | st.text(max_size=10), min_size=1, max_size=2))
@example(option=(("silence", "add"), "--group"), texts=["lastAgentId=" + "9" * 5_000])
@example(option=(("evaluate",), "--at"), texts=["0001-01-01T00:00+23:59"])
@example(option=(("evaluate",), "--at"), texts=["-999999999w"])
@example(option=(("explain",), "--at"), texts=["9999-12-31T23:59:59-23:59", "one"])
@example(option=(("deliveries", "list"), "--limit"), texts=["9" * 30])
@example(option=(("plan",), "--against"), texts=["a\0b"])
@example(option=(("check",), None), texts=["a" * 5_000])
@example(option=(("test",), None), texts=["a" * 5_000])
def test_no_argument_ends_in_a_traceback(option: Option, texts: list[str]) -> None:
    result = CliRunner().invoke(app, arguments(option, texts))
    problem = result.exception
    assert len(result.output) < 200_000
    if isinstance(problem, UnicodeEncodeError):  # bytes that are no text: said in short by `main`, as the test below sees
        assert any("\ud800" <= letter <= "\udfff" for text in texts for letter in text)
        return
    assert problem is None or isinstance(problem, SystemExit | AlertdError), (option, texts, problem)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["silence", "add", "--for", "1h", "--rule", b"caf\xe9"], "not UTF-8"),
        (["silence", "add", "--for", "9" * 5_000, "--rule", "one"], "--for:"),
        (["explain", "a" * 5_000], "there is no rule"),
    ],
)
def test_what_is_said_of_an_argument_is_short(home: Path, given: list[str | bytes], said: str) -> None:
    variables = {"ALERTD_RULES": "rules"}
    ran = subprocess.run([*ALERTD, *given], cwd=home, env=environment(home, variables), capture_output=True, check=False)
    assert ran.returncode == 2
    words = ran.stderr.decode()
    assert said in words
    assert "Traceback" not in words
    assert all(len(line) <= LONGEST + 30 for line in words.splitlines())


# --- the export that the sandbox serves ---


def load(file: Path) -> str:
    """What is said of it; empty where nothing is wrong."""
    try:
        importing.load(file)
    except SettingsError as problem:
        return str(problem)
    return ""


CELLS = [
    "1e999",
    "9" * 400,
    "-" + "9" * 5_000,
    "NaN",
    "-Infinity",
    "true",
    "[]",
    "{}",
    '"\\ud800"',
    '"' + "x" * 5_000 + '"',
    "null",
]
CELLS += [
    "[" * 900 + "]" * 900,
    "[" * 5_000,
    '"0001-01-01T00:00+23:59"',
    "0.5",
    "-1",
    "9223372036854775808",
    '"closed"',
    "\xb2",
    "\0",
]
NAMES = [
    "id",
    "conversationId",
    "createdAt",
    "status",
    "tags",
    "lastAgentId",
    "firstCloseAt",
    "cqlScore",
    "statsu",
    "x" * 3_000,
]


@tried(60)
@given(
    name=st.sampled_from(NAMES),
    cell=st.sampled_from(CELLS) | st.text(max_size=10).map(json.dumps),
    ending=st.sampled_from(["jsonl", "csv"]),
)
@example(name="id", cell="9" * 400, ending="csv")
@example(name="tags", cell="[" * 5_000, ending="jsonl")
def test_any_export_is_served_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str, cell: str, ending: str) -> None:
    file = tmp_path_factory.getbasetemp() / f"export.{ending}"
    head = f"id,createdAt,{name}\n1,1780000000000,{cell}\n"
    row = f'{{"id": 1, "createdAt": 1780000000000, "{name}": {cell}}}\n'
    file.write_text(head if ending == "csv" else row, encoding="utf-8", newline="")
    assert len(load(file)) < 1_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"id": ' + b" " * 10_000_000 + b"1}", "longer than 256 KiB"),
        (b"id,createdAt\n1," + b"2" * 10_000_000, "longer than 256 KiB"),
        (b"id" * 100_000, "not CSV"),
    ],
)
def test_a_line_without_end_is_not_read(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / ("a.jsonl" if content.startswith(b"{") else "a.csv")
    file.write_bytes(content)
    with little_memory():
        assert said in load(file)


@pytest.mark.parametrize("kind", ["a pipe", "a device", "a folder", "a link to itself"])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "a.jsonl"
    make: dict[str, Callable[[], None]] = {
        "a pipe": lambda: os.mkfifo(file),
        "a device": lambda: file.symlink_to("/dev/zero"),
        "a folder": file.mkdir,
    }
    make.get(kind, lambda: file.symlink_to(file))()
    assert "--conversations takes a file" in load(file)
