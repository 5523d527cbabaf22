"""What people read: every kind of notice in every kind of channel, whatever the texts in it are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from email.message import EmailMessage
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alertd.channels.slack.blocks import blocks
from alertd.clock import DAY, HOUR, MINUTE
from alertd.facts import CONVERSATION, Change, Kind, Level
from alertd.notice import Notice, NoticeGroup
from alertd.notices import rendering
from alertd.notices.context import VARIABLES, context
from alertd.units import Unit
from tests.channels.servers import complaint
from tests.notices.examples import AGENTS, AT, COUNT, DROP, EXAMPLES, OWN, REPORT, SHARE, SLOW, UNUSUAL, WAITING, names, of_kind

# A clock that stands still: how fast the machine is must not matter.
render = partial(rendering.render, uptime=lambda: 0)
render_or_plain = partial(rendering.render_or_plain, uptime=lambda: 0)
SHIPPED = Path(__file__).parents[2] / "templates"
HOSTILE = [
    *(
        "<!channel>",
        "<@U012AB3CD>",
        "<https://evil.example|click>",
        "&lt;!here&gt;",
        "*bold* _it_ ~no~ `code`",
        "x\n<!here>\r\ny",
    ),
    *(
        "\u202egnp.exe",
        "\ud800",
        "\x00\x1b[31m",
        "{{ 7*7 }}{% raw %}",
        "<script>alert(1)</script>",
        '"><img src=x>',
        "|>",
        "٣" * 5_000,
    ),
    *("A" * 5_000, "🚨" * 5_000, "&" * 5_000, "<" * 5_000),
]


def shown(kind: str, notice: Notice) -> Mapping[str, str]:
    return render(kind, notice, names=names, folders=(SHIPPED,))


def tokens(text: str) -> list[str]:
    """Everything between < and > that Slack would act on."""
    return re.findall(r"<([^>]*)>", text)


def visible(page: str) -> str:
    """The text that a mail program shows, with single spaces."""
    pieces: list[str] = []

    class Reader(HTMLParser):
        skip = False

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.skip = tag in ("style", "title")

        def handle_endtag(self, tag: str) -> None:
            self.skip = False

        def handle_data(self, data: str) -> None:
            pieces.append("" if self.skip else data)

    Reader().feed(page)
    return " ".join(" ".join(pieces).split())


def message(parts: Mapping[str, str]) -> dict[str, object]:
    return {"text": parts["plain"], "blocks": blocks(parts)}


# What is said


@pytest.mark.parametrize(
    ("notice", "kind", "headline", "summary"),
    [
        (
            *(SLOW, Kind.OPENED, "First answers are slow: 7 min 12 s (limit 5 min)"),
            "The median time to the first answer was 7 min 12 s over the last hour (34 conversations); the limit is 5 min.",
        ),
        (
            *(AGENTS, Kind.OPENED, "Agents answer slowly: 3 agents, worst 22 min (limit 5 min)"),
            (
                "3 agents are over the limit of 5 min; the worst is Priya Shah with 22 min. "
                "Measured: median time to the first answer over the last hour."
            ),
        ),
        (
            replace(AGENTS, groups=AGENTS.groups[:1], groups_total=1),
            *(Kind.OPENED, "Agents answer slowly: Priya Shah, 22 min (limit 5 min)"),
            (
                "1 agent is over the limit of 5 min: Priya Shah with 22 min. "
                "Measured: median time to the first answer over the last hour."
            ),
        ),
        (
            *(WAITING, Kind.OPENED, "Visitors wait for an answer: 27 conversations, worst 12 min (limit 10 min)"),
            "27 conversations are waiting; the longest for 12 min, over the limit of 10 min.",
        ),
        (
            *(SHARE, Kind.OPENED, "Too few chats are answered: 61.2 % (minimum 80 %)"),
            "The share of conversations with an answer was 61.2 % over the last hour (34 conversations); the minimum is 80 %.",
        ),
        (
            *(COUNT, Kind.OPENED, "Unusually many conversations: 1,204 (limit 1,000)"),
            "The number of conversations was 1,204 over the last hour; the limit is 1,000.",
        ),
        (
            *(SLOW, Kind.RESOLVED, "First answers are slow: resolved after 29 min"),
            (
                "It lasted 29 min. The worst was 9 min 3 s. Now the median time to the first answer is 3 min 36 s "
                "over the last hour."
            ),
        ),
        (
            *(DROP, Kind.OPENED, "Far fewer conversations than a week ago: -62 % (38 now, 100 a week ago), limit -50 %"),
            (
                "-62 % (38 now, 100 a week ago); the limit is -50 %. "
                "Measured: number of conversations against the same time a week ago, over the last hour."
            ),
        ),
        (
            *(
                UNUSUAL,
                Kind.OPENED,
                "Unusual number of conversations: 5.2 deviations above the usual 100 (now 152), limit ±4",
            ),
            (
                "5.2 deviations above the usual 100 (now 152); the limit is ±4. "
                "Measured: number of conversations against the usual at this hour of the week, over the last hour."
            ),
        ),
        (
            replace(
                AGENTS,
                direction="outside",
                unit=Unit.NUMBER,
                value=5.0,
                limit=4.0,
                measure="deviations",
                groups=tuple(replace(each, limit=4.0) for each in AGENTS.groups),
            ),
            *(Kind.OPENED, "Agents answer slowly: 3 agents, worst 5 (limit ±4)"),
            "3 agents are outside ±4; the worst is Priya Shah with 5. Measured: deviations over the last hour.",
        ),
        (
            replace(AGENTS, limit=20.0 * MINUTE, groups=(replace(AGENTS.groups[0], limit=20.0 * MINUTE), *AGENTS.groups[1:])),
            *(Kind.OPENED, "Agents answer slowly: 3 agents, worst 22 min (limit 20 min)"),
            (
                "3 agents are over a limit; the worst is Priya Shah with 22 min (limit 20 min). "
                "Measured: median time to the first answer over the last hour."
            ),
        ),
        (
            replace(SLOW, value=None),
            *(Kind.OPENED, "First answers are slow"),
            "There was nothing to measure over the last hour. Measured is: median time to the first answer.",
        ),
        (
            *(SLOW, Kind.ESCALATED, "First answers are slow: 7 min 12 s (limit 5 min)"),
            (
                "Nobody has acknowledged it, and it has gone on for 34 min, so you are told as well. "
                "The median time to the first answer was 7 min 12 s over the last hour (34 conversations); the limit is 5 min."
            ),
        ),
        (
            *(DROP, Kind.RESOLVED, "Far fewer conversations than a week ago: resolved after 29 min"),
            "It lasted 29 min. The worst was -70 %. Now: -62 % (38 now, 100 a week ago).",
        ),
        (SLOW, Kind.TEST, "First answers are slow", "This is a test of alertd. Nothing is wrong."),
    ],
)
def test_a_notice_says_in_a_line_and_in_a_sentence_how_it_stands(
    notice: Notice, kind: Kind, headline: str, summary: str
) -> None:
    told = context(of_kind(notice, kind), names)
    assert told["headline"] == headline
    assert told["summary"] == summary


def test_an_end_that_nobody_has_seen_says_so() -> None:
    told = context(replace(of_kind(AGENTS, Kind.RESOLVED), reason=Change.UNOBSERVED.value, peak=None), names)
    assert told["summary"] == "It lasted 29 min. No more conversations came to judge it by."


@pytest.mark.parametrize(
    ("changes", "news"),
    [
        ({"kind": Kind.OPENED, "reopened": True}, "It is back: 3 agents, worst 22 min (limit 5 min)."),
        (
            {"kind": Kind.CHANGED, "previous": Level.WARNING},
            "Now critical: 3 agents, worst 22 min (limit 5 min). 1 more agent: agent 999 (6 min).",
        ),
        ({"kind": Kind.CHANGED, "previous": Level.CRITICAL}, "1 more agent: agent 999 (6 min)."),
        (
            {"kind": Kind.CHANGED, "previous": Level.CRITICAL, "level": Level.WARNING, "groups": ()},
            "Better, now only a warning: 3 agents, worst 22 min (limit 5 min).",
        ),
        (
            {"kind": Kind.REMINDER},
            "Nobody has acknowledged it, and it has gone on for 34 min: 3 agents, worst 22 min (limit 5 min).",
        ),
        ({"kind": Kind.RESOLVED, "resolved_at": AT}, "Resolved after 29 min. The worst was 22 min."),
    ],
)
def test_news_say_what_has_changed(changes: dict[str, object], news: str) -> None:
    assert context(replace(AGENTS, **changes), names)["news"] == news  # type: ignore[arg-type]  # a table of fields


def test_an_end_that_is_no_recovery_gives_its_reason() -> None:
    gone = replace(of_kind(AGENTS, Kind.RESOLVED), reason="the rule was removed")
    assert "Reason: the rule was removed." in context(gone, names)["summary"]


@pytest.mark.parametrize(
    ("notice", "worse"),
    [
        (SLOW, "yes"),
        (of_kind(SLOW, Kind.CHANGED), "yes"),
        (replace(SLOW, kind=Kind.CHANGED, previous=Level.CRITICAL), ""),
        (of_kind(SLOW, Kind.RESOLVED), ""),
        (of_kind(SLOW, Kind.REMINDER), "yes"),
        (of_kind(SLOW, Kind.ESCALATED), "yes"),
        (REPORT, ""),
    ],
)
def test_the_channel_learns_whether_it_got_worse(notice: Notice, worse: str) -> None:
    assert shown("slack", notice)["worse"] == worse


def test_every_variable_is_documented_and_is_plain_data() -> None:
    told = context(AGENTS, names)
    assert set(told) == set(VARIABLES)
    assert {type(value) for value in told.values()} <= {str, int, bool, list, dict}
    assert context(REPORT, names)["incident"] == 0
    assert {type(value) for group in told["groups"] for value in group.values()} <= {str, int, bool, list}


# What is shown


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_every_kind_of_every_example_has_its_facts_in_all_three_forms(name: str, kind: Kind) -> None:
    notice = of_kind(EXAMPLES[name], kind)
    slack, mail = shown("slack", notice), shown("email", notice)
    told = context(notice, names)
    texts = ("\n".join(slack.values()), mail["text"], visible(mail["html"].replace("&nbsp;", " ")))
    assert complaint(message(slack)) is None
    assert told["headline"] in mail["subject"]
    for text in texts:
        assert all(fact in text for fact in (told["headline"], told["summary"], told["icon"], told["status"], told["rule"]))
        if kind in (Kind.OPENED, Kind.CHANGED, Kind.REFRESHED):
            assert all(fact in text for fact in (told["owner"], told["revision"][:9], told["lasted"], told["recover"]))
            assert all(line in text for line in told["description"].split("\n"))
            assert all(group["name"] in text and group["value"] in text for group in told["groups"][:10])


@pytest.mark.parametrize("kind", ["slack", "email"])
def test_links_lead_to_the_conversations_the_runbook_and_the_page(kind: str) -> None:
    for notice in (SLOW, AGENTS, WAITING):
        text = "\n".join(shown(kind, notice).values()).replace("&amp;", "&")
        assert SLOW.runbook is not None
        assert SLOW.runbook in text
        assert "https://alertd.example.com/incidents/12" in text
        assert "https://app.drift.com/conversations/9001" in text


@pytest.mark.parametrize("kind", ["slack", "email"])
def test_only_the_worst_are_listed_and_the_others_counted(kind: str) -> None:
    text = "\n".join(shown(kind, WAITING).values())
    assert "9001009" in text
    assert "9001010" not in text
    assert "and 17 more" in text


def test_slack_writes_times_in_the_zone_of_whoever_looks() -> None:
    old = replace(SLOW, opened_at=AT - 3 * DAY, groups=())
    assert f"<!date^{AT // 1000}^{{time}}|12:40 UTC>" in shown("slack", SLOW)["context"]
    assert "^{date_short_pretty} {time}|1 Nov 12:40 UTC>" in shown("slack", old)["facts"]


def test_a_mail_stays_small_without_remote_pictures_and_with_its_dark_mode() -> None:
    page = shown("email", WAITING)["html"]
    assert len(page.encode()) < 90_000
    assert "prefers-color-scheme: dark" in page
    assert set(re.findall(r'<img[^>]* src="([^"]*)"', page)) <= {"cid:chart"}
    assert "url(" not in page
    assert page.count("<style") == 1
    assert re.search(r'<td class="headline"[^>]*style="[^"]*font-size', page)


def test_a_subject_is_one_line_that_a_mail_can_have() -> None:
    mail = EmailMessage()
    mail["Subject"] = shown("email", replace(SLOW, title="a\r\nBcc: x@example.com"))["subject"]
    assert mail["Subject"].startswith("[Critical] a Bcc: x@example.com:")


# What can be done about it


@pytest.mark.parametrize("kind", ["slack", "email", "pager"])
def test_every_message_has_its_incidents_number_and_says_how_to_act(kind: str) -> None:
    text = "\n".join(render_or_plain(kind, SLOW, names=names, folders=(SHIPPED,)).values())
    assert "Incident 12" in text
    assert "alertd ack 12" in text


@pytest.mark.parametrize(
    "notice",
    [replace(SLOW, acknowledged="Priya"), of_kind(SLOW, Kind.RESOLVED), REPORT, of_kind(SLOW, Kind.TEST)],
    ids=["acknowledged", "over", "report", "test"],
)
@pytest.mark.parametrize("kind", ["slack", "email"])
def test_nobody_is_asked_to_acknowledge_what_needs_it_no_more(notice: Notice, kind: str) -> None:
    assert "alertd ack" not in "\n".join(shown(kind, notice).values())


@pytest.mark.parametrize(
    ("notice", "buttons"),
    [
        (SLOW, "acknowledge, silence 1h, silence 4h, open"),
        (of_kind(SLOW, Kind.CHANGED), "acknowledge, silence 1h, silence 4h, open"),
        (replace(SLOW, acknowledged="Priya"), "silence 1h, silence 4h, open"),
        (replace(SLOW, silenced="until 15:00 UTC by Priya"), "acknowledge, open"),
        (replace(COUNT, page=None), "acknowledge, silence 1h, silence 4h"),
        (OWN, "acknowledge"),
        (of_kind(SLOW, Kind.RESOLVED), ""),
        (replace(SLOW, kind=Kind.REFRESHED, resolved_at=AT), ""),
        (REPORT, ""),
        (of_kind(SLOW, Kind.TEST), ""),
    ],
)
def test_the_buttons_are_those_that_can_do_something(notice: Notice, buttons: str) -> None:
    assert shown("slack", notice)["buttons"] == buttons


@pytest.mark.parametrize(
    ("notice", "address"),
    [
        (replace(SLOW, page="https://x.example/_a_?b=1&c=2"), "https://x.example/_a_?b=1&c=2"),
        (replace(SLOW, page="javascript:alert(1)"), "https://app.drift.com/conversations/9001112"),
        (replace(WAITING, page=None), "https://app.drift.com/conversations/9001000"),
        (replace(COUNT, page=None), ""),
    ],
)
def test_the_button_open_leads_to_the_page_or_else_to_the_worst_conversation(notice: Notice, address: str) -> None:
    assert shown("slack", notice)["open"] == address


def test_a_silence_is_told_until_it_is_over() -> None:
    silenced = replace(SLOW, silenced="until 15:00 UTC by Priya")
    assert "*Silenced:* until 15:00 UTC by Priya" in shown("slack", silenced)["facts"]
    assert "Silenced:      until 15:00 UTC by Priya" in shown("email", silenced)["text"]
    assert "until 15:00 UTC by Priya" in visible(shown("email", silenced)["html"].replace("&nbsp;", " "))
    assert "Priya" not in "".join(shown("slack", of_kind(silenced, Kind.RESOLVED)).values())


@pytest.mark.parametrize(("late", "said"), [(9 * MINUTE, ""), (10 * MINUTE, ""), (34 * MINUTE, "Sent 34 min late.")])
def test_a_message_that_comes_late_says_so(late: int, said: str) -> None:
    told = replace(SLOW, late=late)
    for text in (shown("slack", told)["context"], shown("email", told)["text"], shown("email", told)["html"]):
        assert (said in text.replace("&nbsp;", " ")) if said else "late" not in text.lower().replace("translate", "")


def test_a_picture_is_in_the_mail_only_where_there_is_one_and_says_its_facts_in_words() -> None:
    drawn = replace(SLOW, trail=tuple((AT - place * MINUTE, (9.0 - place / 10) * MINUTE) for place in range(40))[::-1])
    page, title = shown("email", drawn)["html"], shown("slack", drawn)["chart"]
    assert title
    assert re.search(r'<tr class="chart"><td[^>]*><img src="cid:chart" width="552" alt="[^"<>]*Limit 5&nbsp;min', page)
    assert shown("slack", COUNT)["chart"] == ""
    assert "<img" not in shown("email", COUNT)["html"]


# Whatever the texts are


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", [Kind.OPENED, Kind.CHANGED, Kind.RESOLVED])
def test_no_text_of_a_notice_mentions_links_formats_or_breaks_anything(text: str, kind: Kind) -> None:
    groups = tuple(replace(group, new=True) for group in AGENTS.groups)
    texts = dict.fromkeys(
        (
            "acknowledged",
            "silenced",
            "comparison",
            "rule",
            "title",
            "measure",
            "reason",
            "description",
            "runbook",
            "owner",
            "revision",
            "page",
        ),
        text,
    )
    hostile = replace(
        of_kind(AGENTS, kind),
        **texts,  # type: ignore[arg-type]  # all of them are texts
        labels={text: text},
        groups=groups,
    )
    parts = render("slack", hostile, names=lambda _by, _number: text, folders=(SHIPPED,))
    assert complaint(message(parts)) is None
    for part in parts.values():
        assert all(re.match(r"!date\^\d+\^|https://app\.drift\.com/conversations/\d+\|", token) for token in tokens(part))
        assert not re.search(r"&(?!amp;|lt;|gt;)", part)
        assert not re.search("[\u202e\ud800\x00\x1b`]", part.replace("`alertd ack 12`", ""))
    mail = render("email", hostile, names=lambda _by, _number: text, folders=(SHIPPED,))
    assert not re.search(r'<(script|img(?! src="cid:chart"))', mail["html"])
    assert "\n" not in mail["subject"]


def test_formatting_in_a_name_is_shown_and_not_obeyed() -> None:
    told = shown("slack", replace(SLOW, title="*now* _or_ ~never~ `x` first_agent 2*3"))["header"]
    assert "∗now∗ ˍorˍ ∼never∼ 'x' first_agent 2*3" in told


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://x|<!here>", "https://a b", "ftp://x", "https://x\n<!here>", ""]
)
def test_an_address_that_is_none_is_no_link(url: str) -> None:
    parts = shown("slack", replace(SLOW, runbook=url, page=url))
    assert "Runbook" not in parts["advice"]
    assert "<!here>" not in "".join(parts.values())
    assert "javascript" not in shown("email", replace(SLOW, runbook=url))["html"]


def test_ten_thousand_groups_are_ten_lines() -> None:
    many = tuple(replace(AGENTS.groups[0], id=number) for number in range(10_000))
    parts = shown("slack", replace(AGENTS, groups=many, groups_total=10_000))
    assert len(parts["groups"].splitlines()) == 11
    assert "and 9,990 more" in parts["groups"].replace("9990", "9,990")


ANY = st.text(st.characters(exclude_categories=()), max_size=400) | st.sampled_from(HOSTILE)
INSTANTS = st.integers(0, AT + DAY)
NUMBERS = st.none() | st.floats(-1e13, 1e13) | st.sampled_from([float("nan"), float("inf"), 0.0])
GROUPS = st.builds(
    NoticeGroup,
    by=st.none() | st.sampled_from(["lastAgentId", CONVERSATION, "nonsense"]),
    id=st.none() | st.integers(),
    level=st.sampled_from(Level),
    value=NUMBERS,
    limit=NUMBERS,
    since=INSTANTS,
    conversations=st.integers(0, 10**9),
    examples=st.lists(st.integers(0), max_size=5).map(tuple),
    new=st.booleans(),
    comparison=ANY,
    note=ANY,
)
NOTICES = st.builds(
    Notice,
    kind=st.sampled_from(Kind),
    rule=ANY,
    title=ANY,
    measure=ANY,
    unit=st.sampled_from(Unit),
    direction=st.sampled_from(["above", "below", "outside"]),
    level=st.sampled_from(Level),
    previous=st.none() | st.sampled_from(Level),
    incident=st.none() | st.integers(0),
    at=INSTANTS,
    opened_at=INSTANTS,
    resolved_at=st.none() | INSTANTS,
    window=st.sampled_from([0, MINUTE, HOUR, 7 * DAY]),
    value=NUMBERS,
    limit=NUMBERS,
    recover=NUMBERS,
    peak=NUMBERS,
    conversations=st.integers(0, 10**9),
    reason=ANY,
    groups=st.lists(GROUPS, max_size=25).map(tuple),
    groups_total=st.integers(0, 10**6),
    by=st.none() | st.sampled_from(["lastAgentId", CONVERSATION, "nonsense"]),
    reopened=st.booleans(),
    description=st.none() | ANY,
    runbook=st.none() | ANY,
    owner=st.none() | ANY,
    labels=st.dictionaries(ANY, ANY, max_size=3),
    revision=st.none() | ANY,
    page=st.none() | ANY,
    comparison=st.just("") | ANY,
    text=st.none() | ANY,
    acknowledged=st.none() | ANY,
    silenced=st.none() | ANY,
    late=st.integers(0, 30 * DAY),
    trail=st.lists(st.tuples(INSTANTS, st.floats(-1e13, 1e13)), max_size=60).map(tuple),
    template=st.sampled_from([None, "report", "none"]),
    period=st.none() | st.tuples(INSTANTS, INSTANTS),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia"]),
)


@settings(deadline=None, max_examples=150)
@given(notice=NOTICES, name=st.none() | ANY)
def test_any_notice_at_all_can_be_told_within_slacks_limits_and_without_a_mention(notice: Notice, name: str | None) -> None:
    parts = render("slack", notice, names=lambda _by, _number: name, folders=(SHIPPED,))
    plain = render_or_plain("slack", notice, names=lambda _by, _number: name, folders=(SHIPPED / "none",))
    for made in (parts, plain):
        assert complaint(message(made)) is None
        for part in (text for name, text in made.items() if name != "failure"):
            assert all(re.match(r"!date\^\d+\^|https?://", token) for token in tokens(part))
            assert "<" not in re.sub(r"<(!date\^\d+\^[^<>]*|https?://[^<>|]+\|[^<>]*)>", "", part)


@settings(deadline=None, max_examples=50)
@given(notice=NOTICES, name=st.none() | ANY)
def test_any_notice_at_all_can_be_mailed(notice: Notice, name: str | None) -> None:
    parts = render("email", notice, names=lambda _by, _number: name, folders=(SHIPPED,))
    mail = EmailMessage()
    mail["Subject"] = parts["subject"]
    mail.set_content(parts["text"])
    mail.add_alternative(parts["html"], subtype="html")
    assert mail.as_bytes()
