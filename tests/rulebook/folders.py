"""Rules folders that tests write down, and git for those that are in a repository."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

RECEIVERS = "receivers:\n  a: {email: {to: [a@example.com]}}\n"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def rule(name: str) -> str:
    """The text of a file with one rule."""
    return f"rules:\n  - {{id: {name}, every: 1m, window: 1h, measure: count, critical: {{above: 1}}, notify: a}}\n"


def write(folder: Path, **texts: str) -> Path:
    """Put files into a folder; `team__two` is two.yaml in its folder `team`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def git(folder: Path, *arguments: str) -> str:
    """What git says."""
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, *arguments: str) -> str:
    """Commit all there is; the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "rules", *arguments)
    return git(folder, "rev-parse", "HEAD")
