"""Whatever a mail server does at whatever step: what becomes of the mail, and that nothing hangs or is given away."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, MailAccess, Message, Receipt
from alertd.channels.email import Email
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.mail_server import CUT, SILENCE, PostOffice, a_certificate, post_office, serving

OPENED = Message("key-1", Kind.OPENED, a_notice(level=Level.CRITICAL), {"subject": "Slow", "text": "The median was 7 min."})
TO = ("a@example.com", "b@example.com", "c@example.com")
TEAM = Email(to=TO[:2])
EVERYBODY = Email(to=TO)
PASSWORD = "canary-4242"
# A step, and what is scripted for it. Where EHLO is refused HELO is tried, and for "all" both addresses are refused.
STEPS = {
    "connect": ("connect",),
    "hello": ("EHLO", "HELO"),
    "sender": ("MAIL",),
    "all": ("RCPT a@example.com", "RCPT b@example.com"),
    "question": ("DATA",),
    "text": ("text",),
}


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as server:
        yield server


def access(office: PostOffice, **changes: Any) -> Access:
    usual = MailAccess(host="127.0.0.1", port=office.port, sender="alertd@alerts.example.com", tls="none")
    return Access(mail=replace(usual, **changes))


def failure(office: PostOffice, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        TEAM.send(OPENED, None, access(office, **changes))
    return caught.value


# Each answer at each step


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        (b"421 4.3.2 closing\r\n", False),
        (b"451 4.7.1 later\r\n", False),
        (b"450-4.2.0 busy\r\n450 4.2.0 really\r\n", False),
        (b"550 5.7.1 no\r\n", True),
        (b"554-5.7.1 no\r\n554 5.7.1 never\r\n", True),
    ],
)
def test_a_4xx_may_pass_and_a_5xx_lasts_but_for_the_greeting(
    office: PostOffice, step: str, answer: bytes, *, permanent: bool
) -> None:
    office.script = dict.fromkeys(STEPS[step], answer)
    problem = failure(office)
    assert (problem.permanent, problem.ambiguous) == (permanent and step != "connect", False)
    assert answer[:3].decode() in str(problem)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(CUT, id="cut"),
        pytest.param(b"2", id="cut in the middle"),
        pytest.param(b"250 OK", id="cut before the line's end"),
        pytest.param(b"250-more\r\n", id="cut before the last line"),
        pytest.param(b"5" * 9_000 + b"\r\n", id="too long a line"),
        pytest.param(b"250-" + b"x" * 4_000 + b"\r\n", id="a long line and no end"),
        pytest.param(b"250-x\r\n" * 20_000, id="too many lines"),
        pytest.param(b"\xff\xfe\x00\r\n", id="no SMTP"),
        pytest.param(b"\r\n", id="nothing"),
        pytest.param(b"999 x\r\n", id="no status"),
    ],
)
def test_what_is_no_answer_is_tried_again_and_ambiguous_only_once_the_text_was_sent(
    office: PostOffice, step: str, answer: bytes
) -> None:
    if answer.endswith(b"-more\r\n") or b"x" * 4_000 in answer:
        answer = answer.removesuffix(b"\r\n")  # hangs up
    office.script = dict.fromkeys(STEPS[step], answer)
    problem = failure(office)
    assert (problem.permanent, problem.ambiguous) == (False, step == "text")
    assert str(problem).isprintable()


@pytest.mark.parametrize("step", STEPS)
def test_a_server_that_falls_silent_is_left_at_the_deadline(office: PostOffice, step: str) -> None:
    office.script = {STEPS[step][0]: SILENCE}
    problem = failure(office, deadline=100)
    assert not problem.permanent
    assert problem.ambiguous or not office.handed  # a slow machine may not come as far as the text
    assert step == "text" or not problem.ambiguous


def test_a_mail_that_was_taken_stays_taken_when_the_server_does_not_say_goodbye(office: PostOffice) -> None:
    for goodbye in (CUT, b"550 no\r\n", b"\xff\r\n"):
        office.script = {"QUIT": goodbye}
        assert TEAM.send(OPENED, None, access(office))


@pytest.mark.parametrize("answer", [b"250 \xff\xe9\r\n", b"250-many\r\n250-lines\r\n250 OK\r\n", b"250\r\n"])
def test_words_do_not_matter_where_the_status_is_right(office: PostOffice, answer: bytes) -> None:
    office.script = dict.fromkeys(("EHLO", "MAIL", "RCPT a@example.com", "text"), answer)
    assert TEAM.send(OPENED, None, access(office))


def test_eight_bit_words_of_a_refusal_are_made_printable(office: PostOffice) -> None:
    office.script = {"MAIL": b"550 n\xc3\xb6 \x00\x1b[31m no\r\n"}
    told = str(failure(office))
    assert told.isprintable()
    assert "550 n" in told


def test_a_server_that_knows_no_ehlo_is_greeted_the_old_way(office: PostOffice) -> None:
    office.script = {"EHLO": b"502 what?\r\n"}
    assert TEAM.send(OPENED, None, access(office))
    assert office.commands[:2] == ["ehlo alerts.example.com", "helo alerts.example.com"]


@pytest.mark.parametrize("rest", [b"250 OK\r\n", b"550 no\r\n"])
def test_an_answer_that_may_belong_to_another_address_is_for_none(office: PostOffice, rest: bytes) -> None:
    office.script = {"RCPT a@example.com": b"what?\r\n" + rest}
    problem = failure(office)
    assert (problem.permanent, problem.ambiguous) == (False, False)
    assert problem.receipt is None
    assert office.handed == []


def test_a_server_that_wants_no_text_after_all_has_surely_none(office: PostOffice) -> None:
    office.script = {"DATA": b"250 OK\r\n"}
    assert not failure(office).ambiguous
    office.script = {"RCPT b@example.com": b"421 closing\r\n", "DATA": CUT}
    assert not failure(office).ambiguous


def test_lines_that_begin_with_a_dot_arrive_as_they_were(office: PostOffice) -> None:
    TEAM.send(replace(OPENED, parts={"text": "..one\n.\nQUIT\n.two"}), None, access(office))
    assert b"\r\n\r\n..one\r\n.\r\nQUIT\r\n.two\r\n" in office.handed[0].text


# Secrets


def test_a_server_that_repeats_the_password_after_the_login_gives_nothing_away(
    office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    coded = [base64.b64encode(each.encode()) for each in (PASSWORD, f"\0alertd\0{PASSWORD}")]
    echo = b" ".join([b"550 you said", PASSWORD.encode(), *coded]) + b"\r\n"
    login = {"username": "alertd", "password": lambda: PASSWORD}
    office.script = {"RCPT b@example.com": echo}
    told = [TEAM.send(OPENED, None, access(office, **login))["warning"]]
    office.script = {"RCPT b@example.com": echo.replace(b"550", b"450")}
    told += traceback.format_exception(problem := failure(office, **login))
    told += (problem.receipt or {}).values()
    for step in ("MAIL", "DATA", "text"):
        office.script = {step: echo}
        told += traceback.format_exception(failure(office, **login))
    assert "550 you said *** *** ***" in told[0]
    for secret in (PASSWORD, *(each.decode() for each in coded)):
        assert secret not in "".join(told) + caplog.text


@pytest.mark.parametrize("answer", [CUT, b"535 no\r\n", b"454 later\r\n", b"\xff\xff\r\n", b"334 \xff\xff\r\n", b"5" * 9_000])
def test_a_login_that_fails_sends_nothing_and_shows_no_password(office: PostOffice, answer: bytes) -> None:
    office.script = {"AUTH": answer}
    problem = failure(office, username="alertd", password=lambda: PASSWORD)
    assert problem.permanent == answer.startswith(b"535")
    assert not problem.ambiguous
    assert PASSWORD not in "".join(traceback.format_exception(problem))
    assert not any(each.lower().startswith("mail") for each in office.commands)


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_certificate(tmp_path_factory.mktemp("tls"))


LOGIN = {"tls": "starttls", "username": "alertd", "password": lambda: PASSWORD}
OFFERED = b"250-mail.example.com\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n"


def test_without_starttls_neither_password_nor_mail_is_sent(office: PostOffice) -> None:
    problem = failure(office, **LOGIN)
    assert problem.permanent
    assert "STARTTLS" in str(problem)
    assert office.commands == ["ehlo alerts.example.com"]


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        (b"454 4.7.0 not now\r\n", False),
        (b"502 5.5.1 what?\r\n", True),
        (CUT, False),
        (b"220 go ahead", False),
        (b"220 go ahead\r\nno TLS at all\r\n", False),
        (b"\xff\xff\r\n", False),
    ],
)
def test_when_tls_does_not_begin_nothing_is_sent(office: PostOffice, answer: bytes, *, permanent: bool) -> None:
    office.script = {"EHLO": OFFERED, "STARTTLS": answer}
    problem = failure(office, **LOGIN)
    assert (problem.permanent, problem.ambiguous) == (permanent, False)
    assert office.commands[:2] == ["ehlo alerts.example.com", "STARTTLS"]
    assert not any("AUTH" in each or "mail" in each.lower()[:4] for each in office.commands)


def test_words_before_tls_do_not_count_after_it(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with post_office(serving(certificate)) as office:
        office.script = {"EHLO": OFFERED, "STARTTLS": b"220 go ahead\r\n550 put in by somebody on the way\r\n"}
        assert TEAM.send(OPENED, None, access(office, **LOGIN))
        assert len(office.handed) == 1


@pytest.mark.parametrize("names", ["IP:127.0.0.2", "DNS:mail.example.com"])
def test_a_certificate_of_another_host_is_refused(names: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = a_certificate(tmp_path, names)
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    with post_office(serving(other)) as office:
        office.script = {"EHLO": OFFERED}
        problem = failure(office, **LOGIN)
        assert "not valid for ALERTD_EMAIL__HOST" in str(problem)
        assert (problem.permanent, problem.ambiguous) == (False, False)
        assert office.commands == ["ehlo alerts.example.com", "STARTTLS"]


def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path) -> None:
    with post_office(serving(certificate)) as office:
        office.script = {"EHLO": OFFERED}
        assert "certificate" in str(failure(office, **LOGIN))
        assert office.handed == []


# Whatever the server says

YES = st.sampled_from([b"250 OK\r\n", b"250-two\r\n250 lines\r\n", b"250 \xff\r\n"])
NO = st.sampled_from([b"421 bye\r\n", b"451 later\r\n", b"452 full\r\n", b"500 what\r\n", b"550 no\r\n", b"552 full\r\n"])
ODD = st.sampled_from([CUT, b"25", b"what?\r\n", b"999 x\r\n", b"200 hm\r\n", b"354 go\r\n", b"5" * 9_000 + b"\r\n"])
ANSWERS = st.one_of(YES, NO, ODD)
SCRIPTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys((f"RCPT {address}" for address in TO), st.one_of(YES, NO, NO, ODD)),
        **dict.fromkeys(("connect", "EHLO", "MAIL", "DATA", "text", "QUIT"), ANSWERS),
    },
)


@dataclass
class Told:
    """What has become of a mail over several attempts, as seen from both ends."""

    taken: set[str] = field(default_factory=set)  # the server has said so
    before: Receipt | None = None
    over: bool = False

    def attempt(self, office: PostOffice, script: dict[str, bytes]) -> None:
        office.script, seen = script, len(office.handed)
        try:
            receipt = EVERYBODY.send(replace(OPENED, before=self.before), None, access(office))
        except DeliveryError as problem:
            self._look(office, seen, problem)
            self._failed(problem, script)
        else:
            self._look(office, seen, None)
            self.over = True
            assert all(
                each in self.taken or f"{each} (5" in receipt["warning"] or "without" in receipt["warning"] for each in TO
            )
            assert self.taken

    def _look(self, office: PostOffice, seen: int, problem: DeliveryError | None) -> None:
        """What arrived in this attempt agrees with what the channel makes of it."""
        new = office.handed[seen:]
        assert len(new) <= 1, "one text an attempt"
        for each in new:
            assert not self.taken & set(each.recipients), "somebody gets it twice"
            if each.reply.startswith(b"250"):
                self.taken |= set(each.recipients)
        clear = all(each.reply[:3] in (b"250", b"421", b"451", b"452", b"500", b"550", b"552") for each in new)
        assert (problem is not None and problem.ambiguous) == (not clear)

    def _failed(self, problem: DeliveryError, script: dict[str, bytes]) -> None:
        known = problem.receipt or {}
        assert set(known.get("taken", "").split()) == self.taken
        self.before, self.over = problem.receipt or self.before, problem.permanent
        if problem.permanent:
            assert not self.taken, "a mail that somebody has is not dead"
            assert any(answer.startswith(b"5") for answer in script.values())


@settings(max_examples=50, deadline=None)
@given(st.lists(SCRIPTS, min_size=1, max_size=4))
def test_nobody_gets_a_mail_twice_and_nobody_is_forgotten_whatever_the_server_says(scripts: list[dict[str, bytes]]) -> None:
    told = Told()
    with post_office() as office:
        for script in scripts:
            if not told.over:
                told.attempt(office, script)
    assert len({(each.header("Message-ID"), each.header("To")) for each in office.handed}) <= 1
