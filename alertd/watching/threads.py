"""Whether the threads run that run for as long as alertd does."""

from __future__ import annotations

import threading
from collections.abc import Collection

from alertd.watching.saying import RESTART
from alertd.web.health import Check


def ended(expected: Collection[str]) -> str | None:
    """Which of these threads, by name, have ended; None while all run."""
    gone = sorted(set(expected) - {thread.name for thread in threading.enumerate()})
    names = " and ".join(gone)
    return (f"the thread {names} has ended" if len(gone) == 1 else f"the threads {names} have ended") if gone else None


def threads(gone: str | None) -> Check:
    """The same for `/readyz`; `gone` as `ended` says it."""
    return Check(ok=gone is None, text=f"{gone}{RESTART}" if gone else "all run")
