"""The erasures that a partition remembers, and how a tombstone or an erasure removes rows. See docs/decisions/0010."""

from collections.abc import Iterator

from consolidator.keys import application_prefix, parse_event_key
from consolidator.source_records import ERASURE_HEADER
from models.errors import BadEventError, Defect
from models.events import Position
from models.lengths import MAX_ID_BYTES
from models.rows import ErasedApplication, Erasures
from streams.core.fold import Pair, Step, erase_event, holds_event
from streams.partition.batch import Outgoing
from streams.partition.record_kinds import Tombstone
from streams.partition.result import Folded
from streams.partition.rows import PartitionRows
from streams.partition.state.erased_applications import ErasedApplications, erased_key
from streams.partition.state.erased_events import HASH_BYTES, erased_hash, holds, with_hash
from streams.partition.state.row_codec import RowReader
from topics.contract.declared import Topics
from topics.records.erasures import Erasure, salted_hash

__all__ = ["PartitionErasures"]


class PartitionErasures:
    """The erasures of one partition.

    Args:
        partition: the source partition.
        topics: the declared topics.
        rows: the partition's rows.
        stored: the rows as they are stored.
        count: how many of the rows are about erasures.

    Attributes:
        count: how many rows are about erasures. If there are none, the fold does not look erasures up.
    """

    def __init__(self, partition: int, topics: Topics, rows: PartitionRows, stored: RowReader, count: int) -> None:
        self._partition = partition
        self._source_topic = topics.executions.name
        self._factors_topic = topics.factors.name
        self._rows = rows
        self._applications = ErasedApplications(stored, stored=count > 0, partition=partition)
        self.count = count

    def has_application(self, prefix: bytes) -> bool:
        """Whether the application whose keys start with a prefix is erased as a whole."""
        return self._applications.holds(prefix)

    def has_event(self, prefix: bytes, event_id: str) -> bool:
        """Whether a tombstone erased an event of the application whose keys start with a prefix."""
        erasures = self._rows.erasures(prefix)
        return erasures is not None and holds(erasures.hashes, erased_hash(event_id))

    def late_tombstone(self, key: bytes) -> Outgoing:
        """The tombstone that takes a late event of an erased application out of the log again."""
        return Outgoing(self._source_topic, self._partition, key, None, [(ERASURE_HEADER, b"late")])

    def require_known(self, tombstone: Tombstone) -> None:
        """Refuse a tombstone for ids beyond the limits, unless the state has the event.

        Raises:
            BadEventError: ``too_long``.
        """
        pairs = self._rows.pairs_of(application_prefix(tombstone.application_id))
        if not any(holds_event(pair, tombstone.event_id) for _, pair in pairs):
            raise BadEventError(
                Defect.TOO_LONG,
                f"the key of a tombstone names an application or an event with more than {MAX_ID_BYTES} bytes: there "
                "is no such event",
            )

    def erase_event(
        self, tombstone: Tombstone, position: Position, folded: Folded
    ) -> Iterator[tuple[bytes, Pair, Step]]:
        """Erase an event permanently, from every pair of its application that has it.

        Args:
            tombstone: names the event.
            position: where the tombstone stands.
            folded: the batch's result, which gets the row of the application's erased events.

        Yields:
            For each pair that has the event: the row's key, the pair, and the step that removes the event.

        Raises:
            BadEventError: ``execution_limit``: the row of erased events is full.
        """
        erasures_key = application_prefix(tombstone.application_id)
        if self.count and self._applications.holds(erasures_key):
            return
        erasures = self._rows.erasures(erasures_key)
        erased = erased_hash(tombstone.event_id)
        hashes = () if erasures is None else erasures.hashes
        if holds(hashes, erased):
            return
        hashes = with_hash(hashes, erased)
        if erasures is None:
            self.count += 1
        folded.removed.discard(erasures_key)
        folded.erasures[erasures_key] = Erasures(tombstone.application_id, position.offset, hashes)
        folded.erasures_bytes += HASH_BYTES * len(hashes)
        for row_key, pair in self._rows.pairs_of(erasures_key):
            if holds_event(pair, tombstone.event_id):
                yield row_key, pair, erase_event(pair, tombstone.event_id, position, self._rows.rules)

    def erase_application(self, erasure: Erasure, offset: int, folded: Folded) -> bool:
        """Forget everything about an application, and refuse its events from here on; or accept them again.

        Args:
            erasure: the erasure, or the lift of one.
            offset: of its record.
            folded: the batch's result.

        Returns:
            Whether an application was erased that was not erased before.
        """
        row_key = erased_key(erasure)
        if erasure.lifted:
            if self._applications.lift(erasure):
                self._remove(row_key, folded, is_about_erasure=True)
            return False
        if not self._applications.add(erasure):
            return False
        folded.removed.discard(row_key)
        folded.erased[row_key] = ErasedApplication(erasure.salt, erasure.hash, offset)
        self.count += 1
        for key in self._rows.keys_where(lambda prefix: salted_hash(erasure.salt, prefix) == erasure.hash):
            is_pair = parse_event_key(key) is not None
            if is_pair:
                folded.outbox.add(Outgoing(self._factors_topic, self._partition, key, None))
            folded.erased_prefixes.add(key[: key.index(b"/") + 1])
            self._remove(key, folded, is_about_erasure=not is_pair)
        return True

    def _remove(self, key: bytes, folded: Folded, *, is_about_erasure: bool) -> None:
        """Remove a row, in memory and in the batch's result."""
        for changed in (folded.rewritten, folded.pairs, folded.erasures, folded.erased):
            changed.pop(key, None)
        folded.outbox.withdraw_factors(key)
        self._rows.drop(key)
        folded.removed.add(key)
        if is_about_erasure:
            self.count -= 1
