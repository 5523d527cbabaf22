"""Texts from outside made safe for each kind of message: Slack's mrkdwn, HTML, plain text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from alertd.clock import DAY, Instant

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LAST: Instant = 253_402_300_799_000  # the end of the year 9999, beyond which Python has no dates

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_URL = re.compile(r"https?://[^\s<>|\"'`\\^{}\x00-\x20\x7f]+", re.IGNORECASE)
# Where Slack could begin or end bold, italics or strikethrough: at the edge of a word. Look-alikes keep the text readable.
_EDGE = re.compile(r"(?<![^\W_])[*_~]|[*_~](?![^\W_])")
_UNIT = re.compile(r"(?<=\d) (?=(?:d|h|min|s|ms|%)(?!\w))")
_ALIKE = str.maketrans({"*": "∗", "_": "ˍ", "~": "∼"})


@dataclass(frozen=True)
class Style:
    """How one kind of message writes what it is given. `link` takes an address that has been checked and a plain label."""

    escape: Callable[[str], str]
    link: Callable[[str, str], str]
    moment: Callable[[Instant, Instant], str]  # an instant, and the one that says which day is today
    marked: bool  # whether its texts are markup, so that what is printed must be escaped
    address: Callable[[str], str] = str  # a checked address by itself, as a button or an attribute takes it
    finish: Callable[[str], str] = str  # what is still to be done with a whole text


def clean(text: str, limit: int = 2_000) -> str:
    """Drop what could disturb any message: control characters, lone surrogates, marks that turn the direction of writing."""
    short = text[:limit]
    plain = short.isascii() and short.isprintable()  # as most are: then no letter needs a look
    kept = short if plain else "".join(letter for letter in short if letter == "\n" or _harmless(letter))
    return kept.strip() + ("…" if len(text) > limit else "")


def line(text: str, limit: int = 300) -> str:
    """The same, in one line."""
    return clean(" ".join(text[: 4 * limit].split()), limit)


def address(text: str | None) -> str:
    """The text if it is an http(s) address, else nothing."""
    return text if text and len(text) <= 2_000 and _URL.fullmatch(text) else ""


def utc(instant: Instant, today: Instant) -> str:
    """`12:40 UTC`, with its date where that is not today's: `3 Nov 12:40 UTC`."""
    moment = _moment(instant)
    date = "" if instant // DAY == today // DAY else f"{moment.day} {MONTHS[moment.month - 1]} "
    return f"{date}{moment:%H:%M} UTC"


def _harmless(letter: str) -> bool:
    return letter not in _BIDI and unicodedata.category(letter) not in ("Cc", "Cs", "Zl", "Zp")


def _moment(instant: Instant) -> datetime:
    return datetime.fromtimestamp(min(max(instant, 0), _LAST) / 1000, UTC)


def _slack_escape(text: str) -> str:
    """Escape what Slack reads as control characters (https://docs.slack.dev/messaging/formatting-message-text#escaping)."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", "'")
    return _EDGE.sub(lambda match: match[0].translate(_ALIKE), escaped)


def _slack_link(url: str, label: str) -> str:
    return f"<{url.replace('&', '&amp;')}|{_slack_escape(label).replace('|', '¦')}>"


def _slack_moment(instant: Instant, today: Instant) -> str:
    """A date token, which Slack writes in the zone of whoever looks; UTC where it cannot."""
    form = "{time}" if instant // DAY == today // DAY else "{date_short_pretty} {time}"
    return f"<!date^{min(max(instant, 0), _LAST) // 1000}^{form}|{utc(instant, today)}>"


def _slack_finish(text: str) -> str:
    """Undo the escapes that Jinja's `~` and `join` make of quotes; Slack would show them as they are."""
    return text.replace("&#34;", '"').replace("&#39;", "'")


def _html_escape(text: str) -> str:
    """Escape for HTML; a number stays on one line with its unit."""
    return _UNIT.sub("&nbsp;", html.escape(text))


def _html_link(url: str, label: str) -> str:
    return f'<a href="{html.escape(url)}">{html.escape(label)}</a>'


PLAIN = Style(escape=str, link=lambda url, label: f"{label}: {url}", moment=utc, marked=False)
MRKDWN = Style(escape=_slack_escape, link=_slack_link, moment=_slack_moment, marked=True, finish=_slack_finish)
HTML = Style(escape=_html_escape, link=_html_link, moment=utc, marked=True, address=html.escape)
