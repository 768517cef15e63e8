"""The composition root: makes the wired Faust application from the settings. The import has no side effects."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.serializers.schemas import Schema
from faust.types import Message
from yarl import URL

from consolidator.connecting.connection import Connection
from streams.configuration.settings import Settings
from streams.partition.observer import Observer
from streams.runtime.contact import KafkaContact
from streams.runtime.supervision import Supervision
from streams.worker.assignment import Engine
from streams.worker.ruleset_adoption import Rulesets
from streams.worker.table.age import max_age_ms
from streams.worker.table.recovery import BatchTableManager
from streams.worker.table.retention import ChangelogRetention
from streams.worker.table.store import BatchStore, BatchTable
from streams.worker.table.unused import UnusedDatabases
from streams.worker.transport.consumer import BatchTransport
from streams.worker.transport.credentials import broker_credentials
from streams.worker.transport.hearing import librdkafka_errors
from topics.contract.declared import TABLE_NAME, Topics

__all__ = ["BatchOptions", "ConsolidatorApp", "create_app"]

_FETCH_MAX_WAIT_MS = 50
"""How long the broker holds a fetch that finds nothing. Faust's 1,500 makes each recovery that much slower."""

_QUEUED_BATCHES = 2
"""Batches between the consumer and the agent. Faust's default, 4,096, counts records; these are thousands each."""

_REBALANCE_TIMEOUT_S = 60.0
_REQUEST_TIMEOUT_S = 90.0
"""Faust requires it to be longer than the session timeout; for very long sessions ``create_app`` increases it."""

_HEARTBEATS_PER_SESSION = 3
"""A member may miss two heartbeats: Kafka's own recommendation."""


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """The options of the batch transport.

    Attributes:
        batch_events: the greatest number of records of one partition in one batch, see
            :class:`~streams.worker.transport.pacing.Pacing`.
        fetch_max_wait_ms: how long the broker holds a fetch that finds nothing.
        patience_s: for how long requests for offsets are repeated if brokers do not answer.
    """

    batch_events: int
    fetch_max_wait_ms: int = _FETCH_MAX_WAIT_MS
    patience_s: float = 300.0


class _AsIs(Schema):
    """A codec that leaves keys and values as they are: the fold decodes events, and makes dead letters of bad ones."""

    def loads_key(self, _app: Any, message: Message, **_: Any) -> Any:
        return message.key

    def loads_value(self, _app: Any, message: Message, **_: Any) -> Any:
        return message.value


class _NoProducer(BootStrategy):
    """Faust's services, without its producer, which is not used: the transactions have producers of their own.

    It would connect when the worker starts. If it could not, Faust's start would fail without a message.
    (``test_faust_starts_no_producer``)
    """

    enable_kafka_producer = False


class ConsolidatorApp(faust.App):
    """A Faust application with the attributes that the batch transport needs.

    Attributes:
        batch_options: the transport's options.
        source_topic: the topic whose records come in batches.
        partition_owner: processes the source partitions.
        changelog_retention: knows how old a stored database may be.
        unused_databases: removes databases that are no longer used.
        supervision: takes every failure.
    """

    BootStrategy = _NoProducer

    batch_options: BatchOptions
    source_topic: str
    supervision: Supervision
    partition_owner: Engine
    changelog_retention: ChangelogRetention
    unused_databases: UnusedDatabases

    def _crash(self, reason: BaseException) -> None:
        """End the worker when any service of Faust has crashed: a service that crashes calls this on its parents.

        Faust marks them as crashed, and goes on waiting for them to be stopped.
        """
        super()._crash(reason)
        self.supervision.fail_unless_stopping(reason)

    async def _consumer_wait_empty(self, consumer: Any, logger: Any) -> None:
        """Wait for the rounds in flight; when the worker stops, release its partitions as well.

        Next Faust closes the tables. It does not know that an adoption still reads and writes them: for Faust, the
        adoption's waiting batches are not in flight. (``test_stopped_half_way_it_ends_in_order``)
        """
        await super()._consumer_wait_empty(consumer, logger)
        if self.should_stop:
            await self.partition_owner.release_all()


def create_app(
    settings: Settings,
    connection: Connection,
    topics: Topics,
    rulesets: Rulesets,
    *,
    data_dir: Path,
    observer: Observer,
    supervision: Supervision,
    contact: KafkaContact,
    clock: Callable[[], float] = monotonic,
) -> ConsolidatorApp:
    """Wire a worker.

    Args:
        settings: the settings.
        connection: how to reach Kafka.
        topics: the declared topics; they must exist.
        rulesets: the ruleset of this worker, and those in Kafka.
        data_dir: the directory for RocksDB; no other process uses it.
        observer: called for each event.
        supervision: takes every failure, and ends the worker.
        contact: takes reports of whether Kafka answers.
        clock: the time in seconds, by which progress is noted.
    """
    session_timeout = settings.session_timeout_s
    app = ConsolidatorApp(
        settings.app_id,
        broker=[URL(f"kafka://{server.strip()}") for server in connection.bootstrap_servers.split(",")],
        broker_credentials=broker_credentials(connection),
        broker_session_timeout=session_timeout,
        broker_heartbeat_interval=session_timeout / _HEARTBEATS_PER_SESSION,
        broker_rebalance_timeout=_REBALANCE_TIMEOUT_S,
        broker_request_timeout=max(_REQUEST_TIMEOUT_S, session_timeout + 1),
        consumer_group_instance_id=settings.instance_id,
        # Faust's guarantee is at least once, because this worker implements exactly once itself: see
        # docs/decisions/0003.
        processing_guarantee="at_least_once",
        store="rocksdb://",
        datadir=str(data_dir),
        Table=BatchTable,
        TableManager=BatchTableManager,
        table_standby_replicas=settings.standby_replicas,
        stream_buffer_maxsize=_QUEUED_BATCHES,
        stream_wait_empty=True,
        # Faust must not create topics: "consolidator topics apply" creates them, with their settings.
        topic_allow_declare=False,
        topic_disable_leader=True,
        # Faust's web server is off: it would listen on all interfaces without authentication, and show the table.
        web_enabled=False,
        autodiscover=False,
    )
    app.transport = BatchTransport(app.conf.broker_consumer, app)
    app.supervision = supervision
    app.batch_options = BatchOptions(settings.batch_events, patience_s=settings.broker_patience_s)
    app.source_topic = topics.executions.name
    table = app.Table(TABLE_NAME, partitions=topics.partitions, key_type=bytes, value_type=bytes)
    app.changelog_retention = retention = ChangelogRetention(connection.librdkafka(), topics.changelog)
    app.unused_databases = UnusedDatabases(
        data_dir, lambda path: _store_of(table).is_open(path), lambda: max_age_ms(retention.known_ms) / 1000
    )
    app.partition_owner = Engine(
        connection,
        settings.app_id,
        topics,
        rulesets,
        max_event_bytes=settings.max_event_bytes,
        patience_s=settings.broker_patience_s,
        observer=observer,
        store=lambda: _store_of(table),
        on_fatal=supervision.fail,
        on_client_error=librdkafka_errors(contact),
        # All workers on this machine share the directory of refolds, so that the next owner of a partition can continue
        # one.
        refold_dir=data_dir.parent / "refold",
        clock=clock,
    )
    source = app.topic(topics.executions.name, schema=_AsIs(), partitions=topics.partitions)

    async def consolidate(stream: Any) -> None:
        try:
            # The owner acknowledges the round when its transaction is committed. Faust would do so when the next round
            # is taken.
            async for event in stream.noack().events():
                await app.partition_owner.process(event.value, event.ack)
        except Exception as error:
            # Otherwise Faust would acknowledge the round, and restart the agent.
            supervision.fail_unless_stopping(error)
            raise

    app.agent(source, name="consolidate")(consolidate)
    return app


def _store_of(table: Any) -> BatchStore:
    store: BatchStore = table.data
    return store
