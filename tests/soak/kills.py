"""`alertd run` ended at any instant, again and again, while incidents come and go and messages are on their way."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.cli.shell import Running, until
from tests.soak.account import Account, End
from tests.soak.lane import TOLD, Lane
from tests.soak.trial import Shown

LONGEST = 2.0  # seconds that a daemon lives at most once it is up
STARTING = 4  # one of so many is ended before that
LATEST_STOP = 10.0  # seconds: what containers get before they are killed
DRAINED = 900.0  # seconds: a limit for what never ends

_UP = '"event": "running"'
_MOST = 60  # calls that the API takes in a minute


def kills(folder: Path, small: bool) -> Shown:
    """Killed with -9: nothing is lost, and a kill repeats no more than what was being sent."""
    lanes, each = (1, 8) if small else (4, 250)
    found = _side_by_side(folder, lanes, each, _kill)
    return Shown(f"`alertd run` killed with -9, {lanes} side by side", _figures(found, "kills"))


def stops(folder: Path, small: bool) -> Shown:
    """Told to end by SIGTERM: it does in time, nothing is lost, and nothing repeated."""
    lanes, each = (1, 5) if small else (4, 50)
    found = _side_by_side(folder, lanes, each, _stop)
    assert not sum(lane.account.repeats() for lane in found), "something was repeated after a stop"
    return Shown(f"`alertd run` told to end by SIGTERM, {lanes} side by side", _figures(found, "stops"))


@dataclass(frozen=True)
class Found:
    """What one lane came to."""

    account: Account
    starting: int
    look_ups: int
    most_calls: int


def _side_by_side(folder: Path, lanes: int, each: int, end: Callable[[Running], None]) -> Sequence[Found]:
    """So many ends in each of so many lanes."""
    with ThreadPoolExecutor(lanes) as pool:
        begun = [pool.submit(_run, folder / f"lane-{seed}", seed, each, end) for seed in range(1, lanes + 1)]
        return [lane.result() for lane in begun]


def _run(folder: Path, seed: int, ends: int, end: Callable[[Running], None]) -> Found:
    folder.mkdir()
    lane = Lane(folder, seed)
    try:
        lane.open()
        return _lane(lane, ends, end)
    except AssertionError as broken:
        raise AssertionError(f"seed {seed}: {broken}") from broken
    finally:
        lane.close()


def _lane(lane: Lane, ends: int, end: Callable[[Running], None]) -> Found:
    """One daemon after the other; the last one may bring all to its end."""
    dice, starting, found, committed = Random(f"{lane.seed} lives"), 0, list[End](), set[tuple[object, ...]]()
    with lane.visitors():
        for number in range(ends):
            daemon = _live(lane, dice, starting=number % STARTING == 1)
            if number == 0:
                until(lambda: lane.rows_of("SELECT 1 FROM deliveries"), "something to tell")
            starting += _UP not in daemon.text
            end(daemon)
            store = lane.stored()
            found.append(store.end())
            committed |= store.names()
    _drain(lane)
    account = Account(found, frozenset(committed), lane.stored(), lane.taken(), TOLD)
    _check(lane, account)
    return Found(account, starting, lane.look_ups(), lane.calls()[0])


def _live(lane: Lane, dice: Random, *, starting: bool) -> Running:
    """A daemon at a random instant of its life, or of its start."""
    if starting:
        daemon = lane.begin()
        time.sleep(dice.uniform(0, lane.startup))
    else:
        daemon = lane.start()
        time.sleep(dice.uniform(0, LONGEST))
    return daemon


def _kill(daemon: Running) -> None:
    daemon.signal(signal.SIGKILL)
    code = daemon.end()
    assert code == -signal.SIGKILL, f"it had ended by itself, with {code}:\n{daemon.text}"


def _stop(daemon: Running) -> None:
    begun = time.monotonic()
    daemon.signal(signal.SIGTERM)
    code, took = daemon.end(), time.monotonic() - begun
    # Before it listens to signals there is nothing that it could put in order.
    assert code == 0 or (code == -signal.SIGTERM and not daemon.text), f"ended with {code}:\n{daemon.text}"
    assert took < LATEST_STOP, f"took {took:.1f} s to end:\n{daemon.text}"


def _drain(lane: Lane) -> None:
    """Let one daemon bring all to its end, and stop it."""
    daemon = lane.start()
    left = "SELECT (SELECT count(*) FROM incidents WHERE closed_at IS NULL), count(*) FROM deliveries WHERE state <> 'sent'"
    until(lambda: lane.rows_of(left) == [(0, 0)], "all incidents over and all told", DRAINED)
    _stop(daemon)


def _check(lane: Lane, account: Account) -> None:
    most, refused = lane.calls()
    problems = [*account.lost(), *account.crooked(), *account.excessive(), *lane.complaints()]
    if most > _MOST or refused:
        problems.append(f"{most} calls arrived in one minute, {refused} were refused with 429")
    assert not problems, "\n".join([f"{len(problems)} problems after {len(account.ends)} ends:", *problems[:20]])


def _figures(found: Sequence[Found], ends: str) -> dict[str, int]:
    """What all lanes came to together."""
    accounts = [each.account for each in found]
    sending = [end.messages for account in accounts for end in account.ends]
    return {
        ends: len(sending),
        "of them while starting": sum(each.starting for each in found),
        "deliveries": sum(len(account.last.rows) for account in accounts),
        "stories": sum(len(account.last.stories()) for account in accounts),
        "messages": sum(len(account.taken) for account in accounts),
        "lost": sum(len(account.lost()) for account in accounts),
        "out of order": sum(len(account.crooked()) for account in accounts),
        "being sent at an end": sum(sending),
        "of them repeated": sum(account.repeats() for account in accounts),
        "look-ups in Slack": sum(each.look_ups for each in found),
        "most calls in a minute": max(each.most_calls for each in found),
    }
