"""When visitors come, and what they are like, one day at a time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from typing import TypeAlias, TypeVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alertd.clock import HOUR, Duration, Instant
from alertd.reporting.table import Column
from alertd.sandbox.columns import Codes
from alertd.sandbox.company import BOTS, PAGES, PLAYBOOKS, TAGS, VISITOR_TYPES

# Calls in each hour of a week, Monday first, at the support centre of a bank: means over the 18 ordinary weeks of January to
# June 1999. Its week ran from Sunday to a short Friday; it is moved on by a day here, so that Saturday is the short one.
# Brown, Gans, Mandelbaum, Sakov, Shen, Zeltyn, Zhao: Statistical analysis of a telephone call center, JASA 100 (2005).
HOUR_WEIGHTS = (
    (5.8, 2.3, 1.0, 0.7, 0.2, 1.1, 6.4, 42, 94, 117, 144, 131, 121, 124, 128, 137, 174, 131, 82, 67, 50, 64, 51, 38),
    (4.6, 2.9, 0.7, 0.3, 0.4, 1.8, 7.7, 42, 96, 120, 140, 122, 106, 108, 133, 126, 100, 83, 86, 71, 66, 62, 56, 48),
    (4.6, 1.2, 0.8, 0.4, 0.3, 0.9, 5.9, 38, 92, 114, 140, 122, 112, 120, 125, 124, 137, 117, 88, 65, 65, 60, 58, 44),
    (4.4, 1.9, 0.6, 0.8, 0.8, 1.3, 6.4, 39, 96, 114, 120, 111, 101, 148, 128, 119, 91, 84, 81, 71, 59, 60, 60, 47),
    (4.1, 1.0, 0.6, 0.3, 0.4, 1.1, 4.6, 37, 86, 116, 136, 111, 107, 108, 121, 125, 152, 121, 84, 56, 57, 47, 39, 39),
    (4.9, 1.2, 1.3, 0.9, 0.6, 0.6, 3.3, 25, 72, 77, 79, 75, 73, 48, 27, 12, 7.4, 4.7, 1.8, 1.1, 0.8, 0.4, 0.5, 0.6),
    (0.1, 0.3, 0.1, 0.1, 0.0, 0.1, 0.0, 0.1, 0.1, 0.7, 0.4, 0.5, 0.7, 0.2, 0.7, 0.8, 0.6, 1.0, 3.2, 28, 27, 55, 48, 34),
)

BOT_ONLY, BOT_THEN_TEAM, TEAM = range(3)
ROUTES = (0.30, 0.40, 0.30)  # the shares of the three

NIGHT = time(4)  # a day of traffic starts here: the quietest hour, when no queue is left over from the day before

_TYPE_SHARES = (0.55, 0.30, 0.12, 0.03)
_SCORE_SHARES = (0.08, 0.50, 0.22, 0.13, 0.07)  # of -1, 0, 1, 2, 3
_REACTION_SPREAD = 0.3
_WORK_SPREAD = 0.5

Rng: TypeAlias = np.random.Generator
Rates: TypeAlias = list[tuple[Instant, Duration, float]]  # (start, length, arrivals expected) of each hour of a day


@dataclass(frozen=True)
class Arrivals:
    """Visitors, one a row, with all that is drawn for them beforehand. Units of 1 are stretched by the simulation."""

    at: Column  # epoch ms, whole
    route: Codes
    playbook: Codes  # which of PLAYBOOKS would greet them
    visitor: Column
    visitor_type: Codes
    page: Codes
    tags: Codes
    score: Column
    bot_part: Column  # mean 1
    patience: Column  # mean 1
    reaction: Column  # median 1
    work: Column  # median 1
    closing: Column  # mean 1
    agent_messages: Column
    visitor_messages: Column
    bot_messages: Column
    whim: Column  # uniform: decides rare things
    second: Codes  # which agent takes over if one does


_Rows = TypeVar("_Rows")


def take(value: _Rows, rows: NDArray[np.bool_] | NDArray[np.intp]) -> _Rows:
    """The rows of a dataclass of columns that a mask or a list of positions picks."""
    return type(value)(**{each.name: getattr(value, each.name)[rows] for each in fields(value)})  # type: ignore[arg-type]  # always one


def stack(values: list[_Rows]) -> _Rows:
    """Put dataclasses of columns together, in their order."""
    names = [each.name for each in fields(values[0])]  # type: ignore[arg-type]  # as above
    return type(values[0])(**{name: np.concatenate([getattr(value, name) for value in values]) for name in names})


def day_start(day: date, zone: ZoneInfo) -> Instant:
    """When a day of traffic begins."""
    return round(datetime.combine(day, NIGHT, zone).timestamp() * 1000)


def week_rates(day: date, zone: ZoneInfo, per_day: float) -> Rates:
    """The fitted week: `per_day` on average over its seven days."""
    scale = per_day * 7 / sum(map(sum, HOUR_WEIGHTS))
    local = (datetime.fromtimestamp(start / 1000, zone) for start in _hours(day, zone))
    return [(round(at.timestamp() * 1000), HOUR, scale * HOUR_WEIGHTS[at.weekday()][at.hour]) for at in local]


def flat_rates(day: date, zone: ZoneInfo, per_day: float) -> Rates:
    """The same at any hour."""
    return [(start, HOUR, per_day / 24) for start in _hours(day, zone)]


def draw(rng: Rng, rates: Rates) -> Arrivals:
    """Poisson arrivals, in no order, with everything that chance decides about them."""
    at = np.concatenate([start + rng.integers(0, length, rng.poisson(expected)) for start, length, expected in rates])
    count = len(at)
    pages, tags = (rng.integers(0, len(names), count) for names in (PAGES, TAGS))
    return Arrivals(
        at=at.astype(np.float64),
        route=rng.choice(len(ROUTES), count, p=ROUTES),
        playbook=rng.choice(len(PLAYBOOKS), count, p=[share for _, _, share, _ in PLAYBOOKS]),
        visitor=_floats(2_000_000_000 + rng.integers(0, 400_000_000, count) // 97 * 97),
        visitor_type=rng.choice(len(VISITOR_TYPES), count, p=_TYPE_SHARES),
        page=pages,
        tags=tags,
        score=rng.choice(np.arange(-1.0, 4.0), count, p=_SCORE_SHARES),
        bot_part=0.4 + 0.6 * rng.exponential(1, count),
        patience=rng.exponential(1, count),
        reaction=rng.lognormal(0, _REACTION_SPREAD, count),
        work=rng.lognormal(0, _WORK_SPREAD, count),
        closing=rng.exponential(1, count),
        agent_messages=_floats(1 + rng.poisson(3, count)),
        visitor_messages=_floats(1 + rng.poisson(2.5, count)),
        bot_messages=_floats(1 + rng.poisson(1.5, count)),
        whim=rng.random(count),
        second=rng.integers(0, 1 << 16, count),
    )


def bot_of(playbook: Codes) -> Column:
    """The id of the bot that speaks for each playbook."""
    return np.array([BOTS[bot][0] for *_, bot in PLAYBOOKS], dtype=np.float64)[playbook]


def _hours(day: date, zone: ZoneInfo) -> range:
    return range(day_start(day, zone), day_start(day + timedelta(days=1), zone), HOUR)


def _floats(values: NDArray[np.int64]) -> Column:
    return values.astype(np.float64)
