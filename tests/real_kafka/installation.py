"""One installation of the consolidator on a shared broker: topics, group and state directory of its own."""

import contextlib
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from consolidator.keys import event_key, partition_of
from streams.configuration.connection import topics_of
from streams.configuration.settings import Settings
from streams.core.rules import Rules
from streams.rulesets.catalogue_file import load_catalogue as load_rules
from tests.inputs.bad_inputs import Headers, bad_positions
from tests.inputs.design_workload import Message
from tests.inputs.workloads import Item, load_catalogue, to_json
from tests.oracle.checker import Observed, Report, check
from tests.oracle.expected import Tombstone
from tests.real_kafka.admin_calls import answered, asked
from tests.real_kafka.stored_table import table_of_changelog, table_on_disk
from tests.real_kafka.worker_process import WorkerProcess, tails, wait_until
from topics.cluster.open_transactions import wait_until_offsets_settled
from topics.cluster.provisioning import apply, existing
from topics.reading.positions import Beginning
from topics.reading.reader import TopicReader
from topics.records.record import Record

Raw = tuple[bytes | None, bytes | None, int]
"""Key, value and partition of a record."""

LIMIT_S = 60.0
SESSION_TIMEOUT_S = 3
"""Short, so that a killed worker's partitions move within a test's patience."""

_HARMLESS_SETTING = "flush.ms"
"""For a second change after the one that matters; as large as a time in nanoseconds it has no effect."""


class Installation:
    """Topics under a prefix of their own, and the workers that serve them.

    Args:
        servers: the broker.
        directory: for state directories and logs.
        variables: further settings; an application id of its own gives the installation its name.
    """

    def __init__(self, servers: str, directory: Path, **variables: str) -> None:
        self.name = variables.get("CONSOLIDATOR_APP_ID") or f"w{uuid4().hex[:12]}"
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.variables = {
            "KAFKA_BOOTSTRAP_SERVERS": servers,
            "CONSOLIDATOR_TOPIC_PREFIX": f"{self.name}.",
            "CONSOLIDATOR_APP_ID": self.name,
            "CONSOLIDATOR_PARTITIONS": "4",
            "CONSOLIDATOR_STATE_DIR": str(directory / "state"),
            "CONSOLIDATOR_SESSION_TIMEOUT_S": str(SESSION_TIMEOUT_S),
            "CONSOLIDATOR_LOG_FORMAT": "json",
            "CONSOLIDATOR_LOG_LEVEL": "info",
        } | variables
        self.config: dict[str, str | int] = {"bootstrap.servers": servers, "log_level": 2}
        self.topics = topics_of(Settings.model_validate(self.variables))
        self.partitions = self.topics.partitions
        self.admin = AdminClient(self.config)
        self._stack = contextlib.ExitStack()
        # Read uncommitted: "committed" waits for open transactions and times out beside one.
        self._monitor = self._stack.enter_context(self._consumer("read_uncommitted"))
        self._workers = 0

    def create_topics(self) -> None:
        """Create the topics, as ``consolidator topics apply`` does."""
        apply(self.topics, self.config)

    def existing_topics(self) -> frozenset[str]:
        """The installation's topics that the broker has."""
        return existing(self.topics, self.config)

    def close(self) -> None:
        """Kill the workers that still run."""
        self._stack.close()

    @property
    def state_dir(self) -> Path:
        """The default state directory of the workers."""
        return Path(self.variables["CONSOLIDATOR_STATE_DIR"])

    def start(self, **variables: str) -> WorkerProcess:
        """Start a worker; it is killed at the end of the test if it still runs."""
        return self._started(WorkerProcess(self.variables | variables, self._next_log()))

    def start_program(self, *command: str, **variables: str) -> WorkerProcess:
        """Start another program as a worker."""
        return self._started(WorkerProcess(self.variables | variables, self._next_log(), command=command))

    def _next_log(self) -> Path:
        self._workers += 1
        return self.directory / f"worker-{self._workers}.log"

    def _started(self, worker: WorkerProcess) -> WorkerProcess:
        return self._stack.enter_context(worker)

    def logs(self) -> str:
        """What all workers have logged so far."""
        return "".join(path.read_text(encoding="utf-8") for path in sorted(self.directory.glob("worker-*.log")))

    # -- publishing

    def publish(self, items: Iterable[Item], *, seed: int = 1) -> int:
        """Publish events and tombstones under their canonical keys; events without an id under foreign keys."""
        rng = random.Random(seed)
        return self.publish_raw(self.record(item, rng) for item in items)

    def publish_messages(self, messages: Iterable[Message]) -> int:
        """Publish messages of the design's workload."""
        return self.publish_raw(
            (message.key, message.value, partition_of(message.application_id, self.partitions)) for message in messages
        )

    def publish_raw(self, records: Iterable[Raw], *, headers: Headers = ()) -> int:
        """Publish key, value and partition, all with the same headers, and wait for every acknowledgement.

        Returns:
            How many.
        """
        return self.publish_with_headers((record, headers) for record in records)

    def publish_with_headers(
        self, records: Iterable[tuple[Raw, Headers]], *, settings: Mapping[str, str | int] | None = None
    ) -> int:
        """Like :meth:`publish_raw`, each record with headers of its own; the producer may have other settings."""
        usual: dict[str, str | int] = {"linger.ms": 20, "compression.type": "lz4"}
        producer = Producer(self.config | usual | {"enable.idempotence": True} | dict(settings or {}))
        count = 0
        for (key, value, partition), headers in records:
            while True:
                try:
                    producer.produce(self.topics.executions.name, value, key, partition, headers=list(headers))
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
        assert producer.flush(LIMIT_S) == 0
        return count

    def record(self, item: Item, rng: random.Random) -> Raw:
        """An event or a tombstone as a record; see :meth:`publish`."""
        if isinstance(item, Tombstone):
            partition = partition_of(item.application_id, self.partitions)
            return event_key(item.application_id, item.event_id), None, partition
        application = item["application_id"]
        if "event_id" not in item:
            return application.encode(), to_json(item), rng.randrange(self.partitions)
        return event_key(application, item["event_id"]), to_json(item), partition_of(application, self.partitions)

    # -- reading

    def read(self, topic: str, *, settled: bool = True) -> list[Record]:
        """Every committed record of a topic, in the order of each partition.

        Args:
            topic: the topic.
            settled: whether to wait for open transactions. The broker ends a transaction partition by partition: a
                commit may be answered, and the group's offsets readable, before all of its records are. Use False if a
                transaction was left open on purpose.
        """
        partitions = range(self.partitions) if settled else ()
        with TopicReader(self.config, topic, Beginning(), settled=partitions, timeout_s=LIMIT_S) as reader:
            return list(reader.until_end())

    def published(self) -> tuple[list[Record], list[Record], list[Record]]:
        """Every committed change, ``factors`` record and dead letter."""
        changes, factors, dead_letters = (
            self.read(topic.name) for topic in (self.topics.factor_changes, self.topics.factors, self.topics.dlq)
        )
        return changes, factors, dead_letters

    def read_uncommitted(self, topic: str) -> list[bytes | None]:
        """The values of every record of a topic, those of aborted transactions too."""
        with self._consumer("read_uncommitted") as consumer:
            remaining = set(range(self.partitions))
            consumer.assign([TopicPartition(topic, partition, 0) for partition in remaining])
            values = []
            while remaining:
                message = consumer.poll(LIMIT_S)
                assert message is not None, f"{topic}: nothing before the end of {remaining}"
                if message.error() is None:
                    values.append(message.value())
                else:
                    remaining.discard(message.partition())
            return values

    def committed(self) -> dict[int, int]:
        """The group's committed offset of each partition; 0 where there is none."""
        return {partition: max(offset, 0) for partition, offset in self._committed_raw().items()}

    def _committed_raw(self) -> dict[int, int]:
        places = asked(lambda ask_s: self._monitor.committed(self._places(), timeout=ask_s))
        return {place.partition: place.offset for place in places}

    def unstable_offsets(self) -> list[int]:
        """The partitions whose offset is in an open transaction of the group."""
        return wait_until_offsets_settled(
            self.admin, self.name, self.topics.executions.name, range(self.partitions), limit_s=0
        )

    def ends(self, topic: str | None = None) -> dict[int, int]:
        """The high watermark of each partition of a topic, the source's by default."""
        return {place.partition: self._end_of(place) for place in self._places(topic)}

    def _end_of(self, place: TopicPartition) -> int:
        _, end = asked(lambda ask_s: self._monitor.get_watermark_offsets(place, timeout=ask_s))
        return end

    def stable_ends(self, topic: str) -> dict[int, int]:
        """The last stable offset of each partition: below the high watermark while a transaction is open."""
        with TopicReader(self.config, topic, Beginning(), timeout_s=LIMIT_S) as reader:
            return {partition: span.end for partition, span in reader.spans.items()}

    def progress(self) -> float:
        """The share of the source that is committed."""
        return sum(self.committed().values()) / max(1, sum(self.ends().values()))

    def lag(self) -> dict[int, int]:
        """Partitions with an unread record, and its offset. Markers and aborted records do not count as lag."""
        committed, ends = self.committed(), self.ends()
        behind = {partition: offset for partition, offset in committed.items() if offset < ends[partition]}
        return {partition: offset for partition, offset in behind.items() if self._has_record_from(partition, offset)}

    def _has_record_from(self, partition: int, offset: int) -> bool:
        with self._consumer("read_committed") as consumer:
            consumer.assign([TopicPartition(self.topics.executions.name, partition, offset)])
            message = consumer.poll(LIMIT_S)
            assert message is not None, f"no answer from partition {partition} at offset {offset}"
            if message.error() is None:
                return True
            assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
            return False

    def wait_consumed(self, *workers: WorkerProcess, limit_s: float = LIMIT_S) -> None:
        """Wait until the lag is zero: a reader placed at the committed offset reaches the end without a record."""

        def consumed() -> bool:
            for worker in workers:
                assert worker.exit_code is None, worker.tail()
            return not self.lag()

        wait_until(
            consumed,
            "the lag to be zero",
            limit_s=limit_s,
            details=lambda: f"lag {self.lag()}, ends {self.ends()}\n" + tails(workers),
        )

    def wait_progress(self, share: float, worker: WorkerProcess, *, limit_s: float = LIMIT_S) -> None:
        """Wait until a share of the source is committed."""
        worker.wait(lambda: self.progress() >= share, f"{share:.0%} of the source to be committed", limit_s=limit_s)

    # -- the laws

    def observe(self, *, state: Path | None = None) -> Observed:
        """Read everything.

        Args:
            state: a directory below which every partition's database is up to date; no worker runs on it.
        """
        tables = {"changelog": table_of_changelog(self.read(self.topics.changelog.name))}
        if state is not None:
            tables["RocksDB"] = table_on_disk(state)
        source = self.read(self.topics.executions.name)
        changes, factors, dead_letters = self.published()
        return Observed(
            source=source,
            changes=changes,
            factors=factors,
            dead_letters=dead_letters,
            tables=tables,
            bad=bad_positions(source),
        )

    def report(self, observed: Observed) -> Report:
        """Compare the observed contents with the oracle's results from the source."""
        return check(load_catalogue(), Rules(load_rules(None)), observed)

    def check_laws(self, *, state: Path | None = None) -> Report:
        """Fail if a law of ``tests/oracle/checker.py`` is broken; the arguments are those of :meth:`observe`."""
        report = self.report(self.observe(state=state))
        report.require()
        return report

    # -- the group

    def set_group(self, offsets: Mapping[int, int]) -> None:
        """Move the group; it must have no member."""
        places = [TopicPartition(self.topics.executions.name, part, offset) for part, offset in offsets.items()]
        wait_until(lambda: self._moved(places), "the group to be empty and moved", limit_s=LIMIT_S)

    def _moved(self, places: list[TopicPartition]) -> bool:
        try:
            self._monitor.commit(offsets=places, asynchronous=False)
        except KafkaException:
            return False
        return True

    def forget_group(self) -> None:
        """Delete the group and with it its committed offsets, as their retention would."""
        answered(
            lambda ask_s: self.admin.delete_consumer_groups([self.name], request_timeout=ask_s)[self.name],
            done={KafkaError.GROUP_ID_NOT_FOUND},
        )
        assert set(self._committed_raw().values()) == {-1001}

    def described_group(self) -> Any:
        """The group and its members."""
        return answered(
            lambda ask_s: self.admin.describe_consumer_groups([self.name], request_timeout=ask_s)[self.name]
        )

    def add_partitions(self, wanted: NewPartitions) -> None:
        """Give a topic more partitions."""
        answered(
            lambda ask_s: self.admin.create_partitions([wanted], request_timeout=ask_s)[wanted.topic],
            # It has that many partitions already.
            done={KafkaError.INVALID_PARTITIONS},
        )

    def delete_topic(self, topic: str) -> None:
        """Delete a topic and wait until it is gone."""
        answered(
            lambda ask_s: self.admin.delete_topics([topic], request_timeout=ask_s)[topic],
            done={KafkaError.UNKNOWN_TOPIC_OR_PART},
        )
        wait_until(lambda: topic not in self.existing_topics(), f"{topic} to go", limit_s=LIMIT_S)

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """Delete the records of a partition up to an offset, as retention does."""
        place = TopicPartition(topic, partition, before)
        answered(lambda ask_s: self.admin.delete_records([place], request_timeout=ask_s)[place])

    def alter_topic(self, topic: str, setting: str, value: str) -> None:
        """Set one setting of a topic, and wait until the broker uses it.

        A broker reports a new value shortly before it uses it, but it completes one change before it begins the next.
        So when it reports a second change, the first one is in use.
        """
        self._set(topic, setting, value)
        self._set(topic, _HARMLESS_SETTING, str(time.time_ns()))

    def _set(self, topic: str, setting: str, value: str) -> None:
        entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        answered(lambda ask_s: self.admin.incremental_alter_configs([resource], request_timeout=ask_s)[resource])

        def is_told() -> bool:
            told = answered(lambda ask_s: self.admin.describe_configs([resource], request_timeout=ask_s)[resource])
            return told is not None and told[setting].value == value

        wait_until(is_told, f"{setting} of {topic} to be {value}", limit_s=LIMIT_S)

    def _places(self, topic: str | None = None) -> list[TopicPartition]:
        name = topic or self.topics.executions.name
        return [TopicPartition(name, partition) for partition in range(self.partitions)]

    @contextlib.contextmanager
    def _consumer(self, isolation: str) -> Iterator[Consumer]:
        consumer = Consumer(
            self.config
            | {
                "group.id": self.name,
                "isolation.level": isolation,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
            }
        )
        try:
            yield consumer
        finally:
            consumer.close()


def by_partition(records: Iterable[Record]) -> Counter[int]:
    """How many records each partition has."""
    return Counter(record.partition for record in records)
