"""How the simulation looks at its store: it sees what was committed, once, and a statement can be the last."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from alertd.facts import Kind
from alertd.store.database import Database
from alertd.store.tables import incidents
from alertd.testing.simulation.checks import i5_sent
from alertd.testing.simulation.looking import Look
from alertd.testing.simulation.memory import a_store
from alertd.testing.simulation.violation import Killed


@dataclass
class Deadly:
    """Ends the process at the statement that begins so."""

    at: str = "nothing"
    heard: list[str] = field(default_factory=list)

    def __call__(self, statement: str) -> None:
        self.heard.append(statement)
        if statement.startswith(self.at):
            raise Killed


def open_incident(database: Database, rule: str) -> None:
    with database.write() as transaction:
        values = {"rule": rule, "opened_at": 1, "level": "warning", "worst": "warning"}
        transaction.execute(sa.insert(incidents), values)


def test_a_look_sees_what_was_written_since_the_last_one_and_the_next_look_has_no_news() -> None:
    database, kept = a_store(Deadly())
    look = Look()
    look.again(kept, 0, "boot")
    open_incident(database, "slow")
    look.again(kept, 0, "boot")
    assert [after["rule"] for _, after in look.reopened] == ["slow"]
    look.again(kept, 0, "boot")
    assert look.reopened == []
    assert look.open("slow") is not None


@pytest.mark.parametrize("last", ["BEGIN", "INSERT", "COMMIT"])
def test_of_a_transaction_in_which_the_process_ended_nothing_is_seen_and_the_next_one_finds_no_lock(last: str) -> None:
    deadly = Deadly(last)
    database, kept = a_store(deadly)
    with pytest.raises(Killed):
        open_incident(database, "slow")
    deadly.at = "nothing"
    open_incident(database, "silent")
    look = Look()
    look.again(kept, 0, "boot")
    assert [row["rule"] for row in look.incidents.values()] == ["silent"]


def test_a_kill_lets_go_of_what_is_being_read_whoever_still_holds_the_result() -> None:
    deadly = Deadly()
    database, _ = a_store(deadly)
    open_incident(database, "slow")
    open_incident(database, "silent")
    held = list[object]()
    deadly.at = "COMMIT"
    with pytest.raises(Killed), database.read() as transaction:
        held.append(transaction.execute(sa.select(incidents)))
    deadly.at = "nothing"
    open_incident(database, "waits")


def test_every_statement_is_announced_before_it_runs() -> None:
    deadly = Deadly()
    database, _ = a_store(deadly)
    open_incident(database, "slow")
    assert [each.split()[0] for each in deadly.heard] == ["BEGIN", "INSERT", "COMMIT"]


@pytest.mark.parametrize(("as_what", "wrong"), [(Kind.ESCALATED, False), (Kind.OPENED, False), (Kind.RESOLVED, True)])
def test_late_news_may_be_told_as_the_beginning_that_nobody_heard_of(as_what: Kind, *, wrong: bool) -> None:
    row = {"id": 1, "via": "team", "state": "sent", "told_at": None, "key": "key", "digest": None, "incident": 7}
    found = i5_sent(row, {("team", "key", 7): as_what.value}, Kind.REMINDER.value)
    assert (found is not None) is wrong
