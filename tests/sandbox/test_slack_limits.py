from __future__ import annotations

from typing import Any

import pytest

from alertd.sandbox.slack_limits import check_blocks, total_text

DIVIDER = {"type": "divider"}


def mrkdwn(length: int) -> dict[str, str]:
    return {"type": "mrkdwn", "text": "x" * length}


def plain(length: int) -> dict[str, str]:
    return {"type": "plain_text", "text": "x" * length}


def button(length: int = 4, **more: Any) -> dict[str, Any]:
    return {"type": "button", "text": plain(length)} | more


def line(count: int, lines: int = 1, **more: Any) -> dict[str, Any]:
    labels = [str(number) for number in range(count)]
    series = [{"name": f"s{number}", "data": [{"label": label, "value": 1.5} for label in labels]} for number in range(lines)]
    chart = {"type": "line", "series": series, "axis_config": {"categories": labels}} | more
    return {"type": "data_visualization", "title": "t", "chart": chart}


@pytest.mark.parametrize(
    "blocks",
    [
        [DIVIDER] * 50,
        [{"type": "header", "text": plain(150)}],
        [{"type": "section", "text": mrkdwn(3000)}],
        [{"type": "section", "fields": [mrkdwn(2000)] * 10}],
        [{"type": "section", "text": mrkdwn(1), "accessory": button()}],
        [{"type": "context", "elements": [mrkdwn(10)] * 9 + [{"type": "image", "image_url": "https://x", "alt_text": "x"}]}],
        [{"type": "actions", "elements": [button(75, value="v" * 2000, url="u" * 3000, action_id="a" * 255)] * 25}],
        [line(20, 6)] * 2,
        [{"type": "data_table", "caption": "c", "rows": [[{"type": "raw_text", "text": "a"}] * 20] * 100}],
        [{"type": "markdown", "text": "# a"}, {"type": "rich_text", "elements": []}],
    ],
)
def test_what_slack_takes_passes(blocks: list[Any]) -> None:
    assert check_blocks(blocks) == ()


@pytest.mark.parametrize(
    ("blocks", "complaint"),
    [
        ([DIVIDER] * 51, "no more than 50 items allowed [json-pointer:/blocks]"),
        ([{"type": "header", "text": plain(151)}], "must be less than 151 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "header", "text": plain(0)}], "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "header", "text": mrkdwn(5)}], "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
        ([{"type": "header"}], "missing required field: text [json-pointer:/blocks/0]"),
        ([{"type": "section"}], "missing required field: text [json-pointer:/blocks/0]"),
        ([{"type": "section", "text": mrkdwn(3001)}], "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
        ([{"type": "section", "fields": [mrkdwn(1)] * 11}], "no more than 10 items allowed [json-pointer:/blocks/0/fields]"),
        ([{"type": "section", "fields": []}], "no fewer than 1 items allowed [json-pointer:/blocks/0/fields]"),
        (
            [{"type": "section", "fields": [mrkdwn(1), mrkdwn(2001)]}],
            "must be less than 2001 characters [json-pointer:/blocks/0/fields/1/text]",
        ),
        (
            [{"type": "context", "elements": [mrkdwn(1)] * 11}],
            "no more than 10 items allowed [json-pointer:/blocks/0/elements]",
        ),
        ([{"type": "context", "elements": ["x"]}], "must be an object [json-pointer:/blocks/0/elements/0]"),
        ([{"type": "actions", "elements": [button(76)]}], "must be less than 76 characters"),
        (
            [{"type": "actions", "elements": [{"type": "lever"}]}],
            "unsupported type: lever [json-pointer:/blocks/0/elements/0/type]",
        ),
        ([{"type": "actions"}], "must be an array [json-pointer:/blocks/0/elements]"),
        ([{"type": "nonsense"}], "unsupported type: nonsense [json-pointer:/blocks/0/type]"),
        ([{"type": "alert"}], "unsupported type: alert"),
        ([{}], "unsupported type: None"),
        (["x"], "must be an object [json-pointer:/blocks/0]"),
        ([DIVIDER | {"block_id": "a"}] * 2, "`block_id` must be unique"),
        ([DIVIDER | {"block_id": "a" * 256}], "must be less than 256 characters [json-pointer:/blocks/0/block_id]"),
        ([line(5)] * 3, "no more than 2 data_visualization blocks allowed"),
        ([line(21)], "no more than 20 items allowed [json-pointer:/blocks/0/chart/axis_config/categories]"),
        ([line(2, 7)], "no more than 6 items allowed [json-pointer:/blocks/0/chart/series]"),
        ([line(2, axis_config={"categories": ["0", "9"]})], "labels must match the categories"),
        ([line(2, type="candles")], "unsupported type [json-pointer:/blocks/0/chart/type]"),
        ([line(2) | {"title": "t" * 51}], "must be less than 51 characters [json-pointer:/blocks/0/title]"),
        ([{"type": "table", "rows": [["a"], ["a", "b"]]}], "all rows must have the same number of cells"),
    ],
)
def test_what_slack_refuses_is_named_with_its_place(blocks: list[Any], complaint: str) -> None:
    (found,) = check_blocks(blocks)
    assert found.startswith(complaint)


def test_a_chart_without_a_number_is_refused() -> None:
    block = line(2)
    block["chart"]["series"][0]["data"][1]["value"] = float("nan")
    assert check_blocks([block]) == ("must be a number [json-pointer:/blocks/0/chart/series/0/data/1/value]",)


def test_every_fault_of_a_message_is_named_at_once() -> None:
    assert len(check_blocks([{"type": "header", "text": plain(151)}, {"type": "nonsense"}])) == 2


def test_all_text_of_all_blocks_counts() -> None:
    blocks = [{"type": "header", "text": plain(10)}, {"type": "section", "fields": [mrkdwn(5), mrkdwn(6)]}]
    assert total_text(blocks) == 21
