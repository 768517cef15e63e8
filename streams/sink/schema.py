"""The tables, as queries and bulk statements need them. What creates them is in ``streams/sink/migrations``.

``docs/sql.md`` says which tables and columns are contract. A test compares a migrated database with this module.
"""

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table, Text

__all__ = [
    "CONSOLIDATIONS",
    "DEAD_LETTERS",
    "ERASED_APPLICATIONS",
    "ERASED_EVENTS",
    "FACTORS",
    "FACTOR_CHANGES",
    "LIFECYCLE_EVENTS",
    "METADATA",
    "OF_APPLICATION",
    "PROCESSOR_POLICIES",
    "SINK_DATABASE",
    "SINK_POSITION",
    "SINK_QUARANTINE",
    "TEXT",
]

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared by code points, as the core compares ids, whatever the database's own collation is."""

METADATA: Final = MetaData()


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=key, nullable=null)


def _number(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    return Column(name, BigInteger(), primary_key=key, nullable=null, autoincrement=False)


LIFECYCLE_EVENTS: Final = Table(
    "lifecycle_events",
    METADATA,
    _text("application_id", key=True),
    _text("processor", key=True),
    _text("execution_id", key=True),
    _text("event_id", key=True),
    _text("digest", key=True),
    _text("status"),
    _number("attempt", null=True),
    _number("sequence", null=True),
    _text("occurred_at"),
    _text("output", null=True),
    _text("error_code", null=True),
    _text("supersedes", null=True),
    _number("source_partition"),
    _number("source_offset"),
)
"""An event of an execution. ``digest``: of its content, hexadecimal. ``attempt`` null: all attempts. ``output``: the
factors of a completed one as a JSON object."""

Index(
    "lifecycle_events_supersedes",
    LIFECYCLE_EVENTS.c.application_id,
    LIFECYCLE_EVENTS.c.processor,
    LIFECYCLE_EVENTS.c.supersedes,
    sqlite_where=LIFECYCLE_EVENTS.c.supersedes.is_not(None),
    postgresql_where=LIFECYCLE_EVENTS.c.supersedes.is_not(None),
)

FACTORS: Final = Table(
    "factors",
    METADATA,
    _text("application_id", key=True),
    _text("processor", key=True),
    _text("factor", key=True),
    _text("value"),
    _text("occurred_at"),
    _text("change_id"),
    _number("source_partition"),
    _number("version_offset"),
    sqlite_with_rowid=False,
)
"""A factor that there is; a cleared factor is a deleted row. ``value``: JSON. The rest is of the change that set it."""

CONSOLIDATIONS: Final = Table(
    "consolidations",
    METADATA,
    _text("application_id", key=True),
    _text("processor", key=True),
    _text("processor_type", null=True),
    _text("outcome"),
    _number("active"),
    _number("completed"),
    _number("failed"),
    _number("contributing"),
    _text("ruleset_name"),
    _text("ruleset_digest"),
    _text("occurred_at"),
    _text("change_id"),
    _number("source_partition"),
    _number("version_offset"),
    sqlite_with_rowid=False,
)
"""The current result of a pair, and its last change."""

FACTOR_CHANGES: Final = Table(
    "factor_changes",
    METADATA,
    _text("application_id", key=True),
    _text("processor", key=True),
    _number("version_offset", key=True),
    _number("source_partition"),
    _text("change_id"),
    _text("previous_outcome"),
    _text("outcome"),
    _text("cause_status"),
    _text("cause_execution_id", null=True),
    _text("cause_event_id", null=True),
    _text("occurred_at"),
    _text("changed"),
    _text("document"),
)
"""A change. ``changed``: the differences as published, JSON. ``document``: the whole record as published, JSON."""

DEAD_LETTERS: Final = Table(
    "dead_letters",
    METADATA,
    _number("source_partition", key=True),
    _number("source_offset", key=True),
    _number("letter_offset"),
    _text("application_id", null=True),
    _text("error_class"),
    _text("message"),
    _text("state"),
    _text("source_time"),
)
"""A dead letter without its content. ``application_id``: where the record's key names one. ``state``: open, redriven or
came_back."""

ERASED_EVENTS: Final = Table(
    "erased_events",
    METADATA,
    _text("application_id", key=True),
    _text("event_hash", key=True),
    _number("source_partition"),
    sqlite_with_rowid=False,
)
"""The hash of an erased event's id: late copies stay out."""

ERASED_APPLICATIONS: Final = Table(
    "erased_applications",
    METADATA,
    _number("source_partition", key=True),
    _text("salt", key=True),
    _text("application_hash", key=True),
    _number("source_offset"),
    sqlite_with_rowid=False,
)
"""An application that is erased as a whole, by a salted hash of its id."""

PROCESSOR_POLICIES: Final = Table(
    "processor_policies",
    METADATA,
    _number("source_partition", key=True),
    _text("processor", key=True),
    Column("keep_previous", Boolean(), nullable=False),
    sqlite_with_rowid=False,
)
"""Which processors of a partition keep what a failed rerun replaces elsewhere, by the ruleset in force there."""

SINK_POSITION: Final = Table(
    "sink_position",
    METADATA,
    _number("source_partition", key=True),
    _number("next_offset"),
    _number("changes_offset"),
    _number("letters_offset"),
    _number("owner_epoch"),
    _text("owner"),
    _text("ruleset_digest"),
    _number("record_time_ms"),
    _number("seen_at_ms"),
)
"""The cut of a partition: everything before ``next_offset`` is in the tables. ``record_time_ms``: the broker's time of
the last record before it. ``seen_at_ms``: when a sink was last at the partition, by its clock."""

SINK_DATABASE: Final = Table(
    "sink_database",
    METADATA,
    _text("database_id", key=True),
    _text("application_group"),
    _text("source_topic"),
    _text("source_topic_id"),
    _number("partitions"),
)
"""One row: which installation the database belongs to."""

SINK_QUARANTINE: Final = Table(
    "sink_quarantine",
    METADATA,
    _text("topic", key=True),
    _number("partition", key=True),
    _number("record_offset", key=True),
    _text("target", key=True),
    _text("cause"),
)
"""A record whose row in a table (``target``) the database refuses, and why; without its values."""

OF_APPLICATION: Final = (LIFECYCLE_EVENTS, FACTORS, CONSOLIDATIONS, FACTOR_CHANGES, DEAD_LETTERS, ERASED_EVENTS)
"""The tables with rows that an application's erasure takes away."""
