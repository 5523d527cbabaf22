"""`alertd kinds`: which measures, comparisons and channels there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from alertd.cli.common import Json, print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from alertd.comparisons.base import Comparison
    from alertd.measures.base import Measure


def kinds(as_json: Json = False) -> None:
    """List the measures, comparisons and channels there are, and how they are written."""
    from alertd import channels, comparisons, measures

    calculated = [measures.load(module) for module in measures.modules()]
    compared = [comparisons.load(module) for module in comparisons.modules()]
    if as_json:
        print_json({"measures": _rows(calculated), "comparisons": _compared(compared), "channels": list(channels.names())})
        return
    _show("Measures", "measure", calculated)
    _show("\nComparisons", "compare", compared)
    typer.echo("\nChannels")
    for channel in channels.names():
        about = (channels.find(channel).__doc__ or "").strip().splitlines()[0]
        typer.echo(f"  {channel:<10} {about}")


def _rows(found: Sequence[type[Measure | Comparison]]) -> list[dict[str, object]]:
    return [{"names": list(each.names), "example": each.example, "about": each.about} for each in found]


def _compared(found: Sequence[type[Comparison]]) -> list[dict[str, object]]:
    options = ({"options": {option.name: option.about for option in each.options}} for each in found)
    return [row | more for row, more in zip(_rows(found), options, strict=True)]


def _show(title: str, key: str, found: Sequence[type[Measure | Comparison]]) -> None:
    typer.echo(title)
    for each in sorted(found, key=lambda kind: kind.names[0]):
        name = each.names[0] if len(each.names) == 1 else f"{each.names[0]}..{each.names[-1]}"
        typer.echo(f"  {name:<10} {each.about}\n             {key}: {each.example}")
