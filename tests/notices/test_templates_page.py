"""docs/templates.md says what templates really get and have."""

from __future__ import annotations

import re
from pathlib import Path

from alertd.notices.context import VARIABLES
from alertd.notices.digests import DIGEST_VARIABLES
from alertd.notices.pages import BLOCKS, OWN, TABLES
from alertd.rulebook.pages import renew

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")


def blocks_of(file: str) -> set[str]:
    """The blocks that a shipped template has, its frame's too."""
    text = re.sub(r"\{#.*?#\}", "", (ROOT / "templates" / file).read_text(encoding="utf-8"), flags=re.DOTALL)
    frame = re.search(r'\{% extends "([^"]+)"', text)
    return {*re.findall(r"\{%-? *block (\w+)", text), *(blocks_of(frame[1]) if frame else ())}


def test_the_page_is_up_to_date() -> None:
    assert renew(PAGE, TABLES) == PAGE, "docs/templates.md is older than what it is made from; renew it with: make docs"


def test_every_table_has_its_place_on_the_page() -> None:
    assert sorted(re.findall(r"<!-- begin ([a-z ]+) -->", PAGE)) == sorted(TABLES)


def test_every_variable_is_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", PAGE, re.MULTILINE)
    assert {*VARIABLES, *DIGEST_VARIABLES} <= set(rows)


def test_every_template_that_ships_is_on_the_page_with_each_of_its_blocks() -> None:
    shipped = {file.name for file in (ROOT / "templates").glob("*.j2")} - {"layout.html.j2"}
    assert set(BLOCKS) == shipped
    for file, blocks in BLOCKS.items():
        assert set(blocks) == blocks_of(file), file


def test_every_filter_of_ours_is_on_the_page() -> None:
    assert all(f"| `{name}` |" in PAGE for name in OWN)
