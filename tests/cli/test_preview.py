"""`preview` and what `check` says of templates, as processes: what people would see, and nothing is sent."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from alertd.cli.previewing import legible, sparkline
from alertd.clock import MINUTE
from alertd.facts import Kind, Level
from alertd.notice import Notice, to_json
from alertd.notices.incidents import Incident, save_incident
from alertd.store.database import open_database
from alertd.store.tables import notices
from alertd.testing.builders import a_notice
from alertd.testing.clock import START
from tests.cli.shell import alertd


def own(folder: Path, **files: str) -> str:
    """Write templates of one's own; what ALERTD_TEMPLATES is then."""
    (folder / "looks").mkdir()
    for name, text in files.items():
        (folder / "looks" / f"{name}.j2").write_text(text, encoding="utf-8")
    return "looks"


def keep(folder: Path, *told: Notice) -> None:
    """A store with these notices of the rule first-answer."""
    with closing(open_database(f"sqlite:///{folder / 'alertd.db'}")) as database, database.write() as transaction:
        number = save_incident(transaction, Incident("first-answer", START, Level.WARNING, Level.WARNING))
        for notice in told:
            body = to_json(replace(notice, rule="first-answer", incident=number))
            transaction.execute(notices.insert().values(incident=number, kind=notice.kind.value, at=notice.at, body=body))


def test_without_a_store_it_shows_made_up_numbers_and_says_so(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules")
    assert ran.code == 0
    assert ran.err == "first-answer: made-up numbers and names. Nothing is sent.\n"
    for words in (
        "── Slack ─",
        "First answers are slow: 6 min 15 s (limit 5 min)",
        "[Acknowledge]  [Silence 1 h]",
        "alertd ack 12",
    ):
        assert words in ran.out
    assert re.search("[▁▂▃▄▅▆▇█]{10}", ran.out)
    assert not re.search(r"<!date|\*Since", ran.out)
    assert not (tmp_path / "alertd.db").exists()


def test_a_mail_is_shown_with_its_subject(tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", "--channel", "email", "--kind", "resolved")
    assert "Subject: [Resolved] First answers are slow: resolved after" in ran.out
    assert "Slack" not in ran.out


def test_what_the_store_has_is_shown_as_it_was_told(tmp_path: Path, rules: Path) -> None:
    keep(
        tmp_path, a_notice(value=9.0 * MINUTE), a_notice(kind=Kind.CHANGED, value=11.0 * MINUTE), a_notice(kind=Kind.REFRESHED)
    )
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules")
    assert "first-answer: as stored, changed, incident 1, data until " in ran.err
    assert "11 min (limit 5 min)" in ran.out
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", "--kind", "opened")
    assert "9 min (limit 5 min)" in ran.out
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", "--kind", "reminder")
    assert "made-up numbers" in ran.err


def test_the_json_has_what_slack_would_be_sent(tmp_path: Path, rules: Path) -> None:
    found = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", "--kind", "digest", "--json").json
    assert (found["rule"], found["kind"], found["data"]) == ("first-answer", "digest", "made up")
    slack = found["channels"]["slack"]
    assert slack["payload"]["blocks"][0]["text"]["text"] == slack["parts"]["header"] == "⚠️ 1 alert: 1 warning"


def test_the_page_shows_both_and_needs_nothing_else(tmp_path: Path, rules: Path) -> None:
    options = ("--channel", "slack", "--channel", "email", "--html", "page.html", "--kind", "changed")
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", *options)
    assert (ran.code, ran.out) == (0, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert 'class="header"' in page
    assert "1 reply" in page
    assert "Silence 4 h" in page
    assert "srcdoc=" in page
    assert "data:image/png;base64," in page
    assert "cid:chart" not in page
    assert not re.search(r'(?:src|href)="(?!data:|https://app\.drift\.com/)[^"#]', re.sub(r'srcdoc="[^"]*"', "", page))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frist-answer"], 'there is no rule "frist-answer"; did you mean first-answer?'),
        (["first-answer", "--kind", "opend"], 'escalated, resolved, report or digest, not "opend"'),
        (["first-answer", "--kind", "report"], "first-answer is no report; --kind report does not go with it"),
        (["first-answer", "--channel", "pigeon"], 'there is no channel "pigeon"; there are '),
    ],
)  # fmt: skip
def test_wrong_use_is_told(arguments: list[str], said: str, tmp_path: Path, rules: Path) -> None:
    ran = alertd(tmp_path, "preview", *arguments, "--rules", "rules")
    assert ran.code == 2
    assert said in ran.err


def test_a_template_that_fails_is_told_and_the_built_in_text_shown(tmp_path: Path, rules: Path) -> None:
    looks = own(tmp_path, slack='{% extends "slack.j2" %}\n{% block advice %}{{ nope }}{% endblock %}')
    ran = alertd(tmp_path, "preview", "first-answer", "--rules", "rules", ALERTD_TEMPLATES=looks)
    assert ran.code == 1
    assert "slack: the template fails, so the built-in text would go out: slack.j2, line 2: 'nope' is undefined" in ran.err
    assert "First answers are slow: 6 min 15 s" in ran.out


def test_check_renders_templates_of_ones_own_for_every_rule(tmp_path: Path, rules: Path) -> None:
    file = rules / "rules.yaml"
    second = "  - {id: other, measure: count, warning: {above: 5}, labels: {phone: x}}\n"
    third = "  - {id: third, measure: count, warning: {above: 5}}\n"
    file.write_text(file.read_text(encoding="utf-8") + second + third, encoding="utf-8")
    looks = own(tmp_path, slack='{% extends "slack.j2" %}\n\n{% block advice %}{{ labels.phone }}{% endblock %}')
    ran = alertd(tmp_path, "check", "rules", ALERTD_TEMPLATES=looks)
    assert ran.code == 1
    assert (
        'rules/rules.yaml:3:1: error: the template fails for "opened" by slack: slack.j2, line 3: '
        "'dict object' has no attribute 'phone'; the same for 1 other rule"
    ) in ran.out
    assert "1 error" in ran.err


def test_check_finds_a_digest_that_fails(tmp_path: Path, rules: Path) -> None:
    (tmp_path / "looks" / "digest").mkdir(parents=True)
    (tmp_path / "looks" / "digest" / "slack.j2").write_text("{{ title }}", encoding="utf-8")
    found = json.loads(alertd(tmp_path, "check", "rules", "--json", ALERTD_TEMPLATES="looks").out)["findings"]
    assert [(each["file"], each["message"]) for each in found] == [
        ("looks/digest", "the template fails for a digest by slack: digest/slack.j2, line 1: 'title' is undefined")
    ]


def test_a_sparkline_is_as_high_as_its_values() -> None:
    assert sparkline([1, 2, 3, 8]) == "▁▂▃█"
    assert sparkline([5, 5]) == "▁▁"
    assert sparkline([]) == ""
    assert len(sparkline(list(range(1_000)))) <= 48


def test_mrkdwn_is_read_as_plain_text() -> None:
    assert legible(
        "*Now:* <!date^0^{time}|12:40 UTC> · <https://x.example/?a=1&amp;b=2|Runbook> &lt;2&gt; `alertd ack 12`"
    ) == ("Now: 12:40 UTC · Runbook (https://x.example/?a=1&b=2) <2> alertd ack 12")
