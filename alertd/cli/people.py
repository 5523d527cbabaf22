"""What verbs share by which people have their say: the store without a daemon, the rulebook that runs, a name, a line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alertd.clock import Instant
    from alertd.notices.incidents import Incident
    from alertd.notices.silences import Silence
    from alertd.rulebook.rule import Rulebook
    from alertd.settings import Settings
    from alertd.store.database import Database


def open_store(settings: Settings) -> Database:
    """The store that a daemon has made; StoreError where there is none, so that a wrong address makes no new one."""
    from alertd.errors import StoreError
    from alertd.store.database import open_database, path_of

    path = path_of(settings.store.url)
    if isinstance(path, Path) and not path.exists():
        raise StoreError(f"there is no store at {path}; no daemon has run here yet (or ALERTD_STORE__URL names another place)")
    return open_database(settings.store.url)


def running_rulebook(database: Database, folder: Path) -> Rulebook | None:
    """The rulebook that runs, as the store keeps it, or that of the folder; None if neither can be loaded."""
    from alertd.errors import RulebookError
    from alertd.rulebook.files import recall
    from alertd.rulebook.keeping import load_kept
    from alertd.rulebook.loader import build, load

    kept = load_kept(database)
    try:
        return build(recall(kept.files), kept.revision) if kept else load(folder)
    except RulebookError:  # `alertd check` says why; here it only means that less is known
        return None


def whoever(by: str | None) -> str:
    """The name that was given, or that of the login; SettingsError if there is neither."""
    from getpass import getuser

    from alertd.errors import SettingsError

    try:
        name = one_line(getuser() if by is None else by)
    except (KeyError, OSError, ImportError):  # a container may run under a number that has no name
        name = ""
    if not name:
        raise SettingsError("it is not known who you are; say it with --by NAME")
    return name


def one_line(text: str) -> str:
    """A text as it fits into a line of a message."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def incident_line(incident: Incident) -> str:
    """An open incident: number, level, rule, since when, who has it, and why nobody is told of it if so."""
    from alertd.clock import iso

    has = "nobody has acknowledged it"
    if incident.acknowledged_by is not None and incident.acknowledged_at is not None:
        has = f"acknowledged by {incident.acknowledged_by} at {iso(incident.acknowledged_at)}"
    muted = f"; nobody is told: {incident.muted}" if incident.muted else ""
    return f"{incident.id:<10} {incident.level.value:<8} {incident.rule} since {iso(incident.opened_at)}; {has}{muted}"


def silence_line(silence: Silence, now: Instant) -> str:
    """A silence: number, whether it holds, what it is about, from when if that is to come, until when, by whom and why."""
    from alertd.clock import iso
    from alertd.overview import about

    begins = f" from {iso(silence.start)}" if silence.start > now else ""
    comment = f": {silence.comment}" if silence.comment else ""
    until = f"until {iso(silence.until)} by {silence.author}{comment}"
    return f"{silence.id:<10} {state_of(silence, now):<8} {about(silence)}{begins} {until}"


def state_of(silence: Silence, now: Instant) -> str:
    """Whether a silence is over, holds, or will."""
    return "over" if silence.until <= now else "holds" if silence.holds(now) else "not yet"
