"""A credential in a rule file is not shown, and warned of where it would be loaded; what stands for one is left alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.errors import RulebookError
from alertd.rulebook.credentials import exposed, mask
from alertd.rulebook.files import gather, read
from alertd.rulebook.findings import render_github, render_json, render_text
from alertd.rulebook.loader import build, inspect
from tests.rulebook.folders import write

DRAWN = "7f3a9c1e5b2d4860a1c3"
BETWEEN = "----"  # a line of its own would be found by those who look for keys in this repository

# Each in two parts, so that nobody who looks for credentials finds these.
REAL = {
    "a Slack token": f"xoxb-1234567890-{DRAWN}",
    "a Slack token for apps": f"xapp-1-A01-{DRAWN}",
    "a Slack token that expires": f"xoxe.xoxp-1-{DRAWN}",
    "an incoming webhook": f"https://hooks.slack.com/services/T01AB2CD3/B04EF5GH6/{DRAWN}",
    "a workflow": f"https://hooks.slack.com/triggers/T01AB2CD3/1234/{DRAWN}",
    "another incoming webhook": f"https://discord.com/api/webhooks/1234567890/{DRAWN}",
    "a sign of life": f"https://hc-ping.com/{DRAWN}",
    "a header": f"Authorization: Bearer {DRAWN}",
    "an access key": "AKIA" + "IOSFODNN7EXBMPLE",
    "a private key": f"-{BETWEEN}BEGIN RSA PRIVATE KEY{BETWEEN}-",
    "a token of GitHub": "ghp_" + DRAWN * 2,
    "a key of Google": "AIza" + (DRAWN * 2)[:35],
    "a key of Stripe": f"sk_live_{DRAWN}",
    "a signed token": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{DRAWN}",
    "a password in an address": f"postgresql://alertd:{DRAWN}@db.example.com/alertd",
}
EXAMPLES = (
    "xoxb-...",
    "xoxb-your-token-here",
    "xoxb-xxxxxxxxxxxx-xxxxxxxxxxxx",
    "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "https://hooks.slack.com/services/...",
    "Authorization: Bearer $TOKEN",
    "Bearer your-token-goes-here-1",
    "postgresql://USER:PASSWORD@HOST/DATABASE",
    "https://me:${PASSWORD}@example.com",
    "https://wiki.example.com/slow-first-answer#step-12",
    "mailto:oncall@example.com",
    "the bearer of bad news, which is 12 minutes old",
)


@pytest.mark.parametrize("name", REAL)
def test_what_makers_of_credentials_let_them_begin_with_is_recognised_in_a_text(name: str) -> None:
    text = f"rules: []\n# set it to '{REAL[name]}' and\n# be done"
    (found,) = exposed(text)
    assert found.line == 2
    line = text.splitlines()[1]
    assert line[found.column - 1 : found.end_column - 1] in line[line.index("'") : line.rindex("'")]
    assert DRAWN not in found.what


@pytest.mark.parametrize("text", EXAMPLES)
def test_what_stands_for_a_credential_is_none(text: str) -> None:
    assert list(exposed(f"description: {text}")) == []


def test_the_rules_that_ship_have_none() -> None:
    files = [file for folder in ("rules", "deploy", "alertd/cli/initial") for file in Path(folder).rglob("*") if file.is_file()]
    assert len(files) > 10
    assert [str(file) for file in files if list(exposed(file.read_text(encoding="utf-8")))] == []


def test_it_is_warned_of_wherever_it_stands_and_nowhere_repeated(tmp_path: Path) -> None:
    rules = f"""\
# curl -H 'Authorization: Bearer {DRAWN}'
rules:
  - id: slow
    title: Slow
    owner: me
    every: 5m
    window: 1h
    notify: team
    description: {REAL["a Slack token"]}
    measure: count
    warning: {{above: 5}}
"""
    receivers = f"receivers:\n  team: {{email: {{to: [a@example.com]}}}} # {REAL['an incoming webhook']}\n"
    write(tmp_path, receivers=receivers, rules=rules)
    book, findings = inspect(tmp_path)
    assert book
    found = [(each.severity, Path(each.file).name, each.line) for each in findings if "looks like" in each.message]
    assert found == [("warning", "receivers.yaml", 2), ("warning", "rules.yaml", 1), ("warning", "rules.yaml", 9)]
    for shown in (render_text(findings), render_github(findings), render_json(findings)):
        assert DRAWN not in shown
        assert "name an environment variable" in shown


@pytest.mark.parametrize(
    "wrong",
    [
        "id: {0}",
        "{0}: 1",
        "measure: {0}",
        "notify: [{0}]",
        "owner: me\n    notify: {{warning: {0}}}",
        "filters: [{{property: {0}, operation: EQ, values: [1]}}]",
        "every: {0}",
        "calendar: {0}",
        "quiet_while: [{0}]",
        "measure: {{median: {0}}}",
        "warning: {{above: {0}}}",
        "labels: [{0}]",
        "title: [{0}]",
        "what: {{is: [this, {0}]}}",
        'no: "{0}',
    ],
)
@pytest.mark.parametrize("secret", [DRAWN, *(each for each in REAL.values() if BETWEEN not in each)])
def test_a_credential_in_the_wrong_place_is_refused_without_being_shown(tmp_path: Path, wrong: str, secret: str) -> None:
    quoted = f"'{secret}'" if re.search(r"[:#]", secret) and '"' not in wrong else secret
    rule = "rules:\n  - title: Slow\n    " + wrong.format(quoted) + "\n"
    write(tmp_path, receivers="receivers:\n  team: {email: {to: [a@example.com]}}\n", rules=rule)
    with pytest.raises(RulebookError) as caught:
        build(read(gather([tmp_path])), None)
    findings = inspect(tmp_path)[1]
    for shown in (str(caught.value), render_text(findings), render_github(findings), render_json(findings)):
        assert secret not in shown
        assert DRAWN not in shown


@pytest.mark.parametrize("text", ["slow-first-answer", "timeToAgentResponseMillis", "1234567890123456789", "a1" * 5])
def test_names_and_numbers_are_shown_as_they_are(text: str) -> None:
    assert mask(text) == text


@given(st.text(max_size=60))
def test_hiding_moves_nothing(text: str) -> None:
    assert len(mask(text)) == len(text)
