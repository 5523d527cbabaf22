"""The schema's history. All migrations that are due commit together with their record."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from alertd.errors import StoreError


def upgrade(engine: sa.Engine, found: str | None) -> None:
    """Bring a store from the revision that was found to the newest; StoreError if it is newer than this alertd."""
    known = {each.revision for each in scripts().walk_revisions()}
    if found is not None and found not in known:
        raise StoreError(f"the store was written by a newer alertd (schema {found}); use that one, or another store")
    with engine.connect() as connection, connection.begin():
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def scripts() -> ScriptDirectory:
    """The migrations that ship with this version."""
    return ScriptDirectory.from_config(_settings())


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
