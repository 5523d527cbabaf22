"""`alertd plan`: what the rules ask of the API, for whom, and what a change of them adds, without asking anything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from alertd.clock import DAY, HOUR
from alertd.facts import Window
from alertd.planning.knowledge import Knowledge
from alertd.planning.memory import save_lessons
from alertd.reporting.query import parse_filter
from alertd.store.database import open_database
from alertd.testing import START
from tests.cli.shell import alertd

MORE = """\
rules:
  - id: {name}
    title: People wait
    every: {every}
    window: 30m
    owner: sales
    notify: team
    filters:
      - {{property: pageUrl, operation: CONTAINS, values: ["/{name}"]}}
    measure: count
    critical: {{above: 5}}
"""


def add(rules: Path, name: str, every: str = "5m") -> None:
    """A rule that shares no request with others."""
    (rules / f"{name}.yaml").write_text(MORE.format(name=name, every=every), encoding="utf-8")


def too_many(rules: Path) -> None:
    for number in range(100):
        add(rules, f"page-{number}", "1m")


def commit(folder: Path, message: str) -> None:
    """Commit everything as it stands."""
    names = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for command in (("init", "-q"), ("add", "-A"), (*names, "commit", "-q", "--no-verify", "-m", message)):
        subprocess.run(["git", "-C", str(folder), *command], check=True, capture_output=True)


def test_json_has_the_calls_the_requests_and_the_verdict(rules: Path, tmp_path: Path) -> None:
    add(rules, "pricing")
    ran = alertd(tmp_path, "plan", "--json", "--rules", "rules")
    assert (ran.code, ran.err) == (0, "")
    assert {key: ran.json[key] for key in ("rules", "calls", "fits")} == {
        "rules": 2,
        "calls": {"worst_minute": 2, "mean_per_minute": 1.2},
        "fits": True,
    }
    first, pricing = sorted(ran.json["requests"], key=lambda each: each["rules"])
    assert (first["every"], first["rules"]) == (60, ["first-answer"])
    assert {"property": "botStatus", "operation": "NOT_EQ", "values": ["BOT_ONLY"]} in first["filters"]
    assert "timeToAgentResponseMillis" in first["metrics"]
    assert (pricing["every"], pricing["rules"], pricing["metrics"]) == (300, ["pricing"], [])
    assert ran.json["cost"]["owners"] == {"support": 1.0, "sales": 0.2}


def test_for_people_it_says_the_same_in_words(rules: Path, tmp_path: Path) -> None:
    add(rules, "pricing")
    ran = alertd(tmp_path, "plan", "--rules", "rules")
    assert (ran.code, ran.err) == (0, "Counted from the rules alone: nothing is known of the API yet.\n")
    assert (
        "2 rules in 2 requests: 1.2 calls a minute on average, at most 2 in any 60 s, of 54; 52.8 a minute are left" in ran.out
    )
    assert "pageUrl CONTAINS /pricing" in ran.out
    assert "sales" in ran.out


def test_what_does_not_fit_is_named_with_what_to_do_and_ends_with_1(rules: Path, tmp_path: Path) -> None:
    too_many(rules)
    ran = alertd(tmp_path, "plan", "--rules", "rules")
    assert ran.code == 1
    assert "The rules do not fit: they want 101.0 calls a minute, 54 are there." in ran.err
    assert "late at worst: page-" in ran.err
    as_json = alertd(tmp_path, "plan", "--json", "--rules", "rules")
    assert (as_json.code, as_json.json["fits"]) == (1, False)
    assert sum(not each["fits"] for each in as_json.json["requests"]) >= 46


def test_a_budget_that_others_use_too_is_smaller(rules: Path, tmp_path: Path) -> None:
    for number in range(10):
        add(rules, f"page-{number}", "1m")
    assert alertd(tmp_path, "plan", "--rules", "rules").code == 0
    ran = alertd(tmp_path, "plan", "--rules", "rules", ALERTD_BUDGET__CALLS_PER_MINUTE="12", ALERTD_BUDGET__RESERVE="6")
    assert ran.code == 1
    assert "6 are there" in ran.err


def test_rules_that_cannot_be_loaded_end_with_1(rules: Path, tmp_path: Path) -> None:
    (rules / "broken.yaml").write_text("rules: [{id: x}]\n", encoding="utf-8")
    ran = alertd(tmp_path, "plan", "--rules", "rules")
    assert (ran.code, ran.out) == (1, "")
    assert "broken.yaml:1" in ran.err


def test_against_a_revision_it_tells_what_the_change_adds(rules: Path, tmp_path: Path) -> None:
    add(rules, "old")
    commit(tmp_path, "before")
    (rules / "old.yaml").unlink()
    add(rules, "new", "1m")
    ran = alertd(tmp_path, "plan", "--json", "--rules", "rules", "--against", "HEAD")
    assert (ran.code, ran.err) == (0, "")
    assert ran.json["rules"] == 2
    assert ran.json["against"] == {
        "rules": 0,
        "requests": 0,
        "mean_per_minute": 0.8,
        "worst_minute": 0,
        "fits_before": True,
        "added": ["new"],
        "removed": ["old"],
    }
    words = alertd(tmp_path, "plan", "--rules", "rules", "--against", "HEAD").out
    assert "Against HEAD: +0 rules, +0 requests, +0.8 calls a minute, +0 in the worst 60 s." in words
    assert "  + new\n  - old\n" in words


def test_against_a_revision_the_files_stay_as_they_are(rules: Path, tmp_path: Path) -> None:
    commit(tmp_path, "before")
    add(rules, "new")
    before = {path: path.read_bytes() for path in rules.iterdir()}
    alertd(tmp_path, "plan", "--rules", "rules", "--against", "HEAD")
    assert {path: path.read_bytes() for path in rules.iterdir()} == before


@pytest.mark.parametrize("revision", ["nowhere", "HEAD~7", "--upload-pack=x", "HEAD:rules/rules.yaml"])
def test_a_revision_that_does_not_exist_is_told_and_ends_with_2(rules: Path, tmp_path: Path, revision: str) -> None:
    commit(tmp_path, "before")
    ran = alertd(tmp_path, "plan", "--rules", str(rules), f"--against={revision}")
    assert (ran.code, ran.out) == (2, "")
    assert revision in ran.err
    assert "Traceback" not in ran.err


def test_without_a_repository_there_is_nothing_to_compare_with(rules: Path, tmp_path: Path) -> None:
    ran = alertd(tmp_path, "plan", "--rules", str(rules), "--against", "HEAD", GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert (ran.code, ran.out) == (2, "")
    assert "not a git repository" in ran.err


def test_a_revision_whose_rules_are_broken_ends_with_1(rules: Path, tmp_path: Path) -> None:
    (rules / "broken.yaml").write_text("rules: [{id: x}]\n", encoding="utf-8")
    commit(tmp_path, "broken")
    (rules / "broken.yaml").unlink()
    ran = alertd(tmp_path, "plan", "--rules", "rules", "--against", "HEAD")
    assert ran.code == 1
    assert "broken.yaml:1" in ran.err


def test_what_the_daemon_learned_counts(rules: Path, tmp_path: Path) -> None:
    add(rules, "pricing")
    url = f"sqlite:///{tmp_path}/alertd.db"
    first = alertd(tmp_path, "plan", "--json", "--rules", "rules", ALERTD_STORE__URL=url)
    assert not (tmp_path / "alertd.db").exists()  # a forecast needs no store and makes none
    (request,) = (each for each in first.json["requests"] if each["rules"] == ["first-answer"])
    knowledge = Knowledge()
    knowledge.failed(frozenset(map(parse_filter, request["filters"])), Window(START - HOUR, START))
    database = open_database(url)
    save_lessons(database, knowledge, START - DAY)
    database.close()
    ran = alertd(tmp_path, "plan", "--json", "--rules", "rules", ALERTD_STORE__URL=url)
    assert ran.err == ""
    assert {each["rules"][0]: each["calls"] for each in ran.json["requests"]} == {"first-answer": 2, "pricing": 1}
    words = alertd(tmp_path, "plan", "--rules", "rules", ALERTD_STORE__URL=url)
    assert words.err == "Counted with what alertd.db has learned of the API.\n"


def test_the_window_of_a_shared_request_is_told_as_people_read_it(rules: Path, tmp_path: Path) -> None:
    text = (rules / "rules.yaml").read_text(encoding="utf-8").replace("delay: 30s", "delay: 7m17s")
    (rules / "later.yaml").write_text(text.replace("id: first-answer", "id: later"), encoding="utf-8")
    ran = alertd(tmp_path, "plan", "--rules", "rules")
    assert ran.code == 0
    assert "  1 h 7 min  " in ran.out
