"""A mail to several people, of whom the server takes some: who gets it, who is asked for again, and what is said of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from alertd.channels.base import Access, MailAccess, Message, Receipt
from alertd.channels.email import Email
from alertd.channels.email.standing import Standing, recall
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.mail_server import CUT, PostOffice, post_office

OPENED = Message("key-1", Kind.OPENED, a_notice(level=Level.CRITICAL), {"subject": "Slow", "text": "The median was 7 min."})
A, B, C = "a@example.com", "b@example.com", "c@example.com"
ALL = Email(to=(A, B, C))
OWN = {"message_id": "<key-1@alerts.example.com>"}
GREY = b"451 4.7.1 greylisted\r\n"
GONE = b"550 5.1.1 no such user\r\n"


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as server:
        yield server


def access(office: PostOffice) -> Access:
    return Access(mail=MailAccess(host="127.0.0.1", port=office.port, sender="alertd@alerts.example.com", tls="none"))


def send(
    office: PostOffice,
    before: Receipt | None = None,
    channel: Email = ALL,
    *,
    script: Mapping[str, bytes] | None = None,
    **refusals: bytes,
) -> Receipt:
    """Send to a, b and c; `refusals` are the server's answers to them by that letter, `script` those at other steps."""
    office.script = {f"RCPT {letter}@example.com": answer for letter, answer in refusals.items()} | dict(script or {})
    return channel.send(replace(OPENED, before=before), None, access(office))


def failure(
    office: PostOffice,
    before: Receipt | None = None,
    channel: Email = ALL,
    *,
    script: Mapping[str, bytes] | None = None,
    **refusals: bytes,
) -> tuple[DeliveryError, Mapping[str, str]]:
    with pytest.raises(DeliveryError) as caught:
        send(office, before, channel, script=script, **refusals)
    return caught.value, caught.value.receipt or {}


def envelopes(office: PostOffice) -> list[tuple[str, ...]]:
    return [each.recipients for each in office.handed]


# Refused for good


def test_who_is_refused_for_good_is_named_with_the_servers_words_while_the_others_have_the_mail(office: PostOffice) -> None:
    receipt = send(office, b=GONE)
    assert envelopes(office) == [(A, C)]
    assert receipt["message_id"] == OWN["message_id"]
    assert "b@example.com (550 5.1.1 no such user)" in receipt["warning"]
    assert "receivers.yaml" in receipt["warning"]
    assert A not in receipt["warning"]


def test_a_mail_that_everybody_gets_has_nothing_to_warn_of(office: PostOffice) -> None:
    assert send(office) == OWN


def test_nobody_is_asked_for_the_text_when_nobody_may_have_it(office: PostOffice) -> None:
    problem, before = failure(office, a=GONE, b=GONE, c=b"554 no\r\n")
    assert problem.permanent
    assert before == {}
    assert "a@example.com (550 5.1.1 no such user), b@example.com" in str(problem)
    assert "DATA" not in office.commands


def test_of_many_who_are_refused_some_are_named() -> None:
    many = tuple(f"p{number}@example.com" for number in range(20))
    standing = Standing("<1@x>").after((*many, A), dict.fromkeys(many, (550, b"no")))
    warning = standing.conclude(OWN)["warning"]
    assert "p2@example.com (550 no) and 17 more" in warning
    assert "p3@" not in warning


# Put off


def test_who_is_put_off_is_tried_again_alone_with_the_same_mail(office: PostOffice) -> None:
    problem, before = failure(office, b=GREY)
    assert (problem.permanent, problem.ambiguous) == (False, False)
    assert "b@example.com (451 4.7.1 greylisted)" in str(problem)
    assert "2 others have it" in str(problem)
    assert before == OWN | {"taken": f"{A} {C}", "mail": OWN["message_id"]}
    assert send(office, before) == OWN
    assert envelopes(office) == [(A, C), (B,)]
    first, second = office.handed
    assert first.header("Message-ID") == second.header("Message-ID")
    assert first.header("To") == second.header("To") == f"{A}, {B}, {C}"


def test_who_was_refused_for_good_is_not_asked_again_and_not_forgotten(office: PostOffice) -> None:
    problem, before = failure(office, a=GONE, b=GREY)
    assert "a@example.com (550 5.1.1 no such user)" in str(problem)
    receipt = send(office, before)
    assert envelopes(office) == [(C,), (B,)]
    assert "a@example.com (550 5.1.1 no such user)" in receipt["warning"]


def test_where_some_are_put_off_and_all_others_refused_the_refused_are_not_asked_again(office: PostOffice) -> None:
    problem, before = failure(office, a=GONE, b=GREY, c=GONE)
    assert not problem.permanent
    assert "taken" not in before
    assert "message_id" not in before, "nobody has the mail, so it is no receipt"
    send(office, before)
    assert envelopes(office) == [(B,)]


def test_who_is_put_off_first_and_refused_then_is_a_warning_because_others_have_it(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    receipt = send(office, before, b=GONE)
    assert "b@example.com (550 5.1.1 no such user)" in receipt["warning"]
    assert envelopes(office) == [(A, C)]


def test_what_ends_a_later_attempt_for_good_is_a_warning_because_others_have_it(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    receipt = send(office, before, script={"MAIL": b"553 who are you?\r\n"})
    assert receipt["message_id"] == OWN["message_id"]
    assert "553 who are you?" in receipt["warning"]
    assert "without this mail: b@example.com" in receipt["warning"]


@pytest.mark.parametrize("step", ["connect", "MAIL", "DATA", "text"])
@pytest.mark.parametrize("reply", [b"451 later\r\n", CUT])
def test_who_has_the_mail_is_remembered_however_a_later_attempt_fails(office: PostOffice, step: str, reply: bytes) -> None:
    _, before = failure(office, a=GONE, b=GREY)
    _, again = failure(office, before, script={step: reply})
    assert again == before


def test_too_many_at_once_are_sent_in_turn(office: PostOffice) -> None:
    _, before = failure(office, b=b"452 too many\r\n", c=b"552 too many\r\n")
    assert before["taken"] == A
    assert send(office, before) == OWN
    assert envelopes(office) == [(A,), (B, C)]


def test_a_552_to_the_only_one_is_a_full_mailbox(office: PostOffice) -> None:
    problem, _ = failure(office, channel=Email(to=(A,)), a=b"552 full\r\n")
    assert problem.permanent
    assert "mailbox is full" in str(problem)


def test_an_address_that_is_written_twice_is_asked_for_once(office: PostOffice) -> None:
    send(office, channel=Email(to=(A, A, B)))
    assert envelopes(office) == [(A, B)]


def test_what_some_have_by_itself_all_get_in_a_digest(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    office.script = {}
    ALL.send(replace(OPENED, key="digest-1", kind=Kind.DIGEST, before=before), None, access(office))
    assert envelopes(office) == [(A, C), (A, B, C)]


def test_a_digest_that_some_have_goes_to_the_others_alone(office: PostOffice) -> None:
    digest = replace(OPENED, key="digest-1", kind=Kind.DIGEST)
    office.script = {f"RCPT {B}": GREY}
    with pytest.raises(DeliveryError) as caught:
        ALL.send(digest, None, access(office))
    office.script = {}
    receipt = ALL.send(replace(digest, before=caught.value.receipt), None, access(office))
    assert receipt == {"message_id": "<digest-1@alerts.example.com>"}
    assert envelopes(office) == [(A, C), (B,)]


# The list in receivers.yaml has changed between two attempts


def test_the_addresses_of_now_count(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    send(office, before, Email(to=(A, "new@example.com")))
    assert envelopes(office)[1] == ("new@example.com",)


def test_when_nobody_is_missing_any_more_nobody_is_called(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    called = len(office.commands)
    assert send(office, before, Email(to=(A, C))) == OWN
    assert len(office.commands) == called


def test_who_was_refused_and_is_not_named_any_more_is_not_warned_of(office: PostOffice) -> None:
    _, before = failure(office, a=GONE, b=GREY)
    assert send(office, before, Email(to=(B, C))) == OWN


def test_when_nobody_who_has_the_mail_is_named_any_more_it_reaches_nobody(office: PostOffice) -> None:
    _, before = failure(office, b=GREY)
    problem, _ = failure(office, before, Email(to=(B,)), b=GONE)
    assert problem.permanent


def test_when_everybody_was_refused_a_new_attempt_asks_for_everybody() -> None:
    before = Standing("<1@x>", refused={A: "550 no", B: "550 no"}).remembered(OWN)
    assert recall(before, "<1@x>", (A, B)).missing((A, B)) == (A, B)
    assert recall(before, "<1@x>", (A, B, C)).missing((A, B, C)) == (C,)
