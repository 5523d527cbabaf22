"""Which commit a rules folder is at, found out without running anything that the repository names."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from alertd.rulebook.files import gather, read
from alertd.rulebook.loader import load
from alertd.rulebook.revision import check_out, find_commit, find_revision
from tests.rulebook.folders import RECEIVERS, commit, git, needs_git, rule, write


def revision(place: Path) -> str | None:
    return find_revision(place, find_commit(place), read(gather([place])).files)


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A folder of rules in a repository that has other files too."""
    folder = write(tmp_path / "repository" / "rules", receivers=RECEIVERS, one=rule("one"), team__two=rule("two"))
    (folder.parent / "elsewhere").write_text("something else", encoding="utf-8")
    git(folder.parent, "init", "-q")
    commit(folder.parent)
    return folder


@needs_git
def test_the_revision_is_the_commit_and_a_plus_where_a_rule_file_differs(rules: Path) -> None:
    found = git(rules, "rev-parse", "HEAD")[:12]
    assert load(rules).revision == found
    write(rules, one=rule("uno"))
    assert load(rules).revision == f"{found}+"
    assert load(rules, revision="abc").revision == "abc"


@needs_git
def test_what_is_not_read_makes_no_difference(rules: Path) -> None:
    found = git(rules, "rev-parse", "HEAD")[:12]
    (rules.parent / "elsewhere").write_text("changed", encoding="utf-8")
    (rules / "README.md").write_text("new", encoding="utf-8")
    (rules / "one.test.yaml").write_text("new", encoding="utf-8")
    assert revision(rules) == found


@needs_git
@pytest.mark.parametrize("change", ["added", "removed", "staged", "removed below", "ignored"])
def test_a_file_that_only_one_side_has_is_a_difference(rules: Path, change: str) -> None:
    if change == "removed":
        (rules / "one.yaml").unlink()
    elif change == "removed below":
        (rules / "team" / "two.yaml").unlink()
    else:
        write(rules, three=rule("three"))
    if change == "staged":
        git(rules, "add", "-A")
    if change == "ignored":
        (rules.parent / ".gitignore").write_text("three.yaml", encoding="utf-8")
        commit(rules.parent)
    assert revision(rules) == git(rules, "rev-parse", "HEAD")[:12] + "+"


@needs_git
def test_of_a_single_file_only_that_file_and_those_beside_it_count(rules: Path) -> None:
    found = git(rules, "rev-parse", "HEAD")[:12]
    write(rules, team__two=rule("zwei"))
    assert revision(rules / "one.yaml") == found
    write(rules, receivers=RECEIVERS + "fallback: a\n")
    assert revision(rules / "one.yaml") == f"{found}+"


@needs_git
def test_a_link_is_compared_by_where_it_leads(rules: Path) -> None:
    (rules / "link.yaml").symlink_to("team/two.yaml")
    commit(rules)
    assert revision(rules) == git(rules, "rev-parse", "HEAD")[:12]
    (rules / "link.yaml").unlink()
    (rules / "link.yaml").symlink_to("one.yaml")
    assert revision(rules) == git(rules, "rev-parse", "HEAD")[:12] + "+"


@needs_git
def test_names_that_git_would_quote_are_names(rules: Path) -> None:
    write(rules, **{'Grüße "neu"\n': rule("three")})
    commit(rules)
    assert revision(rules) == git(rules, "rev-parse", "HEAD")[:12]


@needs_git
def test_a_repository_whose_hashes_are_longer_is_read_too(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", receivers=RECEIVERS, one=rule("one"))
    git(tmp_path, "init", "-q", "--object-format=sha256")
    found = commit(tmp_path)
    assert (len(found), revision(rules)) == (64, found[:12])


@needs_git
def test_a_repository_without_a_commit_has_no_revision(tmp_path: Path) -> None:
    rules = write(tmp_path / "rules", receivers=RECEIVERS, one=rule("one"))
    git(tmp_path, "init", "-q")
    assert revision(rules) is None


def test_without_a_repository_there_is_no_revision(tmp_path: Path) -> None:
    assert revision(write(tmp_path / "rules", one=rule("one"))) is None


def test_git_sync_names_the_folder_after_the_commit(tmp_path: Path) -> None:
    named = "0123456789abcdef0123456789abcdef01234567"
    write(tmp_path / ".worktrees" / named / "rules", receivers=RECEIVERS, one=rule("one"))
    (tmp_path / "current").symlink_to(f".worktrees/{named}")
    assert load(tmp_path / "current" / "rules").revision == named[:12]


def traps(rules: Path) -> Path:
    """Have the repository name programs for whatever it can; the file that any of them leaves behind."""
    trace = rules.parent / "trace"
    trap = rules.parent / ".git" / "trap"
    trap.write_text(f"#!/bin/sh\necho ran >> '{trace}'\ncat\n", encoding="utf-8")
    trap.chmod(0o755)
    (rules / ".gitattributes").write_text("*.yaml filter=a=b\nreceivers.yaml filter=long\n", encoding="utf-8")
    commit(rules)
    for name in ("filter.a=b.clean", "filter.a=b.smudge", "filter.long.process", "core.fsmonitor", "diff.x.textconv"):
        git(rules, "config", name, str(trap))
    git(rules, "config", "filter.long.required", "true")
    write(rules, one=rule("uno"))  # a file that differs is the one that git would filter in order to compare it
    return trace


@needs_git
def test_nothing_that_the_repository_names_is_run(rules: Path) -> None:
    trace = traps(rules)
    subprocess.run(["git", "-C", str(rules), "status", "--porcelain"], check=False, capture_output=True)
    assert trace.exists(), "the trap must work, or this test proves nothing"
    trace.unlink()
    assert revision(rules) == git(rules, "rev-parse", "HEAD")[:12] + "+"
    assert not trace.exists()


@needs_git
def test_an_earlier_revision_is_read_without_running_anything_either(rules: Path, tmp_path: Path) -> None:
    trace = traps(rules)
    subprocess.run(["git", "-C", str(rules), "archive", "--format=tar", "HEAD"], check=False, capture_output=True)
    assert trace.exists(), "the trap must work, or this test proves nothing"
    trace.unlink()
    place = tmp_path / "earlier"
    place.mkdir()
    assert set(load(check_out(rules, "HEAD", place)).rules) == {"one", "two"}
    assert not trace.exists()
