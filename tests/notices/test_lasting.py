"""When a trouble of alertd itself is told, and when its end is: decided from look to look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import MINUTE
from alertd.notices.lasting import CALM, PATIENCE, Moment, Spell, decide
from alertd.notices.own import Trouble
from alertd.testing import START

CAUSE = "alertd-buttons"
TROUBLE = Trouble(CAUSE, "Buttons are not heard", "Slack is down.")


class Looks:
    """One look a minute. `told` is what the store knows; `story` what people heard, each with its minute."""

    def __init__(self) -> None:
        self.minute = 0
        self.spells: Mapping[str, Spell] = {}
        self.told: set[str] = set()
        self.story: list[tuple[str, int]] = []

    def look(self, *, wrong: bool, store: bool = True) -> None:
        """One look; without the store nothing is told, and nothing forgotten."""
        now = Moment(START + self.minute * MINUTE, self.minute * MINUTE)
        decision = decide(self.spells, {CAUSE: TROUBLE} if wrong else {}, self.told, now)
        if store:
            self.story += [("opened", self.minute) for each in decision.wrong if each.cause not in self.told]
            self.story += [("over", self.minute) for _ in decision.over]
            self.story += [("past", self.minute) for _ in decision.past]
            self.told = (self.told | {each.cause for each in decision.wrong}) - set(decision.over)
        self.spells = decision.spells if store else {**self.spells, **decision.spells}
        self.minute += 1

    def looks(self, wrong: Iterable[bool], *, store: bool = True) -> Looks:
        for each in wrong:
            self.look(wrong=each, store=store)
        return self

    def restart(self) -> Looks:
        self.spells = {}
        return self


def test_it_is_told_once_it_has_lasted_and_its_end_once_it_has_been_gone() -> None:
    looks = Looks().looks([True] * 8).looks([False] * 8)
    assert looks.story == [("opened", PATIENCE // MINUTE), ("over", 8 + CALM // MINUTE)]
    assert looks.spells == {}


def test_what_is_over_soon_is_not_told() -> None:
    assert Looks().looks([True] * 5).looks([False] * 20).story == []


def test_what_comes_and_goes_is_one_trouble() -> None:
    looks = Looks().looks([True, False, False, False] * 20).looks([False] * 10)
    assert [kind for kind, _ in looks.story] == ["opened", "over"]


def test_a_restart_tells_nothing_twice_and_ends_what_is_gone() -> None:
    looks = Looks().looks([True] * 8).restart().looks([True] * 8)
    assert looks.story == [("opened", 5)]
    assert looks.restart().looks([False] * 8).story == [("opened", 5), ("over", 16 + 5)]


def test_a_patience_of_its_own_is_kept() -> None:
    looks, now = Looks().looks([True] * 8), Moment(START + 8 * MINUTE, 8 * MINUTE)
    assert decide(looks.spells, {CAUSE: TROUBLE}, (), now, {CAUSE: 9 * MINUTE}).wrong == ()
    (found,) = decide(looks.spells, {CAUSE: TROUBLE}, (), now, {CAUSE: 8 * MINUTE}).wrong
    assert found.since == START


def test_what_lasted_while_nobody_could_be_told_is_told_when_it_is_over() -> None:
    looks = Looks().looks([True] * 10, store=False).looks([False] * 8)
    assert looks.story == [("past", 10 + 5)]


def test_a_clock_that_is_set_changes_no_length() -> None:
    begun = decide({}, {CAUSE: TROUBLE}, (), Moment(START, 0)).spells
    assert decide(begun, {CAUSE: TROUBLE}, (), Moment(START + 600 * MINUTE, MINUTE)).wrong == ()
    assert len(decide(begun, {CAUSE: TROUBLE}, (), Moment(START - 600 * MINUTE, 5 * MINUTE)).wrong) == 1


@given(st.lists(st.sampled_from([True, False, None]), max_size=80))
def test_openings_and_ends_take_turns_whatever_happens(days: list[bool | None]) -> None:
    """None: a restart. Each opening follows 5 minutes of trouble, each end 5 minutes without."""
    looks, seen = Looks(), list[bool]()
    for wrong in days:
        if wrong is None:
            looks.restart()
            continue
        looks.look(wrong=wrong)
        seen.append(wrong)
    kinds = [kind for kind, _ in looks.story if kind != "past"]
    assert kinds == (["opened", "over"] * len(kinds))[: len(kinds)]
    for kind, minute in looks.story:
        if kind == "opened":
            assert seen[minute]
            assert any(seen[: minute - 4])
        else:
            assert not any(seen[minute - 5 : minute + 1])
