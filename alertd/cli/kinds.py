"""`alertd kinds`: which measures and channels there are."""

from __future__ import annotations

import typer

from alertd.cli.common import Json, print_json


def kinds(as_json: Json = False) -> None:
    """List the measures and channels there are, and how they are written."""
    from alertd import channels, measures

    found = [measures.load(module) for module in measures.modules()]
    if as_json:
        rows = [{"names": list(each.names), "example": each.example, "about": each.about} for each in found]
        print_json({"measures": rows, "channels": list(channels.names())})
        return
    typer.echo("Measures")
    for each in sorted(found, key=lambda measure: measure.names[0]):
        name = each.names[0] if len(each.names) == 1 else f"{each.names[0]}..{each.names[-1]}"
        typer.echo(f"  {name:<10} {each.about}\n             measure: {each.example}")
    typer.echo("\nChannels")
    for channel in channels.names():
        about = (channels.find(channel).__doc__ or "").strip().splitlines()[0]
        typer.echo(f"  {channel:<10} {about}")
