"""Many deliveries in one message, the urgent ones first; and what a chart is drawn of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Widen two tables."""
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("urgent", sa.Boolean, nullable=False, server_default=sa.false()))
        batch.add_column(sa.Column("digest", sa.String))
        batch.add_column(sa.Column("told_at", sa.BigInteger))
    with op.batch_alter_table("deliveries") as batch:
        batch.alter_column("urgent", existing_type=sa.Boolean, server_default=None)
    with op.batch_alter_table("rules") as batch:
        batch.add_column(sa.Column("trail", sa.JSON))
