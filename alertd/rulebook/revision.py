"""Which commit a rules folder is at.

A repository may name programs that git runs when it looks at files: filters, a watcher of the file system, ways to fetch what
is missing. None of them may run here, so git is only asked for what it has stored, and the files are compared by ourselves.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

from alertd.errors import SettingsError
from alertd.rulebook.files import is_read

_PATIENCE = 2.0  # seconds for one git command
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_DIGITS = 12  # of a commit that are shown
_LINK = "120000"  # git's mode of a symbolic link, whose content is where it leads


def find_commit(place: Path) -> str | None:
    """The whole commit that a folder or file is at; None where there is no repository or no git.

    git-sync checks out into a folder that has the commit as its name (kubernetes/git-sync, README), without git's own data.
    """
    if named := _named(place):
        return named
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


def check_out(folder: Path, revision: str, place: Path) -> Path:
    """Put the folder as it was at that revision into `place`; SettingsError if git cannot."""
    git = shutil.which("git")
    if git is None:
        raise SettingsError("git is not installed, so an earlier revision cannot be read")
    if revision.startswith("-"):
        raise SettingsError(f'"{revision}" is not a revision')
    command = [git, "-C", str(folder), "archive", "--format=tar", revision, "."]
    quiet = _environment(_git(folder, "config", "--name-only", "-z", "--get-regexp", r"^filter\.") or "")
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=True, env=quiet)  # noqa: S603 - as below
    except subprocess.CalledProcessError as problem:
        said = problem.stderr.decode(errors="replace").strip().splitlines()
        raise SettingsError(f"git cannot read {folder} at {revision}: {said[-1] if said else 'no reason given'}") from None
    except (OSError, subprocess.SubprocessError) as problem:
        raise SettingsError(f"git cannot read {folder} at {revision}: {type(problem).__name__}") from None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(place, filter="data")
    return place


def _folder(place: Path) -> Path:
    return place if place.is_dir() else place.parent


def _named(place: Path) -> str | None:
    """The commit after which one of the folders is named."""
    return next((name for name in reversed(Path(os.path.realpath(place)).parts) if _COMMIT.fullmatch(name)), None)


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
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="surrogateescape").strip()


def _environment(filters: str = "") -> dict[str, str]:
    """Settings that come before those of the repository: nothing is watched, fetched or filtered by a program."""
    settings = {"core.fsmonitor": "false", "protocol.allow": "never"}
    settings |= {name: "false" if name.endswith(".required") else "" for name in filters.split("\0") if name}
    numbered = {f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(settings)}
    numbered |= {f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(settings.values())}
    return {**os.environ, **numbered, "GIT_CONFIG_COUNT": str(len(settings)), "GIT_NO_LAZY_FETCH": "1"}
