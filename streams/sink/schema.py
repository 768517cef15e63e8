"""The tables, as queries and bulk statements need them. What creates them is in ``streams/sink/migrations``.

``docs/sql.md`` says which tables and columns are contract. A test compares a migrated database with this module.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, Table, Text, text

__all__ = ["CURRENT", "NEXT", "PREVIOUS", "SINK_DATABASE", "TEXT", "Tables"]

TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")
"""Compared by code points, as the core compares ids, whatever the database's own collation is."""


def _text(name: str, *, key: bool = False, null: bool = False) -> Column[str]:
    return Column(name, TEXT, primary_key=key, nullable=null)


def _number(name: str, *, key: bool = False, null: bool = False) -> Column[int]:
    return Column(name, BigInteger(), primary_key=key, nullable=null, autoincrement=False)


def _lifecycle_events(metadata: MetaData, prefix: str) -> Table:
    """An event of an execution.

    ``digest``: of its content, hexadecimal. ``attempt`` null: all attempts. ``output``: the factors of a completed one
    as a JSON object. ``recorded_at_ms``: when the broker took the record. ``document``: its value as published, JSON.
    Both null: the row does not come from the log, but from a backfill of the user's own.
    """
    return Table(
        f"{prefix}lifecycle_events",
        metadata,
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
        _number("recorded_at_ms", null=True),
        _text("document", null=True),
        Index(
            f"{prefix}lifecycle_events_supersedes",
            "application_id",
            "processor",
            "supersedes",
            sqlite_where=text("supersedes IS NOT NULL"),
            postgresql_where=text("supersedes IS NOT NULL"),
        ),
    )


def _factors(metadata: MetaData, prefix: str) -> Table:
    """A factor that there is; a cleared factor is a deleted row.

    ``value``: JSON. The rest is of the change that set it.
    """
    return Table(
        f"{prefix}factors",
        metadata,
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


def _consolidations(metadata: MetaData, prefix: str) -> Table:
    """The current result of a pair, and its last change."""
    return Table(
        f"{prefix}consolidations",
        metadata,
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


def _factor_changes(metadata: MetaData, prefix: str) -> Table:
    """A change of factors.

    ``changed``: the differences as published, JSON. ``document``: the whole record as published, JSON.
    ``journal_offset``: where in ``factor-changes`` it stands, in the partition of its source.
    """
    return Table(
        f"{prefix}factor_changes",
        metadata,
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
        _number("journal_offset"),
    )


def _dead_letters(metadata: MetaData, prefix: str) -> Table:
    """A dead letter without its content.

    ``application_id``: where the record's key names one. ``state``: open, redriven or came_back.
    """
    return Table(
        f"{prefix}dead_letters",
        metadata,
        _number("source_partition", key=True),
        _number("source_offset", key=True),
        _number("letter_offset"),
        _text("application_id", null=True),
        _text("error_class"),
        _text("message"),
        _text("state"),
        _text("source_time"),
    )


def _erased_events(metadata: MetaData, prefix: str) -> Table:
    """The hash of an erased event's id: late copies stay out."""
    return Table(
        f"{prefix}erased_events",
        metadata,
        _text("application_id", key=True),
        _text("event_hash", key=True),
        _number("source_partition"),
        sqlite_with_rowid=False,
    )


def _erased_applications(metadata: MetaData, prefix: str) -> Table:
    """An application that is or was erased as a whole, by a salted hash of its id.

    ``state``: ``erased``, ``lifted``, or ``refused``: the erasure had no entry, and erased nothing.
    """
    return Table(
        f"{prefix}erased_applications",
        metadata,
        _number("source_partition", key=True),
        _text("salt", key=True),
        _text("application_hash", key=True),
        _number("source_offset"),
        _text("state"),
        sqlite_with_rowid=False,
    )


def _event_copies(metadata: MetaData, prefix: str) -> Table:
    """A further copy of an event in ``lifecycle_events``; it changed nothing."""
    return Table(
        f"{prefix}event_copies",
        metadata,
        _text("application_id", key=True),
        _number("source_offset", key=True),
        _number("source_partition"),
        _text("event_id"),
        _number("recorded_at_ms"),
        _text("document"),
        sqlite_with_rowid=False,
    )


def _incomplete_applications(metadata: MetaData, prefix: str) -> Table:
    """An application whose log has tombstones, dead letters or foreign records, which the database must not hold."""
    return Table(
        f"{prefix}incomplete_applications",
        metadata,
        _text("application_id", key=True),
        _number("source_partition"),
        sqlite_with_rowid=False,
    )


def _ruleset_adoptions(metadata: MetaData, prefix: str) -> Table:
    """A record that adopts another ruleset, for its whole partition; null digests: it was refused."""
    return Table(
        f"{prefix}ruleset_adoptions",
        metadata,
        _number("source_partition", key=True),
        _number("source_offset", key=True),
        _number("recorded_at_ms"),
        _text("digest_before", null=True),
        _text("digest_after", null=True),
        sqlite_with_rowid=False,
    )


def _rulesets(metadata: MetaData, prefix: str) -> Table:
    """A catalogue by its digest, as JSON, as Kafka has it."""
    return Table(
        f"{prefix}rulesets",
        metadata,
        _text("ruleset_digest", key=True),
        _text("catalogue"),
    )


def _record_times(metadata: MetaData, prefix: str) -> Table:
    """A broker's time that is later than all earlier ones of the partition, and the first offset with it.

    One query finds the first record at or after any time, including records that are in no other table.
    """
    return Table(
        f"{prefix}record_times",
        metadata,
        _number("source_partition", key=True),
        _number("recorded_at_ms", key=True),
        _number("source_offset"),
        sqlite_with_rowid=False,
    )


def _processor_policies(metadata: MetaData, prefix: str) -> Table:
    """Which processors of a partition keep what a failed rerun replaces elsewhere, by the ruleset in force there."""
    return Table(
        f"{prefix}processor_policies",
        metadata,
        _number("source_partition", key=True),
        _text("processor", key=True),
        Column("keep_previous", Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )


def _sink_position(metadata: MetaData, prefix: str) -> Table:
    """The cut of a partition: everything before ``next_offset`` is in the tables.

    ``record_time_ms``: the latest of the broker's times of the records before it. ``seen_at_ms``: when a sink was last
    at the partition, by its clock. ``first_offset``: where it began.
    """
    return Table(
        f"{prefix}sink_position",
        metadata,
        _number("source_partition", key=True),
        _number("next_offset"),
        _number("changes_offset"),
        _number("letters_offset"),
        _number("owner_epoch"),
        _text("owner"),
        _text("ruleset_digest"),
        _number("record_time_ms"),
        _number("seen_at_ms"),
        _number("first_offset"),
    )


def _sink_quarantine(metadata: MetaData, prefix: str) -> Table:
    """A record whose row in a table (``target``) the database refuses, and why; without its values."""
    return Table(
        f"{prefix}sink_quarantine",
        metadata,
        _text("topic", key=True),
        _number("partition", key=True),
        _number("record_offset", key=True),
        _text("target", key=True),
        _text("cause"),
    )


class Tables:
    """One set of tables; another one may stand beside it, under another prefix.

    Args:
        prefix: what the names of its tables, indexes and views begin with.

    Attributes:
        prefix: likewise.
        metadata: all tables of the set.
        of_application: the tables with rows that an application's erasure takes away.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix: Final = prefix
        metadata = MetaData()
        self.metadata: Final = metadata
        self.lifecycle_events: Final = _lifecycle_events(metadata, prefix)
        self.factors: Final = _factors(metadata, prefix)
        self.consolidations: Final = _consolidations(metadata, prefix)
        self.factor_changes: Final = _factor_changes(metadata, prefix)
        self.dead_letters: Final = _dead_letters(metadata, prefix)
        self.erased_events: Final = _erased_events(metadata, prefix)
        self.erased_applications: Final = _erased_applications(metadata, prefix)
        self.event_copies: Final = _event_copies(metadata, prefix)
        self.incomplete_applications: Final = _incomplete_applications(metadata, prefix)
        self.ruleset_adoptions: Final = _ruleset_adoptions(metadata, prefix)
        self.rulesets: Final = _rulesets(metadata, prefix)
        self.record_times: Final = _record_times(metadata, prefix)
        self.processor_policies: Final = _processor_policies(metadata, prefix)
        self.sink_position: Final = _sink_position(metadata, prefix)
        self.sink_quarantine: Final = _sink_quarantine(metadata, prefix)
        self.of_application: Final = (
            self.lifecycle_events,
            self.factors,
            self.consolidations,
            self.factor_changes,
            self.dead_letters,
            self.erased_events,
            self.event_copies,
            self.incomplete_applications,
        )

    @property
    def by_name(self) -> Mapping[str, Table]:
        """The set's tables, by their names without the prefix."""
        return {self.name_of(table): table for table in self.metadata.sorted_tables}

    def name_of(self, table: Table) -> str:
        """A table's name without the prefix."""
        return table.name.removeprefix(self.prefix)


CURRENT: Final = Tables("")
"""What readers read, and the running sink writes."""

NEXT: Final = Tables("next_")
"""What is built beside it."""

PREVIOUS: Final = Tables("previous_")
"""What was current before the last switch."""

SINK_DATABASE: Final = Table(
    "sink_database",
    MetaData(),
    _text("database_id", key=True),
    _text("application_group"),
    _text("source_topic"),
    _text("source_topic_id"),
    _number("partitions"),
)
"""Of no set. One row: which installation the database belongs to."""
