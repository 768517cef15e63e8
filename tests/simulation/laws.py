"""The laws of a simulation: committed, stored and published results equal the oracle's results from the source."""

from collections.abc import Callable
from typing import Any

from faust.types import TP

from models.rows import PartitionMark
from streams.partition.state.row_codec import MARK_KEY, decode_row
from tests.inputs.strategies import ADVERSARIAL_CATALOGUE
from tests.oracle.checker import Observed, check
from tests.oracle.folds import rules_of, topics_of
from tests.real_kafka.stored_table import table_of_changelog
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.log import PartitionLog
from tests.simulation.producers import SimulatedProducers
from tests.simulation.worker import PARTITIONS, SimulatedStore
from topics.records.record import Record

__all__ = ["CHANGELOG", "RULES", "SOURCE", "TOPICS", "Laws"]

TOPICS = topics_of(PARTITIONS)
RULES = rules_of(ADVERSARIAL_CATALOGUE)
SOURCE = TOPICS.executions.name
CHANGELOG = TOPICS.changelog.name
_EVERYTHING = 1_000


class Laws:
    """The parts of a simulation that the laws use; see :class:`tests.simulation.simulation.Simulation`."""

    kafka: SimulatedKafka
    producers: SimulatedProducers
    source: Callable[[int], PartitionLog]
    changelog: Callable[[int], PartitionLog]
    _verified: int

    def verify(self) -> None:
        """The committed outputs are the image of the folded prefix of each source partition, exactly once."""
        if self._verified == self.kafka.commits:
            return
        self._verified = self.kafka.commits
        folded = [
            record
            for partition in range(PARTITIONS)
            for record in self.source(partition).history(end=self.kafka.furthest[partition])
        ]
        places = {(record.partition, record.offset) for record in folded}
        for record in folded:
            if (record.partition, record.offset) in self.producers.foreign:
                copies = self.producers.copies(record)
                assert copies == 1, f"{copies} re-publications of what stands at {record.partition}, {record.offset}"
        native = [record for record in folded if (record.partition, record.offset) not in self.producers.foreign]
        self._check(native, frozenset(self.producers.bad & places), {"changelog": self._changelog_table()})
        for partition in range(PARTITIONS):
            self._require_mark(partition)

    def _check(self, source: list[Record], bad: frozenset[tuple[int, int]], tables: dict[str, Any]) -> None:
        outputs = [
            [record for partition in range(PARTITIONS) for record in self.kafka.log(topic.name, partition).history()]
            for topic in (TOPICS.factor_changes, TOPICS.factors, TOPICS.dlq)
        ]
        check(ADVERSARIAL_CATALOGUE, RULES, Observed(source, *outputs, tables, bad)).require()

    def _changelog_table(self) -> dict[int, dict[bytes, bytes]]:
        return {partition: self._changelog_rows(partition) for partition in range(PARTITIONS)}

    def _changelog_rows(self, partition: int) -> dict[bytes, bytes]:
        log = self.changelog(partition)
        return table_of_changelog(log.history()).get(partition, {})

    def _require_mark(self, partition: int) -> None:
        raw = self._changelog_rows(partition).get(MARK_KEY)
        mark = None if raw is None else decode_row(raw)
        applied = mark.applied if isinstance(mark, PartitionMark) else -1
        furthest = self.kafka.furthest[partition]
        assert applied == furthest - 1, f"partition {partition}: applied to {applied}, the group came to {furthest}"

    def _require_recovered(self, store: SimulatedStore, partition: int) -> None:
        assert store.stored(partition) == self._changelog_rows(partition), f"partition {partition}: disk, changelog"

    def _require_not_ahead(self, store: SimulatedStore) -> None:
        """No database has rows that the changelog does not have."""
        for partition in store._dbs:
            stored = store.persisted_offset(TP(CHANGELOG, partition))
            if stored is not None:
                last = max((record.offset for record in self.changelog(partition).history()), default=-1)
                assert stored <= last, f"partition {partition}: stored {stored}, committed {last}"

    def finish(self) -> None:
        """Deliver everything to fresh owners, and again with an empty disk; all laws hold."""
        for worker in self.workers:
            self.kill(worker)
        first, second = self.workers
        self.rebalance((0,) * PARTITIONS, unaware=False)
        while any(self._is_behind(partition) for partition in range(PARTITIONS)):
            for partition in range(PARTITIONS):
                assert partition in first.seats, f"{first.name} ended with nothing on its mind"
                self.deliver(first, partition, _EVERYTHING)
                if partition in first.seats:
                    self.commit(first, partition)
        self.verify()
        assert first.store is not None
        disk = {partition: first.store.stored(partition) for partition in range(PARTITIONS)}
        source = [record for partition in range(PARTITIONS) for record in self.source(partition).history()]
        places = {(record.partition, record.offset) for record in source}
        self._check(
            source, frozenset(self.producers.bad & places), {"changelog": self._changelog_table(), "disk": disk}
        )
        self.lose_disk(second)
        self.rebalance((1,) * PARTITIONS, unaware=False)

    def _is_behind(self, partition: int) -> bool:
        records, _ = self.source(partition).poll(self.kafka.furthest[partition], 1)
        return bool(records)
