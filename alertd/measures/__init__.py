"""One module a measure: its YAML options and its arithmetic. A new measure is a new module; nothing else lists them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from alertd.errors import QueryError
from alertd.measures.base import Measure
from alertd.reporting.properties import suggest

_NOT_MEASURES = frozenset({"base", "grouping"})


@functools.cache  # a rulebook asks for every rule
def modules() -> tuple[str, ...]:
    """The modules of this package that hold a measure."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_MEASURES))


def load(module: str) -> type[Measure]:
    """The measure class of that module."""
    found: type[Measure] = importlib.import_module(f"{__name__}.{module}").MEASURE
    return found


def names() -> tuple[str, ...]:
    """Every name that `measure:` takes; loads all measures."""
    return tuple(name for module in modules() for name in load(module).names)


def build(raw: object) -> Measure:
    """Build a measure from what stands under `measure:`; QueryError with the path to what is wrong.

    Raw is a name (`count`) or one name with its argument (`{median: timeToCloseMillis}`).
    """
    if isinstance(raw, str):
        return _find(raw, ()).parse(raw, None)
    if isinstance(raw, Mapping) and len(raw) == 1:
        name, argument = next(iter(raw.items()))
        return _below(str(name), argument)
    raise QueryError("measure is one of them, such as count or {median: timeToAgentResponseMillis}")


def _below(name: str, argument: object) -> Measure:
    found = _find(name, (name,))
    try:
        return found.parse(name, argument)
    except QueryError as problem:
        raise QueryError(str(problem), (name, *problem.path), problem.suggestion) from problem


def _find(name: str, path: tuple[str | int, ...]) -> type[Measure]:
    # The module that has the measure's own name first: a rulebook loads no measure that it does not use.
    candidates = modules()
    for module in sorted(candidates, key=lambda each: each != name):
        if name in (found := load(module)).names:
            return found
    raise QueryError(f'there is no measure "{name}"', path, suggest(name, names()))
