"""What the mail channel says to the mail server, and what it makes of each answer."""

from __future__ import annotations

import base64
import email
import email.policy
import logging
import smtplib
import socket
import ssl
import traceback
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from pydantic import ValidationError

from alertd.channels.base import Access, MailAccess, Message
from alertd.channels.email import CHANNEL, Email
from alertd.channels.email.composing import compose, wire_form
from alertd.channels.email.refusals import failed
from alertd.errors import DeliveryError
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from tests.channels.mail_server import a_certificate, serving
from tests.channels.servers import FakeMailbox, dripping, mail_server, saying

KEY = "0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d11"
PARTS = {
    "subject": "[Critical] First answers are slow: 7 min – 🚨",
    "text": "The median was 7 min.\nGrüße\n",
    "html": "<p>The median was <b>7&nbsp;min</b>.</p>",
    "rule": "support.first-answer",
    "incident": "12",
}
OPENED = Message(KEY, Kind.OPENED, a_notice(level=Level.CRITICAL), PARTS)
TEAM = Email(to=("ops@example.com", "lead@example.com"))
PASSWORD = "canary-4242"


@pytest.fixture
def box() -> Iterator[FakeMailbox]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_certificate(tmp_path_factory.mktemp("tls"))


def access(box: FakeMailbox, **changes: Any) -> Access:
    usual = MailAccess(host="127.0.0.1", port=box.port, sender="alertd@alerts.example.com", tls="none")
    return Access(mail=replace(usual, **changes))


def arrived(box: FakeMailbox, number: int = 0) -> EmailMessage:
    mail = email.message_from_bytes(box.mails[number], policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


def failure(box: FakeMailbox, **changes: Any) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        TEAM.send(OPENED, None, access(box, **changes))
    return caught.value


# The mail


def test_a_mail_reaches_everybody_as_text_and_as_html(box: FakeMailbox) -> None:
    TEAM.send(OPENED, None, access(box))
    mail = arrived(box)
    assert box.recipients == [["ops@example.com", "lead@example.com"]]
    assert mail["Subject"] == PARTS["subject"]
    assert mail["From"] == "alertd@alerts.example.com"
    assert mail["To"] == "ops@example.com, lead@example.com"
    assert mail.get_content_type() == "multipart/alternative"
    plain, rich = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert rich is not None
    assert plain.get_content().splitlines() == ["The median was 7 min.", "Grüße"]
    assert "7&nbsp;min" in rich.get_content()


def test_a_mail_says_what_it_is_so_that_no_machine_answers_it(box: FakeMailbox) -> None:
    TEAM.send(OPENED, None, access(box))
    mail = arrived(box)
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert (mail["X-Alertd-Rule"], mail["X-Alertd-Incident"]) == ("support.first-answer", "12")
    assert (mail["X-Alertd-State"], mail["X-Alertd-Severity"]) == ("firing", "critical")
    assert mail["List-Id"] == "<support.first-answer.alertd.alerts.example.com>"
    assert mail["Date"].datetime.tzinfo is not None


def test_the_end_of_an_incident_is_marked_as_such(box: FakeMailbox) -> None:
    TEAM.send(replace(OPENED, kind=Kind.RESOLVED), None, access(box))
    assert arrived(box)["X-Alertd-State"] == "resolved"


def test_a_report_belongs_to_no_incident_and_has_no_state(box: FakeMailbox) -> None:
    report = replace(OPENED, kind=Kind.REPORT, notice=a_notice(level=Level.OK), parts=PARTS | {"incident": ""})
    TEAM.send(report, None, access(box))
    mail = arrived(box)
    assert mail["X-Alertd-Rule"] == "support.first-answer"
    assert mail["X-Alertd-Incident"] is mail["X-Alertd-State"] is mail["X-Alertd-Severity"] is None


def test_the_mails_of_an_incident_are_one_thread(box: FakeMailbox) -> None:
    root = TEAM.send(OPENED, None, access(box))
    later = TEAM.send(replace(OPENED, key="another", kind=Kind.RESOLVED), root, access(box))
    first, second = arrived(box, 0), arrived(box, 1)
    assert root == later == {"message_id": f"<{KEY}@alerts.example.com>"}
    assert first["Message-ID"] == root["message_id"]
    assert first["In-Reply-To"] is None
    assert second["Message-ID"] == "<another@alerts.example.com>"
    assert second["In-Reply-To"] == second["References"] == root["message_id"]


def test_a_long_host_does_not_garble_the_thread() -> None:
    root = f"<{KEY}@alerts.a-rather-long-department.a-rather-long-company.example.com>"
    raw = compose(OPENED, "a@example.com", ("b@example.com",), root, root).as_bytes()
    assert raw.count(root.encode()) == 3


def test_a_long_rule_does_not_garble_the_name_of_the_list() -> None:
    rule = "support." + "very-" * 20 + "slow"
    raw = compose(replace(OPENED, parts=PARTS | {"rule": rule}), "a@example.com", ("b@example.com",), "<1@x.com>", None)
    assert f"List-Id: <{rule}.alertd.example.com>\r\n".encode() in wire_form(raw)


def test_a_mail_is_ascii_with_short_lines_whatever_is_in_it() -> None:
    parts = dict.fromkeys(PARTS, "ü🚨� &\r\nBcc: x@example.com " + "x" * 5000)
    raw = compose(replace(OPENED, parts=parts), "a@example.com", ("b@example.com",), "<1@example.com>", None).as_bytes()
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\r\nBcc:" not in raw.split(b"\r\n\r\n")[0]


def test_a_test_message_needs_no_template_and_leaves_no_thread(box: FakeMailbox) -> None:
    assert TEAM.send(replace(OPENED, kind=Kind.TEST, parts={}), None, access(box)) == {}
    assert "test message" in arrived(box).get_content()
    assert arrived(box)["Subject"] == "alertd: test message"


def test_a_digest_is_a_mail_of_its_own_in_which_its_incidents_go_on(box: FakeMailbox) -> None:
    digest = replace(OPENED, key="digest-1", kind=Kind.DIGEST)
    receipt = TEAM.send(digest, {"message_id": "<1@example.com>"}, access(box))
    assert receipt == {"message_id": "<digest-1@alerts.example.com>"}
    mail = arrived(box)
    assert mail["In-Reply-To"] is mail["References"] is mail["X-Alertd-Incident"] is mail["X-Alertd-Rule"] is None
    assert mail["List-Id"] == "<alertd.alerts.example.com>"
    TEAM.send(replace(OPENED, key="later", kind=Kind.RESOLVED), receipt, access(box))
    assert arrived(box, 1)["References"] == receipt["message_id"]


def test_a_refresh_is_never_mailed(box: FakeMailbox) -> None:
    thread = {"message_id": "<1@example.com>"}
    assert TEAM.send(replace(OPENED, kind=Kind.REFRESHED), thread, access(box)) == thread
    assert box.mails == []


# Refusals


@pytest.mark.parametrize("stage", ["MAIL", "DATA", "recipients"])
@pytest.mark.parametrize(("reply", "permanent"), [("550 no", True), ("554 no", True), ("451 later", False), ("421 no", False)])
def test_a_5xx_is_permanent_and_a_4xx_is_not_at_any_stage(box: FakeMailbox, stage: str, reply: str, *, permanent: bool) -> None:
    stages = TEAM.to if stage == "recipients" else (stage,)
    box.replies = dict.fromkeys(stages, reply)
    problem = failure(box)
    assert (problem.permanent, problem.ambiguous) == (permanent, False)
    assert reply[:3] in str(problem)


def test_one_refused_recipient_does_not_keep_the_mail_from_others(box: FakeMailbox) -> None:
    box.replies = {"lead@example.com": "550 no such user"}
    receipt = TEAM.send(OPENED, None, access(box))
    assert box.recipients == [["ops@example.com"]]
    assert "lead@example.com (550 no such user)" in receipt["warning"]


def test_recipients_that_are_all_refused_are_tried_again_if_one_may_come_round(box: FakeMailbox) -> None:
    box.replies = {"ops@example.com": "550 no such user", "lead@example.com": "451 greylisted"}
    assert not failure(box).permanent
    assert box.mails == []


def test_a_connection_that_breaks_before_the_text_has_surely_told_nothing(box: FakeMailbox) -> None:
    box.hang_up_at = "RCPT"
    problem = failure(box)
    assert (problem.ambiguous, problem.permanent) == (False, False)


def test_a_lost_answer_to_the_text_is_ambiguous_and_the_repeat_is_the_same_mail(box: FakeMailbox) -> None:
    box.hang_up_at = "TEXT"
    problem = failure(box)
    assert (problem.ambiguous, problem.permanent) == (True, False)
    box.hang_up_at = None
    TEAM.send(replace(OPENED, repeat=True), None, access(box))
    assert arrived(box, 0)["Message-ID"] == arrived(box, 1)["Message-ID"]


def test_a_closed_port_has_surely_told_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    problem = failure(FakeMailbox(port))
    assert (problem.ambiguous, problem.permanent) == (False, False)
    assert "ALERTD_EMAIL__HOST" in str(problem)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (TimeoutError(), "20 s"),
        (socket.gaierror(-2, "x"), "ALERTD_EMAIL__HOST"),
        (ssl.SSLError(1, "wrong version"), "ALERTD_EMAIL__PORT"),
        (smtplib.SMTPServerDisconnected("x"), "closed"),
        (OSError(101, "unreachable"), "closed"),
    ],
)
def test_what_breaks_says_where_to_look_and_is_ambiguous_only_after_the_text(problem: Exception, says: str) -> None:
    before, after = failed(problem, certain=True), failed(problem, certain=False)
    assert says in str(before)
    assert (before.ambiguous, before.permanent) == (False, False)
    assert (after.ambiguous, after.permanent) == (True, False)


@pytest.mark.parametrize("kind", ["none", "starttls", "tls"])
@pytest.mark.parametrize(("first", "drop"), [(b"", b"2"), (b"220 hello\r\n", b"2"), (b"", b"220-hello\r\n")])
def test_a_server_that_drips_is_left_at_the_deadline(first: bytes, drop: bytes, kind: str) -> None:
    with dripping(first, drop) as port:
        problem = failure(FakeMailbox(port), tls=kind, deadline=200)
    assert (problem.ambiguous, problem.permanent) == (False, False)


def test_what_was_cut_at_the_deadline_says_so() -> None:
    broke = smtplib.SMTPServerDisconnected("x")
    assert "within 60 s" in str(failed(broke, certain=True, late=60_000))
    assert failed(broke, certain=False, late=60_000).ambiguous


@pytest.mark.parametrize("greeting", ["554 blocked", "550 no", "421 busy", "hello", "5" * 9_000, "220-hello\r\n" * 20_000])
def test_a_server_that_does_not_greet_us_is_tried_again(greeting: str) -> None:
    with saying(greeting) as port:
        problem = failure(FakeMailbox(port))
    assert (problem.ambiguous, problem.permanent) == (False, False)


@pytest.mark.parametrize("answer", ["what?", "5" * 9_000, "999 x", "200 perhaps", "354 more"])
def test_an_odd_answer_to_the_text_is_ambiguous(answer: str) -> None:
    with saying("220 hello", "250 mail", "250 sender", "250 one", "250 two", "354 go", answer) as port:
        problem = failure(FakeMailbox(port))
    assert (problem.ambiguous, problem.permanent) == (True, False)


@pytest.mark.parametrize("answer", ["what?", "5" * 9_000, "999 x"])
def test_an_odd_answer_before_the_text_is_tried_again(answer: str) -> None:
    with saying("220 hello", "250 mail", answer) as port:
        problem = failure(FakeMailbox(port))
    assert (problem.ambiguous, problem.permanent) == (False, False)


def test_half_an_answer_to_the_text_is_no_answer() -> None:
    with saying("220 hello", "250 mail", "250 sender", "250 one", "250 two", "354 go", "250", end=b"") as port:
        assert failure(FakeMailbox(port)).ambiguous


# TLS and login


@pytest.mark.parametrize(
    ("status", "permanent"), [(535, True), (500, True), (554, True), (454, False), (421, False), (999, False)]
)
def test_nothing_that_is_said_during_the_login_is_passed_on(
    status: int, caplog: pytest.LogCaptureFixture, *, permanent: bool
) -> None:
    caplog.set_level(logging.DEBUG)
    echo = base64.b64encode(f"\0alertd\0{PASSWORD}".encode()).decode()
    with saying("220 hello", "250-mail\r\n250 AUTH PLAIN", f"{status} no such command: AUTH PLAIN {echo}") as port:
        problem = failure(FakeMailbox(port), username="alertd", password=lambda: PASSWORD)
    assert (problem.permanent, problem.ambiguous) == (permanent, False)
    assert str(status) in str(problem)
    told = "".join(traceback.format_exception(problem)) + caplog.text
    assert echo not in told
    assert "no such command" not in told


def test_a_server_without_starttls_gets_nothing(box: FakeMailbox) -> None:
    problem = failure(box, tls="starttls")
    assert problem.permanent
    assert "ALERTD_EMAIL__TLS=none only if plain text is really meant" in str(problem)
    assert box.mails == []


def test_starttls_is_used_when_the_certificate_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(tls_context=serving(certificate), require_starttls=True) as box:
        assert TEAM.send(OPENED, None, access(box, tls="starttls"))
        assert len(box.mails) == 1


def test_tls_from_the_start_is_used_when_the_certificate_is_trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(ssl_context=serving(certificate)) as box:
        assert TEAM.send(OPENED, None, access(box, tls="tls"))
        assert len(box.mails) == 1


@pytest.mark.parametrize("kind", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(certificate: Path, kind: str) -> None:
    options = {"tls_context" if kind == "starttls" else "ssl_context": serving(certificate)}
    with mail_server(**options) as box:
        problem = failure(box, tls=kind)
        assert "certificate" in str(problem)
        assert box.mails == []


def test_a_login_is_used(box: FakeMailbox) -> None:
    seen = []

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        seen.append(data.password)
        return AuthResult(success=True)

    with mail_server(authenticator=check, auth_require_tls=False) as guarded:
        assert TEAM.send(OPENED, None, access(guarded, username="alertd", password=lambda: PASSWORD))
    assert seen == [PASSWORD.encode()]


def test_a_refused_login_is_permanent_and_shows_no_password(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "alertd")

    def check(*_args: Any) -> AuthResult:
        return AuthResult(success=False, handled=False, message=f"535 no, {PASSWORD}")

    with mail_server(authenticator=check, auth_require_tls=False) as guarded:
        problem = failure(guarded, username="alertd", password=lambda: PASSWORD)
    assert problem.permanent
    assert "ALERTD_EMAIL__PASSWORD" in str(problem)
    assert "canary" not in "".join(traceback.format_exception(problem)) + caplog.text


def test_a_login_that_the_server_does_not_know_is_permanent(box: FakeMailbox) -> None:
    problem = failure(box, username="alertd", password=lambda: PASSWORD)
    assert problem.permanent
    assert "ALERTD_EMAIL__USERNAME" in str(problem)


def test_a_password_that_is_not_ascii_is_not_shown() -> None:
    with mail_server(authenticator=lambda *_: AuthResult(success=True), auth_require_tls=False) as guarded:
        problem = failure(guarded, username="alertd", password=lambda: "canary-é")
    assert problem.permanent
    assert "é" not in "".join(traceback.format_exception(problem))


# Options


def test_what_is_missing_is_named() -> None:
    assert "ALERTD_EMAIL__HOST and ALERTD_EMAIL__SENDER" in (TEAM.missing(Access()) or "")
    box = FakeMailbox(25)
    assert TEAM.missing(access(box)) is None
    assert "ALERTD_EMAIL__SENDER" in (TEAM.missing(access(box, sender="alertd")) or "")
    assert "ALERTD_EMAIL__TLS" in (TEAM.missing(access(box, tls="maybe")) or "")
    with pytest.raises(DeliveryError) as caught:
        TEAM.send(OPENED, None, Access())
    assert caught.value.permanent


@pytest.mark.parametrize(
    "to",
    [
        *(
            [],
            ["ops"],
            ["Ops <ops@example.com>"],
            ["ops@example.com\r\nBcc: x@example.com"],
            ["a@b, c@d"],
            ["ops@example.com "],
        ),
        *(["@example.com"], ["ops@"], ["öps@example.com"], "ops@example.com"),
    ],
)
def test_addresses_that_cannot_work_are_refused(to: object) -> None:
    with pytest.raises(ValidationError):
        Email.model_validate({"to": to})


def test_addresses_as_people_write_them_are_taken() -> None:
    assert Email.model_validate({"to": ["ops+alerts@mail.example.com"]}).to == ("ops+alerts@mail.example.com",)
    assert CHANNEL is Email
    assert not TEAM.edits
