"""Made-up notices: of any rule, as real ones are put together, with numbers that are beyond its limits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alertd.clock import HOUR, MINUTE
from alertd.facts import Kind, Level
from alertd.notice import Notice, from_json, to_json
from alertd.notices.context import context
from alertd.notices.rendering import render
from alertd.notices.samples import KINDS, sample_digest, sample_name, sample_notice
from alertd.rulebook.loader import load
from alertd.rulebook.rule import Rule
from alertd.testing.builders import a_rule, a_rulebook
from alertd.testing.clock import START

ROOT = Path(__file__).parents[2]
BOOKS = [load(ROOT / "rules" / name) for name in ("starter", "examples", "demo")]
RULES = [rule for book in BOOKS for rule in book.rules.values()]


CLOSED = {"property": "status", "operation": "EQ", "values": ["closed"]}


def made(rule: Rule, kind: Kind = Kind.OPENED) -> Notice:
    return sample_notice(rule, kind, START)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_that_ships_has_a_message_of_every_kind(rule: Rule) -> None:
    for kind in (Kind.REPORT,) if rule.report else KINDS:
        notice = made(rule, kind)
        parts = render("slack", notice, names=sample_name, folders=(ROOT / "templates",), uptime=lambda: 0)
        assert rule.title in parts["header"]
        assert notice.kind is kind
        assert from_json(to_json(notice)) == notice


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.report], ids=lambda rule: rule.id)
def test_its_numbers_are_beyond_the_limit_while_it_goes_on_and_within_it_afterwards(rule: Rule) -> None:
    for kind in (Kind.OPENED, Kind.REMINDER):
        notice = made(rule, kind)
        for value, limit in [(notice.value, notice.limit), *((group.value, group.limit) for group in notice.groups)]:
            assert value is not None
            assert limit is not None
            assert rule.badness(value) > rule.badness(limit)
    end = made(rule, Kind.RESOLVED)
    assert end.value is None or rule.limits[-1].recovered_by(end.value)
    assert end.resolved_at == end.at


def test_a_change_shows_the_higher_level_after_the_lower() -> None:
    notice = made(a_rule(critical=(15 * MINUTE, 10 * MINUTE), warning=(5 * MINUTE, 4 * MINUTE)), Kind.CHANGED)
    assert (notice.previous, notice.level) == (Level.WARNING, Level.CRITICAL)


def test_groups_are_those_that_the_rule_expects_and_people_have_names() -> None:
    told = context(made(a_rule(by="lastAgentId")), sample_name)
    assert [group["name"] for group in told["groups"]] == ["Priya Shah", "Tom Reed", "Ana Núñez"]
    assert [group.id for group in made(a_rule(by="lastAgentId", expect=(5, 6))).groups][:2] == [5, 6]
    told = context(made(a_rule(by="conversationId")), sample_name)
    assert told["groups"][0]["url"] == "https://app.drift.com/conversations/9001112"


@pytest.mark.parametrize(
    ("compare", "measure", "words"),
    [
        ({"change": {"to": "7d"}}, "count", "% ("),
        ({"usual": {"weeks": 4}}, "count", "deviations above the usual 100"),
        ({"burn": {"objective": "95%"}}, {"share": [CLOSED]}, "as fast as allowed"),
    ],
)  # fmt: skip
def test_a_comparison_says_with_what(compare: object, measure: object, words: str) -> None:
    assert words in made(a_rule(compare=compare, measure=measure)).comparison


def test_a_rule_without_groups_has_a_past_that_leads_to_its_value() -> None:
    notice = made(a_rule(every=5 * MINUTE))
    instants = [at for at, _ in notice.trail]
    assert instants == sorted(instants)
    assert instants[-1] == notice.at
    assert notice.value is not None
    assert notice.trail[-1][1] == pytest.approx(notice.value, rel=0.05)
    assert notice.trail[0][1] < 5 * MINUTE


def test_a_digest_is_of_several_rules_that_one_among_them() -> None:
    rules = [a_rule(id=f"rule-{number}") for number in range(5)]
    told = sample_digest(a_rulebook(*rules), rules[3], START)
    assert told[0].rule == "rule-3"
    assert len({notice.incident for notice in told}) == 5


def test_two_looks_at_one_instant_are_the_same() -> None:
    rule = a_rule(hold=HOUR)
    assert made(rule) == made(replace(rule))
