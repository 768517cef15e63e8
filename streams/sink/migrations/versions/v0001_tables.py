"""The first schema. There is no way down: a database is built anew from the log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables; the views are made anew with every step (:mod:`streams.sink.database`)."""
    _create_events()
    _create_factors()
    _create_letters_and_positions()
    _create_source()


def _create_events() -> None:
    """What the log holds, and what of it is erased."""
    op.create_table(
        "lifecycle_events",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("processor", _TEXT, primary_key=True, nullable=False),
        sa.Column("execution_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("event_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("digest", _TEXT, primary_key=True, nullable=False),
        sa.Column("status", _TEXT, nullable=False),
        sa.Column("attempt", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("occurred_at", _TEXT, nullable=False),
        sa.Column("output", _TEXT, nullable=True),
        sa.Column("error_code", _TEXT, nullable=True),
        sa.Column("supersedes", _TEXT, nullable=True),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), autoincrement=False, nullable=True),
        sa.Column("document", _TEXT, nullable=True),
    )
    op.create_table(
        "erased_events",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("event_hash", _TEXT, primary_key=True, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "erased_applications",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("salt", _TEXT, primary_key=True, nullable=False),
        sa.Column("application_hash", _TEXT, primary_key=True, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )
    supersedes = sa.text("supersedes IS NOT NULL")
    op.create_index(
        "lifecycle_events_supersedes",
        "lifecycle_events",
        ["application_id", "processor", "supersedes"],
        sqlite_where=supersedes,
        postgresql_where=supersedes,
    )


def _create_factors() -> None:
    """What is consolidated, and how it came about."""
    op.create_table(
        "factors",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("processor", _TEXT, primary_key=True, nullable=False),
        sa.Column("factor", _TEXT, primary_key=True, nullable=False),
        sa.Column("value", _TEXT, nullable=False),
        sa.Column("occurred_at", _TEXT, nullable=False),
        sa.Column("change_id", _TEXT, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "consolidations",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("processor", _TEXT, primary_key=True, nullable=False),
        sa.Column("processor_type", _TEXT, nullable=True),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("active", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("completed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("failed", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("contributing", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ruleset_name", _TEXT, nullable=False),
        sa.Column("ruleset_digest", _TEXT, nullable=False),
        sa.Column("occurred_at", _TEXT, nullable=False),
        sa.Column("change_id", _TEXT, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("version_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "factor_changes",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("processor", _TEXT, primary_key=True, nullable=False),
        sa.Column("version_offset", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("change_id", _TEXT, nullable=False),
        sa.Column("previous_outcome", _TEXT, nullable=False),
        sa.Column("outcome", _TEXT, nullable=False),
        sa.Column("cause_status", _TEXT, nullable=False),
        sa.Column("cause_execution_id", _TEXT, nullable=True),
        sa.Column("cause_event_id", _TEXT, nullable=True),
        sa.Column("occurred_at", _TEXT, nullable=False),
        sa.Column("changed", _TEXT, nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sa.Column("journal_offset", sa.BigInteger(), autoincrement=False, nullable=False),
    )
    op.create_table(
        "processor_policies",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("processor", _TEXT, primary_key=True, nullable=False),
        sa.Column("keep_previous", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )


def _create_letters_and_positions() -> None:
    """What could not be read, and how far everything is."""
    op.create_table(
        "dead_letters",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("letter_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("application_id", _TEXT, nullable=True),
        sa.Column("error_class", _TEXT, nullable=False),
        sa.Column("message", _TEXT, nullable=False),
        sa.Column("state", _TEXT, nullable=False),
        sa.Column("source_time", _TEXT, nullable=False),
    )
    op.create_table(
        "sink_position",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("next_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changes_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("letters_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner_epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", _TEXT, nullable=False),
        sa.Column("ruleset_digest", _TEXT, nullable=False),
        sa.Column("record_time_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seen_at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_offset", sa.BigInteger(), autoincrement=False, nullable=False),
    )
    op.create_table(
        "sink_database",
        sa.Column("database_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("application_group", _TEXT, nullable=False),
        sa.Column("source_topic", _TEXT, nullable=False),
        sa.Column("source_topic_id", _TEXT, nullable=False),
        sa.Column("partitions", sa.BigInteger(), autoincrement=False, nullable=False),
    )
    op.create_table(
        "sink_quarantine",
        sa.Column("topic", _TEXT, primary_key=True, nullable=False),
        sa.Column("partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("record_offset", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("target", _TEXT, primary_key=True, nullable=False),
        sa.Column("cause", _TEXT, nullable=False),
    )


def _create_source() -> None:
    """What further makes an application's log, so that it can be folded again from here."""
    op.create_table(
        "event_copies",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event_id", _TEXT, nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("document", _TEXT, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "incomplete_applications",
        sa.Column("application_id", _TEXT, primary_key=True, nullable=False),
        sa.Column("source_partition", sa.BigInteger(), autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "ruleset_adoptions",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("digest_before", _TEXT, nullable=True),
        sa.Column("digest_after", _TEXT, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rulesets",
        sa.Column("ruleset_digest", _TEXT, primary_key=True, nullable=False),
        sa.Column("catalogue", _TEXT, nullable=False),
    )
    op.create_table(
        "record_times",
        sa.Column("source_partition", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("recorded_at_ms", sa.BigInteger(), primary_key=True, autoincrement=False, nullable=False),
        sa.Column("source_offset", sa.BigInteger(), autoincrement=False, nullable=False),
        sqlite_with_rowid=False,
    )
