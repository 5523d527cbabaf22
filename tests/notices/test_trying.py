"""Templates of one's own, tried on every rule: what fails is found before anybody waits for the message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from alertd.errors import TemplateError
from alertd.facts import Kind
from alertd.notices.context import context
from alertd.notices.rendering import fill
from alertd.notices.samples import KINDS, sample_name, sample_notice
from alertd.notices.trying import Failure, try_templates
from alertd.rulebook.rule import Receiver, Rule, Rulebook
from alertd.testing.builders import a_rule
from alertd.testing.channel import FakeChannel
from alertd.testing.clock import START

SHIPPED = Path(__file__).parents[2] / "templates"
Try = Callable[..., tuple[Failure, ...]]


def a_book(*rules: Rule, fallback: str | None = None) -> Rulebook:
    receivers = {"team": Receiver("team", "slack", FakeChannel()), "post": Receiver("post", "email", FakeChannel())}
    return Rulebook({rule.id: rule for rule in rules}, receivers, fallback, "test")


@pytest.fixture
def attempt(tmp_path: Path) -> Try:
    def attempt(book: Rulebook, uptime: Callable[[], int] = lambda: 0, **files: str) -> tuple[Failure, ...]:
        for name, text in files.items():
            file = tmp_path / f"{name.replace('__', '/').replace('_', '.')}.j2"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
        return try_templates(book, tmp_path, SHIPPED, START, uptime)

    return attempt


def test_a_template_that_works_for_every_rule_is_no_finding(attempt: Try) -> None:
    text = '{% extends "slack.j2" %}{% set phone = "1" %}{% block advice %}{{ super() }} {{ phone }}{% endblock %}'
    assert attempt(a_book(a_rule()), slack=text) == ()


def test_one_mistake_is_one_failure_with_all_its_rules(attempt: Try) -> None:
    rules = [a_rule(id=f"rule-{number}", labels={"phone": "1"} if number == 2 else {}) for number in range(4)]
    found = attempt(a_book(*rules), slack='{% extends "slack.j2" %}\n{% block advice %}\n{{ labels.phone }}{% endblock %}')
    message = "slack.j2, line 3: 'dict object' has no attribute 'phone'"
    assert found == (Failure(message, "slack", Kind.OPENED, ("rule-0", "rule-1", "rule-3")),)


def test_what_fails_only_for_one_kind_of_notice_is_found(attempt: Try) -> None:
    text = '{% extends "slack.j2" %}{% block reply %}{% if kind == "resolved" %}{{ nope }}{% endif %}{% endblock %}'
    assert [failure.kind for failure in attempt(a_book(a_rule()), slack=text)] == [Kind.RESOLVED]


def test_a_report_is_tried_as_a_report_and_with_its_look(attempt: Try) -> None:
    text = '{% extends "slack.j2" %}{% block facts %}{{ nope }}{% endblock %}'
    found = attempt(a_book(a_rule(report=True), a_rule(id="other")), report__slack=text)
    assert found == (Failure("report/slack.j2, line 1: 'nope' is undefined", "slack", Kind.REPORT, ("slow",)),)


def test_only_the_channels_of_a_rules_receivers_are_tried(attempt: Try) -> None:
    broken = '{% extends "email.j2" %}{% block subject %}{{ nope }}{% endblock %}'
    assert attempt(a_book(a_rule()), email=broken) == ()
    assert len(attempt(a_book(a_rule(), fallback="post"), email=broken)) == 1


@pytest.mark.parametrize(
    "files",
    [
        {"email_html": '{% extends "email.html.j2" %}{% block facts %}{{ nope }}{% endblock %}'},
        {"layout_html": "{{ nope }}{% block rows %}{% endblock %}"},
        {"email_html": '{% extends "layout.html.j2" %}', "layout_html": "{% block rows %}{% endblock %}{{ nope }}"},
        {"email": '{% extends "base.j2" %}', "base": "{% block subject %}{% endblock %}{{ nope }}"},
        {"email": "{% block subject %}{% endblock %}\n{{ nope }}"},
        {"email": '{% extends "email.j2" %}{% block subject %}{% include "more.j2" %}{% endblock %}', "more": "{{ nope }}"},
        {"email": '{% extends "ema" ~ "il.j2" %}{% block subject %}{{ nope }}{% endblock %}'},
        {"email": "{% nonsense %}"},
        {"digest__email": '{% extends "digest/email.j2" %}{% block subject %}{{ title }}{% endblock %}'},
        {"digest__email_html": "{{ nope }}"},
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_mistake_is_found_wherever_it_is(files: dict[str, str], attempt: Try) -> None:
    rule = a_rule()
    found = attempt(a_book(replace(rule, notify=dict.fromkeys(rule.notify, ("post",)))), **files)
    assert len(found) == 1
    assert "line 1" in found[0].message or "line 2" in found[0].message


def test_a_template_that_never_ends_is_tried_once(attempt: Try) -> None:
    ticks = count()
    text = '{% extends "slack.j2" %}{% block advice %}{% for a in range(1000) %}{% for b in range(1000) %}{% endfor %}{% endfor %}{% endblock %}'  # noqa: E501
    found = attempt(a_book(*(a_rule(id=f"rule-{number}") for number in range(50))), lambda: next(ticks), slack=text)
    assert [failure.rules for failure in found] == [("rule-0",)]
    assert next(ticks) < 10_000


def test_what_is_tried_fails_as_the_real_message_does(tmp_path: Path) -> None:
    (tmp_path / "slack.j2").write_text('{% extends "slack.j2" %}{% block advice %}\n{{ owner.name }}{% endblock %}')
    real = []
    for kind in KINDS:
        values = context(sample_notice(a_rule(), kind, START), sample_name)
        with pytest.raises(TemplateError) as caught:
            fill("slack", values, None, folders=(tmp_path, SHIPPED), uptime=lambda: 0)
        real.append(str(caught.value))
    assert [failure.message for failure in try_templates(a_book(a_rule()), tmp_path, SHIPPED, START, lambda: 0)] == real[:1]
