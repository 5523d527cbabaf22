"""What every comparison must do, whichever there are."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alertd import comparisons
from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.comparisons.base import Comparison, Figures
from alertd.errors import QueryError
from alertd.facts import Level, Window
from alertd.units import Unit
from tests.comparisons.brute import ZONES, figures

MODULES = comparisons.modules()
KINDS = [comparisons.load(module) for module in MODULES]
NAMES = comparisons.names()

# Of the comparisons themselves, in the words of the rule language.
LISTED = {"value", "change", "usual", "burn"}

every_kind = pytest.mark.parametrize("kind", KINDS, ids=MODULES)


def example(kind: type[Comparison], unit: Unit | None = None) -> Comparison:
    raw = yaml.safe_load(kind.example)
    return comparisons.build(raw, unit or (Unit.FRACTION if kind.needs_share else Unit.NUMBER), counts=unit is None)


def earlier(comparison: Comparison) -> int:
    return len(comparison.windows(Window(1000 * DAY, 1000 * DAY + HOUR), "UTC", 5 * MINUTE))


def test_the_comparisons_are_those_of_the_rule_language() -> None:
    assert set(NAMES) == LISTED
    assert len(NAMES) == len(LISTED)


def test_a_module_is_a_comparison_and_its_name_is_the_comparisons() -> None:
    here = Path(comparisons.__file__).parent
    assert {*MODULES, "base", "options", "wallclock", "__init__"} == {path.stem for path in here.glob("*.py")}
    assert set(MODULES) == LISTED


def test_without_a_comparison_it_is_the_value() -> None:
    assert comparisons.build("value", Unit.DURATION, counts=False) == comparisons.VALUE


@every_kind
def test_its_example_is_yaml_that_builds_it(kind: type[Comparison]) -> None:
    assert type(example(kind)) is kind


@every_kind
def test_it_is_about_something_and_so_are_its_options(kind: type[Comparison]) -> None:
    assert all(text[0].isupper() and text.endswith(".") for text in (kind.about, *(each.about for each in kind.options)))


@every_kind
def test_the_examples_of_its_options_are_right(kind: type[Comparison]) -> None:
    given_all = {each.name: yaml.safe_load(each.example) for each in kind.options}
    unit = Unit.FRACTION if kind.needs_share else Unit.NUMBER
    built = comparisons.build({kind.names[0]: given_all or None}, unit, counts=False)
    assert {each.name for each in dataclasses.fields(built)} >= set(given_all)


@every_kind
def test_it_says_itself_in_words(kind: type[Comparison]) -> None:
    words = example(kind).describe("number of conversations")
    assert "number of conversations" in words
    assert words == words.strip()
    assert words[0].islower()
    assert "  " not in words


@every_kind
def test_equal_ones_are_equal_and_none_can_be_changed(kind: type[Comparison]) -> None:
    one, other = example(kind), example(kind)
    assert one == other
    assert hash(one) == hash(other)
    for name in (each.name for each in dataclasses.fields(one)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(one, name, None)


@every_kind
@given(
    st.integers(600 * DAY, 30_000 * DAY),
    st.sampled_from([MINUTE, HOUR + 7 * SECOND, DAY, 9 * DAY]),
    st.sampled_from(ZONES),
    st.sampled_from([10 * SECOND, MINUTE, 5 * MINUTE, 7 * MINUTE, 25 * MINUTE, HOUR, DAY]),
)
def test_its_windows_lie_behind_the_rules_own_and_within_reach(
    kind: type[Comparison], end: int, length: int, zone: str, every: int
) -> None:
    comparison = example(kind)
    window = Window(end - (kind.own_window or length), end, "firstCloseAt")
    found = comparison.windows(window, zone, every)
    assert found == comparison.windows(window, zone, every)
    assert len(set(found)) == len(found)
    for each in found:
        assert each.start < each.end <= window.end
        assert each.end >= window.end - comparison.reach
        assert each != window
        assert each.timestamp == "firstCloseAt"
        assert kind.own_window or each.length == length


@every_kind
@pytest.mark.parametrize("groups", [0, 1, 3])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("value", [None, 0.0, 0.5, 1.0])
def test_it_keeps_the_groups_and_says_why_one_has_no_value(
    kind: type[Comparison], groups: int, known: bool, value: float | None
) -> None:
    comparison = example(kind)
    now = figures(*[value] * groups)
    then = [figures(*[value] * groups) if known else None for _ in range(earlier(comparison))]
    with np.errstate(all="raise"):
        found = comparison.relate(now, then)
    assert found.values.shape == found.reference.shape == (groups,)
    assert found.values.dtype == found.reference.dtype == np.float64
    assert len(found.lacks) == groups
    for number, lack in zip(found.values.tolist(), found.lacks, strict=True):
        assert math.isnan(number) or lack is None
        assert lack is None or (lack[0] not in " ." and not lack.endswith("."))
        assert value is None or lack or not math.isnan(number)


@every_kind
def test_where_nothing_was_measured_there_is_no_value_and_nothing_lacks(kind: type[Comparison]) -> None:
    comparison = example(kind)
    found = comparison.relate(figures(None), [figures(None)] * earlier(comparison))
    assert np.isnan(found.values).all()
    assert found.lacks == (None,)


@every_kind
def test_the_limits_it_brings_are_those_of_its_levels(kind: type[Comparison]) -> None:
    comparison = example(kind)
    found = comparison.relate(figures(0.1, 0.99), [figures(0.1, 0.99)] * earlier(comparison))
    assert (found.levels is None) == (found.limits is None) == (not kind.own_limits)
    ranks = [level.rank for level, _ in kind.own_limits]
    assert ranks == sorted(ranks, reverse=True)
    if found.levels is not None and found.limits is not None:
        pairs = set(zip(found.levels, found.limits.tolist(), strict=True))
        assert {limit for _, limit in pairs} <= {limit for _, limit in kind.own_limits}
        assert {pair for pair in pairs if pair[0] is not Level.OK} <= set(kind.own_limits)


@every_kind
def test_it_leaves_its_figures_as_they_were(kind: type[Comparison]) -> None:
    comparison = example(kind)
    all_of_them: list[Figures] = [figures(0.2, None, fired=[0]) for _ in range(earlier(comparison) + 1)]
    for each in all_of_them:
        for column in (each.values, each.entered, each.fired):
            column.flags.writeable = False
    comparison.relate(all_of_them[0], all_of_them[1:])
    assert [each.values[0] for each in all_of_them] == [0.2] * len(all_of_them)


@every_kind
@pytest.mark.parametrize("unit", Unit)
def test_a_share_is_wanted_where_it_is_needed_and_the_unit_is_told(kind: type[Comparison], unit: Unit) -> None:
    name = kind.names[0]
    bare = {name: {"to": "7d"}} if name == "change" else {name: {"objective": "95%"}} if name == "burn" else name
    if kind.needs_share and unit is not Unit.FRACTION:
        with pytest.raises(QueryError, match=f"^{name} is about a share") as caught:
            comparisons.build(bare, unit, counts=False)
        assert caught.value.path == (name,)
        return
    found = comparisons.build(bare, unit, counts=False)
    expected = {"value": unit, "change": Unit.FRACTION}
    assert found.unit(unit) is expected.get(name, Unit.NUMBER)


@pytest.mark.parametrize(
    ("raw", "path", "suggestion", "words"),
    [
        ("chnage", (), "change", "there is no comparison"),
        ({"Usual": {}}, ("Usual",), "usual", "there is no comparison"),
        ("base", (), None, "there is no comparison"),
        ("wallclock", (), None, "there is no comparison"),
        ({}, (), None, "compare is one of burn, change, usual, value"),
        ({"value": None, "usual": None}, (), None, "compare is one of"),
        (None, (), None, "compare is one of"),
        (["usual"], (), None, "compare is one of"),
        ({"value": 5}, ("value",), None, "value takes nothing after it"),
        ("change", (), None, 'change needs "to", such as to: 7d'),
        ({"change": {}}, ("change",), None, 'change needs "to", such as to: 7d'),
        ({"change": "7d"}, ("change",), None, "change takes options, such as compare: {change: {to: 7d, minimum: 20}}"),
        ({"change": {"to": "7d", "min": 20}}, ("change", "min"), "minimum", 'change has no "min"; it has to, minimum'),
        ({"change": {5: "7d"}}, ("change", "5"), None, 'change has no "5"'),
        ({"change": {"to": 7}}, ("change", "to"), None, '"7" has no unit; write 7s, 7m, 7h or 7d'),
        ({"change": {"to": True}}, ("change", "to"), None, 'a duration is written like 1h or 7d, not "True"'),
        ({"change": {"to": "30s"}}, ("change", "to"), None, "30s does not fit: it must be from 1m to 52w2d"),
        ({"change": {"to": "367d"}}, ("change", "to"), None, "367d does not fit"),
        ({"change": {"to": "1h1ms"}}, ("change", "to"), None, "1h1ms is not in whole seconds"),
        ({"change": {"to": "7d", "minimum": "20%"}}, ("change", "minimum"), None, "this measure is a plain number"),
        ({"change": {"to": "7d", "minimum": -1}}, ("change", "minimum"), None, "-1 does not fit: it must be 0 or more"),
        ({"usual": {"weeks": 1}}, ("usual", "weeks"), None, "weeks is a whole number from 2 to 12, not 1"),
        ({"usual": {"weeks": 13}}, ("usual", "weeks"), None, "weeks is a whole number from 2 to 12, not 13"),
        ({"usual": {"weeks": True}}, ("usual", "weeks"), None, "weeks is a whole number from 2 to 12, not True"),
        ({"usual": {"weeks": "4w"}}, ("usual", "weeks"), None, "weeks is a whole number"),
        ({"usual": {"at_least": "15m"}}, ("usual", "at_least"), None, "this measure is a plain number"),
        ({"usual": {"atleast": 15}}, ("usual", "atleast"), "at_least", 'usual has no "atleast"; it has weeks, at_least'),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_was_meant(
    raw: Any, path: tuple[str, ...], suggestion: str | None, words: str
) -> None:
    with pytest.raises(QueryError) as caught:
        comparisons.build(raw, Unit.NUMBER, counts=True)
    assert str(caught.value).startswith(words)
    assert caught.value.path == path
    if suggestion:
        assert caught.value.suggestion == suggestion


def test_amounts_are_in_the_unit_of_the_measure() -> None:
    change = comparisons.build({"change": {"to": "1h", "minimum": "2m"}}, Unit.DURATION, counts=False)
    usual = comparisons.build({"usual": {"at_least": "5%"}}, Unit.FRACTION, counts=False)
    assert getattr(change, "minimum") == 2 * MINUTE  # noqa: B009 - what only this kind has
    assert getattr(usual, "at_least") == 0.05  # noqa: B009
