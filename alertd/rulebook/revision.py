"""Which commit a rules folder is at."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from alertd.errors import SettingsError

_PATIENCE = 2.0  # seconds for one git command
_COMMIT = re.compile(r"[0-9a-f]{40}")


def find_revision(folder: Path) -> str | None:
    """The commit in twelve digits, with a "+" where files differ from it; None where there is no repository or no git.

    git-sync checks out into a folder that has the commit as its name (kubernetes/git-sync, README), without git's own data.
    """
    for name in reversed(folder.resolve().parts):
        if _COMMIT.fullmatch(name):
            return name[:12]
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return f"{commit}+" if _git(folder, "status", "--porcelain", "--", ".") else commit


def check_out(folder: Path, revision: str, place: Path) -> Path:
    """Put the folder as it was at that revision into `place`; SettingsError if git cannot."""
    git = shutil.which("git")
    if git is None:
        raise SettingsError("git is not installed, so an earlier revision cannot be read")
    if revision.startswith("-"):
        raise SettingsError(f'"{revision}" is not a revision')
    command = [git, "-C", str(folder), "archive", "--format=tar", revision, "."]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=True)  # noqa: S603 - as below
    except subprocess.CalledProcessError as problem:
        said = problem.stderr.decode(errors="replace").strip().splitlines()
        raise SettingsError(f"git cannot read {folder} at {revision}: {said[-1] if said else 'no reason given'}") from None
    except (OSError, subprocess.SubprocessError) as problem:
        raise SettingsError(f"git cannot read {folder} at {revision}: {type(problem).__name__}") from None
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        archive.extractall(place, filter="data")
    return place


def _git(folder: Path, *arguments: str) -> str | None:
    git = shutil.which("git")
    if git is None:
        return None
    # Nothing that the repository's own settings name may run, and nothing may be written to it.
    command = [git, "--no-optional-locks", "-c", "core.fsmonitor=false", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_PATIENCE, check=True)  # noqa: S603 - no shell, a fixed program, our own words
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip()
