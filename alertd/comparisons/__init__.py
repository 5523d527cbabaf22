"""One module a comparison: its YAML options and its arithmetic. A new comparison is a new module; nothing else lists them."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping

from alertd.comparisons.base import Comparison
from alertd.comparisons.value import Value
from alertd.errors import QueryError
from alertd.reporting.properties import suggest
from alertd.units import Unit

_NOT_COMPARISONS = frozenset({"base", "options", "wallclock"})

# What a rule without `compare` does.
VALUE = Value()


@functools.cache  # a rulebook asks for every rule
def modules() -> tuple[str, ...]:
    """The modules of this package that hold a comparison."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_COMPARISONS))


def load(module: str) -> type[Comparison]:
    """The comparison class of that module."""
    found: type[Comparison] = importlib.import_module(f"{__name__}.{module}").COMPARISON
    return found


def names() -> tuple[str, ...]:
    """Every name that `compare:` takes; loads all comparisons."""
    return tuple(name for module in modules() for name in load(module).names)


def build(raw: object, unit: Unit, *, counts: bool) -> Comparison:
    """Build a comparison from what stands under `compare:`; QueryError with the path to what is wrong.

    Raw is a name (`usual`) or one name with its options (`{change: {to: 7d}}`). `unit` is the measure's, and `counts` whether
    that measure counts things.
    """
    if isinstance(raw, str):
        return _checked(_find(raw, ()), unit, ()).parse(None, unit, counts=counts)
    if isinstance(raw, Mapping) and len(raw) == 1:
        name, argument = next(iter(raw.items()))
        return _below(str(name), argument, unit, counts=counts)
    raise QueryError(f"compare is one of {', '.join(names())}, with its options such as {{change: {{to: 7d}}}}")


def _below(name: str, argument: object, unit: Unit, *, counts: bool) -> Comparison:
    found = _checked(_find(name, (name,)), unit, (name,))
    try:
        return found.parse(argument, unit, counts=counts)
    except QueryError as problem:
        raise QueryError(str(problem), (name, *problem.path), problem.suggestion) from problem


def _checked(found: type[Comparison], unit: Unit, path: tuple[str | int, ...]) -> type[Comparison]:
    if found.needs_share and unit is not Unit.FRACTION:
        raise QueryError(f"{found.names[0]} is about a share; write measure: {{share: ...}}, or another comparison", path)
    return found


def _find(name: str, path: tuple[str | int, ...]) -> type[Comparison]:
    # The module that has the comparison's own name first: a rulebook loads no comparison that it does not use.
    candidates = modules()
    for module in sorted(candidates, key=lambda each: each != name):
        if name in (found := load(module)).names:
            return found
    raise QueryError(f'there is no comparison "{name}"; there are {", ".join(names())}', path, suggest(name, names()))
