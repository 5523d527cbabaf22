"""Cron expressions as people write them: what is wrong with one, and what was meant. cronsim has the grammar."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cronsim import CronSim, CronSimError

from alertd.reporting.properties import suggest
from alertd.rulebook.misfit import Misfit, show

_EXAMPLE = "0 8 * * mon-fri"
_LONGEST = 200  # characters
_FIELDS = 5  # libraries that count seconds have six
_SOME_DAY = datetime(2026, 1, 1)  # noqa: DTZ001 - cronsim wants a start; only what it reads of the expression is used
_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * sun",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@dataclass(frozen=True)
class _Field:
    """What can stand in a field: `size` values from `first` to `last`, some of which have names."""

    name: str
    values: str
    size: int
    first: str
    last: str
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_PARTS = (
    _Field("minute", "0 to 59", 60, "0", "59"),
    _Field("hour", "0 to 23", 24, "0", "23"),
    _Field("day of the month", "1 to 31, L for the last", 31, "1", "31"),
    _Field("month", "jan to dec or 1 to 12", 12, "jan", "dec", _MONTHS),
    _Field("day of the week", "sun to sat or 0 (Sunday) to 7 (Sunday too)", 7, "sun", "sat", _DAYS),
)


def read_expression(text: object) -> str:
    """The five fields in lower case with single spaces; Misfit says what is wrong, and which part is meant."""
    fields = _fields(text)
    for number, field in enumerate(fields):
        for term in field.split(","):
            _check(number, term)
    expression = " ".join(fields)
    if not _is_read(expression):
        raise Misfit(never(expression))
    return expression


def parse_fields(expression: str) -> CronSim:
    """The expression as cronsim reads it: sets of minutes, hours and months, and which dates are meant."""
    return CronSim(expression, _SOME_DAY)


def never(expression: str) -> str:
    """What to say of an expression whose day never comes."""
    return f'"{expression}" is never due, for no month has such a day; choose another day or month'


def correct(text: str, names: Sequence[str]) -> str:
    """The same with the short names of days or months for words that probably mean them: `wednesday-fir` is `wed-fri`."""
    return re.sub(r"[^\W\d_]+", lambda word: _nearest(word[0], names) or word[0], text)


def _nearest(word: str, names: Sequence[str]) -> str | None:
    return word[:3] if word[:3] in names else suggest(word, names)


def _fields(text: object) -> list[str]:
    if not isinstance(text, str) or len(text) > _LONGEST:
        raise Misfit(f'a cron expression is a short text in quotes, such as "{_EXAMPLE}", not {show(text)}')
    fields = text.lower().split()
    if text.strip().startswith("@"):
        message = f'{show(text)} is not read; write the five fields, such as "{_EXAMPLE}"'
        raise Misfit(message, suggestion=_MACROS.get(fields[0]))
    if len(fields) == _FIELDS + 1:
        message = "a cron expression has no seconds here, and no years; leave the sixth field out"
        raise Misfit(message, suggestion=" ".join(fields[1:]))
    if len(fields) != _FIELDS:
        names = ", ".join(part.name for part in _PARTS)
        raise Misfit(f'a cron expression has five fields ({names}), such as "{_EXAMPLE}"; this has {len(fields)}')
    return fields


def _check(number: int, term: str) -> None:
    """Raise Misfit unless the term can stand in that field by itself."""
    part, step = _PARTS[number], term.partition("/")[2]
    if not _is_read(_alone(number, term)):
        message = (
            f"{show(term)} does not fit as {part.name}; possible are {part.values}, ranges (1-5), steps (*/2) and lists (1,3)"
        )
        raise Misfit(message, suggestion=_meant(number, term))
    if step and int(step) >= part.size:
        raise Misfit(f"the step of {show(term)} leads out of the {part.name}, which goes from {part.first} to {part.last}")


def _meant(number: int, term: str) -> str | None:
    part = _PARTS[number]
    first, dash, last = term.partition("-")
    if term == "?":
        return "*"  # Quartz has two signs for it
    if dash and _is_read(_alone(number, first)) and _is_read(_alone(number, last)):
        return f"{_range(first, part.last)},{_range(part.first, last)}"  # a range that goes round, such as fri-mon
    corrected = correct(term, part.names)
    return corrected if corrected != term and _is_read(_alone(number, corrected)) else None


def _range(first: str, last: str) -> str:
    return first if first == last else f"{first}-{last}"


def _alone(number: int, term: str) -> str:
    return " ".join(term if each == number else "*" for each in range(_FIELDS))


def _is_read(expression: str) -> bool:
    try:
        return bool(parse_fields(expression))
    except CronSimError:
        return False
