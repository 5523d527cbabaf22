"""`alertd preview`: what receivers would see of a rule, without sending anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, Rules, load_rulebook, load_settings, print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.cli.previewing import Preview
    from alertd.clock import Instant
    from alertd.notice import Notice
    from alertd.rulebook.rule import Rule, Rulebook
    from alertd.settings import Settings

_KINDS = ("opened", "changed", "reminder", "escalated", "resolved", "report", "digest")


def preview(
    rule: Annotated[str, typer.Argument(help="The id of a rule.", show_default=False)],
    channel: Annotated[
        list[str] | None,
        typer.Option(help="slack, email ...; can be given again. Else those of the rule's receivers.", show_default=False),
    ] = None,
    kind: Annotated[str | None, typer.Option(help=f"What is told: {', '.join(_KINDS)}.", show_default=False)] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write a page that shows it as Slack and mail do.", show_default=False)
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show that page in a browser.")] = False,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Show what people would be told of a rule: the newest that is stored, else made-up numbers. Sends nothing."""
    from alertd.cli.previewing import as_json as data
    from alertd.cli.previewing import as_text, render
    from alertd.clock import SystemClock
    from alertd.shipped import shipped

    settings, _ = load_settings(rules)
    book = load_rulebook(settings.rules)
    found, wanted = _rule(book, rule), _kind(kind)
    notices, stored = _notices(settings, book, found, wanted, SystemClock().now())
    folders = [*([settings.templates] if settings.templates else []), shipped("templates")]
    digest = wanted == "digest"
    made = [
        render(each, notices, folders, digest=digest, stored=stored) for each in _channels(book, found, channel, digest=digest)
    ]
    say(f"{rule}: {_source(notices[0], stored=stored, digest=digest)} Nothing is sent.")
    if as_json:
        about = {"rule": rule, "kind": wanted or notices[0].kind.value, "data": "stored" if stored else "made up"}
        print_json(about | data(made))
    elif not html and not show:
        typer.echo(as_text(made))
    if html or show:
        _page(made, found, html, show=show)
    for each in made:
        if each.failure:
            say(f"alertd: {each.channel}: the template fails, so the built-in text would go out: {each.failure}")
    raise typer.Exit(1 if any(each.failure for each in made) else 0)


def _rule(book: Rulebook, name: str) -> Rule:
    from alertd.errors import SettingsError
    from alertd.reporting.properties import suggest

    if name in book.rules:
        return book.rules[name]
    meant = suggest(name, book.rules)
    raise SettingsError(f'there is no rule "{name}"' + (f"; did you mean {meant}?" if meant else ""))


def _kind(name: str | None) -> str | None:
    from alertd.errors import SettingsError

    if name is None or name in _KINDS:
        return name
    raise SettingsError(f'--kind is {", ".join(_KINDS[:-1])} or {_KINDS[-1]}, not "{name}"')


def _channels(book: Rulebook, rule: Rule, asked: list[str] | None, *, digest: bool) -> Sequence[str]:
    """Those that are asked for, else those of all receivers of the rule; Slack and mail where it has none."""
    from alertd import channels
    from alertd.errors import SettingsError
    from alertd.notices.routes import receivers_of

    for name in asked or ():
        if name not in channels.names():
            raise SettingsError(f'there is no channel "{name}"; there are {", ".join(channels.names())}')
    used = (book.receivers[name].kind for name in receivers_of(book, rule))
    found = tuple(dict.fromkeys(asked or used)) or ("slack", "email")
    # Who wants each notice by itself gets no digest.
    return tuple(name for name in found if channels.find(name).burst is not None) if digest else found


def _notices(settings: Settings, book: Rulebook, rule: Rule, kind: str | None, now: Instant) -> tuple[Sequence[Notice], bool]:
    """What is shown, and whether it is stored. A digest is made up always, of this rule and some others."""
    from alertd.errors import SettingsError
    from alertd.facts import Kind
    from alertd.notices.samples import sample_digest, sample_notice

    if kind == "digest":
        return sample_digest(book, rule, now), False
    if (kind == "report") != rule.report and kind is not None:
        what = "a report, and makes nothing else" if rule.report else "no report"
        raise SettingsError(f"{rule.id} is {what}; --kind {kind} does not go with it")
    wanted = Kind(kind) if kind else None
    found = _stored(settings, rule, wanted)
    return ((found,), True) if found else ((sample_notice(rule, wanted or _first(rule), now),), False)


def _first(rule: Rule) -> Any:
    from alertd.facts import Kind

    return Kind.REPORT if rule.report else Kind.OPENED


def _stored(settings: Settings, rule: Rule, kind: Any) -> Notice | None:
    """The newest stored notice of the rule. A store that there is not yet is not made for that."""
    from alertd.cli.people import open_store
    from alertd.errors import StoreError
    from alertd.notices.shelf import newest_of_rule
    from alertd.store.database import path_of

    path = path_of(settings.store.url)
    if path is None or (isinstance(path, Path) and not path.exists()):
        return None
    try:
        database = open_store(settings)
        with database.read() as transaction:
            return newest_of_rule(transaction, rule.id, kind)
    except StoreError as problem:
        say(f"alertd: {problem}")
        return None


def _source(notice: Notice, *, stored: bool, digest: bool) -> str:
    """Where the numbers are from, in a sentence."""
    from alertd.notices.markup import utc

    if not stored:
        return "made-up numbers and names" + (", several rules in one message." if digest else ".")
    which = f"incident {notice.incident}" if notice.incident else "a report"
    return f"as stored, {notice.kind.value}, {which}, data until {utc(notice.at, 0)}; people and playbooks by their ids."


def _page(made: Sequence[Preview], rule: Rule, file: Path | None, *, show: bool) -> None:
    import tempfile
    import webbrowser

    from alertd.cli.preview_page import page

    path = file or Path(tempfile.mkdtemp(prefix="alertd-preview-")) / "preview.html"
    path.write_text(page(made, rule.title), encoding="utf-8")
    say(f"The page is in {path}")
    if show and not webbrowser.open(path.absolute().as_uri()):
        say("alertd: there is no browser to open it with")
