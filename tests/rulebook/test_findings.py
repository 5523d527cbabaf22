"""A finding is shown where it is, to people and to machines."""

from __future__ import annotations

import json

from alertd.rulebook.findings import Finding, arrange, render_github, render_json, render_text, summarise


def at(line: str, column: int, end: int, **others: str) -> Finding:
    return Finding("error", others.pop("message", "wrong"), "a.yaml", 3, column, end, line, **others)


def carets(finding: Finding) -> tuple[str, str]:
    _, source, marks = render_text([finding]).splitlines()
    return source[8:], marks[8:]


def test_the_caret_stands_below_what_is_meant() -> None:
    assert carets(at("every: 5", 8, 9)) == ("every: 5", "       ^")


def test_ideographs_and_emoji_take_two_columns() -> None:
    assert carets(at("{日本: 😀x}", 7, 8)) == ("{日本: 😀x}", " " * 9 + "^")
    assert carets(at("{日本: 1}", 2, 4)) == ("{日本: 1}", " ^^^^")


def test_combining_marks_take_none() -> None:
    line = "e\u0301: x"
    assert carets(at(line, 5, 6)) == (line, "   ^")


def test_a_tab_is_shown_as_spaces() -> None:
    assert carets(at("\ta: b", 5, 6)) == ("    a: b", "       ^")


def test_what_moves_the_cursor_or_turns_text_around_is_not_printed() -> None:
    source, _ = carets(at("a: \x1b[2J\u202e", 4, 5))
    assert source == "a: �[2J�"


def test_a_long_line_is_cut_around_the_caret() -> None:
    source, marks = carets(at("a" * 500 + "BCD" + "e" * 500, 501, 504))

    assert len(source) == 102
    assert source[0] == source[-1] == "…"
    assert source[marks.index("^") : marks.index("^") + 3] == "BCD"
    assert marks.strip() == "^^^"


def test_a_finding_of_a_whole_file_has_no_excerpt() -> None:
    assert render_text([Finding("error", "too large", "a.yaml")]) == "a.yaml:1:1: error: too large"


def test_after_fifty_the_rest_is_counted() -> None:
    findings = [Finding("error", "wrong", "a.yaml", line) for line in range(1, 74)]

    assert render_text(findings).splitlines()[-1] == "and 23 more"
    assert render_github(findings).splitlines()[-1] == "::notice::and 23 more"
    assert len(json.loads(render_json(findings))) == 73


def test_github_gets_its_own_escapes() -> None:
    finding = Finding("warning", "100% wrong:\nreally, yes", "a,b:c.yaml", 3, 5, 9, "x", "every")

    assert render_github([finding]) == (
        '::warning file=a%2Cb%3Ac.yaml,line=3,col=5,endColumn=8::100%25 wrong:�really, yes; did you mean "every"?'
    )


def test_json_has_every_field() -> None:
    (found,) = json.loads(render_json([at("every: 5", 8, 9, suggestion="5m", rule="slow")]))

    assert found == {
        "severity": "error",
        "message": "wrong",
        "file": "a.yaml",
        "line": 3,
        "column": 8,
        "end_column": 9,
        "source_line": "every: 5",
        "suggestion": "5m",
        "rule": "slow",
    }


def test_credentials_are_hidden_and_columns_stay() -> None:
    line = "a: {url: https://hooks.slack.com/services/T0/B0/abc, token: xoxb-12-abcdef, x: 1}"
    source, marks = carets(at(line, line.index("x: 1") + 1, line.index("x: 1") + 2))

    assert "abc" not in source
    assert source[marks.index("^")] == "x"
    assert "abcdef" not in render_github([at(line, 1, 2, message="xoxb-12-abcdef")])
    assert "abcdef" not in render_json([at(line, 1, 2, message="xoxb-12-abcdef")])


def test_findings_are_sorted_by_place_and_said_once() -> None:
    late, early = Finding("error", "b", "b.yaml", 2), Finding("warning", "a", "a.yaml", 10)
    again = Finding("error", "b", "b.yaml", 2, rule="other")

    assert arrange([late, again, early]) == (early, late)
    assert summarise([late, early]) == "1 error and 1 warning in 2 files"
    assert summarise([late, late]) == "2 errors in 1 file"
