"""`alertd init`: a repository for rules, with an example, a test of it, CI and an editor that knows the language."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from alertd import __version__
from alertd.cli.common import say

_INITIAL = Path(__file__).parent / "initial"
_SCHEMAS = ".vscode/alertd/{}.schema.json"


def init(folder: Annotated[Path, typer.Argument(help="Where; it is made if it is not there.", show_default=False)]) -> None:
    """Make a rule repository: rules, receivers, calendars, a test, a CI workflow, pre-commit hooks, editor settings.

    Nothing that is there is overwritten.
    """
    texts = contents()
    _refuse_to_overwrite(folder, texts)
    for name in sorted(texts):
        _write(folder / name, texts[name])
        typer.echo((folder / name).as_posix())
    say(_next(folder))


def contents() -> dict[str, str]:
    """The texts of a new repository by path. A leading underscore in the package stands for the dot of a hidden name."""
    from alertd.cli.schema import schemas

    files = (path for path in _INITIAL.rglob("*") if path.is_file())
    found = {_hidden(path.relative_to(_INITIAL)): path.read_text(encoding="utf-8") for path in files}
    texts = {name: text.replace("@VERSION@", __version__) for name, text in found.items()}
    made = {_SCHEMAS.format(name): json.dumps(schema, indent=2) + "\n" for name, schema in schemas().items()}
    return texts | made


def _hidden(path: Path) -> str:
    return "/".join(f".{part[1:]}" if part.startswith("_") else part for part in path.parts)


def _refuse_to_overwrite(folder: Path, texts: dict[str, str]) -> None:
    from alertd.errors import SettingsError

    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise SettingsError(f"{folder} is a file; name a folder")
    if taken := [f"  {folder / name}" for name in sorted(texts) if _taken(folder, name)]:
        message = "these would be overwritten, so nothing was written; move them away or name another folder:"
        raise SettingsError("\n".join([message, *taken]))


def _taken(folder: Path, name: str) -> bool:
    """Whether the file is there, or a file where one of its folders must be."""
    place = folder / name
    above = [each for each in place.parents if each != folder and each.is_relative_to(folder)]
    return place.exists() or place.is_symlink() or any(each.exists() and not each.is_dir() for each in above)


def _write(place: Path, text: str) -> None:
    from alertd.errors import SettingsError

    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as problem:
        raise SettingsError(f"{place} cannot be written: {problem.strerror}") from None


def _next(folder: Path) -> str:
    enter = [] if folder.resolve() == Path.cwd() else [f"cd {shlex.quote(str(folder))}"]
    commands = [*enter, "alertd check .", "alertd test .", "alertd plan --rules ."][:3]
    return "\nNext:\n" + "\n".join(f"  {each}" for each in commands)
