"""`{burn: {objective: 95%, period: 28d}}`: how fast the slack that a promise leaves is used up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alertd.clock import DAY, HOUR, MINUTE, Duration
from alertd.comparisons import options
from alertd.comparisons.base import Comparison, Figures, Option, Related, nothing
from alertd.durations import spell_duration
from alertd.errors import QueryError
from alertd.facts import Level, Window
from alertd.reporting.table import Column, Mask
from alertd.units import Unit, parse_value, spell_value


@dataclass(frozen=True)
class Pair:
    """Two windows that must both burn beyond the factor: the long one says that it matters, the short one that it goes on."""

    level: Level
    factor: float
    long: Duration
    short: Duration


# "Alerting on SLOs" in Google's SRE workbook, table 5-8 and Sloth's windows; the worst first.
PAIRS = (
    Pair(Level.CRITICAL, 14.4, HOUR, 5 * MINUTE),
    Pair(Level.CRITICAL, 6.0, 6 * HOUR, 30 * MINUTE),
    Pair(Level.WARNING, 3.0, DAY, 2 * HOUR),
    Pair(Level.WARNING, 1.0, 3 * DAY, 6 * HOUR),
)
OWN = 3 * DAY
# 6 h stands in two pairs.
OTHERS = tuple(sorted({length for pair in PAIRS for length in (pair.long, pair.short)} - {OWN}, reverse=True))

_Windows: TypeAlias = Mapping[Duration, Figures | None]

# A row a pair, to be held against a column a group.
_FACTORS = np.array([[pair.factor] for pair in PAIRS])
_RANKS = np.array([pair.level.rank for pair in PAIRS])
_LEVELS = tuple(Level)  # by rank

# The lowest objective with which every factor can be passed, in percent, rounded up.
_LOWEST = math.ceil((1 - 1 / PAIRS[0].factor) * 1000) / 10


@dataclass(frozen=True)
class Burn(Comparison):
    """(1 - share) / (1 - objective): 1 uses up the slack of a period exactly in that period, 2 in half of it.

    The value is the slower of the two windows of the pair that decides: the worst one that is broken, else the one that comes
    closest to its factor. The reference is the share over that pair's long window.
    """

    objective: float
    period: Duration = 28 * DAY
    names: ClassVar[tuple[str, ...]] = ("burn",)
    example: ClassVar[str] = "{burn: {objective: 95%, period: 28d}}"
    about: ClassVar[str] = (
        "How fast a promise's slack is used up: critical at 14.4 times what is allowed over 1h and 5m or 6 over 6h and 30m, "
        "a warning at 3 over 1d and 2h or 1 over 3d and 6h."
    )
    options: ClassVar[tuple[Option, ...]] = (
        Option("objective", "The share that is promised.", "95%", required=True),
        Option("period", "What the promise is about, for the words only: 7d to 90d; 28d where it is left out.", "28d"),
    )
    needs_share: ClassVar[bool] = True
    own_unit: ClassVar[Unit | None] = Unit.NUMBER
    own_window: ClassVar[Duration | None] = OWN
    own_limits: ClassVar[tuple[tuple[Level, float], ...]] = tuple((pair.level, pair.factor) for pair in PAIRS)

    @classmethod
    def parse(cls, argument: object, unit: Unit, *, counts: bool) -> Self:  # noqa: ARG003 - it is a share
        given = options.read(cls, argument)
        objective = _objective(given["objective"])
        return cls(objective, options.duration("period", given.get("period", "28d"), 7 * DAY, 90 * DAY))

    def windows(self, window: Window, timezone: str, every: Duration) -> tuple[Window, ...]:  # noqa: ARG002 - all end now
        return tuple(replace(window, start=window.end - length) for length in OTHERS)

    def relate(self, now: Figures, earlier: Sequence[Figures | None]) -> Related:
        windows = dict(zip((OWN, *OTHERS), (now, *earlier), strict=True))
        # A window that nobody knows may hold anything: nothing that is surely broken, everything that may be.
        broken = np.greater(self._speeds(windows, len(now), unknown=math.nan), _FACTORS)
        speeds = self._speeds(windows, len(now), unknown=math.inf)
        pair, groups = _decisive(speeds, broken), np.arange(len(now))
        rank = np.where(broken.any(axis=0), _RANKS[pair], Level.OK.rank)
        undecided: Mask = np.any((speeds > _FACTORS) & (_RANKS[:, np.newaxis] > rank), axis=0)
        lack = _lack(windows)
        return Related(
            np.where(undecided, np.nan, speeds[pair, groups]),
            _long_shares(windows, len(now))[pair, groups],
            tuple(lack if each else None for each in undecided.tolist()),
            tuple(_LEVELS[each] for each in rank.tolist()),
            _FACTORS[pair, 0],
        )

    def describe(self, measure: str) -> str:
        return f"how fast the slack of {spell_value(self.objective, Unit.FRACTION)} is used up: {measure}"

    def spell(self, value: float, measured: float, reference: float, unit: Unit) -> str:  # noqa: ARG002 - the speed says it all
        if value <= 0:
            return "none of the slack is being used"
        speed = f"{spell_value(value, Unit.NUMBER)} times as fast as allowed"
        period = spell_duration(self.period)
        if value <= 1:
            return f"{speed}; at this speed the slack of {period} lasts"
        return f"{speed}; at this speed the slack of {period} is gone in {spell_duration(self.period / value)}"

    def spell_alone(self, value: float) -> str:
        return f"{spell_value(value, Unit.NUMBER)} times as fast as allowed"

    def spans(self, limit: float) -> str:
        pair = next((each for each in PAIRS if each.factor == limit), None)
        return f", over the last {spell_duration(pair.long)} and the last {spell_duration(pair.short)}" if pair else ""

    def _speeds(self, windows: _Windows, count: int, *, unknown: float) -> NDArray[np.float64]:
        """For each pair (rows) and group how fast the slower of its windows burns; `unknown` for windows that are not known."""
        burns = {
            length: np.full(count, unknown) if each is None else self._burn(each.values) for length, each in windows.items()
        }
        # Nobody in the short window says nothing of whether it goes on; nobody in the long one is nothing to tell of.
        short = {length: np.where(np.isnan(each), unknown, each) for length, each in burns.items()}
        return np.stack([np.minimum(burns[pair.long], short[pair.short]) for pair in PAIRS])

    def _burn(self, share: Column) -> Column:
        # Rounded, so that what lies at a factor in people's numbers is not beyond it by the last bit of a float.
        return np.round((1 - share) / (1 - self.objective), 9)


def _decisive(speeds: NDArray[np.float64], broken: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each group the first pair that is broken, else the one that comes closest to its factor."""
    nearness = np.where(np.isnan(speeds), -np.inf, speeds / _FACTORS)
    found: NDArray[np.intp] = np.where(broken.any(axis=0), broken.argmax(axis=0), nearness.argmax(axis=0))
    return found


def _long_shares(windows: _Windows, count: int) -> NDArray[np.float64]:
    """For each pair (rows) and group the share over its long window."""
    long = [windows[pair.long] for pair in PAIRS]
    return np.stack([nothing(count) if each is None else each.values for each in long])


def _lack(windows: _Windows) -> str:
    if None not in windows.values():
        return "nobody wrote of late, so nobody can tell whether it goes on"
    lengths = ", ".join(spell_duration(length) for length in sorted(windows) if windows[length] is None)
    return f"how it was in the last {lengths} is not known, and that may decide"


def _objective(raw: object) -> float:
    try:
        objective = parse_value(raw, Unit.FRACTION)
    except ValueError:
        raise QueryError(f'the objective is a share; write it like 95% instead of "{raw}"', ("objective",)) from None
    if objective >= 1:
        raise QueryError(
            f"an objective of {raw} leaves no slack that could be used up; write less, such as 99.9%", ("objective",)
        )
    # If nothing at all is kept, it burns 1 / (1 - objective) times as fast as allowed: that must be beyond the highest factor.
    if round(1 / (1 - objective), 9) <= PAIRS[0].factor:
        message = (
            f"with an objective of {raw} the slack can never be used up more than {PAIRS[0].factor} times as fast as allowed"
        )
        raise QueryError(f"{message}, so that limit would never be passed; {_LOWEST}% or more works", ("objective",))
    return objective


COMPARISON = Burn
