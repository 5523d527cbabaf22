"""What a rule without groups measured lately, as its row has it: `[[as_of,value],...]`, the oldest first.

Every check adds to it and hardly any reads it, so it stays the text that it is: a thousand rules are settled at once, and
numbers out of a text and back into it would cost more than all the rest.
"""

from __future__ import annotations

import math

import msgspec

from alertd.clock import Instant

MOST = 48  # points

_POINTS = msgspec.json.Decoder(tuple[tuple[Instant, float], ...])


def extend(trail: str | None, as_of: Instant, value: float) -> str | None:
    """The trail with a newer value, to nine digits; the same where that is no number.

    Points from then on go: they were written before somebody set the clock back (I10).
    """
    if not math.isfinite(value):
        return trail
    points = trail[2:-2].split("],[") if trail else []
    while points and int(points[-1].partition(",")[0]) >= as_of:
        points.pop()
    points.append(f"{as_of},{value:.9g}")
    return f"[[{'],['.join(points[-MOST:])}]]"


def points_of(trail: str | None) -> tuple[tuple[Instant, float], ...]:
    """The points of a trail."""
    return _POINTS.decode(trail) if trail else ()
