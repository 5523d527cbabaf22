"""Every channel, the sign of life and the reporting API, each against peers that fail in every way and say back what they hear.

Here, and not through a daemon, because a failure's whole chain is looked at: a daemon's log would black the secrets out.
"""

from __future__ import annotations

import base64
import socket
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from alertd import channels
from alertd.channels.base import Access, MailAccess, Message, SlackAccess
from alertd.clock import SECOND, SystemClock
from alertd.facts import Kind
from alertd.heartbeat import Heartbeat
from alertd.notice import Notice
from alertd.notices.rendering import render_or_plain
from alertd.reporting.client import ReportingClient
from alertd.reporting.directory import Directory
from alertd.reporting.http import Http
from alertd.reporting.query import Query
from alertd.shipped import shipped
from alertd.testing import a_notice
from tests.channels.mail_server import CUT, PostOffice, post_office
from tests.soak.mirror import MODES, mirror

DEADLINE = 2 * SECOND  # of what can be told how long it may take
AT_ONCE = 8  # Apprise has no more threads

Do: TypeAlias = Callable[[], object]
Secrets: TypeAlias = Mapping[str, str]

# What comes of pasting: each half of a secret stays what it was.
SPOILT: Mapping[str, Callable[[str], str]] = {
    "a line's end": lambda secret: f"{_half(secret, 0)}\n{_half(secret, 1)}",
    "a header in it": lambda secret: f"{_half(secret, 0)}\r\nX-More: {_half(secret, 1)}",
    "a zero byte": lambda secret: f"{_half(secret, 0)}\0{_half(secret, 1)}",
    "letters beyond ASCII": lambda secret: f"{secret}\u00e9\u2028",
    "a byte order mark": lambda secret: f"\ufeff{secret}",
    "no UTF-8": lambda secret: f"{secret}\udce9",
    "a quote": lambda secret: f'{_half(secret, 0)}"{_half(secret, 1)}',
    "a slash": lambda secret: f"{_half(secret, 0)}/../{_half(secret, 1)}",
}

_THREAD = {"channel": "C0000000001", "ts": "1700000000.000001", "root": "<1@example.com>", "references": "<1@example.com>"}
_QUERY = Query((), ("timeToAgentResponseMillis",))


@dataclass(frozen=True)
class Told:
    """What came of one attempt: a failure with all that it came from, or what was kept of a success."""

    place: str
    text: str
    failed: bool


def told(secrets: Secrets, *, small: bool) -> list[Told]:
    """Try everything; `small` leaves out what hangs."""
    with ExitStack() as stack:
        tries = [*_over_http(secrets, stack, small=small), *_by_mail(secrets, stack, small=small)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(lambda each: _attempt(*each), tries))


def _half(secret: str, which: int) -> str:
    middle = len(secret) // 2
    return secret[middle:] if which else secret[:middle]


def _attempt(place: str, act: Do) -> Told:
    try:
        return Told(place, repr(act()), failed=False)
    except Exception as problem:  # noqa: BLE001 - whatever it is, it may have a secret in it
        return Told(place, "".join(traceback.format_exception(problem)), failed=True)


def _over_http(secrets: Secrets, stack: ExitStack, *, small: bool) -> Iterator[tuple[str, Do]]:
    for mode in MODES:
        if small and mode == "hang":
            continue
        peer = stack.enter_context(mirror())
        peer.mode = mode
        yield from _each_peer(mode, f"http://{peer.host}", secrets)
        yield from _through_proxy(mode, peer.host, secrets)
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    yield from _each_peer("refused", f"http://127.0.0.1:{closed}", secrets)
    plain = stack.enter_context(mirror())
    yield from _each_peer("no TLS", f"https://{plain.host}", secrets)
    yield from _each_peer("no such name", f"https://{secrets['TEAM_HOOK']}.invalid", secrets, named=True)
    yield from _each_peer("no address", f"https://[{secrets['TEAM_HOOK']}", secrets, named=True)
    for name, spoil in SPOILT.items():
        yield from _each_peer(f"a secret with {name}", f"http://{plain.host}", {each: spoil(secrets[each]) for each in secrets})
    yield from _each_peer(
        "with a user", f"https://{secrets['TEAM_HOOK']}:{secrets['TEAM_HOOK_KEY']}@127.0.0.1:{closed}", secrets
    )


def _each_peer(fault: str, base: str, secrets: Secrets, *, named: bool = False) -> Iterator[tuple[str, Do]]:
    """`named`: the secret is in the host's name, which only addresses that are secrets as a whole keep to themselves."""
    access = _access(base, secrets)
    kinds = {"incoming webhook": ("slack", {"webhook_env": "TEAM_SLACK_HOOK"})}
    kinds["webhook"] = ("webhook", {"url_env": "TEAM_HOOK", "secret_env": "TEAM_HOOK_KEY"})
    kinds["apprise"] = ("apprise", {"url_env": "TEAM_APPRISE"})
    kinds |= {} if named else {"bot": ("slack", {"channel": "#alerts"})}
    for name, (kind, options) in kinds.items():
        channel = channels.find(kind).model_validate(options)
        for message in _messages(kind):
            thread = None if message.kind is Kind.OPENED else _THREAD
            yield f"{name}, {message.kind}, {fault}", partial(channel.send, message, thread, access)
    yield f"sign of life, {fault}", partial(_beat, f"{base}/{secrets['ALERTD_HEARTBEAT__URL']}")
    if not named:
        yield f"API, {fault}", partial(_ask, base, secrets, None)
        yield f"names, {fault}", partial(_names, base, secrets)


def _through_proxy(fault: str, host: str, secrets: Secrets) -> Iterator[tuple[str, Do]]:
    proxy = f"http://alertd:{secrets['ALERTD_REPORTING__PROXY']}@{host}"
    for scheme in ("http", "https"):
        yield f"API by {scheme} through a proxy, {fault}", partial(_ask, f"{scheme}://reports.example.com", secrets, proxy)


def _access(base: str, secrets: Secrets) -> Access:
    given = {name: f"{base}/{secrets[name]}" for name in ("TEAM_SLACK_HOOK", "TEAM_HOOK", "TEAM_APPRISE")}
    given["TEAM_APPRISE"] = given["TEAM_APPRISE"].replace("https://", "jsons://").replace("http://", "json://")
    given["TEAM_HOOK_KEY"] = secrets["TEAM_HOOK_KEY"]
    slack = SlackAccess(
        f"{base}/api/",
        lambda: secrets["ALERTD_SLACK__BOT_TOKEN"],
        lambda: secrets["ALERTD_SLACK__APP_TOKEN"],
        DEADLINE,
    )
    return Access(slack, MailAccess(), given.get, private=True)


def _messages(kind: str) -> Iterator[Message]:
    for number, news in enumerate((Kind.OPENED, Kind.RESOLVED)):
        notice: Notice = a_notice(kind=news)
        parts = render_or_plain(kind, notice, names=lambda _property, _id: None, folders=[shipped("templates")])
        yield Message(f"0d9f5bd4-4a36-5b0e-9f3e-2b1c6a6f7d1{number}", news, notice, parts, "team", repeat=bool(number))


def _beat(address: str) -> str | None:
    heart = Heartbeat(lambda: address, 0, SystemClock(), lambda: None)
    heart.beat()
    return heart.error


def _ask(base: str, secrets: Secrets, proxy: str | None) -> object:
    with Http(proxy=proxy, allow_plain_http=True) as http:
        client = ReportingClient(http, lambda: secrets["ALERTD_REPORTING__TOKEN"], base_url=base, deadline=DEADLINE)
        return client.ask(_QUERY)


def _names(base: str, secrets: Secrets) -> object:
    with Http(allow_plain_http=True) as http:
        client = ReportingClient(http, lambda: secrets["ALERTD_REPORTING__TOKEN"], base_url=base, deadline=DEADLINE)
        return Directory(client, SystemClock()).name("lastAgentId", 1)


# --- mail ---


def _by_mail(secrets: Secrets, stack: ExitStack, *, small: bool) -> Iterator[tuple[str, Do]]:
    password = secrets["ALERTD_EMAIL__PASSWORD"]
    for name, spoil in SPOILT.items():
        yield f"mail, a password with {name}", _mailing(spoil(password), stack, {})
    coded = (base64.b64encode(each).decode() for each in (f"\0alertd\0{password}".encode(), password.encode()))
    echo = " ".join((password, *coded))
    steps = ("AUTH", "MAIL", "RCPT oncall@example.com", "DATA", "text")
    for step in steps:
        for code in (421, 451, 535, 554, 999):
            yield f"mail, {code} at {step}", _mailing(password, stack, {step: f"{code}-{echo}\r\n{code} {echo}\r\n".encode()})
        yield f"mail, cut at {step}", _mailing(password, stack, {step: f"250-{echo}".encode()})
        yield f"mail, hung up on at {step}", _mailing(password, stack, {step: CUT})
    challenge = {"EHLO": b"250-x\r\n250 AUTH LOGIN CRAM-MD5\r\n", "AUTH": f"334 {echo}\r\n".encode()}
    yield "mail, a challenge", _mailing(password, stack, challenge)
    yield "mail, no TLS", _mailing(password, stack, {"EHLO": b"250-x\r\n250 STARTTLS\r\n"}, tls="starttls")
    yield "mail, no TLS at all", _mailing(password, stack, {}, tls="tls")
    if not small:
        yield "mail, hang", _mailing(password, stack, {"AUTH": b"silence"})


def _mailing(password: str, stack: ExitStack, script: dict[str, bytes], *, tls: str = "none") -> Do:
    office: PostOffice = stack.enter_context(post_office())
    office.script = script
    reach = MailAccess("127.0.0.1", office.port, "alertd", lambda: password, "alertd@example.com", tls, DEADLINE)
    channel = channels.find("email").model_validate({"to": ["oncall@example.com"]})
    message = next(_messages("email"))
    return partial(channel.send, message, None, Access(mail=reach))
