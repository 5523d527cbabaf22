"""Charts, buttons and texts: within all of Slack's limits whatever comes, and no mention or link but ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.base import Access, Message, SlackAccess
from alertd.channels.slack import Slack
from alertd.channels.slack.blocks import TOTAL, Block, blocks
from alertd.channels.slack.buttons import buttons
from alertd.channels.slack.charting import picture
from alertd.channels.slack.presses import ACTIONS
from alertd.channels.slack.refusals import SHAPE
from alertd.charts import Chart
from alertd.clock import HOUR, MINUTE
from alertd.errors import SettingsError
from alertd.facts import Kind
from alertd.sandbox.slack_limits import check_blocks, total_text
from alertd.testing import a_notice
from alertd.testing.clock import START
from alertd.units import Unit
from tests.channels.servers import SECRET_PATH, TOKEN, FakeSlack, Scripted, slack_server

CHART = Chart(
    "First answers", ("08:00", "08:05", "08:10"), (2.0 * MINUTE, 4.5 * MINUTE, 7.2 * MINUTE), Unit.DURATION, 5.0 * MINUTE
)
PARTS = {
    "header": "First answers are slow",
    "summary": "*Critical.*",
    "facts": "*Since:* 12:06",
    "groups": "• Priya Shah: 7 min",
    "advice": "Ask for help.",
    "context": "support.first-answer",
    "chart": "Median time to the first answer",
    "buttons": "acknowledge, silence 1h, silence 4h, open",
    "open": "https://alertd.example.com/incidents/12?a=1&amp;b=2",
    "plain": "slow",
    "reply": "slower",
}
OPENED = Message("key", Kind.OPENED, a_notice(), PARTS, chart=CHART)
THREAD = {"channel": "C012AB3CD", "ts": "1700000000.000001"}
BOT, HOOK = Slack(channel="#support-alerts"), Slack(webhook_env="HOOK")


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with slack_server() as server:
        yield server


def access(slack: FakeSlack, app: str | None = "xapp-1") -> Access:
    return Access(slack=SlackAccess(slack.url, lambda: TOKEN, lambda: app), secret={"HOOK": slack.hook}.get)


def drawn(chart: Chart, title: str = "Title") -> Block:
    shown = picture(replace(OPENED, parts={"chart": title}, chart=chart))
    assert shown is not None
    assert check_blocks([shown]) == ()
    return shown


def pressed(message: Message) -> list[str]:
    return [button["action_id"].removeprefix("alertd_") for button in buttons(message)]


def with_notice(**changes: Any) -> Message:
    return replace(OPENED, notice=a_notice(**changes))


def types(call: Any) -> list[str]:
    return [block["type"] for block in call.body.get("blocks", ())]


# The chart


def test_a_chart_is_a_line_in_units_that_people_read_with_the_limit_beside_it() -> None:
    labels = ["08:00", "08:05", "08:10"]
    value = [{"label": label, "value": number} for label, number in zip(labels, (2.0, 4.5, 7.2), strict=True)]
    limit = [{"label": label, "value": 5.0} for label in labels]
    assert drawn(CHART, "Median") == {
        "type": "data_visualization",
        "title": "Median",
        "chart": {
            "type": "line",
            "series": [{"name": "value", "data": value}, {"name": "limit", "data": limit}],
            "axis_config": {"categories": labels, "y_label": "minutes"},
        },
    }


@pytest.mark.parametrize(
    ("unit", "values", "shown", "label"),
    [
        (Unit.FRACTION, (0.123456, 0.5), [12.35, 50.0], "%"),
        (Unit.NUMBER, (1204.0, 3.0), [1204.0, 3.0], None),
        (Unit.DURATION, (90_000.0, 1_000.0), [90.0, 1.0], "seconds"),
        (Unit.DURATION, (9.0 * HOUR, -0.0), [9.0, 0.0], "hours"),
    ],
)
def test_numbers_are_rounded_and_in_a_readable_unit(
    unit: Unit, values: tuple[float, ...], shown: list[float], label: str | None
) -> None:
    chart = drawn(Chart("t", ("a", "b"), values, unit))["chart"]
    assert [point["value"] for point in chart["series"][0]["data"]] == shown
    assert chart["axis_config"].get("y_label") == label
    assert len(chart["series"]) == 1  # no limit, no second series


def test_groups_are_bars_and_the_first_twenty_are_drawn() -> None:
    many = Chart(
        "t", tuple(f"agent {number}" for number in range(10_000)), tuple(map(float, range(10_000))), Unit.NUMBER, bars=True
    )
    chart = drawn(many)["chart"]
    assert chart["type"] == "bar"
    assert chart["axis_config"]["categories"] == [f"agent {number}" for number in range(20)]


@pytest.mark.parametrize("points", [20, 21, 39, 41, 400])
def test_a_long_line_keeps_its_newest_point_and_is_thinned_evenly(points: int) -> None:
    chart = Chart("t", tuple(map(str, range(points))), tuple(map(float, range(points))), Unit.NUMBER)
    labels = [int(label) for label in drawn(chart)["chart"]["axis_config"]["categories"]]
    assert labels[-1] == points - 1
    assert 10 <= len(labels) <= 20
    assert len({later - earlier for earlier, later in pairwise(labels)}) == 1


def test_labels_are_cut_and_told_apart() -> None:
    name = "Maximilian Mustermann of the night shift"
    chart = drawn(Chart("t", (name, name + "!", name, "b", ""), (1.0, 2.0, 3.0, 4.0, 5.0), Unit.NUMBER, bars=True))["chart"]
    labels = chart["axis_config"]["categories"]
    assert labels == ["Maximilian Musterm…", "Maximilian Mus… (2)", "Maximilian Mus… (3)", "b", "–"]


def test_a_limit_on_both_sides_is_two_lines() -> None:
    chart = replace(CHART, direction="outside", values=(1.0 * MINUTE, -9.0 * MINUTE, 2.0 * MINUTE))
    series = drawn(chart)["chart"]["series"]
    assert [(line["name"], line["data"][0]["value"]) for line in series[1:]] == [("limit", 5.0), ("-limit", -5.0)]


def test_what_is_no_number_is_not_drawn() -> None:
    chart = replace(CHART, values=(float("nan"), float("inf"), 1.0 * HOUR), limit=float("inf"))
    series = drawn(chart)["chart"]["series"]
    assert [[point["label"] for point in line["data"]] for line in series] == [["08:10"]]
    assert picture(replace(OPENED, chart=replace(CHART, values=(float("nan"),) * 3))) is None


@pytest.mark.parametrize("message", [replace(OPENED, chart=None), replace(OPENED, parts={**PARTS, "chart": " "})])
def test_there_is_no_chart_without_data_or_without_the_template_wanting_one(message: Message) -> None:
    assert picture(message) is None


def test_a_title_is_read_not_interpreted() -> None:
    title = drawn(CHART, "A &amp; B &lt;!channel&gt; " + "x" * 80)["title"]
    assert title.startswith("A & B ‹!channel› xxx")
    assert len(title) <= 50


def test_a_chart_goes_out_with_the_root_and_stays_in_it(slack: FakeSlack) -> None:
    BOT.send(OPENED, None, access(slack))
    BOT.send(replace(OPENED, kind=Kind.CHANGED), THREAD, access(slack))
    HOOK.send(OPENED, None, access(slack))
    assert [call.method for call in slack.calls if "data_visualization" in types(call)] == [
        "chat.postMessage",
        "chat.update",
        SECRET_PATH,
    ]


@pytest.mark.parametrize("code", sorted(SHAPE))
def test_a_workspace_without_charts_gets_everything_else_at_once(slack: FakeSlack, code: str) -> None:
    slack.error(code)
    assert BOT.send(OPENED, None, access(slack))
    first, second = slack.calls
    assert set(types(first)) - set(types(second)) == {"data_visualization"}
    assert "actions" in types(second)
    assert second.body["client_msg_id"] == "key"


def test_an_update_without_its_chart_is_an_update_all_the_same(slack: FakeSlack) -> None:
    slack.error("invalid_blocks")
    BOT.send(replace(OPENED, kind=Kind.REFRESHED), THREAD, access(slack))
    assert slack.methods() == ["chat.update"] * 2
    assert slack.calls[1].body["ts"] == THREAD["ts"]
    assert "header" in types(slack.calls[1])


def test_a_webhook_without_charts_gets_everything_else_at_once(slack: FakeSlack) -> None:
    slack.script.append(Scripted("invalid_blocks", 400))
    HOOK.send(OPENED, None, access(slack))
    assert "header" in types(slack.calls[1])
    assert "data_visualization" not in types(slack.calls[1])


@pytest.mark.parametrize("channel", [BOT, HOOK])
def test_what_is_disliked_without_its_chart_too_goes_out_plain(slack: FakeSlack, channel: Slack) -> None:
    refused = Scripted("invalid_blocks", 400) if channel is HOOK else Scripted({"ok": False, "error": "invalid_blocks"})
    slack.script.extend([refused, refused])
    channel.send(OPENED, None, access(slack))
    assert len(slack.calls) == 3
    assert types(slack.calls[2]) == []
    assert slack.calls[2].body["text"] == "slow"


def test_metadata_that_slack_dislikes_do_not_stay_in_the_way(slack: FakeSlack) -> None:
    slack.error("invalid_metadata_schema")
    slack.error("invalid_blocks")
    BOT.send(OPENED, None, access(slack))
    assert ["metadata" in call.body for call in slack.calls] == [True, False, False]


# The buttons


def test_an_incident_that_goes_on_can_be_acknowledged_silenced_and_opened() -> None:
    first, one, four, link = buttons(OPENED)
    assert [button["action_id"] for button in (first, one, four, link)] == [
        *("alertd_acknowledge", "alertd_silence_1h", "alertd_silence_4h", "alertd_open")
    ]
    assert [button["text"]["text"] for button in (first, one, four, link)] == [
        "Acknowledge",
        "Silence 1 h",
        "Silence 4 h",
        "Open",
    ]
    assert {button["value"] for button in (first, one, four, link)} == {"12"}
    assert first["style"] == "primary"
    assert link["url"] == "https://alertd.example.com/incidents/12?a=1&b=2"


def test_a_link_to_a_conversation_says_where_it_leads() -> None:
    parts = {"buttons": "open", "open": "https://app.drift.com/conversations/7"}
    (link,) = buttons(replace(OPENED, parts=parts))
    assert link["text"]["text"] == "Open in Drift"


def test_a_token_for_buttons_that_cannot_be_read_costs_no_message(slack: FakeSlack) -> None:
    def explode() -> str:
        raise SettingsError("the file cannot be read")

    usual = access(slack)
    BOT.send(OPENED, None, replace(usual, slack=replace(usual.slack, app_token=explode)))
    assert "actions" not in types(slack.calls[0])


def test_every_button_but_the_link_is_one_that_is_heard() -> None:
    offered = {button["action_id"] for button in buttons(replace(OPENED, parts={"buttons": ",".join(ACTIONS.values())}))}
    assert offered == set(ACTIONS)


def test_whoever_silences_is_asked_first() -> None:
    _, one, four, _ = buttons(OPENED)
    for button, length in ((one, "for 1 hour,"), (four, "for 4 hours,")):
        asked = button["confirm"]
        assert length in asked["text"]["text"]
        assert len(asked["title"]["text"]) <= 100
        assert len(asked["text"]["text"]) <= 300
        assert all(1 <= len(asked[name]["text"]) <= 30 for name in ("confirm", "deny"))


@pytest.mark.parametrize(
    ("message", "names"),
    [
        (with_notice(acknowledged="Ada"), ["silence_1h", "silence_4h", "open"]),
        (replace(OPENED, kind=Kind.CHANGED), ["acknowledge", "silence_1h", "silence_4h", "open"]),
        (replace(OPENED, kind=Kind.REFRESHED), ["acknowledge", "silence_1h", "silence_4h", "open"]),
        (replace(OPENED, parts={**PARTS, "open": ""}), ["acknowledge", "silence_1h", "silence_4h"]),
        (replace(OPENED, parts={**PARTS, "buttons": " silence  1h ,dance,,silence 1h"}), ["silence_1h"]),
        (replace(OPENED, parts={**PARTS, "buttons": ""}), []),
        (replace(OPENED, parts={}), []),
        (with_notice(incident=None), []),
        (with_notice(resolved_at=START), []),
        *((replace(OPENED, kind=kind), []) for kind in (Kind.RESOLVED, Kind.TEST, Kind.DIGEST, Kind.REPORT)),
    ],
)
def test_only_what_makes_sense_can_be_pressed(message: Message, names: list[str]) -> None:
    assert pressed(message) == names


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", "ftp://x/", "https://", "https://a b/", "https://a/\nb", 'https://a/"', "https://a/" + "x" * 3_000],
)
def test_what_is_no_web_address_is_no_button(address: str) -> None:
    assert "open" not in pressed(replace(OPENED, parts={**PARTS, "open": address}))


def test_the_root_alone_has_buttons_and_loses_them_when_it_is_over(slack: FakeSlack) -> None:
    BOT.send(OPENED, None, access(slack))
    BOT.send(replace(OPENED, kind=Kind.CHANGED), THREAD, access(slack))
    BOT.send(replace(OPENED, kind=Kind.RESOLVED), THREAD, access(slack))
    opened, changed, news, resolved, end = slack.calls
    assert ["actions" in types(call) for call in (opened, changed, news, resolved, end)] == [True, True, False, False, False]
    assert types(opened)[-2:] == ["actions", "context"]


def test_nobody_is_shown_a_button_that_nobody_hears(slack: FakeSlack) -> None:
    BOT.send(OPENED, None, access(slack, app=None))
    HOOK.send(OPENED, None, access(slack))
    assert not any("actions" in types(call) for call in slack.calls)


# Whatever comes

LINK, MENTION = "<https://app.example.com/c/1?a=1&amp;b=2|Conversation 1>", "<!here>"
HOSTILE = st.one_of(
    st.text(st.characters(codec=None), max_size=40),
    st.sampled_from(
        [
            *("<!channel>", "@here", "<https://evil.example|click>", "&", "&amp", "<", ">", "```", "*_~`", "\\" * 50, '"' * 50),
            *(
                "🚨👩‍👩‍👧‍👦" * 5,
                "\u202eевил\u202c",
                "\u200b",
                "\ud800",
                "\udfff\ud800",
                "\x00\x1b[31m\x07",
                "\r\n\t",
                "\u2028",
                "x" * 4_000,
            ),
        ]
    ),
)


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


TEXTS = st.tuples(
    st.lists(st.one_of(HOSTILE.map(escaped), st.just(LINK), st.just("\n")), max_size=8).map("".join),
    st.sampled_from([1, 1, 1, 7, 60, 1_000]),
).map(lambda drawn: drawn[0] * drawn[1])
NUMBERS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 1e308, -1e308, 5e-324, 300_000.0]))
CHARTS = st.builds(
    lambda points, **more: Chart(labels=tuple(each[0] for each in points), values=tuple(each[1] for each in points), **more),
    points=st.lists(st.tuples(HOSTILE, NUMBERS), max_size=45),
    title=HOSTILE,
    unit=st.sampled_from(list(Unit)),
    limit=st.none() | NUMBERS,
    bars=st.booleans(),
    name=HOSTILE,
    direction=st.sampled_from(["above", "below", "outside"]),
    limit_name=HOSTILE,
)


def read(value: Any) -> Iterator[tuple[str, bool]]:
    """Every text that people see in a block, and whether Slack looks for links and mentions in it."""
    if isinstance(value, dict):
        marked = value.get("type") == "mrkdwn"
        for name, each in value.items():
            if isinstance(each, str) and name in ("text", "title", "label", "name", "y_label"):
                yield each, marked
            elif not isinstance(each, str):
                yield from read(each)
    elif isinstance(value, list):
        for each in value:
            yield from ((each, False),) if isinstance(each, str) else read(each)


@settings(max_examples=50, deadline=None)
@given(
    parts=st.fixed_dictionaries(dict.fromkeys(PARTS.keys() - {"buttons", "open"}, TEXTS) | {"header": HOSTILE.map(escaped)}),
    chart=st.none() | CHARTS,
    news=TEXTS,
    address=HOSTILE.map(lambda text: "https://example.com/" + text),
)
def test_no_input_breaks_a_limit_or_makes_a_mention_or_a_link(
    parts: dict[str, str], chart: Chart | None, news: str, address: str
) -> None:
    message = replace(OPENED, parts={**parts, "buttons": PARTS["buttons"], "open": address}, chart=chart)
    laid = blocks(
        message.parts, mention=MENTION, note="Sent again.", news=news, chart=picture(message), buttons=buttons(message)
    )
    assert check_blocks(laid) == ()
    assert len(laid) <= 50
    assert total_text(laid) <= len(json.dumps(laid, ensure_ascii=False, separators=(",", ":"))) <= TOTAL
    assert json.dumps(laid, ensure_ascii=False).encode()  # no half of a character
    json.dumps(laid, allow_nan=False)
    for text, marked in read(laid):
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        if marked:
            assert set(re.findall(r"<[^>]*>?", text)) <= {LINK, MENTION}
            assert not re.search(r"&(?!amp;|lt;|gt;)", text)
        else:
            assert not set("<>") & set(text)


def test_a_name_on_a_chart_does_not_turn_the_text_behind_it_round() -> None:
    chart = drawn(replace(CHART, labels=("a\u202eb\u2066", "c", "d")), "e\u202ef")
    assert (chart["title"], chart["chart"]["axis_config"]["categories"]) == ("ef", ["ab", "c", "d"])


def test_ten_thousand_groups_are_cut_at_a_line_and_leave_room_for_the_rest() -> None:
    groups = "\n".join(f"• <https://app.example.com/agents/{number}|Agent {number}>: *7 min*" for number in range(10_000))
    laid = blocks({**PARTS, "groups": groups, "advice": "Ask. " * 500}, chart=picture(OPENED), buttons=buttons(OPENED))
    assert [block["type"] for block in laid] == [
        *("header", "section", "section", "data_visualization", "section", "section", "actions", "context")
    ]
    shown = laid[4]["text"]["text"].splitlines()
    assert len(shown) > 15
    assert shown[-1] == "…"
    assert all(line.endswith("*7 min*") for line in shown[:-1])


def test_quotation_marks_everywhere_cost_the_chart_and_not_the_message() -> None:
    laid = blocks(
        dict.fromkeys(PARTS, '"' * 5_000), chart=picture(OPENED), buttons=buttons(OPENED), news='"' * 5_000, mention=MENTION
    )
    assert [block["type"] for block in laid] == ["header", *["section"] * 5, "actions", "context"]
    assert len(json.dumps(laid, separators=(",", ":"))) <= TOTAL
