"""`alertd schema`: the JSON Schema of rule files, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from alertd.cli.common import print_json


def schema(
    receivers: Annotated[bool, typer.Option(help="The schema of receivers.yaml instead.")] = False,
) -> None:
    """Print the JSON Schema of rule files: completion and hover in an editor with a YAML language server."""
    from alertd.rulebook.schema import receivers_schema
    from alertd.rulebook.schema import schema as rules_schema

    print_json(receivers_schema() if receivers else rules_schema())
