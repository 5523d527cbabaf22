"""What of an incident may be told at present, when some or all of its alerts are muted.

Groups that are silenced one by one drop out of what is told, and are new again when they come back. When all are muted nobody
is told anything; what people do not know yet by then is told when that is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from alertd.facts import Alert, Change, Kind, Level, Transition
from alertd.notice import Notice
from alertd.notices.incidents import Decision, untrue, worst_level


@dataclass(frozen=True)
class Heard:
    """What people were told last of an incident that is open."""

    level: Level | None = None  # None: nothing yet
    silent: frozenset[str] = frozenset()  # groups of which they were not told, by key
    reopened: bool = False


@dataclass(frozen=True)
class Hearing:
    """What is to be told now: nothing where there is no kind, nobody where `muted` says why.

    `level` is that of the worst alert that may be told, `previous` the one that people know, where it is another. `new` are
    the groups that they do not know, `silent` those that stay untold, and `moves` what the notice is made of.
    """

    kind: Kind | None
    level: Level
    moves: tuple[Transition, ...]
    previous: Level | None = None
    reopened: bool = False
    muted: str | None = None
    silent: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()


def heard(last: Notice) -> Heard:
    """What people know after the newest notice of an incident that is open."""
    return Heard(last.previous if last.muted else last.level, frozenset(last.silent), last.reopened)


def hear(decision: Decision, before: Heard, moves: Sequence[Transition], mutes: Mapping[str, str]) -> Hearing:
    """Decide what of a decision is told. `mutes` says of firing groups, by key, why they are muted."""
    firing = {move.after.group.key: move.after for move in moves if move.after.fires}
    if decision.incident is None or not firing:
        level = decision.incident.level if decision.incident else Level.OK
        return Hearing(decision.kind, level, tuple(moves))
    reopened = decision.reopened or (before.level is None and before.reopened)
    if firing.keys() <= mutes.keys():
        return _unheard(decision, before, moves, mutes, reopened=reopened)
    spoken = [alert for key, alert in firing.items() if key not in mutes]
    muted = {key: alert for key, alert in firing.items() if key in mutes}
    level, again = worst_level(spoken), before.silent & firing.keys()
    new = (_held(moves) | again) - muted.keys()
    masked = _masked(before.level, level, muted.values())
    told = before.level if level is not before.level and not masked else None
    kept = tuple(move for move in moves if move.after.group.key not in muted)
    silent = frozenset(muted)
    if decision.kind is Kind.OPENED or before.level is None:
        return Hearing(Kind.OPENED, level, kept, None, reopened, None, silent, new)
    if told or new:
        return Hearing(Kind.CHANGED, level, kept, told, silent=silent, new=new)
    stale = masked or silent != again or any(untrue(move) for move in moves)
    return Hearing(Kind.REFRESHED if stale else None, level, kept, silent=silent)


def _unheard(
    decision: Decision, before: Heard, moves: Sequence[Transition], mutes: Mapping[str, str], *, reopened: bool
) -> Hearing:
    """All that fires is muted: what would be told is only remembered."""
    firing = [move.after for move in moves if move.after.fires]
    worst = max(firing, key=lambda alert: alert.level.rank)
    silent = (before.silent & {alert.group.key for alert in firing}) | _held(moves)
    kind = decision.kind if decision.kind in (Kind.OPENED, Kind.CHANGED) else None
    level, reason = worst.level, mutes[worst.group.key]
    return Hearing(kind, level, tuple(moves), before.level, reopened, reason, silent, _held(moves))


def _held(moves: Sequence[Transition]) -> frozenset[str]:
    """The groups that fire since now."""
    return frozenset(move.after.group.key for move in moves if move.change is Change.HELD)


def _masked(known: Level | None, level: Level, muted: Collection[Alert]) -> bool:
    """Whether it only looks better than people know because what is worse is muted: that is no news."""
    return known is not None and level.rank < known.rank and any(alert.level.rank >= known.rank for alert in muted)
