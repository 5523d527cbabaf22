"""Incidents: what a rule's alerts add up to, and who is told what about it (I4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import pytest

from alertd.clock import MINUTE
from alertd.facts import Alert, Change, Group, Kind, Level, State, Transition
from alertd.notice import LISTED, Notice, from_json, to_json
from alertd.notices.composing import compose
from alertd.notices.incidents import Decision, Incident, decide
from alertd.notices.telling import recipients
from alertd.rulebook.rule import Receiver
from alertd.store.database import Database, open_database
from alertd.testing import START, FakeChannel, a_group, a_rule
from tests.notices.stage import AWFUL, BAD, ERROR, GOOD, Stage, a_levelled_rule

W, C = Level.WARNING, Level.CRITICAL
RULE = a_levelled_rule()


@pytest.fixture
def database() -> Iterator[Database]:
    opened = open_database("sqlite://")
    yield opened
    opened.close()


def alert(number: int, level: Level = W, value: float = 7.0, state: State = State.FIRING) -> Alert:
    return Alert("slow", a_group(number), state, level, since=START, value=value, peak=value, conversations=3)


def starts(number: int, level: Level = W, value: float = 7.0) -> Transition:
    return Transition(Alert("slow", a_group(number)), alert(number, level, value), Change.HELD)


def goes_on(number: int, level: Level = W, value: float = 7.0, before: Level | None = None) -> Transition:
    change = Change.CONTINUES if before in (None, level) else Change.EASED if level is W else Change.WORSENED
    return Transition(alert(number, before or level), alert(number, level, value), change)


def ends(number: int, level: Level = W) -> Transition:
    return Transition(alert(number, level), Alert("slow", a_group(number)), Change.RECOVERED)


def pends(number: int) -> Transition:
    return Transition(Alert("slow", a_group(number)), alert(number, state=State.PENDING), Change.STARTED)


def recovering(number: int) -> Transition:
    return Transition(alert(number), alert(number, state=State.RECOVERING), Change.CLEARING)


OPEN = Incident("slow", START, W, W, id=1, peak=7.0)
CLOSED = Incident("slow", START, W, C, id=1, closed_at=START + 10 * MINUTE, peak=20.0)

DECISIONS: list[tuple[str, Incident | None, list[Transition], Kind | None]] = [
    ("nothing fires, nothing was open", None, [], None),
    ("a pending alert opens nothing", None, [pends(1)], None),
    ("the first firing alert opens it", None, [starts(1), pends(2)], Kind.OPENED),
    ("nothing new is not told", OPEN, [goes_on(1)], None),
    ("a newly firing group is told", OPEN, [goes_on(1), starts(2)], Kind.CHANGED),
    ("another level is told", OPEN, [goes_on(1, C, 20.0, before=W)], Kind.CHANGED),
    ("a group that ends is not told, but the message is made true", OPEN, [goes_on(1), ends(2)], Kind.REFRESHED),
    ("the worst group's end is another level", Incident("slow", START, C, C, id=1), [goes_on(1), ends(2, C)], Kind.CHANGED),
    ("a group's level below the worst is not told", Incident("slow", START, C, C, id=1),
     [goes_on(1, C), goes_on(2, W, before=C)], Kind.REFRESHED),
    ("one that waits for keep_firing still counts", OPEN, [recovering(1)], None),
    ("the last one's end closes it", OPEN, [ends(1), pends(2)], Kind.RESOLVED),
    ("it stays closed", CLOSED, [pends(1)], None),
]  # fmt: skip


@pytest.mark.parametrize(("last", "moves", "kind"), [case[1:] for case in DECISIONS], ids=[case[0] for case in DECISIONS])
def test_what_the_alerts_make_of_an_incident(last: Incident | None, moves: list[Transition], kind: Kind | None) -> None:
    assert decide(RULE, last, moves, START + 10 * MINUTE).kind is kind


def test_an_incident_remembers_its_worst_moment_and_value() -> None:
    worse = decide(RULE, OPEN, [goes_on(1, C, 20.0, before=W)], START).incident
    assert worse == Incident("slow", START, C, C, id=1, peak=20.0)
    eased = decide(RULE, worse, [goes_on(1, W, 7.0, before=C)], START)
    assert eased == Decision(Incident("slow", START, W, C, id=1, peak=20.0), Kind.CHANGED, previous=C)


def test_below_the_worst_value_is_the_lowest() -> None:
    rule = a_rule(direction="below", warning=(5, 6))
    assert decide(rule, OPEN, [goes_on(1, value=3.0)], START).incident == Incident("slow", START, W, W, id=1, peak=3.0)


@pytest.mark.parametrize(("later", "reopened"), [(0, True), (30 * MINUTE, True), (30 * MINUTE + 1, False)])
def test_firing_again_soon_goes_on_in_the_same_incident(later: int, reopened: bool) -> None:
    assert CLOSED.closed_at is not None
    decision = decide(RULE, CLOSED, [starts(1)], CLOSED.closed_at + later)
    assert (decision.kind, decision.reopened) == (Kind.OPENED, reopened)
    assert decision.incident is not None
    assert decision.incident.closed_at is None
    assert (decision.incident.id, decision.incident.worst, decision.incident.peak) == (1 if reopened else None, W, 7.0)


RECEIVERS: Mapping[str, Receiver] = {
    name: Receiver(
        name, "fake", FakeChannel(editable=name in ("edits", "silent")), send_resolved=name not in ("quiet", "silent")
    )
    for name in ("a", "b", "edits", "quiet", "silent")
}
TOLD = {"a": True, "b": False, "quiet": True, "edits": True, "gone": True}
O, X, R, F = Kind.OPENED, Kind.CHANGED, Kind.RESOLVED, Kind.REFRESHED  # noqa: E741 - four letters for a table

WHO: list[tuple[Kind, list[str], dict[str, bool], dict[str, Kind]]] = [
    (O, ["a", "b"], {}, {"a": O, "b": O}),
    (O, ["b"], {"a": False, "b": False}, {"b": O}),
    (X, ["a"], {"a": True}, {"a": X}),
    (X, ["a", "b"], {"a": True}, {"a": X, "b": O}),
    (X, [], {"a": True, "b": False}, {"a": X}),
    (X, ["b"], {"b": False}, {"b": O}),
    (R, ["b"], TOLD, {"a": R, "edits": R, "gone": R}),
    (R, [], {"a": True, "silent": True, "quiet": True}, {"a": R, "silent": F}),
    (F, ["a", "edits"], TOLD, {"edits": F}),
    (F, ["edits"], {"edits": False}, {}),
]


@pytest.mark.parametrize(("kind", "targets", "told", "who"), WHO)
def test_who_is_told_as_what(kind: Kind, targets: list[str], told: dict[str, bool], who: dict[str, Kind]) -> None:
    assert recipients(kind, targets, told, RECEIVERS) == who


def stage(database: Database, fallback: str | None = None) -> Stage:
    rule = a_levelled_rule(notify={W: ("warn",), C: ("warn", "crit")})
    return Stage(database, rule, {"warn": FakeChannel(), "crit": FakeChannel(), "spare": FakeChannel()}, fallback)


def test_receivers_are_told_by_level_and_whoever_was_told_is_told_the_end(database: Database) -> None:
    world = stage(database)
    for values in ({1: BAD}, {1: AWFUL}, {1: BAD}, {1: GOOD}):
        world.check(values)
        world.send()
    assert world.channels["warn"].kinds == ["opened", "changed", "changed", "resolved"]
    assert world.channels["crit"].kinds == ["opened", "changed", "resolved"]


def test_a_newly_firing_group_is_told_although_level_and_peak_stay(database: Database) -> None:
    world = stage(database)
    assert [world.check({1: BAD}), world.check({1: BAD, 2: 6.0}), world.check({1: BAD})] == [O, X, F]


def test_an_error_between_changes_nothing_for_anybody(database: Database) -> None:
    world = stage(database)
    assert [world.check(each) for each in ({1: BAD}, ERROR, ERROR, {1: BAD}, {1: GOOD})] == [O, None, None, None, R]


def test_a_reopening_is_told_as_an_opening_of_the_same_incident(database: Database) -> None:
    world = stage(database)
    assert [world.check(each) for each in ({1: BAD}, {}, {1: BAD}, {}, *[{}] * 6, {1: BAD})] == [
        O, R, O, R, *[None] * 6, O,
    ]  # fmt: skip
    assert world.rows("incident") == [1, 1, 1, 1, 2]
    bodies = [from_json(body) for body in world.rows("body", table="notices")]
    assert [body.reopened for body in bodies] == [False, False, True, False, False]
    assert bodies[2].opened_at == bodies[2].at  # how long it lasts belongs to its own peak
    assert bodies[3].opened_at == bodies[2].at


def test_after_a_fallback_was_told_instead_a_level_that_tells_it_itself_does_not_tell_it_twice(database: Database) -> None:
    rule = a_levelled_rule(notify={W: ("warn",), C: ("warn", "spare")})
    world = Stage(database, rule, {"warn": FakeChannel(), "spare": FakeChannel()}, fallback="spare")
    world.check({1: BAD})
    world.channels["warn"].taken.lack = "no token"
    for _ in range(3):
        world.send()
        world.clock.advance(MINUTE)
    world.send()
    assert world.rows("via") == ["spare"]
    world.check({1: AWFUL}), world.send()
    world.check({}), world.send()
    assert world.channels["spare"].kinds == ["opened", "opened", "resolved"]
    assert world.channels["warn"].kinds == []


def test_a_removed_rule_tells_the_end_with_the_last_numbers(database: Database) -> None:
    world = stage(database)
    world.check({1: AWFUL}), world.check({1: BAD})
    world.remove()
    notice = from_json(world.rows("body", table="notices")[-1])
    assert (notice.kind, notice.level, notice.reason) == (R, C, "the rule was removed")
    assert (notice.resolved_at, notice.value, notice.groups_total) == (world.clock.now(), None, 0)
    assert (notice.title, notice.peak) == (RULE.title, AWFUL)
    assert world.rows("closed_at", table="incidents") == [world.clock.now()]


def composed(moves: list[Transition], kind: Kind = O, rule: object = None) -> Notice:
    return compose(rule or RULE, kind, moves, at=START, incident=1)  # type: ignore[arg-type]  # a Rule or None


def test_a_notice_lists_the_worst_groups_first_and_says_which_are_new() -> None:
    notice = composed([goes_on(1, W, 9.0), starts(2, C, 20.0), ends(3), pends(4), goes_on(5, W, 12.0)])
    assert [(each.id, each.value, each.new) for each in notice.groups] == [(2, 20.0, True), (5, 12.0, False), (1, 9.0, False)]
    assert (notice.groups_total, notice.conversations, notice.value, notice.limit) == (3, 9, 20.0, 15)


def test_a_notice_lists_a_bounded_number_of_groups_and_counts_all() -> None:
    notice = composed([starts(number, value=float(number)) for number in range(6, 106)])
    assert (len(notice.groups), notice.groups_total, notice.groups[0].id) == (LISTED, 100, 105)


def test_below_the_lowest_value_is_the_worst() -> None:
    notice = composed([starts(1, value=2.0), starts(2, value=1.0)], rule=a_rule(direction="below", warning=(5, 6)))
    assert (notice.value, notice.direction) == (1.0, "below")


REASONS = [
    ([goes_on(1), starts(2)], "over the limit for long enough"),
    ([recovering(1), starts(2)], "over the limit for long enough"),
    ([goes_on(1), goes_on(2, C, before=W)], "another level was passed"),
    ([goes_on(1, before=C)], "the higher level has recovered"),
    ([Transition(alert(1), alert(1), Change.KEPT), starts(2)], "over the limit for long enough"),
    ([goes_on(1), ends(2, C)], "recovered"),
    ([ends(1), Transition(Alert("slow", a_group(2)), Alert("slow", a_group(2)), Change.QUIET)], "recovered"),
    ([Transition(alert(1), Alert("slow", a_group(1)), Change.LEFT)], "the conversation has left the selection"),
]


@pytest.mark.parametrize(("moves", "reason"), REASONS)
def test_the_reason_is_what_the_notice_is_about(moves: list[Transition], reason: str) -> None:
    assert composed(moves).reason == reason


def test_an_alert_at_a_level_that_the_rule_has_lost_can_still_be_told() -> None:
    rule = a_rule(warning=(5, 4))
    notice = composed([goes_on(1, C, 20.0), starts(2)], X, rule)
    assert [(each.level, each.limit) for each in notice.groups] == [(C, 5), (W, 5)]


def test_the_end_of_a_rule_without_groups_tells_its_value() -> None:
    after = Alert("slow", Group(), value=2.0)
    before = Alert("slow", Group(), State.FIRING, W, value=9.0)
    notice = composed([Transition(before, after, Change.RECOVERED)], R, a_rule(warning=(5, 4)))
    assert (notice.value, notice.limit, notice.recover) == (2.0, 5, 4)


def test_a_notice_is_the_same_after_the_store() -> None:
    notice = composed([starts(1), starts(2, C, 20.0)])
    assert from_json(to_json(notice)) == notice
    assert msgspec.json.decode(to_json(notice))["kind"] == "opened"
