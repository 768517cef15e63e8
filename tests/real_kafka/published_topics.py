"""The two topics that subscribers read, filled by a producer that writes as a worker does: in transactions."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from consolidator.connecting.ends import ends_of
from consolidator.keys import change_key, factors_key, partition_of
from consolidator.records import CurrentFactors, FactorChange, SourcePlace
from consolidator.testing import encode, sample_change
from tests.real_kafka.admin_calls import answered
from tests.real_kafka.installation import LIMIT_S, Installation
from tests.real_kafka.worker_process import wait_until

__all__ = ["Published"]

Pair = tuple[str, str]


class Published:
    """Writes changes with their current factors, and knows what a subscriber has to come to.

    Args:
        installation: whose topics are written; no worker of it runs.

    Attributes:
        expected: the current change of each pair.
        changes: every change, in the order of publication.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.names = (installation.topics.factor_changes.name, installation.topics.factors.name)
        self.partitions = installation.partitions
        self.expected: dict[Pair, FactorChange] = {}
        self.changes: list[FactorChange] = []
        self._offset = 0
        self._writer = self.producer()

    def producer(self) -> Producer:
        """A transactional producer of its own."""
        made = Producer({**self.installation.config, "transactional.id": uuid4().hex, "linger.ms": 5})
        made.init_transactions(LIMIT_S)
        return made

    def application(self, partition: int, number: int = 0) -> str:
        """An application of a partition."""
        names = (f"app-{count}" for count in range(100_000))
        return [name for name, _ in zip(_in(names, partition, self.partitions), range(number + 1), strict=False)][-1]

    def make(self, application_id: str, processor: str = "bank_statement", **members: Any) -> FactorChange:
        """The next change of a pair, which is not published yet."""
        self._offset += 1
        members.setdefault("factors", {"f_revenue_monthly_avg": self._offset})
        return sample_change(
            application_id,
            processor,
            version=SourcePlace(partition_of(application_id, self.partitions), self._offset),
            before=self.expected.get((application_id, processor)),
            **members,
        )

    def publish(self, *changes: FactorChange) -> None:
        """Publish changes and their current factors, in one transaction, as a worker does."""
        with self.transaction(changes):
            pass

    def change(self, *application_ids: str, **members: Any) -> list[FactorChange]:
        """Publish a new change of each application."""
        made = [self.make(one, **members) for one in application_ids]
        self.publish(*made)
        return made

    @contextmanager
    def transaction(self, changes: Iterable[FactorChange]) -> Iterator[Callable[[], None]]:
        """Write changes, and yield what commits them; the end of the ``with`` block does it otherwise."""
        kept, is_open = list(changes), [True]
        self._writer.begin_transaction()
        self.write(self._writer, kept)
        assert not self._writer.flush(LIMIT_S)

        def commit() -> None:
            if is_open:
                is_open.clear()
                self._writer.commit_transaction(LIMIT_S)
                self.changes += kept
                self.expected |= {(change.application_id, change.processor): change for change in kept}

        yield commit
        commit()

    @contextmanager
    def half_written(self, change: FactorChange) -> Iterator[None]:
        """A transaction of which only the journal's record is written; the end of the block writes the rest of it."""
        self._writer.begin_transaction()
        key = change_key(change.application_id, change.id)
        self._writer.produce(self.names[0], encode(change), key, self._partition(change))
        assert not self._writer.flush(LIMIT_S)
        yield
        key = factors_key(change.application_id, change.processor)
        self._writer.produce(self.names[1], encode(_current(change)), key, self._partition(change))
        self._writer.commit_transaction(LIMIT_S)
        self.changes.append(change)
        self.expected[change.application_id, change.processor] = change

    def write(self, producer: Producer, changes: Iterable[FactorChange]) -> None:
        """Write changes, each pair's current factors after all of them, into a transaction."""
        latest: dict[Pair, FactorChange] = {}
        for change in changes:
            pair = (change.application_id, change.processor)
            latest.pop(pair, None)
            latest[pair] = change
            key = change_key(change.application_id, change.id)
            producer.produce(self.names[0], encode(change), key, self._partition(change))
        for change in latest.values():
            key = factors_key(change.application_id, change.processor)
            producer.produce(self.names[1], encode(_current(change)), key, self._partition(change))

    def erase(self, application_id: str, *, journal: bool = True) -> None:
        """Erase an application: the worker's tombstones, and then those of ``consolidator erase``."""
        partition = partition_of(application_id, self.partitions)
        pairs = [pair for pair in self.expected if pair[0] == application_id]
        self._writer.begin_transaction()
        for pair in pairs:
            self._writer.produce(self.names[1], None, factors_key(*pair), partition)
            del self.expected[pair]
        self._writer.commit_transaction(LIMIT_S)
        if journal:
            keys = [change_key(application_id, one.id) for one in self.changes if one.application_id == application_id]
            self.raw((self.names[0], partition, key, None) for key in keys)

    def raw(self, records: Iterable[tuple[str, int, bytes, bytes | None]]) -> None:
        """Publish topic, partition, key and value, outside of transactions."""
        producer = Producer(self.installation.config)
        for topic, partition, key, value in records:
            producer.produce(topic, value, key, partition)
        assert not producer.flush(LIMIT_S)

    @contextmanager
    def stranger(self, topic: str, partition: int) -> Iterator[Callable[[], None]]:
        """Hold a transaction with one record open, and yield what aborts it; the end of the block does otherwise."""
        producer, is_open = self.producer(), [True]
        producer.begin_transaction()
        producer.produce(topic, b"never committed", b"stranger", partition)
        assert not producer.flush(LIMIT_S)

        def abort() -> None:
            if is_open:
                is_open.clear()
                producer.abort_transaction(LIMIT_S)

        try:
            yield abort
        finally:
            abort()

    def wait_decided(self, topic: str, partition: int) -> None:
        """Wait until a commit's marker is written: Kafka answers the commit before."""

        def ends() -> set[int]:
            kinds = (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
            admin = self.installation.admin
            return {ends_of(admin, topic, [partition], kind, limit_s=LIMIT_S)[partition] for kind in kinds}

        wait_until(lambda: len(ends()) == 1, f"the markers in {topic}", limit_s=LIMIT_S)

    def recreate(self, topic: str, *, partitions: int | None = None) -> None:
        """Delete a topic, and create it anew with the same settings."""
        admin = self.installation.admin
        answered(lambda ask_s: admin.delete_topics([topic], request_timeout=ask_s)[topic])
        declared = next(one for one in self.installation.topics if one.name == topic)
        count = partitions or self.partitions

        def is_gone() -> bool:
            return topic not in self.installation.existing_topics()

        wait_until(is_gone, f"{topic} to be deleted", limit_s=LIMIT_S)
        new = NewTopic(topic, count, 1, config=dict(declared.config))
        answered(lambda ask_s: admin.create_topics([new], request_timeout=ask_s)[topic])
        wait_until(lambda: not is_gone(), f"{topic} to be there", limit_s=LIMIT_S)

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Delete the records before an offset, of a topic whose policy was just changed so that it permits that."""
        place = TopicPartition(topic, partition, offset)
        admin = self.installation.admin

        def is_permitted() -> bool:
            try:
                answered(lambda ask_s: admin.delete_records([place], request_timeout=ask_s)[place])
            except KafkaException as error:
                if error.args[0].code() != KafkaError.POLICY_VIOLATION:
                    raise
                return False
            return True

        wait_until(is_permitted, f"{topic} to permit that", limit_s=LIMIT_S)

    def _partition(self, change: FactorChange) -> int:
        return partition_of(change.application_id, self.partitions)


def _current(change: FactorChange) -> CurrentFactors:
    return CurrentFactors(**{name: getattr(change, name) for name in CurrentFactors.__struct_fields__})


def _in(names: Iterator[str], partition: int, partitions: int) -> Iterator[str]:
    return (name for name in names if partition_of(name, partitions) == partition)
