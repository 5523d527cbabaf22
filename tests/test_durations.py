"""Durations and instants: what people write is read as they meant it, and written back the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from alertd.clock import DAY, HOUR, LAST, MINUTE, SECOND, SystemClock, iso, parse_instant
from alertd.durations import format_duration, parse_duration, spell_duration

WEEK = 7 * DAY


@given(st.integers(0, 2**53))
def test_a_duration_reads_back_as_it_was_written(value: int) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90s", 90 * SECOND),
        ("5m", 5 * MINUTE),
        ("1h30m", 90 * MINUTE),
        ("7d", WEEK),
        ("2w", 2 * WEEK),
        ("1w2d3h4m5s6ms", WEEK + 2 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND + 6),
        ("250ms", 250),
        ("90m", 90 * MINUTE),
        ("0s", 0),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, value: int) -> None:
    assert parse_duration(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "m", "5", "5M", "5 m", "5min", "-5m", "1h-5m", "5m1h", "5m5m", "1.5h", "٣m", "5m\n", "1e3s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"write (it like 90s, 5m, 1h30m or 7d|5s, 5m, 5h or 5d)$"):
        parse_duration(text)


def test_a_number_without_a_unit_is_answered_with_the_units_it_may_have_meant() -> None:
    with pytest.raises(ValueError, match=r'^"300" has no unit; write 300s, 300m, 300h or 300d$'):
        parse_duration("300")


@pytest.mark.parametrize("text", ["1.5", "9" * 5_000, "9" * 5_000 + "s"])
def test_no_error_advises_what_would_be_an_error_again(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration; write it like|has no unit") as caught:
        parse_duration(text)
    assert "1.5s" not in str(caught.value)


def test_a_negative_duration_is_written_with_its_sign() -> None:
    assert format_duration(-90 * MINUTE) == "-1h30m"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "0 s"),
        (0.3, "0 s"),
        (-0.3, "0 s"),
        (999, "999 ms"),
        (999.7, "1 s"),
        (1_499, "1 s"),
        (59_400, "59 s"),
        (59_900, "1 min"),
        (7 * MINUTE + 12 * SECOND, "7 min 12 s"),
        (59 * MINUTE + 59_900, "1 h"),
        (2 * HOUR + 5 * MINUTE + 20 * SECOND, "2 h 5 min"),
        (23 * HOUR + 59 * MINUTE + 50 * SECOND, "1 d"),
        (3 * DAY, "3 d"),
        (3 * DAY + 4 * HOUR + 50 * MINUTE, "3 d 5 h"),
        (-90 * SECOND, "-1 min 30 s"),
    ],
)
def test_people_read_two_units_at_most_rounded_once(value: float, words: str) -> None:
    assert spell_duration(value) == words


@given(st.floats(0, 1e15), st.floats(0, 1e15))
def test_what_people_read_is_never_further_off_than_half_of_its_smaller_unit(one: float, other: float) -> None:
    assert abs(read(spell_duration(one)) - one) <= max(SECOND / 2, one / 24)
    if one <= other:
        assert read(spell_duration(one)) <= read(spell_duration(other))


def read(words: str) -> int:
    units = {"d": DAY, "h": HOUR, "min": MINUTE, "s": SECOND, "ms": 1}
    parts = words.split()
    assert len(parts) in (2, 4)
    return sum(int(count) * units[unit] for count, unit in zip(parts[::2], parts[1::2], strict=True))


@given(st.integers(parse_instant("0001-01-02"), LAST))
@example(-1)
@example(1_793_610_000_001)
def test_an_instant_reads_back_as_it_was_written(instant: int) -> None:
    assert parse_instant(iso(instant)) == instant


@pytest.mark.parametrize(
    "text",
    ["2026-11-02T09:00:00Z", "2026-11-02T09:00", "2026-11-02T10:00:00+01:00", "2026-11-02 09:00:00.000", "1793610000000"],
)
def test_a_time_without_an_offset_is_utc_and_epoch_milliseconds_do_too(text: str) -> None:
    assert parse_instant(text) == datetime(2026, 11, 2, 9, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "-5", "1.5", "9" * 16, str(LAST + 1), "9" * 5_000, "²"])
def test_what_is_no_time_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write it like 2026-11-02T09:00:00Z"):
        parse_instant(text)


def test_milliseconds_are_written_only_where_there_are_any() -> None:
    assert iso(1_793_610_000_000) == "2026-11-02T09:00:00Z"
    assert iso(1_793_610_000_001) == "2026-11-02T09:00:00.001Z"


def test_the_machines_uptime_only_grows_and_its_boot_stays() -> None:
    clock = SystemClock()
    before = clock.uptime()
    assert clock.boot() == clock.boot() != ""
    assert clock.uptime() >= before > 0
