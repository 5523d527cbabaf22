"""The tables of the page about operating, made from what is really checked and served.

`python -m alertd.web.pages docs/operating.md` (or `make docs`) writes them anew between their marks; the words around them are
the page's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from alertd.rulebook.pages import renew
from alertd.web.metrics import Figure, Metrics


def _metrics() -> str:
    rows = ((f"`{each.name}`", each.kind, ", ".join(f"`{label}`" for label in each.labels), each.text) for each in _promised())
    return _table(("metric", "kind", "labels", "meaning"), rows)


def _promised() -> Iterable[Figure]:
    return Metrics().promised


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


TABLES: Mapping[str, Callable[[], str]] = {"metrics": _metrics}


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(renew(file.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
