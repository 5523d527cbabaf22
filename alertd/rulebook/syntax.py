"""PyYAML's errors in words that help somebody who does not know YAML's grammar."""

from __future__ import annotations

import yaml

_TAB = "a tab; YAML is indented with spaces"
_QUOTE = "this quote is not closed"
_WORDS = (
    ("mapping values are not allowed", 'a ":" is not expected here; put text that has one in quotes, or check the indentation'),
    ("could not find expected ':'", 'this is no "key: value"; a colon and a space are missing, or the indentation is wrong'),
    ("did not find expected key", "this does not fit to the lines above; check the indentation and the quotes"),
    ("did not find expected '-'", 'a "- " is expected here, as on the lines above; check the indentation'),
    ("did not find expected ',' or ']'", 'a "[" on line {context} is not closed, or a comma is missing before this'),
    ("did not find expected ',' or '}'", 'a "{{" on line {context} is not closed, or a comma is missing before this'),
    ("found unexpected end of stream", _QUOTE),
    ("found unexpected document indicator", _QUOTE),
    ("block sequence entries are not allowed", 'a list must begin on a line of its own, with "- "'),
    ("did not find expected alphabetic", 'text that begins with "*" or "&" needs quotes'),
    ("found unknown escape character", "in double quotes a backslash begins an escape; use single quotes or write two"),
    ("found a tab character", _TAB),
    ("did not find expected <document start>", "text after the end of the document; check the indentation"),
    ("found undefined tag handle", "tags are not read; remove it, or use quotes if a text begins with an exclamation mark"),
)


def explain(problem: yaml.YAMLError, lines: tuple[str, ...]) -> tuple[int, int, str]:
    """Line and column (from 0) of a syntax error, and a sentence that says what to do."""
    if not isinstance(problem, yaml.MarkedYAMLError) or problem.problem_mark is None:
        return 0, 0, f"not YAML: {' '.join(str(problem).split())}"
    line, column = _inside(problem.problem_mark, lines)
    said = problem.problem or ""
    opened = problem.context_mark or problem.problem_mark
    if "cannot start any token" in said:
        return line, column, _bad_start(lines[line][column : column + 1])
    for words, message in _WORDS:
        if words in said and message is _QUOTE:
            return opened.line, opened.column, message
        if words in said:
            return line, column, message.format(context=opened.line + 1)
    return line, column, f"not YAML: {said}"


def _inside(mark: yaml.Mark, lines: tuple[str, ...]) -> tuple[int, int]:
    """The place itself, or the end of the text where the parser only noticed there."""
    line, column = min(mark.line, len(lines) - 1), mark.column
    if mark.line == line and lines[line].strip():
        return line, column
    while line > 0 and not lines[line].strip():
        line -= 1
    return line, len(lines[line].rstrip())


def _bad_start(char: str) -> str:
    return _TAB if char == "\t" else f'text that begins with "{char}" needs quotes'
