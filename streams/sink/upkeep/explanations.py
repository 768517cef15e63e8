"""Why rows may be different although neither side is wrong: what Kafka no longer has, what the database refused."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select

from models.errors import ContractError
from streams.partition.state.erased_events import erased_hash
from streams.sink.bulk import Row
from streams.sink.rows import place_of
from streams.sink.sets.positions import positions
from streams.sink.upkeep.comparison import Side, differing
from streams.sink.upkeep.forgotten import ForgottenLetters
from streams.sink.upkeep.later_records import replaced
from streams.sink.upkeep.log import Log

__all__ = ["REASONS", "Explanations"]

QUARANTINED: Final = "quarantined"
ERASED: Final = "erased_before"
EXPIRED: Final = "letter_expired"
FORGOTTEN: Final = "tombstone_gone"
COMPACTED: Final = "earlier_copy_gone"
DELETED: Final = "before_the_log"
REPLACED: Final = "record_replaced"
RULESET: Final = "ruleset_change_gone"
MARKED: Final = "record_gone"

REASONS: Final = {
    QUARANTINED: "rows that the database refused: sink_quarantine",
    ERASED: "erased events that were published again after their tombstones had left Kafka: the hash excludes them",
    EXPIRED: "dead letters that Kafka no longer has: they are kept there for 30 days",
    FORGOTTEN: "hashes of erased events whose tombstones Kafka no longer has",
    COMPACTED: "events of which Kafka has a later copy only",
    DELETED: "rows of records before the log's beginning",
    REPLACED: "events whose record Kafka has replaced by a later one with the same id and other content",
    MARKED: "marks of applications and times, of records that Kafka no longer has",
    RULESET: "policies of a ruleset that only erased changes have named",
}
"""What is no difference, for people."""


_OF_EVENTS: Final = frozenset({"lifecycle_events", "event_copies"})
_OF_RECORDS: Final = {
    "lifecycle_events": frozenset({"source_offset", "recorded_at_ms", "document"}),
    "record_times": frozenset({"source_offset"}),
}
"""The columns in which a later record's row is different."""


class Explanations:
    """Says of a row why it is no difference.

    Args:
        database: the database.
        other: what was built of the log.
        log: what Kafka has; nothing else reads of it when it is asked.
        letters: dead letters that Kafka no longer has.
    """

    def __init__(self, database: Side, other: Side, log: Log, letters: ForgottenLetters) -> None:
        self._connection, self._tables = database
        self._other = other
        self._log = log
        self._letters = letters
        self._ours, self._theirs = positions(*database), positions(*other)
        self._rulesets: dict[int, bool] = {}

    def __call__(self, name: str, ours: Row | None, theirs: Row | None) -> str | None:
        """See :data:`~streams.sink.upkeep.comparison.Explain`."""
        if theirs is not None and self._is_quarantined(name, theirs):
            return QUARANTINED
        row = theirs if ours is None else ours
        if name == "processor_policies" and row is not None and self.is_other_ruleset(row[0]):
            return RULESET
        if ours is None and theirs is not None:
            return ERASED if name in _OF_EVENTS and self._is_erased(name, theirs) else None
        if ours is not None and theirs is None:
            return self._gone(name, ours)
        if ours is not None and theirs is not None and name in _OF_RECORDS:
            table = self._tables.by_name[name]
            at = table.columns.keys().index("source_offset")
            if _OF_RECORDS[name].issuperset(differing(table, ours, theirs)) and ours[at] < theirs[at]:
                return COMPACTED
        return None

    def extra_events(self, rows: Sequence[Row]) -> list[str | None]:
        """See :class:`~streams.sink.upkeep.comparison.Explain`."""
        cuts = {partition: one.cursor for partition, one in self._ours.items()}
        found = replaced(self._log, cuts, rows) if rows else set()
        return [REPLACED if number in found else None for number in range(len(rows))]

    def is_other_ruleset(self, partition: int) -> bool:
        """See :class:`~streams.sink.upkeep.comparison.Explain`: the policies are those of the ruleset that it names."""
        if partition not in self._rulesets:
            ours, theirs = self._ours.get(partition), self._theirs.get(partition)
            differ = ours is not None and theirs is not None and ours.ruleset_digest != theirs.ruleset_digest
            self._rulesets[partition] = differ and self._has_policies(partition, self._ours[partition].ruleset_digest)
        return self._rulesets[partition]

    def _has_policies(self, partition: int, digest: str) -> bool:
        table = self._tables.processor_policies
        rows = self._connection.execute(select(table).where(table.c.source_partition == partition))
        try:
            return {(row.processor, row.keep_previous) for row in rows} == {
                (processor, True) for processor in self._log.keeping(digest)
            }
        except ContractError:
            # Kafka has no such ruleset.
            return False

    def _gone(self, name: str, row: Row) -> str | None:
        """Why the log has no such row any more."""
        if name == "erased_events":
            return FORGOTTEN
        if name in {"incomplete_applications", "record_times"}:
            return MARKED
        if name == "event_copies" and self._has_later_copy(row):
            return COMPACTED
        if name == "dead_letters":
            return EXPIRED if self._letters.has(row) else None
        partition, offset = place_of(self._tables.by_name[name], row)
        first = self._log.first.get(partition)
        return DELETED if first is not None and 0 <= offset < first.next else None

    def _is_quarantined(self, name: str, row: Row) -> bool:
        partition, offset = place_of(self._tables.by_name[name], row)
        table = self._tables.sink_quarantine
        wanted = select(table.c.cause).where(
            table.c.topic == self._log.topics.executions.name,
            table.c.partition == partition,
            table.c.record_offset == offset,
            table.c.target == name,
        )
        return self._connection.execute(wanted).first() is not None

    def _has_later_copy(self, row: Row) -> bool:
        """Whether the log's rows have a copy's event from this offset on."""
        connection, tables = self._other
        values = dict(zip(self._tables.event_copies.columns.keys(), row, strict=True))
        return any(
            connection.execute(
                select(table.c.source_offset).where(
                    table.c.application_id == values["application_id"],
                    table.c.event_id == values["event_id"],
                    table.c.source_offset >= values["source_offset"],
                )
            ).first()
            is not None
            for table in (tables.lifecycle_events, tables.event_copies)
        )

    def _is_erased(self, name: str, row: Row) -> bool:
        table = self._tables.erased_events
        values = dict(zip(self._tables.by_name[name].columns.keys(), row, strict=True))
        wanted = select(table.c.event_hash).where(
            table.c.application_id == values["application_id"],
            table.c.event_hash == erased_hash(values["event_id"]).hex(),
        )
        return self._connection.execute(wanted).first() is not None
