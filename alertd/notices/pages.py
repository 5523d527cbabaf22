"""The tables of the page about templates, made from what templates really get and have.

`python -m alertd.notices.pages docs/templates.md` (or `make docs`) writes them anew between their marks; the words around them
are the page's own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from alertd.notices.context import VARIABLES
from alertd.notices.digests import DIGEST_VARIABLES
from alertd.notices.jail import FILTERS, METHODS, SIZE, STEPS, TIME
from alertd.notices.rendering import HTML_SIZE
from alertd.rulebook.pages import renew

BLOCKS: Mapping[str, Mapping[str, str]] = {
    "slack.j2": {
        "header": "The headline, as plain text in one line.",
        "summary": "How it stands; whoever is mentioned stands before it.",
        "facts": "Figures in two columns: each line is a field, ten at most.",
        "chart": "The title of the picture. Empty: no picture.",
        "groups": "Agents, playbooks or conversations, or those that stand out.",
        "advice": "What to do, and links.",
        "buttons": "What can be pressed, separated by commas: acknowledge, silence 1h, silence 4h, open. Empty: nothing.",
        "open": "The address behind the button open.",
        "context": "The small print: where it comes from, and how to act.",
        "reply": "What is said in the thread when something changes.",
        "plain": "The news in one line, for notifications and screen readers.",
    },
    "email.j2": {
        "subject": "The subject.",
        "text": "The whole mail as text; the blocks below are inside it.",
        "facts": "Figures, a line each.",
        "groups": "Agents, playbooks or conversations, or those that stand out.",
        "advice": "What to do, and links.",
        "foot": "The small print: how to act, and where it comes from.",
    },
    "email.html.j2": {
        "title": "The title of the page, which few mail programs show.",
        "tint": "The colour of the bar at the top: critical, warning, ok, resolved, test or report.",
        "headline": "The headline, a row of the frame's table.",
        "rows": "All other rows; the blocks below are inside it.",
        "summary": "How it stands.",
        "facts": "Figures, as a table.",
        "chart": 'The row with the picture: `<tr class="chart">` around an `<img src="cid:chart">`.',
        "groups": "Rows with agents, playbooks or conversations, or those that stand out.",
        "advice": "Rows with what to do, and links.",
        "context": "The row with the small print.",
    },
    "webhook.j2": {
        "summary": "The annotation of that name.",
        "description": "The annotation of that name.",
        "groups": "A line for each group in their order: the summary of its own alert.",
        "link": "The address behind each alert.",
    },
    "apprise.j2": {
        "title": "The title.",
        "body": "The text; the blocks below are inside it.",
        "facts": "Figures.",
        "groups": "Agents, playbooks or conversations, or those that stand out.",
        "advice": "What to do, and links.",
    },
}


OWN: Mapping[str, tuple[str, str]] = {
    "link": ('"Runbook"|link(runbook)', "A link in the channel's own way; the label alone where that is no http(s) address."),
    "time": ("at|time", "A moment: in Slack in the zone of whoever looks, elsewhere in UTC."),
    "address": ("page|address", "An http(s) address by itself, as a button or an attribute takes it; else nothing."),
    "e": ("title|e", "Escaped; but whatever is printed is escaped anyway."),
}


def _variables(found: Mapping[str, str]) -> str:
    return _table(("variable", "meaning"), ((f"`{name}`", about) for name, about in found.items()))


def _blocks() -> str:
    rows = ((f"`{file}`", f"`{name}`", about) for file, blocks in BLOCKS.items() for name, about in blocks.items())
    return _table(("template", "block", "what it is"), rows)


def _filters() -> str:
    rows = ((f"`{name}`", f"`{{{{ {example} }}}}`", about) for name, (example, about) in OWN.items())
    jinja = ", ".join(f"`{name}`" for name in sorted(FILTERS))
    methods = ", ".join(f"`{name}`" for name in sorted(METHODS))
    ours = _table(("filter", "example", "meaning"), rows)
    return f"{ours}\nOf Jinja's own filters there are {jinja}; of the methods of texts {methods}.\n"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (heads, ["---"] * len(heads), *rows)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _bounds() -> str:
    rows = (
        ("all blocks of one message, or its HTML before styles", f"{SIZE:,} characters"),
        ("the HTML of a mail as it is sent", f"{HTML_SIZE:,} bytes: Gmail hides what comes after some 100 kB"),
        ("time for one message", f"{TIME // 1000} s"),
        ("steps of one `range()`", f"{STEPS:,}"),
    )
    return _table(("what", "at most"), rows)


TABLES: Mapping[str, Callable[[], str]] = {
    "variables": lambda: _variables(VARIABLES),
    "blocks": _blocks,
    "filters": _filters,
    "variables of digests": lambda: _variables(DIGEST_VARIABLES),
    "bounds": _bounds,
}


if __name__ == "__main__":
    for each in map(Path, sys.argv[1:]):
        each.write_text(renew(each.read_text(encoding="utf-8"), TABLES), encoding="utf-8")
