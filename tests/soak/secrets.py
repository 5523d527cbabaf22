"""No secret leaves (I9): each is a canary, logs are at debug level, and no canary is found in anything that comes out."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from alertd.channels.slack.buttons import ACKNOWLEDGE
from alertd.sandbox.socket import find_button
from tests.channels.mail_server import PostOffice, post_office
from tests.cli.shell import Running, until
from tests.processes.canaries import Canary, Sighting, seen
from tests.processes.stage import CANARIES, TOKEN, Stage
from tests.soak import misplaced
from tests.soak.echoed import told
from tests.soak.mirror import MODES, Mirror, mirror
from tests.soak.trial import Shown

OF = {each.name: each.text for each in CANARIES}

# What visitors write, and what the API knows of people beyond their names.
VISITORS = (
    Canary("page", "pricing-c7e2a9f41b8d4056"),
    Canary("tag", "tag-5b0d8e3f6a1c4927b8e0"),
    Canary("mail address", "ada-2f6c1e9b4d7a4805"),
    Canary("telephone", "+49-4711-0815-330166-27"),
    Canary("unknown property", "wrote-8c4e0b7d2f9a41b3"),
)
_TEXT = {each.name: each.text for each in VISITORS}
_PAGE = f"https://shop.example.com/{_TEXT['page']}"

RECEIVERS = """\
receivers:
  team-slack: {slack: {channel: "#alerts"}}
  team-mail: {email: {to: [oncall@example.com]}}
  slack-hook: {slack: {webhook_env: TEAM_SLACK_HOOK}}
  team-hook: {webhook: {url_env: TEAM_HOOK, secret_env: TEAM_HOOK_KEY}}
  team-other: {apprise: {url_env: TEAM_APPRISE}}
fallback: team-mail
"""
EVERYBODY = ("team-slack", "team-mail", "slack-hook", "team-hook", "team-other")
RULES = f"""\
defaults: {{owner: team, notify: [{", ".join(EVERYBODY)}], every: 10s, window: 30m, delay: 0s}}
rules:
  - id: nobody-answers
    title: Visitors get no answer
    by: conversation
    filters: [{{property: pageUrl, operation: CONTAINS, values: [pricing]}}]
    measure: waiting
    warning: {{above: 5s}}
  - {{id: agents, title: Somebody talks, by: lastAgentId, measure: count, warning: {{above: 0}}}}
"""

_VERBS = (("evaluate", "--json"), ("deliveries", "list", "--json"), ("explain", "nobody-answers", "--json"))
_MORE_VERBS = (
    ("status",),
    ("status", "--json"),
    ("preview", "agents", "--json"),
    ("check", "rules", "--format", "json"),
    ("evaluate",),
    ("deliveries", "list"),
    ("explain", "agents"),
    ("preview", "nobody-answers", "--html", "page.html"),
    ("check", "rules", "--format", "github"),
    ("plan", "--json"),
    ("kinds", "--json"),
    ("schema", "--receivers"),
    ("ack", "--json"),
    ("silence", "list", "--json"),
    *(("send-test", each) for each in EVERYBODY),
)


@dataclass
class Looked:
    """What was looked at, and what was seen there."""

    places: int = 0
    size: int = 0
    found: list[Sighting] = field(default_factory=list)

    def at(self, canaries: Iterable[Canary], places: Iterable[tuple[str, bytes]]) -> None:
        """Look at these."""
        for place, content in places:
            self.places += 1
            self.size += len(content)
            self.found += seen(canaries, [(place, content)])


def secrets(folder: Path, small: bool) -> Shown:
    """A daemon with all channels, pressed, rotated, reloaded and asked; channels whose peers echo; misplaced secrets."""
    looked = Looked()
    living = folder / "living"
    living.mkdir()
    told_of = _live(living, looked, small=small)
    failures = told(OF, small=small)
    looked.at(CANARIES, ((each.place, each.text.encode()) for each in failures))
    if not small:
        failing = folder / "failing"
        failing.mkdir()
        told_of += _fail(failing, looked)
    variables = [*misplaced.ran(folder / "misplaced", OF["TEAM_HOOK"], small=small)]
    looked.at(CANARIES, variables)
    assert not looked.found, "; ".join(sorted({f"{each.name} in {each.place}" for each in looked.found}))
    what = "all channels, buttons, rotation, wrong rule files and verbs of a daemon at debug level; every channel against "
    what += "peers that say back what they hear; secrets that are spoilt, or in the wrong variable"
    figures: dict[str, int | float | str] = {
        "canaries": len(CANARIES) + len(VISITORS),
        "messages": told_of,
        "failures provoked": sum(each.failed for each in failures),
        "secrets in wrong variables": len(variables),
        "places looked at": looked.places,
        "MiB looked at": round(looked.size / 2**20, 1),
    }
    return Shown(what, figures)


# --- a daemon whose peers are well ---


def _live(folder: Path, looked: Looked, *, small: bool) -> int:
    with post_office() as office:
        stage = Stage(folder)
        stage.open()
        try:
            _prepare(stage, office)
            daemon = stage.start()
            _open_an_incident(stage, office)
            _press(stage)
            _break_the_rules(stage, daemon, office, small=small)
            if not small:
                _rotate(stage, daemon)
                _break_the_store(stage, daemon)
            for verb in _VERBS if small else _VERBS + _MORE_VERBS:
                stage.verb(*verb)
            looked.at(stage.canaries(), [*stage.places(), *_handed(office), *_posted(stage)])
            looked.found += stage.heard()
            return _messages(stage, office)
        finally:
            stage.close()


def _prepare(stage: Stage, office: PostOffice) -> None:
    stage.others += VISITORS
    (stage.rules / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
    stage.write(RULES)
    person = {"email": f"{_TEXT['mail address']}@example.com", "phone": _TEXT["telephone"]}
    more = {"note": _TEXT["unknown property"]}
    stage.rows.users = [
        {"id": 671, "name": "Ada Agent", **person, **more},
        {"id": 672, "name": person["email"], **person, **more},
    ]
    stage.variables |= {
        "ALERTD_EMAIL__PORT": str(office.port),
        "ALERTD_EMAIL__USERNAME": "alertd",
        "ALERTD_HEARTBEAT__EVERY": "10s",
        "PYTHONWARNINGS": "error,ignore::DeprecationWarning",  # Apprise brings some
    }


def _open_an_incident(stage: Stage, office: PostOffice) -> None:
    texts: dict[str, Any] = {"pageUrl": _PAGE, "tags": [_TEXT["tag"]]}
    for number, agent in ((1, {}), (2, {"lastAgentId": 671}), (3, {"lastAgentId": 672})):
        stage.rows.somebody_waits(number, **texts, **agent)
    until(lambda: len(office.handed) >= 2 and len(stage.workspace.messages) >= 2, "Slack's messages and mails")
    until(lambda: len({each.path.split("/")[-1] for each in stage.letterbox.posts}) == 4, "all that posts somewhere")


def _press(stage: Stage) -> None:
    """Somebody acknowledges. What Slack sends with it is a secret too: whoever has the address may answer in our name."""
    message = next(each for each in stage.workspace.messages if ACKNOWLEDGE in json.dumps(each.blocks))
    found = find_button(stage.workspace, message.channel, message.ts, ACKNOWLEDGE)
    assert found
    stage.switchboard.press(*found)
    payload = stage.switchboard.sent[-1].envelope["payload"]
    stage.others.append(Canary("an address to answer a press", payload["response_url"].rpartition("/")[2]))
    stage.others.append(Canary("a press's trigger", payload["trigger_id"]))
    until(lambda: stage.workspace.whispers, "an answer to the press")


def _break_the_rules(stage: Stage, daemon: Running, office: PostOffice, *, small: bool) -> None:
    """Secrets where names are expected: refused, told to people, shown on a page, checked by a verb."""
    before = len(office.handed)
    wrong = "\n".join(f"  - {{id: {name.lower()}, {key}: '{OF[name]}'}}" for name, key in zip(OF, _KEYS, strict=False))
    stage.write(f"rules:\n{wrong}\n  - {OF['ALERTD_EMAIL__PASSWORD']}: 1\n")
    receivers = f"""\
receivers:
  one: {{slack: {{channel: {OF["ALERTD_SLACK__BOT_TOKEN"]}}}}}
  two: {{webhook: {{url_env: "https://me:{OF["TEAM_HOOK_KEY"]}@example.com/{OF["TEAM_HOOK"]}"}}}}
  three: {{email: {{to: ["{OF["ALERTD_EMAIL__PASSWORD"]}"]}}}}
  four: {{{OF["ALERTD_REPORTING__TOKEN"]}: {{}}}}
fallback: {OF["ALERTD_SLACK__APP_TOKEN"]}
"""
    (stage.rules / "receivers.yaml").write_text(receivers, encoding="utf-8")
    daemon.signal(signal.SIGHUP)
    daemon.says("rule files not loaded, the last good ones stay")
    stage.get(daemon, "readyz")
    until(lambda: len(office.handed) > before, "the fallback, told of the wrong files")
    for form in ("json",) if small else ("json", "text", "github"):
        stage.verb("check", "rules", "--format", form)
    stage.verb("status")
    stage.write(RULES)
    (stage.rules / "receivers.yaml").write_text(RECEIVERS, encoding="utf-8")
    daemon.signal(signal.SIGHUP)
    daemon.says("rule files are good again")


_KEYS = ("every", "measure", "notify", "calendar", "quiet_while", "by", "template", "owner", "expect", "window", "cron")


def _rotate(stage: Stage, daemon: Running) -> None:
    """The token's file gets another secret, one that cannot be one, goes, and comes back."""
    place = stage.folder / "token"
    other = Canary("a token that is refused", "drift-e4a1f07b9c3d4582a6d0")
    stage.others.append(other)
    stage.ears[0].bearer |= {other.name}  # the API is whom it is for
    for content in (other.text, f"{other.text}\nX-More: {TOKEN}", f"{other.text}\u00e9", f"\ufeff{other.text}\0"):
        before = daemon.text.count("cannot be judged")
        place.write_text(content, encoding="utf-8")
        until(lambda: stage.ready(daemon).get("source"), "rules that cannot be judged")
        place.write_text(TOKEN, encoding="utf-8")
        until(lambda: "source" not in stage.ready(daemon), "rules that can be judged again")
        assert daemon.text.count("cannot be judged") > before
    place.unlink()
    place.mkdir()
    until(lambda: stage.ready(daemon).get("source"), "rules that cannot be judged without a token")
    place.rmdir()
    place.write_text(TOKEN, encoding="utf-8")
    until(lambda: "source" not in stage.ready(daemon), "rules that can be judged again")


def _break_the_store(stage: Stage, daemon: Running) -> None:
    """A mistake in the middle: a traceback in the log."""
    stage.rows_of("DROP TABLE decisions")
    daemon.says("no such table: decisions")
    until(lambda: stage.ready(daemon).get("evaluation"), "not ready")


def _handed(office: PostOffice) -> Iterator[tuple[str, bytes]]:
    for each in office.handed:
        for part in message_from_bytes(each.text, policy=policy.default).walk():
            content = part.get_payload(decode=True)
            if isinstance(content, bytes):
                yield "a mail", str(part.items()).encode() + content


def _posted(stage: Stage) -> Iterator[tuple[str, bytes]]:
    for each in stage.letterbox.posts:
        yield "a post", str(each.headers).encode() + each.body


def _messages(stage: Stage, office: PostOffice) -> int:
    return len(stage.workspace.messages) + len(stage.workspace.whispers) + len(office.handed) + len(stage.letterbox.posts)


# --- two daemons whose peers fail ---


def _fail(folder: Path, looked: Looked) -> int:
    """One that can tell nobody and one that can ask nobody, through every way to fail."""
    with mirror() as peer, post_office() as office:
        stage = Stage(folder)
        stage.open()
        try:
            _prepare(stage, office)
            deaf, mute = _start_with_mirrors(stage, peer)
            for number, mode in enumerate(MODES, 10):
                peer.mode, before = mode, peer.calls
                office.script = {"AUTH": f"535 {OF['ALERTD_EMAIL__PASSWORD']} is wrong\r\n".encode()} if number % 2 else {}
                stage.rows.somebody_waits(number, pageUrl=_PAGE)
                until(lambda before=before: peer.calls > before + 3, f"calls that meet {mode}")  # type: ignore[misc]
                for daemon in (deaf, mute):
                    stage.get(daemon, "readyz")
            for verb in _VERBS + _MORE_VERBS:
                stage.verb(*verb, **_at(peer))
            peer.mode = "500"
            looked.at(stage.canaries(), [*stage.places(), *_handed(office), *_posted(stage)])
            return _messages(stage, office)
        finally:
            stage.close()


def _at(peer: Mirror) -> dict[str, str]:
    """Everybody who is told is behind the mirror."""
    hooks = {name: f"http://{peer.host}/hooks/{OF[name]}" for name in ("ALERTD_HEARTBEAT__URL", "TEAM_SLACK_HOOK", "TEAM_HOOK")}
    other = {"TEAM_APPRISE": f"json://{peer.host}/{OF['TEAM_APPRISE']}", "ALERTD_SLACK__URL": f"http://{peer.host}/api/"}
    return hooks | other


def _start_with_mirrors(stage: Stage, peer: Mirror) -> tuple[Running, Running]:
    mute = stage.start(**_at(peer))
    asking = {"ALERTD_REPORTING__URL": f"http://{peer.host}/api", "ALERTD_STORE__URL": f"sqlite:///{stage.folder}/other.db"}
    return stage.start(**asking), mute
