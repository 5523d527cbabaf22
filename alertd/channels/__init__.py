"""One module a channel: its YAML options and its send(). A new channel is a new module; nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from alertd.channels.base import Channel

_NOT_CHANNELS = frozenset({"base", "http", "wire"})


@cache  # looking into the folder takes longer than reading a receiver
def names() -> tuple[str, ...]:
    """The kinds of channel there are, as receivers.yaml names them."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_CHANNELS))


def find(name: str) -> type[Channel]:
    """The channel of that kind; its module is loaded now. KeyError where there is none."""
    if name not in names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{name}")
    found: type[Channel] = module.CHANNEL
    return found
