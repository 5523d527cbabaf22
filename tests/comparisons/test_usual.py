"""Robust deviations from the usual value at this hour of the week."""

from __future__ import annotations

import math
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from alertd import comparisons
from alertd.clock import DAY, HOUR, MINUTE, SECOND
from alertd.comparisons.base import Comparison, Figures
from alertd.facts import Window
from alertd.units import Unit
from tests.comparisons.brute import ZONES, at, figures, only, plain, tables, times

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def usual(unit: Unit = Unit.NUMBER, *, counts: bool | None = None, **options: Any) -> Comparison:
    return comparisons.build({"usual": options}, unit, counts=unit is Unit.NUMBER if counts is None else counts)


def weeks_of(*values: float | None) -> list[Figures]:
    return [figures(each) for each in values]


def brute(
    now: Figures, earlier: list[Figures | None], place: int, *, weeks: int, at_least: float, kind: str
) -> float | str | None:
    """The number of one group; "lack" where too little is known, None where nothing was measured."""
    x = now.values[place]
    if math.isnan(x):
        return None
    per_week = len(earlier) // weeks
    known = [
        (number // per_week, float(each.values[place]), bool(each.fired[place]))
        for number, each in enumerate(earlier)
        if each is not None and not math.isnan(each.values[place])
    ]

    def enough(samples: list[tuple[int, float, bool]]) -> bool:
        return len({week for week, _, _ in samples}) >= max(2, (weeks + 1) // 2) and len(samples) >= min(3, weeks)

    calm = [each for each in known if not each[2]]
    samples = calm if enough(calm) else known
    if not enough(samples):
        return "lack"
    values = [value for _, value, _ in samples]
    middle = statistics.median(values)
    if abs(x - middle) < at_least:
        return 0.0
    spread = 1.4826 * statistics.median(abs(value - middle) for value in values)
    return float((x - middle) / max(spread, floor(kind, middle, int(now.entered[place]))))


def floor(kind: str, middle: float, entered: int) -> float:
    if kind == "count":
        return max(math.sqrt(middle), 1)
    if kind == "duration":
        return max(middle / 20, SECOND)
    if kind == "number":
        return max(middle / 20, 0.1)
    odds = (middle * entered + 1) / (entered + 2)
    return max(math.sqrt(odds * (1 - odds) / max(entered, 1)), 0.01)


KINDS = {
    "count": (Unit.NUMBER, True, st.integers(0, 300).map(float), "15"),
    "number": (Unit.NUMBER, False, st.integers(0, 1000).map(lambda part: part / 100), "0.5"),
    "duration": (Unit.DURATION, False, st.integers(0, 10**7).map(float), "30s"),
    "share": (Unit.FRACTION, False, st.integers(0, 50).map(lambda part: part / 50), "5%"),
}
STRICT = {"15": 15, "0.5": 0.5, "30s": 30_000, "5%": 0.05}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_it_is_the_formula_for_every_group(kind: str, data: st.DataObject) -> None:
    unit, counts, values, least = KINDS[kind]
    weeks = data.draw(st.integers(2, 5))
    now, earlier = data.draw(tables(values, windows=st.integers(1, 4).map(lambda per_week: per_week * weeks)))
    ignored = data.draw(st.booleans())
    raw: Any = least if unit is not Unit.NUMBER else float(least)
    comparison = usual(unit, counts=counts, weeks=weeks, **({"at_least": raw} if ignored else {}))
    with np.errstate(all="raise"):
        found = comparison.relate(now, earlier)
    for place, value in enumerate(plain(found.values)):
        expected = brute(now, earlier, place, weeks=weeks, at_least=STRICT[least] if ignored else 0, kind=kind)
        assert (found.lacks[place] is not None) == (expected == "lack")
        assert value == (None if expected == "lack" else expected if expected is None else pytest.approx(expected))


def test_it_is_signed_and_knows_what_was_usual() -> None:
    found = usual().relate(figures(190, 50), [figures(120, 120), figures(100, 100), figures(140, 140), figures(120, 120)])
    assert found.reference.tolist() == [120, 120]
    scatter = 1.4826 * 10
    assert found.values.tolist() == pytest.approx([70 / scatter, -70 / scatter])


def test_a_count_that_was_always_the_same_still_scatters_by_chance() -> None:
    assert only(usual().relate(figures(120), weeks_of(100, 100, 100, 100))) == pytest.approx(2)


def test_quiet_hours_do_not_make_one_conversation_unusual() -> None:
    assert only(usual().relate(figures(1), weeks_of(0, 0, 0, 0))) == 1


def test_one_odd_week_changes_nothing_much() -> None:
    calm = only(usual().relate(figures(150), weeks_of(100, 101, 99, 100)))
    odd = only(usual().relate(figures(150), weeks_of(100, 101, 99, 5000)))
    assert calm == pytest.approx(5.0, abs=0.1)
    assert odd == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize(("now", "expected"), [(114, 0), (86, 0), (115, 1.5), (85, -1.5)])
def test_moves_smaller_than_at_least_count_as_none(now: int, expected: float) -> None:
    assert only(usual(at_least=15).relate(figures(now), weeks_of(100, 100, 100, 100))) == pytest.approx(expected)


def test_a_duration_needs_five_percent_to_move_by_one() -> None:
    ten_minutes = 600_000
    found = usual(Unit.DURATION).relate(figures(ten_minutes + 60_000), weeks_of(*[ten_minutes] * 4))
    assert only(found) == pytest.approx(2)
    assert only(usual(Unit.DURATION).relate(figures(3000), weeks_of(0, 0, 0, 0))) == 3


def test_a_share_scatters_as_much_as_so_few_conversations_do() -> None:
    history = weeks_of(0, 0, 0, 0)
    few = only(usual(Unit.FRACTION).relate(figures(0.2, entered=5), history))
    many = only(usual(Unit.FRACTION).relate(figures(0.2, entered=500), history))
    assert few is not None
    assert many is not None
    assert few < 1.5
    assert many == pytest.approx(20)


def test_hours_in_which_it_fired_are_not_the_usual() -> None:
    history = [figures(100), figures(400, fired=[0]), figures(100), figures(100)]
    found = usual().relate(figures(150), history)
    assert found.reference.tolist() == [100]
    assert only(found) == pytest.approx(5)


def test_what_has_gone_on_for_most_of_the_weeks_is_the_usual() -> None:
    """Else an alert on a change for good could never end: every week since is one in which it fired."""
    history = [figures(400, fired=[0]), figures(400, fired=[0]), figures(400, fired=[0]), figures(100)]
    found = usual().relate(figures(402), history)
    assert found.reference.tolist() == [400]
    assert only(found) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("weeks", "history", "lack"),
    [
        (4, [100, None, None, None], "1 of the last 4 weeks is known at this hour; 2 are needed to know what is usual"),
        (4, [None] * 4, "0 of the last 4 weeks are known at this hour; 2 are needed to know what is usual"),
        (12, [100] * 5 + [None] * 7, "5 of the last 12 weeks are known at this hour; 6 are needed to know what is usual"),
        (4, [100, 100, None, None], "2 windows of the last 4 weeks are known at this hour; 3 are needed to know the usual"),
        (4, [100, 100, 100, None], None),
        (2, [100, 100], None),
        (2, [100, None], "1 of the last 2 weeks is known at this hour; 2 are needed to know what is usual"),
        (4, [100] * 4 + [None] * 12, "1 of the last 4 weeks is known at this hour; 2 are needed to know what is usual"),
        (4, [100] * 6 + [None] * 10, None),
    ],
)
def test_too_little_history_is_insufficient_and_says_so(weeks: int, history: list[float | None], lack: str | None) -> None:
    found = usual(weeks=weeks).relate(figures(100), weeks_of(*history))
    assert found.lacks == (lack,)
    assert (only(found) is None) == (lack is not None)
    unknown = [None if each is None else figures(each) for each in history]
    assert usual(weeks=weeks).relate(figures(100), unknown).lacks == (lack,)


def test_nothing_now_is_no_value_and_no_lack() -> None:
    assert usual().relate(figures(None), weeks_of(1, 2, 3, 4)).lacks == (None,)
    assert usual().relate(figures(None), [None] * 4).lacks == (None,)


def windows(end: str, zone: str, every: int, *, weeks: int = 2, length: int = HOUR) -> list[str]:
    instant = at(end, zone)
    found = usual(weeks=weeks).windows(Window(instant - length, instant), zone, every)
    return [times(each, zone) for each in found]


def test_four_windows_a_week_end_in_the_same_hour() -> None:
    assert windows("2026-11-18 09:25", BERLIN, 5 * MINUTE) == [
        "Wed 2026-11-11 08:00 to Wed 2026-11-11 09:00",
        "Wed 2026-11-11 08:15 to Wed 2026-11-11 09:15",
        "Wed 2026-11-11 08:30 to Wed 2026-11-11 09:30",
        "Wed 2026-11-11 08:45 to Wed 2026-11-11 09:45",
        "Wed 2026-11-04 08:00 to Wed 2026-11-04 09:00",
        "Wed 2026-11-04 08:15 to Wed 2026-11-04 09:15",
        "Wed 2026-11-04 08:30 to Wed 2026-11-04 09:30",
        "Wed 2026-11-04 08:45 to Wed 2026-11-04 09:45",
    ]


def test_they_are_windows_that_the_rule_had_then_with_its_delay() -> None:
    assert windows("2026-11-18 09:24:30", BERLIN, 5 * MINUTE)[:2] == [
        "Wed 2026-11-11 08:14:30 to Wed 2026-11-11 09:14:30",
        "Wed 2026-11-11 08:29:30 to Wed 2026-11-11 09:29:30",
    ]


@pytest.mark.parametrize(
    ("every", "ends"),
    [
        (10 * SECOND, ["00", "15", "30", "45"]),
        (MINUTE, ["00", "15", "30", "45"]),
        (10 * MINUTE, ["00", "20", "40"]),
        (15 * MINUTE, ["00", "15", "30", "45"]),
        (20 * MINUTE, ["00", "20", "40"]),
        (30 * MINUTE, ["00", "30"]),
        (HOUR, ["00"]),
        (6 * HOUR, ["00"]),
        (DAY, ["00"]),
    ],
)
def test_a_rule_that_is_checked_less_often_has_fewer(every: int, ends: list[str]) -> None:
    found = windows("2026-11-18 12:00", "UTC", every)
    assert [each[-2:] for each in found] == ends * 2


def test_checks_within_an_hour_ask_for_the_same_windows() -> None:
    asked = {tuple(windows(f"2026-11-18 09:{minute:02}", BERLIN, 5 * MINUTE)) for minute in range(0, 60, 5)}
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("zone", "end", "expected"),
    [
        (BERLIN, "2026-03-30 09:00", ["Mon 2026-03-23 09:00", "Mon 2026-03-16 09:00"]),  # forward on the 29th
        (BERLIN, "2026-11-02 09:00", ["Mon 2026-10-26 09:00", "Mon 2026-10-19 09:00"]),  # back on the 25th
        (NEW_YORK, "2026-03-16 09:00", ["Mon 2026-03-09 09:00", "Mon 2026-03-02 09:00"]),  # forward on the 8th
        (NEW_YORK, "2026-11-09 09:00", ["Mon 2026-11-02 09:00", "Mon 2026-10-26 09:00"]),  # back on the 1st
        (BERLIN, "2027-01-04 09:00", ["Mon 2026-12-28 09:00", "Mon 2026-12-21 09:00"]),  # across the year's end
        (BERLIN, "2026-04-05 02:30", ["Sun 2026-03-29 03:30", "Sun 2026-03-22 02:30"]),  # 02:30 was skipped
    ],
)
def test_nine_is_held_against_nine_in_weeks_of_daylight_saving(zone: str, end: str, expected: list[str]) -> None:
    assert [each.split(" to ")[1] for each in windows(end, zone, HOUR)] == expected


def local(instant: int, zone: str) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=instant)).astimezone(ZoneInfo(zone))


@given(
    st.integers(500 * 96 * 3, 20_000 * 96 * 3).map(lambda number: number * 5 * MINUTE),
    st.sampled_from([0, 30 * SECOND, 2 * MINUTE]),
    st.sampled_from([5 * MINUTE, 15 * MINUTE, 30 * MINUTE]),
    st.sampled_from(ZONES),
    st.integers(2, 12),
)
def test_they_are_all_grid_windows_of_that_hour_of_the_week(due: int, delay: int, every: int, zone: str, weeks: int) -> None:
    """Against every end of a window of the rule in all those weeks, of which those in the same local hour are taken."""
    as_of = due - due % every - delay
    here = local(as_of, zone)
    step = max(every, 15 * MINUTE)
    grid = range((as_of + delay) // step * step - delay - weeks * 7 * DAY - DAY, as_of - 6 * DAY, step)
    expected = {end for end in grid if (there := local(end, zone)).weekday() == here.weekday() and there.hour == here.hour}
    # Hours that came twice or not at all have more or fewer; they have tests of their own.
    first = {(local(end, zone).date(), local(end, zone).hour) for end in expected}
    assume(len(first) == weeks)
    assume(all(not local(end, zone).fold and local(end + HOUR, zone).hour != here.hour for end in expected))
    assume(not here.fold and local(as_of + HOUR, zone).hour != here.hour)
    found = usual(weeks=weeks).windows(Window(as_of - HOUR, as_of), zone, every)
    assert {each.end for each in found} == expected
    assert len(found) == len(expected)
    assert all(each.length == HOUR for each in found)


def test_history_is_kept_that_long() -> None:
    assert 28 * DAY + 2 * HOUR <= usual().reach <= 35 * DAY


@pytest.mark.parametrize(
    ("value", "measured", "reference", "unit", "words"),
    [
        (5.2, 190, 120, Unit.NUMBER, "5.2 deviations above the usual 120 (now 190)"),
        (-4.61, 20, 120.5, Unit.NUMBER, "4.61 deviations below the usual 120.5 (now 20)"),
        (1.0, 131, 120, Unit.NUMBER, "1 deviation above the usual 120 (now 131)"),
        (0.0, 125, 120, Unit.NUMBER, "about the usual 120 (now 125)"),
        (-0.001, 119, 120, Unit.NUMBER, "about the usual 120 (now 119)"),
        (7.0, 420_000, 60_000, Unit.DURATION, "7 deviations above the usual 1 min (now 7 min)"),
        (2.0, 0.2, 0.1, Unit.FRACTION, "2 deviations above the usual 10 % (now 20 %)"),
    ],
)
def test_people_read_how_far_it_is_from_what(value: float, measured: float, reference: float, unit: Unit, words: str) -> None:
    assert usual(unit).spell(value, measured, reference, unit) == words


def test_it_says_against_what() -> None:
    assert usual().describe("number of conversations") == "number of conversations against the usual at this hour of the week"


def test_weeks_before_the_first_conversation_ever_are_not_known() -> None:
    usual = comparisons.build({"usual": {"weeks": 4}}, Unit.NUMBER, counts=True)
    busy, quiet = counted(20), counted(0)
    young = usual.relate(counted(30), [busy, quiet, quiet, quiet])
    assert young.lacks[0] == "1 of the last 4 weeks is known at this hour; 2 are needed to know what is usual"
    old = usual.relate(counted(30), [quiet, quiet, quiet, busy])
    assert (old.reference[0], old.lacks[0]) == (0.0, None)
    always_empty = usual.relate(counted(30), [quiet] * 4)
    assert (always_empty.reference[0], always_empty.lacks[0]) == (0.0, None)


def counted(count: int) -> Figures:
    return Figures(np.array([float(count)]), np.array([count]), np.array([False]))
