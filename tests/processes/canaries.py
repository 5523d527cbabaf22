"""Canaries: secrets that are made to be recognised, and the looking for them in whatever a program leaves behind."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

PART = 12  # characters: half a secret is still one, if the half is as long as this


@dataclass(frozen=True)
class Canary:
    """A secret, named after the variable or the address that holds it."""

    name: str
    text: str

    def among(self, content: bytes) -> bool:
        """Whether it, or a half of it, is there in any of the ways in which texts are written."""
        return any(each in content for each in _traces(self.text))


@dataclass(frozen=True, order=True)
class Sighting:
    """A secret where it must not be. It names the two, and does not repeat what it saw."""

    place: str
    name: str


def seen(canaries: Iterable[Canary], places: Iterable[tuple[str, bytes]]) -> list[Sighting]:
    """Where which of the secrets are."""
    known = tuple(canaries)
    return sorted({Sighting(place, each.name) for place, content in places for each in known if each.among(content)})


@lru_cache(maxsize=1024)
def _traces(secret: str) -> frozenset[bytes]:
    """How its shortest parts can look; whoever has the whole has those too."""
    middle = len(secret) // 2
    parts = (secret[:middle], secret[middle:]) if middle >= PART else (secret,)
    return frozenset(trace for part in parts for trace in _spellings(part))


def _spellings(part: str) -> Iterator[bytes]:
    raw = part.encode()
    yield from (raw, raw[::-1], raw.lower(), raw.upper(), raw.hex().encode(), part.encode("utf-16-le"))
    yield from (quote(part, safe="").encode(), quote(part).encode(), repr(part)[1:-1].encode(), json.dumps(part)[1:-1].encode())
    for before in range(3):  # base64 looks different behind one or two other letters; its ends belong to the neighbours too
        coded = base64.b64encode(bytes(before) + raw)
        inside = coded[(0, 2, 3)[before] : (before + len(raw)) * 8 // 6]
        yield from (inside, inside.translate(bytes.maketrans(b"+/", b"-_")))


def in_folder(folder: Path, *, given: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Every file in it, those in `given` and below them left out: its name, its bytes and, of a store, its rows too."""
    left_out = set(given)
    files = [file for file in sorted(folder.rglob("*")) if not left_out & {file, *file.parents}]
    for file in files:
        name = str(file.relative_to(folder))
        yield f"the name of {name}", name.encode()
        if file.is_file():
            yield f"the file {name}", file.read_bytes()
    for file in files:  # afterwards: opening a store may tidy up its journal
        if file.is_file():
            yield from _tables(file, str(file.relative_to(folder)))


def _tables(file: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The rows of a store, by table: a long text is not in one piece in the file. None of what is damaged."""
    with file.open("rb") as opened:
        if not opened.read(16).startswith(b"SQLite format 3"):
            return
    try:
        with closing(sqlite3.connect(file, timeout=10)) as connection:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                rows = connection.execute(f'SELECT * FROM "{table}"')
                yield f"the table {table} in {name}", b"\n".join(_bytes(value) for row in rows for value in row)
    except sqlite3.DatabaseError:
        return


def _bytes(value: object) -> bytes:
    if not isinstance(value, str):
        return value if isinstance(value, bytes) else str(value).encode()
    # JSON in a row hides what is not ASCII, and JSON within it hides more.
    return value.encode() + (b"\n" + _unescaped(value).encode("utf-8", "replace") if "\\" in value else b"")


def _unescaped(text: str) -> str:
    return re.sub(r"\\+u([0-9a-fA-F]{4})|\\+([^u])", lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)


def of_process(number: int) -> Iterator[tuple[str, bytes]]:
    """What everybody on the machine may see of a process. Nothing of one that has ended."""
    for name in ("cmdline", "comm", "status"):
        try:
            yield f"/proc/.../{name}", Path(f"/proc/{number}/{name}").read_bytes()
        except OSError:
            return
