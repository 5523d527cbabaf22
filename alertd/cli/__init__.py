"""The command line: one module a verb. Data goes to stdout, talk to stderr.

Exit codes: 0 fine, 1 findings, 2 wrong use or a broken tool. Verbs import what they need when they run, so that `--help` and
the verbs that need no database start fast.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from alertd import __version__
from alertd.cli import (
    ack,
    check,
    deliveries,
    demo,
    evaluate,
    explain,
    init,
    kinds,
    plan,
    preview,
    run,
    sandbox,
    schema,
    send_test,
    silence,
    simulate,
    status,
    test,
)
from alertd.errors import AlertdError

LONGEST = 1_000  # letters of a line of an error

app = typer.Typer(
    name="alertd",
    help="Alerts on conversations: rules in git, judged against Drift's reporting API, told in Slack and by e-mail.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("run")(run.run)
app.command("demo")(demo.demo)
app.command("sandbox")(sandbox.sandbox)
app.command("check")(check.check)
app.command("test")(test.play)
app.command("plan")(plan.plan)
app.command("evaluate")(evaluate.evaluate)
app.command("explain")(explain.explain)
app.command("status")(status.status)
app.command("ack")(ack.ack)
app.add_typer(silence.app, name="silence")
app.add_typer(deliveries.app, name="deliveries")
app.command("preview")(preview.preview)
app.command("send-test")(send_test.send_test)
app.command("kinds")(kinds.kinds)
app.command("schema")(schema.schema)
app.command("init")(init.init)
app.command("simulate", hidden=True)(simulate.simulate)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alertd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Alerts on conversations."""


def main() -> None:
    """Run a verb; an error that we know is a message, not a traceback."""
    try:
        app()
    except AlertdError as problem:
        sys.stderr.write(f"alertd: {_brief(str(problem))}\n")
        sys.exit(2)
    except UnicodeEncodeError:
        if all(map(_whole, sys.argv)):
            raise
        sys.stderr.write("alertd: an argument has bytes that are not UTF-8; write it as text\n")
        sys.exit(2)


def _whole(text: str) -> bool:
    """Whether an argument is text: bytes that are none become halves of characters, which no store takes."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _brief(text: str) -> str:
    """An error with no line longer than anybody reads: some quote what was given, however long that is."""
    return "\n".join(
        line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}" for line in text.split("\n")
    )
