"""`alertd run`: the daemon."""

from __future__ import annotations

import sys

import typer

from alertd.cli.common import Rules, leave, load_settings, require_token, show_rulebook_error


def run(rules: Rules = None) -> None:
    """Check the rules and send notices until SIGTERM; SIGHUP loads the rule files again."""
    settings, secrets = load_settings(rules)
    require_token(secrets)
    from alertd import logs
    from alertd.clock import SystemClock
    from alertd.daemon import Daemon
    from alertd.errors import RulebookError, StoreDamaged

    logs.set_up(settings.log.level, settings.log.format, lambda: secrets.seen)
    daemon = Daemon(settings, secrets, SystemClock())
    daemon.handle_signals()
    try:
        daemon.run()
    except StoreDamaged as problem:  # not 2, because starting it again helps
        sys.stderr.write(f"alertd: {problem}\n")  # found while it began, the log does not have it
        leave(1)
    except RulebookError as problem:
        show_rulebook_error(problem)
        raise typer.Exit(1) from None
    leave(0)
