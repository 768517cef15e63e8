"""One partition's fold: records in, records out, rows changed. No Kafka client, no clock: a replay can run it too."""

import sys
from collections.abc import Generator
from typing import Final

from msgspec.structs import replace

from consolidator.keys import application_prefix, parse_event_key, partition_of
from models.errors import BadEventError, Defect
from models.events import LifecycleEvent, Position
from models.rows import ErasedApplication, Erasures, HalfwayMark
from streams.core.change import RulesetCause
from streams.core.fold import Pair, Step, apply_event, erase_event, holds_event
from streams.core.rules import Rules
from streams.partition.adoption import PART_PAIRS, Adopting, GoingOver, Refolded
from streams.partition.batch import Batch, Outgoing, SourceRecord
from streams.partition.change_size import ChangeLimit, change_size
from streams.partition.dead_letters import application_erased, dead_letter
from streams.partition.decoded import decoded
from streams.partition.judge import Judge
from streams.partition.observer import Observer
from streams.partition.republication import Republication
from streams.partition.result import Folded
from streams.partition.rows import PartitionRows
from streams.partition.ruleset_switches import NoSwitches, RulesetSwitches
from streams.partition.sizes import decoded_together
from streams.partition.state.erased_applications import ErasedApplications, erased_key
from streams.partition.state.erased_events import HASH_BYTES, erased_hash, holds, with_hash
from streams.partition.state.row_codec import RowReader
from streams.partition.state.stored_mark import still_halfway, stored_mark
from streams.partition.tombstones import tombstone_of
from topics.contract.declared import Topics
from topics.records.adoptions import ADOPTION_PREFIX
from topics.records.erasure_authority import ErasureAuthority, NoErasure, confirmed_erasure
from topics.records.erasures import ERASURE_HEADER, ERASURE_PREFIX, Erasure, salted_hash

__all__ = ["PartitionFold"]

_UNWRITTEN_BYTES: Final = 16 * 1024 * 1024
"""Most bytes of changes that are kept as values before they are written out: about 3,000 changes in the design's
workload. Until then each of them keeps the whole state before and after it in memory."""


class PartitionFold:
    """Folds the batches of one partition, one after the other.

    Args:
        partition: the source partition.
        topics: the declared topics.
        rules: the catalogue.
        rows: the stored rows of the partition.
        max_event_bytes: larger events become dead letters.
        cached_pairs: how many unpinned pairs stay decoded in memory.
        cached_weight: what the rows of those pairs may weigh together (:attr:`models.rows.Row.weight`).
        topic_id: the source topic's id; "": not known.
        switches: where another ruleset was adopted.
        authority: knows which erasures count.
        observer: called for each event.
        publishes: whether the records to publish are needed; if not, only the rows are.

    Attributes:
        mark: how far the partition is applied.
        switches: where another ruleset was adopted.
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
    ) -> None:
        self._partition = partition
        self._topics = topics
        self._partitions = topics.partitions
        self._source_topic = topics.executions.name
        self._republication = Republication(topics.executions)
        self._rules = rules
        self._max_event_bytes = max_event_bytes
        self._observer = observer or Observer()
        self._publishes = publishes
        self.switches = switches or NoSwitches()
        self.authority = authority or NoErasure()
        self._rows = PartitionRows(rows, rules, cached_pairs, cached_weight, partition)
        mark = stored_mark(rows, partition, rules, self._source_topic, topic_id)
        self._halfway = mark if isinstance(mark, HalfwayMark) else None
        plain = mark if self._halfway is None else self._halfway.plain
        self.mark = replace(plain, topic_id=topic_id or mark.topic_id)
        self._change_limit = ChangeLimit(self._topics)
        self._erased = ErasedApplications(rows, stored=mark.erasures > 0, partition=partition)

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
            if record.key is not None and record.key.startswith(ADOPTION_PREFIX) and record.offset > self.mark.applied:
                rules = self.switches.rules_at(record.offset)
                if rules is not None and rules.digest != self._rules.digest:
                    return Adopting(record, rules)
        return None

    def fold(self, batch: Batch, room: int = sys.maxsize) -> Folded:
        """Fold a batch, or as much of it as there is room for.

        The batch must not contain an adoption, see :meth:`adoption_in`. The result's rows stay pinned in the cache
        until :meth:`written` is called for it.

        Step by step for many records, and not for one after the other: see :mod:`streams.partition.outbox`.

        1. Skip what the state contains already: outputs and state were committed together, so nothing is lost.
        2. Decode some.
        3. Apply each record: event, tombstone, erasure of an application, adoption of a ruleset, foreign record, or
           dead letter. The batch ends with the record whose output fills the room.
        4. Write what is to be published, with the ``factors`` record of each pair that changed.

        Args:
            batch: the batch.
            room: most bytes of output, about as they lie in memory; one record is folded in any case.
        """
        if self._halfway is not None:
            raise still_halfway(self._source_topic, self._halfway)
        folded = Folded(self.mark)
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
            events = [decoded(record, self._max_event_bytes) for record in records[start:stop]]
            # 3.
            full_at = self._apply_each(records[start:stop], events, folded, room)
            if full_at is not None and full_at != records[-1].offset:
                end = full_at + 1
                folded.events = sum(each.offset < end for each in records)
            start = stop
        self._observer.batch_ended()
        # 4.
        if self._publishes:
            folded.outgoing = folded.outbox.drained(self._topics, self._partition)
        folded.end = end
        self.mark = folded.mark = replace(self.mark, applied=max(applied, end - 1))
        return folded

    def _apply_each(
        self,
        records: list[SourceRecord],
        events: list[LifecycleEvent | BadEventError | None],
        folded: Folded,
        room: int,
    ) -> int | None:
        """Apply the records in order; return the offset of the one that filled the room, or None."""
        outbox = folded.outbox
        most_unwritten = min(_UNWRITTEN_BYTES, room) if self._publishes else sys.maxsize
        for record, event in zip(records, events, strict=True):
            try:
                if event is None:
                    self._control(record, folded)
                elif isinstance(event, BadEventError):
                    self._reject(record, event, folded)
                else:
                    self._apply(record, event, folded)
            except BadEventError as error:
                self._reject(record, error, folded)
            if outbox.unwritten > most_unwritten:
                # The size of the output is known only when it is written.
                outbox.write(self._topics, self._partition)
                if folded.size >= room:
                    return record.offset
        return None

    def go_over(
        self, adopting: Adopting, refolded: Refolded, *, part_pairs: int = PART_PAIRS
    ) -> Generator[Folded, None, None]:
        """Go over to another ruleset: every pair's row is written anew, and what differs is published.

        1. Pair after pair from where the mark says, each beside what it was, as rows keep only the fields that their
           own ruleset reads. An event that the new rows lack cannot be had any more.
        2. With the last part the record counts as applied, and the new rules hold. What is remembered of erasures
           stays.

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
        after = self.gone_over
        cause = RulesetCause(self._rules.digest, rules.digest, record.timestamp * 1000, self._position(record))
        judge = Judge(self._partition, self._topics, self._rules, rules)
        going = GoingOver(judge, cause, self._topics, self._partition, part_pairs)
        # 1.
        old = self._rows.stored_after(after, self._is_home)
        for rows, outgoing, until, is_last in going.parts(old, refolded.pairs_after(after)):
            if not is_last:
                mark = self._halfway = HalfwayMark.of(self.mark, record.offset, until)
                folded = Folded(mark, outgoing=outgoing, rewritten=rows)
                self._rows.pin(folded)
                yield folded
                continue
            # 2.
            self._halfway = None
            self.mark = replace(self.mark, applied=record.offset, ruleset=rules.tag)
            folded = Folded(self.mark, events=1, outgoing=outgoing, rewritten=rows)
            self._rows.pin(folded)
            self._rows.adopt(rules)
            self._rules = rules
            self._observer.adopted(self._position(record), rules.name)
            self._observer.batch_ended()
            yield folded

    def written(self, folded: Folded) -> None:
        """Unpin the rows of a batch: RocksDB has them now."""
        self._rows.unpin(folded)

    def _control(self, record: SourceRecord, folded: Folded) -> None:
        """A record that is no event."""
        key = record.key or b""
        if key.startswith(ERASURE_PREFIX):
            self._erase_application(record, confirmed_erasure(record, self._partition, self.authority), folded)
        elif key.startswith(ADOPTION_PREFIX):
            self._adopt(record)
        else:
            self._erase(record, folded)

    def _position(self, record: SourceRecord) -> Position:
        return Position(self._source_topic, self._partition, record.offset)

    def _apply(self, record: SourceRecord, event: LifecycleEvent, folded: Folded) -> None:
        position = Position(self._source_topic, self._partition, record.offset)
        prefix = application_prefix(event.application_id)
        key = prefix + event.event_id.encode()
        row_key = prefix + event.processor.encode()
        pair = self._rows.cached(row_key)
        # A pair that was folded before is at home here.
        if key != record.key or (pair is None and not self._is_home(event.application_id)):
            self._republish(record, key, partition_of(event.application_id, self._partitions), folded)
            return
        if self.mark.erasures:
            if self._erased.holds(prefix):
                self._refuse(record, key, folded)
                return
            if self._is_erased(event):
                return
        if pair is None:
            pair = self._rows.loaded(row_key)
        step = apply_event(pair, event, position, self._rules)
        if step.pair is pair:
            self._observer.repeated(event, position)
            return
        self._keep(row_key, pair, step, folded)
        if pair is None and self._rules.of(event.processor).processor_type is None:
            self._observer.undeclared(event, position)
        self._observer.folded(event, position, step.issues)

    def _keep(self, row_key: bytes, before: Pair | None, step: Step, folded: Folded) -> None:
        pair, outbox = step.pair, folded.outbox
        weight = pair.row.weight
        if before is not None and before.row.weight > weight:
            weight = before.row.weight
        most_bytes = change_size(weight, step.issues)
        if step.change is not None:
            if most_bytes > self._change_limit.unseen_bytes:
                self._change_limit.require(step.change, self._rules.json)
            outbox.tell(row_key, step.change, self._rules.json)
        outbox.unwritten += most_bytes
        folded.pairs[row_key] = pair
        if folded.removed:
            folded.removed.discard(row_key)
        self._rows.put(row_key, pair)

    def _republish(self, record: SourceRecord, key: bytes, partition: int, folded: Folded) -> None:
        folded.outbox.add(self._republication.of(record, key, partition))
        self._observer.republished(self._position(record))

    def _refuse(self, record: SourceRecord, key: bytes, folded: Folded) -> None:
        """A late event of an erased application: a tombstone takes it out of the log again, and no copy is kept."""
        headers = [(ERASURE_HEADER, b"late")]
        folded.outbox.add(Outgoing(self._source_topic, self._partition, key, None, headers))
        self._reject(record, application_erased(), folded, keeps_content=False)

    def _reject(
        self, record: SourceRecord, error: BadEventError, folded: Folded, *, keeps_content: bool = True
    ) -> None:
        position = self._position(record)
        folded.outbox.add(dead_letter(record, position, error, self._topics, keeps_content=keeps_content))
        self._observer.rejected(position, error)

    def _erase(self, record: SourceRecord, folded: Folded) -> None:
        """A tombstone: forget the event for good, in whichever pair of the application it is."""
        tombstone = tombstone_of(record, self._partition, self._partitions, self._knows)
        if tombstone is None:
            return
        key, application_id, event_id, home = tombstone
        if home != self._partition:
            self._republish(record, key, home, folded)
            return
        erasures_key = application_prefix(application_id)
        if self.mark.erasures and self._erased.holds(erasures_key):
            return
        erasures = self._rows.erasures(erasures_key)
        erased = erased_hash(event_id)
        hashes = () if erasures is None else erasures.hashes
        if holds(hashes, erased):
            return
        hashes = with_hash(hashes, erased)
        if erasures is None:
            self.mark = replace(self.mark, erasures=self.mark.erasures + 1)
        folded.removed.discard(erasures_key)
        folded.erasures[erasures_key] = Erasures(application_id, record.offset, hashes)
        folded.erasures_bytes += HASH_BYTES * len(hashes)
        for row_key, pair in self._rows.pairs_of(erasures_key):
            if holds_event(pair, event_id):
                self._keep(row_key, pair, erase_event(pair, event_id, self._position(record), self._rules), folded)

    def _knows(self, application_id: str, event_id: str) -> bool:
        """Whether an event of an application is in the state."""
        pairs = self._rows.pairs_of(application_prefix(application_id))
        return any(holds_event(pair, event_id) for _, pair in pairs)

    def _adopt(self, record: SourceRecord) -> None:
        """A record under ``/ruleset/``: no entry confirms it, or the partition has its ruleset already."""
        rules = self.switches.rules_at(record.offset)
        if rules is None:
            raise BadEventError(
                Defect.INVALID_ADOPTION,
                "a record under /ruleset/ adopts nothing: a worker writes it, with --adopt-ruleset, and nobody else",
            )
        assert rules.digest == self._rules.digest, "a batch ends before the adoption"  # noqa: S101 - fold_in_parts

    def _is_home(self, application_id: str) -> bool:
        """Whether an application is this partition's."""
        return partition_of(application_id, self._partitions) == self._partition

    def _erase_application(self, record: SourceRecord, erasure: Erasure, folded: Folded) -> None:
        """Forget everything about an application, and refuse its events from here on; or accept them again."""
        row_key = erased_key(erasure)
        if erasure.lifted:
            if self._erased.lift(erasure):
                self._remove(row_key, folded, tells_of_erasure=True)
            return
        if not self._erased.add(erasure):
            return
        self._observer.erased(self._position(record))
        folded.removed.discard(row_key)
        folded.erased[row_key] = ErasedApplication(erasure.salt, erasure.hash, record.offset)
        self.mark = replace(self.mark, erasures=self.mark.erasures + 1)
        for key in self._rows.keys_where(lambda prefix: salted_hash(erasure.salt, prefix) == erasure.hash):
            is_pair = parse_event_key(key) is not None
            if is_pair:
                folded.outbox.add(Outgoing(self._topics.factors.name, self._partition, key, None))
            folded.erased_prefixes.add(key[: key.index(b"/") + 1])
            self._remove(key, folded, tells_of_erasure=not is_pair)

    def _remove(self, key: bytes, folded: Folded, *, tells_of_erasure: bool) -> None:
        """Take a row away, in memory and in what is to be written."""
        for changed in (folded.rewritten, folded.pairs, folded.erasures, folded.erased):
            changed.pop(key, None)
        folded.outbox.withdraw_factors(key)
        self._rows.drop(key)
        folded.removed.add(key)
        if tells_of_erasure:
            self.mark = replace(self.mark, erasures=self.mark.erasures - 1)

    def _is_erased(self, event: LifecycleEvent) -> bool:
        erasures = self._rows.erasures(application_prefix(event.application_id))
        return erasures is not None and holds(erasures.hashes, erased_hash(event.event_id))
