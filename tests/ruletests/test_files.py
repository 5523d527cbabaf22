"""Which files are tests, and which tests are wanted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alertd.errors import SettingsError
from alertd.ruletests.files import chosen, find, load_cases
from tests.ruletests.played import a_book, a_case


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("tests: []\n", encoding="utf-8")


def test_tests_are_found_in_a_folder_and_below_it_but_not_in_hidden_ones(tmp_path: Path) -> None:
    touch(tmp_path, "b.test.yaml", "a/c.test.yml", "a/rules.yaml", ".git/d.test.yaml", ".e.test.yaml", "f.test.yaml.orig")
    assert [each.name for each in find([tmp_path])] == ["a/c.test.yml", "b.test.yaml"]


def test_a_file_that_is_named_twice_is_tested_once(tmp_path: Path) -> None:
    touch(tmp_path, "b.test.yaml")
    assert len(find([tmp_path, tmp_path / "b.test.yaml"])) == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [("none", "there is no file or folder"), ("rules.yaml", "is not a test file"), ("a", "there are no tests in")],
)
def test_a_path_without_tests_says_what_to_do(path: str, message: str, tmp_path: Path) -> None:
    touch(tmp_path, "rules.yaml", "a/rules.yaml")
    with pytest.raises(SettingsError, match=message):
        find([tmp_path / path])


def test_a_file_that_is_not_yaml_is_a_finding_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "a.test.yaml").write_text("tests: [", encoding="utf-8")
    (tmp_path / "b.test.yaml").write_bytes(b"\xff")
    (tmp_path / "c.test.yaml").write_text("tests: 7", encoding="utf-8")
    cases, findings = load_cases(find([tmp_path]), a_book())
    assert cases == ()
    assert [Path(each.file).name for each in findings] == ["a.test.yaml", "b.test.yaml", "c.test.yaml"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("", ["fires once", "stays quiet"]),
        ("fires", ["fires once"]),
        ("FIRES slow", ["fires once"]),
        ("fires crowd", []),
        ("not fires", ["stays quiet"]),
        ("a.test.yaml", ["fires once", "stays quiet"]),
        ("crowd not stays", []),
        ("not", []),
    ],
)
def test_words_choose_tests_by_name_rule_and_file(words: str, names: list[str]) -> None:
    fires = replace(a_case("rules: [slow]\ncalls: 1"), name="fires once")
    quiet = replace(a_case("rules: [crowd]\ncalls: 1"), name="stays quiet")
    assert [each.name for each in chosen([fires, quiet], words)] == names
