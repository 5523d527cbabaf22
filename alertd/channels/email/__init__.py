"""`email`: one mail a notice, as text and HTML, in one thread per incident."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from alertd.channels.base import Access, Channel, Message, Receipt
from alertd.channels.email.composing import compose, wire_form
from alertd.channels.email.sessions import ADDRESS, PORTS, deliver
from alertd.channels.email.standing import Standing, recall
from alertd.clock import SECOND, Duration
from alertd.errors import DeliveryError
from alertd.facts import Kind


def _address(text: str) -> str:
    if ADDRESS.fullmatch(text):
        return text
    raise ValueError(f'"{text[:80]}" is not a plain mail address; write it like team@example.com')


class Email(Channel):
    """Mail to some people, through the mail server of the deployment."""

    pace: ClassVar[Duration] = SECOND
    burst: ClassVar[int | None] = 5

    to: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...],
        Field(min_length=1, description="The addresses, without names: `[team@example.com]`; they see each other."),
    ]

    def missing(self, access: Access) -> str | None:
        mail = access.mail
        lacking = [name for name, value in (("HOST", mail.host), ("SENDER", mail.sender)) if not value]
        if lacking:
            return "mail needs a server and a sender: set " + " and ".join(f"ALERTD_EMAIL__{name}" for name in lacking)
        if not ADDRESS.fullmatch(mail.sender or ""):
            return "ALERTD_EMAIL__SENDER is not a plain mail address; write it like alertd@example.com"
        return None if mail.tls in PORTS else "ALERTD_EMAIL__TLS must be starttls, tls or none"

    def send(self, message: Message, thread: Receipt | None, access: Access) -> Receipt:
        """Send one mail to everybody at once, or to those who have not got it on an earlier attempt.

        Whom the server refuses for good while somebody has the mail is a warning in the receipt. While it puts somebody off, a
        DeliveryError is raised, although others may have the mail: its `receipt` says who (`taken`), for the next attempt to
        leave them out, and is whole, so that whoever gives up can keep it: a mail that somebody has must not go to others.
        """
        if lacking := self.missing(access):
            raise DeliveryError(lacking, permanent=True)
        if message.kind is Kind.REFRESHED:
            return thread or {}
        root = None if message.kind is Kind.DIGEST else (thread or {}).get("message_id")
        own = f"<{message.key}@{str(access.mail.sender).rpartition('@')[2]}>"
        receipt = {} if message.kind is Kind.TEST else {"message_id": root or own}
        mail = wire_form(compose(message, str(access.mail.sender), self.to, own, root))
        return _sent(access, mail, self.to, recall(message.before, own, self.to), receipt)


def _sent(access: Access, mail: bytes, to: tuple[str, ...], standing: Standing, receipt: Receipt) -> Receipt:
    if not (asked := standing.missing(to)):  # somebody has it, and who had not is no longer named
        return standing.conclude(receipt)
    try:
        replies = deliver(access.mail, str(access.mail.sender), asked, mail)
    except DeliveryError as problem:
        if problem.permanent and standing.taken:
            return {**receipt, "warning": f"{problem}; without this mail: {', '.join(asked)}"}
        problem.receipt = standing.remembered(receipt)
        raise
    return standing.after(asked, replies).conclude(receipt)


CHANNEL = Email
