from __future__ import annotations

import json

from typer.testing import CliRunner

from alertd.cli import app


def test_a_run_is_told_in_a_line() -> None:
    ran = CliRunner().invoke(app, ["simulate", "--seed", "3", "--days", "0.05", "--seeds", "2"])
    assert ran.exit_code == 0
    first, second = ran.output.splitlines()
    assert first.startswith("seed 3: 0.05 days, ")
    assert second.startswith("seed 4: ")
    assert " evaluations, " in first


def test_the_same_as_json() -> None:
    ran = CliRunner().invoke(app, ["simulate", "--seed", "3", "--days", "0.05", "--json"])
    (run,) = json.loads(ran.stdout)
    assert (run["seed"], run["days"], len(run["hash"])) == (3, 0.05, 16)


def test_it_is_not_among_the_verbs_that_everybody_is_shown() -> None:
    assert "simulate" not in CliRunner().invoke(app, ["--help"]).output
