"""What pictures are made of: colours, texts and strokes of SVG."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

SIZE = 11  # of letters, in pixels
LINE = 14  # from one line of text to the next


@dataclass(frozen=True)
class Ink:
    """The colours of a picture. Texts have a contrast to the paper of at least 4.5."""

    paper: str
    text: str
    soft: str
    grid: str
    fine: str
    bad: str


LIGHT = Ink("#ffffff", "#1d1c1d", "#5e5d60", "#e6e6e9", "#3267b5", "#c62828")
DARK = Ink("#1a1d21", "#e8e8e8", "#a6a6ab", "#35373b", "#7aa7ee", "#ff7b72")

# XML has no way to write these, and what turns the direction of writing would turn more than its own label.
_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u202a-\u202e\u2066-\u2069\x7f-\x9f]")


def escaped(text: str, most: int = 80) -> str:
    """A text inside an element, without what XML cannot hold."""
    return html.escape(_UNFIT.sub("", text[:most]))


def written(x: float, y: float, text: str, colour: str, *, anchor: str = "start", size: int = SIZE, weight: int = 400) -> str:
    """A text whose line stands on `y`, and that begins, ends or has its middle at `x`."""
    look = f' text-anchor="{anchor}"' if anchor != "start" else ""
    look += f' font-size="{size}"' if size != SIZE else ""
    look += f' font-weight="{weight}"' if weight != 400 else ""
    return f'<text x="{pixels(x)}" y="{pixels(y)}" fill="{colour}"{look}>{escaped(text)}</text>'


def stroke(points: Iterable[tuple[float, float]], colour: str, *, width: float = 1, dashed: bool = False) -> str:
    """A line through points."""
    look = ' stroke-dasharray="4 3"' if dashed else ""
    path = path_of(points)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round"{look}/>'


def path_of(points: Iterable[tuple[float, float]]) -> str:
    """Points as the path from one to the next."""
    return "M" + "L".join(f"{pixels(x)},{pixels(y)}" for x, y in points)


def pixels(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


_NARROW = frozenset(" .,:;'|!()[]/ijlIftr1-")


def wide(text: str, size: int = SIZE) -> float:
    """About how wide a text is; rather more than less, whatever font draws it."""
    return size * sum(map(_width, text))


def _width(letter: str) -> float:
    if letter in _NARROW:
        return 0.45
    if unicodedata.combining(letter):
        return 0
    return 1.0 if letter in "mwMW@%" or unicodedata.east_asian_width(letter) in "WF" else 0.75 if letter.isupper() else 0.64


def fitting(text: str, room: float, size: int = SIZE) -> str:
    """The text, cut to the room that it has."""
    if wide(text, size) <= room:
        return text
    kept = text[:100]
    while kept and wide(kept, size) + size > room:
        kept = kept[:-1]
    return kept.rstrip() + "…"
