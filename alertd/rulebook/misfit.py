"""A value that does not fit where it stands, and how values are quoted."""

from __future__ import annotations

from collections.abc import Collection

_FEW = 8  # names that are listed; more help nobody


class Misfit(ValueError):
    """A value that does not fit. `trail` leads from it to the part that is wrong; `at_key`: the key itself is."""

    def __init__(
        self, message: str, trail: tuple[str | int, ...] = (), *, suggestion: str | None = None, at_key: bool = False
    ) -> None:
        super().__init__(message)
        self.trail = trail
        self.suggestion = suggestion
        self.at_key = at_key


def show(value: object) -> str:
    """A value from a file, short, as it is quoted in a message."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "keys with values"
    text = str(value)
    text = text if len(text) <= 60 else text[:59] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def few(names: Collection[str]) -> str:
    """The names there are, as the end of a message that one is not among them; nothing where they are many, or none."""
    return f"; there {'is' if len(names) == 1 else 'are'} {', '.join(sorted(names))}" if 0 < len(names) <= _FEW else ""
