"""What a run ends with that found a fault."""

from __future__ import annotations


class Violation(AssertionError):
    """An invariant does not hold. Its text says how to see that again."""

    def __init__(self, invariant: str, text: str, *, seed: int, days: float, step: int) -> None:
        again = f"alertd simulate --seed {seed} --days {days:g}"
        super().__init__(f"{invariant} does not hold at step {step} of seed {seed}: {text}; to see it again: {again}")
        self.invariant, self.text, self.seed, self.step = invariant, text, seed, step


class Killed(BaseException):
    """The process ends here: nothing that it would have done happens any more."""
