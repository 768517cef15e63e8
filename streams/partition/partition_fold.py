"""One partition's fold: records in, records out, rows changed. No Kafka client, no clock: a replay can run it too.

Each step handles thousands of records: every module of this package is called once for all of them, see
:mod:`streams.partition.outbox`.
"""

import sys
from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from consolidator.keys import partition_of
from models.errors import BadEventError
from models.events import LifecycleEvent, Position
from models.rows import HalfwayMark
from streams.core.change import RulesetCause
from streams.core.fold import Pair, Step, apply_event
from streams.core.rules import Rules
from streams.partition.adoption import PART_PAIRS, Adopting, GoingOver, Refolded, mark_after
from streams.partition.batch import Batch, SourceRecord
from streams.partition.change_size import CHANGE_BYTES, CHANGE_FACTOR, ChangeLimit, issues_size
from streams.partition.dead_letters import application_erased, dead_letter
from streams.partition.erasure import PartitionErasures
from streams.partition.judge import Judge
from streams.partition.observer import FoldedEvent, Observer
from streams.partition.outbox import Outbox
from streams.partition.record_kinds import Adopted, Edge, Foreign, ForeignRemoval, Kind, Tombstone, is_adoption
from streams.partition.republication import Republication
from streams.partition.result import Folded
from streams.partition.rows import PartitionRows
from streams.partition.ruleset_switches import NoSwitches, RulesetSwitches
from streams.partition.sizes import decoded_together
from streams.partition.state.row_codec import RowReader
from streams.partition.state.stored_mark import still_halfway, stored_mark
from topics.contract.declared import Topics
from topics.records.erasure_authority import ErasureAuthority, NoErasure
from topics.records.erasures import Erasure

__all__ = ["PartitionFold"]

_UNWRITTEN_BYTES: Final = 16 * 1024 * 1024
"""The greatest number of bytes of changes that are kept as values before they are encoded: about 3,000 changes in the
design's workload. Until then each of them keeps the whole state before and after it in memory."""


class PartitionFold:
    """Folds the batches of one partition, one after the other.

    Args:
        partition: the source partition.
        topics: the declared topics.
        rules: the catalogue.
        rows: the stored rows of the partition.
        max_event_bytes: larger events become dead letters.
        cached_pairs: how many unpinned pairs stay decoded in memory.
        cached_weight: the greatest total weight of those pairs' rows (:attr:`models.rows.Row.weight`).
        topic_id: the source topic's id; "": not known.
        switches: knows where another ruleset was adopted.
        authority: knows which erasures count.
        observer: called for each event.
        publishes: whether the records to publish are made; if not, only rows are.
        keeps_changes: whether the result has the changes as values, too; a replay needs them.

    Attributes:
        mark: how far the partition is applied.
        switches: knows where another ruleset was adopted.
        authority: knows which erasures count.

    Raises:
        ContractError: the stored rows were folded with another catalogue, or from another topic of the same name.
    """

    def __init__(
        self,
        partition: int,
        topics: Topics,
        rules: Rules,
        rows: RowReader,
        *,
        max_event_bytes: int,
        cached_pairs: int,
        cached_weight: int,
        topic_id: str = "",
        switches: RulesetSwitches | None = None,
        authority: ErasureAuthority | None = None,
        observer: Observer | None = None,
        publishes: bool = True,
        keeps_changes: bool = False,
    ) -> None:
        self._partition = partition
        self._topics = topics
        self._partitions = topics.partitions
        self._source_topic = topics.executions.name
        self._edge = Edge(partition, topics.partitions, max_event_bytes)
        self._republication = Republication(topics.executions)
        self._rules = rules
        self._observer = observer or Observer()
        self._unreported: list[FoldedEvent] = []
        self._publishes = publishes
        self._keeps_changes = keeps_changes
        self.switches = switches or NoSwitches()
        self.authority = authority or NoErasure()
        self._rows = PartitionRows(rows, rules, cached_pairs, cached_weight, partition)
        mark = stored_mark(rows, partition, rules, self._source_topic, topic_id)
        self._halfway = mark if isinstance(mark, HalfwayMark) else None
        plain = mark if self._halfway is None else self._halfway.plain
        self.mark = replace(plain, topic_id=topic_id or mark.topic_id)
        self._change_limit = ChangeLimit(self._topics)
        self._erasures = PartitionErasures(partition, topics, self._rows, rows, mark.erasures)

    @property
    def gone_over(self) -> bytes:
        """The key up to which the pairs have gone over to another ruleset; empty: they have not begun to."""
        return b"" if self._halfway is None else self._halfway.gone_over

    def adoption_in(self, batch: Batch) -> Adopting | None:
        """The first record of a batch that adopts another ruleset than the partition has; None: no record does.

        Raises:
            ContractError: the ruleset is not in Kafka, or is not this worker's.
        """
        self.switches.fetched(batch.end)
        for record in batch.records:
            if is_adoption(record.key) and record.offset > self.mark.applied:
                rules = self.switches.rules_at(record.offset)
                if rules is not None and rules.digest != self._rules.digest:
                    return Adopting(record, rules)
        return None

    def fold(self, batch: Batch, room: int = sys.maxsize) -> Folded:
        """Fold a batch, or as much of it as there is room for.

        The batch must not contain an adoption, see :meth:`adoption_in`. The result's rows stay pinned in the cache
        until :meth:`written` is called for it.

        1. Skip records that the state contains already: outputs and state were committed together, so nothing is lost.
        2. Classify some records.
        3. Apply them in order, each kind by its own function. Stop after the record whose output fills the room.
        4. Encode the records to publish, with the ``factors`` record of each pair that changed.

        Args:
            batch: the batch.
            room: the greatest number of bytes of output, about as in memory. One record is folded in any case.
        """
        if self._halfway is not None:
            raise still_halfway(self._source_topic, self._halfway)
        folded = Folded(self.mark, outbox=Outbox(keeps_changes=self._keeps_changes))
        self._rows.pin(folded)
        self.switches.fetched(batch.end)
        self.authority.fetched(self._partition, batch.end)
        applied = self.mark.applied
        # 1.
        records = [record for record in batch.records if record.offset > applied]
        folded.events = len(records)
        start, end = 0, batch.end
        while start < len(records) and end == batch.end:
            # 2.
            stop = decoded_together(records, start)
            some = records[start:stop]
            kinds, row_keys = self._edge.classified(some, self.switches, self.authority)
            # 3.
            full_at = self._apply(some, kinds, row_keys, folded, room)
            if full_at is not None and full_at != records[-1].offset:
                end = full_at + 1
                folded.events = sum(each.offset < end for each in records)
            start = stop
        self._rows.keep(folded)
        self._observer.batch_ended()
        # 4.
        if self._publishes:
            self._observer.changed(folded.outbox.pending)
            folded.outgoing, folded.changes = folded.outbox.drained(self._topics, self._partition, self._rules)
        folded.end = end
        self.mark = folded.mark = replace(self.mark, applied=max(applied, end - 1), erasures=self._erasures.count)
        return folded

    def go_over(
        self, adopting: Adopting, refolded: Refolded, *, part_pairs: int = PART_PAIRS
    ) -> Generator[Folded, None, None]:
        """Go over to another ruleset: every pair's row is rewritten, and differences are published.

        1. Compare pair by pair, from the mark's key on, with the pairs that were folded again: rows keep only the
           fields that their own ruleset reads. If the new rows lack an event, the log no longer has it.
        2. With the last part the record counts as applied, and the new rules hold. The rows about erasures stay.

        Args:
            adopting: the record; everything before it is applied and stored.
            refolded: the partition's pairs, folded from its beginning to the record, with the new rules.
            part_pairs: most pairs in one part.

        Yields:
            The parts; the rows of each are to be stored, and :meth:`written` to be called for it, in this order.
        """
        record, rules = adopting
        halfway = self._halfway
        if halfway is not None and halfway.adoption != record.offset:
            raise still_halfway(self._source_topic, halfway)
        cause = RulesetCause(self._rules.digest, rules.digest, record.timestamp * 1000, self._position(record))
        going = GoingOver(
            Judge(self._partition, self._topics, self._rules, rules),
            cause,
            self._topics,
            self._partition,
            part_pairs,
            keeps_changes=self._keeps_changes,
        )
        # 1.
        after = self.gone_over
        old = self._rows.stored_after(after, self._is_home)
        for part in going.parts(old, refolded.pairs_after(after)):
            mark = mark_after(self.mark, adopting, part)
            folded = Folded(
                mark,
                events=int(part.is_last),
                outgoing=part.outgoing,
                changes=part.changes,
                rewritten=part.rows,
            )
            self._rows.pin(folded)
            self._halfway = mark if isinstance(mark, HalfwayMark) else None
            if part.is_last:
                # 2.
                self.mark = mark
                self._use(adopting)
            yield folded

    def written(self, folded: Folded) -> None:
        """Unpin the rows of a batch: RocksDB has them now."""
        self._rows.unpin(folded)

    def _use(self, adopting: Adopting) -> None:
        """Use the adopted rules from now on."""
        record, rules = adopting
        self._rows.adopt(rules)
        self._rules = rules
        self._observer.adopted(self._position(record), rules.name)
        self._observer.batch_ended()

    def _apply(
        self, records: list[SourceRecord], kinds: list[Kind], row_keys: list[bytes], folded: Folded, room: int
    ) -> int | None:
        """Apply the records in order; return the offset of the record that filled the room, or None."""
        outbox = folded.outbox
        most_unwritten = min(_UNWRITTEN_BYTES, room) if self._publishes else sys.maxsize
        full_at: int | None = None
        for record, kind, row_key in zip(records, kinds, row_keys, strict=True):
            try:
                if isinstance(kind, LifecycleEvent):
                    self._event(record, kind, row_key, folded)
                else:
                    self._no_event(record, kind, folded)
            except BadEventError as error:
                if isinstance(kind, LifecycleEvent):
                    error.processor = kind.processor
                self._bad(record, error, folded)
            if outbox.unwritten > most_unwritten:
                # The size of the output is known only when it is encoded.
                self._observer.changed(outbox.pending)
                outbox.write(self._topics, self._partition, self._rules)
                if folded.size >= room:
                    full_at = record.offset
                    break
        self._report_folded()
        return full_at

    def _event(self, record: SourceRecord, event: LifecycleEvent, row_key: bytes, folded: Folded) -> None:
        erasures = self._erasures
        if erasures.count:
            prefix = row_key[: row_key.index(b"/") + 1]
            if erasures.has_application(prefix):
                self._late(record, folded)
                return
            if erasures.has_event(prefix, event.event_id):
                return
        pair = folded.pairs.get(row_key)
        if pair is None:
            pair = self._rows.cached(row_key) or self._rows.loaded(row_key)
        position = Position(self._source_topic, self._partition, record.offset)
        step = apply_event(pair, event, position, self._rules)
        is_copy = step.pair is pair
        if not is_copy:
            self._keep(row_key, pair, step, folded)
            if pair is None and self._rules.of(event.processor).processor_type is None:
                self._report_folded()
                self._observer.undeclared(event, position)
        self._unreported.append((event, position, step.issues, is_copy))

    def _keep(self, row_key: bytes, before: Pair | None, step: Step, folded: Folded) -> None:
        """Add a step's result to the batch's result.

        Raises:
            BadEventError: ``too_large``: the change is too large.
        """
        pair = step.pair
        weight = pair.row.weight
        if before is not None and before.row.weight > weight:
            weight = before.row.weight
        most_bytes = CHANGE_BYTES + CHANGE_FACTOR * weight
        if step.issues:
            most_bytes += issues_size(step.issues)
        outbox = folded.outbox
        change = step.change
        if change is not None:
            if most_bytes > self._change_limit.unseen_bytes:
                self._change_limit.require(change, self._rules.json)
            outbox.pending.append((row_key, change))
        outbox.unwritten += most_bytes
        folded.pairs[row_key] = pair
        if folded.removed:
            folded.removed.discard(row_key)

    def _no_event(self, record: SourceRecord, kind: Kind, folded: Folded) -> None:
        if isinstance(kind, BadEventError):
            self._bad(record, kind, folded)
        elif isinstance(kind, Foreign):
            self._foreign(record, kind, folded)
        elif isinstance(kind, Tombstone):
            self._tombstone(record, kind, folded)
        elif isinstance(kind, Erasure):
            self._erasure(record, kind, folded)
        elif isinstance(kind, Adopted):
            # The partition has this ruleset already.
            assert kind.rules.digest == self._rules.digest, "a batch ends before the adoption"  # noqa: S101 - adoption_in
        else:
            # The erased event was never folded, so nothing has to be done.
            assert isinstance(kind, ForeignRemoval)  # noqa: S101 - there is no other kind

    def _bad(self, record: SourceRecord, error: BadEventError, folded: Folded, *, keeps_content: bool = True) -> None:
        """Make a dead letter of the record."""
        position = self._position(record)
        folded.outbox.add(dead_letter(record, position, error, self._topics, keeps_content=keeps_content))
        self._report_folded()
        self._observer.rejected(position, error)

    def _late(self, record: SourceRecord, folded: Folded) -> None:
        """Refuse a late event of an erased application: a tombstone erases it, and its dead letter has no copy."""
        assert record.key is not None  # noqa: S101 - it is the canonical one, or the record would be foreign
        folded.outbox.add(self._erasures.late_tombstone(record.key))
        self._bad(record, application_erased(), folded, keeps_content=False)

    def _foreign(self, record: SourceRecord, foreign: Foreign, folded: Folded) -> None:
        """Publish the record again, under its canonical key and partition.

        Raises:
            BadEventError: ``too_large``: the source may not take it.
        """
        folded.outbox.add(self._republication.of(record, foreign.key, foreign.partition))
        self._report_folded()
        self._observer.republished(self._position(record))

    def _tombstone(self, record: SourceRecord, tombstone: Tombstone, folded: Folded) -> None:
        """Erase the event permanently, from every pair of the application that has it.

        Raises:
            BadEventError: ``too_long``, ``execution_limit`` or ``too_large``.
        """
        if tombstone.is_too_long:
            self._erasures.require_known(tombstone)
            home = partition_of(tombstone.application_id, self._partitions)
            if home != self._partition:
                self._foreign(record, Foreign(record.key or b"", home), folded)
                return
        for row_key, pair, step in self._erasures.erase_event(tombstone, self._position(record), folded):
            self._keep(row_key, pair, step, folded)

    def _erasure(self, record: SourceRecord, erasure: Erasure, folded: Folded) -> None:
        """Erase the application, or accept its events again."""
        if self._erasures.erase_application(erasure, record.offset, folded):
            self._report_folded()
            self._observer.erased(self._position(record))

    def _report_folded(self) -> None:
        """Report to the observer the events that were folded since the last report, so that it gets all in order."""
        if self._unreported:
            self._observer.folded(self._unreported)
            self._unreported = []

    def _position(self, record: SourceRecord) -> Position:
        return Position(self._source_topic, self._partition, record.offset)

    def _is_home(self, application_id: str) -> bool:
        """Whether an application belongs to this partition."""
        return partition_of(application_id, self._partitions) == self._partition
