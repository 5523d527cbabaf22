"""`alertd silence`: people say "not now", for a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from alertd.cli.common import Json, Rules, load_settings, print_json, say
from alertd.cli.people import one_line, open_store, running_rulebook, silence_line, state_of, whoever

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from alertd.clock import Duration, Instant
    from alertd.notices.silences import Silence
    from alertd.rulebook.rule import Rule, Rulebook

# Rules that are listed by name when a silence is about many.
_NAMED = 10

app = typer.Typer(
    help="Say not now: nobody is told of what a silence is about, for a time.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("add")
def add(
    length: Annotated[str, typer.Option("--for", help="How long: 90m, 2h, 3d; 30d at most.", show_default=False)],
    rule: Annotated[str | None, typer.Option(help="A rule by its id.", show_default=False)] = None,
    group: Annotated[str | None, typer.Option(help="One group: lastAgentId=7.", show_default=False)] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Rules with that label: team=support; also level=..., owner=...", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--everything", help="All rules, whatever they are.")] = False,
    by: Annotated[str | None, typer.Option(help="Who says so; else your login name.", show_default=False)] = None,
    comment: Annotated[str, typer.Option(help="Why, for those who wonder.", show_default=False)] = "",
    start: Annotated[
        str | None,
        typer.Option("--from", help="When it begins (ISO 8601, UTC without an offset); else now.", show_default=False),
    ] = None,
    as_json: Json = False,
    rules: Rules = None,
) -> None:
    """Silence what matches in all that is named. It holds from the next check on; what has begun is told when it is over."""
    from alertd.clock import SystemClock
    from alertd.notices import silences
    from alertd.notices.acting import show_silence
    from alertd.overview import silence_to_json

    settings, _ = load_settings(rules)
    named = _named(rule, group, label or [], everything=everything)
    now = SystemClock().now()
    begins, until = _span(length, start, now)
    silence = silences.Silence(begins, until, whoever(by), one_line(comment), *named)
    database = open_store(settings)
    book = running_rulebook(database, settings.rules)
    with database.write() as transaction:
        number = silences.add(transaction, silence)
        show_silence(transaction, silence, now, book.receivers if book else None)
    for each in _doubts(silence, book):
        say(f"alertd: warning: {each}")
    if as_json:
        matching = [each.id for each in matched(silence, book)] if book else None
        print_json(silence_to_json(silence) | {"silence": number, "rules": matching})
    else:
        _tell(silence, number, begun=start is None, book=book)


@app.command("list")
def show(
    everything: Annotated[bool, typer.Option("--all", help="Those that are over too, as far as the store has them.")] = False,
    as_json: Json = False,
) -> None:
    """List the silences that hold or will, the one that ends last first."""
    from alertd.clock import SystemClock
    from alertd.notices.silences import upcoming
    from alertd.overview import silence_to_json

    settings, _ = load_settings()
    database, now = open_store(settings), SystemClock().now()
    with database.read() as transaction:
        found = upcoming(transaction, 0 if everything else now)
    if as_json:
        print_json({"silences": [silence_to_json(each) | {"state": state_of(each, now)} for each in found]})
        return
    for each in found:
        typer.echo(silence_line(each, now))
    if not found:
        say("Nothing is silenced.")


@app.command("end")
def end(number: Annotated[int, typer.Argument(help="The number of a silence.", show_default=False)]) -> None:
    """End a silence now: what still fires is told at the next check."""
    from alertd.clock import SystemClock
    from alertd.errors import SettingsError
    from alertd.notices import silences
    from alertd.notices.acting import hide_silence
    from alertd.overview import about

    settings, _ = load_settings()
    database, now = open_store(settings), SystemClock().now()
    book = running_rulebook(database, settings.rules)
    with database.write() as transaction:
        found = {each.id: each for each in silences.upcoming(transaction, now)}
        if number not in found:
            are = ", ".join(f"{each.id} ({about(each)})" for each in found.values()) or "none"
            raise SettingsError(f"there is no silence {number} that holds or will; there are: {are}")
        silences.end(transaction, number, now)
        hide_silence(transaction, found[number], now, book.receivers if book else None)
    typer.echo(f"silence {number} ({about(found[number])}) is over; what still fires is told at the next check")


def matched(silence: Silence, book: Rulebook) -> list[Rule]:
    """The rules that a silence is about, in one of their groups, at one of their levels at least."""
    from alertd.facts import Group, Level

    group = Group.from_key(silence.group) if silence.group else Group()
    fitting = (rule for rule in book.rules.values() if silence.group is None or rule.by == group.by)
    levels = {rule.id: [each.level for each in rule.limits] or [Level.OK] for rule in book.rules.values()}
    return [rule for rule in fitting if any(silence.matches(rule, group, level) for level in levels[rule.id])]


def _named(
    rule: str | None, group: str | None, labels: Sequence[str], *, everything: bool
) -> tuple[str | None, str | None, Mapping[str, str]]:
    """What is silenced: rule, group, labels. SettingsError unless it is either something or everything."""
    from alertd.errors import SettingsError

    something = rule is not None or group is not None or bool(labels)
    if everything and something:
        raise SettingsError("--everything is without --rule, --group and --label")
    if not everything and not something:
        raise SettingsError("say what is silenced with --rule, --group or --label, or everything with --everything")
    return rule, _group(group) if group is not None else None, dict(_label(each) for each in labels)


def _label(text: str) -> tuple[str, str]:
    from alertd.errors import SettingsError

    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise SettingsError(f'--label: "{text}" is not a label with its value; write it like team=support')
    return name, value


def _group(text: str) -> str:
    """The key of the group that somebody names."""
    from alertd.errors import SettingsError
    from alertd.facts import CONVERSATION
    from alertd.reporting.properties import PROPERTIES, Kind, suggest

    by, _, number = (part.strip() for part in text.partition("="))
    if not number.isascii() or not number.isdigit() or len(number) > 19:
        raise SettingsError(f'--group: "{text}" is not a group; write it like lastAgentId=7 or conversation=123')
    ids = {name: name for name, each in PROPERTIES.items() if each.kind is Kind.ID}
    ids |= dict.fromkeys(("conversation", "id", CONVERSATION), CONVERSATION)
    if by not in ids:
        meant = suggest(by, ids)
        raise SettingsError(f'--group: there are no groups by "{by}"' + (f"; did you mean {meant}?" if meant else ""))
    return f"{ids[by]}={int(number)}"


def _span(length: str, start: str | None, now: Instant) -> tuple[Instant, Instant]:
    """From when until when, to the second; SettingsError where that is never, over, or longer than anybody remembers."""
    from alertd.clock import DAY, LAST, SECOND, iso, parse_instant
    from alertd.durations import parse_duration
    from alertd.errors import SettingsError

    lasts = _read("--for", parse_duration, length)
    begins = now if start is None else _read("--from", parse_instant, start)
    begins -= begins % SECOND
    if not 0 < lasts <= 30 * DAY:
        raise SettingsError(
            "--for: a silence lasts 30d at most, so that none is forgotten; what is never wanted is better changed in its rule"
            if lasts
            else "--for: a silence has to last for a time; write it like 90m, 2h or 3d"
        )
    if not now < begins + lasts <= LAST:
        raise SettingsError(f"--from: it is {iso(now - now % SECOND)} now, so this silence would never hold")
    return begins, begins + lasts


def _read(option: str, parse: Callable[[str], int], text: str) -> int:
    from alertd.errors import SettingsError

    try:
        return parse(text)
    except (ValueError, OverflowError) as problem:
        raise SettingsError(f"{option}: {problem}") from None


def _doubts(silence: Silence, book: Rulebook | None) -> Iterator[str]:
    """What may not be meant; the silence is added all the same."""
    from alertd.overview import about

    if about(silence) == "everything":
        yield "nobody is told of any alert while it holds, however bad; better name a rule, a group or a label"
    if book is None:
        yield "the rulebook cannot be loaded, so it is not known which rules this is about; `alertd check` says why"
        return
    unknown = [*_unknown(silence, book)]
    yield from unknown
    if not unknown and not matched(silence, book):
        yield "no rule of the rulebook matches in all of that at present"


def _unknown(silence: Silence, book: Rulebook) -> Iterator[str]:
    from alertd.facts import Group, Level

    if silence.rule is not None and silence.rule not in book.rules:
        yield f'the rulebook has no rule "{silence.rule}"' + _meant(silence.rule, book.rules)
    groups = {rule.by for rule in book.rules.values() if silence.rule in (None, rule.id)}
    if silence.group and groups and (by := Group.from_key(silence.group).by) not in groups:
        yield f"rule {silence.rule} has no groups by {by}" if silence.rule else f"no rule has groups by {by}"
    values = {"level": {level.value for level in Level}, "owner": {rule.owner or "" for rule in book.rules.values()}}
    for rule in book.rules.values():
        for name, value in rule.labels.items():
            values.setdefault(name, set()).add(value)
    for name, value in silence.labels.items():
        if name not in values:
            yield f'no rule has a label "{name}"' + _meant(name, values)
        elif value not in values[name]:
            yield f"no rule has {name}={value}" + _meant(value, values[name])


def _meant(word: str, known: Iterable[str]) -> str:
    from alertd.reporting.properties import suggest

    meant = suggest(word, known)
    return f"; did you mean {meant}?" if meant else ""


def _tell(silence: Silence, number: int, *, begun: bool, book: Rulebook | None) -> None:
    """What was done, in words."""
    from alertd.clock import iso
    from alertd.durations import spell_duration
    from alertd.overview import about

    begins = "the next check on" if begun else iso(silence.start)
    length: Duration = silence.until - silence.start
    typer.echo(f"silence {number}: {about(silence)}, from {begins} until {iso(silence.until)} ({spell_duration(length)})")
    if book is not None:
        names = [rule.id for rule in matched(silence, book)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        listed = f": {', '.join(names[:_NAMED])}{more}" if names else ""
        typer.echo(f"matches {len(names)} of {len(book.rules)} rules now{listed}")
    typer.echo(f"end it with: alertd silence end {number}")
