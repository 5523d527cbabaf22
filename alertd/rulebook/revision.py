"""Which commit a rules folder is at.

A repository may name programs that git runs when it looks at files: filters, a watcher of the file system, ways to fetch what
is missing. None of them may run here, so git is only asked for what it has stored, and the files are compared by ourselves.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from alertd.errors import SettingsError
from alertd.rulebook.files import LARGEST, is_read

_PATIENCE = 2.0  # seconds for one git command
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DIGITS = 12  # of a commit that are shown
_SHOWN = 200  # letters of what somebody takes for a revision, and of what git says to it
_COMPLAINT = 10_000  # bytes of what git complains of
_LINK = "120000"  # git's mode of a symbolic link, whose content is where it leads


def find_commit(place: Path) -> str | None:
    """The whole commit that a folder or file is at; None where there is no repository or no git.

    git-sync checks out into a folder that has the commit as its name (kubernetes/git-sync, README), without git's own data.
    """
    if named := _named(place):
        return named
    if not _in_repository(_folder(place)):  # asked every few seconds: looking is cheaper than starting git
        return None
    return _git(_folder(place), "rev-parse", "--verify", "--end-of-options", "HEAD^{commit}") or None


def find_revision(place: Path, commit: str | None, files: Mapping[str, str] | None) -> str | None:
    """The commit in twelve digits, with a "+" where the files are not those of the commit.

    `files` are texts by name below the folder; None where there was nothing to read.
    """
    if commit is None or files is None or _named(place):
        return commit and commit[:_DIGITS]
    listed = _git(_folder(place), "ls-tree", "-r", "-z", commit)
    same = listed is not None and _agree(place, _blobs(listed), files)
    return commit[:_DIGITS] if same else f"{commit[:_DIGITS]}+"


def check_out(folder: Path, revision: str, place: Path, *, patience: float = 60.0) -> Path:
    """Put the rule files of the folder as it was at that revision into `place`; SettingsError if git cannot.

    What else the repository has is not kept, however much it is. `patience` is in seconds.
    """
    git = shutil.which("git")
    if git is None:
        raise SettingsError("git is not installed, so an earlier revision cannot be read")
    if revision.startswith("-") or not revision.isprintable():
        raise SettingsError(f"{revision[:_SHOWN]!r} is not a revision")
    command = [git, "-C", str(folder), "archive", "--format=tar", revision, "."]
    quiet = _environment(_git(folder, "config", "--name-only", "-z", "--get-regexp", r"^filter\.") or "")
    said: object
    try:
        with tempfile.TemporaryFile() as complaint:
            said = _unpack(command, quiet, complaint, place, patience)
    except (OSError, tarfile.TarError) as problem:
        said = type(problem).__name__
    if said is not None:
        raise SettingsError(f"git cannot read {folder} at {revision[:_SHOWN]}: {said}")
    return place


def _unpack(command: list[str], quiet: dict[str, str], complaint: IO[bytes], place: Path, patience: float) -> str | None:
    """Run git and keep what is read of its archive while it comes; what git complains of, if so."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaint, env=quiet)  # noqa: S603 - as below
    alarm = threading.Timer(patience, process.kill)
    alarm.start()
    try:
        with process, tarfile.open(fileobj=process.stdout, mode="r|") as archive:
            archive.extractall(place, filter=_kept)  # noqa: S202 - the filter is stricter than "data"
    except tarfile.ReadError:  # it broke off, or there is none: git says why
        process.kill()
        if process.wait() == 0:
            raise
    finally:
        alarm.cancel()
    if process.returncode == 0:
        return None
    complaint.seek(0)
    lines = complaint.read(_COMPLAINT).decode(errors="replace").strip().splitlines()
    return lines[-1][:_SHOWN] if lines else f"no reason given within {patience:g} s"


def _kept(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo | None:
    """A file that would be read. A link that leads out of the folder is left out: it would not be followed either."""
    if not is_read(member.name) or member.size > LARGEST:
        return None
    try:
        return tarfile.data_filter(member, place)
    except tarfile.FilterError:
        return None


def _folder(place: Path) -> Path:
    return place if os.path.isdir(place) else place.parent  # noqa: PTH112 - Path's raises where a name is too long


def _in_repository(folder: Path) -> bool:
    """Whether git could find a repository there: in one of the folders above, or where the environment says."""
    try:
        real = Path(os.path.realpath(folder))
        return "GIT_DIR" in os.environ or any((each / ".git").exists() for each in (real, *real.parents))
    except (OSError, ValueError):  # not to be looked at, or no name at all
        return True


def _named(place: Path) -> str | None:
    """The commit after which one of the folders is named."""
    try:
        parts = Path(os.path.realpath(place)).parts
    except ValueError:  # with a NUL in it, it names nothing
        return None
    return next((name for name in reversed(parts) if _COMMIT.fullmatch(name)), None)


def _blobs(listed: str) -> dict[str, tuple[str, str]]:
    """Mode and hash of each file that a commit has, by name."""
    lines = (line.partition("\t") for line in listed.split("\0") if line)
    return {name: (fields.split()[0], fields.split()[2]) for fields, _, name in lines if is_read(name)}


def _agree(place: Path, blobs: Mapping[str, tuple[str, str]], files: Mapping[str, str]) -> bool:
    """Whether these are the files of the commit; of a folder all of them."""
    if place.is_dir() and blobs.keys() - files.keys():
        return False
    return all(name in blobs and _same(_folder(place) / name, text, *blobs[name]) for name, text in files.items())


def _same(path: Path, text: str, mode: str, digest: str) -> bool:
    """Whether a file has the hash that git gave it: that of a head with its length, and its content as it is stored."""
    try:
        content = os.fsencode(path.readlink()) if mode == _LINK else text.encode()
    except OSError:
        return False
    algorithm = hashlib.sha1 if len(digest) == 40 else hashlib.sha256
    return algorithm(b"blob %d\0" % len(content) + content).hexdigest() == digest


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, a fixed program, our own words
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True, env=_environment()
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="surrogateescape").strip()


def _environment(filters: str = "") -> dict[str, str]:
    """Settings that come before those of the repository: nothing is watched, fetched or filtered by a program."""
    settings = {"core.fsmonitor": "false", "protocol.allow": "never"}
    settings |= {name: "false" if name.endswith(".required") else "" for name in filters.split("\0") if name}
    numbered = {f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(settings)}
    numbered |= {f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(settings.values())}
    return {**os.environ, **numbered, "GIT_CONFIG_COUNT": str(len(settings)), "GIT_NO_LAZY_FETCH": "1"}
