"""What `/readyz` says of the daemon's parts, and that the log has one line for each change and none for what goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pytest
from structlog.testing import capture_logs

from alertd.clock import HOUR, MINUTE, SECOND
from alertd.errors import StoreError
from alertd.store.database import Database, open_database
from alertd.testing import FakeClock
from alertd.watching import Watch

REFUSED = "the API refuses the token (401); check ALERTD_REPORTING__TOKEN"


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def broken(watch: Watch, database: Database) -> dict[str, str]:
    return {name: check.text for name, check in watch.checks(database).items() if not check.ok}


def events(logged: Iterable[Mapping[str, object]]) -> list[object]:
    return [each["event"] for each in logged]


def test_before_the_first_check_nothing_is_claimed(database: Database) -> None:
    watch = Watch(FakeClock())
    assert broken(watch, database) == {}
    assert watch.checks(database)["source"].text == "nothing has been asked yet"


def test_a_trouble_is_logged_when_it_begins_and_when_it_ends(database: Database) -> None:
    watch = Watch(FakeClock())
    with capture_logs() as logged:
        for _ in range(3):
            watch.ticked({"a": REFUSED, "b": REFUSED}, 2)
        for _ in range(3):
            watch.ticked({"a": None, "b": None}, 2)
    assert events(logged) == ["rules cannot be judged, nothing changes for them", "all rules are judged again"]
    assert (logged[0]["rules"], logged[0]["reason"]) == (2, REFUSED)


def test_a_rule_that_is_checked_seldom_keeps_its_trouble_while_others_are_checked(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.ticked({"seldom": "the API took too long for the query", "often": None}, 2)
    with capture_logs() as logged:
        watch.ticked({"often": None}, 1)
    assert logged == []
    assert watch.checks(database)["source"].text == "1 of 2 rules: the API took too long for the query"


def test_a_reason_that_differs_in_numbers_only_is_no_change(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.ticked({"a": "too many calls, again in 40 s"}, 1)
    with capture_logs() as logged:
        watch.ticked({"a": "too many calls, again in 30 s"}, 1)
    assert logged == []


def test_one_bad_rule_among_good_ones_does_not_make_the_daemon_unready(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.called("ok")
    watch.called("bad_query")
    watch.ticked({"bad": "the API refused the query", "good": None}, 2)
    assert broken(watch, database) == {}


def test_an_api_that_is_gone_does_before_every_rule_has_noticed(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.ticked({"often": None, "seldom": None}, 2)
    watch.called("unreachable")
    watch.ticked({"often": "api refused the connection"}, 1)
    assert broken(watch, database) == {"source": "1 of 2 rules: api refused the connection"}
    watch.called("ok")
    watch.ticked({"often": None}, 1)
    assert broken(watch, database) == {}


def test_a_removed_rule_takes_its_trouble_along(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.ticked({"gone": REFUSED}, 1)
    watch.reloaded(["new"])
    assert broken(watch, database) == {}


def test_rules_that_were_not_settled_are_counted(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.expects(FakeClock().now())
    watch.ticked({"a": None}, 3)
    assert broken(watch, database) == {"evaluation": "2 of 3 rules could not be settled; the log says why"}
    watch.ticked({"a": None, "b": None, "c": None}, 3)
    assert broken(watch, database) == {}


def test_a_check_that_breaks_off_is_seen_until_one_succeeds_and_logged_once(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.expects(FakeClock().now())
    with capture_logs() as logged:
        for _ in range(3):
            try:
                int("a secret")
            except ValueError as problem:
                watch.broke_off(problem)
    assert events(logged) == ["check broke off"]
    assert broken(watch, database) == {"evaluation": "the last check broke off (ValueError); the log has the details"}
    watch.ticked({"a": None}, 1)
    assert broken(watch, database) == {}


def test_a_tick_that_does_not_come_is_missed_after_half_a_minute(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.expects(clock.now())
    clock.advance(30 * SECOND)
    assert broken(watch, database) == {}
    clock.advance(1)
    assert broken(watch, database)["evaluation"].endswith("and were not; restart alertd")


def test_an_outbox_that_cannot_be_read_is_logged_once_and_seen_until_it_can(database: Database) -> None:
    watch = Watch(FakeClock())
    with capture_logs() as logged:
        for _ in range(3):
            watch.sending_failed(StoreError("the store cannot be used: disk full"))
    assert events(logged) == ["outbox cannot be read"]
    assert broken(watch, database) == {"delivery": "the store cannot be used: disk full"}
    watch.sending_works()
    assert broken(watch, database) == {}


def test_wrong_rule_files_are_seen_until_good_ones_come(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.reload_failed("1 error in 1 file; rules.yaml:3:5")
    assert broken(watch, database)["rulebook"].endswith("the last good ones run: 1 error in 1 file; rules.yaml:3:5")
    watch.reloaded([])
    assert broken(watch, database) == {}


def test_files_that_are_put_back_as_they_were_are_good_again(database: Database) -> None:
    watch = Watch(FakeClock())
    watch.reload_failed("1 error in 1 file; rules.yaml:3:5")
    before = watch.newest_rules_run
    watch.mended()
    assert (before, watch.newest_rules_run, broken(watch, database)) == (False, True, {})


def test_without_rules_no_check_is_missed(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.expects(clock.now())
    watch.expects(None)
    clock.advance(HOUR)
    assert watch.checks(database)["evaluation"].text == "there are no rules"


def test_a_message_that_waits_too_long_is_seen(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    with database.write() as transaction:
        transaction.exec_driver_sql(
            "INSERT INTO incidents (id, rule, opened_at, level, worst) VALUES (1, 'a', 0, 'warning', 'warning')"
        )
        transaction.exec_driver_sql("INSERT INTO notices (id, incident, kind, at, body) VALUES (1, 1, 'opened', 0, '{}')")
        transaction.exec_driver_sql(
            "INSERT INTO deliveries (notice, incident, receiver, via, kind, key, state, attempts, queued_at, due_at, ambiguous)"
            f" VALUES (1, 1, 'team', 'team', 'opened', 'k', 'queued', 0, {clock.now()}, 0, 0)"
        )
    assert broken(watch, database) == {}
    clock.advance(10 * MINUTE)
    assert broken(watch, database) == {"delivery": "1 to send, the oldest for 10 min"}
    clock.advance(HOUR)
    assert "1 h 10 min" in broken(watch, database)["delivery"]
