"""Which files of a rules folder are read, and reading them within bounds.

A rules folder comes from a repository that others write to: links that lead out of it, devices, pipes and huge files are
refused, and hidden names are passed over (`.git`, and the `..data` folders of a mounted ConfigMap).
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath

from alertd.errors import RulebookError
from alertd.rulebook.findings import Finding

MOST_FILES = 5_000
LARGEST = 1024 * 1024
_ENDINGS = (".yaml", ".yml")
_LEVELS_UP = 5
_ABSENT = (errno.ENOENT, errno.ENOTDIR)

# Files that have no rules, by name, and what they have; a rulebook has one of each, at the top of its folder.
SPECIAL = {f"{what}.{ending}": what for what in ("receivers", "calendars") for ending in ("yaml", "yml")}


@dataclass(frozen=True)
class Source:
    """One file: `path` to open it, `shown` as people see it, `name` below the rules folder, `root` that it may not leave."""

    path: Path
    shown: str
    name: str
    root: Path


@dataclass(frozen=True)
class Sources:
    """The files of one rulebook: those with rules, those without by what they have, and what is wrong with their places.

    `sought` is where those without rules were looked for, in words; `whole` whether all rules are there that they are about.
    """

    rules: tuple[Source, ...]
    special: Mapping[str, Source] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    sought: str = ""
    whole: bool = True


@dataclass(frozen=True)
class Text:
    """What one file says; None where it cannot be read, and why."""

    name: str  # below the rules folder
    shown: str
    text: str | None
    findings: tuple[Finding, ...] = ()

    @cached_property
    def digest(self) -> str:
        """A hash of the text, or of what kept it from being read."""
        said = self.text if self.text is not None else "\0".join(each.message for each in self.findings)
        return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class Texts:
    """All that a rulebook is made of, read once; everything after works on this, wherever it came from."""

    rules: tuple[Text, ...]
    special: Mapping[str, Text] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    sought: str = ""  # where those in `special` were looked for, in words
    whole: bool = True  # whether all rules are there that those in `special` are about

    @cached_property
    def digest(self) -> str:
        """A hash of all names and texts: whether anything has changed."""
        parts = sorted((each.name, each.digest) for each in (*self.rules, *self.special.values()))
        parts += [(each.file, each.message) for each in self.findings]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def files(self) -> dict[str, str]:
        """The texts by name, as they are kept."""
        return {each.name: each.text for each in (*self.rules, *self.special.values()) if each.text is not None}


def gather(paths: Iterable[Path], *, most: int = MOST_FILES, upwards: bool = False) -> Sources:
    """The files of a folder, or single files with those beside the first that have no rules; RulebookError if there is none.

    `upwards`: where the folder has no special file, those of the nearest one above it that has, up to the repository's own.
    """
    given = tuple(paths)
    found = [source for path in given for source in islice(_sources(path), most + 1)]
    if len(found) > most:
        raise RulebookError(f"{_shown(given[0])} has more than {most:,} YAML files; name the folder that has the rules")
    rules = tuple({each.path: each for each in found if each.path.name not in SPECIAL}.values())
    if not rules:
        where = ", ".join(_shown(path) for path in given) or "no folder"
        raise RulebookError(
            f"there are no rule files in {where}; rules are kept in files that end in .yaml, "
            'and where no rules are meant one of them says so: "rules: []"'
        )
    sources = _with_special(rules, _special(given, found, upwards=upwards))
    whole = len(given) == 1 and given[0].is_dir() and all(each in found for each in sources.special.values())
    return replace(sources, sought=_sought(given[0], upwards=upwards), whole=whole)


def read(sources: Sources) -> Texts:
    """The texts of the files, each with the reason why it is not read if so."""
    special = {kind: _read(source) for kind, source in sources.special.items()}
    return Texts(tuple(_read(source) for source in sources.rules), special, sources.findings, sources.sought, sources.whole)


def recall(files: Mapping[str, str]) -> Texts:
    """The same from texts by name, which `Texts.files` once gave."""
    texts = {name: Text(name, name, text) for name, text in sorted(files.items())}
    special = {SPECIAL[name]: each for name, each in texts.items() if name in SPECIAL}
    return Texts(tuple(each for name, each in texts.items() if name not in SPECIAL), special)


def is_read(name: str) -> bool:
    """Whether a file of that name below a rules folder would be read."""
    *folders, last = PurePosixPath(name).parts
    return _is_ours(last) and not any(each.startswith(".") for each in folders)


def _read(source: Source) -> Text:
    try:
        raw = _bytes(source)
        return Text(source.name, source.shown, raw.decode())
    except UnicodeDecodeError as problem:
        finding = _undecodable(source, raw, problem.start)
    except (OSError, _Refused) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else str(problem)
        finding = Finding("error", f"this file cannot be read: {reason}", source.shown)
    return Text(source.name, source.shown, None, (finding,))


class _Refused(Exception):
    """A file that is not opened or not read to its end."""


def _sources(path: Path) -> Iterator[Source]:
    try:
        root = Path(os.path.realpath(path))  # resolve() raises RuntimeError for a link that leads to itself
        folder = stat.S_ISDIR(root.stat().st_mode)
    except (OSError, ValueError) as problem:  # ValueError: with a NUL in it, it names nothing
        because = f" ({problem.strerror})" if isinstance(problem, OSError) and problem.errno not in _ABSENT else ""
        message = f"there is no folder or file {_shown(path)}{because}; name the rules with ALERTD_RULES or --rules"
        raise RulebookError(message) from None
    if folder:
        yield from _below(path, root)
    else:
        yield Source(root, _shown(path), path.name, root.parent)


def _below(folder: Path, root: Path) -> Iterator[Source]:
    for place, leads in walk(root, _is_ours):
        if leads and Path(os.path.realpath(place)).is_relative_to(root):
            continue  # what it links to is read where it stands
        below = place.relative_to(root)
        yield Source(place, _shown(folder / below), _shown(below), root)


def walk(root: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[Path, bool]]:
    """The files with wanted names in a folder and those below it, and links to folders (True), which are not gone into.

    Folders with hidden names are left out. RulebookError if one cannot be read. It does not matter how deep they are: os.walk
    calls itself for each.
    """
    waiting = [root]
    while waiting:
        place = waiting.pop()
        try:
            with os.scandir(place) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
            folders = {entry.name: place / entry.name for entry in entries if entry.is_dir(follow_symlinks=False)}
        except OSError as problem:
            raise RulebookError(f"the folder {_shown(place)} cannot be read: {problem.strerror}") from None
        waiting += [folders[name] for name in reversed(folders) if not name.startswith(".")]
        for entry in entries:
            leads = entry.is_symlink() and os.path.isdir(entry.path)  # noqa: PTH112 - Path's raises for a link to itself
            if entry.name not in folders and (not entry.name.startswith(".") if leads else wanted(entry.name)):
                yield place / entry.name, leads


def _is_ours(name: str) -> bool:
    stem, ending = os.path.splitext(name)  # noqa: PTH122 - thousands of names, and no path is meant
    return ending in _ENDINGS and not stem.endswith(".test") and not name.startswith(".")


def _special(given: tuple[Path, ...], found: list[Source], *, upwards: bool) -> list[Source]:
    """All files that are called so; beside a single file those in its folder, and none at its top, those above it."""
    folder = _folder(given[0])
    inside = [each for each in found if each.path.name in SPECIAL]
    if not any(path.is_dir() for path in given):
        inside = _specials_of(folder, folder)
    if not upwards or any("/" not in each.name for each in inside):
        return inside
    above = (_specials_of(place, _as_given(place, folder)) for place in _above(Path(os.path.realpath(folder))))
    return [*next(filter(None, above), []), *inside]


def _specials_of(folder: Path, shown: Path) -> list[Source]:
    root, there = Path(os.path.realpath(folder)), (name for name in SPECIAL if (folder / name).exists())
    return [Source((folder / name).absolute(), _shown(shown / name), name, root) for name in there]


def _folder(path: Path) -> Path:
    return path if path.is_dir() else path.parent


def _above(folder: Path) -> Iterator[Path]:
    """The folders above, nearest first, up to the top of a repository."""
    for below, place in zip((folder, *folder.parents), folder.parents[:_LEVELS_UP], strict=False):
        if (below / ".git").exists():
            return
        yield place


def _as_given(place: Path, folder: Path) -> Path:
    """A folder above another one, absolute or not as that one was given."""
    return place if folder.is_absolute() else Path(os.path.relpath(place))


def _sought(given: Path, *, upwards: bool) -> str:
    return f"in {_shown(_folder(given))}{' or above it' if upwards else ''}"


def _with_special(rules: tuple[Source, ...], candidates: list[Source]) -> Sources:
    special: dict[str, Source] = {}
    for each in candidates:
        if "/" not in each.name:
            special.setdefault(SPECIAL[each.name], each)
    findings = tuple(
        Finding("error", f"a rulebook has one {kind}.yaml, at the top of its folder; move these {kind} there", each.shown)
        for each in candidates
        if each is not special.get(kind := SPECIAL[each.path.name])
    )
    return Sources(rules, special, findings)


def _bytes(source: Source) -> bytes:
    # Without O_NONBLOCK, opening a pipe waits for somebody to write to it.
    how = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(source.path, how | os.O_NOFOLLOW)
    except OSError as problem:
        if problem.errno != errno.ELOOP:
            raise
        handle = os.open(_inside(source), how)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise _Refused("it is not an ordinary file")
        raw = file.read(LARGEST + 1) if found.st_size <= LARGEST else b""
        if found.st_size > LARGEST or len(raw) > LARGEST:
            raise _Refused(f"it is larger than {LARGEST // 1024 // 1024} MiB; split it")
    return raw


def _inside(source: Source) -> Path:
    """Where a link leads."""
    target = Path(os.path.realpath(source.path))
    if not target.is_relative_to(source.root):
        raise _Refused("it is a link that leads out of the rules folder; put the file itself there")
    return target


def _undecodable(source: Source, raw: bytes, place: int) -> Finding:
    line = raw.count(b"\n", 0, place)
    column = len(raw[raw.rfind(b"\n", 0, place) + 1 : place].decode(errors="replace"))
    text = raw.split(b"\n", line + 1)[line].decode(errors="replace").rstrip("\r")
    message = "this is not UTF-8 text; save the file in that encoding"
    return Finding("error", message, source.shown, line + 1, column + 1, column + 2, text)


def _shown(path: Path) -> str:
    return path.as_posix().encode(errors="replace").decode()
