"""Which files make a rulebook, and which commit it is of."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from alertd.errors import RulebookError
from alertd.rulebook.files import gather
from alertd.rulebook.findings import Finding
from alertd.rulebook.loader import inspect, load
from alertd.rulebook.revision import find_revision

RECEIVERS = "receivers:\n  a: {email: {to: [a@example.com]}}\n"


def rule(name: str) -> str:
    return f"rules:\n  - {{id: {name}, every: 1m, window: 1h, measure: count, critical: {{above: 1}}, notify: a}}\n"


def write(folder: Path, **texts: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def test_all_rule_files_below_the_folder_make_one_rulebook(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), team__two=rule("two"))
    (tmp_path / "three.yml").write_text(rule("three"))

    book = load(tmp_path)
    assert {name: each.file for name, each in book.rules.items()} == {
        "one": "one.yaml",
        "two": "team/two.yaml",
        "three": "three.yml",
    }


def test_tests_of_rules_other_files_and_hidden_ones_are_passed_over(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"))
    write(tmp_path / ".github", workflow="on: push")
    for name in ("one.test.yaml", "README.md", ".hidden.yaml"):
        (tmp_path / name).write_text("not: rules")

    assert set(load(tmp_path).rules) == {"one"}


def test_a_mounted_config_map_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "..2026_11_02", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "..data").symlink_to("..2026_11_02")
    for name in ("receivers.yaml", "one.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")

    assert set(load(tmp_path).rules) == {"one"}


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    write(tmp_path / "worktree", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "current").symlink_to("worktree")

    assert set(load(tmp_path / "current").rules) == {"one"}


def test_a_single_file_is_read_with_the_receivers_beside_it(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two="broken: [")

    assert set(load(tmp_path / "one.yaml").rules) == {"one"}


def test_several_files_can_be_looked_at(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), two=rule("two"), three="broken: [")
    book, findings = inspect([tmp_path / "one.yaml", tmp_path / "receivers.yaml", tmp_path / "two.yaml"])

    assert findings == ()
    assert book is not None
    assert set(book.rules) == {"one", "two"}


def test_an_id_that_two_rules_have_is_told_with_both_places(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("same"), two=rule("same"))
    book, (finding,) = inspect(tmp_path)

    assert book is None
    assert (finding.file, finding.line, finding.column) == (f"{tmp_path}/two.yaml", 2, 10)
    assert f'the id "same" is taken by the rule at {tmp_path}/one.yaml:2:10' in finding.message


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS + "fallback: b", one=rule("One"), two="rules: [")
    with pytest.raises(RulebookError, match=r"3 errors in 3 files; .*one\.yaml:2:10: id: \"One\" is not a name") as caught:
        load(tmp_path)

    places = [each.file.rpartition("/")[2] for each in caught.value.findings if isinstance(each, Finding)]
    assert places == ["one.yaml", "receivers.yaml", "two.yaml"]


def test_warnings_do_not_keep_a_rulebook_from_loading(tmp_path: Path) -> None:
    write(tmp_path, one=rule("one").replace(", notify: a", ""))

    assert inspect(tmp_path)[1][0].severity == "warning"
    assert load(tmp_path).rules["one"].notify == {"critical": ()}


def test_a_second_receivers_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one=rule("one"), team__receivers=RECEIVERS)
    _, (finding,) = inspect(tmp_path)

    assert finding.file.endswith("team/receivers.yaml")
    assert "a rulebook has one receivers.yaml" in finding.message


@pytest.mark.parametrize("kind", ["missing", "empty", "only receivers"])
def test_where_there_is_nothing_to_load_it_says_so(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "rules"
    if kind != "missing":
        write(folder, **({"receivers": RECEIVERS} if kind == "only receivers" else {}))
    words = f"there is no folder or file {folder}" if kind == "missing" else f"there are no rule files in {folder}"

    with pytest.raises(RulebookError, match=words):
        load(folder)


def test_files_without_a_single_rule_are_not_a_rulebook(tmp_path: Path) -> None:
    write(tmp_path, receivers=RECEIVERS, one="# rules:\n#  - id: one\n", two="rules: []\n")
    book, findings = inspect(tmp_path)

    assert book is None
    assert [each.message for each in findings if each.severity == "error"] == ["there is not one rule in these files"]


def test_a_folder_with_far_too_many_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, one=rule("one"), two=rule("two"), team__three=rule("three"))

    assert len(gather([tmp_path], most=3).rules) == 3
    with pytest.raises(RulebookError, match="more than 2 YAML files"):
        gather([tmp_path], most=2)


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_revision_is_the_commit_and_a_plus_where_rules_differ(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", receivers=RECEIVERS, one=rule("one"))
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "rules")
    commit = git(tmp_path, "rev-parse", "HEAD")[:12]
    (tmp_path / "elsewhere").touch()

    assert load(rules).revision == commit
    write(rules, one=rule("uno"))
    assert load(rules).revision == f"{commit}+"
    assert load(rules, revision="abc").revision == "abc"


def test_git_sync_names_the_folder_after_the_commit(tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    write(tmp_path / ".worktrees" / commit / "rules", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "current").symlink_to(f".worktrees/{commit}")

    assert load(tmp_path / "current" / "rules").revision == commit[:12]


def test_without_a_repository_there_is_no_revision(tmp_path: Path) -> None:
    assert find_revision(tmp_path) is None
