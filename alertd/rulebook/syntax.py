"""PyYAML's errors in words that help somebody who does not know YAML's grammar."""

from __future__ import annotations

import re

import yaml

_GLUED = re.compile(r"\s*(?:- )?(?P<key>[A-Za-z_]+):(?P<value>[^\s/:][^:]*?)\s*")
_TAB = "a tab; YAML is indented with spaces"
_QUOTE = "this quote is not closed"
_NO_KEY = 'this is no "key: value"; a colon and a space are missing, or the indentation is wrong'
_WORDS = (
    ("mapping values are not allowed", 'a ":" is not expected here; put text that has one in quotes, or check the indentation'),
    ("could not find expected ':'", _NO_KEY),
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
    if found := _looked_up(said, problem.problem_mark, opened, lines):
        return found
    if "cannot start any token" in said:
        return line, column, _bad_start(lines[line][column : column + 1])
    for words, message in _WORDS:
        if words in said and (message is _QUOTE or message is _NO_KEY):
            return opened.line, opened.column, message
        if words in said:
            return line, column, message.format(context=opened.line + 1)
    return line, column, f"not YAML: {said}"


def _looked_up(said: str, mark: yaml.Mark, opened: yaml.Mark, lines: tuple[str, ...]) -> tuple[int, int, str] | None:
    """What the text shows better than the parser, which notices it only later."""
    if "':'" in said or "mapping values" in said:
        return _without_space((opened.line, _inside(mark, lines)[0]), lines)
    return _no_value(mark, lines) if "did not find expected node content" in said else None


def _without_space(places: tuple[int, ...], lines: tuple[str, ...]) -> tuple[int, int, str] | None:
    """A line like `every:10m`, where the parser gave up or just before it."""
    for place in dict.fromkeys((*places, places[-1] - 1)):
        found = _GLUED.fullmatch(lines[place]) if 0 <= place < len(lines) else None
        if found:
            return place, found.start("key"), f'a space is missing after the colon; write "{found["key"]}: {found["value"]}"'
    return None


def _no_value(mark: yaml.Mark, lines: tuple[str, ...]) -> tuple[int, int, str]:
    """A list or mapping in brackets that ends with the file, or has a comma too many."""
    rest = [lines[mark.line][mark.column :], *lines[mark.line + 1 :]] if mark.line < len(lines) else []
    opened = _last_open(lines)
    if opened is None or any(each.strip() for each in rest):
        line, column = _inside(mark, lines)
        return line, column, "a value is missing here, or a comma is too many"
    return opened[0], opened[1], f'this "{lines[opened[0]][opened[1]]}" is not closed'


def _last_open(lines: tuple[str, ...]) -> tuple[int, int] | None:
    """Where the innermost bracket opens that the text leaves open."""
    opened: list[tuple[int, int]] = []
    try:
        for token in yaml.scan("\n".join(lines), Loader=yaml.CSafeLoader):
            if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
                opened.append((token.start_mark.line, token.start_mark.column))
            elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken) and opened:
                opened.pop()
    except yaml.YAMLError:
        return opened[-1] if opened else None  # what is open where it gives up
    return opened[-1] if opened else None


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
