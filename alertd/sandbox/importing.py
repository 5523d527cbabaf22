"""One's own export as a world: JSON lines or CSV, checked line by line."""

from __future__ import annotations

import csv
import math
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np

from alertd.clock import parse_instant
from alertd.errors import SettingsError
from alertd.reporting.properties import PROPERTIES, Kind, Property, suggest
from alertd.sandbox.columns import Values, encode
from alertd.sandbox.imported import Imported

MOST_PROBLEMS = 20
LONGEST = 256 * 1024  # bytes of a line
_SHOWN = 300  # letters of a problem, which may quote a value

_ALIASES = {"conversationId": "id"}
_REQUIRED = ("id", "createdAt")
_LARGEST = 2**53  # whole numbers are exact up to here
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    cells: Mapping[str, Any]


class _Problems:
    """What is wrong with the file, until it is enough."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._found: list[str] = []

    def add(self, line: int, message: str) -> None:
        self._found.append(f"{self._file}:{line}: {message if len(message) <= _SHOWN else message[:_SHOWN] + '...'}")
        if len(self._found) == MOST_PROBLEMS:
            self.check(f"\n(the first {MOST_PROBLEMS}; there may be more)")

    def check(self, more: str = "") -> None:
        """Raise SettingsError if anything was wrong."""
        if self._found:
            raise SettingsError("\n".join(self._found) + more)


def load(file: Path) -> Imported:
    """Read conversations from JSON lines (.jsonl, .ndjson, .json) or CSV (.csv); SettingsError names up to 20 wrong places."""
    problems = _Problems(file)
    try:
        if not (stat.S_ISREG(mode := file.stat().st_mode) or stat.S_ISDIR(mode)):  # a pipe would be waited for
            raise SettingsError(f"{file}: it is not an ordinary file; --conversations takes a file of JSON lines or CSV")
        return _world(_lines(file, problems), problems)
    except OSError as error:
        raise SettingsError(f"{file}: {error.strerror}; --conversations takes a file of JSON lines or CSV") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: not UTF-8 ({error.reason}); save it as UTF-8") from None


def from_rows(rows: Iterable[Mapping[str, Any]]) -> Imported:
    """Conversations written down as mappings of property to value, checked like those of a file."""
    lines = (_Line(number, row) for number, row in enumerate(rows, 1))
    return _world(lines, _Problems(Path("conversations")))


def _world(lines: Iterable[_Line], problems: _Problems) -> Imported:
    reader = _Reader(problems)
    for line in lines:
        reader.add(line)
    problems.check()
    return Imported({name: _column(PROPERTIES[name], values) for name, values in reader.columns.items()})


def _lines(file: Path, problems: _Problems) -> Iterator[_Line]:
    if file.suffix.lower() == ".csv":
        return _csv_lines(file, problems)
    if file.suffix.lower() in (".jsonl", ".ndjson", ".json"):
        return _json_lines(file, problems)
    raise SettingsError(f"{file}: name it .jsonl for JSON lines or .csv for CSV, so that it is clear how to read it")


def _json_lines(file: Path, problems: _Problems) -> Iterator[_Line]:
    decoder = msgspec.json.Decoder(dict[str, Any])
    known: set[str] = set()
    with file.open("rb") as lines:
        for number, text in enumerate(iter(lambda: lines.readline(LONGEST), b""), 1):
            if len(text) == LONGEST:
                problems.add(number, f"longer than {LONGEST // 1024} KiB; a line is one conversation")
                return
            if not text.strip():
                continue
            try:
                cells = decoder.decode(text)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                problems.add(number, f'{error}; a line is one object like {{"id": 1, "createdAt": 1780000000000}}')
                continue
            for name in cells.keys() - known:
                _know(name, number, problems)
                known.add(name)
            yield _Line(number, cells)


def _csv_lines(file: Path, problems: _Problems) -> Iterator[_Line]:
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = csv.reader(_short_lines(text), strict=True)
        try:
            header = [name.strip() for name in next(rows, [])]
            for place, name in enumerate(header):
                _know(name, 1, problems)
                if name in header[:place]:
                    problems.add(1, f"{name}: stands in the header twice; take one column out")
            yield from _csv_rows(rows, header, problems)
        except csv.Error as error:
            problems.add(rows.line_num, f"not CSV: {error}; check the quotes")


def _short_lines(text: IO[str]) -> Iterator[str]:
    for line in iter(lambda: text.readline(LONGEST), ""):
        if len(line) == LONGEST:
            raise csv.Error(f"a line is longer than {LONGEST // 1024} KiB")
        yield line


def _csv_rows(rows: Any, header: list[str], problems: _Problems) -> Iterator[_Line]:
    for row in rows:
        if not row:
            continue
        if len(row) != len(header):
            problems.add(rows.line_num, f"{len(row)} cells under {len(header)} columns; check commas and quotes")
            continue
        yield _Line(rows.line_num, {name: _cell(name, text.strip()) for name, text in zip(header, row, strict=True)})


def _know(name: str, line: int, problems: _Problems) -> None:
    if _ALIASES.get(name, name) not in PROPERTIES:
        meant = suggest(name, PROPERTIES)
        hint = f"did you mean {meant}?" if meant else "take the column out"
        problems.add(line, f"{name}: there is no such property; {hint}")


def _cell(name: str, text: str) -> Any:
    """A CSV cell as JSON would have had it; what cannot be read stays text and is complained about later."""
    found = PROPERTIES.get(_ALIASES.get(name, name))
    if text in ("", "NaN") or found is None:
        return None
    if found.kind is Kind.TAGS:
        return [tag.strip() for tag in text.split(";") if tag.strip()]
    if found.kind is Kind.BOOLEAN:
        return _BOOLEANS.get(text.lower(), text)
    return _number(text) if found.numeric else text


def _number(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


class _Reader:
    """Gathers lines into columns."""

    def __init__(self, problems: _Problems) -> None:
        self.columns: dict[str, list[Any]] = {name: [] for name in PROPERTIES}
        self._problems = problems
        self._lines: dict[Any, int] = {}  # where each id stands

    def add(self, line: _Line) -> None:
        """Check one conversation's values and keep them."""
        cells = {_ALIASES.get(name, name): value for name, value in line.cells.items()}
        if len(cells) < len(line.cells):
            self._problems.add(line.number, "id: given twice, as id and as conversationId; keep one")
        for name, values in self.columns.items():
            values.append(self._checked(name, cells.get(name), line.number))
        self._once(self.columns["id"][-1], line.number)

    def _checked(self, name: str, raw: Any, line: int) -> Any:
        try:
            value = read_value(PROPERTIES[name], raw)
        except ValueError as error:
            self._problems.add(line, f"{name}: {error}")
            return None
        if value is None and name in _REQUIRED:
            self._problems.add(line, f"{name}: missing; every conversation needs one")
        return value

    def _once(self, number: Any, line: int) -> None:
        first = self._lines.setdefault(number, line)
        if first != line and number is not None:
            self._problems.add(line, f"id: {number:.0f} stands in line {first} already; keep one of them")


def read_value(found: Property, value: Any) -> Any:
    """A checked value, None where absent; ValueError says what it should have been."""
    if value is None or (value == "NaN" and found.numeric):
        return None
    if found.numeric:
        return _numeric(found, value)
    if found.kind is Kind.BOOLEAN and not isinstance(value, bool):
        raise ValueError(f"{value!r} is not true or false")
    if found.kind is Kind.TAGS:
        return _tags(value)
    if found.kind is Kind.TEXT and not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    if found.values and value not in found.values:
        raise ValueError(f"{value!r} is not one of {', '.join(found.values)}")
    return value


def _numeric(found: Property, value: Any) -> float:
    if found.kind is Kind.TIME and isinstance(value, str):
        return float(parse_instant(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    if not abs(value) <= _LARGEST:  # NaN too; isfinite() cannot take a whole number that is no float
        raise ValueError(f"{value!r} is too large")
    if found.kind in (Kind.ID, Kind.TIME) and value != int(value):
        raise ValueError(f"{value!r} is not a whole number")
    return float(value)


def _tags(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        raise ValueError(f"{value!r} is not a list of texts")
    return tuple(value)


def _column(found: Property, values: list[Any]) -> Values:
    if found.numeric:
        return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    return encode(values)
