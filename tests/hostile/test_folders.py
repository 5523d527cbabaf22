"""Whatever stands in a rules folder or its repository: it is found and read, or refused in words, soon."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.errors import AlertdError, RulebookError, SettingsError
from alertd.rulebook.calendars_file import read_calendars
from alertd.rulebook.findings import Finding, render_text
from alertd.rulebook.loader import inspect, load
from alertd.rulebook.located import compose
from alertd.rulebook.revision import check_out, find_commit, find_revision
from alertd.ruletests.reading import read_cases
from tests.hostile.fuzzing import TIMES, check, little_memory, tried
from tests.rulebook.folders import RECEIVERS, commit, git, needs_git, rule, write
from tests.ruletests.played import a_book


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "rules", receivers=RECEIVERS + "fallback: a\n", one=rule("one"))


@pytest.fixture
def pit(folder: Path) -> Iterator[Callable[[str, int], None]]:
    """Goes down so many folders of that name: such a path can only be made step by step, and Python cannot remove it."""
    here = Path.cwd()
    os.chdir(folder)

    def dig(name: str, levels: int) -> None:
        for _ in range(levels):
            Path(name).mkdir()
            os.chdir(name)

    yield dig
    os.chdir(here)
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def wrong(folder: Path) -> list[str]:
    return [each.message for each in inspect(folder)[1] if each.severity == "error"]


def test_folders_may_be_as_deep_as_the_system_allows(folder: Path, pit: Callable[[str, int], None]) -> None:
    pit("a", 1_500)
    Path("deep.yaml").write_text(rule("deep"), encoding="utf-8")
    assert set(load(folder).rules) == {"one", "deep"}


def test_folders_that_are_too_deep_to_be_opened_are_told(folder: Path, pit: Callable[[str, int], None]) -> None:
    pit("a" * 200, 30)
    with pytest.raises(RulebookError, match="cannot be read: File name too long"):
        inspect(folder)


@pytest.mark.parametrize(
    "name", ["a\0b", "a" * 5_000, "a\udcff", "\ud800", "\x1b[2J", "", "/dev/null/a", "/proc/self/fd/99999"]
)
def test_a_place_that_cannot_be_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    place = Path(name)
    with pytest.raises(RulebookError, match=r"there (is no folder or file|are no rule files)"):
        inspect(place)
    assert find_commit(place) is None


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/stdin", "/proc/self/mem"])
def test_a_device_is_not_read(device: str) -> None:
    book, findings = inspect(Path(device))
    assert book is None
    assert "cannot be read" in render_text(findings)


def test_links_that_lead_to_themselves_or_out_are_told_each_at_its_place(folder: Path) -> None:
    (folder / "self.yaml").symlink_to("self.yaml")
    (folder / "round").symlink_to("round")
    (folder / "zero.yaml").symlink_to("/dev/zero")
    (folder / "up").symlink_to("..")
    (folder / "here").symlink_to(".")  # what it leads to is read where it stands
    assert len(wrong(folder)) == 3


def test_a_gigabyte_of_nothing_is_not_read(folder: Path) -> None:
    for name in ("two.yaml", "calendars.yaml"):
        with (folder / name).open("wb") as file:
            file.truncate(2**30)
    with little_memory():
        assert wrong(folder) == ["this file cannot be read: it is larger than 1 MiB; split it"] * 2


def test_what_is_called_like_a_file_and_is_none_is_told(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    (folder / "calendars.yaml").mkdir()
    (folder / "receivers.yaml").unlink()
    os.mkfifo(folder / "receivers.yaml")
    assert wrong(folder).count("this file cannot be read: it is not an ordinary file") == 2


def test_of_very_many_files_only_those_that_are_meant_count(folder: Path) -> None:
    for number in range(100_000 if TIMES > 1 else 5_000):
        os.close(os.open(folder / f"{number}.txt", os.O_CREAT | os.O_WRONLY))
    assert wrong(folder) == []
    for number in range(5_001):
        os.link(folder / "one.yaml", folder / f"{number}.yaml")
    with pytest.raises(RulebookError, match="more than 5,000 YAML files"):
        inspect(folder)


# --- the repository ---


@pytest.fixture
def repository(folder: Path) -> Path:
    git(folder, "init", "-q")
    return folder


@needs_git
def test_an_earlier_revision_has_its_rule_files_and_nothing_that_leads_out(repository: Path, tmp_path: Path) -> None:
    (repository / "passwd.yaml").symlink_to("/etc/passwd")
    (repository / "up.yaml").symlink_to("../secret.yaml")
    (repository / "same.yaml").symlink_to("one.yaml")
    (repository / "outside").symlink_to("/etc")
    (repository / "large.yaml").write_bytes(b"#" * (2**20 + 1))
    (repository / "picture.png").write_bytes(b"#" * 2**20)
    write(repository, team__two=rule("two"))
    commit(repository)
    place = check_out(repository, "HEAD", tmp_path / "earlier")
    found = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    assert found == {"one.yaml", "receivers.yaml", "same.yaml", "team/two.yaml"}
    assert (place / "same.yaml").readlink() == Path("one.yaml")


@needs_git
@pytest.mark.parametrize(
    "revision", ["", "--output=/tmp/x", "-h", "a\0b", "\ud800", "HEAD\n", "nothing", "x" * 100_000, "HEAD^9"]
)
def test_what_is_no_revision_is_told(repository: Path, tmp_path: Path, revision: str) -> None:
    commit(repository)
    with pytest.raises(SettingsError) as caught:
        check_out(repository, revision, tmp_path / "earlier")
    check(caught.value)


@needs_git
def test_a_git_that_takes_too_long_is_left(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repository)
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\ncase "$*" in *archive*) exec /bin/sleep 60 ;; esac\nexit 1\n', encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent))
    with pytest.raises(SettingsError, match=r"git cannot read .*: no reason given within 0\.2 s"):
        check_out(repository, "HEAD", tmp_path / "earlier", patience=0.2)


@needs_git
def test_a_damaged_repository_costs_the_revision_and_no_rule(repository: Path, tmp_path: Path) -> None:
    whole = commit(repository)
    for blob in (repository / ".git" / "objects").rglob("??*"):
        if blob.is_file():
            blob.chmod(0o600)
            blob.write_bytes(b"\0" * 100)
    assert set(load(repository, revision=find_revision(repository, whole, {"one.yaml": rule("one")})).rules) == {"one"}
    with pytest.raises(SettingsError) as caught:
        check_out(repository, "HEAD", tmp_path / "earlier")
    check(caught.value)


# --- calendars and tests: what the tests of the rule files themselves leave out ---

CALENDARS = """\
calendars:
  office:
    timezone: America/New_York
    weekly: {mon-fri: "08:00-12:00,13:00-18:00", sat: "22:00-06:00"}
    holidays: [US-MA, DE]
    except: ["2026-12-24"]
"""
CASES = """\
tests:
  - name: fires
    rules: [slow]
    start: "2026-11-02T09:00:00Z"
    conversations:
      - {each: 1m, from: 0m, to: 60m, timeToAgentResponseMillis: 2m, tags: [vip], lastAgentId: 7}
    during:
      - {at: 80m, do: restart, for: 3m}
      - {at: 90m, do: silence, until: 2h, rule: slow, group: {lastAgentId: 7}}
    expect:
      - {at: 115m, alerts: [{rule: slow, level: warning, value: 5m}]}
    notices: {team: [opened, resolved]}
    calls: 48
"""
ODD = ["0001-01-01T00:00+23:59", "9999-12-31T23:59:59-23:59", "9" * 30, "999999999w", "-1", "1e999", "99:99-00:00", "\ud7ff"]
ODD += ["24:00-24:00", "2026-02-30", "XX-YY", "Mars/Olympus", "../etc/passwd", "null", "{}", "[]", "''", "~", "mon-mon", "٣"]
ODD += ["&a", "*a", "!x", "\t", "\n", ": ", "- ", "'", '"', "[", "{", "}", ",", "#", "0", "x" * 5_000]


@st.composite
def scrambled(draw: st.DrawFn, text: str) -> str:
    """A good file with some pieces replaced."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.sampled_from([0, 1, 3, 8, 20]))
        text = text[:start] + draw(st.sampled_from(ODD)) + text[end:]
    return text


def checked(findings: tuple[Finding, ...]) -> None:
    render_text(findings).encode()
    for each in findings:
        check(AlertdError(render_text([each])))


@tried(60)
@given(text=scrambled(CALENDARS))
@example(text=CALENDARS)
def test_any_calendars_are_read_or_refused(text: str) -> None:
    document, findings = compose(text, "calendars.yaml")
    checked((*findings, *(read_calendars(document).findings if document else ())))


@tried(60)
@given(text=scrambled(CASES))
@example(text=CASES)
@example(text=CASES.replace("2026-11-02T09:00:00Z", ODD[0]))
@example(text=CASES.replace("2026-11-02T09:00:00Z", ODD[1]))
@example(text=CASES.replace("to: 60m", "to: 999999999w"))
@example(text=CASES.replace("each: 1m", "each: 1ms"))
def test_any_tests_of_rules_are_read_or_refused(text: str) -> None:
    document, findings = compose(text, "a.test.yaml")
    checked((*findings, *(read_cases(document, a_book())[1] if document and document.whole else ())))
