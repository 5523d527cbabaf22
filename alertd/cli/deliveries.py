"""`alertd deliveries`: what was sent to whom and what was not; try it again, or give it up."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alertd.cli.common import Json, load_settings, print_json, say
from alertd.cli.people import one_line, open_store, whoever

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from alertd.clock import Instant
    from alertd.notices.letters import Letter, Which
    from alertd.notices.mending import Change, Plan

Numbers = Annotated[list[int] | None, typer.Argument(help="Numbers of deliveries.", show_default=False)]
Receiver = Annotated[
    str | None, typer.Option(help="Those of that receiver, and what it is told in place of others.", show_default=False)
]

app = typer.Typer(
    help="What was sent to whom and what was not; try it again, or give it up.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("list")
def show(
    dead: Annotated[bool, typer.Option("--dead", help="Those that reached nobody, given up or not.")] = False,
    queued: Annotated[bool, typer.Option("--queued", help="Those that are to be sent.")] = False,
    sent: Annotated[bool, typer.Option("--sent", help="Those that were sent.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="All that the store has.")] = False,
    receiver: Receiver = None,
    rule: Annotated[str | None, typer.Option(help="Those about that rule.", show_default=False)] = None,
    limit: Annotated[int, typer.Option(help="So many at most, the newest.", min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """List the deliveries that need somebody, the newest first: dead ones, and those that fail or have waited for long."""
    from alertd.clock import SystemClock
    from alertd.notices import letters

    which = _which(dead=dead, queued=queued, sent=sent, everything=everything)
    settings, _ = load_settings()
    with open_store(settings).read() as transaction:
        now = SystemClock().now()
        found, total = letters.find(transaction, which, now, receiver=receiver, rule=rule, limit=limit)
    if as_json:
        print_json({"deliveries": [letters.to_json(each) for each in found], "total": total})
        return
    for each in found:
        typer.echo(_line(each))
    if total > len(found):
        say(f"and {total - len(found)} older ones; see more with --limit")
    if not found:
        alone = which is letters.Which.TROUBLED and receiver is None and rule is None
        say(
            "No delivery needs anybody: none is dead, none fails, none has waited for long."
            if alone
            else "No delivery matches."
        )


@app.command("retry")
def retry(
    numbers: Numbers = None,
    everything: Annotated[bool, typer.Option("--all", help="All that reached nobody or fail.")] = False,
    receiver: Receiver = None,
    as_json: Json = False,
) -> None:
    """Try dead and failing deliveries again, now that a receiver was mended. Of each story only what is of use is told."""
    from alertd.clock import SystemClock
    from alertd.notices import mending
    from alertd.store.database import path_of
    from alertd.store.lock import holder

    _check_use(numbers, receiver, everything=everything)
    settings, _ = load_settings()
    database, now = open_store(settings), SystemClock().now()
    with database.write() as transaction:
        named = _named(transaction, numbers, receiver, now)
        plan = mending.retry(transaction, named, now)
        after = _after(transaction, plan)
    if as_json:
        print_json({"queued": after, "left": _left(plan)})
    else:
        _tell(plan, "queued to be sent now", verb="tried again")
    if plan.changes and holder(path_of(settings.store.url)) is None:
        say("No daemon runs on this store; they are sent when one does.")
    _leave(plan, numbers)


@app.command("drop")
def drop(
    numbers: Numbers = None,
    everything: Annotated[bool, typer.Option("--all", help="All of --receiver that reached nobody or fail.")] = False,
    receiver: Receiver = None,
    by: Annotated[str | None, typer.Option(help="Who says so; else your login name.", show_default=False)] = None,
    comment: Annotated[str, typer.Option(help="Why, for those who wonder.", show_default=False)] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether all are meant.")] = False,
    as_json: Json = False,
) -> None:
    """Give up dead and queued deliveries: nobody is told of them, and nothing complains about them any more."""
    from alertd.clock import SystemClock
    from alertd.errors import SettingsError
    from alertd.facts import Kind
    from alertd.notices import mending

    _check_use(numbers, receiver, everything=everything)
    if everything and receiver is None:
        raise SettingsError("--all gives up what a receiver has not got; say which with --receiver")
    who = whoever(by)
    settings, _ = load_settings()
    database, now = open_store(settings), SystemClock().now()
    if everything and not yes:
        with database.read() as transaction:
            _confirm(_named(transaction, None, receiver, now), receiver)
    with database.write() as transaction:
        plan = mending.drop(transaction, _named(transaction, numbers, receiver, now), who, one_line(comment))
        after = _after(transaction, plan)
    if as_json:
        print_json({"given_up": after, "left": _left(plan)})
    else:
        _tell(plan, "given up", verb="given up")
        if ends := [str(each.letter.id) for each in plan.changes if each.kind is Kind.RESOLVED and not each.along]:
            say(f"Whoever heard of the beginning is not told that it is over: {', '.join(ends)}")
    _leave(plan, numbers)


def _which(*, dead: bool, queued: bool, sent: bool, everything: bool) -> Which:
    from alertd.errors import SettingsError
    from alertd.notices.letters import Which

    chosen = [which for which, given in ((Which.DEAD, dead), (Which.QUEUED, queued), (Which.SENT, sent)) if given]
    chosen += [Which.ALL] if everything else []
    if len(chosen) > 1:
        raise SettingsError("say one of --dead, --queued, --sent and --all, or none of them to see what needs somebody")
    return chosen[0] if chosen else Which.TROUBLED


def _check_use(numbers: Sequence[int] | None, receiver: str | None, *, everything: bool) -> None:
    from alertd.errors import SettingsError

    if numbers and (everything or receiver is not None):
        raise SettingsError("name deliveries by their numbers, or say --all, with --receiver if only one receiver's are meant")
    if not numbers and not everything:
        raise SettingsError("name deliveries by their numbers, or say --all; `alertd deliveries list` shows them")


def _named(transaction: Connection, numbers: Sequence[int] | None, receiver: str | None, now: Instant) -> list[Letter]:
    """Those that were named, or all that need somebody; SettingsError if one of them is not there: then nothing is written."""
    from alertd.errors import SettingsError
    from alertd.notices.letters import Which, by_number, find

    if not numbers:
        return [*find(transaction, Which.TROUBLED, now, receiver=receiver)[0]]
    found = by_number(transaction, numbers)
    for number in numbers:
        if number not in found:
            are, total = find(transaction, Which.TROUBLED, now, limit=10)
            names = ", ".join(f"{each.id} ({each.rule})" for each in are) or "none"
            more = f" and {total - len(are)} more" if total > len(are) else ""
            raise SettingsError(f"there is no delivery {number}; those that need somebody: {names}{more}")
    return [*found.values()]


def _confirm(named: Collection[Letter], receiver: str | None) -> None:
    """Ask whoever sits there; SettingsError where nobody does."""
    from alertd.errors import SettingsError

    if not named:
        return
    if not sys.stdin.isatty():
        raise SettingsError(f"this would give up {len(named)} messages to {receiver}; say --yes if that is meant")
    # Not typer's question, part of which goes to stdout.
    sys.stderr.write(f"Give up {len(named)} messages to {receiver}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        say("Nothing was given up.")
        raise typer.Exit(1)


def _tell(plan: Plan, done: str, *, verb: str) -> None:
    """What was done, one line each, and why the rest was not."""
    for each in plan.changes:
        typer.echo(f"delivery {each.letter.id} ({_what(each)}): {done}{', with another of its story' if each.along else ''}")
    reasons: dict[str, list[str]] = {}
    for letter, reason in plan.left:
        reasons.setdefault(reason, []).append(str(letter.id))
    for reason, numbers in reasons.items():
        say(f"not {verb}: {', '.join(numbers)}: {reason}")
    if not plan.changes and not plan.left:
        say(f"There is nothing to be {verb}.")


def _what(change: Change) -> str:
    letter = change.letter
    return f"{change.kind} {letter.rule} to {_where(letter.receiver, change.via)}{_of(letter)}"


def _after(transaction: Connection, plan: Plan) -> list[dict[str, Any]]:
    """The deliveries as they are now."""
    from alertd.notices.letters import by_number, to_json

    along = {each.letter.id: each.along for each in plan.changes}
    return [to_json(each) | {"along": along[each.id]} for each in by_number(transaction, along).values()]


def _left(plan: Plan) -> list[dict[str, Any]]:
    from alertd.notices.letters import to_json

    return [to_json(letter) | {"reason": reason} for letter, reason in plan.left]


def _leave(plan: Plan, numbers: Sequence[int] | None) -> None:
    """Something that was named and left as it is, is a finding; of all of them some always are."""
    if numbers and plan.left:
        raise typer.Exit(1)


def _line(letter: Letter) -> str:
    """A delivery: number, state, what it tells whom, since when, how often it was tried, when again, and what is wrong."""
    error = f": {letter.error}" if letter.error else ""
    what = f"{letter.kind} {letter.rule} to {_where(letter.receiver, letter.via)}{_of(letter)}"
    return f"{letter.id:<10} {letter.state:<8} {what}{_progress(letter)}{error}"


def _progress(letter: Letter) -> str:
    from alertd.clock import iso

    tries = f", {letter.attempts} {'attempt' if letter.attempts == 1 else 'attempts'}" if letter.attempts else ""
    if letter.state == "sent" and letter.sent_at is not None:
        return f" at {iso(letter.sent_at)}"
    if letter.told_at is not None:
        return f", told in a digest at {iso(letter.told_at)}; its own message is to be brought up to date{tries}"
    again = f", next {iso(letter.due_at)}" if letter.state == "queued" and letter.attempts else ""
    return f" since {iso(letter.queued_at)}{tries}{again}"


def _where(receiver: str, via: str) -> str:
    return receiver if via == receiver else f"{receiver} (in its place {via})"


def _of(letter: Letter) -> str:
    return "" if letter.incident is None else f", incident {letter.incident}"
