"""`alertd init`: a new repository whose parts all work, and nothing that was there is touched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from alertd import __version__
from tests.cli.shell import alertd, environment

MADE = {
    ".env.example",
    ".github/workflows/check.yml",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".vscode/alertd/calendars.schema.json",
    ".vscode/alertd/receivers.schema.json",
    ".vscode/alertd/rules.schema.json",
    ".vscode/alertd/tests.schema.json",
    ".vscode/extensions.json",
    ".vscode/settings.json",
    "README.md",
    "calendars.yaml",
    "receivers.yaml",
    "rules/first.test.yaml",
    "rules/first.yaml",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new repository of rules."""
    folder = tmp_path_factory.mktemp("made")
    assert alertd(folder, "init", "alerts").code == 0
    return folder / "alerts"


def files(folder: Path) -> set[str]:
    return {each.relative_to(folder).as_posix() for each in folder.rglob("*") if each.is_file()}


def test_it_says_what_it_made_and_what_comes_next(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "init", "our alerts")

    assert ran.code == 0
    assert ran.out.splitlines() == sorted(f"our alerts/{name}" for name in MADE)
    assert ran.err == "\nNext:\n  cd 'our alerts'\n  alertd check .\n  alertd test .\n"
    assert files(tmp_path / "our alerts") == MADE


def test_in_the_folder_itself_nobody_is_told_to_enter_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    ran = alertd(tmp_path, "init", ".")

    assert ran.err == "\nNext:\n  alertd check .\n  alertd test .\n  alertd plan --rules .\n"
    assert files(tmp_path) == MADE | {"notes.txt"}


def test_the_rules_are_good(made: Path) -> None:
    ran = alertd(made, "check", ".", "--strict")

    assert (ran.code, ran.out, ran.err) == (0, "", "2 rules: 0 errors, 0 warnings\n")


def test_the_rules_do_what_their_tests_say(made: Path) -> None:
    ran = alertd(made, "test", ".")

    assert ran.code == 0, ran.out + ran.err
    assert ran.err.startswith("2 tests passed")


@pytest.mark.parametrize("path", ["rules", "rules/first.yaml"])
def test_a_part_of_the_rules_can_be_checked_alone(made: Path, path: str) -> None:
    ran = alertd(made, "check", path, "--strict")

    assert (ran.code, ran.out, ran.err) == (0, "", "2 rules: 0 errors, 0 warnings\n")


@pytest.mark.parametrize("path", ["rules", "rules/first.test.yaml"])
@pytest.mark.parametrize("folder", [".", "rules", "elsewhere"])
def test_a_part_of_the_tests_can_be_played_alone(made: Path, path: str, folder: str) -> None:
    ran = alertd(made, "test", path, ALERTD_RULES=folder)

    assert ran.code == 0, ran.out + ran.err
    assert ran.err.startswith("2 tests passed")


def test_the_folder_that_the_daemon_would_load_is_looked_at_as_the_daemon_does(made: Path) -> None:
    ran = alertd(made, "check", ALERTD_RULES="rules")

    assert ran.code == 1
    assert "there is no receivers.yaml in rules\n" in ran.out


def test_the_rules_fit_into_the_budget(made: Path) -> None:
    assert alertd(made, "plan", "--rules", ".").code == 0


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_its_secrets_stay_out_of_git_and_its_plan_can_be_compared(tmp_path: Path) -> None:
    alertd(tmp_path, "init", ".")
    who = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    (tmp_path / ".env").write_text("ALERTD_REPORTING__TOKEN=secret\n")
    for arguments in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "first"]):
        subprocess.run([*who, *arguments], cwd=tmp_path, check=True)
    listed = subprocess.run(["git", "ls-files"], cwd=tmp_path, check=True, capture_output=True, text=True)

    assert set(listed.stdout.split()) == MADE
    assert alertd(tmp_path, "plan", "--rules", ".", "--against", "main").code == 0


def test_the_editor_finds_the_schema_of_each_file_and_the_file_fits_it(made: Path) -> None:
    settings = json.loads((made / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    kinds = {"rules/first.yaml": "rules", "rules/first.test.yaml": "tests"} | {
        f"{each}.yaml": each for each in ("receivers", "calendars")
    }

    assert set(settings["yaml.schemas"]) == {f"./.vscode/alertd/{kind}.schema.json" for kind in kinds.values()}
    for name, kind in kinds.items():
        text = (made / name).read_text(encoding="utf-8")
        first = text.splitlines()[0].removeprefix("# yaml-language-server: $schema=")
        schema = (made / name).parent / first
        assert schema.resolve() == (made / ".vscode" / "alertd" / f"{kind}.schema.json").resolve()
        judge = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
        assert [each.message for each in judge.iter_errors(yaml.safe_load(text))] == []


def test_the_schemas_are_those_that_alertd_prints(made: Path) -> None:
    for kind, option in (("rules", []), ("receivers", ["--receivers"]), ("calendars", ["--calendars"]), ("tests", ["--tests"])):
        written = json.loads((made / ".vscode" / "alertd" / f"{kind}.schema.json").read_text(encoding="utf-8"))
        assert alertd(made, "schema", *option).json == written


def test_ci_and_hooks_run_this_version(made: Path) -> None:
    workflow = yaml.safe_load((made / ".github/workflows/check.yml").read_text(encoding="utf-8"))
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    hooks = yaml.safe_load((made / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]

    assert commands[0] == f"pip install alertd=={__version__}"
    assert commands[1:3] == ["alertd check --format github .", "alertd test ."]
    assert [hook["entry"] for hook in hooks] == ["alertd check .", "alertd test ."]
    assert all(hook["additional_dependencies"] == [f"alertd=={__version__}"] for hook in hooks)
    assert not [name for name in files(made) if "@VERSION@" in (made / name).read_text(encoding="utf-8")]


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("ours")
    (tmp_path / "rules").write_text("a file where a folder must be")
    ran = alertd(tmp_path, "init", ".")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "alertd: these would be overwritten, so nothing was written; move them away or name another folder:\n"
        "  README.md\n  rules/first.test.yaml\n  rules/first.yaml\n"
    )
    assert files(tmp_path) == {"README.md", "rules"}


def test_a_file_is_no_place_for_it(tmp_path: Path) -> None:
    (tmp_path / "alerts").write_text("ours")
    ran = alertd(tmp_path, "init", "alerts")

    assert (ran.code, ran.err) == (2, "alertd: alerts is a file; name a folder\n")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    ran = alertd(tmp_path, "init", "/dev/null/alerts")

    assert ran.code == 2
    assert ran.err.startswith("alertd: /dev/null/alerts")


def test_the_package_brings_the_files_along() -> None:
    """A wheel has what lies in the package; hidden names would be lost to some tools, so there are none."""
    look = (
        "from importlib.resources import files\n"
        "print(sorted(each.name for each in (files('alertd') / 'cli' / 'initial').iterdir()))"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True, env=environment(Path(), {}))

    assert "_github" in done.stdout
    assert "'." not in done.stdout
