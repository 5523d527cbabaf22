"""`alertd explain` as a process, over a store that checks have filled."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from alertd.clock import DAY, MINUTE, SystemClock, iso
from alertd.rulebook.keeping import keep
from alertd.store.database import open_database
from alertd.store.lock import hold
from alertd.testing import FakeClock
from tests.cli.shell import Ran, alertd
from tests.evaluation.world import World, scored

RULES = """\
defaults: {owner: support, notify: team, every: 1d, window: 5m, delay: 0s}
rules:
  - {id: slow, title: Scores are high, measure: {median: cqlScore}, warning: {above: 5}}
  - {id: agents, by: lastAgentId, measure: {median: cqlScore}, warning: {above: 5}}
"""
RECEIVERS = 'receivers: {team: {slack: {channel: "#alerts"}}}\n'


@pytest.fixture
def folder(tmp_path: Path) -> tuple[Path, int]:
    """A folder with rules and the store of a daemon that has just checked them; and when it did."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "rules.yaml").write_text(RULES, encoding="utf-8")
    (tmp_path / "rules" / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
    database = open_database(f"sqlite:///{tmp_path / 'alertd.db'}")
    begun = SystemClock().now() // DAY * DAY - 2 * DAY
    common = {"every": DAY, "window": 5 * MINUTE}
    world = World.of(database, scored(**common), scored(id="agents", by="lastAgentId", **common))
    world.clock, world.started = FakeClock(begun), begun
    World.__post_init__(world)
    for score in (3, 9):
        world.add(score, ago=MINUTE - DAY, lastAgentId=671)
        world.check(DAY)
    with database.write() as transaction:
        keep(transaction, "test", {"rules.yaml": RULES, "receivers.yaml": RECEIVERS}, begun)
    database.close()
    return tmp_path, world.clock.now()


def explain(folder: tuple[Path, int], *arguments: str, **variables: str) -> Ran:
    return alertd(folder[0], "explain", *arguments, "--rules", "rules", **({"COLUMNS": "80"} | variables))


def _ago(at: int) -> str:
    return f"-{(SystemClock().now() - at) // 1000}s"


def test_it_says_why_a_rule_fires_without_colours_or_wide_lines(folder: tuple[Path, int]) -> None:
    with hold(folder[0] / "alertd.db"):
        ran = explain(folder, "slow")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("slow: Scores are high\n  Median lead score over the last 5 min: warning above 5.")
    assert "  rules.yaml:3, owner support, commit test\n" in ran.out
    assert "  It fires (warning): 9 is above 5.\n" in ran.out
    assert "team: queued, due now" in ran.out
    assert "\x1b" not in ran.out
    assert max(len(line) for line in ran.out.splitlines()) <= 80


def test_a_daemon_that_does_not_run_is_missed(folder: tuple[Path, int]) -> None:
    assert "No daemon runs on this store, so nothing is checked and nothing is sent." in explain(folder, "slow").out


@pytest.mark.parametrize("write", [iso, str, _ago], ids=["iso", "milliseconds", "relative"])
def test_a_moment_may_be_written_in_several_ways(write: Callable[[int], str], folder: tuple[Path, int]) -> None:
    ran = explain(folder, "slow", "--at", write(folder[1] - 2 * MINUTE))
    assert "It did not fire: 3 is not above 5." in ran.out
    assert ran.code == 0


def test_a_group_is_chosen_from_the_table(folder: tuple[Path, int]) -> None:
    assert "lastAgentId=671" in explain(folder, "agents").out
    for name in ("671", "lastAgentId=671"):
        assert "It fires (warning): 9 is above 5." in explain(folder, "agents", "--group", name).out


def test_as_json_it_has_the_decision_the_incident_and_as_many_records_as_wanted(folder: tuple[Path, int]) -> None:
    found = explain(folder, "slow", "--json").json
    assert found["summary"] == "It fires (warning): 9 is above 5."
    assert (found["decision"]["value"], found["decision"]["told"], found["known_from"]) == (9.0, "opened", "running")
    assert [each["receiver"] for each in found["incident"]["notices"][0]["deliveries"]] == ["team"]
    assert len(found["timeline"]) == 2
    assert len(explain(folder, "slow", "--json", "--last", "1").json["timeline"]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["solw"], 'there is no rule "solw", neither in the rulebook nor in the records; did you mean slow?'),
        (["agents", "--group", "672"], "did you mean lastAgentId=671?"),
        (["slow", "--at", "yesterday"], '--at: "yesterday" is not a time; write it like 2026-11-02T09:00:00Z'),
        (["slow", "--at", "-2"], '--at: "2" has no unit; write 2s, 2m, 2h or 2d'),
        (["slow", "--at", "9000-01-01"], "that time lies in the future"),
        (["slow", "--last", "0"], "greater than or equal to 1"),
    ],
)
def test_wrong_use_is_told_with_what_was_meant(arguments: list[str], said: str, folder: tuple[Path, int]) -> None:
    ran = explain(folder, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_without_a_store_it_says_why(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "explain", "slow")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: there is no store at alertd.db; no daemon has run here yet")


def test_with_broken_rule_files_the_rulebook_that_runs_is_explained(folder: tuple[Path, int]) -> None:
    (folder[0] / "rules" / "rules.yaml").write_text("rules: [{", encoding="utf-8")
    ran = explain(folder, "slow")
    assert (ran.code, ran.err) == (0, "")
    assert "warning above 5" in ran.out


def test_a_rule_that_is_in_the_files_only_says_that_it_does_not_run(folder: tuple[Path, int]) -> None:
    more = "  - {id: new, measure: count, warning: {above: 5}}\n"
    (folder[0] / "rules" / "rules.yaml").write_text(RULES + more, encoding="utf-8")
    ran = explain(folder, "new")
    assert ran.code == 0
    assert "It has not been checked yet." in ran.out
    assert "no daemon has taken it yet" in ran.out
