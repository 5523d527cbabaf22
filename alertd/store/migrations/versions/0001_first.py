"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "slots",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("free_at", sa.BigInteger, nullable=False),
        sa.Column("loan", sa.String, nullable=False),
    )
    op.create_table(
        "refusals",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("boot", sa.String, nullable=False),
        sa.Column("blocked_until", sa.BigInteger, nullable=False),
        sa.Column("withheld", sa.Integer, nullable=False),
        sa.Column("withheld_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "rules",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("question", sa.String, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("missed", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.BigInteger),
    )
    op.create_table(
        "alerts",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("group", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("since", sa.BigInteger),
        sa.Column("held", sa.BigInteger, nullable=False),
        sa.Column("cleared", sa.BigInteger, nullable=False),
        sa.Column("unseen", sa.BigInteger, nullable=False),
        sa.Column("judged_at", sa.BigInteger),
        sa.Column("value", sa.Float),
        sa.Column("peak", sa.Float),
        sa.Column("conversations", sa.Integer, nullable=False),
        sa.Column("examples", sa.JSON, nullable=False),
    )
    op.create_table(
        "incidents",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("opened_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
        sa.Column("level", sa.String, nullable=False),
        sa.Column("worst", sa.String, nullable=False),
        sa.Column("peak", sa.Float),
        sqlite_autoincrement=True,
    )
    op.create_index("incidents_of_rule", "incidents", ["rule", "id"])
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("incident", sa.Integer, sa.ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_incident", "notices", ["incident"])
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("notice", sa.Integer, sa.ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
        sa.Column("incident", sa.Integer, nullable=False),
        sa.Column("receiver", sa.String, nullable=False),
        sa.Column("via", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("queued_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.String),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("ambiguous", sa.Boolean, nullable=False),
        sa.Column("error", sa.String),
        sa.Column("receipt", sa.JSON),
        sa.Column("sent_at", sa.BigInteger),
        sa.UniqueConstraint("notice", "receiver"),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_to_do", "deliveries", ["state", "due_at"])
    op.create_index("deliveries_of_story", "deliveries", ["incident", "receiver"])
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("group", sa.String, nullable=False),
        sa.Column("first_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("evaluations", sa.Integer, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("level", sa.String),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("change", sa.String, nullable=False),
        sa.Column("told", sa.String),
        sa.Column("value", sa.Float),
        sa.Column("conversations", sa.Integer, nullable=False),
        sa.Column("entered", sa.Integer, nullable=False),
        sa.Column("window_start", sa.BigInteger, nullable=False),
        sa.Column("window_end", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("revision", sa.String),
    )
    op.create_index("decisions_of_group", "decisions", ["rule", "group", "id"])
    op.create_index("decisions_by_age", "decisions", ["last_at"])
