"""What is wrong in rule files, where, and what was probably meant; and how that is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

import msgspec

from alertd.rulebook.credentials import mask as mask  # noqa: PLC0414 - whoever shows a finding hides with it

Severity: TypeAlias = Literal["error", "warning"]

SHOWN = 50  # more findings than that help nobody
_WIDTH = 100  # characters of a source line that are shown
_BEFORE = 50  # of them before the caret
_LONGEST = 400  # characters of a message, and of a source line in JSON


@dataclass(frozen=True)
class Finding:
    """One mistake in one file. Lines and columns count from 1, in characters; `end_column` is the first one after it.

    `source_line` is empty where a whole file is meant; `rule` is the id of the rule it belongs to.
    """

    severity: Severity
    message: str
    file: str
    line: int = 1
    column: int = 1
    end_column: int = 2
    source_line: str = ""
    suggestion: str | None = None
    rule: str | None = None


def errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Those that keep the rulebook from being loaded."""
    return tuple(each for each in findings if each.severity == "error")


def arrange(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Each once, by file and place; the same mistake seen from several rules is one mistake."""
    unique: dict[tuple[str, int, int, str], Finding] = {}
    for each in findings:
        unique.setdefault((each.file, each.line, each.column, each.message), each)
    return tuple(unique[key] for key in sorted(unique))


def summarise(findings: Sequence[Finding]) -> str:
    """How many there are: `2 errors and 1 warning in 2 files`."""
    wrong = len(errors(findings))
    counts = ((wrong, "error"), (len(findings) - wrong, "warning"))
    said = " and ".join(_plural(count, noun) for count, noun in counts if count)
    return f"{said or 'no findings'} in {_plural(len({each.file for each in findings}), 'file')}"


def render_text(findings: Sequence[Finding], *, most: int = SHOWN) -> str:
    """For a terminal: the place, the line itself, a caret below it and what was probably meant."""
    blocks = [_block(each) for each in findings[:most]]
    if len(findings) > most:
        blocks.append(f"and {len(findings) - most} more")
    return "\n".join(blocks)


def render_github(findings: Sequence[Finding], *, most: int = SHOWN) -> str:
    """As workflow commands, which GitHub shows beside the lines of a pull request."""
    lines = [_annotation(each) for each in findings[:most]]
    if len(findings) > most:
        lines.append(f"::notice::and {len(findings) - most} more")
    return "\n".join(lines)


def render_json(findings: Sequence[Finding]) -> str:
    """As a JSON list, all of them."""
    return msgspec.json.encode([_plain(each) for each in findings]).decode()


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plain(finding: Finding) -> dict[str, object]:
    shown: dict[str, object] = {"message": _message(finding), "source_line": mask(finding.source_line[:_LONGEST])}
    named = {"rule": finding.rule, "suggestion": finding.suggestion}
    return asdict(finding) | shown | {key: mask(name) if name else name for key, name in named.items()}


def _message(finding: Finding) -> str:
    text = mask(_visible(finding.message))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _hint(finding: Finding) -> str:
    return "" if finding.suggestion is None else f'did you mean "{mask(_visible(finding.suggestion[:_WIDTH]))}"?'


def _block(finding: Finding) -> str:
    head = f"{_visible(finding.file)}:{finding.line}:{finding.column}: {finding.severity}: {_message(finding)}"
    hint = _hint(finding)
    if not finding.source_line.strip():
        return f"{head}; {hint}" if hint else head
    source, carets = _excerpt(finding)
    return f"{head}\n{finding.line:>5} | {source}\n      | {carets} {hint}".rstrip()


def _excerpt(finding: Finding) -> tuple[str, str]:
    line, first = mask(finding.source_line), finding.column - 1
    start = max(0, first - _BEFORE) if len(line) > _WIDTH else 0
    end = min(start + _WIDTH, len(line))
    before, marked = line[start:first], line[first : min(finding.end_column - 1, end)]
    source = ("…" if start else "") + _visible(line[start:end]) + ("…" if end < len(line) else "")
    return source, " " * (_cells(before) + bool(start)) + "^" * max(1, _cells(marked))


def _visible(text: str) -> str:
    """One line of text that moves no cursor and hides no character."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_show(char) for char in text)


def _show(char: str) -> str:
    if char == "\t":
        return "    "
    return char if char == "\u200d" or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else "�"


def _cells(text: str) -> int:
    """How many columns of a terminal the text takes: two for an ideograph or emoji, none for a combining mark."""
    return len(text) if text.isascii() and text.isprintable() else sum(_width(char) for char in text)


def _width(char: str) -> int:
    if char == "\t":
        return 4
    if char == "\u200d" or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def _annotation(finding: Finding) -> str:
    where = {
        "file": finding.file,
        "line": str(finding.line),
        "col": str(finding.column),
        "endColumn": str(max(finding.end_column - 1, finding.column)),
    }
    properties = ",".join(f"{name}={_escape(value, property_too=True)}" for name, value in where.items())
    hint = _hint(finding)
    return f"::{finding.severity} {properties}::{_escape(f'{_message(finding)}; {hint}' if hint else _message(finding))}"


def _escape(text: str, *, property_too: bool = False) -> str:
    """As GitHub's runner undoes it (actions/toolkit, packages/core/src/command.ts)."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if property_too else text
