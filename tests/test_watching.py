"""What `/readyz` says of the daemon's parts, and that the log has one line for each change and none for what goes on."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from alertd.channels.base import Access
from alertd.clock import HOUR, MINUTE, SECOND, Instant
from alertd.errors import StoreError
from alertd.planning.forecast import Forecast, Terms, forecast
from alertd.reporting.budget import BudgetState
from alertd.store.database import Database, open_database
from alertd.store.tables import deliveries, notices
from alertd.testing import START, FakeChannel, FakeClock, a_rule, a_rulebook
from alertd.troubles import find_lacks, warn_about_receivers
from alertd.watching import Lacks, Watch

REFUSED = "the API refuses the token (401); check ALERTD_REPORTING__TOKEN"


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def broken(watch: Watch, database: Database) -> dict[str, str]:
    return {name: check.text for name, check in watch.checks(database).items() if not check.ok}


def deliver(database: Database, state: str, at: Instant, receiver: str = "team", via: str | None = None) -> None:
    """A delivery in that state, queued and due at that time."""
    with database.write() as transaction:
        known = transaction.scalar(sa.select(sa.func.max(notices.c.id))) or 0
        transaction.execute(sa.insert(notices).values(id=known + 1, kind="opened", at=at, body="{}"))
        values = {
            "notice": known + 1,
            "receiver": receiver,
            "via": via or receiver,
            "kind": "opened",
            "key": "k",
            "attempts": 1,
        }
        times = {"queued_at": at, "due_at": at, "ambiguous": False}
        transaction.execute(sa.insert(deliveries).values(**values, **times, state=state))


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
    deliver(database, "queued", clock.now())
    assert broken(watch, database) == {}
    clock.advance(10 * MINUTE)
    assert broken(watch, database) == {"delivery": "1 to send, the oldest for 10 min"}
    clock.advance(HOUR)
    assert "1 h 10 min" in broken(watch, database)["delivery"]


def test_what_reached_nobody_is_a_trouble_for_an_hour_and_the_text_says_how_it_ends(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    deliver(database, "dead", clock.now())
    deliver(database, "dead", clock.now(), "mail")
    clock.advance(10 * MINUTE)
    assert broken(watch, database) == {
        "delivery": "nothing to send; 2 of the last hour reached nobody, `alertd status` says why; ready again when that is "
        "mended and a later message to mail and team was sent, or in 50 min"
    }
    clock.advance(50 * MINUTE)
    assert broken(watch, database) == {}


def test_it_is_ready_again_once_each_receiver_was_sent_a_later_message(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    deliver(database, "sent", clock.now())
    deliver(database, "dead", clock.now())
    deliver(database, "dead", clock.now(), "mail", via="team")
    deliver(database, "queued", clock.now())
    assert "2 of the last hour" in broken(watch, database)["delivery"]
    deliver(database, "sent", clock.now(), "team")
    assert "1 of the last hour" in broken(watch, database)["delivery"]
    deliver(database, "sent", clock.now(), "mail", via="team")
    assert broken(watch, database) == {}
    deliver(database, "dead", clock.now())
    assert "1 of the last hour" in broken(watch, database)["delivery"]


def lacking(*names: str, fallback: str | None = None) -> Lacks:
    """What is found of receivers `team` and `mail`, of which these lack their secret."""
    channels = {name: FakeChannel() for name in ("team", "mail")}
    for name in names:
        channels[name].taken.lack = "set SECRET"
    return find_lacks(a_rulebook(receivers=channels, fallback=fallback), Access())


def test_a_receiver_that_lacks_something_is_named_and_the_daemon_ready_while_a_fallback_works(database: Database) -> None:
    check = Watch(FakeClock()).checks(database, lacking("team", fallback="mail"))["delivery"]
    expected = "nothing to send; team cannot be used: set SECRET; until then its messages go to mail"
    assert (check.ok, check.text) == (True, expected)


@pytest.mark.parametrize("lacks", [lacking("team"), lacking("team", "mail", fallback="mail"), lacking("mail", fallback="mail")])
def test_where_no_fallback_works_either_the_daemon_is_not_ready(lacks: Lacks, database: Database) -> None:
    check = Watch(FakeClock()).checks(database, lacks)["delivery"]
    assert not check.ok
    assert "cannot be used: set SECRET; until then its messages reach nobody" in check.text


def test_receivers_that_lack_nothing_are_not_worth_a_word(database: Database) -> None:
    check = Watch(FakeClock()).checks(database, lacking(fallback="mail"))["delivery"]
    assert (check.ok, check.text) == (True, "nothing to send")


def test_what_receivers_lack_is_a_line_each_in_the_log() -> None:
    with capture_logs() as logged:
        warn_about_receivers(lacking("team", "mail"))
    assert [(each["receiver"], each["error"]) for each in logged] == [
        ("team", "set SECRET; until then its messages reach nobody"),
        ("mail", "set SECRET; until then its messages reach nobody"),
    ]


def a_budget(**changes: Any) -> BudgetState:
    return BudgetState(**({"calls_per_minute": 60, "reserve": 6, "in_use": 4, "withheld": 0, "blocked_for": 0} | changes))


def a_forecast(mean: float = 10, **changes: Any) -> Forecast:
    return Forecast(**({"rules": 3, "cycle": HOUR, "worst_minute": 20, "mean_per_minute": mean} | changes), **NOTHING)


NOTHING: dict[str, Any] = {"critical_minute": 0, "requests": ()}


@pytest.mark.parametrize(
    ("state", "ok", "text"),
    [
        (a_budget(), True, "50 of 54 calls a minute are free"),
        (a_budget(withheld=20), True, "30 of 54 calls a minute are free; 20 more are out of use since the API refused some"),
        (
            a_budget(withheld=50),
            False,
            "the rules take 10 calls a minute, and since the API refused some only 4 of 54 are in use",
        ),
        (
            a_budget(blocked_for=40 * SECOND),
            False,
            "the API answered that there are too many calls (429): none for another 40 s;",
        ),
    ],
)
def test_the_budget_is_a_part_that_stops_when_the_api_refuses_calls(
    state: BudgetState, ok: bool, text: str, database: Database
) -> None:
    watch = Watch(FakeClock())
    watch.planned(a_forecast())
    check = watch.checks(database, budget=lambda: state)["budget"]
    assert check.ok is ok
    assert check.text.startswith(text)


def test_rules_that_need_more_calls_than_there_are_make_it_unready_and_the_text_says_where_to_look(database: Database) -> None:
    watch, rules = Watch(FakeClock()), [a_rule(id=name, every=MINUTE, by="conversationId") for name in ("a", "b")]
    watch.planned(forecast(rules, terms=Terms(usable=1, latency=HOUR)))
    check = watch.checks(database, budget=a_budget)["budget"]
    assert not check.ok
    assert re.fullmatch(r"\d of 2 rules cannot be checked in time with 1 calls a minute; `alertd plan` says .*", check.text)


def test_calls_that_cannot_be_counted_are_not_said_to_be_free(database: Database) -> None:
    def gone() -> BudgetState:
        raise StoreError("the store cannot be used")

    assert not Watch(FakeClock()).checks(database, budget=gone)["budget"].ok


def test_a_store_that_takes_nothing_is_seen_although_it_can_be_read(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.wrote(None)
    assert watch.checks(database)["store"].text == "last written 2026-11-02T09:00:00Z"
    with capture_logs() as logged:
        for _ in range(3):
            clock.advance(MINUTE)
            watch.wrote(StoreError("the store cannot be used: disk full"))
        assert broken(watch, database) == {
            "store": "nothing could be written since 2026-11-02T09:01:00Z: the store cannot be used: disk full"
        }
        watch.wrote(None)
    assert broken(watch, database) == {}
    assert events(logged) == ["store cannot be written", "store can be written again"]


def test_a_check_that_hangs_is_seen_while_others_go_on(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.begins({"slow": 10 * MINUTE, "daily": 24 * HOUR, "quick": MINUTE})
    watch.ends(["quick"])
    clock.advance(8 * MINUTE)
    watch.expects(clock.now())
    assert broken(watch, database) == {}
    clock.advance(1)
    assert broken(watch, database)["evaluation"].startswith("the check of slow does not come to its end")
    clock.advance(12 * HOUR)
    watch.expects(clock.now())
    assert broken(watch, database)["evaluation"].startswith("the check of daily and 1 more does not")
    watch.ends(["slow", "daily"])
    assert broken(watch, database) == {}


@pytest.mark.parametrize(
    ("part", "longest", "text"),
    [
        (
            "reload",
            2 * MINUTE,
            "the rule files were looked at 2 min ago for the last time: the main thread hangs; restart alertd",
        ),
        ("clock", MINUTE, "the clock was looked at 1 min ago for the last time"),
        ("observation", 4 * MINUTE, "alertd looked at itself 4 min ago for the last time, so nobody is told"),
    ],
)
def test_who_is_not_heard_of_any_more_has_stopped(part: str, longest: int, text: str, database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    assert part not in watch.checks(database)
    watch.beats(part)
    clock.advance(longest)
    assert watch.checks(database)[part].ok
    clock.advance(1)
    assert broken(watch, database)[part].startswith(text)
    watch.beats(part)
    assert broken(watch, database) == {}


def test_history_that_is_not_removed_is_seen(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    assert "pruning" not in watch.checks(database)
    watch.pruned(None)
    clock.advance(26 * HOUR)
    assert broken(watch, database) == {}
    clock.advance(1)
    assert broken(watch, database)["pruning"].startswith(
        "old history was last removed 2026-11-02T09:00:00Z, so the store grows"
    )
    watch.pruned(StoreError("disk full"))
    assert broken(watch, database)["pruning"].endswith("tomorrow again: disk full")


def test_only_what_a_restart_mends_asks_for_one(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.ticked({"a": REFUSED}, 1)
    watch.wrote(StoreError("disk full"))
    watch.reload_failed("wrong")
    watch.beats("reload")
    watch.expects(clock.now() + MINUTE)
    clock.advance(5 * MINUTE)
    assert watch.wedged() is None
    clock.advance(1)
    assert watch.wedged() == "the main thread has hung for 5 min"
    watch.beats("reload")
    clock.advance(MINUTE)
    assert watch.wedged() == "rules should have been checked 5 min ago"
    watch.expects(clock.now())
    assert watch.wedged() is None


def test_a_wall_clock_that_is_set_makes_nobody_late(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.expects(clock.now() + MINUTE)
    clock.set_wall(clock.now() + 9 * HOUR)
    assert broken(watch, database) == {}
    assert watch.wedged() is None


def test_figures_say_what_is_not_known_instead_of_nothing(database: Database) -> None:
    clock = FakeClock()
    watch = Watch(clock)
    before = watch.figures(database)
    assert math.isnan(before["alertd_store_written_timestamp_seconds"])
    assert (before["alertd_outbox_oldest_seconds"], before["alertd_rules_without_evidence"]) == (0, 0)
    assert before["alertd_store_bytes"] > 10_000
    watch.wrote(None)
    watch.beats("reload")
    watch.ticked({"a": REFUSED, "b": None}, 2)
    deliver(database, "queued", clock.now())
    clock.advance(90 * SECOND)
    after = watch.figures(database)
    assert (after["alertd_outbox_oldest_seconds"], after["alertd_rules_without_evidence"]) == (90, 1)
    assert after["alertd_store_written_timestamp_seconds"] == START / SECOND
    assert after["alertd_rulebook_looked_timestamp_seconds"] == START / SECOND


def test_checks_that_wait_for_calls_ask_for_no_restart() -> None:
    clock = FakeClock()
    watch = Watch(clock)
    watch.expects(clock.now())
    watch.begins({"hourly": HOUR})
    clock.advance(6 * MINUTE)
    assert watch.wedged() is None
    clock.advance(HOUR)
    assert watch.wedged() is not None
