"""From a message to a mail: text and HTML, the picture in it, and the headers by which mail programs thread and sort it."""

from __future__ import annotations

import logging
import re
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate

from alertd.channels.base import Message
from alertd.charts import Chart, png
from alertd.facts import Kind, Level

log = logging.getLogger(__name__)

PICTURE = 440  # narrower than it is shown on a desk (552), so that its words can be read on a telephone too (330)
TESTED = "This is a test message from alertd. Nothing is wrong."

_registry = HeaderRegistry()
# As plain texts they would be folded into encoded words, which no client understands.
for _name in ("in-reply-to", "references", "list-id"):
    _registry.map_to_type(_name, MessageIDHeader)  # type: ignore[arg-type]  # typeshed asks for more than email does
WIRE = SMTP.clone(cte_type="7bit", header_factory=_registry)  # 7bit: not every server announces 8BITMIME

# What a template writes for the picture: an element in a row of its own, so that both can go where there is none. Attributes
# may have any sign in their quotes.
_INSIDE = r"""(?:[^<>"']|"[^"]*"|'[^']*')*"""
_PICTURE = 'src="cid:chart"'
_ROW = re.compile(rf'<tr\b{_INSIDE}\sclass="chart"{_INSIDE}>(?:[^<]|<(?!/?tr\b){_INSIDE}>)*</tr>', re.IGNORECASE)
_ELEMENT = re.compile(rf"<img\b{_INSIDE}\s{_PICTURE}{_INSIDE}>", re.IGNORECASE)


def wire_form(mail: EmailMessage) -> bytes:
    """The mail as it goes over the wire: ASCII, in lines that end as SMTP wants it."""
    return mail.as_bytes(policy=WIRE)


def compose(message: Message, sender: str, to: tuple[str, ...], own: str, root: str | None) -> EmailMessage:
    """Build the mail. `own` is its Message-ID, the same on every attempt; `root` that of the incident's first mail."""
    parts = {name: text.encode("utf-8", "replace").decode() for name, text in message.parts.items()}
    mail = EmailMessage(policy=WIRE)
    mail["Subject"] = _line(parts.get("subject", "")) or "alertd: test message"
    mail["From"] = sender
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate(usegmt=True)  # the hour of posting, by which nothing is decided
    mail["Message-ID"] = own
    if root:
        mail["In-Reply-To"] = root
        mail["References"] = root
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
    mail["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    for name, text in _marks(message, parts, sender.rpartition("@")[2]).items():
        mail[name] = text
    mail.set_content(parts.get("text", "").strip() or TESTED)
    if parts.get("html"):
        _add_page(mail, parts["html"], message.chart, own)
    return mail


def _marks(message: Message, parts: dict[str, str], domain: str) -> dict[str, str]:
    """The headers to sort by. Gmail has filters for List-Id only, so that it names the rule."""
    rule = "" if message.kind is Kind.DIGEST else _line(parts.get("rule", ""))
    plain = re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", rule)
    marks = {"List-Id": f"<{rule}.alertd.{domain}>" if plain else f"<alertd.{domain}>", "X-Alertd-Rule": rule}
    if rule and (incident := _line(parts.get("incident", ""))):
        over = message.kind is Kind.RESOLVED
        marks |= {"X-Alertd-Incident": incident, "X-Alertd-State": "resolved" if over else "firing"}
    if message.kind is not Kind.TEST and message.level is not Level.OK:
        marks["X-Alertd-Severity"] = message.level.value
    return {name: text for name, text in marks.items() if text}


def _add_page(mail: EmailMessage, page: str, chart: Chart | None, own: str) -> None:
    """Add the HTML, with its picture beside it where it shows one. Without a picture it goes out all the same (I11)."""
    picture = _drawn(chart) if chart and _ELEMENT.search(page) else None
    if picture is None:
        mail.add_alternative(_ELEMENT.sub("", _ROW.sub("", page)), subtype="html")
        return
    name = f"chart.{own.strip('<>')}"
    mail.add_alternative(page.replace(_PICTURE, f'src="cid:{name}"'), subtype="html")
    html = mail.get_body(("html",))
    assert isinstance(html, EmailMessage)  # noqa: S101 - it was added a line above
    html.add_related(picture, "image", "png", cid=f"<{name}>", disposition="inline", filename="chart.png")


def _drawn(chart: Chart) -> bytes | None:
    try:
        return png(chart, width=PICTURE)
    except Exception:
        log.exception("the mail goes out without its picture, which cannot be drawn")
        return None


def _line(text: str) -> str:
    return " ".join(text.split())[:200]
