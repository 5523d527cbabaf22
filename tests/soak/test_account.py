"""The account of a trial finds everything that must not be, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.soak.account import Account, End, Row, Store

OPENED = Row(1, 7, "team", "opened", "a", "sent", None, None)
CHANGED = Row(2, 7, "team", "changed", "b", "sent", None, None)
RESOLVED = Row(3, 7, "team", "resolved", "c", "sent", None, None)
LAST = Store((OPENED, CHANGED, RESOLVED), {7: True})
FINE = Account([End(0, frozenset())], LAST.names(), LAST, ["a", "b", "c"], frozenset({"team"}))


def found(account: Account) -> list[str]:
    return [*account.lost(), *account.crooked(), *account.excessive()]


def test_a_story_that_was_told_is_fine() -> None:
    assert found(FINE) == []


def test_what_was_told_together_is_fine() -> None:
    told = Store((OPENED, replace(CHANGED, digest="c"), RESOLVED), {7: True})
    assert found(replace(FINE, last=told, taken=["a", "c"])) == []


def test_a_repeat_is_fine_where_it_was_being_sent_at_an_end_and_only_once_for_each() -> None:
    again = replace(FINE, taken=["a", "b", "b", "c"])
    assert again.repeats() == 1
    assert found(again) == ["came 2 times, and was being sent at 0 ends: b"]
    killed = Store((OPENED, replace(CHANGED, state="sending", lease="x")), {7: False}).end()
    assert killed == End(1, frozenset({"b"}))
    assert found(replace(again, ends=[killed])) == []
    assert found(replace(again, ends=[killed], taken=["a", "b", "b", "b", "c"])) != []


def rows(*kept: Row) -> Store:
    return Store(kept, {7: True})


@pytest.mark.parametrize(
    ("account", "problem"),
    [
        (replace(FINE, last=rows(OPENED, RESOLVED), taken=["a", "c"]), "committed, and gone: (2, 7, 'team', 'changed', 'b')"),
        (replace(FINE, committed=FINE.committed | {("incident", 8)}), "committed, and gone: ('incident', 8)"),
        (replace(FINE, last=rows(OPENED, CHANGED, replace(RESOLVED, state="dead"))), "not sent"),
        (replace(FINE, taken=["a", "c"]), "sent, and nobody has it"),
        (replace(FINE, taken=["a", "b", "c", "d"]), "came, and was never committed: d"),
        (replace(FINE, taken=["b", "a", "c"]), "incident 7 was told to team out of order: ocr in messages [1, 0, 2]"),
        (replace(FINE, committed=frozenset(), last=rows(OPENED, CHANGED)), "incident 7 was told to team as oc"),
        (replace(FINE, committed=frozenset(), last=rows(CHANGED, RESOLVED)), "incident 7 was told to team as cr"),
        (replace(FINE, last=Store(LAST.rows, {7: False})), "incident 7 is still open"),
        (replace(FINE, told=frozenset({"team", "mail"})), "incident 7 was told to ['team'] only"),
        (replace(FINE, last=rows(OPENED, replace(CHANGED, digest="c"), RESOLVED)), "came by itself and in another message"),
    ],
)
def test_what_must_not_be_is_found(account: Account, problem: str) -> None:
    assert any(problem in each for each in found(account)), found(account)
