"""The verbs for authors: help, check, kinds, schema. They need no token, no store and no network."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from alertd.shipped import shipped
from tests.cli.shell import alertd, environment

VERBS = (
    *("run", "demo", "sandbox", "init", "check", "test", "plan", "evaluate", "explain", "status", "ack", "silence"),
    *("send-test", "kinds", "schema"),
)

MISTAKES = """\
rules:
  - id: slow answers
    evry: 5m
    window: 1h
    notify: team
    filters:
      - {property: statsu, operation: EQ, values: [open]}
    measure: {medain: timeToAgentResponseMillis}
    for: 5 minutes
    warning: {above: 5m}
"""

FOUND = """\
rules/rules.yaml:2:9: error: id: "slow answers" is not a name; use lower case letters, digits and single dashes
    2 |   - id: slow answers
      |         ^^^^^^^^^^^^ did you mean "slow-answers"?
rules/rules.yaml:3:5: error: "evry" is not a key of a rule
    3 |     evry: 5m
      |     ^^^^ did you mean "every"?
rules/rules.yaml:7:20: error: filters: there is no property "statsu"
    7 |       - {property: statsu, operation: EQ, values: [open]}
      |                    ^^^^^^ did you mean "status"?
rules/rules.yaml:8:15: error: measure: there is no measure "medain"
    8 |     measure: {medain: timeToAgentResponseMillis}
      |               ^^^^^^ did you mean "median"?
rules/rules.yaml:9:10: error: for: "5 minutes" is not a duration; write it like 90s, 5m, 1h30m or 7d
    9 |     for: 5 minutes
      |          ^^^^^^^^^ did you mean "5m"?
"""

FLATTERING = """\
rules:
  - {id: slow, every: 5m, window: 1h, notify: team, measure: {p90: timeToAgentResponseMillis}, warning: {above: 5m}}
"""


def test_help_names_every_verb(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "--help")
    assert ran.code == 0
    assert all(f" {verb} " in ran.out for verb in VERBS)
    assert ran.err == ""


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, tmp_path: Path) -> None:
    ran = alertd(tmp_path, verb, "--help")
    assert ran.code == 0
    assert "Usage: python -m alertd " + verb in ran.out


def test_the_version_is_told(tmp_path: Path) -> None:
    assert alertd(tmp_path, "--version").out.startswith("alertd ")


def test_an_unknown_verb_is_wrong_use(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "chekc")
    assert (ran.code, ran.out) == (2, "")
    assert "check" in ran.err


@pytest.mark.parametrize("arguments", [["--help"], ["check", "rules"], ["kinds"], ["schema"]], ids=" ".join)
def test_verbs_without_a_database_do_not_load_one(arguments: list[str], tmp_path: Path, rules: Path) -> None:
    look = (
        "import sys\nfrom alertd.cli import main\ntry:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "heavy = {'sqlalchemy', 'alembic', 'apscheduler', 'starlette', 'uvicorn', 'requests', 'jinja2'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    command = [sys.executable, "-c", look, *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path, {}), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_good_files_are_counted(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "check", "rules")
    assert (ran.code, ran.out, ran.err) == (0, "", "1 rule: 0 errors, 0 warnings\n")


def test_check_takes_the_folder_from_the_settings(tmp_path: Path, rules: Path) -> None:
    assert alertd(tmp_path, "check", ALERTD_RULES="rules").err == "1 rule: 0 errors, 0 warnings\n"


def test_a_settings_file_in_the_folder_is_read_and_a_misspelt_setting_told(tmp_path: Path, rules: Path) -> None:
    (tmp_path / ".env").write_text("ALERTD_RULES=rules\nALERTD_RULSE=elsewhere\n", encoding="utf-8")
    ran = alertd(tmp_path, "check")
    assert ran.code == 0
    assert ran.err.startswith("alertd: ALERTD_RULSE is not a setting; did you mean ALERTD_RULES?\n")


def test_five_mistakes_are_told_at_once_each_at_its_place(tmp_path: Path, rules: Path) -> None:
    (rules / "rules.yaml").write_text(MISTAKES, encoding="utf-8")
    ran = alertd(tmp_path, "check", "rules")
    assert ran.code == 1
    assert ran.out == FOUND
    assert ran.err == "5 errors, 0 warnings\n"


def test_mistakes_as_annotations_for_github(tmp_path: Path, rules: Path) -> None:
    (rules / "rules.yaml").write_text(MISTAKES, encoding="utf-8")
    ran = alertd(tmp_path, "check", "rules", "--format", "github")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("::error file=rules/rules.yaml,line=") for line in lines)
    assert "line=3,col=5,endColumn=8::" in lines[1]
    assert 'did you mean "every"?' in lines[1]


@pytest.mark.parametrize("form", [["--json"], ["--format", "json"]])
def test_mistakes_as_json(form: list[str], tmp_path: Path, rules: Path) -> None:
    (rules / "rules.yaml").write_text(MISTAKES, encoding="utf-8")
    ran = alertd(tmp_path, "check", "rules", *form)
    assert ran.code == 1
    assert ran.json["rules"] is None
    findings = ran.json["findings"]
    assert [(each["line"], each["severity"]) for each in findings] == [(n, "error") for n in (2, 3, 7, 8, 9)]
    assert findings[1]["suggestion"] == "every"


def test_warnings_fail_only_under_strict(tmp_path: Path, rules: Path) -> None:
    (rules / "rules.yaml").write_text(FLATTERING, encoding="utf-8")
    ran = alertd(tmp_path, "check", "rules")
    assert (ran.code, ran.err) == (0, "1 rule: 0 errors, 1 warning\n")
    assert "add unanswered: as_waited" in ran.out
    assert alertd(tmp_path, "check", "rules", "--strict").code == 3


def test_a_template_must_be_there_among_those_that_ship_or_ones_own(tmp_path: Path, rules: Path) -> None:
    file = rules / "rules.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("{owner:", "{template: reprot, owner:"), encoding="utf-8")
    ran = alertd(tmp_path, "check", "rules")
    assert ran.code == 1
    assert 'there is no template "reprot"; there are report, and those of your own in ALERTD_TEMPLATES' in ran.out
    assert 'did you mean "report"?' in ran.out
    own = tmp_path / "templates" / "reprot"
    own.mkdir(parents=True)
    (own / "slack.j2").write_text("{% block text %}hello{% endblock %}", encoding="utf-8")
    assert alertd(tmp_path, "check", "rules", ALERTD_TEMPLATES="templates").code == 0


def test_a_missing_folder_is_wrong_use(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "check", "nowhere")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "alertd: there is no folder or file nowhere; name the rules with ALERTD_RULES or --rules\n"


def test_an_unknown_format_is_wrong_use(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "check", "rules", "--format", "xml")
    assert (ran.code, ran.err) == (2, 'alertd: --format is text, github or json, not "xml"\n')


def test_kinds_shows_every_measure_and_channel_with_an_example(tmp_path: Path) -> None:
    shown = alertd(tmp_path, "kinds").out
    told = alertd(tmp_path, "kinds", "--json").json
    assert {"slack", "email"} <= set(told["channels"])
    for measure in told["measures"]:
        assert f"measure: {measure['example']}" in shown
    assert {"count", "median", "share", "waiting"} <= {name for each in told["measures"] for name in each["names"]}


@pytest.mark.parametrize("name", ["starter", "demo"])
def test_what_ships_fits_the_schema_that_is_printed(name: str, tmp_path: Path) -> None:
    schemas = {False: alertd(tmp_path, "schema").json, True: alertd(tmp_path, "schema", "--receivers").json}
    for file in (each for each in shipped(f"rules/{name}").glob("*.yaml") if not each.name.endswith(".test.yaml")):
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        judge = jsonschema.Draft202012Validator(schemas[file.name == "receivers.yaml"])
        assert not [error.message for error in judge.iter_errors(data)]


def test_the_schema_refuses_an_unknown_key(tmp_path: Path) -> None:
    judge = jsonschema.Draft202012Validator(json.loads(alertd(tmp_path, "schema").out))
    assert list(judge.iter_errors({"rules": [{"id": "x", "measure": "count", "evry": "5m"}]}))


@pytest.mark.parametrize("name", ["starter", "demo"])
def test_what_ships_has_no_errors(name: str, tmp_path: Path) -> None:
    assert alertd(tmp_path, "check", str(shipped(f"rules/{name}"))).code == 0


@pytest.mark.parametrize(
    ("option", "value"), [("--fault", "429"), ("--scenario", "nobody"), ("--days", "-1"), ("--profile", "x")]
)
def test_a_sandbox_with_a_wrong_option_says_so_before_it_says_that_it_serves(option: str, value: str, tmp_path: Path) -> None:
    ran = alertd(tmp_path, "sandbox", "--port", "0", option, value)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("alertd: --")
    assert "http://" not in ran.err
