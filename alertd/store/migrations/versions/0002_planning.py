"""What the planner learns, and what background work leaves to others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "claims",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "lessons",
        sa.Column("filters", sa.String, primary_key=True),
        sa.Column("rate", sa.Float),
        sa.Column("bears", sa.BigInteger),
        sa.Column("good", sa.Integer, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
    )
