"""Rules that fail for long: their owners are told once, and an outage is told once for all (I7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from alertd.clock import DAY, MINUTE, Duration
from alertd.evaluation.failing import BUDGET, RULE, SOURCE, tell_failing
from alertd.evaluation.ledger import Checked
from alertd.facts import Evidence, Kind, Level
from alertd.notice import Notice, from_json
from alertd.notices.own import open_causes
from alertd.rulebook.rule import Rule, Rulebook
from alertd.store.database import Database
from alertd.store.tables import deliveries, notices
from alertd.testing import START, FakeChannel, a_rule, a_rulebook

W, C = Level.WARNING, Level.CRITICAL
TIMEOUT, TOKEN = "the API took longer than 10 s (12 s)", "the API refuses the token (401); again in 34 s."
O, R = Kind.OPENED, Kind.RESOLVED  # noqa: E741 - for tables


@dataclass
class Desk:
    """Rules that fail for reasons that a test makes up; each look is five minutes later."""

    database: Database
    book: Rulebook
    at: int = START
    since: dict[str, int] = field(default_factory=dict)

    def look(self, reasons: Mapping[str, str], *, stale: bool = False, after: Duration = 5 * MINUTE) -> list[Kind]:
        """Every rule is checked, those that are named fail; what is told then."""
        self.at += after
        self.since = {name: self.since.get(name, self.at) for name in reasons}
        evidence = Evidence.STALE if stale else Evidence.ERROR
        checked = {
            name: Checked(
                name, self.at, self.at, "q", evidence if name in reasons else Evidence.OK, reasons.get(name, "fine"), 0,
                self.since.get(name),
            )
            for name in self.book.rules
        }  # fmt: skip
        with self.database.write() as transaction:
            kinds = tell_failing(transaction, checked, self.book, self.at)
            assert tell_failing(transaction, checked, self.book, self.at) == []
        return kinds

    @property
    def causes(self) -> set[str]:
        with self.database.read() as transaction:
            return set(open_causes(transaction))

    @property
    def newest(self) -> Notice:
        with self.database.read() as transaction:
            return from_json(transaction.scalars(sa.select(notices.c.body).order_by(notices.c.id.desc())).first() or "")

    def told(self) -> list[tuple[str, str]]:
        with self.database.read() as transaction:
            query = sa.select(deliveries.c.receiver, deliveries.c.kind).order_by(deliveries.c.id)
            return [(row.receiver, row.kind) for row in transaction.execute(query)]


def a_desk(database: Database, *rules: Rule) -> Desk:
    found = rules or tuple(a_rule(id=name, title=f"Rule {name.upper()}") for name in "abcdefg")
    channels = {name: FakeChannel() for name in ("team", "pager", "ops")}
    return Desk(database, a_rulebook(*found, receivers=channels, fallback="ops"))


def test_a_rule_that_fails_for_long_is_told_once_to_its_own_receivers_and_so_is_the_end(database: Database) -> None:
    desk = a_desk(database)
    assert [desk.look({"a": TIMEOUT}) for _ in range(6)] == [[], [], [], [O], [], []]
    assert desk.causes == {RULE + "a"}
    assert desk.newest.title == "Rule A: this rule cannot be judged"
    assert desk.newest.text == (
        "The rule a has had no complete answer since 09:05 UTC, so nothing changes for it: what fires stays, and nothing "
        "new is told. The API took longer than 10 s (12 s)."
    )
    assert desk.look({}) == [R]
    assert desk.told() == [("team", "opened"), ("team", "resolved")]


def test_a_short_failure_concerns_nobody(database: Database) -> None:
    desk = a_desk(database)
    assert [desk.look(each) for each in ({"a": TIMEOUT}, {"a": TIMEOUT}, {"a": TIMEOUT}, {}, {"a": TIMEOUT})] == [[]] * 5


def test_a_rule_that_is_checked_rarely_must_fail_three_times(database: Database) -> None:
    desk = a_desk(database, a_rule(id="a", every=DAY))
    assert [desk.look({"a": TIMEOUT}, after=DAY) for _ in range(3)] == [[], [], [O]]


def test_what_several_rules_have_in_common_is_told_once_for_all(database: Database) -> None:
    desk = a_desk(database)
    failing = {name: TOKEN.replace("34", str(number)) for number, name in enumerate("abcdef")}
    assert [desk.look(failing) for _ in range(5)] == [[], [], [], [O], []]
    assert desk.causes == {SOURCE}
    assert desk.told() == [("ops", "opened")]
    assert desk.newest.text == (
        "6 of 7 rules get no complete answer, so nothing changes for them: what fires stays, and nothing new is told. "
        "a, b, c, d, e and 1 more: the API refuses the token (401); again in 0 s."
    )
    assert desk.look({}) == [R]
    assert desk.causes == set()


def test_one_rule_with_a_reason_of_its_own_beside_an_outage_has_its_own_notice(database: Database) -> None:
    desk = a_desk(database)
    for _ in range(4):
        kinds = desk.look({"a": TIMEOUT, "b": TOKEN, "c": TOKEN})
    assert kinds == [O, O]
    assert desk.causes == {SOURCE, RULE + "a"}


def test_an_outage_that_changes_its_words_is_still_the_same(database: Database) -> None:
    desk = a_desk(database)
    for _ in range(4):
        desk.look({"a": TOKEN, "b": TOKEN, "c": TOKEN})
    assert desk.look({"a": TIMEOUT, "b": "no connection", "c": "503"}) == [Kind.REFRESHED]
    assert desk.causes == {SOURCE}
    assert desk.look({"a": TIMEOUT, "b": TIMEOUT}, stale=True) == [Kind.REFRESHED]
    assert [kind for _, kind in desk.told()] == ["opened"]


def test_who_is_left_alone_when_an_outage_ends_is_told_by_itself(database: Database) -> None:
    desk = a_desk(database)
    for _ in range(4):
        desk.look({"a": TOKEN, "b": TOKEN})
    assert desk.look({"a": TIMEOUT}) == [R, O]
    assert desk.causes == {RULE + "a"}
    for _ in range(4):
        desk.look({"a": TOKEN, "b": TOKEN, "c": TOKEN})
    assert desk.causes == {RULE + "a", SOURCE}  # it stays told of by itself for as long as it fails


def test_rules_that_lack_a_call_are_told_together_as_a_trouble_of_the_budget(database: Database) -> None:
    desk = a_desk(database)
    lacking = {"a": "no slot came free", "b": "no slot came free"}
    assert [desk.look(lacking, stale=True) for _ in range(6)] == [[], [], [], [O], [], []]
    assert desk.causes == {BUDGET}
    assert "2 of 7 rules are not checked in time, so nothing changes for them: a, b. No slot" in str(desk.newest.text)
    assert desk.look({}) == [R]
    assert desk.told() == [("ops", "opened"), ("ops", "resolved")]


def test_lacking_a_call_is_no_fault_of_a_rule(database: Database) -> None:
    desk = a_desk(database)
    for _ in range(4):
        desk.look({"a": TIMEOUT})
    assert desk.look({"a": "no slot came free"}, stale=True) in ([], [Kind.REFRESHED])
    assert desk.causes == {RULE + "a"}  # it still has no evidence


def test_a_broken_rule_calls_nobody_who_is_named_for_what_is_critical_only(database: Database) -> None:
    both = a_rule(id="a", warning=(5, 5), critical=(9, 9), notify={W: ("team",), C: ("team", "pager")})
    grave = a_rule(id="b", critical=(9, 9), notify={C: ("pager",)})
    desk = a_desk(database, both, grave)
    for _ in range(4):
        desk.look({"a": TIMEOUT, "b": "bad query"})
    assert sorted(desk.told()) == [("pager", "opened"), ("team", "opened")]
    assert desk.newest.level is W


def test_an_outage_of_critical_rules_is_critical(database: Database) -> None:
    desk = a_desk(database, a_rule(id="a", critical=(9, 9)), a_rule(id="b"))
    for _ in range(4):
        desk.look({"a": TOKEN, "b": TOKEN})
    assert desk.newest.level is C


def test_a_removed_rule_ends_its_trouble_and_says_why(database: Database) -> None:
    desk = a_desk(database)
    for _ in range(4):
        desk.look({"a": TIMEOUT})
    desk.book = replace(desk.book, rules={name: rule for name, rule in desk.book.rules.items() if name != "a"})
    assert desk.look({}) == [R]
    assert desk.newest.reason == "the rule was removed"


def test_a_report_says_itself_that_it_fails(database: Database) -> None:
    desk = a_desk(database, a_rule(id="a", report=True, limits=()), a_rule(id="b", report=True, limits=()))
    assert [desk.look({"a": TIMEOUT, "b": TIMEOUT}) for _ in range(6)] == [[]] * 6
