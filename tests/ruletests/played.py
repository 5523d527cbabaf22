"""Test files as texts, read and played against a rulebook that is a text too."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent, indent

from alertd.rulebook.findings import Finding
from alertd.rulebook.loader import load
from alertd.rulebook.located import compose
from alertd.rulebook.rule import Rulebook
from alertd.ruletests.case import Case
from alertd.ruletests.reading import read_cases
from alertd.ruletests.running import Run, play_all

RULES = """\
defaults: {notify: team, every: 5m, window: 1h, delay: 30s}
rules:
  - id: slow
    measure: {median: timeToAgentResponseMillis}
    unanswered: as_waited
    warning: {above: 5m, recover: 4m}
    critical: {above: 15m, recover: 10m}
    for: 10m
  - id: crowd
    every: 1m
    window: 10m
    measure: count
    critical: {above: 3}
    notify: [team, mail]
  - id: agents
    by: lastAgentId
    measure: {max: timeToAgentResponseMillis}
    warning: {above: 20m}
    notify: {warning: mail}
  - id: shares
    measure: {share: {property: status, operation: EQ, values: [closed]}}
    warning: {below: 50%}
"""

RECEIVERS = """\
receivers:
  team: {slack: {channel: "#team"}}
  mail: {email: {to: [oncall@example.com], send_resolved: false}}
"""

HEAD = """\
tests:
  - name: it
    start: "2026-11-02T09:00:00Z"
"""


@cache
def a_book(rules: str = RULES) -> Rulebook:
    with TemporaryDirectory() as place:
        Path(place, "rules.yaml").write_text(rules, encoding="utf-8")
        Path(place, "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
        return load(Path(place), revision="test")


def read(text: str, book: Rulebook | None = None) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """The tests of a file, and what is wrong with it."""
    document, findings = compose(text, "a.test.yaml")
    assert document is not None, findings
    return read_cases(document, book or a_book())


def a_case(body: str, book: Rulebook | None = None) -> Case:
    """One test with that body."""
    cases, findings = read(HEAD + indent(dedent(body), "    "), book)
    assert not findings, findings
    return cases[0]


def played(body: str, book: Rulebook | None = None) -> Run:
    """What came of the test with that body."""
    (run,) = play_all([a_case(body, book)], book or a_book())
    return run
