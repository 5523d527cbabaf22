"""The store's file is damaged between two runs or during one, or it is gone."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.cli.shell import Running, alertd, until
from tests.soak.machine import Machine, on_machine
from tests.soak.trial import Shown

_PAGE = 4096
_FLIPS, _CUTS, _PAGES = 60, 12, 12
_NOTICED = 60.0  # seconds at most until a file that is gone is missed

_Hurt = Callable[[bytes, random.Random], bytes]


def damage(folder: Path, small: bool) -> Shown:
    """It goes on with what is left or with a new store, says what was lost, once, keeps the old file, and never loops."""
    chance, came, slowest = random.Random(7), Counter[str](), 0.0
    hurts = _hurts(small)
    with on_machine(folder / "damage") as stage:
        sound = _lived(stage)
        for name, hurt in hurts:
            outcome, seconds = _again(stage, name, hurt(sound, chance))
            came[outcome] += 1
            slowest = max(slowest, seconds)
        _something_else(stage)
        noticed = [_while_it_runs(stage, sound, what) for what in (_delete, *(() if small else (_replace, _trample)))]
    took = {"seconds until it runs, at most": round(slowest, 1), "until a file gone is noticed": round(max(noticed), 1)}
    return Shown("bits flipped, cut off, overwritten, header zeroed; another file; deleted while it runs", {**came, **took})


def _hurts(small: bool) -> list[tuple[str, _Hurt]]:
    few: list[tuple[str, _Hurt]] = [("cut off", _cut), ("header zeroed", _zero)]
    if small:
        return few
    return [*few, *[("bit flipped", _flip)] * _FLIPS, *[("cut off", _cut)] * _CUTS, *[("overwritten", _overwrite)] * _PAGES]


def _flip(whole: bytes, chance: random.Random) -> bytes:
    at, bit = chance.randrange(16, len(whole)), chance.randrange(8)  # not in the name of the format
    return whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :]


def _cut(whole: bytes, chance: random.Random) -> bytes:
    return whole[: _PAGE * chance.randrange(1, len(whole) // _PAGE)]


def _overwrite(whole: bytes, chance: random.Random) -> bytes:
    at = _PAGE * chance.randrange(1, len(whole) // _PAGE)
    return whole[:at] + b"\xff" * _PAGE + whole[at + _PAGE :]


def _zero(whole: bytes, _chance: random.Random) -> bytes:
    return bytes(100) + whole[100:]


def _lived(stage: Machine) -> bytes:
    """A store with a story in it that goes on; and nobody may read it but its owner."""
    daemon = stage.start()
    stage.rows.somebody_waits()
    stage.told("opened")
    _stop(daemon)
    store = stage.folder / "alertd.db"
    assert store.stat().st_mode & 0o777 == 0o600
    return store.read_bytes()


def _again(stage: Machine, name: str, store: bytes) -> tuple[str, float]:
    """What becomes of that store, and how long until rules are checked."""
    _put(stage, store, journal=b"garbage" * 1000)
    mails, begun, starts = len(stage.mailbox.mails), time.monotonic(), 1
    daemon = _started(stage)
    while not _up(stage, daemon):  # whatever a check of the file cannot see ends a run, and the next one moves it aside
        assert daemon.end() == 1, f"{name}: {daemon.text}"
        starts += 1
        assert starts <= 2, f"{name}: it does not come up\n{daemon.text}"
        daemon = _started(stage)
    seconds = time.monotonic() - begun
    aside = list(stage.folder.glob("alertd.db.damaged-*Z"))
    assert len(aside) == daemon.text.count('"the store was lost, a new one begins"') <= 1, daemon.text
    if aside:
        assert starts > 1 or aside[0].read_bytes() == store, f"{name}: the old file is not as it was"
        until(lambda: len(stage.mailbox.mails) > mails, "what was lost, by mail")
        news = [each for each in stage.mailbox.mails[mails:] if "lost its store" in each.text]
        assert len(news) == 1
        assert aside[0].name in news[0].text
    _stop(daemon)
    assert "Traceback" not in daemon.text, f"{name}: {daemon.text}"
    return ("moved aside and told of" if aside else "went on with what is left"), seconds


def _started(stage: Machine) -> Running:
    """A daemon that runs, or has ended instead."""
    daemon = Running(stage.folder, "run", **stage.variables)
    stage._daemons.append(daemon)
    until(lambda: daemon.process.poll() is not None or '"event": "running"' in daemon.text, "running")
    return daemon


def _up(stage: Machine, daemon: Running) -> bool:
    """Wait until it has judged a rule, or has ended."""
    before = "alertd_evaluations_total"

    def look() -> str | None:
        if daemon.process.poll() is not None:
            return "ended"
        return "up" if stage.figure(daemon, before) else None

    return until(look, "a rule judged") == "up"


def _something_else(stage: Machine) -> None:
    """A file that was never a store stays as it is, and a daemon says so; other verbs move nothing either."""
    path, text = stage.folder / "alertd.db", b"rules:\n" * 1000
    _put(stage, text)
    ran = alertd(stage.folder, "run", **stage.variables)
    assert ran.code == 2, ran
    assert "alertd.db is no store of alertd, and is left as it is" in ran.err
    assert path.read_bytes() == text
    _put(stage, bytes(_PAGE) + text)
    ran = alertd(stage.folder, "status", **stage.variables)
    assert ran.code == 2, ran
    assert "Traceback" not in ran.err
    assert path.read_bytes() == bytes(_PAGE) + text


def _while_it_runs(stage: Machine, sound: bytes, what: Callable[[Path, bytes], None]) -> float:
    """The file changes under a daemon: it ends with 1, and the next one goes on; the seconds until it was noticed."""
    _put(stage, sound)
    daemon = stage.start()
    assert _up(stage, daemon)
    what(stage.folder / "alertd.db", sound)
    begun = time.monotonic()
    assert daemon.end(_NOTICED) == 1, daemon.text
    noticed = time.monotonic() - begun
    assert len(stage.lines(daemon, "the store is lost")) == 1, daemon.text
    daemon = stage.start()
    assert "the store was lost" in daemon.text or what is _replace
    assert _up(stage, daemon)
    _stop(daemon)
    return noticed


def _delete(path: Path, _sound: bytes) -> None:
    path.unlink()


def _replace(path: Path, sound: bytes) -> None:
    other = path.with_name("other")
    other.write_bytes(sound)
    other.replace(path)


def _trample(path: Path, sound: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(_PAGE)
        file.write(b"\xff" * (len(sound) - _PAGE))


def _put(stage: Machine, store: bytes, journal: bytes | None = None) -> None:
    for each in stage.folder.glob("alertd.db*"):
        if not each.name.endswith(".lock"):
            each.unlink()
    (stage.folder / "alertd.db").write_bytes(store)
    if journal is not None:
        (stage.folder / "alertd.db-journal").write_bytes(journal)


def _stop(daemon: Running) -> None:
    daemon.signal(signal.SIGTERM)
    assert daemon.end() == 0, daemon.text
