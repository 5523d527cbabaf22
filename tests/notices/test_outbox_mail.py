"""Mail through the outbox: several people behind one receiver, of whom the server takes some."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alertd.channels.base import Access, MailAccess
from alertd.channels.email import Email
from alertd.clock import HOUR, MINUTE
from alertd.facts import Level
from alertd.notices.claiming import OLD
from alertd.notices.settlement import PATIENCE_WITH_FALLBACK
from alertd.store.database import Database
from alertd.testing import FakeChannel
from tests.channels.mail_server import PostOffice, post_office
from tests.notices.stage import AWFUL, BAD, Stage, a_levelled_rule

A, B = "a@example.com", "b@example.com"
GREY = b"451 4.7.1 greylisted\r\n"


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as server:
        yield server


@pytest.fixture
def stage(database: Database, office: PostOffice) -> Stage:
    channels: dict[str, Any] = {"team": Email(to=(A, B)), "duty": FakeChannel()}
    found = Stage(database, a_levelled_rule(notify=dict.fromkeys(Level, ("team",))), channels, "duty")
    found.outbox.access = Access(mail=MailAccess(host="127.0.0.1", port=office.port, sender="me@example.com", tls="none"))
    return found


def try_for(stage: Stage, long: int) -> None:
    for _ in range(long // MINUTE):
        stage.send()
        stage.clock.advance(MINUTE)


def test_who_was_put_off_gets_the_mail_later_and_nobody_twice(stage: Stage, office: PostOffice) -> None:
    office.script = {f"RCPT {B}": GREY}
    stage.check({1: BAD})
    try_for(stage, 5 * MINUTE)
    assert [each.recipients for each in office.handed] == [(A,)]
    office.script = {}
    try_for(stage, 10 * MINUTE)
    assert [each.recipients for each in office.handed] == [(A,), (B,)]
    assert stage.rows("state", "error") == [("sent", None)]


def test_a_mail_that_some_have_is_not_for_the_fallback_when_the_others_never_get_it(stage: Stage, office: PostOffice) -> None:
    office.script = {f"RCPT {B}": GREY}
    stage.check({1: BAD})
    try_for(stage, PATIENCE_WITH_FALLBACK + 10 * MINUTE)
    assert stage.channels["duty"].taken.messages == []
    ((state, via, error, sent_at),) = stage.rows("state", "via", "error", "sent_at")
    assert (state, via) == ("sent", "team")
    assert B in error
    assert sent_at is not None
    stage.check({})
    stage.send()
    assert office.handed[-1].recipients == (A,)
    assert office.handed[-1].header("References") == office.handed[0].header("Message-ID")


def test_what_is_told_next_does_not_wait_long_for_who_is_put_off(stage: Stage, office: PostOffice) -> None:
    office.script = {f"RCPT {B}": GREY}
    stage.check({1: BAD})
    stage.send()
    stage.check({1: AWFUL})
    try_for(stage, OLD)
    assert [each.recipients for each in office.handed] == [(A,), (A,)]
    try_for(stage, HOUR)
    assert len(office.handed) == 2
    assert stage.channels["duty"].taken.messages == []
    assert set(stage.rows("state")) == {"sent"}
