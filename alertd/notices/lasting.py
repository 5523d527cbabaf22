"""What is wrong with alertd itself, from look to look: told once it has lasted, and over once it has been gone for a while.

A trouble that comes and goes is one trouble, as long as it is never gone for `CALM`: told once, with one end. What people were
told of stands in the store, so that a restart tells nothing twice; that a trouble is about to be told is forgotten with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from alertd.clock import MINUTE, Duration, Instant
from alertd.notices.own import Trouble

# How long a trouble must have lasted to be told, and how long it must be gone for its end to be told.
PATIENCE: Duration = 5 * MINUTE
CALM: Duration = 5 * MINUTE


@dataclass(frozen=True)
class Moment:
    """One moment on both clocks: people are told the one, lengths are measured on the other, which nobody sets."""

    at: Instant
    uptime: Duration


@dataclass(frozen=True)
class Spell:
    """A trouble from its first look on, and the last that saw it; `ended` is the first since that did not.

    No `trouble`: another process has told it.
    """

    trouble: Trouble | None
    began: Moment
    seen: Moment
    ended: Moment | None = None


@dataclass(frozen=True)
class Past:
    """A trouble that lasted and was over, at `until`, before anybody could be told: the store took nothing."""

    trouble: Trouble
    until: Instant


@dataclass(frozen=True)
class Decision:
    """What to tell: what is wrong (again and again, for its words), which causes are over, and what has been."""

    spells: Mapping[str, Spell]
    wrong: tuple[Trouble, ...] = ()
    over: tuple[str, ...] = ()
    past: tuple[Past, ...] = ()


def decide(
    spells: Mapping[str, Spell],
    wrong: Mapping[str, Trouble],
    told: Collection[str],
    now: Moment,
    patience: Mapping[str, Duration] | None = None,
) -> Decision:
    """Go one look further. `wrong` is what is wrong now by its cause, `told` are the causes that people know of.

    `patience` is that of causes that need another one than `PATIENCE`.
    """
    after = {cause: _go_on(spells.get(cause), wrong.get(cause), now) for cause in {*spells, *wrong, *told}}
    over = {cause for cause, each in after.items() if _gone(each, now)}
    long = {cause for cause, each in after.items() if _length(each) >= (patience or {}).get(cause, PATIENCE)}
    missed = [after[cause] for cause in sorted(over & long - set(told))]
    return Decision(
        spells={cause: each for cause, each in after.items() if cause not in over},
        wrong=tuple(_dated(wrong[cause], after[cause]) for cause in sorted(wrong) if cause in long or cause in told),
        over=tuple(sorted(over & set(told))),
        past=tuple(Past(_dated(each.trouble, each), each.ended.at) for each in missed if each.trouble and each.ended),
    )


def _dated(trouble: Trouble, spell: Spell) -> Trouble:
    return replace(trouble, since=spell.began.at)


def _go_on(before: Spell | None, trouble: Trouble | None, now: Moment) -> Spell:
    if trouble is None:
        spell = before or Spell(None, now, now)
        return spell if spell.ended else replace(spell, ended=now)
    return Spell(trouble, before.began if before and before.trouble else now, now)


def _gone(spell: Spell, now: Moment) -> bool:
    return spell.ended is not None and now.uptime - spell.ended.uptime >= CALM


def _length(spell: Spell) -> Duration:
    return spell.seen.uptime - spell.began.uptime
