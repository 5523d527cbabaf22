"""`alertd send-test`: whether a receiver can be reached."""

from __future__ import annotations

from typing import Annotated

import typer

from alertd.cli.common import Rules, load_rulebook, load_settings, say


def send_test(receiver: Annotated[str, typer.Argument(help="Name from receivers.yaml.")], rules: Rules = None) -> None:
    """Send one message, marked as a test, to a receiver, and say what became of it."""
    from alertd.clock import SystemClock
    from alertd.errors import DeliveryError, SettingsError
    from alertd.notices.trial import send_trial
    from alertd.reporting.properties import suggest
    from alertd.settings import access
    from alertd.shipped import shipped

    settings, secrets = load_settings(rules)
    book = load_rulebook(settings.rules)
    found = book.receivers.get(receiver)
    if found is None:
        meant = suggest(receiver, book.receivers)
        known = f"; did you mean {meant}?" if meant else f"; there are {', '.join(sorted(book.receivers)) or 'none'}"
        raise SettingsError(f'there is no receiver "{receiver}"{known}')
    folders = [*([settings.templates] if settings.templates else []), shipped("templates")]
    try:
        warning = send_trial(found, access(settings, secrets), folders, SystemClock().now())
    except DeliveryError as problem:
        say(f"alertd: {receiver}: {problem}")
        raise typer.Exit(1) from None
    say(f"{receiver} took the message; see that it has arrived.")
    if warning:
        say(f"alertd: {receiver}: {warning}")
        raise typer.Exit(1)
