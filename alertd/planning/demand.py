"""What rules demand of the queue: who goes first, who can wait how long, how many calls they may take together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from alertd.clock import MINUTE, SECOND, Duration, Instant
from alertd.facts import Level, Window
from alertd.rulebook.rule import Rule

# How long a call takes, as long as nobody has measured it.
LATENCY: Duration = 2 * SECOND

# However often a rule is checked, its request gets at least this long to find a free call.
_LEAST_PATIENCE = 5 * SECOND


class Urgency(IntEnum):
    """Who goes first when there is not enough for all."""

    CRITICAL = 0  # rules that have a critical level
    NORMAL = 1
    BACKGROUND = 2  # the command line, the audit


@dataclass(frozen=True)
class Wanted:
    """A rule that is to be judged for a due instant."""

    rule: Rule
    at: Instant
    urgency: Urgency | None = None
    remembered: frozenset[Window] = frozenset()  # windows it is compared with that need not be asked again

    @property
    def place(self) -> Urgency:
        """Where its requests stand in the queue: rules that can be critical go first."""
        if self.urgency is not None:
            return self.urgency
        return Urgency.CRITICAL if self.rule.worst is Level.CRITICAL else Urgency.NORMAL

    @property
    def patience(self) -> Duration:
        """How long its requests may wait for a call: half of `every`."""
        return _patience(self.rule.every)


def affordable(rules: Iterable[Rule], usable: int) -> int:
    """How many calls these rules may take together: each gets its turn in time, and none falls behind from check to check.

    A slot is free again a minute after the answer: a call takes it for that minute and for its own time. Where nearly all slots
    are taken whoever had to wait makes those after him wait longer, so some are left over for that.
    """
    shortest = min((each.every for each in rules), default=MINUTE)
    taken, patience = MINUTE + LATENCY, _patience(shortest)
    lasting = usable * shortest * patience // (taken * (patience + LATENCY))
    return max(1, min(lasting, usable * (1 + patience // taken)))


def _patience(every: Duration) -> Duration:
    return max(every // 2, _LEAST_PATIENCE)
