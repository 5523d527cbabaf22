"""The tables. Instants and durations are milliseconds; a group is its key (`lastAgentId=671`, empty for all conversations)."""

from __future__ import annotations

import sqlalchemy as sa

# The migration that makes these tables; a test compares both.
REVISION = "0005"

METADATA = sa.MetaData()

# One row for each call that still counts against the budget, or did; `free_at` on the clock of `boot` (I1).
slots = sa.Table(
    "slots",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("boot", sa.String, nullable=False),
    sa.Column("free_at", sa.BigInteger, nullable=False),
    sa.Column("loan", sa.String, nullable=False),  # whoever borrows writes a new one; only its holder may return the slot
)

# One row: what the API's 429 taught us.
refusals = sa.Table(
    "refusals",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("boot", sa.String, nullable=False),
    sa.Column("blocked_until", sa.BigInteger, nullable=False),
    sa.Column("withheld", sa.Integer, nullable=False),  # slots out of use at `withheld_at`; they come back one by one
    sa.Column("withheld_at", sa.BigInteger, nullable=False),
)

# One row: how many calls background work leaves to critical rules, for how long.
claims = sa.Table(
    "claims",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("boot", sa.String, nullable=False),
    sa.Column("calls", sa.Integer, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
)

# How far the clock of a database's server is ahead of a machine's uptime, as its processes saw it of late (see store.meter).
offsets = sa.Table(
    "offsets",
    METADATA,
    sa.Column("machine", sa.String, primary_key=True),
    sa.Column("low", sa.BigInteger, nullable=False),
    sa.Column("high", sa.BigInteger, nullable=False),
    sa.Column("uptime", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
)

# What earlier answers taught about a query, known by its filters.
lessons = sa.Table(
    "lessons",
    METADATA,
    sa.Column("filters", sa.String, primary_key=True),  # as JSON, in a fixed order
    sa.Column("rate", sa.Float),  # rows a minute
    sa.Column("bears", sa.BigInteger),  # the longest window that the API answers at once
    sa.Column("good", sa.Integer, nullable=False),
    sa.Column("used_at", sa.BigInteger, nullable=False),
)

# One row a rule: when it was last checked and what came of it.
rules = sa.Table(
    "rules",
    METADATA,
    sa.Column("rule", sa.String, primary_key=True),
    sa.Column("due_at", sa.BigInteger, nullable=False),  # the due instant that was run last
    sa.Column("as_of", sa.BigInteger, nullable=False),
    sa.Column("question", sa.String, nullable=False),
    sa.Column("evidence", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("missed", sa.Integer, nullable=False),  # due instants that passed without a check, ever
    sa.Column("failing_since", sa.BigInteger),  # as_of of the first error or stale check in a row
    sa.Column("trail", sa.JSON),  # of a rule without groups: [as_of, value] of its newest checks, oldest first
)

# One row for each alert that is not inactive.
alerts = sa.Table(
    "alerts",
    METADATA,
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
    sa.Column("measured", sa.Float),  # what was compared: the measure's own number, and the one from before
    sa.Column("reference", sa.Float),
    sa.Column("limit", sa.Float),  # the one that was passed, where a comparison brings its own
)

incidents = sa.Table(
    "incidents",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.String, nullable=False),
    sa.Column("opened_at", sa.BigInteger, nullable=False),
    sa.Column("closed_at", sa.BigInteger),
    sa.Column("level", sa.String, nullable=False),  # now, or when it was closed
    sa.Column("worst", sa.String, nullable=False),
    sa.Column("peak", sa.Float),
    sa.Column("muted", sa.String),  # why nobody is told at present
    sa.Column("told_at", sa.BigInteger),  # when anybody was told last
    sa.Column("escalated_at", sa.BigInteger),
    sa.Column("acknowledged_at", sa.BigInteger),
    sa.Column("acknowledged_by", sa.String),
    sa.Index("incidents_of_rule", "rule", "id"),
    sqlite_autoincrement=True,  # a number is never used again
)

notices = sa.Table(
    "notices",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("incident", sa.Integer, sa.ForeignKey("incidents.id", ondelete="CASCADE"), index=True),  # none: a report
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),  # a Notice as JSON: complete, so that it can be rendered at any time
    sqlite_autoincrement=True,
)

# The outbox: one notice to one receiver.
deliveries = sa.Table(
    "deliveries",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("notice", sa.Integer, sa.ForeignKey("notices.id", ondelete="CASCADE"), nullable=False),
    sa.Column("incident", sa.Integer),
    sa.Column("receiver", sa.String, nullable=False),  # whose story it is
    sa.Column("via", sa.String, nullable=False),  # where it is sent: the receiver itself, or the fallback in its place
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("key", sa.String, nullable=False),  # the same on every attempt: client_msg_id, Message-ID
    sa.Column("state", sa.String, nullable=False),  # queued, sending, sent, dead
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("queued_at", sa.BigInteger, nullable=False),
    sa.Column("due_at", sa.BigInteger, nullable=False),
    sa.Column("lease", sa.String),  # who is sending it
    sa.Column("lease_until", sa.BigInteger),
    sa.Column("ambiguous", sa.Boolean, nullable=False),  # an attempt may have arrived without our knowing
    sa.Column("error", sa.String),
    sa.Column("receipt", sa.JSON(none_as_null=True)),
    sa.Column("sent_at", sa.BigInteger),
    sa.Column("urgent", sa.Boolean, nullable=False, default=False),  # sent before what is not
    sa.Column("digest", sa.String),  # the key of the message in which it is told together with others
    sa.Column("told_at", sa.BigInteger),  # when that was sent, while the message of its own incident is still to be edited
    sa.UniqueConstraint("notice", "receiver"),
    sa.Index("deliveries_to_do", "state", "due_at"),
    sa.Index("deliveries_of_story", "incident", "receiver"),
    sqlite_autoincrement=True,
)

# The decision records: equal ones in a row are one row with a span.
decisions = sa.Table(
    "decisions",
    METADATA,
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
    sa.Column("told", sa.String),  # the kind of notice that came of it
    sa.Column("untold", sa.String),  # why none came of it although it would have
    sa.Column("value", sa.Float),
    sa.Column("measured", sa.Float),
    sa.Column("reference", sa.Float),
    sa.Column("conversations", sa.Integer, nullable=False),
    sa.Column("entered", sa.Integer, nullable=False),
    sa.Column("window_start", sa.BigInteger, nullable=False),
    sa.Column("window_end", sa.BigInteger, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("revision", sa.String),
    sa.Index("decisions_of_group", "rule", "group", "id"),
    sa.Index("decisions_by_age", "last_at"),
)

# What rules measured in windows that are over, for those that compare with them: asked once, kept while it is of use.
history = sa.Table(
    "history",
    METADATA,
    sa.Column("rule", sa.String, primary_key=True),
    sa.Column("asked", sa.String, primary_key=True),  # a hash of what was measured
    sa.Column("window_start", sa.BigInteger, primary_key=True),
    sa.Column("window_end", sa.BigInteger, primary_key=True),
    sa.Column("figures", sa.JSON, nullable=False),  # by group: value, how many values entered, whether its alert fired
    sa.Index("history_by_age", "window_end"),
)

# People saying "not now": a rule, a group of it, all rules with these labels; each that is given must match.
silences = sa.Table(
    "silences",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("rule", sa.String),
    sa.Column("group", sa.String),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("from", sa.BigInteger, nullable=False),
    sa.Column("until", sa.BigInteger, nullable=False),
    sa.Column("author", sa.String, nullable=False),
    sa.Column("comment", sa.String, nullable=False),
    sa.Index("silences_by_end", "until"),
    sqlite_autoincrement=True,
)

# One row: the texts of the last good rulebook, which runs on while a later one is wrong (I8).
rulebooks = sa.Table(
    "rulebooks",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.String),
    sa.Column("taken_at", sa.BigInteger, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),  # by name below the rules folder
)
