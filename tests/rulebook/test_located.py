"""YAML is read as people mean it, with the place of everything."""

from __future__ import annotations

from typing import Any

import pytest

from alertd.rulebook.located import Trail, compose


def data(text: str) -> Any:
    document, findings = compose(text, "a.yaml")
    assert findings == ()
    assert document is not None
    return document.data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("yes", "yes"),
        ("y", "y"),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        ("tRue", "tRue"),
        ("null", None),
        ("~", None),
        ("", None),
        ("nothing", "nothing"),
        ("12", 12),
        ("-3", -3),
        ("+4", 4),
        ("017", 17),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("1e999", "1e999"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("1.2.3", "1.2.3"),
        ("9" * 400, "9" * 400),
        ("2026-11-02", "2026-11-02"),
        ("20%", "20%"),
        ("-", [None]),
        ("'12'", "12"),
        ('"true"', "true"),
        ("=", "="),
        (".", "."),
        ("+", "+"),
        ("1e", "1e"),
    ],
)  # fmt: skip - as a table
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = data(f"a: {text}\n" if text != "-" else "a:\n-")["a"]

    assert (found, type(found)) == (value, type(value))


def test_whole_numbers_can_be_keys() -> None:
    assert data("1: a\n'2': b\ntrue: c") == {"1": "a", "2": "b", "true": "c"}


def test_block_texts_keep_their_lines() -> None:
    assert data("a: |\n  b\n  c\nd: >\n  e\n  f\n") == {"a": "b\nc\n", "d": "e f\n"}


TEXT = """\
# Zürich 😀
rules:
  - id: a
    limit: {above: 5m, recover: 4m}   # comment
    many:
      - x
      - yy
    empty:
    text: |
      one
      two
"""


@pytest.mark.parametrize(
    ("trail", "at_key", "spot"),
    [
        (("rules", 0, "id"), False, (2, 8, 2, 9)),
        (("rules", 0, "id"), True, (2, 4, 2, 6)),
        (("rules", 0, "limit"), False, (3, 11, 3, 35)),
        (("rules", 0, "limit", "above"), False, (3, 19, 3, 21)),
        (("rules", 0, "limit", "above"), True, (3, 12, 3, 17)),
        (("rules", 0, "many"), False, (4, 4, 4, 8)),
        (("rules", 0, "many", 1), False, (6, 8, 6, 10)),
        (("rules", 0, "empty"), False, (7, 4, 7, 9)),
        (("rules", 0), False, (2, 8, 2, 9)),
        (("rules",), False, (1, 0, 1, 5)),
        ((), False, (1, 0, 1, 5)),
        (("rules", 0, "limit", "no such step", "above"), False, (3, 19, 3, 21)),
        (("rules", 9), False, (1, 0, 1, 5)),
    ],
)
def test_everything_has_its_place(trail: Trail, at_key: bool, spot: tuple[int, int, int, int]) -> None:
    document, _ = compose(TEXT, "a.yaml")
    assert document is not None

    assert document.spot(trail, at_key=at_key) == spot


def test_columns_count_characters_not_bytes() -> None:
    document, _ = compose("{ü😀: x}", "a.yaml")
    assert document is not None

    assert document.spot(("ü😀",)) == (0, 5, 0, 6)


def test_text_of_several_lines_is_marked_on_its_first() -> None:
    document, _ = compose(TEXT, "a.yaml")
    assert document is not None
    finding = document.finding(("rules", 0, "text"), "wrong")

    assert (finding.line, finding.column, finding.end_column) == (9, 11, 12)


def test_three_dashes_at_the_top_are_fine() -> None:
    assert data("---\na: 1\n...\n") == {"a": 1}


def test_an_empty_file_is_nothing() -> None:
    assert data("") is None
    assert data("# rules:\n") is None


def test_refusals_are_told_all_at_once() -> None:
    _, findings = compose("a: &x 1\nb: *x\nc: !!str d\na: 2\n<<: {e: f}\n", "a.yaml")

    assert [each.line for each in findings] == [1, 2, 3, 4, 5]
