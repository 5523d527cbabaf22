"""How far a mail has come with each of its addresses: they have it, never get it, or may get it yet.

smtplib tells of some refused recipients by a value and of all by an exception, whatever the server's words; a greylisting is a
refusal too (451). Here only the status decides: https://www.rfc-editor.org/rfc/rfc5321#section-4.2.1
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from alertd.channels.base import Receipt
from alertd.channels.email.refusals import ADVICE, Reply, said
from alertd.errors import DeliveryError

CROWDED = 552  # of old servers also: too many recipients at once (https://www.rfc-editor.org/rfc/rfc5321#section-4.5.3.1.10)
NAMED = 3  # refused addresses that a sentence names


@dataclass(frozen=True)
class Standing:
    """Who has a mail, known by its Message-ID; what the server said to whom it refuses for good, and to whom it puts off."""

    mail: str
    taken: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    put_off: Mapping[str, str] = field(default_factory=dict)

    def missing(self, to: Iterable[str]) -> tuple[str, ...]:
        """Whom the server is to be asked for, each once."""
        return tuple(each for each in dict.fromkeys(to) if each not in self.taken and each not in self.refused)

    def after(self, asked: tuple[str, ...], replies: Mapping[str, Reply]) -> Standing:
        """How it stands after an attempt for those in `asked`; the server took the mail for all who have no reply."""
        taken = tuple(each for each in asked if each not in replies)
        words = {address: f"{status} {said(reply)}".rstrip() for address, (status, reply) in replies.items()}
        lasting = {address for address, (status, _) in replies.items() if _lasts(status, crowded=bool(taken))}
        return replace(
            self,
            taken=self.taken + taken,
            refused={**self.refused, **{each: words[each] for each in replies if each in lasting}},
            put_off={each: words[each] for each in replies if each not in lasting},
        )

    def conclude(self, receipt: Receipt) -> Receipt:
        """The mail's receipt; DeliveryError while the server puts somebody off, and when nobody has it."""
        if self.put_off:
            have = f"; {len(self.taken)} others have it" if self.taken else ""
            raise DeliveryError(
                f"the mail server does not take the mail now for {_listed(self.put_off)}{have}{self._refusals()}",
                receipt=self.remembered(receipt),
            )
        if not self.taken:
            raise DeliveryError(f"the mail server refuses {_listed(self.refused)}{_advice(self.refused)}", permanent=True)
        if not self.refused:
            return receipt
        return {**receipt, "warning": f"others have the mail{self._refusals()}"}

    def remembered(self, receipt: Receipt) -> Receipt | None:
        """What the next attempt must know, None if nothing; with the mail's receipt as soon as somebody has it."""
        taken = {**receipt, "taken": " ".join(self.taken)} if self.taken else {}
        refused = "\n".join(f"{address} {words}" for address, words in self.refused.items())
        known = {**taken, "refused": refused} if refused else taken
        return {**known, "mail": self.mail} if known else None

    def _refusals(self) -> str:
        refused = self.refused
        return f"; the mail server refuses {_listed(refused)} for good{_advice(refused)}" if refused else ""


def recall(before: Receipt | None, mail: str, to: Iterable[str]) -> Standing:
    """How it stood after the last attempt to send that mail, with those who are named now.

    What was remembered of another mail does not count: a notice that some have by itself may go on in a digest for all. Where
    nobody has the mail and everybody was refused, somebody wants it tried anew, and everybody is asked again.
    """
    known, named = before or {}, set(to)
    if known.get("mail") != mail:
        return Standing(mail)
    taken = tuple(each for each in known.get("taken", "").split() if each in named)
    lines = (line.partition(" ") for line in known.get("refused", "").splitlines())
    refused = {address: words for address, _, words in lines if address in named}
    return Standing(mail, taken, refused if taken or named - refused.keys() else {})


def _lasts(status: int, *, crowded: bool) -> bool:
    return 500 <= status <= 599 and not (status == CROWDED and crowded)


def _listed(words: Mapping[str, str]) -> str:
    some = [f"{address} ({text})" for address, text in list(words.items())[:NAMED]]
    more = len(words) - len(some)
    return ", ".join(some) + (f" and {more} more" if more else "")


def _advice(words: Mapping[str, str]) -> str:
    found = (ADVICE.get(int(text[:3])) for text in words.values())
    return next((f"; {advice}" for advice in found if advice), "")
