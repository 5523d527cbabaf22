"""What every measure has in common: conversations in, one number per group out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from alertd.clock import Instant
from alertd.errors import QueryError
from alertd.reporting.properties import Kind, find_metric
from alertd.reporting.query import Filter
from alertd.reporting.table import Column, Ids, Table
from alertd.units import Unit

# What tells whether a conversation waits, and since when (design, "the waiting count").
ANSWER_TIME = "timeToAgentResponseMillis"
WAITING_METRICS = (ANSWER_TIME, "firstAgentMessageAt", "numEndUserMessages", "firstEndUserMessageAt", "firstCloseAt")


@dataclass(frozen=True)
class Sample:
    """What a measure works on: the selected conversations, each with the number of its group (0 to `count` - 1).

    `chosen` are the conversations that the measure's own `numerator` selects, when it has one that only the API can judge.
    """

    table: Table
    groups: NDArray[np.intp]
    count: int
    as_of: Instant
    as_waited: bool = False
    chosen: Ids | None = None


@dataclass(frozen=True)
class Measured:
    """One number per group, NaN where there is none, and of how many values it was made.

    `scores`: one number a row; the higher it is, the more that conversation explains a high value. NaN: it does not.
    """

    values: Column
    entered: NDArray[np.intp]
    scores: Column | None = None


@dataclass(frozen=True)
class Measure:
    """One measure with its options. `names` are what rule files call it."""

    names: ClassVar[tuple[str, ...]]
    example: ClassVar[str]  # how it is written in a rule file
    about: ClassVar[str]  # one sentence for `alertd kinds` and the schema
    counts: ClassVar[bool] = False  # whether its number is one of things, so that its chance scatter is known
    argument: ClassVar[str | None] = None  # "property", "filters" or None: what stands after the name

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        """Build it from a rule file; QueryError with the path below the measure's name."""
        raise NotImplementedError

    @property
    def unit(self) -> Unit:
        """What its number is a number of."""
        return Unit.NUMBER

    @property
    def metrics(self) -> tuple[str, ...]:
        """The properties that it needs of each conversation."""
        return ()

    @property
    def numerator(self) -> tuple[Filter, ...]:
        """Filters that only the API can judge, asked as a query of their own beside the selection."""
        return ()

    @property
    def waits(self) -> bool:
        """Whether conversations that are still waiting can count in it (`unanswered: as_waited`)."""
        return False

    def describe(self) -> str:
        """Say it in words, lower case, for messages."""
        raise NotImplementedError

    def compute(self, sample: Sample) -> Measured:
        """Measure every group of the sample."""
        raise NotImplementedError


@dataclass(frozen=True)
class PropertyMeasure(Measure):
    """A measure of one numeric property."""

    of: str  # the property
    argument: ClassVar[str | None] = "property"

    @classmethod
    def parse(cls, name: str, argument: object) -> Self:
        return cls(quantity(name, argument))

    @property
    def unit(self) -> Unit:
        return Unit.DURATION if find_metric(self.of).kind is Kind.DURATION else Unit.NUMBER

    @property
    def metrics(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def waits(self) -> bool:
        return self.of == ANSWER_TIME

    @property
    def label(self) -> str:
        """The property in words."""
        return find_metric(self.of).label

    def column(self, sample: Sample) -> Column:
        """The property's values; the wait so far where an unanswered conversation counts with it."""
        if not (sample.as_waited and self.waits):
            return sample.table.columns[self.of]
        values = answer_times(sample)
        return np.where(np.isnan(values), waited(sample), values)


def quantity(name: str, argument: object) -> str:
    """Check that the argument names a property with which one can calculate; QueryError says why not."""
    if not isinstance(argument, str):
        raise QueryError(f"{name} needs a property: {{{name}: {ANSWER_TIME}}}")
    found = find_metric(argument, ())
    if found.kind in (Kind.ID, Kind.TIME):
        thing = "an id" if found.kind is Kind.ID else "a moment"
        raise QueryError(f"{argument} is {thing}; {name} needs a duration or a number such as {ANSWER_TIME}")
    return argument


def answer_times(sample: Sample) -> Column:
    """The time to the first answer as it was known at `as_of`: NaN where the answer came later, as it does for past windows."""
    times = sample.table.columns[ANSWER_TIME]
    return np.where(sample.table.columns["firstAgentMessageAt"] > sample.as_of, np.nan, times)


def waited(sample: Sample) -> Column:
    """How long each conversation has waited that was unanswered at `as_of`, in milliseconds; NaN for all others.

    It waits if it has no answer and its visitor has written; it stops waiting when it is closed.
    """
    columns = sample.table.columns
    answered = columns["firstAgentMessageAt"]
    unanswered = (np.isnan(columns[ANSWER_TIME]) & np.isnan(answered)) | (answered > sample.as_of)
    since = columns["firstEndUserMessageAt"]
    until = np.fmin(columns["firstCloseAt"], sample.as_of)
    wait = np.maximum(until - since, 0)
    return np.where(unanswered & (columns["numEndUserMessages"] >= 1), wait, np.nan)
