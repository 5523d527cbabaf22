"""The pages in docs/ say what the program does: their tables are those of the models, and their examples work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alertd.rulebook.loader import load
from alertd.rulebook.model import RuleEntry
from alertd.rulebook.pages import TABLES, renew

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")


def test_the_page_of_the_language_is_up_to_date() -> None:
    assert renew(PAGE) == PAGE, "docs/rules.md is older than the models it is made from; renew it with: make docs"


def test_every_table_has_its_place_on_the_page() -> None:
    assert sorted(re.findall(r"<!-- begin ([a-z ]+) -->", PAGE)) == sorted(TABLES)
    assert PAGE.count("<!-- end -->") == len(TABLES)


def test_every_key_of_a_rule_is_on_the_page_once() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|.*`\1: ", PAGE, re.MULTILINE)
    keys = [field.alias or name for name, field in RuleEntry.model_fields.items()]

    assert [key for key in keys if rows.count(key) < 1] == []


def test_a_page_that_is_out_of_date_is_renewed_between_its_marks_only() -> None:
    old = PAGE.replace("What people read.", "What nobody reads.").replace("# The rule language", "# Rules")

    assert renew(old) == PAGE.replace("# The rule language", "# Rules")


def test_a_mark_that_names_no_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        renew("<!-- begin nothing -->\n<!-- end -->")


def test_the_examples_on_the_page_are_a_rulebook(tmp_path: Path) -> None:
    for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        data = yaml.safe_load(text) or {}
        for name in ("receivers", "calendars", "rules"):
            if name in data:
                (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    book = load(tmp_path)

    assert set(book.rules) == {"slow-first-answer"}
    assert set(book.receivers) == {"support-slack", "oncall-mail"}
    assert book.routes[0].to == ("oncall-mail",)


def test_links_within_the_page_lead_somewhere() -> None:
    heads = {
        re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) <= heads


@pytest.mark.parametrize("hook", yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")))
def test_a_hook_for_pre_commit_calls_a_verb_that_there_is(hook: dict[str, object]) -> None:
    from typer.main import get_command

    from alertd.cli import app

    command = get_command(app)
    program, verb = str(hook["entry"]).split()
    assert program == "alertd"
    assert verb in command.commands  # type: ignore[attr-defined]  # it is a group
    assert hook["pass_filenames"] is False
    assert re.search(str(hook["files"]), "rules/first.yml")
    assert hook["language"] == "python"
