"""One daemon at a time holds a store.

An advisory lock on a file beside it: the system lets go of it when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alertd.errors import StoreError, StoreHeld


@contextmanager
def hold(path: Path | None) -> Iterator[None]:
    """Hold the store whose file is `path` (None: in memory, nothing to hold). StoreHeld names the other daemon's process."""
    if path is None:
        yield
        return
    place = _place(path)
    try:
        handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as problem:
        raise StoreError(f"cannot write {place}: {problem.strerror}; alertd needs to write the store's folder") from problem
    try:
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def holder(path: Path | None) -> str | None:
    """The process that holds a store at this moment; None if none does."""
    place = _place(path) if path else None
    if place is None or not place.exists():
        return None
    with place.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read(20).decode("ascii", "replace").strip() or "unknown"
    return None


def _place(path: Path) -> Path:
    """The lock file beside the store itself, whatever links lead there."""
    real = path.resolve()
    return real.with_name(real.name + ".lock")


def _lock(handle: int, path: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 20).decode("ascii", "replace").strip() or "unknown"
        raise StoreHeld(
            f"another daemon (process {holder}) holds {path}; stop it, or give this one its own ALERTD_STORE__URL"
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
