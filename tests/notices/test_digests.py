"""Many notices in one message: how many, how bad, the most urgent first, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.slack.blocks import blocks
from alertd.clock import MINUTE
from alertd.errors import TemplateError
from alertd.facts import Kind, Level
from alertd.notice import Notice
from alertd.notices import digests
from alertd.notices.digests import DIGEST_VARIABLES, digest_context, gather
from alertd.notices.rendering import template_names
from tests.channels.servers import complaint
from tests.notices.examples import AGENTS, FAILED_REPORT, REPORT, SHARE, SLOW, WAITING, names, of_kind
from tests.notices.test_rendering import HOSTILE, NOTICES, tokens, visible

SHIPPED = Path(__file__).parents[2] / "templates"
# A clock that stands still: how fast the machine is must not matter.
render = partial(digests.render_digest, names=names, folders=(SHIPPED,), uptime=lambda: 0)
render_or_plain = partial(digests.render_digest_or_plain, names=names, uptime=lambda: 0)


OVER = of_kind(replace(SHARE, incident=14), Kind.RESOLVED)


def many(count: int, notice: Notice = SLOW) -> list[Notice]:
    return [replace(notice, incident=100 + place, title=f"Rule {place}") for place in range(count)]


def told(*notices: Notice, kind: str = "slack", reason: str = "") -> str:
    parts = render(kind, notices, reason=reason)
    return "\n".join(parts[name] for name in ("header", "summary", "groups", "advice", "context"))


@pytest.mark.parametrize(
    ("notices", "headline"),
    [
        ([SLOW], "1 alert: 1 critical"),
        ([SLOW, replace(WAITING, incident=13), OVER], "3 alerts: 1 critical, 1 warning, 1 resolved"),
        ([REPORT, REPORT], "2 reports"),
        ([SLOW, REPORT], "1 alert and 1 report: 1 critical"),
        (many(1_204), "1,204 alerts: 1,204 critical"),
    ],
)  # fmt: skip
def test_the_headline_counts_in_plain_words(notices: list[Notice], headline: str) -> None:
    assert render("slack", notices)["header"].endswith(f" {headline}")
    assert render("email", notices)["subject"] == f"[Summary] {headline}"


def test_the_most_urgent_come_first() -> None:
    def one(incident: int, kind: Kind, level: Level) -> Notice:
        return of_kind(replace(SLOW, incident=incident, level=level), kind)

    mixed = [
        REPORT,
        one(1, Kind.RESOLVED, Level.CRITICAL),
        one(2, Kind.REMINDER, Level.WARNING),
        one(3, Kind.OPENED, Level.WARNING),
        one(4, Kind.CHANGED, Level.CRITICAL),
        one(5, Kind.OPENED, Level.CRITICAL),
        one(6, Kind.ESCALATED, Level.CRITICAL),
    ]
    assert [notice.incident for notice in gather(mixed)] == [5, 6, 4, 3, 2, 1, None]


def test_an_incident_is_told_once_as_it_stands_now() -> None:
    worse = of_kind(replace(SLOW, value=11.0 * MINUTE), Kind.CHANGED)
    assert [notice.kind for notice in gather([SLOW, worse])] == [Kind.OPENED]
    assert "11 min" in told(SLOW, worse)
    assert [notice.kind for notice in gather([SLOW, worse, of_kind(SLOW, Kind.RESOLVED)])] == [Kind.RESOLVED]


def test_reports_are_never_taken_for_one_another() -> None:
    assert len(gather([REPORT, FAILED_REPORT, REPORT])) == 3


def test_each_line_has_the_number_to_act_on() -> None:
    text = told(SLOW, replace(WAITING, incident=13, page=None))
    assert "🚨 First answers are slow: 7 min 12 s (limit 5 min) · <https://alertd.example.com/incidents/12|incident 12>" in text
    assert "⚠️ Visitors wait for an answer: 27 conversations, worst 12 min (limit 10 min) · incident 13" in text
    assert "`alertd ack NUMBER`" in text


@pytest.mark.parametrize(("kind", "listed"), [("slack", 20), ("email", 40)])
def test_only_the_worst_are_listed_and_the_others_counted(kind: str, listed: int) -> None:
    parts = render(kind, many(57))
    text = "\n".join(parts.values())
    assert all(f"Rule {place}:" in text for place in range(listed))
    assert f"Rule {listed}:" not in text
    assert f"and {57 - listed} more: " in text
    assert "alertd status" in text


def test_what_is_over_and_not_listed_is_looked_for_nowhere() -> None:
    over = [of_kind(notice, Kind.RESOLVED) for notice in many(30)]
    assert render("slack", over)["advice"] == "and 10 more"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("", "They came too fast to be told one by one."),
        ("alertd was not running from 02:10 to 05:40", "alertd was not running from 02:10 to 05:40."),
        ("They came faster than one message a second.", "They came faster than one message a second."),
    ],
)
def test_it_says_why_they_come_together(reason: str, said: str) -> None:
    assert render("slack", many(3), reason=reason)["summary"] == said
    assert said in render("email", many(3), reason=reason)["text"]
    assert said in visible(render("email", many(3), reason=reason)["html"])


def test_it_says_how_late_the_oldest_is() -> None:
    late = [replace(notice, late=place * 20 * MINUTE) for place, notice in enumerate(many(3))]
    assert "Sent up to 40 min late." in told(*late)
    assert "Sent up to 40 min late." in render("email", late)["text"]
    assert "late" not in told(*many(3))


@pytest.mark.parametrize(
    ("notices", "worse"),
    [
        ([SLOW, REPORT], "yes"),
        ([of_kind(SLOW, Kind.RESOLVED)], ""),
        ([SLOW, of_kind(SLOW, Kind.RESOLVED)], ""),
        ([REPORT], ""),
    ],
)
def test_the_channel_learns_whether_any_got_worse(notices: list[Notice], worse: str) -> None:
    assert render("slack", notices)["worse"] == worse


def test_every_variable_is_documented() -> None:
    assert set(digest_context(gather([SLOW, REPORT]), names)) == set(DIGEST_VARIABLES)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_mentions_links_or_formats_anything(text: str) -> None:
    hostile = [replace(AGENTS, incident=place, title=text, rule=text, page=text) for place in range(1, 30)]
    parts = digests.render_digest("slack", hostile, names=lambda _by, _number: text, folders=(SHIPPED,), uptime=lambda: 0)
    assert complaint({"text": parts["plain"], "blocks": blocks(parts)}) is None
    assert all(token.startswith("!date^") for part in parts.values() for token in tokens(part))
    assert "<script" not in render("email", hostile)["html"]


@settings(deadline=None, max_examples=40)
@given(st.lists(NOTICES, min_size=1, max_size=30), st.text())
def test_any_notices_at_all_are_told_within_slacks_limits(notices: list[Notice], reason: str) -> None:
    parts = render("slack", notices, reason=reason)
    assert complaint({"text": parts["plain"], "blocks": blocks(parts)}) is None
    assert len(render("email", notices, reason=reason)["html"].encode()) < 90_000


def test_ten_thousand_are_one_short_message() -> None:
    parts = render("slack", many(10_000))
    assert len(parts["groups"].splitlines()) == 20
    assert len(render("email", many(10_000))["html"].encode()) < 90_000


def test_the_look_can_be_changed_and_a_broken_one_still_tells(own: Callable[[str], tuple[Path, Path]]) -> None:
    changed = own('{% extends "digest/slack.j2" %}{% block summary %}Look at the page. {{ super() }}{% endblock %}')
    assert render("slack", many(2), folders=changed)["summary"].startswith("Look at the page. They came")

    broken = own("\n{{ nonsense }}")
    with pytest.raises(TemplateError, match=r"digest/slack\.j2, line 2: 'nonsense' is undefined"):
        render("slack", many(2), folders=broken)
    parts = render_or_plain("slack", many(57), folders=broken)
    assert complaint({"text": parts["plain"], "blocks": blocks(parts)}) is None
    assert "Rule 0" in parts["summary"]
    assert "and 17 more" in parts["summary"]
    assert "built-in text: digest/slack.j2, line 2" in parts["summary"]
    assert parts["failure"]


def test_a_channel_without_a_look_for_it_is_told_in_plain_text() -> None:
    parts = render_or_plain("pager", many(2), folders=(SHIPPED,))
    assert "Rule 1" in parts["text"]
    assert "2 alerts" in parts["subject"]


def test_no_rule_can_have_the_look_of_digests() -> None:
    assert "report" in template_names([SHIPPED])
    assert "digest" not in template_names([SHIPPED])


@pytest.fixture
def own(tmp_path: Path) -> Callable[[str], tuple[Path, Path]]:
    def write(text: str) -> tuple[Path, Path]:
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "digest"
        folder.mkdir(parents=True)
        (folder / "slack.j2").write_text(text)
        return folder.parent, SHIPPED

    return write
