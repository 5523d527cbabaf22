"""A mail server that never stops talking, at any step: the mail fails in words, and little of what it says is kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alertd.channels.base import Access, MailAccess, Message
from alertd.channels.email import Email
from alertd.clock import SECOND
from alertd.errors import DeliveryError
from alertd.facts import Kind
from alertd.testing import a_notice
from tests.channels.mail_server import PostOffice, post_office
from tests.hostile.fuzzing import TOKEN, check, little_memory

OPENED = Message("the-key", Kind.OPENED, a_notice(), {"subject": "slow", "text": "It is slow."})
STEPS = ["connect", "EHLO", "AUTH", "MAIL", "RCPT a@example.com", "DATA", "text"]
ENDLESS = {
    "an endless line": b"250 " + b"x" * 20_000_000 + b"\r\n",
    "endless lines": b"250-x\r\n" * 2_000_000,
    "bytes": bytes(range(256)) * 50_000,
}


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as found:
        yield found


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ENDLESS)
def test_whoever_never_stops_talking_is_not_listened_to(office: PostOffice, step: str, how: str) -> None:
    office.script = {step: ENDLESS[how]}
    mail = MailAccess("127.0.0.1", office.port, "me", lambda: TOKEN, "alertd@example.com", "none", deadline=60 * SECOND)
    with little_memory(), pytest.raises(DeliveryError) as caught:
        Email(to=("a@example.com",)).send(OPENED, None, Access(mail=mail))
    check(caught.value)
