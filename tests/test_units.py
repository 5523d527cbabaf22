"""Limits are read in the unit of their measure, and values are written for people."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd.clock import MINUTE
from alertd.units import Unit, parse_value, spell_value


@pytest.mark.parametrize(
    ("raw", "unit", "value"),
    [
        ("5m", Unit.DURATION, 5 * MINUTE),
        ("0s", Unit.DURATION, 0),
        ("20%", Unit.FRACTION, 0.2),
        ("12.5 %", Unit.FRACTION, 0.125),
        ("-50%", Unit.FRACTION, -0.5),
        ("0.7%", Unit.FRACTION, 0.007),
        (20, Unit.NUMBER, 20),
        (-1.5, Unit.NUMBER, -1.5),
        (0, Unit.NUMBER, 0),
    ],
)
def test_a_limit_is_read_in_the_unit_of_its_measure(raw: object, unit: Unit, value: float) -> None:
    assert parse_value(raw, unit) == value


@given(st.integers(0, 100_000))
def test_a_percentage_is_exactly_the_share_it_names(thousandths: int) -> None:
    share = Fraction(thousandths, 100_000)
    assert parse_value(f"{thousandths // 1000}.{thousandths % 1000:03}%", Unit.FRACTION) == float(share)


@pytest.mark.parametrize(
    ("raw", "unit", "words"),
    [
        (300, Unit.DURATION, "this measure is a duration: 300 has no unit; write 300s, 300m or 300h"),
        ("300", Unit.DURATION, '"300" has no unit; write 300s, 300m, 300h or 300d'),
        ("20%", Unit.DURATION, "this measure is a duration, not a share; write it like 5m instead of 20%"),
        (1.5, Unit.DURATION, 'this measure is a duration; write it like 90s, 5m or 1h30m instead of "1.5"'),
        (-5, Unit.DURATION, 'this measure is a duration; write it like 90s, 5m or 1h30m instead of "-5"'),
        (True, Unit.DURATION, 'this measure is a duration; write it like 90s, 5m or 1h30m instead of "True"'),
        (0.2, Unit.FRACTION, "this measure is a share: 0.2 has no unit; write 20%"),
        (20, Unit.FRACTION, "this measure is a share: 20 has no unit; write 20%"),
        (-50, Unit.FRACTION, "this measure is a share: -50 has no unit; write -50%"),
        (1500, Unit.FRACTION, "this measure is a share: 1500 has no unit; write 1500%"),
        (0.0001, Unit.FRACTION, "this measure is a share: 0.0001 has no unit; write 0.01%"),
        ("5m", Unit.FRACTION, 'this measure is a share; write it like 20% instead of "5m"'),
        ("5m", Unit.NUMBER, 'this measure is a plain number without a unit; write it like 20 instead of "5m"'),
        ("20%", Unit.NUMBER, 'this measure is a plain number without a unit; write it like 20 instead of "20%"'),
    ],
)
def test_a_wrong_unit_is_told_with_the_right_one(raw: object, unit: Unit, words: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the words are compared whole
        parse_value(raw, unit)
    assert str(caught.value) == words


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("raw", [None, True, [], {}, float("nan"), float("inf"), 10**400, -(10**400), "", "x", "%", b"5m"])
def test_what_is_no_value_is_refused_in_words(raw: object, unit: Unit) -> None:
    with pytest.raises(ValueError, match=r"this measure is|duration|has no unit"):
        parse_value(raw, unit)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (7 * MINUTE + 12_000, Unit.DURATION, "7 min 12 s"),
        (0.2, Unit.FRACTION, "20 %"),
        (0.2345, Unit.FRACTION, "23.4 %"),
        (1, Unit.FRACTION, "100 %"),
        (-0.0001, Unit.FRACTION, "0 %"),
        (0, Unit.NUMBER, "0"),
        (-0.001, Unit.NUMBER, "0"),
        (1204, Unit.NUMBER, "1,204"),
        (3.25, Unit.NUMBER, "3.25"),
        (3.0, Unit.NUMBER, "3"),
        (100, Unit.NUMBER, "100"),
        (-7.5, Unit.NUMBER, "-7.5"),
    ],
)
def test_a_value_is_written_for_people(value: float, unit: Unit, words: str) -> None:
    assert spell_value(value, unit) == words


@given(st.floats(-1e12, 1e12))
def test_no_value_is_written_as_minus_zero_or_with_useless_digits(value: float) -> None:
    for unit in Unit:
        words = spell_value(value, unit)
        assert not words.startswith("-0 ")
        assert words != "-0"
    number = spell_value(value, Unit.NUMBER)
    assert abs(float(number.replace(",", "")) - value) <= 0.005 + abs(value) * 1e-15
    assert not ("." in number and number[-1] in "0.")
