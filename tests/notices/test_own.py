"""Notices about alertd itself: told once, also over a restart, and once more when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.notice import from_json
from alertd.notices.own import AGAIN, Trouble, guardians, open_causes, report_mended, report_past, report_trouble
from alertd.notices.rendering import render
from alertd.rulebook.rule import Route, Rulebook
from alertd.store.database import Database, open_database
from alertd.testing import FakeChannel, a_rule, a_rulebook
from tests.notices.examples import OWN, names, of_kind
from tests.notices.stage import BAD, Stage, a_levelled_rule

W, C = Level.WARNING, Level.CRITICAL
SHIPPED = Path(__file__).parents[2] / "templates"
TROUBLE = Trouble("alertd-rulebook", "The new rule files are wrong", "The last good ones run on. Run alertd check.")


@pytest.fixture
def stage() -> Iterator[Stage]:
    database = open_database("sqlite://")
    channels = {"team": FakeChannel(), "edits": FakeChannel(editable=True)}
    yield Stage(database, a_levelled_rule(notify={W: ("team",)}), channels, fallback="edits")
    database.close()


def trouble(stage: Stage, of: Trouble = TROUBLE) -> Kind | None:
    stage.clock.advance(MINUTE)
    with stage.database.write() as transaction:
        return report_trouble(transaction, of, stage.book, stage.clock.now())


def mended(stage: Stage, cause: str = TROUBLE.cause, reason: str = "") -> Kind | None:
    stage.clock.advance(MINUTE)
    with stage.database.write() as transaction:
        return report_mended(transaction, cause, stage.book, stage.clock.now(), reason)


def causes(database: Database) -> frozenset[str]:
    with database.read() as transaction:
        return open_causes(transaction)


def test_a_trouble_is_told_once_and_its_end_once(stage: Stage) -> None:
    assert [trouble(stage), trouble(stage), mended(stage), mended(stage)] == [Kind.OPENED, None, Kind.RESOLVED, None]
    assert (stage.told("edits"), stage.told("team")) == (["opened", "resolved"], [])
    assert causes(stage.database) == frozenset()


def test_a_restart_tells_nothing_twice(stage: Stage) -> None:
    trouble(stage), stage.send()
    stage.restart().recover()
    assert trouble(stage) is None
    assert stage.send() == 0
    assert causes(stage.database) == {"alertd-rulebook"}


def test_other_words_only_keep_messages_true_and_other_numbers_not_even_that(stage: Stage) -> None:
    trouble(stage, replace(TROUBLE, text="The API refuses the token; again in 34 s."))
    assert trouble(stage, replace(TROUBLE, text="The API refuses the token; again in 9 s.")) is None
    assert trouble(stage, replace(TROUBLE, text="The API is gone.")) is Kind.REFRESHED
    assert stage.told("edits") == ["opened", "refreshed"]
    assert mended(stage) is Kind.RESOLVED
    assert from_json(stage.rows("body", table="notices")[-1]).text == "The API is gone."


def test_causes_do_not_know_each_other(stage: Stage) -> None:
    trouble(stage), trouble(stage, replace(TROUBLE, cause="alertd-budget"))
    mended(stage)
    assert causes(stage.database) == {"alertd-budget"}


def test_what_comes_back_soon_goes_on_in_its_thread_and_later_it_is_another(stage: Stage) -> None:
    trouble(stage), mended(stage)
    assert trouble(stage) is Kind.OPENED
    mended(stage)
    stage.clock.advance(HOUR)
    trouble(stage)
    assert stage.rows("incident") == [1, 1, 1, 1, 2]
    assert [from_json(body).reopened for body in stage.rows("body", table="notices")] == [False, False, True, False, False]


def test_a_trouble_goes_to_whom_it_concerns_if_there_is_such_a_receiver(stage: Stage) -> None:
    trouble(stage, replace(TROUBLE, to=("gone", "team")))
    trouble(stage, replace(TROUBLE, cause="alertd-budget", to=("gone",)))
    assert stage.rows("receiver") == ["team", "edits"]


def test_a_reload_that_removes_rules_leaves_what_concerns_alertd_itself(stage: Stage) -> None:
    stage.check({1: BAD})
    trouble(stage)
    stage.remove()
    assert causes(stage.database) == {"alertd-rulebook"}
    assert stage.told("edits") == ["opened"]


def test_silences_do_not_hold_for_what_keeps_alertd_from_its_work(stage: Stage) -> None:
    stage.silence(60)
    assert trouble(stage) is Kind.OPENED
    assert stage.told("edits") == ["opened"]


def test_whoever_hears_of_what_is_critical_is_told_where_there_is_no_fallback() -> None:
    critical = a_rule(id="a", critical=(9, 9), warning=(5, 5), notify={C: ("pager",), W: ("team",)})
    mild = a_rule(id="b", notify={W: ("team", "other")})
    book = a_rulebook(critical, mild, receivers={name: FakeChannel() for name in ("pager", "team", "other", "duty")})
    routed = Rulebook(book.rules, book.receivers, routes=(Route(("duty",), level=C), Route(("other",), level=W)))
    assert guardians(book) == ("pager",)
    assert guardians(routed) == ("pager", "duty")
    assert guardians(replace(book, rules={"b": mild})) == ("team", "other")
    assert guardians(replace(book, fallback="team")) == ("team",)


def test_it_reads_well_without_any_number() -> None:
    slack, mail = (render(kind, OWN, names=names, folders=(SHIPPED,)) for kind in ("slack", "email"))
    assert slack["header"] == "⚠️ alertd gets no answers"
    assert slack["summary"].startswith("*Warning.* 12 of 40 rules get no complete answer, so nothing changes for them")
    assert mail["subject"] == "[Warning] alertd gets no answers"
    for text in (*slack.values(), *mail.values()):
        assert "The value" not in text
        assert "0 conversations" not in text
    end = render("email", of_kind(OWN, Kind.RESOLVED), names=names, folders=(SHIPPED,))
    assert end["subject"] == "[Resolved] alertd gets no answers: resolved after 29 min"
    assert "It lasted 29 min." in end["text"]


def test_what_reached_nobody_is_told_anew_after_an_hour_for_as_long_as_it_lasts(stage: Stage) -> None:
    stage.channels["edits"].taken.failures = [DeliveryError("gone", permanent=True)]
    trouble(stage), stage.send()
    assert stage.rows("state") == ["dead"]
    assert trouble(stage) is None
    stage.clock.advance(AGAIN)
    assert trouble(stage) is Kind.OPENED
    stage.send()
    assert trouble(stage) is None
    assert mended(stage) is Kind.RESOLVED
    stage.send()
    assert stage.channels["edits"].kinds == ["opened", "resolved"]


def test_what_is_over_before_anybody_could_be_told_is_told_once_and_looks_like_what_is_over(stage: Stage) -> None:
    stage.clock.advance(HOUR)
    now = stage.clock.now()
    past = replace(TROUBLE, since=now - HOUR, to=("team", "edits"))
    with stage.database.write() as transaction:
        report_past(transaction, past, now - MINUTE, stage.book, now)
    assert causes(stage.database) == frozenset()
    assert (stage.told("team"), stage.told("edits")) == (["opened"], ["opened", "refreshed"])
    opened, edited = (from_json(body) for body in stage.rows("body", table="notices"))
    assert (opened.opened_at, opened.resolved_at) == (now - HOUR, None)
    assert (edited.opened_at, edited.resolved_at) == (now - HOUR, now - MINUTE)


def test_a_trouble_that_began_before_it_was_told_says_so_in_its_end(stage: Stage) -> None:
    since = stage.clock.now() - HOUR
    trouble(stage, replace(TROUBLE, since=since)), mended(stage)
    end = from_json(stage.rows("body", table="notices")[-1])
    assert (end.opened_at, end.resolved_at) == (since, since + HOUR + 2 * MINUTE)
