"""Slack's rules for Block Kit, checked the way Slack checks them: https://docs.slack.dev/reference/block-kit/blocks.

Every function yields Slack's own kind of complaint, such as
`must be less than 151 characters [json-pointer:/blocks/0/text/text]`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from alertd.sandbox.workspace import Block

Complaints: TypeAlias = Iterator[str]

BLOCKS = 50
TOTAL = 13_200  # characters in all blocks; found by users, not documented: slackapi/bolt-js#2509
TEXT = 40_000
_CHARTS = 2  # a message; not documented either
_PLAIN, _MRKDWN = ("plain_text",), ("plain_text", "mrkdwn")


def check_blocks(blocks: Sequence[object], root: str = "/blocks", *, charts: bool = True) -> tuple[str, ...]:
    """All complaints about the blocks of one message; none means that Slack takes them."""
    return tuple(_blocks(blocks, root, charts=charts))


def total_text(value: object) -> int:
    """How many characters of text the blocks hold together."""
    if isinstance(value, Mapping):
        own = len(value["text"]) if isinstance(value.get("text"), str) else 0
        return own + sum(total_text(part) for part in value.values() if not isinstance(part, str))
    return sum(total_text(part) for part in value) if isinstance(value, list | tuple) else 0


def _blocks(blocks: Sequence[object], root: str, *, charts: bool) -> Complaints:
    yield from _count(blocks, root, 0, BLOCKS)
    drawn = [block for block in blocks if isinstance(block, Mapping) and block.get("type") == "data_visualization"]
    if len(drawn) > _CHARTS:
        yield f"no more than {_CHARTS} data_visualization blocks allowed [json-pointer:{root}]"
    identifiers = [block["block_id"] for block in blocks if isinstance(block, Mapping) and "block_id" in block]
    if len(set(map(str, identifiers))) < len(identifiers):
        yield f"`block_id` must be unique [json-pointer:{root}]"
    for number, block in enumerate(blocks):
        yield from _block(block, f"{root}/{number}", charts=charts)


def _block(block: object, at: str, *, charts: bool) -> Complaints:
    if not isinstance(block, Mapping):
        yield f"must be an object [json-pointer:{at}]"
        return
    kind = block.get("type")
    rule = _RULES.get(kind) if isinstance(kind, str) else None
    if rule is None or (kind in _NEW and not charts):
        yield f"unsupported type: {kind} [json-pointer:{at}/type]"
        return
    if "block_id" in block:
        yield from _string(block["block_id"], f"{at}/block_id", 255)
    yield from rule(block, at)


def _string(value: object, at: str, limit: int, *, least: int = 1) -> Complaints:
    if not isinstance(value, str):
        yield f"must be a string [json-pointer:{at}]"
    elif len(value) < least:
        yield f"must be more than {least - 1} characters [json-pointer:{at}]"
    elif len(value) > limit:
        yield f"must be less than {limit + 1} characters [json-pointer:{at}]"


def _count(value: object, at: str, least: int, most: int) -> Complaints:
    if not isinstance(value, list | tuple):
        yield f"must be an array [json-pointer:{at}]"
    elif len(value) > most:
        yield f"no more than {most} items allowed [json-pointer:{at}]"
    elif len(value) < least:
        yield f"no fewer than {least} items allowed [json-pointer:{at}]"


def _each(value: object, at: str, check: Callable[[Block, str], Complaints]) -> Complaints:
    for number, item in enumerate(value if isinstance(value, list | tuple) else ()):
        if isinstance(item, Mapping):
            yield from check(item, f"{at}/{number}")
        else:
            yield f"must be an object [json-pointer:{at}/{number}]"


def _text(owner: Block, name: str, at: str, limit: int, kinds: Sequence[str]) -> Complaints:
    text = owner.get(name)
    if not isinstance(text, Mapping):
        yield f"missing required field: {name} [json-pointer:{at}]"
        return
    yield from _text_object(text, f"{at}/{name}", limit, kinds)


def _text_object(text: Block, at: str, limit: int, kinds: Sequence[str]) -> Complaints:
    if text.get("type") not in kinds:
        yield f"unsupported type: {text.get('type')} [json-pointer:{at}/type]"
    yield from _string(text.get("text"), f"{at}/text", limit)


def _header(block: Block, at: str) -> Complaints:
    yield from _text(block, "text", at, 150, _PLAIN)


def _section(block: Block, at: str) -> Complaints:
    if "text" in block or "fields" not in block:
        yield from _text(block, "text", at, 3000, _MRKDWN)
    if "fields" in block:
        yield from _count(block["fields"], f"{at}/fields", 1, 10)
        yield from _each(block["fields"], f"{at}/fields", lambda text, place: _text_object(text, place, 2000, _MRKDWN))
    if "accessory" in block:
        yield from _each([block["accessory"]], f"{at}/accessory", _element)


def _context(block: Block, at: str) -> Complaints:
    elements = block.get("elements")
    yield from _count(elements, f"{at}/elements", 1, 10)
    yield from _each(elements, f"{at}/elements", _context_element)


def _context_element(element: Block, at: str) -> Complaints:
    if element.get("type") == "image":
        yield from _image(element, at)
    else:
        yield from _text_object(element, at, 3000, _MRKDWN)


def _actions(block: Block, at: str) -> Complaints:
    elements = block.get("elements")
    yield from _count(elements, f"{at}/elements", 1, 25)
    yield from _each(elements, f"{at}/elements", _element)


def _element(element: Block, at: str) -> Complaints:
    if element.get("type") not in _ELEMENTS:
        yield f"unsupported type: {element.get('type')} [json-pointer:{at}/type]"
    if element.get("type") == "button":
        yield from _text(element, "text", at, 75, _PLAIN)
    for name, limit in (("action_id", 255), ("value", 2000), ("url", 3000)):
        if name in element:
            yield from _string(element[name], f"{at}/{name}", limit)


def _image(block: Block, at: str) -> Complaints:
    yield from _string(block.get("alt_text"), f"{at}/alt_text", 2000)
    if "slack_file" not in block:
        yield from _string(block.get("image_url"), f"{at}/image_url", 3000)


def _markdown(block: Block, at: str) -> Complaints:
    yield from _string(block.get("text"), f"{at}/text", 12_000)


def _rich_text(block: Block, at: str) -> Complaints:
    yield from _count(block.get("elements"), f"{at}/elements", 0, 1000)


def _table(block: Block, at: str) -> Complaints:
    rows = block.get("rows")
    yield from _count(rows, f"{at}/rows", 1, 100)
    for number, row in enumerate(rows if isinstance(rows, list | tuple) else ()):
        yield from _count(row, f"{at}/rows/{number}", 1, 20)
    if isinstance(rows, list) and len({len(row) for row in rows if isinstance(row, list)}) > 1:
        yield f"all rows must have the same number of cells [json-pointer:{at}/rows]"


def _data_table(block: Block, at: str) -> Complaints:
    yield from _string(block.get("caption"), f"{at}/caption", 255)
    yield from _table(block, at)


def _chart(block: Block, at: str) -> Complaints:
    yield from _string(block.get("title"), f"{at}/title", 50)
    chart = block.get("chart")
    if not isinstance(chart, Mapping) or chart.get("type") not in ("line", "area", "bar", "pie"):
        yield f"unsupported type [json-pointer:{at}/chart/type]"
    elif chart["type"] == "pie":
        yield from _count(chart.get("segments"), f"{at}/chart/segments", 1, 6)
        yield from _each(chart.get("segments"), f"{at}/chart/segments", _point)
    else:
        yield from _series(chart, f"{at}/chart")


def _series(chart: Block, at: str) -> Complaints:
    """One to six named lines over the same one to twenty labels, a finite value for each."""
    axis = chart.get("axis_config")
    categories = axis.get("categories") if isinstance(axis, Mapping) else None
    yield from _count(categories, f"{at}/axis_config/categories", 1, 20)
    yield from _count(chart.get("series"), f"{at}/series", 1, 6)
    yield from _each(chart.get("series"), f"{at}/series", lambda line, place: _line(line, place, categories))


def _line(line: Block, at: str, categories: object) -> Complaints:
    yield from _string(line.get("name"), f"{at}/name", 20)
    points = line.get("data")
    yield from _each(points, f"{at}/data", _point)
    labels = [point.get("label") for point in points if isinstance(point, Mapping)] if isinstance(points, list) else None
    if labels != categories:
        yield f"labels must match the categories [json-pointer:{at}/data]"


def _point(point: Block, at: str) -> Complaints:
    yield from _string(point.get("label"), f"{at}/label", 20)
    value = point.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        yield f"must be a number [json-pointer:{at}/value]"


def _anything(_block: Block, _at: str) -> Complaints:
    yield from ()


# `alert` is missing on purpose: Slack takes it in modals only.
_RULES: Mapping[str, Callable[[Any, str], Complaints]] = {
    "header": _header,
    "section": _section,
    "context": _context,
    "divider": _anything,
    "actions": _actions,
    "image": _image,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "table": _table,
    "data_table": _data_table,
    "data_visualization": _chart,
    "video": _anything,
    "file": _anything,
    "context_actions": _anything,
}
_NEW = frozenset({"data_table", "data_visualization"})
_ELEMENTS = frozenset(
    {"button", "overflow", "image", "datepicker", "timepicker", "radio_buttons", "checkboxes", "static_select"}
    | {"external_select", "users_select", "conversations_select", "channels_select", "workflow_button"}
)
