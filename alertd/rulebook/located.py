"""YAML as plain data that remembers where everything stands, and refuses what surprises people or machines.

Scalars are those of YAML 1.2's core schema: `no`, `on`, dates and `1:30` are text. Refused: duplicate keys, anchors, aliases,
merge keys, tags, several documents, deep nesting and sheer size. PyYAML's C parser makes the events; its own composer is
not used, because it ends the process on deep nesting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

from alertd.rulebook.findings import Finding, Severity
from alertd.rulebook.syntax import explain

DEPTH = 32
NODES = 200_000
_FINDINGS = 100  # in one file; whoever has more has another problem

Trail: TypeAlias = tuple[str | int, ...]
Spot: TypeAlias = tuple[int, int, int, int]  # first line and column, last line and column (exclusive), from 0

# What YAML does not allow, and the three line breaks that no editor counts as such.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?[0-9]{1,19}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_OPENS = frozenset({yaml.MappingStartEvent, yaml.SequenceStartEvent})
_CLOSES = frozenset({yaml.MappingEndEvent, yaml.SequenceEndEvent})
_SKIPPED = object()  # stands for a key whose value is not taken


class Node:
    """Where a mapping or sequence stands, and its parts."""

    __slots__ = ("keys", "spot", "values")

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        self.keys: dict[str, Spot] = {}
        self.values: dict[str | int, Spot | Node] = {}


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one file and the place of each part. `whole` is false where something refused has left a hole."""

    file: str
    lines: tuple[str, ...]
    data: Any
    root: Spot | Node
    whole: bool = True

    def finding(
        self,
        trail: Trail,
        message: str,
        *,
        suggestion: str | None = None,
        at_key: bool = False,
        severity: Severity = "error",
        rule: str | None = None,
    ) -> Finding:
        """Say what is wrong with the value (or the key) to which the trail leads, or with what is nearest to it."""
        spot = self.spot(trail, at_key=at_key)
        return locate(self.file, self.lines, spot, message, suggestion=suggestion, severity=severity, rule=rule)

    def spot(self, trail: Trail, *, at_key: bool = False) -> Spot:
        """Where the trail leads; steps that do not exist are left out (a union's branches, a key that is missing)."""
        here: Spot | Node = self.root
        key: Spot | None = None
        for step in trail:
            if isinstance(here, Node) and step in here.values:
                key = here.keys.get(str(step))
                here = here.values[step]
        if key and (at_key or _is_wide(here)):
            return key
        return _entry(here) if isinstance(here, Node) else here


def compose(text: str, file: str) -> tuple[Document | None, tuple[Finding, ...]]:
    """Read one document; None where its text is no YAML or breaks off at a bound."""
    text = text.removeprefix("\ufeff")
    lines = tuple(re.split("\r\n|\r|\n", text))
    if found := _FORBIDDEN.search(text):
        return None, (_forbidden(file, lines, text, found),)
    composer = _Composer(file, lines)
    try:
        composer.take(text)
    except yaml.YAMLError as problem:
        line, column, message = explain(problem, lines)
        return None, (*composer.findings, locate(file, lines, (line, column, line, column + 1), message))
    except _TooMuch:
        return None, tuple(composer.findings)
    return Document(file, lines, composer.data, composer.root, composer.whole), tuple(composer.findings)


def locate(
    file: str,
    lines: tuple[str, ...],
    spot: Spot,
    message: str,
    *,
    suggestion: str | None = None,
    severity: Severity = "error",
    rule: str | None = None,
) -> Finding:
    """A finding at that spot; what spans several lines is marked on its first."""
    line, column, last, end = spot
    source = lines[line] if line < len(lines) else ""
    end = end if last == line else len(source.rstrip())
    return Finding(severity, message, file, line + 1, column + 1, max(end, column + 1) + 1, source, suggestion, rule)


def resolve(text: str) -> Any:
    """What a plain scalar means by YAML 1.2's core schema; hexadecimal, octal, infinite and huge numbers stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and len(text) <= 30 and math.isfinite(number := float(text)):
        return number
    return text


def _is_wide(here: Spot | Node) -> bool:
    """Whether the key shows it better: nothing stands there, or several lines."""
    line, column, last, end = here.spot if isinstance(here, Node) else here
    return last > line if isinstance(here, Node) else (line, column) == (last, end)


def _entry(node: Node) -> Spot:
    """The best place to point at in a mapping or sequence: all of it, its `id`, its first key."""
    if not _is_wide(node):
        return node.spot
    name = node.values.get("id")
    if name and not isinstance(name, Node):
        return name
    return next(iter(node.keys.values()), node.spot)


def _forbidden(file: str, lines: tuple[str, ...], text: str, found: re.Match[str]) -> Finding:
    before = re.split("\r\n|\r|\n", text[: found.start()])
    line, column = len(before) - 1, len(before[-1])
    message = f"an invisible character (U+{ord(found[0]):04X}) does not belong into a rule file; remove it"
    return locate(file, lines, (line, column, line, column + 1), message)


class _TooMuch(Exception):
    """A bound is passed; the finding says which."""


class _Frame:
    """A mapping or sequence that is being read, and the key that waits for its value."""

    __slots__ = ("data", "key", "node", "spot")

    def __init__(self, data: dict[str, Any] | list[Any], node: Node) -> None:
        self.data = data
        self.node = node
        self.key: object = None
        self.spot = node.spot


class _Composer:
    """Puts events together, without recursion."""

    def __init__(self, file: str, lines: tuple[str, ...]) -> None:
        self.file, self.lines = file, lines
        self.findings: list[Finding] = []
        self.data: Any = None
        self.root: Spot | Node = (0, 0, 0, 0)
        self.whole = True
        self._stack: list[_Frame] = []

    def take(self, text: str) -> None:
        documents = 0
        for count, event in enumerate(_events(text)):
            if count > 2 * NODES:
                self._stop(event, f"more than {NODES:,} values in one file; split it")
            kind = type(event)  # five times faster than matching classes, and there are 80 events in a rule
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind in _OPENS:
                self._open(event)
            elif kind in _CLOSES:
                self._close(event)
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._stop(event, 'a second document begins here; one file holds one ("---" only at its top)')

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        if event.anchor or event.tag:
            self._refuse(event)
        plain, text, spot = event.implicit[0], event.value, _spot(event)
        if not plain and _FORBIDDEN.search(text):
            self._say(spot, "this text contains an invisible character; remove its escape")
        if self._stack and self._stack[-1].key is None and isinstance(self._stack[-1].data, dict):
            self._key(text, spot, plain=plain)
        else:
            self._add(resolve(text) if plain else text, spot)

    def _key(self, text: str, spot: Spot, *, plain: bool) -> None:
        frame = self._stack[-1]
        frame.key, frame.spot = _SKIPPED, spot
        if plain and text == "<<":
            self._hole(spot, 'merge keys ("<<") are not read; put what the rules of a file share under "defaults"')
        elif plain and not text:
            self._say(spot, "a key is missing before the colon")
        elif first := frame.node.keys.get(text):
            self._say(spot, f'"{text}" stands twice here; the first is on line {first[0] + 1}')
        else:
            frame.key = text

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        if event.anchor or event.tag:
            self._refuse(event)
        if len(self._stack) >= DEPTH:
            self._stop(event, f"nested more than {DEPTH} deep; a rule needs far less")
        data: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
        self._stack.append(_Frame(data, Node(_spot(event))))

    def _close(self, event: yaml.MappingEndEvent | yaml.SequenceEndEvent) -> None:
        frame = self._stack.pop()
        frame.node.spot = frame.node.spot[:2] + _spot(event)[2:]
        parent = self._stack[-1] if self._stack else None
        if parent and isinstance(parent.data, dict) and parent.key is None:
            self._say(frame.node.spot, "a key is text; text that begins with { or [ needs quotes")
            parent.key = _SKIPPED
        else:
            self._add(frame.data, frame.node)

    def _alias(self, event: yaml.AliasEvent) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is None or frame.key is not _SKIPPED:
            message = f'aliases ("*{event.anchor}") are not read; use "defaults", or quotes if it is meant as text'
            self._hole(_spot(event), message)
        if frame and isinstance(frame.data, dict) and frame.key is None:
            frame.key = _SKIPPED
        else:
            self._add(None, _spot(event))

    def _add(self, data: Any, place: Spot | Node) -> None:
        if not self._stack:
            self.data, self.root = data, place
            return
        frame = self._stack[-1]
        if isinstance(frame.data, list):
            frame.node.values[len(frame.data)] = place
            frame.data.append(data)
            return
        if isinstance(frame.key, str):
            frame.data[frame.key] = data
            frame.node.keys[frame.key], frame.node.values[frame.key] = frame.spot, place
        frame.key = None

    def _refuse(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            message = f'anchors ("&{event.anchor}") are not read; put what the rules of a file share under "defaults"'
            self._hole(_spot(event), message)
        if event.tag is not None:
            self._hole(_spot(event), "tags are not read; remove it, or use quotes if a text begins with an exclamation mark")

    def _hole(self, spot: Spot, message: str) -> None:
        self.whole = False
        self._say(spot, message)

    def _say(self, spot: Spot, message: str) -> None:
        if len(self.findings) >= _FINDINGS:
            raise _TooMuch
        self.findings.append(locate(self.file, self.lines, spot, message))

    def _stop(self, event: yaml.Event, message: str) -> None:
        line, column = _spot(event)[:2]
        self._say((line, column, line, column + 1), message)
        raise _TooMuch


def _events(text: str) -> Iterator[Any]:
    events: Iterator[Any] = yaml.parse(text, Loader=yaml.CSafeLoader)
    return events


def _spot(event: yaml.Event) -> Spot:
    start: Any = event.start_mark  # the C parser always sets them
    end: Any = event.end_mark
    return start.line, start.column, end.line, end.column
