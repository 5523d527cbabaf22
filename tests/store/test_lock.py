"""One daemon at a time holds a store, and its lock ends with it however it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from alertd.errors import StoreError, StoreHeld
from alertd.store.database import open_database, path_of
from alertd.store.lock import hold, holder
from alertd.store.postgresql import Server
from tests import postgresql

SOCKET = ".s.PGSQL.5432"

HOLD = """
import sys
from alertd.store.database import path_of
from alertd.store.lock import hold
with hold(path_of(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(url: str) -> Path | Server:
    found = path_of(url)
    assert found is not None
    return found


def another(url: str) -> subprocess.Popen[str]:
    """A process that holds the store."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate()


def wait_until_free(place: Path | Server | None) -> None:
    """The system frees a file at once; a server first has to notice that nobody is there any more."""
    while holder(place) is not None:
        time.sleep(0.01)


def named(number: int, place: Path | Server) -> str:
    """A process as its lock names it: of a server's users also where they are."""
    return f"{number} on {os.uname().nodename}" if isinstance(place, Server) else str(number)


def test_a_second_holder_is_told_which_process_is_the_first(url: str, place: Path | Server) -> None:
    process = another(url)
    first = named(process.pid, place)
    said = rf"another daemon \(process {first}\) holds {re.escape(str(place))}; stop it, or give this one its own"
    with pytest.raises(StoreHeld, match=said), hold(place):
        pass
    assert holder(place) == first
    end(process)
    wait_until_free(place)
    with hold(place):
        assert holder(place) == named(os.getpid(), place)
    wait_until_free(place)


def test_the_lock_goes_with_a_killed_process(url: str, place: Path | Server) -> None:
    process = another(url)
    process.send_signal(signal.SIGKILL)
    end(process)
    wait_until_free(place)
    with hold(place):
        pass


def test_the_second_holder_in_the_same_process_is_refused_too(place: Path | Server) -> None:
    with hold(place):
        with pytest.raises(StoreHeld, match=str(os.getpid())), hold(place):
            pass
        assert holder(place) == named(os.getpid(), place)  # the refused one took nothing away


def test_asking_who_holds_it_hinders_nobody(place: Path | Server) -> None:
    assert holder(place) is None
    for _ in range(2):
        with hold(place):
            pass
        wait_until_free(place)


def test_it_is_let_go_when_the_block_raises(place: Path | Server) -> None:
    with pytest.raises(ZeroDivisionError), hold(place):
        raise ZeroDivisionError
    wait_until_free(place)


def test_each_store_has_its_own_lock(url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("server") if url.startswith("postgresql") else None
    other = server.new_store() if server else f"sqlite:///{tmp_path}/other.db"
    with hold(path_of(url)), hold(path_of(other)):
        pass


def test_who_writes_does_not_hinder_a_daemon_nor_the_other_way_round(url: str, place: Path | Server) -> None:
    database = open_database(url)
    with database.write(), hold(place):
        pass
    with hold(place), database.write():
        pass
    database.close()


def test_a_server_that_stops_meanwhile_takes_the_lock_along_and_says_so_to_the_next_one(server: postgresql.Server) -> None:
    place = path_of(server.new_store())
    try:
        with hold(place):
            server.stop()
        with pytest.raises(StoreError, match="check that the server runs"), hold(place):
            pass
        with pytest.raises(StoreError, match="check that the server runs"):
            holder(place)
    finally:
        server.start()
    with hold(place):
        pass


def test_a_store_in_memory_is_held_by_everybody() -> None:
    with hold(None), hold(None):
        assert holder(None) is None


def test_a_lock_that_cannot_be_written_says_what_alertd_needs(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    (tmp_path / "store.db.lock").mkdir()
    with pytest.raises(StoreError, match="alertd needs to write the store's folder"), hold(path):
        pass


def test_a_link_to_a_store_leads_to_the_same_lock(tmp_path: Path) -> None:
    path, link = tmp_path / "store.db", tmp_path / "link.db"
    link.symlink_to(path)
    with hold(path):
        assert holder(link) == str(os.getpid())
        with pytest.raises(StoreHeld), hold(link):
            pass


def lose(server: postgresql.Server) -> None:
    """End the connection that holds a store, as the server's administrator or a network may."""
    ours = "starts_with(application_name, 'alertd daemon:')"
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")


def test_a_look_at_a_lock_that_is_held_changes_nothing(place: Path | Server) -> None:
    with hold(place) as lock:
        for _ in range(3):
            lock.look()
        assert holder(place) == named(os.getpid(), place)


def test_a_holder_whose_connection_is_lost_takes_the_store_again(
    server: postgresql.Server, capsys: pytest.CaptureFixture[str]
) -> None:
    place = path_of(server.new_store())
    with hold(place) as lock:
        lose(server)
        wait_until_free(place)
        lock.look()
        assert holder(place) == f"{os.getpid()} on {os.uname().nodename}"
        lock.look()
    assert capsys.readouterr().out.count("the connection that held the store was lost") == 1
    wait_until_free(place)


def test_a_holder_whose_connection_is_lost_learns_who_has_the_store_since(server: postgresql.Server) -> None:
    url = server.new_store()
    place = path_of(url)
    with hold(place) as lock:
        lose(server)
        wait_until_free(place)
        process = another(url)
        for _ in range(2):  # however often it asks
            with pytest.raises(StoreHeld, match=rf"lost for a moment, and now another daemon \(process {process.pid} on "):
                lock.look()
        end(process)
        wait_until_free(place)
    with hold(place):
        pass


def test_a_holder_waits_for_a_server_that_is_away_and_has_the_store_when_it_is_back(server: postgresql.Server) -> None:
    place = path_of(server.new_store())
    with hold(place) as lock:
        server.stop()
        try:
            for _ in range(2):
                with pytest.raises(StoreError, match="check that the server runs") as found:
                    lock.look()
                assert not isinstance(found.value, StoreHeld)
        finally:
            server.start()
        lock.look()
        assert holder(place) == f"{os.getpid()} on {os.uname().nodename}"


class Cable:
    """A way to the server that can be cut so that only we notice, as networks can be."""

    def __init__(self, server: postgresql.Server, folder: Path) -> None:
        self._there = str(server.folder / SOCKET)
        self._near, self._far = list[socket.socket](), list[socket.socket]()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / SOCKET))
        self._door.listen()
        threading.Thread(target=self._lay, daemon=True).start()

    def cut(self) -> None:
        for each in self._near:
            each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in (self._door, *self._near, *self._far):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _lay(self) -> None:
        with suppress(OSError):
            while True:
                near, far = self._door.accept()[0], socket.socket(socket.AF_UNIX)
                far.connect(self._there)
                self._near.append(near)
                self._far.append(far)
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=ends, daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(65536):
            target.sendall(content)


def test_a_connection_of_its_own_that_only_the_server_still_believes_in_is_not_another_daemon(
    server: postgresql.Server, tmp_path: Path
) -> None:
    place = path_of(server.new_store().replace(str(server.folder), str(tmp_path)))
    with closing(Cable(server, tmp_path)) as cable, hold(place) as lock:
        lock.look()
        cable.cut()
        for _ in range(2):
            with pytest.raises(StoreError, match="has not noticed yet that this daemon's own connection is lost") as found:
                lock.look()
            assert not isinstance(found.value, StoreHeld)
        lose(server)  # which is how the server notices
        wait_until_free(place)
        lock.look()
        assert holder(place) == f"{os.getpid()} on {os.uname().nodename}"


def test_a_holder_whose_file_was_removed_takes_the_store_again_or_learns_who_has_it(tmp_path: Path) -> None:
    path, url = tmp_path / "store.db", f"sqlite:///{tmp_path}/store.db"
    with hold(path) as lock:
        (tmp_path / "store.db.lock").unlink()
        lock.look()
        assert holder(path) == str(os.getpid())
        (tmp_path / "store.db.lock").unlink()
        process = another(url)
        with pytest.raises(StoreHeld, match=rf"process {process.pid}\)"):
            lock.look()
        end(process)
