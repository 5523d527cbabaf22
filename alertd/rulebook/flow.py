"""Plain data as it is written in a rule file, on one line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# What YAML would take for something else, or people for a mistake.
_NEEDS_QUOTES = re.compile(r"^[#*&!|>@%`\[{]|\*|: | #|^\d+:\d|^\d{4}-")


def written(value: Any) -> str:
    """The value, such as `{after: 30m, notify: oncall-mail}`."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) and _NEEDS_QUOTES.search(value) else str(value)
