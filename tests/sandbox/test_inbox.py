from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta, timezone
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import pytest
import requests
import uvicorn
from aiosmtpd.smtp import Envelope
from starlette.applications import Starlette
from starlette.routing import Mount

from alertd.clock import SECOND, Duration, Instant
from alertd.facts import Level, State
from alertd.sandbox.inbox import AlertRow, Sources, Status, create_inbox
from alertd.sandbox.mail import Mailbox
from alertd.sandbox.serve import listen
from alertd.sandbox.socket import Switchboard
from alertd.sandbox.workspace import Content, Draft, Workspace

NOON = 1_793_620_800_000  # Monday 2026-11-02T12:00:00Z
EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>"


class StoppedClock:
    """Noon, always."""

    def now(self) -> Instant:
        return NOON

    def uptime(self) -> Duration:
        return 0

    def boot(self) -> str:
        return "test"


@dataclass
class Desk:
    """An inbox that is being served, and what fills it."""

    url: str = ""
    workspace: Workspace = field(default_factory=lambda: Workspace(StoppedClock(), ["support", "sales"]))
    mailbox: Mailbox = field(default_factory=lambda: Mailbox(StoppedClock()))
    switchboard: Switchboard = field(default_factory=lambda: Switchboard(StoppedClock()))
    alerts: list[AlertRow] = field(default_factory=list)
    status: Status = field(default_factory=Status)

    def post(self, *blocks: dict[str, Any], text: str = "text", **more: Any) -> str:
        draft = Draft(Content(text, blocks), **more)
        return self.workspace.post(self.workspace.channels["support"], draft).ts

    def send(self, subject: str, html: str = "", text: str = "as text") -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "alertd@example.com", "ops@example.com", subject
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
        envelope = Envelope()
        envelope.mail_from, envelope.rcpt_tos = "alertd@example.com", ["ops@example.com"]
        envelope.original_content = message.as_bytes()
        self.mailbox.take(envelope)

    def get(self, path: str = "") -> requests.Response:
        return requests.get(f"{self.url}/{path}", timeout=10)

    def page(self, path: str = "") -> str:
        answer = self.get(path)
        assert answer.status_code == 200
        return answer.text


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    zone = timezone(timedelta(hours=1))
    sources = Sources(
        desk.workspace, desk.mailbox, lambda: desk.alerts, lambda: desk.status, StoppedClock(), zone, desk.switchboard
    )
    app = Starlette(routes=[Mount("/inbox", create_inbox(sources))])
    with listen(0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.005)
        desk.url = f"http://127.0.0.1:{listener.getsockname()[1]}/inbox"
        try:
            yield desk
        finally:
            server.should_exit = True
            thread.join()


class Elements(HTMLParser):
    """All elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|svg).*?</\1>", "", page)).split())


def alert(**given: Any) -> AlertRow:
    row: dict[str, Any] = {
        "rule": "slow",
        "title": "First answers are slow",
        "group": "",
        "state": State.FIRING,
        "level": Level.CRITICAL,
    }
    return AlertRow(**(row | {"value": "7 min 12 s", "limit": "5 min", "since": NOON - 95 * SECOND} | given))


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def test_an_empty_inbox_says_what_to_expect(desk: Desk) -> None:
    page = words(desk.page())
    assert "All quiet. Something will go wrong in about 20 s." in page
    assert "No message yet." in page
    assert "No mail yet." in page
    assert "0 alerts fire, 0 Slack messages, 0 mails" in page


def test_an_alert_is_told_in_words(desk: Desk) -> None:
    desk.alerts.append(alert(group="Support EU"))
    page = desk.page()
    assert "Firing critical First answers are slow Support EU slow Now 7 min 12 s Limit 5 min Since 12:58:25" in words(page)
    assert 'title="2026-11-02 12:58:25 UTC+01:00"' in page
    assert "All quiet" not in page
    assert "<title>(1) alertd demo: inbox</title>" in page


def test_the_worst_alert_comes_first(desk: Desk) -> None:
    desk.alerts += [
        alert(title="Quiet one", state=State.INACTIVE, level=Level.OK, since=None),
        alert(title="Pending one", state=State.PENDING, level=Level.WARNING),
        alert(title="Warning one", level=Level.WARNING),
        alert(title="Critical one"),
    ]
    assert re.findall(r"(\w+) one", words(desk.page())) == ["Critical", "Warning", "Pending", "Quiet"]


def test_quiet_alerts_leave_all_quiet_standing(desk: Desk) -> None:
    desk.alerts.append(alert(state=State.INACTIVE, level=Level.OK, since=None))
    assert "All quiet" in desk.page()


def test_the_status_is_shown_with_its_figures_and_links(desk: Desk) -> None:
    desk.status = Status("Watching 4 rules.", "Calm.", (("calls", "12 of 60"),), (("The page", "http://127.0.0.1:1/"),))
    page = desk.page()
    assert "Watching 4 rules. calls 12 of 60 The page" in words(page)
    assert {"href": "http://127.0.0.1:1/"} in Elements(page).named("a")
    assert "Calm." in page


def test_a_message_is_drawn_block_by_block(desk: Desk) -> None:
    button = {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, "style": "primary"}
    fields = [{"type": "mrkdwn", "text": "*Now*\n7 min"}, {"type": "mrkdwn", "text": "*Limit*\n5 min"}]
    desk.post(
        {"type": "header", "text": {"type": "plain_text", "text": ":rotating_light: Slow & late"}},
        {"type": "section", "fields": fields},
        {"type": "divider"},
        {"type": "actions", "elements": [button]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "`slow`"}, {"type": "plain_text", "text": "4c1f09a"}]},
    )
    page = desk.page()
    assert '<p class="header">🚨 Slow &amp; late</p>' in page
    assert "Now 7 min Limit 5 min Acknowledge slow 4c1f09a" in words(page)
    (drawn,) = Elements(page).named("button")
    assert "disabled" in drawn
    assert "primary" in (drawn["class"] or "")
    assert "<hr>" in page


def a_button(**more: Any) -> dict[str, Any]:
    return {"type": "button", "text": {"type": "plain_text", "text": "Acknowledge"}, **more}


def test_a_button_is_a_form_that_names_its_message_and_its_action(desk: Desk) -> None:
    ts = desk.post({"type": "actions", "elements": [a_button(action_id="alertd_acknowledge", value="12")]})
    page = Elements(desk.page())
    (form,) = page.named("form")
    assert (form["method"], form["action"]) == ("post", "press")
    fields = {each["name"]: each["value"] for each in page.named("input")}
    assert fields == {"channel": desk.workspace.channels["support"], "ts": ts, "action": "alertd_acknowledge"}
    assert "form-action 'self'" in desk.get().headers["Content-Security-Policy"]


@pytest.mark.parametrize(("url", "href"), [("https://a.b/c", "https://a.b/c"), ("javascript:alert(1)", "#")])
def test_a_link_button_is_a_link_and_leads_to_the_web_only(desk: Desk, url: str, href: str) -> None:
    desk.post({"type": "actions", "elements": [a_button(action_id="alertd_open", url=url)]})
    page = Elements(desk.page())
    assert [each["href"] for each in page.named("a") if "button" in (each.get("class") or "")] == [href]
    assert page.named("form") == []


def test_a_button_that_is_not_there_or_that_nobody_listens_for_says_so(desk: Desk) -> None:
    ts = desk.post({"type": "actions", "elements": [a_button(action_id="alertd_acknowledge", value="12")]})
    form = {"channel": desk.workspace.channels["support"], "ts": ts, "action": "alertd_acknowledge"}
    gone = requests.post(f"{desk.url}/press", data={**form, "ts": "1.0"}, timeout=10)
    assert (gone.status_code, gone.text) == (404, "This button is gone.")
    alone = requests.post(f"{desk.url}/press", data=form, timeout=10)
    assert (alone.status_code, alone.text) == (503, "Nobody listens for this button at present.")
    foreign = requests.post(f"{desk.url}/press", data=form, headers={"Sec-Fetch-Site": "cross-site"}, timeout=10)
    assert foreign.status_code == 403


def test_what_only_one_person_sees_is_marked(desk: Desk) -> None:
    desk.workspace.whisper(desk.workspace.channels["support"], "U0000000002", Content("Incident 12 is yours."))
    assert "only visible to you" in words(desk.page())
    assert "Incident 12 is yours." in words(desk.page())
    assert desk.get("inbox.json").json()["whispers"][0]["only_for"] == "U0000000002"
    assert desk.get("inbox.json").json()["messages"] == []


def test_a_chart_is_drawn_and_told(desk: Desk) -> None:
    data = [{"label": "10:00", "value": 90}, {"label": "10:01", "value": 432}]
    limit = [{"label": "10:00", "value": 300}, {"label": "10:01", "value": 300}]
    series = [{"name": "Median", "data": data}, {"name": "Limit", "data": limit}]
    chart = {"type": "line", "series": series, "axis_config": {"categories": ["10:00", "10:01"]}}
    desk.post({"type": "data_visualization", "title": "Median, s", "chart": chart})
    page = desk.page()
    assert len(Elements(page).named("polyline")) == 2
    assert 'aria-label="Chart: Median, s. Last values: Median 432, Limit 300"' in page
    assert "Median Limit" in words(page)


@pytest.mark.parametrize("kind", ["bar", "area", "pie"])
def test_every_kind_of_chart_is_drawn(desk: Desk, kind: str) -> None:
    points = [{"label": "a", "value": -3}, {"label": "b", "value": 0.25}]
    chart = {"type": kind, "series": [{"name": "s", "data": points}], "axis_config": {"categories": ["a", "b"]}}
    desk.post({"type": "data_visualization", "title": "Some", "chart": chart | {"segments": points}})
    shape = {"bar": "rect", "area": "polygon", "pie": "td"}[kind]
    assert Elements(desk.page()).named(shape)


def test_tables_and_rich_text_show_their_words(desk: Desk) -> None:
    rich = {"type": "rich_text_section", "elements": [{"type": "text", "text": "Maria"}, {"type": "text", "text": " L."}]}
    rows = [[{"type": "raw_text", "text": "Agent"}], [{"type": "rich_text", "elements": [rich]}]]
    desk.post({"type": "data_table", "caption": "Slowest", "rows": rows}, {"type": "rich_text", "elements": [rich]})
    assert "Slowest Agent Maria L. Maria L." in words(desk.page())


def test_any_block_that_slack_knows_leaves_the_page_standing(desk: Desk) -> None:
    for kind in ("image", "video", "markdown", "rich_text", "actions", "context", "section", "attachment?"):
        desk.post({"type": kind})
    assert desk.get().status_code == 200


def test_a_thread_stands_under_its_root_with_the_latest_thread_first(desk: Desk) -> None:
    old = desk.post(section("old root"))
    desk.post(section("new root"))
    desk.post(section("Over."), thread_ts=old, broadcast=True)
    page = words(desk.page())
    assert page.index("old root") < page.index("1 reply") < page.index("Over.") < page.index("new root")
    assert "replied to a thread, also sent to #support" in page


def test_edited_is_shown_without_blocks_only(desk: Desk) -> None:
    channel = desk.workspace.channels["support"]
    with_blocks, without = desk.post(section("a")), desk.post(text="b")
    desk.workspace.update(channel, with_blocks, Content("a", (section("aa"),)))
    assert "(edited)" not in desk.page()
    desk.workspace.update(channel, without, Content("bb"))
    assert "(edited)" in desk.page()


def test_a_message_that_came_twice_is_marked(desk: Desk) -> None:
    desk.post(client_msg_id="a")
    assert "sent twice" not in desk.page()
    desk.post(client_msg_id="a")
    assert "sent twice" in desk.page()


def test_the_newest_mail_is_open_unless_another_is_chosen(desk: Desk) -> None:
    desk.send("First", "<p>one</p>")
    desk.send("Second", "<p>two</p>")
    assert Elements(desk.page()).named("iframe")[0]["src"] == "mails/2"
    assert Elements(desk.page("?mail=1")).named("iframe")[0]["src"] == "mails/1"
    assert Elements(desk.page("?mail=99")).named("iframe")[0]["src"] == "mails/2"
    page = words(desk.page())
    assert page.index("Second") < page.index("First")


def test_a_mail_without_html_shows_its_text(desk: Desk) -> None:
    desk.send("Plain", text="a < b")
    page = desk.page()
    assert Elements(page).named("iframe") == []
    assert "a &lt; b" in page


def test_a_mail_keeps_its_styles_and_may_do_nothing_else(desk: Desk) -> None:
    desk.send("Styled", '<html><head></head><body style="color:red"><script>x</script></body></html>')
    answer = desk.get("mails/1")
    policy = answer.headers["Content-Security-Policy"]
    assert 'style="color:red"' in answer.text
    assert '<base target="_blank">' in answer.text
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy
    assert "script-src" not in policy
    assert "sandbox allow-popups allow-popups-to-escape-sandbox" in policy
    assert desk.get("mails/7").status_code == 404


def test_the_page_runs_its_own_script_only(desk: Desk) -> None:
    answer = desk.get()
    policy = answer.headers["Content-Security-Policy"]
    (script,) = re.findall(r"(?s)<script>(.*?)</script>", answer.text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_page_needs_nothing_that_its_policy_forbids(desk: Desk) -> None:
    desk.alerts.append(alert())
    desk.post(section("x"))
    desk.send("Mail", "<p>x</p>")
    for _, attributes in Elements(desk.page()).found:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_the_page_refreshes_itself_without_javascript_until_it_is_paused(desk: Desk) -> None:
    refresh = '<noscript><meta http-equiv="refresh" content="3"></noscript>'
    running, paused = desk.page(), desk.page("?pause")
    assert refresh in running.replace("\n", "")
    assert 'href="?pause"' in running
    assert "http-equiv" not in paused
    assert ' data-refresh="3"' in running
    assert " data-refresh" not in paused
    assert "Paused at 13:00:00" in words(paused)


def test_nothing_that_comes_in_becomes_html(desk: Desk) -> None:
    plain = {"type": "plain_text", "text": EVIL}
    marked = {"type": "mrkdwn", "text": f'*{EVIL}* `{EVIL}` <javascript:alert(1)|{EVIL}> <https://a.b/" onclick=x|{EVIL}>'}
    labels = [{"label": EVIL, "value": 1}]
    chart = {"type": "line", "series": [{"name": EVIL, "data": labels}], "axis_config": {"categories": [EVIL]}}
    desk.post(
        {"type": "header", "text": plain},
        {"type": "section", "text": marked, "fields": [marked, plain], "accessory": {"type": "button", "text": plain}},
        {"type": "context", "elements": [marked, {"type": "image", "alt_text": EVIL, "image_url": EVIL}]},
        {"type": "data_visualization", "title": EVIL, "chart": chart},
        {"type": "table", "rows": [[plain]]},
        {"type": EVIL},
    )
    desk.post(text=EVIL)
    desk.workspace.post("C0000000002", Draft(Content("x", (), ({"color": EVIL, "text": EVIL, "fallback": EVIL},))))
    desk.send(EVIL, text=EVIL)
    desk.alerts.append(alert(rule=EVIL, title=EVIL, group=EVIL, value=EVIL, limit=EVIL))
    desk.status = Status(EVIL, EVIL, ((EVIL, EVIL),))
    found = Elements(desk.page())
    assert len(found.named("script")) == 1
    assert found.named("img") == []
    for tag, attributes in found.found:
        assert not [name for name in attributes if name.startswith("on")], tag
        assert not (attributes.get("href") or "").startswith("javascript:")


def test_the_json_holds_what_the_page_shows(desk: Desk) -> None:
    desk.alerts.append(alert())
    root = desk.post(section("x"), client_msg_id="k")
    desk.post(text="reply", thread_ts=root, broadcast=True)
    desk.send("Mail", "<p>x</p>")
    data = desk.get("inbox.json").json()
    assert data["at"] == "2026-11-02T12:00:00Z"
    assert data["alerts"][0]["state"] == "firing"
    assert data["alerts"][0]["since"] == "2026-11-02T11:58:25Z"
    assert [one["text"] for one in data["messages"]] == ["text", "reply"]
    assert data["messages"][0]["blocks"] == [section("x")]
    assert data["messages"][1]["thread_ts"] == root
    assert (data["mails"][0]["subject"], data["mails"][0]["html"].strip()) == ("Mail", "<p>x</p>")


def test_the_style_sheet_is_there_and_knows_the_dark(desk: Desk) -> None:
    answer = desk.get("inbox.css")
    assert answer.headers["content-type"].startswith("text/css")
    assert "prefers-color-scheme: dark" in answer.text
