"""`alertd test`: exit codes, what it prints, and that it needs neither token nor settings."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from alertd.shipped import shipped
from tests.cli.shell import alertd

TESTS = """\
tests:
  - name: fires when nobody answers
    start: "2026-11-02T09:00:00Z"
    conversations: [{{at: 0m, count: 3}}]
    expect:
      - {{at: 5m, alerts: []}}
      - {{at: 8m, alerts: [{{rule: {rule}, level: {level}}}]}}
    notices: {{team: [opened]}}
  - name: nobody waits
    start: "2026-11-02T09:00:00Z"
    notices: []
    expect: [{{at: 8m, alerts: []}}]
"""


def write(folder: Path, rule: str = "first-answer", level: str = "warning", name: str = "a.test.yaml") -> Path:
    file = folder / name
    file.write_text(TESTS.format(rule=rule, level=level), encoding="utf-8")
    return file


def test_what_ships_passes(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "test", str(shipped("rules/starter")))
    assert ran.code == 0
    assert ran.out.count("✓") == 5
    assert "5 tests passed" in ran.err


def test_a_test_passes(rules: Path, tmp_path: Path) -> None:
    write(rules)
    ran = alertd(tmp_path, "test", "--rules", "rules")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "rules/a.test.yaml")
    assert "✓ fires when nobody answers (8 evaluations, 8 calls, " in ran.out
    assert ran.err.startswith("2 tests passed: 16 evaluations in ")


def test_a_test_that_fails_shows_the_difference_and_ends_with_1(rules: Path, tmp_path: Path) -> None:
    file = write(rules)
    file.write_text(file.read_text(encoding="utf-8").replace("team: [opened]", "team: [opened, resolved]"), encoding="utf-8")
    ran = alertd(tmp_path, "test", "rules", ALERTD_RULES="rules")
    assert ran.code == 1
    assert (
        "rules/a.test.yaml:2: notices of team\n    opened at 6m (first-answer warning, 5 min 30 s)\n  - resolved\n" in ran.out
    )
    assert "-> team: opened warning" in ran.out
    assert "  - was expected and is missing    + is there and was not expected\n" in ran.out
    assert "1 test passed, 1 failed" in ran.err


def test_a_mistake_in_a_test_file_is_wrong_use(rules: Path, tmp_path: Path) -> None:
    write(rules, rule="frist-answer")
    ran = alertd(tmp_path, "test", "--rules", "rules")
    assert (ran.code, ran.out) == (2, "")
    assert 'rules/a.test.yaml:7:34: error: there is no rule "frist-answer"' in ran.err
    assert 'did you mean "first-answer"?' in ran.err


@pytest.mark.parametrize("broken", ["tests: [", "tests: [{name: a}]", TESTS.format(rule="frist-answer", level="warning")])
def test_a_broken_test_file_does_not_keep_the_others_from_being_played(rules: Path, tmp_path: Path, broken: str) -> None:
    write(rules)
    (rules / "b.test.yaml").write_text(broken, encoding="utf-8")
    ran = alertd(tmp_path, "test", "--rules", "rules")
    assert (ran.code, ran.out.count("✓")) == (2, 2)
    assert "rules/b.test.yaml:" in ran.err.splitlines()[0]
    assert "2 tests passed: " in ran.err
    assert ran.err.endswith("alertd: the tests of rules/b.test.yaml were not played; what is wrong there is told above\n")


def test_rules_that_cannot_be_loaded_are_findings(rules: Path, tmp_path: Path) -> None:
    write(rules)
    (rules / "bad.yaml").write_text("rules: 7\n", encoding="utf-8")
    ran = alertd(tmp_path, "test", "--rules", "rules")
    assert (ran.code, ran.out) == (1, "")
    assert "rules/bad.yaml:1:8: error: rules are a list" in ran.err


def test_no_tests_at_all_says_where_they_belong(rules: Path, tmp_path: Path) -> None:
    ran = alertd(tmp_path, "test", "--rules", "rules")
    assert (ran.code, ran.out) == (2, "")
    assert "there are no tests in rules; tests stand beside the rules, in files that end in .test.yaml" in ran.err


def test_words_choose(rules: Path, tmp_path: Path) -> None:
    write(rules)
    ran = alertd(tmp_path, "test", "--rules", "rules", "-k", "not fires")
    assert (ran.code, ran.out.count("✓")) == (0, 1)
    none = alertd(tmp_path, "test", "--rules", "rules", "-k", "weekend")
    assert (none.code, none.out) == (2, "")
    assert 'none of the 2 tests has the words "weekend"' in none.err


@pytest.mark.parametrize("path", ["rules", "rules/a.test.yaml"])
def test_tests_elsewhere_are_played_against_the_rules_beside_them(path: str, rules: Path, tmp_path: Path) -> None:
    write(rules)
    assert alertd(tmp_path, "test", path).code == 0


def test_json_has_every_test(rules: Path, tmp_path: Path) -> None:
    write(rules)
    ran = alertd(tmp_path, "test", "--rules", "rules", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert {key: ran.json[key] for key in ("passed", "failed", "evaluations")} == {"passed": 2, "failed": 0, "evaluations": 16}
    assert [each["name"] for each in ran.json["tests"]] == ["fires when nobody answers", "nobody waits"]


def test_junit_is_written_beside_what_is_shown(rules: Path, tmp_path: Path) -> None:
    write(rules)
    ran = alertd(tmp_path, "test", "--rules", "rules", "--junit", "junit.xml")
    assert ran.code == 0
    assert ET.parse(tmp_path / "junit.xml").getroot().get("tests") == "2"
    refused = alertd(tmp_path, "test", "--rules", "rules", "--junit", "no/junit.xml")
    assert refused.code == 2
    assert "--junit: no/junit.xml cannot be written: No such file or directory" in refused.err


def test_check_passes_tests_over(rules: Path, tmp_path: Path) -> None:
    write(rules, rule="nonsense")
    assert alertd(tmp_path, "check", "rules").code == 0
