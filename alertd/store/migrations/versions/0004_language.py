"""What the whole rule language and a rulebook that reloads need to remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create three tables and widen five."""
    _create()
    for table, columns in _COLUMNS.items():
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.add_column(column)
    for table in ("notices", "deliveries"):  # a report belongs to no incident
        with op.batch_alter_table(table) as batch:
            batch.alter_column("incident", existing_type=sa.Integer, nullable=True)


_COLUMNS = {
    "alerts": (
        sa.Column("measured", sa.Float),
        sa.Column("reference", sa.Float),
        sa.Column("limit", sa.Float),
    ),
    "decisions": (
        sa.Column("measured", sa.Float),
        sa.Column("reference", sa.Float),
        sa.Column("untold", sa.String),
    ),
    "incidents": (
        sa.Column("muted", sa.String),
        sa.Column("told_at", sa.BigInteger),
        sa.Column("escalated_at", sa.BigInteger),
        sa.Column("acknowledged_at", sa.BigInteger),
        sa.Column("acknowledged_by", sa.String),
    ),
}


def _create() -> None:
    op.create_table(
        "history",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("asked", sa.String, primary_key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True),
        sa.Column("window_end", sa.BigInteger, primary_key=True),
        sa.Column("figures", sa.JSON, nullable=False),
    )
    op.create_index("history_by_age", "history", ["window_end"])
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String),
        sa.Column("group", sa.String),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("from", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("author", sa.String, nullable=False),
        sa.Column("comment", sa.String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("silences_by_end", "silences", ["until"])
    op.create_table(
        "rulebooks",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("revision", sa.String),
        sa.Column("taken_at", sa.BigInteger, nullable=False),
        sa.Column("files", sa.JSON, nullable=False),
    )
