"""`compare: value`: the number itself, which is what happens without `compare`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from alertd.comparisons.base import Comparison, Figures, Related, nothing
from alertd.errors import QueryError
from alertd.units import Unit, spell_value


@dataclass(frozen=True)
class Value(Comparison):
    """The measured number as it is."""

    names: ClassVar[tuple[str, ...]] = ("value",)
    example: ClassVar[str] = "value"
    about: ClassVar[str] = "The number itself, held against the limits as it is."

    @classmethod
    def parse(cls, argument: object, unit: Unit, *, counts: bool) -> Self:  # noqa: ARG003 - any number will do
        if argument is not None:
            raise QueryError("value takes nothing after it; it is the number itself")
        return cls()

    def relate(self, now: Figures, earlier: Sequence[Figures | None]) -> Related:  # noqa: ARG002 - it asks for no other window
        return Related(now.values, nothing(len(now)), (None,) * len(now))

    def describe(self, measure: str) -> str:
        return measure

    def spell(self, value: float, measured: float, reference: float, unit: Unit) -> str:  # noqa: ARG002 - all the same
        return spell_value(value, unit)


COMPARISON = Value
