"""The state machine as a table: what Prometheus does in each case, and where alertd differs on purpose."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alertd.clock import HOUR, MINUTE, Instant
from alertd.evaluation.machine import restart, step, step_absent
from alertd.facts import CONVERSATION, Alert, Change, Evidence, Group, Level, State, Transition
from alertd.rulebook.rule import Rule
from alertd.testing import START, a_group, a_rule, a_verdict

EVERY = 5 * MINUTE
GOOD, BETWEEN, BAD, AWFUL = 1, 4.5, 6, 20  # minutes; the limits are 5 (recover 4) and 15 (recover 10)
LEVELS = {"warning": (5 * MINUTE, 4 * MINUTE), "critical": (15 * MINUTE, 10 * MINUTE)}

Seen = float | Evidence | str


def drive(rule: Rule, *seen: Seen, alert: Alert | None = None, at: Instant = START, gap: int = EVERY) -> list[Transition]:
    """Check the rule every `gap`: minutes are a value, an Evidence comes without one, "gone" is an answer without the group."""
    moves: list[Transition] = []
    now = alert or Alert(rule.id, Group())
    for number, each in enumerate(seen):
        moves.append(check(rule, now, each, at + number * gap))
        now = moves[-1].after
    return moves


def check(rule: Rule, alert: Alert, seen: Seen, at: Instant) -> Transition:
    if seen == "gone":
        return step_absent(alert, rule, at)
    if isinstance(seen, Evidence):
        tempting = GOOD if alert.fires else AWFUL  # too few values have one, and it must not count
        value = None if seen in (Evidence.NO_DATA, Evidence.OK) else tempting * float(MINUTE)
        return step(alert, a_verdict(value, at=at, group=alert.group, evidence=seen), rule)
    return step(alert, a_verdict(float(seen) * MINUTE, at=at, group=alert.group), rule)


def states(moves: list[Transition]) -> str:
    """One letter a check: inactive, pending, firing, recovering; upper case at critical."""
    letters = [move.after.state.value[0] for move in moves]
    return "".join(
        letter.upper() if move.after.level is Level.CRITICAL else letter for letter, move in zip(letters, moves, strict=True)
    )


ERROR, STALE, FEW, NOTHING = Evidence.ERROR, Evidence.STALE, Evidence.INSUFFICIENT, Evidence.NO_DATA

CASES: list[tuple[str, dict[str, Any], list[Seen], str]] = [
    ("without `for` it fires at the first value over the limit", {}, [GOOD, BAD], "if"),
    ("the limit itself is not over the limit", {}, [5, 5], "ii"),
    ("with `for` it is pending until it has held that long", {"hold": 10 * MINUTE}, [BAD] * 4, "ppff"),
    ("`for` between two checks is over at the later one", {"hold": 7 * MINUTE}, [BAD] * 3, "ppf"),
    ("one good check ends a pending alert", {"hold": 10 * MINUTE}, [BAD, BAD, GOOD, BAD, BAD, BAD], "ppippf"),
    ("a pending alert has no way back of its own", {"hold": 10 * MINUTE}, [BAD, BETWEEN], "pi"),
    ("without keep_firing the first recovered value ends it", {}, [BAD, GOOD], "fi"),
    ("what fires needs `recover` to end", {}, [BAD, BETWEEN, BETWEEN, 4], "fffi"),
    ("an error fires nothing", {}, [ERROR, STALE, FEW, NOTHING], "iiii"),
    ("errors end nothing, however many", {}, [BAD, *[ERROR] * 50, *[STALE] * 50, GOOD], "f" + "f" * 100 + "i"),
    ("too few values end nothing", {}, [BAD, *[FEW] * 50, *[NOTHING] * 50], "f" * 101),
    ("errors do not count towards `for`", {"hold": 10 * MINUTE}, [BAD, ERROR, ERROR, ERROR, BAD, BAD], "pppppf"),
    ("errors do not interrupt `for`", {"hold": 10 * MINUTE}, [BAD, BAD, ERROR, BAD], "pppf"),
    ("too few values do not count towards `for`", {"hold": 10 * MINUTE}, [BAD, FEW, FEW, BAD, BAD], "ppppf"),
    ("keep_firing keeps it that long", {"keep_firing": 10 * MINUTE}, [BAD, GOOD, GOOD, GOOD, GOOD], "frrii"),
    ("a relapse starts keep_firing again", {"keep_firing": 10 * MINUTE}, [BAD, GOOD, GOOD, BAD, GOOD, GOOD, GOOD], "frrfrri"),
    ("a relapse needs no `for`", {"keep_firing": 10 * MINUTE, "hold": EVERY}, [BAD, BAD, GOOD, BAD], "pfrf"),
    ("between limit and recover is a relapse too", {"keep_firing": 10 * MINUTE}, [BAD, GOOD, BETWEEN, GOOD], "frfr"),
    ("errors do not count towards keep_firing", {"keep_firing": 10 * MINUTE}, [BAD, GOOD, ERROR, ERROR, GOOD, GOOD], "frrrri"),
    ("it fires at the level of its value", LEVELS, [BAD, AWFUL], "fF"),
    ("critical falls to warning only when critical has recovered", LEVELS, [AWFUL, 12, 10], "FFf"),
    ("critical is over at once when both have recovered", LEVELS, [AWFUL, GOOD], "Fi"),
    ("from critical it needs warning's `recover` too", LEVELS, [AWFUL, BETWEEN, 4], "Ffi"),
    ("`for` is one clock whatever the level", LEVELS | {"hold": 10 * MINUTE}, [BAD, AWFUL, BAD], "pPf"),
    ("it fires at the level it has when `for` is over", LEVELS | {"hold": 10 * MINUTE}, [BAD, BAD, AWFUL], "ppF"),
    ("it worsens without `for`", LEVELS | {"hold": 10 * MINUTE}, [BAD, BAD, BAD, AWFUL], "ppfF"),
    ("below: lower is worse", {"direction": "below", "warning": (5 * MINUTE, 6 * MINUTE)}, [6, 4, 5.5, 6], "iffi"),
]


@pytest.mark.parametrize(("rule", "seen", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_machine_moves_as_the_table_says(rule: dict[str, Any], seen: list[Seen], expected: str) -> None:
    levels = {Level(name): rule[name] for name in ("warning", "critical") if name in rule}
    rest = {name: value for name, value in rule.items() if name not in ("warning", "critical")}
    built = a_rule(**{**rest, **{level.value: pair for level, pair in levels.items()}})
    assert states(drive(built, *seen)) == expected


def test_every_change_has_a_name() -> None:
    rule = a_rule(hold=EVERY, keep_firing=EVERY, **LEVELS)
    seen: list[Seen] = [GOOD, BAD, GOOD, BAD, BAD, BAD, AWFUL, BAD, GOOD, BAD, GOOD, GOOD, ERROR]
    assert [move.change for move in drive(rule, *seen)] == [
        Change.QUIET, Change.STARTED, Change.DROPPED, Change.STARTED, Change.HELD, Change.CONTINUES, Change.WORSENED,
        Change.EASED, Change.CLEARING, Change.RELAPSED, Change.CLEARING, Change.RECOVERED, Change.KEPT,
    ]  # fmt: skip


def test_a_long_downtime_counts_as_one_check_towards_for() -> None:
    rule = a_rule(hold=10 * MINUTE)
    pending = drive(rule, BAD)[-1].after
    after = check(rule, pending, BAD, START + 24 * HOUR).after
    assert (after.state, after.held) == (State.PENDING, EVERY)


def test_a_long_downtime_counts_as_one_check_towards_keep_firing() -> None:
    rule = a_rule(keep_firing=10 * MINUTE)
    recovering = drive(rule, BAD, GOOD)[-1].after
    assert check(rule, recovering, GOOD, START + 24 * HOUR).after.state is State.RECOVERING


def test_a_clock_set_back_takes_nothing_away_and_adds_nothing() -> None:
    rule = a_rule(hold=10 * MINUTE)
    pending = drive(rule, BAD, BAD)[-1].after
    back = check(rule, pending, BAD, START - HOUR).after
    assert (back.state, back.held) == (State.PENDING, EVERY)
    assert check(rule, back, BAD, START - HOUR + EVERY).after.state is State.FIRING


def test_since_is_when_it_was_first_over_the_limit_not_when_it_fired() -> None:
    moves = drive(a_rule(hold=10 * MINUTE), GOOD, BAD, BAD, BAD)
    assert moves[-1].after.since == START + EVERY


def test_peak_is_the_worst_value_since_it_was_first_over_the_limit() -> None:
    rule = a_rule(hold=10 * MINUTE)
    assert drive(rule, BAD, AWFUL, GOOD, BAD, 7, BAD)[-1].after.peak == 7 * MINUTE
    low = a_rule(direction="below", warning=(5 * MINUTE, 6 * MINUTE))
    assert drive(low, 3, 1, 4)[-1].after.peak == 1 * MINUTE


def test_a_conversation_that_left_the_selection_ends_at_once() -> None:
    rule = a_rule(by=CONVERSATION)
    alert = Alert(rule.id, Group(CONVERSATION, 7))
    move = drive(rule, BAD, "gone", alert=alert)[-1]
    assert (move.after.state, move.change) == (State.INACTIVE, Change.LEFT)


@pytest.mark.parametrize(("window", "answers"), [(10 * MINUTE, 12), (2 * HOUR, 24)])
def test_a_group_is_forgotten_after_complete_answers_without_it_for_its_window_and_at_least_an_hour(
    window: int, answers: int
) -> None:
    rule = a_rule(by="lastAgentId", window=window)
    moves = drive(rule, BAD, *["gone"] * answers, alert=Alert(rule.id, a_group(1)))
    assert [move.after.state for move in moves[1:]] == [State.FIRING] * (answers - 1) + [State.INACTIVE]
    assert moves[-1].change is Change.UNOBSERVED


@pytest.mark.parametrize("between", [ERROR, STALE])
def test_time_without_answers_forgets_no_group(between: Evidence) -> None:
    rule = a_rule(by="lastAgentId")
    fired = drive(rule, BAD, alert=Alert(rule.id, a_group(1)))[-1].after
    kept = drive(rule, *[between] * 30, alert=fired, at=START + EVERY)[-1].after
    assert check(rule, kept, "gone", START + 31 * EVERY).after.fires
    assert check(rule, fired, "gone", START + 100 * HOUR).after.fires  # the same for a daemon that was down


@pytest.mark.parametrize("seen", [BAD, FEW, NOTHING])
def test_a_group_that_is_seen_again_is_not_nearly_forgotten(seen: Seen) -> None:
    rule = a_rule(by="lastAgentId")
    moves = drive(rule, BAD, *["gone"] * 11, seen, *["gone"] * 11, alert=Alert(rule.id, a_group(1)))
    assert all(move.after.fires for move in moves)


def test_a_conversation_of_a_rule_that_has_other_groups_now_is_not_said_to_have_left() -> None:
    alert = drive(a_rule(by=CONVERSATION), BAD, alert=Alert("slow", Group(CONVERSATION, 7)))[-1].after
    moves = drive(a_rule(by="lastAgentId"), *["gone"] * 12, alert=alert, at=START + EVERY)
    assert [move.after.state for move in moves] == [State.FIRING] * 11 + [State.INACTIVE]
    assert moves[-1].change is Change.UNOBSERVED


def test_a_changed_question_starts_for_again_and_leaves_what_fires() -> None:
    rule = a_rule(hold=10 * MINUTE)
    pending, firing = drive(rule, BAD, BAD)[-1].after, drive(rule, BAD, BAD, BAD)[-1].after
    assert states(drive(rule, BAD, BAD, BAD, alert=restart(pending))) == "ppf"
    assert restart(firing) == replace(firing, peak=None)  # the worst of the old question is no number of the new one


def test_limits_may_change_while_it_fires() -> None:
    fired = drive(a_rule(**LEVELS), AWFUL)[-1].after
    raised = a_rule(warning=(30 * MINUTE, 25 * MINUTE))  # and critical is gone
    assert states(drive(raised, AWFUL, alert=fired)) == "i"
    lowered = a_rule(warning=(5 * MINUTE, 4 * MINUTE))
    assert states(drive(lowered, AWFUL, alert=fired)) == "f"


def test_a_verdict_without_a_value_moves_nothing_even_if_it_says_ok() -> None:
    fired = drive(a_rule(), BAD)[-1].after
    assert check(a_rule(), fired, Evidence.OK, START + EVERY).after == fired


def test_what_people_read_of_an_alert_is_of_its_last_judgement() -> None:
    verdict = replace(a_verdict(6.0 * MINUTE), conversations=12, examples=(3, 1, 2))
    after = step(Alert("slow", Group()), verdict, a_rule()).after
    assert (after.value, after.conversations, after.examples) == (6.0 * MINUTE, 12, (3, 1, 2))
