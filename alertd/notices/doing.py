"""What the reader of a notice can do about it."""

from __future__ import annotations

from alertd.facts import CONVERSATION
from alertd.notice import Notice
from alertd.notices.wording import CONVERSATIONS, goes_on

OWN = "alertd"  # how the names of alertd's own troubles begin; silences are not about them


def command(notice: Notice) -> str:
    """What to type to say "I have it"; nothing where somebody has, or where it is over."""
    return f"alertd ack {notice.incident}" if goes_on(notice) and not notice.acknowledged else ""


def address(notice: Notice) -> str:
    """Where to look first: alertd's page about it, else the conversation that stands out most; may be empty."""
    worst = next(iter(notice.groups), None)
    if notice.page or worst is None:
        return notice.page or ""
    single = (worst.id,) if worst.by == CONVERSATION else worst.examples
    return f"{CONVERSATIONS}{single[0]}" if single and single[0] is not None else ""


def actions(notice: Notice) -> tuple[str, ...]:
    """What can be done from the message itself: acknowledge, silence 1h, silence 4h, open."""
    if not goes_on(notice):
        return ()
    silences = () if notice.silenced or notice.rule.startswith(OWN) else ("silence 1h", "silence 4h")
    own = ("acknowledge",) if not notice.acknowledged else ()
    return (*own, *silences, *(("open",) if address(notice) else ()))
