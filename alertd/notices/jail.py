"""The Jinja environment in which templates run: what they may use, and how long and how much.

Jinja's own sandbox keeps templates from Python's insides but bounds neither time nor memory. Here every step of a loop, every
call and every printed value passes a meter; texts and numbers made on the way are bounded; filters and methods that can blow a
short text up are not there. What remains unbounded is the work inside one filter on one text or list, each bounded in itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateSyntaxError,
    nodes,
    pass_context,
    pass_eval_context,
)
from jinja2.exceptions import SecurityError
from jinja2.filters import FILTERS as JINJA_FILTERS
from jinja2.loaders import split_template_path
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from alertd.clock import SECOND, Duration
from alertd.notices import markup
from alertd.notices.markup import Style

SIZE = 100_000  # characters, of one text and of a whole message
TIME: Duration = 2 * SECOND
STEPS = 1_000  # of one range()
LARGEST = 256 * 1024  # bytes of a template
SHIPPED = "shipped"

FILTERS = frozenset(
    {
        *("capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "join", "last"),
        *("length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "select", "selectattr"),
        *("sort", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount"),
    }
)
_LOOPS = ("select", "reject", "selectattr", "rejectattr", "map")  # they do something for each item, which takes its time
METHODS = frozenset({"capitalize", "endswith", "lower", "lstrip", "rstrip", "split", "startswith", "strip", "title", "upper"})


class Meter:
    """Counts what one rendering uses up. SecurityError when it is too much."""

    def __init__(self, uptime: Callable[[], Duration]) -> None:
        self.uptime = uptime
        self.end = uptime() + TIME
        self.size = 0

    def step(self) -> None:
        """One more step: is there time left?"""
        if self.uptime() > self.end:
            raise SecurityError(f"it takes longer than {TIME // SECOND} s")

    def take(self, piece: str) -> str:
        """One more piece of the message: is there room left?"""
        self.step()
        self.size += len(piece)
        if self.size > SIZE:
            raise SecurityError(f"it makes more than {SIZE:,} characters")
        return piece


METER: ContextVar[Meter] = ContextVar("meter")


class Jail(ImmutableSandboxedEnvironment):
    """One kind of message: what is printed is escaped in its style; a template's own name inside it means the shipped one."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, style: Style, loader: BaseLoader) -> None:
        super().__init__(loader=loader, undefined=StrictUndefined, autoescape=style.marked, finalize=_printer(style))
        self.trim_blocks = self.lstrip_blocks = True
        self.filters = {name: JINJA_FILTERS[name] for name in FILTERS} | _filters(style)
        self.filters |= {name: _stepwise(name) for name in _LOOPS}
        self.globals = {"range": _range, "namespace": self.globals["namespace"]}

    def join_path(self, template: str, parent: str) -> str:
        return f"{SHIPPED}/{template}" if template == parent else template

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        return (not isinstance(obj, str) or attr in METHODS) and super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: object) -> None:
        """Nothing: `format` is none of METHODS, since a width makes a short text endless."""

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str | list | tuple) and isinstance(right, str | list | tuple):
            _bounded(left)
            _bounded(right)
        elif not (isinstance(left, int | float) and isinstance(right, int | float) and abs(left) < 1e15 and abs(right) < 1e15):
            raise SecurityError(f"{operator} is for numbers of reasonable size")
        elif operator == "**" and abs(right) > 10:
            raise SecurityError("** goes up to 10")
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805, PYI063  as Jinja names them
        METER.get().step()
        return super().call(__context, __obj, *args, **kwargs)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        """Put a meter into every loop, and bounds on what `~` joins and on what a list is made of."""
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _through("metered", loop.iter)
        for concat in tree.find_all(nodes.Concat):
            concat.nodes = [_through("single", piece) for piece in concat.nodes]
        for several in tree.find_all(nodes.List):
            several.items = [_through("single", item) for item in several.items]
        for fixed in tree.find_all(nodes.Tuple):
            if fixed.ctx == "load":  # not the names in `for a, b in`
                fixed.items = [_through("single", item) for item in fixed.items]
        for pair in tree.find_all(nodes.Pair):
            pair.value = _through("single", pair.value)
        return tree


class _Small(FileSystemLoader):
    """Templates of a folder, none of which is larger than any needs to be."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        for folder in self.searchpath:
            place = Path(folder, *split_template_path(template))
            if place.is_file() and place.stat().st_size > LARGEST:
                raise TemplateSyntaxError(f"it is larger than {LARGEST // 1024} KiB", 1, template)
        return super().get_source(environment, template)


@lru_cache(maxsize=64)
def jail(style: Style, folders: Sequence[Path]) -> Jail:
    """The environment for a style and its folders, the user's first and the shipped one last."""
    shipped = _Small(folders[-1])
    own = [_Small(folder) for folder in folders[:-1]]
    return Jail(style, ChoiceLoader([*own, shipped, PrefixLoader({SHIPPED: shipped})]))


def _printer(style: Style) -> Callable[[Any], Any]:
    mark = _marker(style)

    def printed(value: Any) -> Any:
        METER.get().step()
        text = _single(value)
        return text if hasattr(text, "__html__") else mark(style.escape(str(text)))

    return printed


def _marker(style: Style) -> Callable[[str], str]:
    """What says of a text that it has been escaped."""
    return Markup if style.marked else str


def _filters(style: Style) -> dict[str, Callable[..., Any]]:
    """`|time`, `|link(url)`, `|address`, `|e`, and the two that `_parse` puts in."""
    mark = _marker(style)

    @pass_context
    def time(context: Context, value: Any) -> str:
        return mark(style.moment(int(value), int(context.get("at", value))))

    def link(label: Any, url: Any) -> str:
        safe = markup.address(str(url))
        return mark(style.link(safe, str(label)) if safe else style.escape(str(label)))

    def address(url: Any) -> str:
        return mark(style.address(markup.address(str(url))))

    def escape(value: Any) -> Any:
        return value if hasattr(value, "__html__") else mark(style.escape(str(value)))

    own: dict[str, Callable[..., Any]] = {"time": time, "link": link, "address": address, "e": escape, "escape": escape}
    return own | {"join": _join, "metered": _metered, "single": _single}


@pass_eval_context
def _join(context: nodes.EvalContext, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> Any:
    """Jinja's own, of pieces that are counted first: a text joined by itself is its length squared."""
    pieces = list(value)
    if sum(len(str(each)) + len(str(d)) for each in pieces) > SIZE:
        raise SecurityError(f"it makes a text of more than {SIZE:,}")
    return JINJA_FILTERS["join"](context, pieces, d, attribute)


def _stepwise(name: str) -> Callable[..., Any]:
    """Jinja's own, with a step of the meter for each item."""

    @pass_context
    def filtered(context: Context, value: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        return JINJA_FILTERS[name](context, _metered(value), *args, **kwargs)

    return filtered


def _range(*args: int) -> range:
    steps = range(*args)
    if len(steps) > STEPS:
        raise SecurityError(f"range() goes up to {STEPS:,} steps")
    return steps


def _metered(items: Iterable[Any]) -> Iterator[Any]:
    for item in items:
        METER.get().step()
        yield item


def _bounded(value: Any) -> Any:
    if isinstance(value, str | list | tuple) and len(value) > SIZE:
        raise SecurityError(f"it makes a text or list of more than {SIZE:,}")
    return value


def _single(value: Any) -> Any:
    """One text or number: lists in lists could be short to write and endless to print."""
    if isinstance(value, list | tuple | dict):
        raise SecurityError("a list cannot be used as one text; print its items one by one")
    return _bounded(value)


def _through(name: str, node: nodes.Node) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)
