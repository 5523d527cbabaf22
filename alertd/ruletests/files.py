"""Which files are tests, and which of the tests in them are wanted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from alertd.errors import SettingsError
from alertd.rulebook.files import Source, Sources, read, walk
from alertd.rulebook.findings import Finding, arrange
from alertd.rulebook.located import compose
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.case import Case
from alertd.ruletests.reading import read_cases

ENDINGS = (".test.yaml", ".test.yml")

MOST_FILES = 5_000


def find(paths: Sequence[Path]) -> tuple[Source, ...]:
    """The test files that are named or stand in these folders; SettingsError says of a path that there is none."""
    found = {os.path.realpath(each.path): each for path in paths for each in _below(path)}
    if len(found) > MOST_FILES:
        raise SettingsError(f"there are more than {MOST_FILES:,} test files; name the folder that is meant")
    if not found:
        where = ", ".join(path.as_posix() for path in paths)
        raise SettingsError(
            f"there are no tests in {where}; tests stand beside the rules, in files that end in {ENDINGS[0]}.\n"
            "`rules/starter/first-answers.test.yaml` of alertd's own repository is one to begin with."
        )
    return tuple(found.values())


def load_cases(sources: Sequence[Source], book: Rulebook) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """All tests of the files that are right, and everything that is wrong with the others."""
    cases: list[Case] = []
    findings: list[Finding] = []
    for each in read(Sources(rules=tuple(sources))).rules:
        document, unclear = compose(each.text, each.shown) if each.text is not None else (None, each.findings)
        findings += unclear
        if document is not None and document.whole:
            some, wrong = read_cases(document, book)
            cases += [] if wrong else some
            findings += wrong
    return tuple(cases), arrange(findings)


def chosen(cases: Sequence[Case], words: str) -> tuple[Case, ...]:
    """Those in whose name, file or rules each of the words occurs; `not` before a word: those in which it does not."""
    wanted, unwanted = _terms(words)
    return tuple(
        each
        for each, text in ((each, _text(each)) for each in cases)
        if all(word in text for word in wanted) and not any(word in text for word in unwanted)
    )


def _below(path: Path) -> Iterator[Source]:
    root = Path(os.path.realpath(path)) if os.path.exists(path) else None  # noqa: PTH110 - Path's raises for a name too long
    if root is None:
        raise SettingsError(f"there is no file or folder {path}; name test files, or folders that have some")
    if root.is_dir():
        files = (file for file, leads in walk(root, _is_test) if not leads)
        for below in sorted(file.relative_to(root) for file in files):
            yield Source(root / below, (path / below).as_posix(), below.as_posix(), root)
    elif _is_test(path.name):
        yield Source(path.absolute(), path.as_posix(), path.name, root.parent)
    else:
        raise SettingsError(f"{path} is not a test file; those end in {ENDINGS[0]}")


def _is_test(name: str) -> bool:
    return name.endswith(ENDINGS) and not name.startswith(".")


def _terms(words: str) -> tuple[list[str], list[str]]:
    wanted: list[str] = []
    unwanted: list[str] = []
    terms = iter(words.casefold().split())
    for word in terms:
        follows = next(terms, "") if word == "not" else ""
        (unwanted if follows else wanted).append(follows or word)
    return wanted, unwanted


def _text(case: Case) -> str:
    return " ".join((case.file, case.name, *case.rules)).casefold()
