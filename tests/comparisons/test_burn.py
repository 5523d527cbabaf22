"""How fast the slack of a promise is used up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertd import comparisons
from alertd.clock import DAY, HOUR, MINUTE
from alertd.comparisons.base import Comparison, Figures, Related
from alertd.errors import QueryError
from alertd.facts import Level, Window
from alertd.units import Unit
from tests.comparisons.brute import at, figures, only, plain, tables

# Written out again from the rule language.
TABLE = (
    (Level.CRITICAL, 14.4, "1h", "5m"),
    (Level.CRITICAL, 6.0, "6h", "30m"),
    (Level.WARNING, 3.0, "1d", "2h"),
    (Level.WARNING, 1.0, "3d", "6h"),
)
LENGTHS = {"3d": 3 * DAY, "1d": DAY, "6h": 6 * HOUR, "2h": 2 * HOUR, "1h": HOUR, "30m": 30 * MINUTE, "5m": 5 * MINUTE}


def burn(objective: str = "95%", **options: Any) -> Comparison:
    return comparisons.build({"burn": {"objective": objective} | options}, Unit.FRACTION, counts=False)


def relate(default: float | None = 0.0, unknown: tuple[str, ...] = (), **burns: float | None) -> Related:
    """What comes of windows that burn so fast, at an objective of 95 %; `last_1h=15` is the one of the last hour."""
    speeds = dict.fromkeys(LENGTHS, default) | {name.removeprefix("last_"): speed for name, speed in burns.items()}
    shares = [
        None if name in unknown else figures(None if speed is None else 1 - speed * 0.05) for name, speed in speeds.items()
    ]
    own, *others = shares
    assert own is not None
    return burn().relate(own, others)


def decided(found: Related) -> tuple[Level, float | None, float]:
    assert found.levels is not None
    assert found.limits is not None
    value = only(found)
    return found.levels[0], value if value is None else round(value, 6), float(found.limits[0])


def test_its_windows_all_end_where_the_rules_own_ends() -> None:
    end = at("2026-11-02 09:00", "UTC")
    found = burn().windows(Window(end - 3 * DAY, end, "lastCloseAt"), "Europe/Berlin", 5 * MINUTE)
    assert [each.length for each in found] == list(LENGTHS.values())[1:]
    assert {(each.end, each.timestamp) for each in found} == {(end, "lastCloseAt")}
    assert burn().own_window == LENGTHS["3d"]


def test_its_limits_are_those_of_the_rule_language() -> None:
    assert burn().own_limits == tuple((level, factor) for level, factor, _, _ in TABLE)


@pytest.mark.parametrize(("level", "factor", "long", "short"), TABLE)
def test_a_pair_is_broken_when_both_its_windows_burn_faster(level: Level, factor: float, long: str, short: str) -> None:
    both: Any = {f"last_{long}": factor + 0.1, f"last_{short}": factor + 0.3}
    assert decided(relate(**both)) == (level, round(factor + 0.1, 6), factor)


@pytest.mark.parametrize(("level", "factor", "long", "short"), TABLE)
@pytest.mark.parametrize("other", [0.0, 0.5, 1.0])
def test_one_window_alone_breaks_nothing(level: Level, factor: float, long: str, short: str, other: float) -> None:
    for fast, slow in ((long, short), (short, long)):
        speeds: Any = {f"last_{fast}": factor + 5, f"last_{slow}": other}
        found, value, _ = decided(relate(**speeds))
        assert found is Level.OK
        assert value is not None


@pytest.mark.parametrize(("level", "factor", "long", "short"), TABLE)
@pytest.mark.parametrize("objective", ["95%", "93.5%", "96%", "97.3%", "98%"])
def test_a_limit_is_exclusive_for_people_also_in_floats(
    level: Level, factor: float, long: str, short: str, objective: str
) -> None:
    allowed = 1 - float(objective[:-1]) / 100
    shares = {name: figures(1 - factor * allowed if name in (long, short) else 1.0) for name in LENGTHS}
    own, *others = shares.values()
    found = burn(objective).relate(own, others)
    assert found.levels == (Level.OK,)
    assert only(found) == pytest.approx(factor)


@pytest.mark.parametrize(("missed", "of", "factor"), [(612, 625, 14.4), (102, 250, 6), (51, 250, 3)])
def test_a_count_of_conversations_exactly_at_a_limit_is_not_beyond_it(missed: int, of: int, factor: float) -> None:
    """Each of these is beyond its factor by the last bit of a float: 612 of 625 missed is 14.4 times 6.8 %."""
    assert (1 - (of - missed) / of) / (1 - 0.932) > factor
    long, short = next((long, short) for _, found, long, short in TABLE if found == factor)
    shares = [figures((of - missed) / of if name in (long, short) else 1.0) for name in LENGTHS]
    assert burn("93.2%").relate(shares[0], shares[1:]).levels == (Level.OK,)


def test_the_worst_pair_that_is_broken_decides() -> None:
    assert decided(relate(20)) == (Level.CRITICAL, 20, 14.4)
    assert decided(relate(20, last_5m=0)) == (Level.CRITICAL, 20, 6)
    assert decided(relate(20, last_5m=0, last_30m=0)) == (Level.WARNING, 20, 3)
    assert decided(relate(20, last_5m=0, last_30m=0, last_2h=0)) == (Level.WARNING, 20, 1)


def test_when_none_is_broken_the_one_that_comes_closest_tells_the_number() -> None:
    found = relate(0.1, last_1h=12, last_5m=20, last_6h=3, last_30m=4)
    assert decided(found) == (Level.OK, 12, 14.4)
    assert found.reference.tolist() == pytest.approx([1 - 12 * 0.05])


def test_nothing_burns_where_all_is_kept() -> None:
    level, value, _ = decided(relate(0))
    assert (level, value) == (Level.OK, 0)


def test_a_short_window_without_conversations_ends_nothing_and_breaks_no_pair() -> None:
    assert decided(relate(20, last_5m=None)) == (Level.CRITICAL, 20, 6)
    assert relate(20, last_5m=None).lacks == (None,)
    silent = relate(20, last_5m=None, last_30m=None)
    assert only(silent) is None
    assert silent.lacks == ("nobody wrote of late, so nobody can tell whether it goes on",)
    assert decided(relate(1, last_5m=None, last_30m=None))[0] is Level.OK


def test_without_any_conversations_there_is_no_value() -> None:
    found = relate(None)
    assert only(found) is None
    assert found.lacks == (None,)


def test_a_window_that_is_not_known_lets_nothing_get_better() -> None:
    found = relate(20, last_30m=0, unknown=("5m",))
    assert only(found) is None
    assert found.lacks == ("how it was in the last 5 min is not known, and that may decide",)
    assert relate(20, unknown=("5m", "6h", "1d")).lacks == (
        "how it was in the last 5 min, 6 h, 1 d is not known, and that may decide",
    )


def test_a_window_that_is_not_known_does_not_matter_where_it_cannot_decide() -> None:
    assert decided(relate(20, unknown=("5m",))) == (Level.CRITICAL, 20, 6)  # it is as bad as can be without it
    assert decided(relate(0.5, unknown=("5m",)))[0] is Level.OK  # the hour alone keeps the pair whole
    assert decided(relate(20, last_1h=2, last_30m=2, unknown=("5m",)))[0] is Level.WARNING


def brute(speeds: dict[str, Any]) -> Any:
    """One group: None for no value, "lack", or (level, value, factor).

    Unknown windows are tried with both extremes, and so are short ones without conversations.
    """
    outcomes = []
    for guess in (-1.0, 1e12):
        filled = {name: guess if speed == "unknown" else speed for name, speed in speeds.items()}
        ends = {name: guess if speed is None else speed for name, speed in filled.items()}
        pairs = [(level, factor, filled[long], ends[short]) for level, factor, long, short in TABLE]
        known = [(level, factor, min(a, b)) for level, factor, a, b in pairs if a is not None and b is not None]
        broken = [each for each in known if each[2] > each[1]]
        outcomes.append(broken[0][0] if broken else Level.OK)
        if guess < 0:
            certain = broken
        nearest = max(known, key=lambda each: each[2] / each[1], default=None)
    if outcomes[0] is not outcomes[1]:
        return "lack"
    if certain:
        return certain[0]
    return nearest and (Level.OK, nearest[1], nearest[2])


@given(
    tables(st.sampled_from([0.0, 0.2, 0.28, 0.5, 0.69, 0.7, 0.84, 0.85, 0.86, 0.94, 0.95, 0.96, 1.0]), windows=st.just(6)),
)
def test_it_is_the_table_for_every_group(table: Any) -> None:
    now, earlier = table
    with np.errstate(all="raise"):
        found = burn().relate(now, earlier)
    assert found.levels is not None
    assert found.limits is not None
    named: dict[str, Figures | None] = dict(zip(LENGTHS, (now, *earlier), strict=True))
    for place in range(len(now)):
        speeds: dict[str, Any] = {}
        for name, each in named.items():
            share = None if each is None else plain(each.values)[place]
            speeds[name] = "unknown" if each is None else share if share is None else round((100 - share * 100) / 5, 6)
        expected = brute(speeds)
        value = plain(found.values)[place]
        assert (found.lacks[place] is not None) == (expected == "lack")
        if expected in (None, "lack"):
            assert value is None
        else:
            assert found.levels[place] is expected[0]
            assert value == pytest.approx(expected[2])
            if expected[0] is not Level.OK:
                assert found.limits[place] == expected[1]


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("93%", "with an objective of 93% the slack can never be used up more than 14.4 times as fast as allowed"),
        ("50%", "with an objective of 50% the slack can never be used up more than 14.4 times as fast as allowed"),
        ("-5%", "with an objective of -5% the slack can never"),
        ("100%", "an objective of 100% leaves no slack that could be used up; write less, such as 99.9%"),
        ("101%", "an objective of 101% leaves no slack"),
        (95, 'the objective is a share; write it like 95% instead of "95"'),
        (0.95, 'the objective is a share; write it like 95% instead of "0.95"'),
        ("5m", 'the objective is a share; write it like 95% instead of "5m"'),
        (None, 'the objective is a share; write it like 95% instead of "None"'),
    ],
)
def test_an_objective_with_which_a_limit_cannot_be_passed_is_an_error(objective: Any, words: str) -> None:
    with pytest.raises(QueryError) as caught:
        burn(objective)
    assert str(caught.value).startswith(words)
    assert caught.value.path == ("burn", "objective")


def test_the_lowest_objective_that_is_advised_works() -> None:
    with pytest.raises(QueryError, match=r"; 93\.1% or more works$"):
        burn("90%")
    found = burn("93.1%").relate(figures(0.0), [figures(0.0)] * 6)
    assert found.levels == (Level.CRITICAL,)


@pytest.mark.parametrize("period", ["6d", "91d", "28", 28, True, "x"])
def test_a_period_is_a_week_to_a_quarter(period: Any) -> None:
    with pytest.raises(QueryError) as caught:
        burn(period=period)
    assert caught.value.path == ("burn", "period")


@pytest.mark.parametrize(("raw", "path"), [({}, ("burn",)), (None, ("burn",)), ({"objectiv": "95%"}, ("burn", "objectiv"))])
def test_the_objective_cannot_be_left_out(raw: Any, path: tuple[str, ...]) -> None:
    with pytest.raises(QueryError, match="objective") as caught:
        comparisons.build({"burn": raw}, Unit.FRACTION, counts=False)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("value", "period", "words"),
    [
        (16.2, "28d", "16.2 times as fast as allowed; at this speed the slack of 28 d is gone in 1 d 17 h"),
        (2.0, "30d", "2 times as fast as allowed; at this speed the slack of 30 d is gone in 15 d"),
        (1.0, "28d", "1 times as fast as allowed; at this speed the slack of 28 d lasts"),
        (0.25, "28d", "0.25 times as fast as allowed; at this speed the slack of 28 d lasts"),
        (0.0, "28d", "none of the slack is being used"),
    ],
)
def test_people_read_how_long_the_slack_lasts_at_this_speed(value: float, period: str, words: str) -> None:
    assert burn(period=period).spell(value, 0.8, 0.8, Unit.FRACTION) == words


def test_it_says_what_is_promised() -> None:
    words = "how fast the slack of 99.5 % is used up: share of conversations with status open"
    assert burn("99.5%").describe("share of conversations with status open") == words
