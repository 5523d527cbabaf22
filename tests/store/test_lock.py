"""One daemon at a time holds a store, and its lock ends with it however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from alertd.errors import StoreError, StoreHeld
from alertd.store.lock import hold, holder

HOLD = """
import sys
from pathlib import Path
from alertd.store.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def another(path: Path) -> subprocess.Popen[str]:
    """A process that holds the store."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def test_a_second_holder_is_told_which_process_is_the_first(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process = another(path)
    with pytest.raises(StoreHeld, match=rf"another daemon \(process {process.pid}\) holds .*store\.db; stop it"), hold(path):
        pass
    assert holder(path) == str(process.pid)
    end(process)
    with hold(path):
        assert holder(path) == str(os.getpid())
    assert holder(path) is None


def test_the_lock_goes_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process = another(path)
    process.send_signal(signal.SIGKILL)
    end(process)
    assert holder(path) is None
    with hold(path):
        pass


def test_the_second_holder_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with hold(path):
        with pytest.raises(StoreHeld, match=str(os.getpid())), hold(path):
            pass
        assert holder(path) == str(os.getpid())  # the refused one took nothing away


def test_asking_who_holds_it_hinders_nobody(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert holder(path) is None
    with hold(path):
        pass
    assert holder(path) is None
    with hold(path):
        pass


def test_it_is_let_go_when_the_block_raises(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with pytest.raises(ZeroDivisionError), hold(path):
        raise ZeroDivisionError
    assert holder(path) is None


def test_a_link_to_a_store_leads_to_the_same_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "store.db", tmp_path / "link.db"
    link.symlink_to(path)
    with hold(path):
        assert holder(link) == str(os.getpid())
        with pytest.raises(StoreHeld), hold(link):
            pass


def test_each_store_has_its_own_lock(tmp_path: Path) -> None:
    with hold(tmp_path / "a.db"), hold(tmp_path / "b.db"):
        pass


def test_a_store_in_memory_is_held_by_everybody() -> None:
    with hold(None), hold(None):
        assert holder(None) is None


def test_a_lock_that_cannot_be_written_says_what_alertd_needs(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    (tmp_path / "store.db.lock").mkdir()
    with pytest.raises(StoreError, match="alertd needs to write the store's folder"), hold(path):
        pass
