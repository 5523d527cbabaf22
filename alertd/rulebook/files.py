"""Which files of a rules folder are read, and reading them within bounds.

A rules folder comes from a repository that others write to: links that lead out of it, devices, pipes and huge files are
refused, and hidden names are passed over (`.git`, and the `..data` folders of a mounted ConfigMap).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from alertd.errors import RulebookError
from alertd.rulebook.findings import Finding

MOST_FILES = 5_000
LARGEST = 1024 * 1024
_ENDINGS = (".yaml", ".yml")
_RECEIVERS = ("receivers.yaml", "receivers.yml")


@dataclass(frozen=True)
class Source:
    """One file: `path` to open it, `shown` as people see it, `name` below the rules folder, `root` that it may not leave."""

    path: Path
    shown: str
    name: str
    root: Path


@dataclass(frozen=True)
class Sources:
    """The rule files and receivers.yaml of one rulebook, and what is wrong with their places."""

    rules: tuple[Source, ...]
    receivers: Source | None
    findings: tuple[Finding, ...] = ()


def gather(paths: Iterable[Path], *, most: int = MOST_FILES) -> Sources:
    """The files of a folder, or single files with the receivers.yaml beside the first; RulebookError if there is none."""
    given = tuple(paths)
    found = [source for path in given for source in islice(_sources(path), most + 1)]
    if len(found) > most:
        raise RulebookError(f"{_shown(given[0])} has more than {most:,} YAML files; name the folder that has the rules")
    rules = tuple({each.path: each for each in found if each.path.name not in _RECEIVERS}.values())
    if not rules:
        where = ", ".join(_shown(path) for path in given) or "no folder"
        raise RulebookError(f"there are no rule files in {where}; rules are kept in files that end in .yaml")
    return _with_receivers(rules, _receivers(given, found))


def read(source: Source) -> tuple[str | None, tuple[Finding, ...]]:
    """The text of a file, or the reason why it is not read."""
    try:
        raw = _bytes(source)
        return raw.decode(), ()
    except UnicodeDecodeError as problem:
        return None, (_undecodable(source, raw, problem.start),)
    except (OSError, _Refused) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        return None, (Finding("error", f"this file cannot be read: {reason}", source.shown),)


class _Refused(Exception):
    """A file that is not opened or not read to its end."""


def _sources(path: Path) -> Iterator[Source]:
    root = path.resolve()
    if root.is_file() or (root.exists() and not root.is_dir()):
        yield Source(root, _shown(path), path.name, root.parent)
    elif root.is_dir():
        yield from _below(path, root)
    else:
        raise RulebookError(f"there is no folder or file {_shown(path)}; name the rules with ALERTD_RULES or --rules")


def _below(folder: Path, root: Path) -> Iterator[Source]:
    for place, folders, names in os.walk(root, onerror=_unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if Path(place, name).is_symlink()]
        for name in sorted([*filter(_is_ours, names), *links]):
            below = Path(place, name).relative_to(root)
            if name in links and Path(place, name).resolve().is_relative_to(root):
                continue  # what it links to is read where it stands
            yield Source(root / below, _shown(folder / below), _shown(below), root)


def _is_ours(name: str) -> bool:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - thousands of names, and no path is meant
    return ending in _ENDINGS and not stem.endswith(".test") and not name.startswith(".")


def _unreadable(problem: OSError) -> None:
    raise RulebookError(f"the folder {_shown(Path(problem.filename))} cannot be read: {problem.strerror}")


def _receivers(given: tuple[Path, ...], found: list[Source]) -> list[Source]:
    """All files that are called so; beside a single file the one in its folder."""
    if any(path.is_dir() for path in given):
        return [each for each in found if each.path.name in _RECEIVERS]
    folder = given[0].parent
    beside = (folder / name for name in _RECEIVERS)
    return [Source(each.absolute(), _shown(each), each.name, folder.resolve()) for each in beside if each.exists()]


def _with_receivers(rules: tuple[Source, ...], candidates: list[Source]) -> Sources:
    at_top = [each for each in candidates if "/" not in each.name]
    receivers = at_top[0] if at_top else None
    findings = tuple(
        Finding("error", "a rulebook has one receivers.yaml, at the top of its folder; move these receivers there", each.shown)
        for each in candidates
        if each is not receivers
    )
    return Sources(rules, receivers, findings)


def _bytes(source: Source) -> bytes:
    target = source.path.resolve()
    if not target.is_relative_to(source.root):
        raise _Refused("it is a link that leads out of the rules folder; put the file itself there")
    # Without O_NONBLOCK, opening a pipe waits for somebody to write to it.
    handle = os.open(target, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _Refused("it is not an ordinary file")
        raw = file.read(LARGEST + 1) if found.st_size <= LARGEST else b""
        if found.st_size > LARGEST or len(raw) > LARGEST:
            raise _Refused(f"it is larger than {LARGEST // 1024 // 1024} MiB; split it")
    return raw


def _undecodable(source: Source, raw: bytes, place: int) -> Finding:
    line = raw.count(b"\n", 0, place)
    column = len(raw[raw.rfind(b"\n", 0, place) + 1 : place].decode(errors="replace"))
    text = raw.split(b"\n", line + 1)[line].decode(errors="replace").rstrip("\r")
    message = "this is not UTF-8 text; save the file in that encoding"
    return Finding("error", message, source.shown, line + 1, column + 1, column + 2, text)


def _shown(path: Path) -> str:
    return path.as_posix().encode(errors="replace").decode()
