"""docs/rule-tests.md says what the program does: its tables are those of the models, and its example is played."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from alertd.rulebook.loader import load
from alertd.rulebook.pages import renew
from alertd.ruletests.case import Happening
from alertd.ruletests.files import find, load_cases
from alertd.ruletests.model import TELLING
from alertd.ruletests.pages import TABLES
from alertd.ruletests.running import play_all
from alertd.ruletests.showing import outcome

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "rule-tests.md").read_text(encoding="utf-8")
RULES = (DOCS / "rules.md").read_text(encoding="utf-8")
RECEIVERS = "receivers: {support-slack: {slack: {channel: '#support'}}}"


def examples(page: str) -> list[str]:
    return re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)


def heads(page: str) -> set[str]:
    found = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in found}


def test_the_page_of_test_files_is_up_to_date() -> None:
    old = "docs/rule-tests.md is older than the models; renew it: python -m alertd.ruletests.pages docs/rule-tests.md"
    assert renew(PAGE, TABLES) == PAGE, old


def test_every_table_has_its_place_on_the_page() -> None:
    assert sorted(re.findall(r"<!-- begin ([a-z ]+) -->", PAGE)) == sorted(TABLES)


@pytest.mark.parametrize("word", [*(each.value for each in Happening), *(each.value for each in TELLING)])
def test_every_event_and_every_notice_is_explained(word: str) -> None:
    assert re.search(rf"^\| `{word}` \| \w", PAGE, re.MULTILINE)


def test_the_example_passes_on_the_rule_of_the_other_page(tmp_path: Path) -> None:
    (rules,) = (text for text in examples(RULES) if "rules" in (yaml.safe_load(text) or {}))
    (test,) = examples(PAGE)
    for name, text in (("rules", rules), ("receivers", RECEIVERS), ("rules.test", test)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    book = load(tmp_path, revision="test")
    cases, findings = load_cases(find([tmp_path]), book)

    assert findings == ()
    assert [outcome(run, book, 0).failures for run in play_all(cases, book)] == [()]


def test_links_of_the_page_lead_somewhere() -> None:
    assert set(re.findall(r"\]\(#([a-z-]+)\)", PAGE)) <= heads(PAGE)
    assert set(re.findall(r"\]\(rules\.md#([a-z-]+)\)", PAGE)) <= heads(RULES)
    assert "](rule-tests.md)" in RULES
