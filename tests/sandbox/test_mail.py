from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from alertd.clock import Duration, Instant
from alertd.sandbox.mail import Mailbox

NOON = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z


class StoppedClock:
    """Noon, always."""

    def now(self) -> Instant:
        return NOON

    def uptime(self) -> Duration:
        return 0

    def boot(self) -> str:
        return "test"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    box = Mailbox(StoppedClock(), kept=3)
    box.start()
    yield box
    box.stop()


def written(subject: str = "First answers are slow", key: str = "<1@alertd>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alertd <alertd@example.com>", "ops@example.com", subject
    message["Message-ID"] = key
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("slow: Zürich\n")
    return message


def send(mailbox: Mailbox, message: EmailMessage) -> None:
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=10) as server:
        server.send_message(message, to_addrs=["ops@example.com", "lead@example.com"])


def test_a_mail_arrives_with_both_its_bodies(mailbox: Mailbox) -> None:
    message = written("Langsam: Zürich 🚨")
    message.add_alternative("<p>slow: Zürich</p>", subtype="html")
    send(mailbox, message)
    (mail,) = mailbox.mails
    assert (mail.number, mail.sender, mail.to) == (1, "alertd <alertd@example.com>", "ops@example.com")
    assert mail.recipients == ("ops@example.com", "lead@example.com")
    assert mail.subject == "Langsam: Zürich 🚨"
    assert (mail.text.strip(), mail.html.strip()) == ("slow: Zürich", "<p>slow: Zürich</p>")
    assert (mail.header("auto-submitted"), mail.header("X-Nothing")) == ("auto-generated", None)
    assert mail.received_at == NOON
    assert b"Message-ID: <1@alertd>" in mail.raw


def test_a_mail_without_html_has_none(mailbox: Mailbox) -> None:
    send(mailbox, written())
    assert (mailbox.mails[0].html, mailbox.mails[0].page) == ("", "")


def test_an_inline_picture_is_part_of_the_page(mailbox: Mailbox) -> None:
    message = written()
    message.add_alternative('<img alt="chart" src="cid:chart@alertd">', subtype="html")
    body = message.get_payload(1)
    assert isinstance(body, EmailMessage)
    body.add_related(b"PNG", "image", "png", cid="<chart@alertd>")
    send(mailbox, message)
    assert mailbox.mails[0].page.strip() == '<img alt="chart" src="data:image/png;base64,UE5H">'


def test_the_newest_mails_are_kept_and_keep_their_numbers(mailbox: Mailbox) -> None:
    for number in range(5):
        send(mailbox, written(str(number), f"<{number}@alertd>"))
    assert [(mail.number, mail.subject) for mail in mailbox.mails] == [(3, "2"), (4, "3"), (5, "4")]


def test_the_same_message_id_is_stored_again_and_marked(mailbox: Mailbox) -> None:
    send(mailbox, written())
    send(mailbox, written())
    assert [mail.repeat for mail in mailbox.mails] == [False, True]


def test_a_mail_is_refused_on_cue(mailbox: Mailbox) -> None:
    mailbox.refuse("550 5.1.1 No such user", times=2)
    for _ in range(2):
        with pytest.raises(smtplib.SMTPDataError) as caught:
            send(mailbox, written())
        assert caught.value.smtp_code == 550
    send(mailbox, written())
    assert len(mailbox.mails) == 1


def test_a_mail_may_be_taken_although_the_answer_says_otherwise(mailbox: Mailbox) -> None:
    mailbox.refuse("451 4.3.0 Try later", keep=True)
    with pytest.raises(smtplib.SMTPDataError):
        send(mailbox, written())
    assert len(mailbox.mails) == 1


def test_a_mail_that_is_hardly_one_is_taken_too(mailbox: Mailbox) -> None:
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=10) as server:
        server.sendmail("a@example.com", ["b@example.com"], b"\r\njust words \xff\r\n")
    (mail,) = mailbox.mails
    assert (mail.sender, mail.to, mail.subject) == ("a@example.com", "b@example.com", "")


def test_two_mailboxes_have_two_ports() -> None:
    boxes = [Mailbox(StoppedClock()) for _ in range(2)]
    try:
        for box in boxes:
            box.start()
        assert len({box.port for box in boxes} - {0}) == 2
    finally:
        for box in boxes:
            box.stop()


def test_a_stopped_mailbox_no_longer_listens_but_keeps_its_mails(mailbox: Mailbox) -> None:
    send(mailbox, written())
    mailbox.stop()
    mailbox.stop()
    with pytest.raises(OSError):  # noqa: PT011 - refused
        socket.create_connection((mailbox.host, mailbox.port), timeout=10)
    assert len(mailbox.mails) == 1


def test_a_taken_port_is_an_error(mailbox: Mailbox) -> None:
    second = Mailbox(StoppedClock(), mailbox.port)
    with pytest.raises(OSError):  # noqa: PT011 - the system's own words
        second.start()
