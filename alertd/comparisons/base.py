"""What every comparison has in common: the number of one window in, the number that is held against the limits out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Duration
from alertd.facts import Level, Window
from alertd.reporting.table import Column, Mask
from alertd.units import Unit


@dataclass(frozen=True)
class Figures:
    """What was measured in one window, one place a group; all figures that are compared have the same groups.

    `values` are in the measure's unit, NaN where there is none; `entered`: of how many values each was made; `fired`: whether
    the rule's alert for that group fired then.
    """

    values: Column
    entered: NDArray[np.intp]
    fired: Mask

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class Related:
    """What a comparison makes of figures, one place a group.

    `values` are held against the limits; NaN where there is none, for want of data or for the reason in `lacks` (evidence
    `insufficient`). `reference`, in the measure's unit, is what was compared with, NaN where there is nothing. A comparison
    that brings its own limits gives the level of each group and the limit that decided it, in the unit of `values`.
    """

    values: Column
    reference: Column
    lacks: tuple[str | None, ...]
    levels: tuple[Level, ...] | None = None
    limits: Column | None = None


@dataclass(frozen=True)
class Option:
    """One key below a comparison's name."""

    name: str
    about: str  # one sentence for the schema
    example: str  # as it is written in a rule file
    required: bool = False


@dataclass(frozen=True)
class Comparison:
    """One comparison with its options. `names` are what rule files call it."""

    names: ClassVar[tuple[str, ...]]
    example: ClassVar[str]  # how it is written in a rule file
    about: ClassVar[str]  # one sentence for `alertd kinds` and the schema
    options: ClassVar[tuple[Option, ...]] = ()
    needs_share: ClassVar[bool] = False
    own_unit: ClassVar[Unit | None] = None  # None: the measure's
    own_window: ClassVar[Duration | None] = None  # the rule's window where the comparison decides it
    own_limits: ClassVar[tuple[tuple[Level, float], ...]] = ()  # all exclusive and above, the worst first

    @classmethod
    def parse(cls, argument: object, unit: Unit, *, counts: bool) -> Self:
        """Build it from a rule file; QueryError with the path below the comparison's name.

        `unit` is the measure's; `counts`: the measure is a number of things, so that its chance scatter is known.
        """
        raise NotImplementedError

    @property
    def reach(self) -> Duration:
        """How long before the end of the rule's window the earliest of its other windows ends, at most."""
        return 0

    def unit(self, measure: Unit) -> Unit:
        """What the compared number, and so the limits, are numbers of."""
        return self.own_unit or measure

    def windows(
        self,
        window: Window,  # noqa: ARG002 - what others need to know
        timezone: str,  # noqa: ARG002
        every: Duration,  # noqa: ARG002
    ) -> tuple[Window, ...]:
        """The windows it needs beside the rule's own, in the order in which `relate` takes them.

        `timezone` is a name such as Europe/Berlin. None ends after it.
        """
        return ()

    def keeps(self, window: Window, timezone: str, every: Duration) -> bool:  # noqa: ARG002 - what others need to know
        """Whether what was measured in the rule's own window may be looked back at later."""
        return self.reach > 0

    def relate(self, now: Figures, earlier: Sequence[Figures | None]) -> Related:
        """Compare every group. `earlier` has the figures of `windows()` in its order; None: nobody knows that window."""
        raise NotImplementedError

    def describe(self, measure: str) -> str:
        """Say it in words, lower case, for messages; `measure` is the measure in words."""
        raise NotImplementedError

    def spell(self, value: float, measured: float, reference: float, unit: Unit) -> str:
        """Write a compared value for people; `measured` and `reference` (NaN: there is none) are in `unit`, the measure's."""
        raise NotImplementedError

    def spell_alone(self, value: float) -> str:  # noqa: ARG002 - what others need to know
        """The same without what it is made of, which nobody keeps of the worst moment; empty where the number says it."""
        return ""

    def spans(self, limit: float) -> str:  # noqa: ARG002
        """Over which windows that limit was passed, for the end of a sentence, where not over the rule's own."""
        return ""


def nothing(count: int) -> Column:
    """A column without a value."""
    return np.full(count, np.nan)
