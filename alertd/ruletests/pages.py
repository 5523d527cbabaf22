"""The tables of the page about test files, made from the models of their keys.

`python -m alertd.ruletests.pages docs/rule-tests.md` writes them anew between their marks.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from alertd.rulebook.model import Entry
from alertd.rulebook.pages import renew, table_of
from alertd.rulebook.schema import schema_of
from alertd.ruletests.model import AlertEntry, CaseEntry, EventEntry, MomentEntry, SeriesEntry


def _keys(model: type[Entry]) -> str:
    return table_of(model, schema_of(model, ""))


TABLES: Mapping[str, Callable[[], str]] = {
    "keys of a test": partial(_keys, CaseEntry),
    "keys of conversations": partial(_keys, SeriesEntry),
    "keys of an event": partial(_keys, EventEntry),
    "keys of expect": partial(_keys, MomentEntry),
    "keys of an alert": partial(_keys, AlertEntry),
}


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(renew(file.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
