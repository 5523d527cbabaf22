"""The schema's history. All migrations that are due commit together with their record."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from alertd.errors import StoreError


def upgrade(engine: sa.Engine) -> None:
    """Bring a store to the newest revision; StoreError if it is newer than this alertd.

    Of several processes that do so at once one migrates while the others wait; they look under the lock, and find it done.
    """
    with engine.connect().execution_options(migrates=True) as connection, connection.begin():
        _refuse_newer(connection)
        settings = _settings()
        settings.attributes["connection"] = connection
        command.upgrade(settings, "head")


def _refuse_newer(connection: sa.Connection) -> None:
    found = MigrationContext.configure(connection).get_current_revision()
    if found is not None and found not in {each.revision for each in scripts().walk_revisions()}:
        raise StoreError(f"the store was written by a newer alertd (schema {found}); use that one, or another store")


def scripts() -> ScriptDirectory:
    """The migrations that ship with this version."""
    return ScriptDirectory.from_config(_settings())


def _settings() -> Config:
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
