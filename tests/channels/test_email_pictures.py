"""The picture in a mail."""

from __future__ import annotations

import email
import email.policy
import logging
from dataclasses import replace
from email.message import EmailMessage

import pytest

from alertd.channels.base import Message
from alertd.channels.email.composing import compose, wire_form
from alertd.charts import Chart
from alertd.facts import Kind, Level
from alertd.testing import a_notice
from alertd.units import Unit

CHART = Chart("First answers", ("10:00", "10:05", "10:10"), (60_000.0, 300_000.0, 432_000.0), Unit.DURATION, limit=300_000.0)
BROKEN = replace(CHART, values=("no number", None, None))  # type: ignore[arg-type]  # what a mistake of ours could make
ROW = '<tr class="chart" style="x"><td><img src="cid:chart" width="552" alt="> 5 min </tr> here" style="x"></td></tr>'
PAGE = f"<table><tr><td>above</td></tr>{ROW}<tr><td>below</td></tr></table>"
SHOWN = Message("key-1", Kind.OPENED, a_notice(level=Level.CRITICAL), {"text": "7 min", "html": PAGE}, chart=CHART)


def sent(message: Message) -> EmailMessage:
    """The mail as a mail program reads it."""
    mail = compose(message, "alertd@example.com", ("a@example.com",), f"<{message.key}@example.com>", None)
    read = email.message_from_bytes(wire_form(mail), policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def page(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def pictures(mail: EmailMessage) -> list[EmailMessage]:
    return [part for part in mail.walk() if part.get_content_maintype() == "image" and isinstance(part, EmailMessage)]


def test_the_picture_stands_in_the_html_and_is_not_shown_as_an_attachment() -> None:
    mail = sent(SHOWN)
    assert [part.get_content_type() for part in mail.walk()] == [
        *("multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png")
    ]
    (picture,) = pictures(mail)
    assert picture.get_content().startswith(b"\x89PNG")
    assert (picture.get_content_disposition(), picture.get_filename()) == ("inline", "chart.png")
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in page(mail)
    assert 'src="cid:chart"' not in page(mail)


def test_the_picture_of_each_message_has_a_name_of_its_own_that_stays_on_a_repeat() -> None:
    names = [pictures(sent(replace(SHOWN, key=key)))[0]["Content-ID"] for key in ("key-1", "key-2", "key-1")]
    assert names[0] == names[2] != names[1]


def test_a_mail_with_a_picture_is_small_and_ascii() -> None:
    raw = wire_form(compose(SHOWN, "alertd@example.com", ("a@example.com",), "<1@example.com>", None))
    assert len(raw) < 200_000
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def test_a_picture_that_cannot_be_drawn_leaves_no_hole_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    mail = sent(replace(SHOWN, chart=BROKEN))
    assert pictures(mail) == []
    assert page(mail).strip() == "<table><tr><td>above</td></tr><tr><td>below</td></tr></table>"
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    assert "without its picture" in caplog.text


def test_a_page_that_shows_a_picture_when_there_is_none_loses_the_place_for_it() -> None:
    mail = sent(replace(SHOWN, chart=None))
    assert pictures(mail) == []
    assert page(mail).strip() == "<table><tr><td>above</td></tr><tr><td>below</td></tr></table>"


def test_a_picture_outside_of_a_row_of_its_own_goes_alone() -> None:
    parts = {"text": "7 min", "html": '<p>above <img alt="a > b" src="cid:chart"> below</p>'}
    assert page(sent(replace(SHOWN, chart=None, parts=parts))).strip() == "<p>above  below</p>"


@pytest.mark.parametrize("html", ["", "<p>no picture</p>", "<p>src is not cid:chart here</p>"])
def test_a_page_that_shows_no_picture_gets_none(html: str) -> None:
    mail = sent(replace(SHOWN, parts={"text": "7 min", "html": html}))
    assert pictures(mail) == []
    assert mail.get_content_type() == ("multipart/alternative" if html else "text/plain")


def test_a_page_full_of_half_elements_is_read_in_no_time() -> None:
    for piece in ('<tr class="chart"', "<img ", '<tr class="chart"><td>', '<tr class="chart"><img src="cid:chart" "'):
        html = (piece * 5_000)[:90_000]
        assert page(sent(replace(SHOWN, chart=None, parts={"text": "7 min", "html": html})))
