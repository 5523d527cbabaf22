"""History older than the retention goes; what is still going on, or still to be told, stays."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from alertd.clock import DAY, Instant
from alertd.store.database import Database
from alertd.store.pruning import prune
from alertd.store.tables import alerts, decisions, deliveries, incidents, notices, rules, silences
from alertd.testing import START

OLD, BEFORE, NEW = START - 100 * DAY, START - 90 * DAY, START - DAY


def count(database: Database, table: sa.Table) -> int:
    with database.read() as transaction:
        return transaction.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def decide(database: Database, last_at: Instant, *, rule: str = "slow", group: str = "", times: int = 1) -> None:
    row = {
        "rule": rule, "group": group, "first_at": last_at, "last_at": last_at, "evaluations": 1, "evidence": "ok",
        "level": "ok", "state": "inactive", "change": "within the limit", "conversations": 1, "entered": 1,
        "window_start": 0, "window_end": last_at, "reason": "",
    }  # fmt: skip
    with database.write() as transaction:
        transaction.execute(sa.insert(decisions), [row] * times)


def a_key(transaction: sa.Connection, table: sa.Table, row: dict[str, object]) -> int:
    """Write a row; its number."""
    key = transaction.execute(sa.insert(table).values(row)).inserted_primary_key
    assert key is not None
    return int(key[0])


def an_incident(database: Database, closed_at: Instant | None, *states: str) -> None:
    row = {"rule": "slow", "opened_at": OLD, "closed_at": closed_at, "level": "warning", "worst": "warning"}
    with database.write() as transaction:
        number = a_key(transaction, incidents, row)
        for state in states:
            a_delivery(transaction, number, OLD, state)


def a_delivery(transaction: sa.Connection, incident: int | None, at: Instant, state: str) -> None:
    notice: dict[str, object] = {"incident": incident, "kind": "opened", "at": at, "body": "{}"}
    told: dict[str, object] = {
        "notice": a_key(transaction, notices, notice), "incident": incident,
        "receiver": "team", "via": "team", "kind": "opened", "key": "k", "state": state, "attempts": 1,
        "queued_at": OLD, "due_at": OLD, "ambiguous": False,
    }  # fmt: skip
    transaction.execute(sa.insert(deliveries).values(told))


def test_old_decisions_go_and_new_ones_stay(database: Database) -> None:
    decide(database, OLD, times=3)
    decide(database, NEW, times=2)
    assert prune(database, BEFORE) == 3
    assert count(database, decisions) == 2


def test_the_newest_decision_of_each_group_stays_for_ever(database: Database) -> None:
    for group in ("", "lastAgentId=1", "lastAgentId=2"):
        decide(database, OLD, group=group, times=2)
    decide(database, OLD, rule="other")
    assert prune(database, BEFORE) == 3
    assert count(database, decisions) == 4
    assert prune(database, BEFORE) == 0


def test_of_single_conversations_only_the_newest_decision_of_the_rule_stays(database: Database) -> None:
    for number in range(5):
        decide(database, OLD, group=f"conversationId={number}")
    assert prune(database, BEFORE) == 4
    assert count(database, decisions) == 1


def test_more_than_one_batch_goes(database: Database) -> None:
    decide(database, OLD, times=2_501)
    assert prune(database, BEFORE) == 2_500


def test_a_closed_incident_goes_with_its_notices_and_deliveries(database: Database) -> None:
    an_incident(database, OLD, "sent", "dead")
    an_incident(database, NEW, "sent")
    assert prune(database, BEFORE) == 1
    assert [count(database, each) for each in (incidents, notices, deliveries)] == [1, 1, 1]


def test_an_open_incident_stays_however_old(database: Database) -> None:
    an_incident(database, None, "sent")
    assert prune(database, BEFORE) == 0
    assert count(database, incidents) == 1


@pytest.mark.parametrize("state", ["queued", "sending"])
def test_an_incident_of_which_something_is_still_to_be_sent_stays(database: Database, state: str) -> None:
    an_incident(database, OLD, "sent", state)
    assert prune(database, BEFORE) == 0
    assert count(database, deliveries) == 2


def test_a_report_goes_by_its_age_once_it_is_sent(database: Database) -> None:
    with database.write() as transaction:
        for at, state in ((OLD, "sent"), (OLD, "dead"), (OLD, "queued"), (OLD, "sending"), (NEW, "sent")):
            a_delivery(transaction, None, at, state)
    assert prune(database, BEFORE) == 2
    assert [count(database, each) for each in (notices, deliveries)] == [3, 3]


def test_a_report_that_is_still_to_be_sent_keeps_no_incident(database: Database) -> None:
    an_incident(database, OLD, "sent")
    with database.write() as transaction:
        a_delivery(transaction, None, OLD, "queued")
    assert prune(database, BEFORE) == 1
    assert count(database, incidents) == 0


def test_silences_go_when_they_have_been_over_for_long(database: Database) -> None:
    row = {"labels": {}, "author": "Ana", "comment": "", "from": OLD}
    with database.write() as transaction:
        transaction.execute(sa.insert(silences), [row | {"until": until} for until in (OLD + DAY, NEW, NEW + 10 * DAY)])
    assert prune(database, BEFORE) == 1
    assert count(database, silences) == 2


def test_what_a_rule_stands_at_is_never_pruned(database: Database) -> None:
    with database.write() as transaction:
        transaction.execute(
            sa.insert(rules).values(rule="slow", due_at=OLD, as_of=OLD, question="", evidence="ok", reason="", missed=0)
        )
        alert = {"rule": "slow", "group": "", "state": "firing", "level": "warning", "held": 0, "cleared": 0, "unseen": 0}
        transaction.execute(
            sa.insert(alerts).values(alert | {"conversations": 1, "examples": [], "since": OLD, "judged_at": OLD})
        )
    assert prune(database, BEFORE) == 0
    assert (count(database, rules), count(database, alerts)) == (1, 1)


def test_an_empty_store_has_nothing_to_forget(database: Database) -> None:
    assert prune(database, BEFORE) == 0
