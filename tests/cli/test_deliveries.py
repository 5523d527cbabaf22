"""`alertd deliveries`, as a process over a store in which messages died and wait."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alertd.clock import HOUR, MINUTE, SystemClock, iso
from alertd.facts import Kind, Level
from alertd.notice import to_json
from alertd.notices.incidents import Incident, save_incident
from alertd.store.database import open_database
from alertd.store.lock import hold
from alertd.store.tables import deliveries, notices
from alertd.testing import a_notice
from tests.cli.shell import ALERTD, PATIENCE, Ran, alertd, environment

BEGUN = SystemClock().now() - HOUR

# incident, kind, receiver, via, state, error
ROWS: tuple[tuple[int | None, Kind, str, str, str, str | None], ...] = (
    (1, Kind.OPENED, "team", "team", "dead", "channel_not_found"),  # of an incident that is over
    (2, Kind.OPENED, "team", "mail", "dead", "channel_not_found; then mail: no such host"),
    (2, Kind.OPENED, "lead", "lead", "queued", "no connection"),
    (2, Kind.OPENED, "boss", "boss", "sent", None),
    (2, Kind.CHANGED, "boss", "boss", "sending", None),
    (None, Kind.REPORT, "team", "team", "sent", "1 of 2 addresses was refused"),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store; incident 1 is over, 2 goes on."""
    with closing(open_database(f"sqlite:///{tmp_path / 'alertd.db'}")) as database, database.write() as transaction:
        for closed in (BEGUN + MINUTE, None):
            save_incident(transaction, Incident("slow", BEGUN, Level.WARNING, Level.WARNING, closed_at=closed))
        for row in ROWS:
            notice = a_notice(incident=row[0], kind=row[1])
            values = {"incident": row[0], "kind": row[1].value, "at": BEGUN, "body": to_json(notice)}
            key = transaction.execute(sa.insert(notices), values).inserted_primary_key
            transaction.execute(sa.insert(deliveries), delivery(row) | {"notice": key[0] if key else 0})
    return tmp_path


def delivery(row: tuple[int | None, Kind, str, str, str, str | None]) -> dict[str, Any]:
    incident, kind, receiver, via, state, error = row
    values = {"incident": incident, "kind": kind.value, "receiver": receiver, "via": via, "state": state, "error": error}
    times = {"queued_at": BEGUN, "due_at": SystemClock().now() + HOUR, "sent_at": BEGUN if state == "sent" else None}
    return values | times | {"key": f"{row}", "attempts": 7, "ambiguous": False, "urgent": False}


def say(folder: Path, *arguments: str) -> Ran:
    return alertd(folder, "deliveries", *arguments, LOGNAME="grace")


def states(folder: Path) -> list[tuple[str, str, int]]:
    """State, way and attempts of each delivery."""
    with closing(open_database(f"sqlite:///{folder / 'alertd.db'}")) as database, database.read() as transaction:
        columns = (deliveries.c.state, deliveries.c.via, deliveries.c.attempts)
        return [tuple(row) for row in transaction.execute(sa.select(*columns).order_by(deliveries.c.id))]


def test_what_needs_somebody_is_listed_with_what_is_wrong(folder: Path) -> None:
    ran = say(folder, "list")
    assert (ran.code, ran.err) == (0, "")
    since = f"since {iso(BEGUN)}, 7 attempts"
    lines = ran.out.splitlines()
    assert lines[0] == f"5          sending  changed slow to boss, incident 2 {since}"
    assert re.fullmatch(f"3          queued   opened slow to lead, incident 2 {since}, next 2.*Z: no connection", lines[1])
    assert lines[2:] == [
        f"2          dead     opened slow to team (in its place mail), incident 2 {since}: {ROWS[1][5]}",
        f"1          dead     opened slow to team, incident 1 {since}: channel_not_found",
    ]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("--dead",), [2, 1]),
        (("--queued",), [5, 3]),
        (("--sent",), [6, 4]),
        (("--all",), [6, 5, 4, 3, 2, 1]),
        (("--all", "--receiver", "mail"), [2]),
        (("--all", "--rule", "slow", "--limit", "1"), [6]),
        (("--all", "--rule", "fast"), []),
    ],
)
def test_others_are_listed_when_they_are_asked_for(words: tuple[str, ...], numbers: list[int], folder: Path) -> None:
    found = say(folder, "list", *words, "--json").json
    assert [each["delivery"] for each in found["deliveries"]] == numbers
    assert found["total"] == (6 if "--limit" in words else len(numbers))


def test_what_was_sent_all_the_same_says_what_was_wrong_with_it(folder: Path) -> None:
    ran = say(folder, "list", "--sent", "--limit", "1")
    assert ran.out == f"6          sent     report slow to team at {iso(BEGUN)}: 1 of 2 addresses was refused\n"
    assert ran.err == "and 1 older ones; see more with --limit\n"
    status = alertd(folder, "status").out
    assert "  sent, but  report to team: 1 of 2 addresses was refused" in status
    assert "2 dead; `alertd deliveries list` shows them" in status


def test_where_nothing_is_wrong_it_says_so(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'alertd.db'}").close()
    ran = say(tmp_path, "list")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "No delivery needs anybody: none is dead, none fails, none has waited for long.\n"
    assert say(tmp_path, "list", "--dead").err == "No delivery matches.\n"
    assert say(tmp_path, "retry", "--all").err == "There is nothing to be tried again.\n"


def test_those_that_are_of_use_are_tried_again_and_the_others_say_why_not(folder: Path) -> None:
    ran = say(folder, "retry", "--all")
    assert ran.code == 0
    assert ran.out.splitlines() == [
        "delivery 2 (opened slow to team, incident 2): queued to be sent now",
        "delivery 3 (opened slow to lead, incident 2): queued to be sent now",
    ]
    over = f"its incident is over since {iso(BEGUN + MINUTE)}, and no message of the end would follow"
    assert ran.err.splitlines() == [
        f"not tried again: 1: {over}",
        "not tried again: 5: it is being sent at this moment; look again in a minute",
        "No daemon runs on this store; they are sent when one does.",
    ]
    assert states(folder)[:3] == [("dead", "team", 7), ("queued", "team", 0), ("queued", "lead", 0)]


def test_what_was_named_and_cannot_be_tried_is_a_finding(folder: Path) -> None:
    with hold(folder / "alertd.db"):
        ran = say(folder, "retry", "1", "2", "--json")
    assert (ran.code, ran.err) == (1, "")
    assert [(each["delivery"], each["state"], each["attempts"], each["along"]) for each in ran.json["queued"]] == [
        (2, "queued", 0, False)
    ]
    assert [(each["delivery"], each["reason"][:23]) for each in ran.json["left"]] == [(1, "its incident is over si")]


@pytest.mark.parametrize("verb", ["retry", "drop"])
def test_a_number_that_is_not_there_changes_nothing_and_names_those_that_are(folder: Path, verb: str) -> None:
    before = states(folder)
    for wrong in ("99", "99999999999999999999"):
        ran = say(folder, verb, "2", wrong)
        assert (ran.code, ran.out) == (2, "")
        are = "5 (slow), 3 (slow), 2 (slow), 1 (slow)"
        assert ran.err == f"alertd: there is no delivery {wrong}; those that need somebody: {are}\n"
    assert states(folder) == before


def test_what_is_given_up_is_dead_and_nothing_complains_about_it(folder: Path) -> None:
    ran = say(folder, "drop", "1", "2", "3", "--comment", "nobody\nreads it")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "delivery 1 (opened slow to team, incident 1): given up"
    assert [state for state, *_ in states(folder)[:3]] == ["dead"] * 3
    (found,) = say(folder, "list", "--dead", "--receiver", "lead", "--json").json["deliveries"]
    assert (found["error"], found["given_up"]) == ("given up by grace: nobody reads it (it had failed: no connection)", True)
    assert "outbox    1 to send, 0 dead\n" in alertd(folder, "status").out
    assert "delivery 5" not in say(folder, "list").out


def test_what_is_being_sent_is_never_touched(folder: Path) -> None:
    ran = say(folder, "drop", "5", "--json")
    assert (ran.code, ran.json["given_up"]) == (1, [])
    assert ran.json["left"][0]["reason"] == "it is being sent at this moment; look again in a minute"
    assert states(folder)[4] == ("sending", "boss", 7)


def test_all_of_a_receiver_are_given_up_only_if_that_is_meant(folder: Path) -> None:
    before = states(folder)
    ran = say(folder, "drop", "--all", "--receiver", "team")
    assert (ran.code, ran.err) == (2, "alertd: this would give up 2 messages to team; say --yes if that is meant\n")
    assert states(folder) == before
    assert say(folder, "drop", "--all", "--receiver", "team", "--yes").code == 0
    assert say(folder, "drop", "--all", "--receiver", "team").err == "There is nothing to be given up.\n"


@pytest.mark.parametrize(("answer", "given_up"), [("y", True), ("n", False), ("", False)])
def test_whoever_sits_at_a_terminal_is_asked(answer: str, given_up: bool, folder: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*ALERTD, "deliveries", "drop", "--all", "--receiver", "lead"]
    os.write(ours, f"{answer}\n".encode())
    done = subprocess.run(
        command, cwd=folder, env=environment(folder, {"LOGNAME": "grace"}), stdin=theirs, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    for each in (ours, theirs):
        os.close(each)
    assert done.stderr.startswith("Give up 1 messages to lead? [y/N] ")
    assert (done.returncode, states(folder)[2][0]) == ((0, "dead") if given_up else (1, "queued"))
    assert done.stdout == ("delivery 3 (opened slow to lead, incident 2): given up\n" if given_up else "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "--dead", "--sent"), "say one of --dead, --queued, --sent and --all, or none of them"),
        (("retry",), "name deliveries by their numbers, or say --all; `alertd deliveries list` shows them"),
        (("retry", "--receiver", "team"), "name deliveries by their numbers, or say --all"),
        (("drop", "1", "--all"), "name deliveries by their numbers, or say --all, with --receiver if only one receiver's"),
        (("drop", "--all"), "--all gives up what a receiver has not got; say which with --receiver"),
        (("drop", "1", "--by", " "), "it is not known who you are; say it with --by NAME"),
    ],
)
def test_wrong_use_says_what_is_right(words: tuple[str, ...], said: str, folder: Path) -> None:
    before = states(folder)
    ran = say(folder, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert states(folder) == before


def test_without_a_store_none_is_made(tmp_path: Path) -> None:
    for verb in (("list",), ("retry", "1"), ("drop", "1")):
        ran = say(tmp_path, *verb)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("alertd: there is no store at alertd.db; no daemon has run here yet")
    assert not list(tmp_path.iterdir())
